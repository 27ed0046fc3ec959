"""Statistics of an audit, beside scipy's, beside mechanisms whose epsilon is known, and beside chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fedscore.errors import AccountingError
from privacy.dp.accounting import gaussian_epsilon
from privacy.dp.audit import (
    ErrorCounts,
    detectable_factor,
    detectable_ratio,
    epsilon_lower_bound,
    expected_bound,
    least_rate,
    typical_counts,
    variance_p_value,
    variance_power,
)


@pytest.mark.parametrize("count", [30, 200, 10_000])
@pytest.mark.parametrize("tail", [0.0005, 0.01, 0.3, 0.9, 0.9995])
def test_tails_are_those_of_chi_squared(count: int, tail: float) -> None:
    values = np.full(count, math.sqrt(stats.chi2.ppf(tail, count) / count))
    expected = 2 * min(tail, 1 - tail)
    assert variance_p_value(values) == pytest.approx(expected, rel=0.12)


def test_too_few_numbers_are_refused() -> None:
    with pytest.raises(AccountingError, match="30 are needed"):
        variance_p_value(np.ones(29))


@pytest.mark.parametrize("count", [60, 1000])
def test_what_is_called_detectable_is_found(count: int) -> None:
    ratio = detectable_ratio(count, level=0.001, power=0.99)
    generator = np.random.default_rng(1)
    found = [variance_p_value(generator.normal(0.0, math.sqrt(ratio), count)) < 0.001 for _ in range(2000)]
    assert 0.98 <= np.mean(found) <= 0.998


@pytest.mark.parametrize(("events", "trials"), [(0, 50), (1, 50), (10, 100), (100, 100)])
def test_rates_are_bounded_as_clopper_and_pearson_do(events: int, trials: int) -> None:
    exact = stats.beta.ppf(0.01, events, trials - events + 1) if events else 0.0
    assert least_rate(events, trials, side=0.01) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("mu", [1.0, 2.0, 3.0])
def test_a_lower_bound_is_below_the_truth_and_not_far(mu: float) -> None:
    generator = np.random.default_rng(2)
    found = epsilon_lower_bound(
        generator.normal(mu, 1.0, 4000).tolist(), generator.normal(0.0, 1.0, 4000).tolist(), delta=1e-5
    )
    assert 0.2 * gaussian_epsilon(mu, 1e-5) < found.epsilon < gaussian_epsilon(mu, 1e-5)
    assert found.epsilon < found.most


def test_nothing_is_shown_where_nothing_differs() -> None:
    generator = np.random.default_rng(3)
    wrong = [
        epsilon_lower_bound(
            generator.normal(size=200).tolist(),
            generator.normal(size=200).tolist(),
            delta=1e-5,
            confidence=0.99,
        ).epsilon
        > 0
        for _ in range(300)
    ]
    assert np.mean(wrong) <= 0.02


def test_a_record_that_is_always_told_bounds_as_far_as_the_runs_reach() -> None:
    found = epsilon_lower_bound([10.0] * 300, [0.0] * 300, delta=0.0)
    assert found.epsilon == found.most
    assert (found.false_alarms, found.misses) == (0.0, 0.0)
    with pytest.raises(AccountingError, match="100 runs"):
        epsilon_lower_bound([1.0] * 99, [0.0] * 300, delta=0.0)


@pytest.mark.parametrize(("count", "ratio"), [(60, 0.3), (180, 0.7), (1000, 0.85)])
def test_the_chance_to_find_a_variance_is_chi_squareds(count: int, ratio: float) -> None:
    exact = stats.chi2.cdf(stats.chi2.ppf(0.0005, count) / ratio, count)
    assert variance_power(count, ratio, level=0.001) == pytest.approx(exact, abs=0.01)
    assert variance_power(count, detectable_ratio(count, level=0.001), level=0.001) == pytest.approx(0.99)


def most(errors: int, trials: int, side: float) -> float:
    return float(stats.beta.ppf(1 - side, errors + 1, trials - errors)) if errors < trials else 1.0


@given(
    alarms=st.integers(0, 300),
    misses=st.integers(0, 500),
    delta=st.sampled_from([0.0, 1e-5, 0.05]),
    confidence=st.sampled_from([0.9, 0.999]),
)
def test_bounds_are_those_of_clopper_and_pearsons_limits(
    alarms: int, misses: int, delta: float, confidence: float
) -> None:
    counts = ErrorCounts(alarms=alarms, outs=300, misses=misses, ins=500)
    side = (1 - confidence) / 2
    one, other = most(alarms, 300, side), most(misses, 500, side)
    implied = [(1 - delta - other) / one, (1 - delta - one) / other]
    expected = max(0.0, *(math.log(odds) for odds in implied if odds > 0.0), 0.0)
    assert counts.epsilon(delta=delta, confidence=confidence) == pytest.approx(expected, abs=1e-6)
    mu = max(0.0, float(stats.norm.isf(one) - stats.norm.ppf(other))) if max(one, other) < 1.0 else 0.0
    assert counts.mu(confidence=confidence) == pytest.approx(mu, abs=1e-6)


@given(alarms=st.integers(0, 199), misses=st.integers(0, 200))
def test_one_more_error_shows_no_more(alarms: int, misses: int) -> None:
    fewer = ErrorCounts(alarms=alarms, outs=200, misses=misses, ins=200)
    more = ErrorCounts(alarms=alarms + 1, outs=200, misses=misses, ins=200)
    surely, delta = 0.99, 1e-5
    assert more.mu(confidence=surely) <= fewer.mu(confidence=surely) + 1e-12
    if alarms + misses < 200:  # otherwise the guess is better turned round, which counts as well
        turned = more.epsilon(delta=delta, confidence=surely)
        assert turned <= fewer.epsilon(delta=delta, confidence=surely) + 1e-12
    assert fewer.mu(confidence=0.999) <= fewer.mu(confidence=0.9)


def test_errors_that_cannot_be_are_refused() -> None:
    with pytest.raises(AccountingError, match="counted among its runs"):
        ErrorCounts(alarms=11, outs=10, misses=0, ins=10)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_both_bounds_are_below_the_truth_as_often_as_they_say(mu: float) -> None:
    """A Gaussian mechanism's epsilon is known: at 90 % confidence one bound in ten may be above it."""
    generator, delta = np.random.default_rng(4), 1e-2
    truth = gaussian_epsilon(mu, delta)
    wrong, wrong_mu, shown = 0, 0, []
    for _ in range(200):
        inside, outside = generator.normal(mu, 1.0, 400), generator.normal(0.0, 1.0, 400)
        found = epsilon_lower_bound(inside.tolist(), outside.tolist(), delta=delta, confidence=0.9)
        wrong += found.epsilon > truth
        counts = ErrorCounts(
            alarms=int((outside > mu / 2).sum()), outs=400, misses=int((inside <= mu / 2).sum()), ins=400
        )
        wrong_mu += counts.mu(confidence=0.9) > mu
        shown.append(counts.mu(confidence=0.9))
    # 20 are expected at most: more than 33 has a chance of .001.
    assert wrong <= 33
    assert wrong_mu <= 33
    # Not by saying nothing.
    assert np.median(shown) > 0.2 * mu


def test_delta_is_taken_off() -> None:
    """A record that shows in one run of ten, and in no other way, is (0, .1)-private."""
    generator = np.random.default_rng(5)
    inside = (generator.random(4000) < 0.1).astype(float).tolist()
    outside = [0.0] * 4000
    assert epsilon_lower_bound(inside, outside, delta=0.1, confidence=0.99).epsilon == 0.0
    assert epsilon_lower_bound(inside, outside, delta=1e-5, confidence=0.99).epsilon > 2.0


def test_randomised_response_is_bounded_by_its_epsilon_and_nearly_reached() -> None:
    generator, epsilon = np.random.default_rng(6), 1.5
    truth = math.exp(epsilon) / (1 + math.exp(epsilon))
    inside = (generator.random(20_000) < truth).astype(float).tolist()
    outside = (generator.random(20_000) > truth).astype(float).tolist()
    found = epsilon_lower_bound(inside, outside, delta=0.0, confidence=0.999)
    assert 0.9 * epsilon < found.epsilon <= epsilon


def test_what_is_expected_is_what_is_typical() -> None:
    generator, mu, delta = np.random.default_rng(7), 2.0, 1e-5
    found = [
        epsilon_lower_bound(
            generator.normal(mu, 1.0, 1000).tolist(),
            generator.normal(0.0, 1.0, 1000).tolist(),
            delta=delta,
            confidence=0.999,
        ).epsilon
        for _ in range(60)
    ]
    assert expected_bound(mu, 500, delta=delta, confidence=0.999) == pytest.approx(np.median(found), rel=0.2)
    half = typical_counts(mu, 1000)
    assert half.alarms == half.misses == round(1000 * stats.norm.sf(1.0))


@pytest.mark.parametrize(("attained", "promised"), [(0.26, 0.27), (1.5, 1.6)])
def test_noise_that_is_too_small_by_the_detectable_factor_is_found(attained: float, promised: float) -> None:
    generator, runs = np.random.default_rng(8), 1500
    factor = detectable_factor(attained, promised, runs, confidence=0.999)
    mu = attained * factor
    found = [
        ErrorCounts(
            alarms=int((generator.normal(0.0, 1.0, runs) > mu / 2).sum()),
            outs=runs,
            misses=int((generator.normal(mu, 1.0, runs) <= mu / 2).sum()),
            ins=runs,
        ).mu(confidence=0.999)
        > promised
        for _ in range(1000)
    ]
    assert 0.93 <= np.mean(found) <= 0.985
    assert factor > detectable_factor(attained, promised, 4 * runs, confidence=0.999) > 1.0


def test_where_nothing_can_be_found_nothing_is_claimed() -> None:
    assert detectable_factor(0.0, 0.2, 1000, confidence=0.999) == math.inf
    assert detectable_factor(2.0, 20.0, 10, confidence=0.999) == math.inf
