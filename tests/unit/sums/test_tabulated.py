"""Contributions that depend on a cell alone are the same integers as those of single records."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import AccountingError
from fedscore.sums import DenseContributions, Patterns, TabulatedContributions

PATTERNS = np.array([[1.0, 0.5, 0.25], [0.0, 1.0, -0.5], [0.1, -0.9, 2.0]])


def total(patterns: Patterns, cells: list[int], *, scale: int = 1000, limit: int = 10**8) -> list[int]:
    contributions = TabulatedContributions(patterns=patterns, cells=np.array(cells, dtype=np.int64))
    assert len(contributions) == len(cells)
    dimension = patterns.values.shape[1]
    found = contributions.lattice_total(scale=scale, limit_squared=limit, dimension=dimension)
    return [int(value) for value in found]


@given(
    seed=st.integers(0, 2**32 - 1),
    cells=st.lists(st.integers(0, 5), max_size=40),
    scale=st.sampled_from([1, 7, 2**20, 2**40]),
    share=st.floats(0.01, 2.0),
)
def test_the_total_is_that_of_single_records_integer_for_integer(
    seed: int, cells: list[int], scale: int, share: float
) -> None:
    values = np.random.default_rng(seed).normal(size=(6, 9))
    limit = max(int(share * scale**2 * float(np.square(values).sum(axis=1).max())), 1)
    dense = DenseContributions(values=values[cells].reshape(-1, 9))
    expected = dense.lattice_total(scale=scale, limit_squared=limit, dimension=9)
    assert total(Patterns(values), cells, scale=scale, limit=limit) == expected.tolist()


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1e-3, 1.0, 1e6]),
    scale=st.sampled_from([1, 1000, 2**30]),
    limit=st.integers(1, 2**62),
)
def test_no_record_adds_more_than_the_limit(seed: int, size: float, scale: int, limit: int) -> None:
    patterns = Patterns(size * np.random.default_rng(seed).normal(size=(4, 11)))
    for cell in range(4):
        added = total(patterns, [cell], scale=scale, limit=limit)
        assert sum(step**2 for step in added) <= limit
    for row in patterns.on_lattice(scale=scale, limit_squared=limit).tolist():
        assert sum(step**2 for step in row) <= limit


def test_nobody_adds_nothing() -> None:
    assert total(Patterns(PATTERNS), []) == [0, 0, 0]


def test_a_matrix_may_be_asked_for_on_several_lattices() -> None:
    patterns = Patterns(PATTERNS)
    assert total(patterns, [0, 0, 1]) == [2000, 2000, 0]
    assert total(patterns, [0, 0, 1], scale=4) == [8, 8, 0]
    assert total(patterns, [0], limit=500_000) == [554, 392, 196]
    assert total(patterns, [0, 0, 1]) == [2000, 2000, 0]


@pytest.mark.parametrize("cell", [-1, 3])
def test_a_cell_without_a_row_is_refused(cell: int) -> None:
    with pytest.raises(AccountingError, match="has no row in the matrix: nothing was sent"):
        total(Patterns(PATTERNS), [0, cell])


def test_a_matrix_of_another_length_is_refused() -> None:
    contributions = TabulatedContributions(patterns=Patterns(PATTERNS), cells=np.zeros(2, dtype=np.int64))
    with pytest.raises(AccountingError, match="patterns of length 3 for a sum of 4"):
        contributions.lattice_total(scale=1, limit_squared=10, dimension=4)


def test_a_matrix_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AccountingError, match="not finite"):
        total(Patterns(np.array([[np.nan, 1.0]])), [0])
