"""What one training of an experiment gives: the rows of its results.

Nothing here knows what time it is or how long anything took: rows are a function of scenario, data and
versions alone. Wall clocks are in `simulations.timings`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedscore.contract import NoiseMode, Role
from fedscore.errors import ScenarioError
from simulations.scenario import Baseline

__all__ = ["Failure", "PartyRun", "Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training and what it scored on the test rows.

    Attributes:
        variation: The coordinates in the scenario's sweep: dotted key and value as TOML text; empty without a
            sweep.
        learner: What was trained: `scorecard`, `neural` or `lightgbm`.
        baseline: What it is compared as, or None for the scenario's own run.
        private: Whether a differential-privacy guarantee holds.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        epsilon_spent: The record-level epsilon of everything that was released, proven: the true one. None
            where infinite.
        epsilon_person: The same for all rows of one person; None where infinite, or where no finite one was
            computed.
        delta: The delta of both epsilons; None where there is no guarantee.
        noise: Who added noise.
        encrypted: Whether sums were added under encryption.
        parties: Parties that trained.
        seed: What everything random was drawn from.
        auc: Area under the ROC curve, on all test rows, exactly (the researcher's view, outside the budget).
        gini: 2 AUC - 1.
        ks: Largest distance between the score's distributions among good and bad.
        brier: Mean squared error of the probability.
        calibration_error: Mean distance between probability and bad rate, over bins of equal mass.
        rounds: Sums that left the parties; 0 where nothing was exchanged.
        values_per_party: Numbers that each party sent.
        bytes_per_party: Bytes that each party sent.
        openings_sha256: SHA-256 over all opened sums of a federated run, in order, each as little-endian
            integers of 64 bits; None where nothing was opened.
        absent: Parties of the roster that were out of a federated run by its last sum.
        epsilon_reported: What the tools that trained would have printed, where it is not the truth.
        epsilon_prv: Opacus' PRV estimate of `epsilon_spent`, where records were sampled: an estimate, usually
            lower; `epsilon_spent` is the promise.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    learner: str
    baseline: Baseline | None
    private: bool
    epsilon: float | None
    epsilon_spent: float | None
    epsilon_person: float | None
    delta: float | None
    noise: NoiseMode
    encrypted: bool
    parties: int
    seed: int
    auc: float
    gini: float
    ks: float
    brier: float
    calibration_error: float
    rounds: int
    values_per_party: int
    bytes_per_party: int
    openings_sha256: str | None = None
    absent: tuple[str, ...] = ()
    epsilon_reported: float | None = None
    epsilon_prv: float | None = None

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ScenarioError(
                    f"a run's {one.name} is not finite: an infinite epsilon is written as None"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRun:
    """What one training is worth to one party, on its own test rows.

    Attributes:
        variation: As in `Run`.
        baseline: None for the federated card or model, `local-only` for the party's own.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        seed: What everything random was drawn from.
        party: Its name.
        role: Its role.
        training_rows: Number of its training rows.
        test_rows: Number of its test rows.
        auc: Exact, on its own test rows; None where they have one outcome only, or where it could train
            nothing by itself.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    baseline: Baseline | None
    epsilon: float | None
    seed: int
    party: str
    role: Role
    training_rows: int
    test_rows: int
    auc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A training that could not end: too few parties or members of the committee were left.

    Attributes:
        variation: As in `Run`, like the next six.
        learner: What was to be trained.
        baseline: What it would have been compared as.
        noise: Who was to add noise.
        epsilon: The record-level epsilon asked for.
        parties: Parties of the roster.
        seed: What everything random was drawn from.
        reason: Why it ended early, in a sentence: the same one every time.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    parties: int
    seed: int
    reason: str
