from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.data import Rows
from fedscore.errors import DataError


def fields(n: int = 3) -> dict[str, Any]:
    return {
        "cells": np.arange(2 * n, dtype=np.int32).reshape(n, 2),
        "outcome": np.arange(n, dtype=np.int8) % 2,
        "ids": np.array([f"secret-{number}" for number in range(n)], dtype=object),
    }


def test_left_out_persons_are_the_ids() -> None:
    rows = Rows(**fields())
    assert rows.persons is rows.ids
    persons = np.array(["p", "p", "q"])
    assert Rows(**fields(), persons=persons).persons is persons


def test_repr_shows_sizes_and_no_data() -> None:
    rows = Rows(**fields())
    assert repr(rows) == str(rows) == "Rows(3 rows, 2 tables)"


def test_rows_survive_a_process_border() -> None:
    copy = pickle.loads(pickle.dumps(Rows(**fields())))  # noqa: S301 - our own bytes
    assert copy.ids.tolist() == ["secret-0", "secret-1", "secret-2"]
    assert len(copy) == 3


@pytest.mark.parametrize("index", [np.array([True, False, True]), np.array([0, 2]), slice(None, None, 2)])
def test_select_takes_every_array_along(index: npt.NDArray[np.int64] | slice) -> None:
    chosen = Rows(**fields(), persons=np.array(["p", "q", "r"])).select(index)
    assert chosen.cells.tolist() == [[0, 1], [4, 5]]
    assert chosen.outcome.tolist() == [0, 0]
    assert chosen.ids.tolist() == ["secret-0", "secret-2"]
    assert chosen.persons.tolist() == ["p", "r"]


def test_select_repeats_and_reorders_as_asked() -> None:
    assert Rows(**fields()).select(np.array([2, 0, 2])).ids.tolist() == ["secret-2", "secret-0", "secret-2"]


def test_no_row_is_late_if_nothing_is_said_of_it() -> None:
    assert Rows(**fields()).late.tolist() == [False] * 3


def test_concatenate_undoes_a_cut() -> None:
    late = np.array([True, False, True, True, False])
    rows = Rows(**fields(5), persons=np.array(list("ppqrs")), late=late)
    joined = Rows.concatenate([rows.select(slice(0, 2)), rows.select(slice(2, 2)), rows.select(slice(2, 5))])
    for name in ("cells", "outcome", "ids", "persons", "late"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(rows, name))
    assert joined.cells.dtype == np.int32
    assert joined.outcome.dtype == np.int8


def test_concatenate_refuses_nothing_and_mixtures() -> None:
    narrow = Rows(**{**fields(), "cells": np.zeros((3, 1), dtype=np.int32)})
    with pytest.raises(DataError, match=r"\[\(1, 0\), \(2, 0\)\] tables and groups cannot be joined"):
        Rows.concatenate([Rows(**fields()), narrow])
    with pytest.raises(DataError, match="one part or more"):
        Rows.concatenate([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cells": np.zeros(3, dtype=np.int32)}, r"cells of rows has shape \(3,\): it must be \[3, tables\]"),
        ({"cells": np.zeros((2, 2), dtype=np.int32)}, r"cells of rows has shape \(2, 2\)"),
        (
            {"cells": np.zeros((3, 2), dtype=np.int64)},
            "cells of rows has type int64: it must be uint8 or uint16 or uint32 or int32",
        ),
        ({"cells": np.zeros((3, 2))}, "cells of rows has type float64"),
        ({"cells": np.full((3, 2), -1, dtype=np.int32)}, "6 cells of rows are negative"),
        ({"outcome": np.zeros(2, dtype=np.int8)}, r"outcome of rows has shape \(2,\)"),
        ({"outcome": np.zeros(3, dtype=np.bool_)}, "outcome of rows has type bool"),
        ({"outcome": np.array([0, 2, -1], dtype=np.int8)}, "2 outcomes of rows are outside"),
        ({"ids": np.arange(3)}, "ids of rows has type int64"),
        ({"late": np.zeros(2, dtype=np.bool_)}, r"late of rows has shape \(2,\)"),
        ({"late": np.zeros(3, dtype=np.int8)}, "late of rows has type int8: it must be bool"),
        ({"persons": np.array(["p", "q"])}, r"persons of rows has shape \(2,\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Rows(**{**fields(), **change})
