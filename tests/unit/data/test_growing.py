"""An array that grows holds what joining its parts would."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.data.growing import GrowingArray


@given(st.lists(st.integers(0, 3000), max_size=6))
def test_parts_stand_behind_each_other(sizes: list[int]) -> None:
    parts = [np.arange(size, dtype=np.uint32) + place for place, size in enumerate(sizes)]
    grown = GrowingArray(np.dtype(np.uint32))
    for part in parts:
        grown.append(part)
    np.testing.assert_array_equal(grown.take(), np.concatenate([np.empty(0, np.uint32), *parts]))
    assert grown.take().shape == (0,)


@pytest.mark.parametrize("shape", [(), (3,), (0,)])
def test_entries_keep_their_shape(shape: tuple[int, ...]) -> None:
    grown = GrowingArray(np.dtype(np.uint8), shape)
    part: npt.NDArray[np.uint8] = np.ones((2000, *shape), dtype=np.uint8)
    grown.append(part)
    grown.append(part)
    taken = grown.take()
    assert (taken.shape, taken.dtype) == ((4000, *shape), np.dtype(np.uint8))
    assert taken.all()


def test_what_was_taken_is_not_touched_again() -> None:
    grown = GrowingArray(np.dtype(np.int64))
    grown.append(np.array([1, 2]))
    taken = grown.take()
    grown.append(np.array([3]))
    assert taken.tolist() == [1, 2]
    assert grown.take().tolist() == [3]
