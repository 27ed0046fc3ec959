"""Drawing discrete Gaussian noise exactly: Canonne, Kamath and Steinke 2020, Algorithms 1 to 3.

Formal guarantees:
    `discrete_gaussian` returns independent draws of the law with mass proportional to
    exp(-n**2 / (2 * variance)) on the integers n: exactly that law if the source's integers are exactly
    uniform. No floating-point number takes part, so there are no low-order bits to read a secret from.
    `bounded_discrete_gaussian` returns that law conditioned on |n| <= `noise_bound(variance)`, at a
    distance in total variation of at most `tail_probability(variance)` per draw.

Sharp edge: the time that a rejection sampler takes depends on what it draws; whoever measures it sees that.

The algorithms work on whole arrays: every trial that a scalar sampler would repeat in a loop is repeated here
for the entries that still need it.
"""

from __future__ import annotations

import math
import operator

import numpy as np
import numpy.typing as npt

from fedscore.errors import NoiseError
from privacy.dp.randomness import RandomSource

__all__ = [
    "LARGEST_VARIANCE",
    "TAIL_DEVIATIONS",
    "bounded_discrete_gaussian",
    "discrete_gaussian",
    "noise_bound",
    "tail_probability",
]

LARGEST_VARIANCE = 2**80
"""Largest variance, in lattice steps squared: a draw stays far inside an int64."""

TAIL_DEVIATIONS = 20
"""Deviations beyond which noise is redrawn: chance 2·exp(-200), negligible even times e^epsilon (ADR 4)."""

_DIGIT_BITS = 62
_DIGIT = 1 << _DIGIT_BITS
_SPARE = 16

_Flags = npt.NDArray[np.bool_]
_Integers = npt.NDArray[np.int64]


def discrete_gaussian(variance: int, size: int, randomness: RandomSource) -> npt.NDArray[np.int64]:
    """Draws from the discrete Gaussian N_Z(0, variance), exactly.

    Candidates come from a discrete Laplace law and are accepted with the probability that turns it into the
    discrete Gaussian (Canonne-Kamath-Steinke 2020, Algorithm 3).

    Args:
        variance: The law's parameter sigma squared in lattice steps squared, an integer from 1 to
            `LARGEST_VARIANCE`. The variance of the law itself is at most this, and equal to it within
            1e-6 from 1 on.
        size: Number of independent draws, 0 or more.
        randomness: Source of uniform integers.

    Returns:
        The draws, shape [size].

    Raises:
        NoiseError: The variance or the size is outside its limits.
    """
    variance = _checked(variance)
    if size < 0:
        raise NoiseError(f"{size} draws of noise were asked for; ask for none or more")
    scale = math.isqrt(variance) + 1
    drawn = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        missing = size - filled
        candidates = _discrete_laplace(scale, missing + missing // 2 + 4, randomness)
        accepted = candidates[_accept(candidates, variance, scale, randomness)][:missing]
        drawn[filled : filled + accepted.size] = accepted
        filled += accepted.size
    return drawn


def bounded_discrete_gaussian(variance: int, size: int, randomness: RandomSource) -> npt.NDArray[np.int64]:
    """Draws discrete Gaussian noise that fits into a slot: what lies beyond `noise_bound` is drawn again.

    The rule looks at the noise alone, never at what it will be added to. Its cost in privacy is
    `tail_probability`, which the accountant charges.

    Args:
        variance: As for `discrete_gaussian`.
        size: Number of independent draws, 0 or more.
        randomness: Source of uniform integers.

    Returns:
        The draws, shape [size], each of absolute value at most `noise_bound(variance)`.

    Raises:
        NoiseError: The variance or the size is outside its limits.
    """
    noise = discrete_gaussian(variance, size, randomness)
    bound = noise_bound(variance)
    while (beyond := np.flatnonzero(np.abs(noise) > bound)).size:
        noise[beyond] = discrete_gaussian(variance, beyond.size, randomness)
    return noise


def noise_bound(variance: int) -> int:
    """Largest absolute value of `bounded_discrete_gaussian`: `TAIL_DEVIATIONS` deviations, in lattice steps.

    Raises:
        NoiseError: The variance is outside its limits.
    """
    return TAIL_DEVIATIONS * (math.isqrt(_checked(variance) - 1) + 1)


def tail_probability(variance: int) -> float:
    """Upper bound of the chance that one draw of N_Z(0, variance) lies beyond `noise_bound`.

    The discrete Gaussian is sub-Gaussian with its parameter: E exp(tX) <= exp(t² variance / 2), because the
    sum of a Gaussian over the integers is largest when it is centred on one (Canonne-Kamath-Steinke 2020,
    Section 2). So the chance of |X| > b is at most 2 exp(-b² / (2 variance)).

    Raises:
        NoiseError: The variance is outside its limits.
    """
    bound = noise_bound(variance)
    # |X| is an integer, so b + 1 might stand for b: more than the rounding errors here are worth.
    return 2 * math.exp(-(bound * bound) / (2 * variance))


def _checked(variance: int) -> int:
    # A NumPy integer would overflow silently where Python's grow.
    variance = operator.index(variance)
    if not 1 <= variance <= LARGEST_VARIANCE:
        raise NoiseError(
            f"a noise variance of {variance} lattice steps squared was asked for; "
            "it must be an integer from 1 to 2**80: choose another scale"
        )
    return variance


def _discrete_laplace(scale: int, size: int, randomness: RandomSource) -> _Integers:
    """Mass proportional to exp(-|n| / scale) (Algorithm 2, with s = 1); at most `size` draws, often fewer."""
    remainder = randomness.integers_below(scale, size)
    remainder = remainder[_bernoulli_exp_fraction(remainder, scale, randomness)]
    magnitude: _Integers = remainder + scale * _geometric_exp(remainder.size, randomness)
    negative = randomness.integers_below(2, magnitude.size).astype(np.bool_)
    # Zero has one sign only; keeping both would draw it twice as often as its mass.
    kept: _Flags = ~(negative & (magnitude == 0))
    signed: _Integers = np.where(negative, -magnitude, magnitude)
    return signed[kept]


def _accept(candidates: _Integers, variance: int, scale: int, randomness: RandomSource) -> _Flags:
    """Bernoulli(exp(-(|y| - variance / scale)² / (2 variance))) for each candidate y (Algorithm 3)."""
    # The exponent is numerator / denominator; both outgrow 64 bits, so these are arrays of Python integers.
    numerator = (np.abs(candidates).astype(np.object_) * scale - variance) ** 2
    denominator = 2 * variance * scale * scale
    whole = (numerator // denominator).astype(np.int64)
    accepted = np.ones(candidates.size, dtype=np.bool_)
    above = np.flatnonzero(whole)
    accepted[above] = _geometric_exp(above.size, randomness) >= whole[above]
    alive = np.flatnonzero(accepted)
    accepted[alive] = _bernoulli_exp_big_fraction(numerator[alive] % denominator, denominator, randomness)
    return accepted


def _geometric_exp(size: int, randomness: RandomSource) -> _Integers:
    """Number of successes of Bernoulli(1/e) before the first failure: P(at least k) = exp(-k)."""
    # Failures cut one long row of coins into runs of successes; a failure stands before the first coin.
    failures: _Integers = np.array([-1], dtype=np.int64)
    tossed = 0
    while failures.size <= size:
        coins = 2 * (size + 1 - failures.size) + _SPARE
        success = _bernoulli_exp_fraction(np.ones(coins, dtype=np.int64), 1, randomness)
        failures = np.concatenate([failures, tossed + np.flatnonzero(~success)])
        tossed += coins
    return np.diff(failures[: size + 1]) - 1


def _bernoulli_exp_fraction(numerator: _Integers, denominator: int, randomness: RandomSource) -> _Flags:
    """Bernoulli(exp(-numerator / denominator)) for 0 <= numerator <= denominator (Algorithm 1)."""
    result = np.ones(numerator.size, dtype=np.bool_)
    alive = np.arange(numerator.size)
    trial = 1
    while alive.size:
        alive = alive[randomness.integers_below(denominator * trial, alive.size) < numerator[alive]]
        # The result is whether the first trial that fails is an odd one, so each success turns it over.
        result[alive] = ~result[alive]
        trial += 1
    return result


def _bernoulli_exp_big_fraction(
    numerator: npt.NDArray[np.object_], denominator: int, randomness: RandomSource
) -> _Flags:
    """As `_bernoulli_exp_fraction`, for integers of any size and numerator < denominator.

    Trial k succeeds with chance numerator / (denominator k), which is two independent coins: 1 / k, and
    numerator / denominator, decided by its leading digit in base 2**62 but for one case in 2**62.
    """
    scaled = numerator * _DIGIT
    leading = (scaled // denominator).astype(np.int64)
    result = np.ones(numerator.size, dtype=np.bool_)
    alive = np.arange(numerator.size)
    trial = 1
    while alive.size:
        if trial > 1:
            alive = alive[randomness.integers_below(trial, alive.size) == 0]
        digit = randomness.integers_below(_DIGIT, alive.size)
        success = digit < leading[alive]
        for tie in np.flatnonzero(digit == leading[alive]):
            success[tie] = _bernoulli(int(scaled[alive[tie]]) % denominator, denominator, randomness)
        alive = alive[success]
        result[alive] = ~result[alive]
        trial += 1
    return result


def _bernoulli(numerator: int, denominator: int, randomness: RandomSource) -> bool:
    """Bernoulli(numerator / denominator), comparing random digits with the fraction's until they differ."""
    while True:
        digit, numerator = divmod(numerator * _DIGIT, denominator)
        random_digit = int(randomness.integers_below(_DIGIT, 1)[0])
        if random_digit != digit:
            return random_digit < digit
