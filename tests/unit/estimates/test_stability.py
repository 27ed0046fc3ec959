"""The population stability index from two noisy histograms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.errors import DataError
from fedscore.estimates import NoisyCounts, Shift, stability

Floats = npt.NDArray[np.float64]


def psi(current: npt.NDArray[np.int64], reference: npt.NDArray[np.int64]) -> float:
    p, q = (np.clip(counts / counts.sum(), 1e-4, 1.0) for counts in (current, reference))
    return float(np.sum((p - q) * np.log(p / q)))


def shares(cells: int, tilt: float) -> Floats:
    weights = np.exp(-0.25 * np.arange(cells) + tilt * np.linspace(-1, 1, cells))
    return np.asarray(weights / weights.sum())


def exact(counts: list[float]) -> NoisyCounts:
    return NoisyCounts(counts=np.array(counts, dtype=np.float64), deviation=0.0)


def noisy(counts: npt.NDArray[np.int64], deviation: float, generator: np.random.Generator) -> NoisyCounts:
    return NoisyCounts(
        counts=counts + deviation * generator.standard_normal(len(counts)), deviation=deviation
    )


def test_without_noise_it_is_the_formula() -> None:
    found = stability(exact([500, 300, 200]), exact([400, 300, 300]))
    assert found.index.value == pytest.approx(0.1 * np.log(5 / 4) + 0.1 * np.log(3 / 2))
    assert found.index.low == pytest.approx(found.index.high)
    assert found.certain


@pytest.mark.parametrize(
    ("current", "reading"),
    [
        ([500, 500], Shift.STABLE),
        ([350, 650], Shift.STABLE),
        ([320, 680], Shift.MODERATE),
        ([200, 800], Shift.SHIFTED),
    ],
)
def test_the_usual_reading(current: list[float], reading: Shift) -> None:
    assert stability(exact([500, 500]), exact(current)).reading is reading


@pytest.mark.parametrize(
    ("rows", "deviation", "tilt", "cells"),
    [
        (50_000, 23.0, 0.0, 12),
        (50_000, 23.0, 0.3, 12),
        (50_000, 23.0, 0.8, 30),
        (50_000, 60.0, 0.1, 12),
        (1_000_000, 23.0, 0.3, 30),
        (5_000, 23.0, 0.0, 12),
        (5_000, 23.0, 0.6, 30),
        (50_000, 60.0, 0.01, 2),
        (50_000, 60.0, 0.0, 2),
        (50_000, 60.0, 0.1, 3),
        (50_000, 300.0, 0.2, 2),
        (50_000, 60.0, 1.0, 5),
    ],
)
def test_the_exact_index_and_the_truth_lie_inside(
    rows: int, deviation: float, tilt: float, cells: int
) -> None:
    generator = np.random.default_rng(rows + cells)
    before, after = shares(cells, 0.0), shares(cells, tilt)
    truth = float(np.sum((after - before) * np.log(after / before)))
    hits = total_hits = 0
    for _ in range(200):
        reference, current = generator.multinomial(rows, before), generator.multinomial(rows, after)
        index = stability(noisy(reference, deviation, generator), noisy(current, deviation, generator)).index
        hits += index.low <= psi(current, reference) <= index.high
        total_hits += index.total_low <= truth <= index.total_high
    assert min(hits, total_hits) >= 190


def test_the_bias_of_the_noise_is_taken_off() -> None:
    generator = np.random.default_rng(9)
    counts = generator.multinomial(50_000, shares(12, 0.0))
    naive, corrected = [], []
    for _ in range(300):
        reference, current = noisy(counts, 60.0, generator), noisy(counts, 60.0, generator)
        naive.append(
            psi(np.maximum(current.counts, 1).astype(int), np.maximum(reference.counts, 1).astype(int))
        )
        corrected.append(stability(reference, current).index.value or 0.0)
    assert np.mean(naive) > 0.0005
    assert np.mean(corrected) < 0.4 * np.mean(naive)


def test_an_interval_that_forgets_the_noise_would_be_caught() -> None:
    generator = np.random.default_rng(10)
    counts = generator.multinomial(50_000, shares(12, 0.0))
    hits = 0
    for _ in range(100):
        reference, current = (noisy(counts, 60.0, generator).counts for _ in range(2))
        index = stability(
            NoisyCounts(counts=reference, deviation=0.0), NoisyCounts(counts=current, deviation=0.0)
        ).index
        hits += index.low <= 0.0 <= index.high
    assert hits < 50


def test_what_noise_hides_is_unknown() -> None:
    generator = np.random.default_rng(11)
    counts = generator.multinomial(300, shares(12, 0.0))
    found = stability(noisy(counts, 60.0, generator), noisy(counts, 60.0, generator))
    assert not found.index.measurable
    assert found.reading is Shift.UNKNOWN
    assert not found.certain
    assert found.index.high > 10


def test_an_interval_from_stable_to_shifted_says_nothing() -> None:
    generator = np.random.default_rng(12)
    counts = generator.multinomial(5_000, shares(30, 0.0))
    found = stability(noisy(counts, 23.0, generator), noisy(counts, 23.0, generator))
    assert found.index.measurable
    assert found.reading is Shift.UNKNOWN


def test_a_cell_that_was_empty_has_a_floor() -> None:
    found = stability(exact([1000, 0]), exact([900, 100]))
    assert found.index.value == pytest.approx(0.1 * np.log(1 / 0.9) + 0.0999 * np.log(0.1 / 1e-4))
    assert found.reading is Shift.SHIFTED


def test_what_is_no_histogram_is_refused() -> None:
    with pytest.raises(DataError, match="compare the same table"):
        stability(exact([1, 2]), exact([1, 2, 3]))
    for counts, deviation in (
        (np.array([np.nan]), 1.0),
        (np.zeros((2, 2)), 1.0),
        (np.ones(2), np.inf),
        (np.zeros(0), 1.0),
    ):
        with pytest.raises(DataError, match="histogram"):
            NoisyCounts(counts=counts, deviation=deviation)


def test_counts_with_noise_of_their_own_are_as_sure_as_their_noise() -> None:
    generator = np.random.default_rng(3)
    counts = np.array([20_000.0, 15_000.0, 10_000.0, 5_000.0])
    deviations = np.array([5.0, 20.0, 80.0, 320.0])
    drawn = counts + deviations * generator.standard_normal((40_000, 4))
    own = NoisyCounts(counts=counts, deviation=deviations).share_deviations
    np.testing.assert_allclose((drawn / drawn.sum(axis=1, keepdims=True)).std(axis=0), own, rtol=0.03)
    same = NoisyCounts(counts=counts, deviation=np.full(4, 20.0))
    assert (
        same.share_deviations.tolist() == NoisyCounts(counts=counts, deviation=20.0).share_deviations.tolist()
    )


@pytest.mark.parametrize("deviation", [np.ones(3), np.array([1.0, -1.0]), np.array([1.0, np.nan])])
def test_a_deviation_belongs_to_each_count(deviation: Floats) -> None:
    with pytest.raises(DataError, match="finite deviation"):
        NoisyCounts(counts=np.array([5.0, 5.0]), deviation=deviation)
