"""Why a sum of discrete Gaussian shares may be priced as a Gaussian: the lemma of ADR 4, in numbers.

Formal guarantee: let every honest share have variance v >= 9 lattice steps squared, let k of them be honest,
and let the opened vector have D coordinates. Then the law of the honest noise is pointwise within
exp(±lambda) of a randomised rounding, equivariant under integer shifts, of N(0, k v - 4) per coordinate, with

    lambda = D (5 (k - 1) exp(-pi² v) + 5 exp(-8 pi²)).

So two neighbouring sums are as hard to tell apart as N(0, 1) and N(mu, 1) with mu² = Delta² / (k v - 4), but
for lambda: (epsilon, delta) becomes (epsilon + 2 lambda, exp(lambda) delta). The proof is in
`docs/adr/0004-privacy-unit-and-accounting.md`; its first step follows Kairouz, Liu and Steinke 2021.

The constants in front have a fifth to spare, which covers the rounding of these sums in floating point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from fedscore.errors import AccountingError
from privacy.dp.discrete_gaussian import tail_probability
from privacy.dp.events import DistributedGaussian

__all__ = [
    "ROUNDING_VARIANCE",
    "SMALLEST_SHARE_VARIANCE",
    "GaussianBound",
    "gaussian_bound",
    "rounding_slack",
    "sum_slack",
    "variance_for_mu",
]

SMALLEST_SHARE_VARIANCE = 9
"""Below it the lemma's slack would no longer be negligible, and the accountant refuses."""

ROUNDING_VARIANCE = 4
"""Variance given up for the randomised rounding, lattice steps squared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianBound:
    """What one opened sum costs at most.

    Attributes:
        mu_squared: Square of its Gaussian-DP parameter, exact.
        slack: The lemma's lambda.
        tail: Largest total-variation distance between the noise and noise that is never redrawn.
    """

    mu_squared: Fraction
    slack: float
    tail: float


def gaussian_bound(event: DistributedGaussian) -> GaussianBound:
    """Bounds the cost of one opened sum by the lemma.

    Raises:
        AccountingError: The shares' variance is below `SMALLEST_SHARE_VARIANCE`.
    """
    if event.share_variance < SMALLEST_SHARE_VARIANCE:
        raise AccountingError(
            f"a noise share of variance {event.share_variance} lattice steps squared cannot be priced: "
            f"the discrete lemma needs {SMALLEST_SHARE_VARIANCE} or more; choose a finer scale"
        )
    slack = sum_slack(event.share_variance, event.honest_shares) + rounding_slack(ROUNDING_VARIANCE)
    return GaussianBound(
        mu_squared=Fraction(event.sensitivity_squared, event.honest_variance - ROUNDING_VARIANCE),
        slack=event.dimension * slack,
        tail=event.dimension * event.honest_shares * tail_probability(event.share_variance),
    )


def sum_slack(share_variance: float, shares: int) -> float:
    """Largest |log ratio| between the masses of a sum of shares and of one draw of their total variance.

    Args:
        share_variance: v, 1/2 or more.
        shares: k, 1 or more.

    Returns:
        5 (k - 1) exp(-pi² v), one coordinate's part.
    """
    return 5 * (shares - 1) * math.exp(-(math.pi**2) * share_variance)


def rounding_slack(rounding_variance: float) -> float:
    """Largest |log ratio| between the masses of N_Z(0, s) and of rounded N(0, s - h), for any s > h.

    Args:
        rounding_variance: h, 1/4 or more.

    Returns:
        5 exp(-2 pi² h), one coordinate's part.
    """
    return 5 * math.exp(-2 * math.pi**2 * rounding_variance)


def variance_for_mu(sensitivity_squared: int, mu: float) -> int:
    """Least total honest variance at which an opened sum costs at most `mu`.

    Args:
        sensitivity_squared: In lattice steps squared, 1 or more.
        mu: Gaussian-DP parameter, positive and finite.

    Returns:
        The least integer s with sensitivity_squared / (s - 4) <= mu², in exact arithmetic. Whoever divides it
        among k shares rounds each share's variance up, and to no less than `SMALLEST_SHARE_VARIANCE`.

    Raises:
        AccountingError: An argument is outside its limits.
    """
    if sensitivity_squared < 1:
        raise AccountingError(
            f"a squared sensitivity of {sensitivity_squared} lattice steps needs no noise or is a mistake; "
            "it must be 1 or more"
        )
    if not 0 < mu < math.inf:
        raise AccountingError(f"no finite noise gives mu = {mu}; it must be positive and finite")
    return ROUNDING_VARIANCE + math.ceil(sensitivity_squared / Fraction(mu) ** 2)
