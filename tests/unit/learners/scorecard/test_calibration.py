"""The line through noisy counts: an oracle without noise, and what noise may and may not do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.estimates import Measured
from fedscore.learners.scorecard.calibration import (
    LARGEST_SHIFT,
    LARGEST_SLOPE,
    LEAST_SLOPE,
    PRIOR_SHIFT,
    PRIOR_SLOPE,
    Calibration,
    calibrate,
    calibrated,
)
from fedscore.learners.scorecard.scores import GRID_CELLS, ScoreCounts, ScoreSum
from fedscore.sums import Released
from tests.cards import plain_card, table

Floats = npt.NDArray[np.float64]

CARD = plain_card(table("one", [-30.0, 0.0, 25.5, 60.01]), table("two", [-14.0, 3.33, 41.0]))


def counts_of(
    bad: Floats, good: Floats, deviation: float = 0.0, seed: int = 0, card: Card = CARD
) -> ScoreCounts:
    query = ScoreSum(card)
    strategy = ScoreCounts.of(
        query, Released(values=np.zeros(query.dimension), deviation=0.0)
    ).measured.strategy
    values = np.concatenate([bad, good]) @ strategy.patterns
    noise = deviation * np.random.default_rng(seed).standard_normal(strategy.dimension)
    return ScoreCounts(
        edges=query.grid.edges,
        measured=Measured(strategy=strategy, values=values + noise, deviation=deviation),
    )


def drawn(shift: float, slope: float, rows: float = 20_000.0, seed: int = 1) -> tuple[Floats, Floats]:
    """Bad and good records whose log-odds are shift + slope times the card's, around a bell of scores."""
    middles = ScoreSum(CARD).grid.edges[:-1] + np.diff(ScoreSum(CARD).grid.edges) / 2
    log_odds = (CARD.scale.offset - middles) / CARD.scale.factor
    bell = np.exp(-(((middles - middles.mean()) / 25.0) ** 2))
    generator = np.random.default_rng(seed)
    numbers = generator.poisson(rows * bell / bell.sum())
    bad = generator.binomial(numbers, 1 / (1 + np.exp(-(shift + slope * log_odds))))
    return bad.astype(np.float64), (numbers - bad).astype(np.float64)


def penalised_maximum_likelihood(bad: Floats, good: Floats) -> tuple[float, float]:
    """Newton's method on the logistic likelihood with the prior of the module, until it stands still."""
    middles = ScoreSum(CARD).grid.edges[:-1] + np.diff(ScoreSum(CARD).grid.edges) / 2
    x = (CARD.scale.offset - middles) / CARD.scale.factor
    numbers = bad + good
    mean = float(numbers @ x / numbers.sum())
    design = np.stack([np.ones_like(x), x - mean])
    prior, start = np.diag([PRIOR_SHIFT**-2, PRIOR_SLOPE**-2]), np.array([mean, 1.0])
    line = start.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-(line @ design)))
        gradient = design @ (bad - numbers * p) - prior @ (line - start)
        line = line + np.linalg.solve((design * numbers * p * (1 - p)) @ design.T + prior, gradient)
    return float(line[0] - line[1] * mean), float(line[1])


@pytest.mark.parametrize(("shift", "slope"), [(0.0, 1.0), (0.3, 0.8), (-0.4, 1.3), (0.5, 0.65), (0.0, 1.45)])
def test_without_noise_it_is_the_logistic_line_with_its_prior(shift: float, slope: float) -> None:
    bad, good = drawn(shift, slope)
    found = calibrate(CARD, counts_of(bad, good))
    assert (found.shift, found.slope) == pytest.approx(penalised_maximum_likelihood(bad, good), abs=2e-4)
    assert (found.shift, found.slope) == pytest.approx((shift, slope), abs=0.15)


def test_of_few_records_the_prior_keeps_the_card() -> None:
    bad, good = drawn(0.8, 0.6, rows=30.0)
    found = calibrate(CARD, counts_of(bad, good))
    assert abs(found.slope - 1.0) < 0.2
    assert abs(found.shift) < 0.4


@pytest.mark.parametrize("deviation", [1e5, 1e7, 1e9])
def test_under_pure_noise_the_card_stays_nearly_as_it_is(deviation: float) -> None:
    bad, good = drawn(0.8, 0.6)
    found = [calibrate(CARD, counts_of(bad, good, deviation, seed)) for seed in range(40)]
    slopes, shifts = np.array([one.slope for one in found]), np.array([one.shift for one in found])
    assert np.sqrt(np.mean((slopes - 1.0) ** 2)) < PRIOR_SLOPE / 4
    assert np.sqrt(np.mean(shifts**2)) < PRIOR_SHIFT / 3
    assert np.abs(slopes - 1.0).max() < PRIOR_SLOPE


@pytest.mark.parametrize("deviation", [30.0, 300.0, 3000.0])
def test_noise_moves_a_card_that_is_right_by_no_more_than_the_prior(deviation: float) -> None:
    bad, good = drawn(0.0, 1.0)
    slopes = np.array([calibrate(CARD, counts_of(bad, good, deviation, seed)).slope for seed in range(60)])
    assert np.std(slopes) < 0.6 * PRIOR_SLOPE
    assert abs(np.mean(slopes) - 1.0) < 4 * np.std(slopes) / np.sqrt(60) + 0.02


def test_the_noisier_the_counts_the_closer_the_card_stays() -> None:
    bad, good = drawn(0.5, 0.7)

    def off(deviation: float) -> float:
        return float(
            np.mean(
                [
                    abs(calibrate(CARD, counts_of(bad, good, deviation, seed)).slope - 0.7)
                    for seed in range(20)
                ]
            )
        )

    exact, noisy, hidden = (off(deviation) for deviation in (0.0, 100.0, 1e5))
    assert exact < 0.05 < noisy + 0.05
    assert exact < noisy < hidden
    assert hidden == pytest.approx(0.3, abs=0.1)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.sampled_from([0.0, 1.0, 100.0, 1e5]),
    deviation=st.sampled_from([0.0, 1.0, 40.0, 1e4, 1e11]),
    shift=st.floats(-3, 3),
    slope=st.floats(-2, 3),
)
def test_no_slope_flips_and_nothing_is_not_a_number(
    seed: int, rows: float, deviation: float, shift: float, slope: float
) -> None:
    bad, good = drawn(shift, slope, rows=rows, seed=seed % 1000)
    found = calibrate(CARD, counts_of(bad, good, deviation, seed))
    assert LEAST_SLOPE <= found.slope <= LARGEST_SLOPE
    # The line is within the largest shift somewhere between the least and the greatest score.
    low, high = CARD.score_range
    ends = [(CARD.scale.offset - score) / CARD.scale.factor for score in (low, high)]
    moved = [found.shift + found.slope * end - end for end in ends]
    assert np.isfinite(moved).all()
    assert min(moved) <= LARGEST_SHIFT + 1e-6
    assert max(moved) >= -LARGEST_SHIFT - 1e-6


@pytest.mark.parametrize("place", [0, 100, GRID_CELLS - 1])
def test_where_all_scores_are_alike_only_the_shift_is_learnt(place: int) -> None:
    bad, good = np.zeros(GRID_CELLS), np.zeros(GRID_CELLS)
    bad[place], good[place] = 3000.0, 7000.0
    found = calibrate(CARD, counts_of(bad, good))
    assert found.slope == pytest.approx(1.0, abs=1e-3)
    counts = counts_of(bad, good)
    log_odds = (CARD.scale.offset - counts.middles[place]) / CARD.scale.factor
    wanted = np.log(3 / 7) - log_odds
    expected = np.clip(wanted, -LARGEST_SHIFT, LARGEST_SHIFT)
    assert found.shift + (found.slope - 1.0) * log_odds == pytest.approx(expected, abs=0.05)


def test_nobody_at_all_changes_nothing() -> None:
    assert calibrate(CARD, counts_of(np.zeros(GRID_CELLS), np.zeros(GRID_CELLS))) == Calibration(
        shift=0.0, slope=1.0
    )


# The line in the points


@settings(max_examples=100)
@given(shift=st.floats(-1.5, 1.5), slope=st.floats(LEAST_SLOPE, LARGEST_SLOPE))
def test_calibrated_points_give_the_calibrated_probability_and_add_up_exactly(
    shift: float, slope: float
) -> None:
    counts = counts_of(np.ones(GRID_CELLS), np.ones(GRID_CELLS))
    card, moved = calibrated(CARD, counts, Calibration(shift=shift, slope=slope))
    cells = np.array([[i, j] for i in range(4) for j in range(3)])
    before = (CARD.scale.offset - CARD.score(cells)) / CARD.scale.factor
    after = (card.scale.offset - card.score(cells)) / card.scale.factor
    # Three summands, each rounded to a hundredth of a point.
    assert after == pytest.approx(shift + slope * before, abs=0.0151 / CARD.scale.factor)
    summed = [
        round(card.intercept_points * 100)
        + round(card.characteristics[0].bins[i].points * 100)
        + round(card.characteristics[1].bins[j].points * 100)
        for i, j in cells.tolist()
    ]
    assert card.hundredths(cells).tolist() == summed
    assert moved.edges[[0, -1]] == pytest.approx(card.score_range, abs=0.02)
    assert Card.model_validate_json(card.to_json()) == card


def test_standard_errors_are_calibrated_too() -> None:
    bins = [one.model_copy(update={"standard_error": 2.5}) for one in CARD.characteristics[0].bins[:3]]
    first = CARD.characteristics[0].model_copy(update={"bins": (*bins, CARD.characteristics[0].bins[3])})
    card = Card.model_validate(
        CARD.model_copy(update={"characteristics": (first, CARD.characteristics[1])}).model_dump()
    )
    counts = counts_of(np.ones(GRID_CELLS), np.ones(GRID_CELLS), card=card)
    after, _ = calibrated(card, counts, Calibration(shift=0.4, slope=1.2))
    assert [one.standard_error for one in after.characteristics[0].bins] == [3.0, 3.0, 3.0, None]
