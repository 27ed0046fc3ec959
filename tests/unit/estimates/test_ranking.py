"""Rankings without noise, at their limits, and where nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedscore import metrics
from fedscore.errors import DataError
from fedscore.estimates import Bands, Estimate, auc, gini, ks, recall_at
from tests.customers import PLAN, Customers, draw, evaluations, reference_of, released


def bands_of(customers: Customers, noise: float = 0.0) -> Bands:
    return next(evaluations(customers, noise, np.random.default_rng(1), count=1))


def holds(estimate: Estimate, exact: float) -> bool:
    return estimate.low - 1e-9 <= exact <= estimate.high + 1e-9


def rows(scores: list[float], outcome: list[int]) -> Customers:
    return Customers(scores=np.repeat(scores, 50), outcome=np.repeat(outcome, 50))


def test_without_noise_only_bands_leave_something_open() -> None:
    customers = draw(np.random.default_rng(2), 20_000, 0.2)
    bands = bands_of(customers)
    for estimate, exact, reach in (
        (auc(bands), metrics.auc(customers.outcome, -customers.scores), 0.002),
        (ks(bands), metrics.ks(customers.outcome, -customers.scores), 0.008),
        (recall_at(bands, 0.1), metrics.recall_at(customers.outcome, -customers.scores, 0.1), 0.008),
    ):
        assert holds(estimate, exact)
        assert estimate.noise_error == 0.0
        assert estimate.high - estimate.low < 2 * reach
        assert estimate.value == pytest.approx(exact, abs=reach)


def test_a_perfect_score_ranks_perfectly() -> None:
    bands = bands_of(rows([450.0, 500.0, 600.0, 650.0], [1, 1, 0, 0]))
    assert auc(bands).value == pytest.approx(1.0)
    assert gini(bands).value == pytest.approx(1.0)
    assert ks(bands).value == pytest.approx(1.0)
    assert recall_at(bands, 0.5).value == pytest.approx(1.0)
    assert recall_at(bands, 0.25).value == pytest.approx(0.5, abs=0.01)


def test_a_score_that_ranks_the_wrong_way_round_gets_no_credit() -> None:
    bands = bands_of(rows([450.0, 500.0, 600.0, 650.0], [0, 0, 1, 1]))
    assert auc(bands).value == pytest.approx(0.0)
    assert gini(bands).low == pytest.approx(-1.0)
    assert ks(bands).value == pytest.approx(0.0, abs=1e-9)


def test_ties_within_a_band_are_all_that_a_constant_score_leaves() -> None:
    customers = Customers(scores=np.full(1000, 555.5), outcome=np.arange(1000) % 4 == 0)
    bands = bands_of(customers)
    assert auc(bands).value == pytest.approx(0.5)
    assert (auc(bands).low, auc(bands).high) == pytest.approx((0.0, 1.0))
    assert holds(ks(bands), 0.0)
    for rate in (0.05, 0.3, 1.0):
        assert recall_at(bands, rate).value == pytest.approx(rate, abs=1e-6)


def test_the_worst_order_within_bands_stays_inside() -> None:
    """All bad rows at the riskier end of their band, then all at the safer end."""
    generator = np.random.default_rng(3)
    customers = draw(generator, 9_000, 0.2)
    reference = reference_of(customers, 0.0, generator)
    band = reference.band_of(customers.scores)
    ends = np.concatenate([[PLAN.low], reference.edges, [PLAN.high]])
    strategy = reference.strategy
    bands = Bands(
        reference=reference,
        measured=released(strategy, reference.cell_of(customers.scores, customers.outcome), 0.0, generator),
    )
    for bad_at, good_at in ((0.01, 0.99), (0.99, 0.01)):
        place = np.where(customers.outcome == 1, bad_at, good_at)
        scores = ends[band] + place * (ends[band + 1] - ends[band])
        assert np.array_equal(reference.band_of(scores), band)
        ranking, distance = metrics.auc(customers.outcome, -scores), metrics.ks(customers.outcome, -scores)
        assert holds(auc(bands), ranking)
        assert holds(ks(bands), distance)
        extreme = auc(bands).high if bad_at < good_at else auc(bands).low
        assert ranking == pytest.approx(extreme, abs=1e-6)


@pytest.mark.parametrize("bad_rows", [0, 3, 20])
def test_hardly_any_bad_rows_are_not_measurable(bad_rows: int) -> None:
    customers = draw(np.random.default_rng(4), 3_000, 0.2)
    customers = replace(customers, outcome=(np.arange(3_000) < bad_rows).astype(np.int64))
    bands = bands_of(customers, noise=5.0)
    for estimate in (auc(bands), ks(bands), recall_at(bands, 0.1)):
        assert not estimate.measurable
        assert (estimate.low, estimate.high, estimate.noise_error) == (0.0, 1.0, None)
    assert (gini(bands).low, gini(bands).high) == (-1.0, 1.0)


def test_alert_rates_are_shares() -> None:
    bands = bands_of(draw(np.random.default_rng(5), 1_000, 0.2))
    assert recall_at(bands, 1.0).value == pytest.approx(1.0)
    for rate in (0.0, -0.1, 1.01):
        with pytest.raises(DataError, match="alert rate"):
            recall_at(bands, rate)
