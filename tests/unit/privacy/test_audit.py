from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fedscore.errors import AccountingError
from privacy.dp.accounting import gaussian_epsilon
from privacy.dp.audit import detectable_ratio, epsilon_lower_bound, least_rate, variance_p_value


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
