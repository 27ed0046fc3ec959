"""The matrix that is asked for: its sensitivity, its noise, and that counts come back."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from fedscore.errors import DataError
from fedscore.estimates import Measured, Strategy
from fedscore.estimates.plan import outcome_strategy
from fedscore.estimates.strategy import running_counts, settled_patterns


def test_the_coefficients_are_those_of_the_inverse_square_root() -> None:
    first = running_counts(12).patterns[0]
    exact = [comb(2 * i, i) / 4**i for i in range(12)]
    assert np.allclose(first, exact, atol=2**-20, rtol=0)
    assert np.all(first <= exact)


def test_the_square_of_the_matrix_counts_up() -> None:
    patterns = running_counts(64).patterns
    assert np.allclose(patterns @ patterns, np.triu(np.ones((64, 64))), atol=1e-3)


def test_the_sensitivity_is_exact_and_grows_with_the_logarithm() -> None:
    for cells in (1, 2, 16, 256):
        strategy = running_counts(cells)
        rows = [[Fraction(value) for value in row] for row in strategy.patterns.tolist()]
        assert strategy.bound.sensitivity_squared == max(sum(v * v for v in row) for row in rows)
        assert strategy.bound.largest == 1
        assert float(strategy.bound.sensitivity_squared) == pytest.approx(
            (np.log(cells) + 3.35) / np.pi, abs=0.07
        )


def test_every_running_count_has_little_noise() -> None:
    strategy = running_counts(256)
    measured = Measured(strategy=strategy, values=np.zeros(256), deviation=1.0)
    below = measured.deviations(np.tri(256))
    assert below.max() ** 2 <= float(strategy.bound.sensitivity_squared) + 1e-4
    assert measured.deviations(np.eye(256)).max() ** 2 <= 4 / np.pi + 1e-4
    separate = Measured(strategy=Strategy(patterns=np.eye(256)), values=np.zeros(256), deviation=1.0)
    assert separate.deviations(np.tri(256)).max() == pytest.approx(16.0)


@pytest.mark.parametrize("kind", ["running", "separate", "outcomes"])
def test_counts_come_back_without_noise_and_are_unbiased_with_it(kind: str) -> None:
    generator = np.random.default_rng(5)
    shares = generator.random(20) + 0.1
    strategy = {
        "running": running_counts(40),
        "separate": Strategy(patterns=np.eye(40)),
        "outcomes": outcome_strategy(shares, shares[::-1], ranking_weight=2.0, number_weight=1.0),
    }[kind]
    counts = generator.integers(0, 50, 40).astype(np.float64)
    exact = counts @ strategy.patterns
    assert np.allclose(Measured(strategy=strategy, values=exact, deviation=0.0).counts, counts, atol=1e-8)
    weights = generator.normal(size=(3, 40))
    noise = 2.0 * generator.standard_normal((4000, strategy.dimension))
    found = np.array(
        [weights @ Measured(strategy=strategy, values=exact + one, deviation=2.0).counts for one in noise]
    )
    measured = Measured(strategy=strategy, values=exact, deviation=2.0)
    promised = measured.deviations(weights)
    assert np.all(np.abs(found.mean(axis=0) - weights @ counts) < 4.5 * promised / np.sqrt(4000))
    assert np.allclose(found.std(axis=0), promised, rtol=0.06)
    assert np.allclose(np.cov(found.T), measured.covariance(weights), atol=0.12 * promised.max() ** 2)


def test_least_squares_use_the_further_answers() -> None:
    shares = np.ones(64)
    plain = Strategy(patterns=np.asarray(np.kron(np.eye(2), running_counts(64).patterns), dtype=np.float64))
    ranked = outcome_strategy(shares, shares, ranking_weight=2.0, number_weight=1.0)
    ranking = np.concatenate([np.linspace(0.5, -0.5, 64), np.zeros(64)])
    noise = [
        float(strategy.bound.sensitivity_squared) ** 0.5
        * Measured(strategy=strategy, values=np.zeros(strategy.dimension), deviation=1.0).deviations(ranking)
        for strategy in (plain, ranked)
    ]
    assert noise[1] < 0.8 * noise[0]


def test_entries_are_rounded_toward_zero() -> None:
    values = np.array([[1 / 3, -1 / 3, 1.0, -0.0, 2**-21]])
    settled = settled_patterns(values)
    assert np.all(np.abs(settled) <= np.abs(values))
    assert np.array_equal(settled * 2**20, np.rint(settled * 2**20))
    assert not np.signbit(settled[0, 3])


@pytest.mark.parametrize(
    "patterns",
    [
        np.zeros((0, 3)),
        np.ones((3, 2)),
        np.ones(3),
        np.array([[np.nan]]),
        np.array([[np.inf]]),
        np.array([[17.0]]),
    ],
)
def test_what_is_no_strategy_is_refused(patterns: np.ndarray) -> None:
    with pytest.raises(DataError):
        Strategy(patterns=patterns)


@pytest.mark.parametrize(
    ("values", "deviation"),
    [
        (np.zeros(3), 1.0),
        (np.full(4, np.nan), 1.0),
        (np.zeros(4), np.inf),
        (np.zeros(4), -1.0),
        (np.full(4, 1e13), 1.0),
    ],
)
def test_what_is_no_release_is_refused(values: np.ndarray, deviation: float) -> None:
    with pytest.raises(DataError):
        Measured(strategy=running_counts(4), values=values, deviation=deviation)


def test_running_counts_over_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="at least one"):
        running_counts(0)
