"""The bad-rate alarm and the drift of calibration, from the sum over outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.errors import DataError
from fedscore.estimates import (
    OUTCOMES,
    AlarmReading,
    Baseline,
    Leverage,
    OutcomeSums,
    Reference,
    bad_rate_alarm,
    calibration_drift,
    outcome_vectors,
)
from tests.customers import PLAN, POINTS, Customers, reference_of

Floats = npt.NDArray[np.float64]

MU = 0.21
"""Of ε = 1 at δ = 1e-6."""

DEVIATION = float(np.sqrt(float(OUTCOMES.sensitivity_squared) / 0.2)) / MU
"""If the sum over outcomes has a fifth of the budget's μ²."""

LEVERAGE = Leverage(centre=-4.0, spread=3.0)


def expected_rates(generator: np.random.Generator, rows: int, base_rate: float = 0.03) -> Floats:
    probability = 1.0 / (1.0 + np.exp(-generator.normal(-4.0, 1.1, rows)))
    return np.asarray(np.minimum(probability * base_rate / probability.mean(), 0.95))


def sums(
    outcome: npt.NDArray[np.bool_],
    probability: Floats,
    generator: np.random.Generator,
    deviation: float = DEVIATION,
) -> OutcomeSums:
    vectors = outcome_vectors(outcome, probability, LEVERAGE)
    return OutcomeSums(
        values=vectors.sum(axis=0) + deviation * generator.standard_normal(4), deviation=deviation
    )


def readings(shift: float, rows: int = 50_000, *, seed: int = 0) -> Counter[AlarmReading]:
    found: Counter[AlarmReading] = Counter()
    for run in range(100):
        generator = np.random.default_rng([seed, run])
        probability = expected_rates(generator, rows)
        outcome = generator.random(rows) < probability * (1.0 + shift)
        found[bad_rate_alarm(sums(outcome, probability, generator)).reading] += 1
    return found


def test_a_rise_by_a_fifth_is_found_and_none_is_not_invented() -> None:
    assert readings(0.2)[AlarmReading.ALARM] >= 95
    assert readings(0.0)[AlarmReading.ALARM] <= 5


def test_steady_rates_are_called_quiet_where_a_fifth_would_have_been_seen() -> None:
    assert readings(0.0, seed=1)[AlarmReading.QUIET] >= 90
    assert readings(-0.3, seed=2)[AlarmReading.QUIET] >= 95


def test_a_small_rise_is_told_from_a_large_one() -> None:
    assert readings(0.1, rows=200_000, seed=3)[AlarmReading.SMALL_RISE] >= 95


@pytest.mark.parametrize("rows", [50, 1_000, 5_000])
def test_too_few_rows_say_so(rows: int) -> None:
    assert readings(0.0, rows=rows, seed=4)[AlarmReading.UNDECIDED] >= 80
    probability = np.full(rows, 0.03)
    values = outcome_vectors(np.zeros(rows), probability, LEVERAGE).sum(axis=0)
    values[0] = 0.0
    alarm = bad_rate_alarm(OutcomeSums(values=values, deviation=DEVIATION))
    assert alarm.reading is AlarmReading.UNDECIDED
    assert "could not have seen +20%" in alarm.sentence
    assert alarm.power < 0.3


def test_the_power_is_what_it_says() -> None:
    """Halfway between certain and hopeless."""
    rows, alarms, promised = 10_000, 0, []
    for run in range(300):
        generator = np.random.default_rng([6, run])
        probability = expected_rates(generator, rows)
        found = bad_rate_alarm(sums(generator.random(rows) < 1.2 * probability, probability, generator))
        alarms += found.reading is AlarmReading.ALARM
        promised.append(found.power)
    assert 0.5 < np.mean(promised) < 0.9
    assert alarms / 300 == pytest.approx(np.mean(promised), abs=0.1)


def test_the_detectable_shift_is_detected_as_often_as_promised() -> None:
    generator = np.random.default_rng(7)
    probability = expected_rates(generator, 50_000)
    detectable = bad_rate_alarm(
        sums(generator.random(50_000) < probability, probability, generator)
    ).detectable
    assert detectable is not None
    assert 0.05 < detectable < 0.2
    rises = Counter(readings(detectable, seed=8))
    assert rises[AlarmReading.ALARM] + rises[AlarmReading.SMALL_RISE] >= 95


def test_intervals_hold_the_exact_rates_and_the_true_shift() -> None:
    hits = np.zeros(4)
    for run in range(200):
        generator = np.random.default_rng([9, run])
        probability = expected_rates(generator, 50_000)
        outcome = generator.random(50_000) < 1.1 * probability
        alarm = bad_rate_alarm(sums(outcome, probability, generator))
        hits += [
            alarm.observed.low <= outcome.mean() <= alarm.observed.high,
            alarm.expected.low <= probability.mean() <= alarm.expected.high,
            alarm.shift.low <= outcome.sum() / probability.sum() - 1 <= alarm.shift.high,
            alarm.shift.total_low <= 0.1 <= alarm.shift.total_high,
        ]
    assert hits.min() >= 190


def test_a_card_known_to_be_off_is_not_blamed_on_the_customers() -> None:
    generator = np.random.default_rng(10)
    probability = expected_rates(generator, 50_000)
    released = sums(generator.random(50_000) < 1.4 * probability, probability, generator)
    assert bad_rate_alarm(released).reading is AlarmReading.ALARM
    known = bad_rate_alarm(released, baseline=Baseline(ratio=1.4))
    assert known.reading is not AlarmReading.ALARM
    assert known.expected.value == pytest.approx(1.4 * 0.03, rel=0.1)
    vague = bad_rate_alarm(released, baseline=Baseline(ratio=1.2, error=0.5))
    assert vague.reading is AlarmReading.UNDECIDED
    assert vague.sentence.startswith("too few rows") or "undecided" in vague.sentence


def test_the_noise_of_the_expectation_enters_by_the_shift() -> None:
    values = np.array([750.0, 750.0, 0.0, 12_500.0])
    for ratio, shift in ((1.0, 0.5), (0.75, 1.0), (0.5, 2.0)):
        alarm = bad_rate_alarm(OutcomeSums(values=values, deviation=10.0), baseline=Baseline(ratio=ratio))
        weight = 1.0 - (1.0 + shift) * ratio
        assert alarm.shift.value == pytest.approx(shift)
        assert alarm.shift.noise_error == pytest.approx(np.hypot(10.0, weight * 20.0) / (1500.0 * ratio))


def test_sentences_name_the_limit() -> None:
    values = np.array([0.0, 750.0, 0.0, 12_500.0])

    def told(surplus: float, limit: float = 0.2, deviation: float = 13.0) -> str:
        changed = values + np.array([surplus, 0.0, 0.0, 0.0])
        return bad_rate_alarm(OutcomeSums(values=changed, deviation=deviation), limit=limit).sentence

    assert told(0.0) == "no rise is seen, and one of +20% or more is excluded"
    assert told(400.0).startswith("alarm")
    assert told(250.0, limit=0.5) == "the bad rate has risen, by less than +50%"
    assert told(60.0, limit=0.1).startswith(
        "too few rows to tell: could not have seen +10% with certainty, only +"
    )
    assert told(0.0, deviation=200.0).endswith("nor any rise")


def test_the_bound_of_the_vectors_is_met_by_no_record() -> None:
    probability = np.linspace(0.0, 1.0, 20_001)
    for leverage in (LEVERAGE, Leverage(centre=0.0, spread=1e-3)):
        for outcome in (0.0, 1.0):
            vectors = outcome_vectors(np.full_like(probability, outcome), probability, leverage)
            squares = np.square(vectors).sum(axis=1)
            assert squares.max() <= float(OUTCOMES.sensitivity_squared)
            assert np.abs(vectors).max() <= float(OUTCOMES.largest)
    assert squares.max() > 1.25
    assert vectors.shape[1] == OUTCOMES.dimension_limit


@pytest.mark.parametrize(("shift", "slope"), [(0.0, 1.0), (0.2, 1.0), (-0.3, 1.2), (0.5, 0.7)])
def test_drift_is_found_with_its_error(shift: float, slope: float) -> None:
    hits = np.zeros(2)
    found = []
    reference: Reference | None = None
    for run in range(100):
        generator = np.random.default_rng([11, run])
        probability = expected_rates(generator, 50_000)
        log_odds = np.log(probability / (1 - probability))
        if reference is None:
            scores = POINTS.offset - POINTS.factor * log_odds
            customers = Customers(scores=scores, outcome=np.zeros(50_000, dtype=np.int64))
            reference = reference_of(customers, 5.0, generator, replace(PLAN, low=300.0))
        moved = log_odds + shift + (slope - 1.0) * LEVERAGE.spread * LEVERAGE.of(probability)
        outcome = generator.random(50_000) < 1.0 / (1.0 + np.exp(-moved))
        drift = calibration_drift(sums(outcome, probability, generator), reference, LEVERAGE)
        hits += [
            drift.in_the_large.total_low <= shift <= drift.in_the_large.total_high,
            drift.slope.total_low <= slope <= drift.slope.total_high,
        ]
        found.append((drift.in_the_large.value, drift.slope.value))
    assert hits.min() >= 95
    assert np.allclose(np.mean(np.array(found, dtype=np.float64), axis=0), [shift, slope], atol=0.03)


def test_drift_of_few_rows_is_not_measurable() -> None:
    generator = np.random.default_rng(12)
    customers = Customers(scores=generator.normal(600.0, 30.0, 500), outcome=np.zeros(500, dtype=np.int64))
    reference = reference_of(customers, 1.0, generator)
    probability = expected_rates(generator, 500)
    drift = calibration_drift(
        sums(generator.random(500) < probability, probability, generator), reference, LEVERAGE
    )
    assert not drift.in_the_large.measurable
    assert not drift.slope.measurable


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="four finite values"):
        OutcomeSums(values=np.zeros(3), deviation=1.0)
    with pytest.raises(DataError, match="four finite values"):
        OutcomeSums(values=np.full(4, np.inf), deviation=1.0)
    with pytest.raises(DataError, match="positive spread"):
        Leverage(centre=0.0, spread=0.0)
    with pytest.raises(DataError, match="positive ratio"):
        Baseline(ratio=0.0)
    with pytest.raises(DataError, match="positive share"):
        bad_rate_alarm(OutcomeSums(values=np.zeros(4), deviation=1.0), limit=0.0)
