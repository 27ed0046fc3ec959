"""The discrete lemma of ADR 4, checked by summing masses: each step, and the claim that they add up to."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath  # type: ignore[import-untyped]  # ships no types
import numpy as np
import numpy.typing as npt
import pytest

from fedscore.errors import AccountingError
from privacy.dp.discrete_gaussian import tail_probability
from privacy.dp.discrete_lemma import (
    ROUNDING_VARIANCE,
    SMALLEST_SHARE_VARIANCE,
    gaussian_bound,
    rounding_slack,
    sum_slack,
    variance_for_mu,
)
from privacy.dp.events import DistributedGaussian
from privacy.dp.gaussian import gaussian_delta

_Masses = npt.NDArray[np.float64]


def _masses(variance: float, reach: int) -> _Masses:
    n = np.arange(-reach, reach + 1, dtype=float)
    weights = np.exp(-(n**2) / (2 * variance))
    masses: _Masses = weights / weights.sum()
    return masses


def _sum_of_shares(variance: float, shares: int, reach: int) -> _Masses:
    total = _masses(variance, reach)
    for _ in range(shares - 1):
        total = np.convolve(total, _masses(variance, reach))
    return total


def _delta(masses: _Masses, shift: int, epsilon: float) -> float:
    """Exact delta of adding noise of these masses to sums that differ by `shift`."""
    here = np.concatenate([masses, np.zeros(shift)])
    there = np.concatenate([np.zeros(shift), masses])
    return float(np.maximum(here - math.exp(epsilon) * there, 0).sum())


@pytest.mark.parametrize("variance", [0.5, 0.75, 1.0, 1.5])
@pytest.mark.parametrize("shares", [2, 3, 5])
def test_sum_of_shares_is_within_its_slack_of_one_draw_where_that_is_large(
    variance: float, shares: int
) -> None:
    summed = _sum_of_shares(variance, shares, 40)
    one = _masses(variance * shares, 40 * shares)
    middle = slice(40 * shares - 12, 40 * shares + 13)
    worst = np.abs(np.log(summed[middle] / one[middle])).max()
    slack = sum_slack(variance, shares)
    assert worst <= slack
    if shares == 2:
        assert worst > 0.2 * slack  # one step of the induction is nearly tight


def test_sum_of_two_smallest_shares_is_within_its_slack() -> None:
    with mpmath.workdps(70):
        variance, reach = SMALLEST_SHARE_VARIANCE, 60

        def weight(n: int, v: int) -> mpmath.mpf:
            return mpmath.exp(-mpmath.mpf(n * n) / (2 * v))

        norm = mpmath.fsum(weight(n, variance) for n in range(-reach, reach + 1))
        norm_of_sum = mpmath.fsum(weight(n, 2 * variance) for n in range(-2 * reach, 2 * reach + 1))
        worst = mpmath.mpf(0)
        for z in range(7):
            summed = mpmath.fsum(
                weight(n, variance) * weight(z - n, variance) for n in range(-reach, reach + 1)
            )
            one = weight(z, 2 * variance) / norm_of_sum
            worst = max(worst, abs(mpmath.log(summed / norm**2 / one)))
        slack = sum_slack(variance, 2)
    assert 0.2 * slack < worst <= slack


def _rounded_gaussian(total: float, rounding: float, reach: int) -> _Masses:
    """N(0, total - rounding), rounded from y to n with weight exp(-(n - y)² / (2 rounding))."""
    deviation = math.sqrt(total - rounding)
    y, step = np.linspace(-10 * deviation, 10 * deviation, 8001, retstep=True)
    density = np.exp(-(y**2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
    n = np.arange(-reach, reach + 1)
    weights = np.exp(-((n[:, None] - y) ** 2) / (2 * rounding))
    masses: _Masses = (weights / weights.sum(axis=0) * density).sum(axis=1) * step
    return masses


@pytest.mark.parametrize("rounding", [0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("rest", [0.01, 0.1, 2.0])
def test_rounded_gaussian_is_within_its_slack_of_the_discrete_one(rest: float, rounding: float) -> None:
    rounded = _rounded_gaussian(rest + rounding, rounding, 20)
    logs = np.log(_masses(rest + rounding, 20)[16:25] / rounded[16:25])
    slack = rounding_slack(rounding)
    assert np.abs(logs).max() <= slack + 1e-12
    if rest == 0.1:
        assert np.abs(logs).max() > 0.08 * slack  # a wider Gaussian averages most of it away


def test_without_the_lemma_the_claim_would_be_false() -> None:
    # One lattice step of noise for one of sensitivity: as a continuous Gaussian it would be mu = 1.
    assert _delta(_masses(1, 40), 1, 0.0) > 1.03 * gaussian_delta(1.0, 0.0)


@pytest.mark.parametrize("variance", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_claim_holds_where_the_slack_matters(variance: float, shift: int) -> None:
    masses = _masses(variance, 60)
    for rounding, epsilon in itertools.product([0.25, 0.5, 0.75], [0.1, 0.5, 1.0, 2.0, 4.0]):
        slack = rounding_slack(rounding)
        mu = shift / math.sqrt(variance - rounding)
        claimed = math.exp(slack) * gaussian_delta(mu, max(0.0, epsilon - 2 * slack))
        assert _delta(masses, shift, epsilon) <= claimed


@pytest.mark.parametrize(("variance", "shares"), [(9, 1), (9, 2), (9, 5), (10, 3), (25, 4), (100, 1)])
def test_exact_delta_of_the_smallest_mechanisms_is_below_the_claim(variance: int, shares: int) -> None:
    masses = _sum_of_shares(variance, shares, 30 * math.isqrt(variance))
    for shift, epsilon in itertools.product([1, 2, 5], [0.0, 0.1, 0.5, 1.0, 3.0]):
        event = DistributedGaussian(
            sensitivity_squared=shift**2,
            share_variance=variance,
            honest_shares=shares,
            dimension=1,
            total_shares=shares,
        )
        mu = math.sqrt(gaussian_bound(event).mu_squared)
        exact, claimed = _delta(masses, shift, epsilon), gaussian_delta(mu, epsilon)
        assert exact <= claimed
        if epsilon == 0.0:
            assert exact >= 0.7 * claimed  # the price of the lattice is small even here


def test_two_coordinates_compose_as_the_euclidean_norm_says() -> None:
    single = _masses(9, 60)
    masses = np.outer(single, single)
    shift = np.zeros((124, 125))
    here, there = shift.copy(), shift.copy()
    here[:121, :121] = masses
    there[3:124, 4:125] = masses  # sums that differ by (3, 4): norm 5
    for epsilon in (0.0, 0.5, 2.0, 5.0):
        exact = np.maximum(here - math.exp(epsilon) * there, 0).sum()
        assert exact <= gaussian_delta(5 / math.sqrt(9 - ROUNDING_VARIANCE), epsilon)


def test_slack_and_tail_of_an_event_count_coordinates_and_shares() -> None:
    event = DistributedGaussian(
        sensitivity_squared=7, share_variance=9, honest_shares=4, dimension=100, total_shares=6
    )
    bound = gaussian_bound(event)
    assert bound.mu_squared == Fraction(7, 36 - 4)
    per_coordinate = 15 * math.exp(-9 * math.pi**2) + 5 * math.exp(-8 * math.pi**2)
    assert bound.slack == pytest.approx(100 * per_coordinate, rel=1e-12, abs=0)
    assert bound.slack < 1e-30
    assert bound.tail == 400 * tail_probability(9)


def test_shares_too_small_for_the_lemma_are_refused() -> None:
    event = DistributedGaussian(
        sensitivity_squared=1, share_variance=8, honest_shares=100, dimension=1, total_shares=100
    )
    with pytest.raises(AccountingError, match=r"variance 8 .* needs 9 or more; choose a finer scale"):
        gaussian_bound(event)


@pytest.mark.parametrize(
    ("sensitivity_squared", "mu"), [(1, 0.5), (1, 0.1), (3, 1.0), (10**12, 0.0893), (2**100, 1e-4)]
)
def test_variance_for_mu_is_the_least_that_suffices(sensitivity_squared: int, mu: float) -> None:
    variance = variance_for_mu(sensitivity_squared, mu)
    assert Fraction(sensitivity_squared, variance - 4) <= Fraction(mu) ** 2
    assert variance == 5 or Fraction(sensitivity_squared, variance - 5) > Fraction(mu) ** 2


def test_variance_for_mu_refuses_what_has_no_answer() -> None:
    for mu in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(AccountingError, match="positive and finite"):
            variance_for_mu(1, mu)
    with pytest.raises(AccountingError, match="must be 1 or more"):
        variance_for_mu(0, 1.0)
