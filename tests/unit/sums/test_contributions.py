from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedscore.errors import AccountingError
from fedscore.sums import CellContributions, DenseContributions

SCALE = 1000


def dense_total(values: np.ndarray, limit_squared: int, scale: int = SCALE) -> np.ndarray:
    return DenseContributions(values=values).lattice_total(
        scale=scale, limit_squared=limit_squared, dimension=values.shape[1]
    )


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.just(1), st.integers(1, 12)),
        elements=st.floats(-1e6, 1e6, allow_nan=False),
    ),
    st.integers(0, 10**7),
)
def test_a_single_record_never_exceeds_the_limit_whatever_it_claims(
    values: np.ndarray, limit_squared: int
) -> None:
    total = dense_total(values, limit_squared)
    assert sum(int(step) ** 2 for step in total) <= limit_squared


@given(st.floats(-1e6, 1e6), st.integers(1, 20), st.integers(0, 10**7))
def test_a_single_record_in_cells_never_exceeds_the_limit(
    value: float, tables: int, limit_squared: int
) -> None:
    total = CellContributions(
        cells=np.arange(tables, dtype=np.int64)[None, :], values=np.array([value])
    ).lattice_total(scale=SCALE, limit_squared=limit_squared, dimension=tables)
    assert sum(int(step) ** 2 for step in total) <= limit_squared


def test_the_limit_is_exact_where_floats_cannot_see_the_difference() -> None:
    # Σk² = 2·(2³⁰)², one above the limit: a float64 holds both as the same number only above 2⁵³.
    side = 2**30
    values = np.array([[float(side), float(side)]])
    within = dense_total(values, 2 * side**2, scale=1)
    assert within.tolist() == [side, side]
    beyond = dense_total(values, 2 * side**2 - 1, scale=1)
    assert sum(int(step) ** 2 for step in beyond) <= 2 * side**2 - 1


def test_truncation_is_toward_zero_for_each_record_on_its_own() -> None:
    values = np.array([[0.0019], [0.0019], [-0.0019], [-0.0019], [-0.0019]])
    assert dense_total(values, 10**9).tolist() == [2 - 3]


def test_records_within_the_limit_are_summed_unchanged() -> None:
    generator = np.random.default_rng(5)
    values = generator.uniform(-0.1, 0.1, size=(500, 7))
    limit = math.floor(SCALE**2 * 0.07)
    expected = np.trunc(values * SCALE).astype(np.int64).sum(axis=0)
    assert dense_total(values, limit).tolist() == expected.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused_before_anything_is_sent(bad: float) -> None:
    with pytest.raises(AccountingError, match="nothing was sent"):
        dense_total(np.array([[bad, 0.0]]), 10**6)
    with pytest.raises(AccountingError, match="nothing was sent"):
        CellContributions(cells=np.array([[0]]), values=np.array([bad])).lattice_total(
            scale=SCALE, limit_squared=10**6, dimension=1
        )


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(AccountingError, match="length 2 for a sum of 3"):
        DenseContributions(values=np.zeros((4, 2))).lattice_total(scale=1, limit_squared=10, dimension=3)
