"""The sampler against the law it promises, written down independently."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fedscore.errors import NoiseError
from privacy.dp import discrete_gaussian as module
from privacy.dp.discrete_gaussian import (
    LARGEST_VARIANCE,
    TAIL_DEVIATIONS,
    bounded_discrete_gaussian,
    discrete_gaussian,
    noise_bound,
    tail_probability,
)
from privacy.dp.randomness import SystemRandomness
from simulations.randomness import SeededRandomness


def _masses(variance: int, reach: int) -> npt.NDArray[np.float64]:
    n = np.arange(-reach, reach + 1)
    weights = np.exp(-(n.astype(float) ** 2) / (2 * variance))
    masses: npt.NDArray[np.float64] = weights / weights.sum()
    return masses


def _p_value(drawn: npt.NDArray[np.int64], variance: int) -> float:
    """Chi-square over cells of at least ten expected draws; the two tails are one cell each."""
    reach = math.isqrt(variance) * 12 + 12
    expected = _masses(variance, reach) * drawn.size
    counts = np.bincount(drawn + reach, minlength=2 * reach + 1)
    cells = np.flatnonzero(expected >= 10)
    low, high = cells[0], cells[-1]
    observed = [counts[: low + 1].sum(), *counts[low + 1 : high], counts[high:].sum()]
    awaited = [expected[: low + 1].sum(), *expected[low + 1 : high], expected[high:].sum()]
    return float(stats.chisquare(observed, awaited).pvalue)


@pytest.mark.parametrize("variance", [1, 2, 3, 4, 9, 10, 99, 100, 1000])
def test_draws_follow_the_exact_masses(variance: int) -> None:
    drawn = discrete_gaussian(
        variance, 200_000 if variance <= 10 else 100_000, SeededRandomness((11, variance))
    )
    assert _p_value(drawn, variance) > 1e-3


def test_the_systems_own_randomness_draws_the_same_law() -> None:
    drawn = discrete_gaussian(9, 100_000, SystemRandomness())
    assert _p_value(drawn, 9) > 1e-7


@pytest.mark.parametrize("wrong", [8, 10])
def test_the_check_against_the_masses_notices_a_neighbouring_variance(wrong: int) -> None:
    drawn = discrete_gaussian(wrong, 200_000, SeededRandomness((11, wrong)))
    assert _p_value(drawn, 9) < 1e-9


@pytest.mark.parametrize("variance", [2**30, 2**46, 2**46 + 12345, LARGEST_VARIANCE])
def test_draws_of_a_huge_variance_are_normal(variance: int) -> None:
    drawn = discrete_gaussian(variance, 100_000, SeededRandomness((13, variance)))
    standard = drawn / math.sqrt(variance)
    assert stats.kstest(standard, "norm").pvalue > 1e-3
    assert abs(standard.var() - 1) < 4 * math.sqrt(2 / drawn.size)
    assert abs((standard**4).mean() - 3) < 4 * math.sqrt(96 / drawn.size)
    for modulus in (2, 7):
        residues = np.bincount(drawn % modulus, minlength=modulus)
        assert stats.chisquare(residues).pvalue > 1e-3


def test_coordinates_are_independent() -> None:
    drawn = discrete_gaussian(400, 200_000, SeededRandomness(17)).astype(float)
    for lag in (1, 2, 3):
        correlation = np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]
        assert abs(correlation) < 4 / math.sqrt(drawn.size)
    # The order of draws must not tell how many trials each took.
    halves = np.abs(drawn[:100_000]).mean() / np.abs(drawn[100_000:]).mean()
    assert abs(halves - 1) < 0.02


@pytest.mark.parametrize("whole", [1, 2, 3])
def test_coins_of_exp_of_a_fraction_are_exact(whole: int) -> None:
    denominator = 6
    tosses = 200_000
    for numerator in range(denominator + 1):
        numerators = np.full(tosses, numerator, dtype=np.int64)
        heads = module._bernoulli_exp_fraction(
            numerators, denominator, SeededRandomness((19, whole, numerator))
        )
        exact = math.exp(-numerator / denominator)
        assert abs(heads.mean() - exact) <= 4 * math.sqrt(exact * (1 - exact) / tosses)


def test_coins_of_big_fractions_agree_with_exact_ones() -> None:
    denominator = 3 * 10**30
    tosses = 200_000
    for tenth in (0, 1, 4, 9):
        numerators = np.full(tosses, 3 * 10**29 * tenth, dtype=np.object_)
        heads = module._bernoulli_exp_big_fraction(numerators, denominator, SeededRandomness((23, tenth)))
        exact = math.exp(-tenth / 10)
        assert abs(heads.mean() - exact) <= 4 * math.sqrt(exact * (1 - exact) / tosses)


class _Scripted:
    """A source that answers with prepared integers."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        taken, self.answers = self.answers[:size], self.answers[size:]
        assert all(answer < bound for answer in taken)
        return np.array(taken, dtype=np.int64)


def test_a_tie_in_the_leading_digit_is_settled_by_later_digits() -> None:
    third = 2**62 // 3  # 2**62 is 1 modulo 3, so every digit of 1/3 in base 2**62 is this one
    assert module._bernoulli(1, 3, _Scripted(third, third, third - 1)) is True
    assert module._bernoulli(1, 3, _Scripted(third, third, third + 1)) is False
    # In the vectorised coin: the first trial ties, loses on the next digit, and so the coin shows heads.
    heads = module._bernoulli_exp_big_fraction(
        np.array([1], dtype=np.object_), 3, _Scripted(third, third + 1)
    )
    assert heads.tolist() == [True]
    # It ties, wins on the next digit, then fails the second trial: tails.
    script = _Scripted(third, third - 1, 1)
    heads = module._bernoulli_exp_big_fraction(np.array([1], dtype=np.object_), 3, script)
    assert heads.tolist() == [False]


@pytest.mark.parametrize("variance", [0, -1, LARGEST_VARIANCE + 1])
def test_refuses_variances_outside_its_limits(variance: int) -> None:
    for call in (
        lambda: discrete_gaussian(variance, 1, SeededRandomness(1)),
        lambda: bounded_discrete_gaussian(variance, 1, SeededRandomness(1)),
        lambda: noise_bound(variance),
        lambda: tail_probability(variance),
    ):
        with pytest.raises(NoiseError, match="an integer from 1 to 2\\*\\*80"):
            call()


def test_refuses_a_negative_size_and_draws_nothing_for_none() -> None:
    with pytest.raises(NoiseError, match="ask for none or more"):
        discrete_gaussian(1, -1, SeededRandomness(1))
    assert discrete_gaussian(1, 0, SeededRandomness(1)).shape == (0,)


def test_a_numpy_variance_does_not_overflow() -> None:
    variance = 2**61
    from_numpy = discrete_gaussian(np.int64(variance), 100, SeededRandomness(29))  # type: ignore[arg-type]  # the point
    assert from_numpy.tolist() == discrete_gaussian(variance, 100, SeededRandomness(29)).tolist()


def test_bounded_noise_is_redrawn_and_otherwise_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAIL_DEVIATIONS", 1)
    drawn = bounded_discrete_gaussian(16, 100_000, SeededRandomness(31))
    assert np.abs(drawn).max() == noise_bound(16) == 4
    conditional = _masses(16, 100)[96:105]
    counts = np.bincount(drawn + 4, minlength=9)
    assert stats.chisquare(counts, conditional / conditional.sum() * drawn.size).pvalue > 1e-3


def test_noise_inside_the_bound_is_not_redrawn() -> None:
    plain = discrete_gaussian(50, 1000, SeededRandomness(37))
    assert bounded_discrete_gaussian(50, 1000, SeededRandomness(37)).tolist() == plain.tolist()


@pytest.mark.parametrize(
    ("variance", "root_up"), [(1, 1), (2, 2), (4, 2), (5, 3), (2**46, 2**23), (2**46 + 1, 2**23 + 1)]
)
def test_bound_is_a_multiple_of_the_deviation_rounded_up(variance: int, root_up: int) -> None:
    assert noise_bound(variance) == TAIL_DEVIATIONS * root_up


@pytest.mark.parametrize("deviations", [1, 2, 3])
@pytest.mark.parametrize("variance", [1, 2, 9, 10, 1000])
def test_tail_bound_holds_and_is_not_idle(
    variance: int, deviations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TAIL_DEVIATIONS", deviations)
    bound = noise_bound(variance)
    reach = 40 * (math.isqrt(variance) + 1)
    masses = _masses(variance, reach)
    exact = 2 * masses[: reach - bound].sum()
    assert exact <= tail_probability(variance) <= 300 * exact


def test_tail_is_negligible_even_times_a_huge_epsilon() -> None:
    for variance in (9, 10, 2**46, LARGEST_VARIANCE):
        assert 0 < tail_probability(variance) <= 2.8e-87
