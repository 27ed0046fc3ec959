"""Calibration and grades without noise, at their limits, and where nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedscore import metrics
from fedscore.errors import DataError
from fedscore.estimates import Bands, brier, calibration_curve, calibration_error, grades
from tests.customers import PLAN, POINTS, Customers, draw, evaluations


def bands_of(customers: Customers, noise: float = 0.0) -> Bands:
    return next(evaluations(customers, noise, np.random.default_rng(1), count=1))


@pytest.mark.parametrize("options", [{}, {"slope": 0.5}, {"shift": 0.8}])
def test_without_noise_little_is_left_open(options: dict[str, float]) -> None:
    customers = draw(np.random.default_rng(2), 30_000, 0.15, **options)
    bands = bands_of(customers)
    for estimate, exact in (
        (brier(bands), metrics.brier(customers.outcome, customers.probability)),
        (calibration_error(bands), metrics.calibration_error(customers.outcome, customers.probability)),
    ):
        assert estimate.low <= exact <= estimate.high
        assert estimate.value == pytest.approx(exact, abs=0.001)
        assert estimate.high - estimate.low < 0.02


def test_a_shifted_card_is_found_out() -> None:
    right, wrong = (
        calibration_error(bands_of(draw(np.random.default_rng(3), 30_000, 0.15, shift=shift), 5.0))
        for shift in (0.0, 0.8)
    )
    assert right.high < wrong.low


def test_the_curve_holds_every_row_once_and_in_order() -> None:
    customers = draw(np.random.default_rng(4), 20_000, 0.15)
    curve = calibration_curve(bands_of(customers))
    assert len(curve) == 10
    assert curve[0].low is None
    assert curve[-1].high is None
    assert [part.high for part in curve[:-1]] == [part.low for part in curve[1:]]
    assert sum(part.share.value or 0.0 for part in curve) == pytest.approx(1.0)
    predicted = [part.predicted.value for part in curve]
    assert predicted == sorted(predicted, key=lambda value: -(value or 0.0))
    assert len(calibration_curve(bands_of(customers), parts=3)) == 3
    with pytest.raises(DataError, match="at least 1"):
        calibration_curve(bands_of(customers), parts=0)


def test_grades_are_counted_exactly_without_noise() -> None:
    customers = draw(np.random.default_rng(5), 20_000, 0.15)
    found = grades(bands_of(customers), PLAN.cut_offs)
    assert [grade.low for grade in found] == [580.0, 540.0, 500.0, None]
    assert [grade.high for grade in found] == [None, 580.0, 540.0, 500.0]
    for grade in found:
        here = (customers.scores >= (grade.low or 0.0)) & (customers.scores < (grade.high or 1e9))
        assert grade.share.value == pytest.approx(here.mean(), abs=1e-9)
        assert grade.bad_rate.value == pytest.approx(customers.outcome[here].mean(), abs=1e-9)
        assert grade.share.low == pytest.approx(grade.share.high)


def test_fewer_cut_offs_than_planned_will_do_and_others_will_not() -> None:
    bands = bands_of(draw(np.random.default_rng(6), 5_000, 0.15))
    assert len(grades(bands, PLAN.cut_offs[:1])) == 2
    assert len(grades(bands, ())) == 1
    with pytest.raises(DataError, match="name them in the plan"):
        grades(bands, (540.123456789,))


def test_an_empty_grade_is_not_measurable_and_a_share_of_nothing_is_small() -> None:
    customers = draw(np.random.default_rng(7), 5_000, 0.15)
    customers = replace(customers, scores=np.minimum(customers.scores, 579.0))
    safest = grades(bands_of(customers, 5.0), PLAN.cut_offs)[0]
    assert not safest.bad_rate.measurable
    assert (safest.bad_rate.low, safest.bad_rate.high) == (0.0, 1.0)
    assert safest.share.low == pytest.approx(0.0, abs=1e-9)
    assert safest.share.high < 0.05


def test_nobody_at_all_is_not_measurable() -> None:
    nobody = Customers(scores=np.zeros(0), outcome=np.zeros(0, dtype=np.int64))
    bands = bands_of(nobody, 5.0)
    for estimate in (brier(bands), calibration_error(bands), bands.bad_rate()):
        assert not estimate.measurable
    assert all(not part.observed.measurable for part in calibration_curve(bands))


def test_no_bad_rows_leave_a_sampling_error() -> None:
    customers = replace(draw(np.random.default_rng(8), 5_000, 0.15), outcome=np.zeros(5_000, dtype=np.int64))
    rate = bands_of(customers).bad_rate()
    assert (rate.value, rate.low, rate.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert rate.total_high > 1 / 5_000


def test_a_common_score_on_the_border_of_two_parts_may_belong_to_either() -> None:
    """Its middle is the 20th percentile exactly; its neighbours err in opposite directions."""
    shares = {430.0: 0.15, 460.0: 0.03, 470.0: 0.04, 480.0: 0.03, 560.0: 0.25, 600.0: 0.25, 640.0: 0.25}
    rates = {460.0: 1.0, 470.0: 0.4, 480.0: 0.4}
    scores = np.concatenate([np.full(round(20_000 * share), score) for score, share in shares.items()])
    wanted = [
        np.arange(round(20_000 * share)) < 20_000 * share * rates.get(score, POINTS.probability(score).item())
        for score, share in shares.items()
    ]
    customers = Customers(scores=scores, outcome=np.concatenate(wanted).astype(np.int64))
    exact = metrics.calibration_error(customers.outcome, customers.probability)
    values = []
    for bands in evaluations(customers, 0.05, np.random.default_rng(9), count=40):
        estimate = calibration_error(bands)
        assert estimate.low <= exact <= estimate.high
        values.append(estimate.value or 0.0)
    assert max(values) - min(values) > 0.01
