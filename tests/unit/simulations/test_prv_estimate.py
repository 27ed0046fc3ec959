from __future__ import annotations

import math
from typing import Any

import pytest
from opacus.accountants import PRVAccountant

from fedscore.card import PrivacyRecord
from fedscore.contract import NoiseMode
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, DistributedGaussian, PoissonSampledGaussian
from simulations.prv_estimate import prv_estimate
from simulations.torch_surroundings import undisturbed

DELTA = 1e-5
SUM: dict[str, int | str] = {
    "sum": "gradient",
    "sensitivity_squared": 10_000,
    "share_variance": 2_002,
    "honest_shares": 2,
    "shares": 3,
    "dimension": 5,
}
# Of which two honest shares less the lemma's 4 are a noise multiplier of sqrt(.4).
SAMPLED: dict[str, int | str] = {**SUM, "one_in": 20}


def record(*events: dict[str, int | str]) -> PrivacyRecord:
    return PrivacyRecord(
        noise=NoiseMode.SHARED,
        epsilon=1.0,
        person_epsilon=1.0,
        delta=DELTA,
        mu=None,
        absent=0,
        colluding_parties=1,
        events=events,
    )


def accountant(*history: tuple[float, float, int]) -> float:
    asked = PRVAccountant()
    for noise_multiplier, sample_rate, steps in history:
        for _ in range(steps):
            asked.step(noise_multiplier=noise_multiplier, sample_rate=sample_rate)
    with undisturbed(0):
        return float(asked.get_epsilon(DELTA))


def test_without_sampling_or_without_noise_there_is_no_estimate() -> None:
    assert prv_estimate(None) is None
    assert prv_estimate(record(SUM, {**SUM, "steps": 3})) is None
    assert prv_estimate(record({**SAMPLED, "share_variance": 0})) is None


def test_it_is_opacus_fed_with_every_step() -> None:
    counts = {**SUM, "share_variance": 2_000_002, "sum": "outcomes"}
    estimate = prv_estimate(record(counts, SAMPLED, SAMPLED, {**SAMPLED, "steps": 3}))
    multiplier = math.sqrt(4_000 / 10_000)
    expected = accountant((multiplier, 1 / 20, 5), (math.sqrt(400.0), 1.0, 1))
    assert estimate == pytest.approx(expected, rel=1e-9)


def test_it_is_near_what_renyi_proves_and_below() -> None:
    sampled: dict[str, Any] = {**SAMPLED, "share_variance": 200_002}
    event = DistributedGaussian(
        sensitivity_squared=10_000, share_variance=200_002, honest_shares=2, dimension=5, total_shares=3
    )
    proven = guarantee(
        Composed(events=(PoissonSampledGaussian(sum=event, one_in=20, repetitions=200),)), delta=DELTA
    )
    estimate = prv_estimate(record(*[sampled] * 200))
    assert estimate is not None
    assert 0.7 * proven.epsilon < estimate < proven.epsilon
