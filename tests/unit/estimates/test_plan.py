"""Bands over the scores, and what a record adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedscore.errors import DataError
from fedscore.estimates import Bands, EvaluationPlan, Measured, PointsToOdds, ScoreGrid, auc
from fedscore.estimates.strategy import running_counts
from tests.customers import PLAN, POINTS, draw, evaluations, reference_of, released


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_bands_hold_equal_shares_of_the_rows(noise: float) -> None:
    generator = np.random.default_rng(1)
    customers = draw(generator, 40_000, 0.1)
    reference = reference_of(customers, noise, generator, replace(PLAN, cut_offs=()))
    held = np.bincount(reference.band_of(customers.scores), minlength=reference.bands) / 40_000
    sixteenths = np.add.reduceat(held, np.arange(0, reference.bands, 16))
    assert np.all(np.abs(sixteenths - 1 / 16) < 0.01)
    assert reference.shares.sum() == pytest.approx(1.0)
    assert np.all(reference.shares > 0)


def test_cut_offs_are_edges_and_scores_on_an_edge_belong_to_the_safer_band() -> None:
    generator = np.random.default_rng(2)
    reference = reference_of(draw(generator, 5_000, 0.2), 5.0, generator)
    assert set(PLAN.cut_offs) <= set(reference.edges.tolist())
    assert np.all(np.diff(reference.edges) > 0)
    on_edges = reference.band_of(reference.edges)
    assert on_edges.tolist() == list(range(1, reference.bands))
    assert reference.band_of(np.nextafter(reference.edges, -np.inf)).tolist() == list(
        range(reference.bands - 1)
    )


def test_probabilities_of_a_band_are_those_between_its_ends() -> None:
    generator = np.random.default_rng(3)
    customers = draw(generator, 5_000, 0.2)
    reference = reference_of(customers, 5.0, generator)
    band = reference.band_of(customers.scores)
    assert np.all(customers.probability <= reference.greatest_probabilities[band] + 1e-12)
    assert np.all(customers.probability >= reference.least_probabilities[band] - 1e-12)
    assert np.all(reference.probabilities <= reference.greatest_probabilities)
    assert np.all(reference.probabilities >= reference.least_probabilities)


def test_bad_rows_fill_the_first_half_of_the_answers_and_good_rows_the_second() -> None:
    generator = np.random.default_rng(4)
    customers = draw(generator, 2_000, 0.3)
    reference = reference_of(customers, 1.0, generator)
    cells = reference.cell_of(customers.scores, customers.outcome)
    rows = reference.strategy.patterns[cells]
    half = reference.bands + 2
    assert not rows[customers.outcome == 1, half:].any()
    assert not rows[customers.outcome == 0, :half].any()
    assert np.all(rows[customers.outcome == 1, half - 1] == 1.0)
    assert np.all(np.abs(rows[:, [half - 2, -2]]) <= 1.0)


@pytest.mark.parametrize("cut_offs", [(), (540.0,), (510.25, 540.0, 580.0, 620.0)])
def test_no_bands_cost_more_than_was_planned(cut_offs: tuple[float, ...]) -> None:
    plan = replace(PLAN, cut_offs=cut_offs)
    generator = np.random.default_rng(6)
    for noise in (0.0, 5.0, 1000.0):
        bound = reference_of(draw(generator, 3_000, 0.1), noise, generator, plan).strategy.bound
        assert bound.sensitivity_squared <= plan.outcomes.sensitivity_squared
        assert bound.largest <= plan.outcomes.largest
        assert bound.dimension_limit <= plan.outcomes.dimension_limit
    assert plan.distribution == plan.grid.strategy.bound
    assert float(plan.outcomes.sensitivity_squared) < 4.85


def test_an_empty_first_sum_gives_bands_of_equal_width() -> None:
    strategy = PLAN.grid.strategy
    empty = replace(PLAN, cut_offs=()).reference(
        Measured(strategy=strategy, values=np.zeros(strategy.dimension), deviation=10.0)
    )
    assert np.allclose(np.diff(empty.edges), 700 / 256, atol=2e-3)


def test_common_scores_of_a_coarse_card_have_bands_of_their_own() -> None:
    generator = np.random.default_rng(7)
    customers = draw(generator, 9_000, 0.2, rounding=20.0)
    reference = reference_of(customers, 5.0, generator)
    scores, counts = np.unique(customers.scores, return_counts=True)
    common = scores[counts > 90]
    assert len(common) >= 8
    assert len(np.unique(reference.band_of(common))) == len(common)


def test_scores_beyond_the_grid_belong_to_its_ends() -> None:
    grid = ScoreGrid(low=0.0, high=10.0, cells=5)
    assert grid.cell_of([-3.0, 0.0, 1.999, 2.0, 10.0, 99.0]).tolist() == [0, 0, 0, 1, 4, 4]


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(DataError, match="must exceed"):
        ScoreGrid(low=1.0, high=1.0, cells=4)
    with pytest.raises(DataError, match="at least one"):
        ScoreGrid(low=0.0, high=1.0, cells=0)
    with pytest.raises(DataError, match="outside"):
        EvaluationPlan(low=0.0, high=1.0, points=POINTS, cut_offs=(1.0,))
    with pytest.raises(DataError, match="at least 2"):
        EvaluationPlan(low=0.0, high=1.0, points=POINTS, bands=1)
    with pytest.raises(DataError, match="positive factor"):
        PointsToOdds(offset=0.0, factor=-1.0)
    with pytest.raises(DataError, match="missing or infinite"):
        PLAN.grid.cell_of([1.0, np.nan])
    with pytest.raises(DataError, match="512 were asked"):
        PLAN.reference(Measured(strategy=running_counts(4), values=np.zeros(4), deviation=1.0))


def test_a_sum_over_other_bands_is_refused() -> None:
    generator = np.random.default_rng(8)
    reference = reference_of(draw(generator, 1_000, 0.2), 1.0, generator)
    with pytest.raises(DataError, match="two are needed"):
        Bands(
            reference=reference,
            measured=Measured(strategy=running_counts(4), values=np.zeros(4), deviation=1.0),
        )


def test_a_reference_far_from_the_rows_costs_noise_but_no_truth() -> None:
    """The linear answers are about a public guess; the AUC of the bands does not depend on it."""
    generator = np.random.default_rng(9)
    customers = draw(generator, 9_000, 0.2)
    right = next(evaluations(customers, 0.0, generator, count=1))
    wrong_reference = replace(right.reference, probabilities=right.reference.probabilities[::-1].copy())
    cells = wrong_reference.cell_of(customers.scores, customers.outcome)
    wrong = Bands(
        reference=wrong_reference, measured=released(wrong_reference.strategy, cells, 0.0, generator)
    )
    assert auc(wrong).value == pytest.approx(auc(right).value, abs=1e-9)
