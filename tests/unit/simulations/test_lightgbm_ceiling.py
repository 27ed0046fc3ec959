from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from fedscore.contract import load_contract
from fedscore.errors import DataError, MissingExtra
from fedscore.metrics import auc
from simulations.lightgbm_ceiling import ceiling_probabilities, raw_values, require_lightgbm
from simulations.raw import places_of, whole_table


def test_raw_values_follow_the_ids_and_leave_out_identifier_and_outcome(small_experiment: Path) -> None:
    folder = small_experiment.parent
    contract = load_contract(folder / "small.toml")
    values = raw_values(folder / "people.csv", contract, np.array(["7", "0", "7"], dtype=object))
    lines = [line.split(",") for line in (folder / "people.csv").read_text().splitlines()[1:]]
    assert values.shape == (3, 4)
    for row, number in zip(values, (7, 0, 7), strict=True):
        assert row[:3].tolist() == [float(field) for field in lines[number][2:5]]
    assert values[0, 3] == int(lines[7][5].removeprefix("shop ")) - 1


def test_a_parquet_file_gives_the_same_and_missing_values_are_nan(
    small_experiment: Path, tmp_path: Path
) -> None:
    contract = load_contract(small_experiment.parent / "small.toml")
    (tmp_path / "x.csv").write_text("id,y,late,shop\n1,0,,a\n2,1,3,\n3,1,4,b\n")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(tmp_path / "x.csv"), tmp_path / "x.parquet")
    ids = np.array(["1", "2", "3"], dtype=object)
    from_csv, from_parquet = (
        raw_values(tmp_path / f"x.{kind}", contract, ids) for kind in ("csv", "parquet")
    )
    assert np.array_equal(from_csv, from_parquet, equal_nan=True)
    assert np.isnan(from_csv[0, 0])


def test_numbered_rows_have_the_values_of_their_place(small_experiment: Path, tmp_path: Path) -> None:
    contract = load_contract(small_experiment.parent / "small.toml")
    (tmp_path / "x.csv").write_text("y,late,shop\n0,7,a\n1,3,b\n1,4,b\n")
    values = raw_values(tmp_path / "x.csv", contract, np.array(["3", "1"], dtype=object), number_rows=True)
    assert values.tolist() == [[4, 1], [7, 0]]


def test_rows_that_the_file_does_not_have_are_counted_not_shown(small_experiment: Path) -> None:
    ids = np.array(["1", "no such id"], dtype=object)
    table = whole_table(small_experiment.parent / "people.csv", "id")
    with pytest.raises(DataError, match="1 of 2 rows are not in") as caught:
        places_of(ids, table, "id")
    assert "no such id" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        whole_table(tmp_path / "x.parquet", "id")
    (tmp_path / "x.csv").write_text("key,y\n1,0\n")
    with pytest.raises(DataError, match="has no column id"):
        whole_table(tmp_path / "x.csv", "id")


def test_the_ceiling_finds_signal_and_repeats_itself() -> None:
    pytest.importorskip("lightgbm", reason="the extra `simulations` is not installed")
    generator = np.random.default_rng(0)
    values = generator.random((1500, 3))
    outcome = (generator.random(1500) < values[:, 0]).astype(np.int8)
    once, again = (
        ceiling_probabilities(values[:1000], outcome[:1000], values[1000:], seed=1) for _ in range(2)
    )
    assert np.array_equal(once, again)
    assert auc(outcome[1000:], once) > 0.7


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedscore\[simulations\]'"):
        require_lightgbm()
