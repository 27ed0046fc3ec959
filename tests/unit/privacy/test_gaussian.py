from __future__ import annotations

import math

import mpmath  # type: ignore[import-untyped]  # ships no types
import pytest
from dp_accounting.gaussian_mechanism import get_epsilon_gaussian
from scipy import stats

from fedscore.errors import AccountingError
from privacy.dp.gaussian import SMALLEST_DELTA, gaussian_delta, gaussian_epsilon, gaussian_mu

MUS = [0.001, 0.01, 0.1, 0.3, 1.0, 2.5, 8.0, 20.0]
DELTAS = [1e-15, 1e-9, 1e-5, 1e-2, 0.3]


def _exact_delta(mu: float, epsilon: float) -> mpmath.mpf:
    with mpmath.workdps(120):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        near, far = -e / m + m / 2, -e / m - m / 2
        return (mpmath.erfc(-near / mpmath.sqrt(2)) - mpmath.exp(e) * mpmath.erfc(-far / mpmath.sqrt(2))) / 2


@pytest.mark.parametrize("mu", MUS)
@pytest.mark.parametrize("deviations", [-3.0, -0.5, 0.0, 0.2, 1.0, 4.9, 5.1, 8.0, 20.0])
def test_delta_is_above_the_closed_form_and_close_to_it(mu: float, deviations: float) -> None:
    epsilon = abs(mu * (deviations + mu / 2))
    exact = _exact_delta(mu, epsilon)
    assert exact <= gaussian_delta(mu, epsilon) <= exact * (1 + mpmath.mpf(10) ** -6)


def test_delta_at_the_ends() -> None:
    assert gaussian_delta(0.0, 0.0) == 0
    assert gaussian_delta(1.0, math.inf) == 0
    assert gaussian_delta(math.inf, 3.0) == 1
    assert gaussian_delta(1e3, 1.0) == 1
    assert gaussian_delta(1.0, 0.0) == pytest.approx(2 * stats.norm.cdf(0.5) - 1, rel=1e-12)
    assert 0 < gaussian_delta(1.0, 1000.0) < 1e-300


@pytest.mark.parametrize("mu", MUS)
@pytest.mark.parametrize("delta", DELTAS)
def test_epsilon_agrees_with_dp_accounting_and_errs_upwards(mu: float, delta: float) -> None:
    epsilon = gaussian_epsilon(mu, delta)
    assert epsilon == pytest.approx(get_epsilon_gaussian(1 / mu, delta), rel=1e-6, abs=1e-9)
    assert _exact_delta(mu, epsilon) <= delta
    assert gaussian_delta(mu, epsilon) <= delta
    if epsilon > 0:
        assert _exact_delta(mu, epsilon * (1 - 1e-6)) > delta


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 0.5, 1.0, 8.0, 100.0])
@pytest.mark.parametrize("delta", DELTAS)
def test_mu_is_the_inverse_and_errs_downwards(epsilon: float, delta: float) -> None:
    mu = gaussian_mu(epsilon, delta)
    assert epsilon * (1 - 1e-6) <= gaussian_epsilon(mu, delta) <= epsilon
    assert _exact_delta(mu, epsilon) <= delta < _exact_delta(mu * (1 + 1e-8), epsilon)


def test_epsilon_at_the_ends() -> None:
    assert gaussian_epsilon(0.0, 1e-5) == 0
    assert gaussian_epsilon(0.001, 0.1) == 0
    assert gaussian_epsilon(math.inf, 1e-5) == math.inf
    assert math.isfinite(gaussian_epsilon(1.0, SMALLEST_DELTA))


@pytest.mark.parametrize("delta", [0.0, -0.1, 1.0, 2.0, SMALLEST_DELTA / 10, math.nan])
def test_refuses_a_delta_that_cannot_be_priced(delta: float) -> None:
    with pytest.raises(AccountingError, match="at least 1e-100 and below 1"):
        gaussian_epsilon(1.0, delta)
    with pytest.raises(AccountingError, match="at least 1e-100 and below 1"):
        gaussian_mu(1.0, delta)


def test_refuses_negative_numbers_and_what_is_none() -> None:
    for bad in (-1e-9, math.nan):
        with pytest.raises(AccountingError, match=r"mu is .* must be 0 or more"):
            gaussian_delta(bad, 1.0)
        with pytest.raises(AccountingError, match=r"epsilon is .* must be 0 or more"):
            gaussian_delta(1.0, bad)
        with pytest.raises(AccountingError, match="mu is"):
            gaussian_epsilon(bad, 1e-5)
        with pytest.raises(AccountingError, match="epsilon is"):
            gaussian_mu(bad, 1e-5)
    with pytest.raises(AccountingError, match="NonPrivate"):
        gaussian_mu(math.inf, 1e-5)
