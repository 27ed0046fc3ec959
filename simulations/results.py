"""What an experiment found: one object per run, a summary over seeds, and what it all came from."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fedscore.contract import NoiseMode
from fedscore.errors import ScenarioError
from simulations.files import write_whole
from simulations.paired import paired_gap
from simulations.scenario import Baseline

__all__ = ["Results", "Run", "Summary", "summarise"]

_Key = tuple[str, Baseline | None, NoiseMode, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training and what it scored on the test rows.

    Attributes:
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
        seconds: Duration of the training.
        encrypt_seconds: Of it, encryption of all parties; 0 where nothing is encrypted, like the next three.
        prove_seconds: Proofs of plaintext knowledge and signatures.
        verify_seconds: Their verification by the server and by every committee member.
        open_seconds: Partial openings, their combination, and its checks.
        epsilon_reported: What the tools that trained would have printed, where it is not the truth.
        epsilon_prv: Opacus' PRV estimate of `epsilon_spent`, where records were sampled: an estimate, usually
            lower; `epsilon_spent` is the promise.
    """

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
    seconds: float
    encrypt_seconds: float = 0.0
    prove_seconds: float = 0.0
    verify_seconds: float = 0.0
    open_seconds: float = 0.0
    epsilon_reported: float | None = None
    epsilon_prv: float | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ScenarioError(
                    f"a run's {field.name} is not finite: an infinite epsilon is written as None"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A method at one epsilon, over its seeds.

    Attributes:
        learner: What was trained.
        baseline: What it is compared as, or None for the scenario's own run.
        noise: Who added noise.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        epsilon_spent: The largest true one of the runs; None where it is infinite.
        epsilon_reported: The largest that was reported instead, if one was.
        epsilon_prv: The largest PRV estimate, if there is one.
        n: Number of runs.
        auc_mean: Mean AUC.
        auc_sd: Standard deviation of the AUC over seeds (n - 1 in the denominator); None for one run.
        ks_mean: Mean KS.
        gap_to_lightgbm: AUC of pooled LightGBM minus this method's, mean over the seeds that both have; None
            where there is none.
        auc_gap: AUC of the scenario's own run minus this baseline's, mean over the seeds that both have, at
            the same epsilon. None for own runs, and for a baseline without epsilon if own runs have several.
        auc_gap_margin: Half the width of the 95 % interval of `auc_gap` (Student's t over seeds); None for a
            single seed.
    """

    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    epsilon_spent: float | None
    epsilon_reported: float | None
    epsilon_prv: float | None
    n: int
    auc_mean: float
    auc_sd: float | None
    ks_mean: float
    gap_to_lightgbm: float | None
    auc_gap: float | None
    auc_gap_margin: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that `results.json` holds.

    Attributes:
        version: Version of fedscore.
        created: When the experiment ended, with its time zone.
        contract_hash: Hash of the contract as its file has it.
        scenario: The experiment as it was run, overrides included.
        runs: In the order of the scenario's seeds and epsilons; the federated runs come first.
    """

    version: str
    created: datetime
    contract_hash: str
    scenario: Mapping[str, Any]
    runs: Sequence[Run]

    @property
    def summary(self) -> tuple[Summary, ...]:
        """The runs by method and epsilon."""
        return summarise(self.runs)

    def to_json(self) -> str:
        """The object of `results.json`, strict JSON (no NaN, no infinity), with a line break at its end."""
        document = {
            "fedscore": self.version,
            "created": self.created.isoformat(timespec="seconds"),
            "contract_hash": self.contract_hash,
            "scenario": self.scenario,
            "runs": [dataclasses.asdict(run) for run in self.runs],
            "summary": [dataclasses.asdict(summary) for summary in self.summary],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The runs, one a line, under a line of names; what is null in JSON is empty here."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(Run)], lineterminator="\n")
        writer.writeheader()
        for run in self.runs:
            writer.writerow({key: _plain(value) for key, value in dataclasses.asdict(run).items()})
        return text.getvalue()

    def write(self, folder: Path) -> None:
        """Write `results.json` and `results.csv`, each in one step.

        Raises:
            ScenarioError: A file cannot be written.
        """
        write_whole(folder / "results.json", self.to_json())
        write_whole(folder / "results.csv", self.to_csv())


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def summarise(runs: Sequence[Run]) -> tuple[Summary, ...]:
    """Bring runs together by learner, baseline, noise and epsilon, in the order in which they first appear.

    Args:
        runs: Any runs; at most one of each method, epsilon and seed.
    """
    groups: dict[_Key, list[Run]] = {}
    for run in runs:
        groups.setdefault((run.learner, run.baseline, run.noise, run.epsilon), []).append(run)
    ceiling = _by_seed(run for run in runs if run.baseline is Baseline.POOLED_LIGHTGBM)
    own = {
        epsilon: _by_seed(group) for (_, baseline, _, epsilon), group in groups.items() if baseline is None
    }
    return tuple(_summary(key, group, ceiling, own) for key, group in groups.items())


def _by_seed(runs: Iterable[Run]) -> dict[int, float]:
    return {run.seed: run.auc for run in runs}


def _summary(
    key: _Key,
    runs: Sequence[Run],
    ceiling: Mapping[int, float],
    own: Mapping[float | None, Mapping[int, float]],
) -> Summary:
    learner, baseline, noise, epsilon = key
    to_lightgbm = paired_gap(ceiling, _by_seed(runs))
    gap = None if baseline is None else paired_gap(_counterpart(epsilon, own), _by_seed(runs))
    return Summary(
        learner=learner,
        baseline=baseline,
        noise=noise,
        epsilon=epsilon,
        epsilon_spent=_largest(run.epsilon_spent for run in runs),
        epsilon_reported=_largest(run.epsilon_reported for run in runs),
        epsilon_prv=_largest(run.epsilon_prv for run in runs),
        n=len(runs),
        auc_mean=statistics.fmean(run.auc for run in runs),
        auc_sd=statistics.stdev(run.auc for run in runs) if len(runs) > 1 else None,
        ks_mean=statistics.fmean(run.ks for run in runs),
        gap_to_lightgbm=None if to_lightgbm is None else to_lightgbm.mean,
        auc_gap=None if gap is None else gap.mean,
        auc_gap_margin=None if gap is None else gap.margin,
    )


def _counterpart(
    epsilon: float | None, own: Mapping[float | None, Mapping[int, float]]
) -> Mapping[int, float]:
    """The own runs that a baseline is compared with: those of its epsilon; without one, the only ones."""
    if epsilon is None and len(own) == 1:
        return next(iter(own.values()))
    return own.get(epsilon, {})


def _largest(values: Iterable[float | None]) -> float | None:
    """None if one of the values is: there it stands for infinity, or for nothing at all."""
    known = [-math.inf if value is None else value for value in values]
    return None if -math.inf in known else max(known)
