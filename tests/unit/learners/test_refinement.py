"""The last steps toward the card: bounded moves, and points that are monotone where the contract asks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from fedscore.contract import Contract, Recipe
from fedscore.data import Rows
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence, weigh
from fedscore.learners.scorecard.monotone import make_monotone
from fedscore.learners.scorecard.queries import Histogram
from fedscore.learners.scorecard.refinement import LARGEST_MOVE, Refinement
from fedscore.learners.scorecard.regression import Preconditioner
from fedscore.learners.scorecard.settings import Settings
from simulations.federation import train_federation


@pytest.fixture(scope="session")
def tiny_contract(tiny_contract: Contract) -> Contract:
    return tiny_contract.with_recipe(Recipe.PLAIN)


@pytest.fixture(scope="module")
def axes(tiny_contract: Contract) -> Axes:
    return Axes.of(tiny_contract)


@pytest.fixture(scope="module")
def evidence(axes: Axes, make_rows: Callable[[int, int], Rows]) -> Evidence:
    counts = (
        Histogram(axes)
        .contributions(make_rows(2000, 1))
        .lattice_total(scale=1, limit_squared=len(axes), dimension=2 * axes.cells)
        .astype(np.float64)
    )
    return weigh(axes, counts[: axes.cells], counts[axes.cells :], 0.0, Settings())


@given(size=st.sampled_from([1.0, 1e3, 1e6, 1e12]), seed=st.integers(0, 2**32 - 1))
def test_no_residual_however_large_moves_a_cell_far(
    axes: Axes, evidence: Evidence, size: float, seed: int
) -> None:
    columns = len(axes)
    preconditioner = Preconditioner(
        inverse=np.eye(columns + 1), curvature=0.1, correlations=np.eye(columns), largest_eigenvalue=1.0
    )
    residuals = size * np.random.default_rng(seed).normal(size=int(evidence.bin_of_cell.max()) + 1)
    shift, moves = Refinement(axes, evidence, preconditioner, Settings()).step(residuals, 0.0)
    assert np.isfinite(shift)
    own = np.delete(moves, axes.absent_cells[axes.absent_cells >= 0])
    assert np.all(np.abs(own) <= LARGEST_MOVE)
    if size >= 1e6:
        assert np.abs(own).max() == LARGEST_MOVE


@given(seed=st.integers(0, 2**32 - 1))
def test_monotone_points_are_those_of_isotonic_regression(axes: Axes, evidence: Evidence, seed: int) -> None:
    generator = np.random.default_rng(seed)
    per_bin = generator.normal(size=int(evidence.bin_of_cell.max()) + 1)
    log_odds = per_bin[evidence.bin_of_cell]
    result = make_monotone(axes, log_odds, evidence)
    table, cells = next(iter(axes.slices()))
    assert table.monotone == "increasing"
    ordered = slice(cells.start, cells.start + table.ordered)
    weights = np.maximum(evidence.bad + evidence.good, 1.0)[ordered]
    expected = IsotonicRegression().fit_transform(
        np.arange(table.ordered), log_odds[ordered], sample_weight=weights
    )
    np.testing.assert_allclose(result[ordered], expected, atol=1e-9)
    untouched = np.ones(axes.cells, dtype=bool)
    untouched[ordered] = False
    assert np.array_equal(result[untouched], log_odds[untouched])


def test_the_card_is_monotone_where_few_rows_and_noise_bend_its_bins(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    contract = tiny_contract.with_privacy(epsilon=30.0)
    for seed in range(8):
        rows = {party.name: make_rows(60, number) for number, party in enumerate(contract.parties)}
        card = train_federation(contract, rows, seed=seed).card
        assert np.all(np.diff(card.characteristics[0].hundredths_of_cells()[:6]) <= 0)
