"""What an experiment found: one object per run, a summary over seeds, and what it all came from.

Nothing here knows what time it is or how long anything took: results are a function of scenario, data and
versions alone. Wall clocks are in `simulations.timings`.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedscore.contract import NoiseMode, Role
from fedscore.errors import ScenarioError
from simulations.audit.row import AuditRow
from simulations.files import write_whole
from simulations.paired import paired_gap
from simulations.scenario import Baseline

__all__ = ["Failure", "Origin", "PartyRun", "Results", "Run", "Summary", "summarise"]

_Place = tuple[tuple[str, str], ...]
_Key = tuple[_Place, str, Baseline | None, NoiseMode, float | None]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What one variation of a scenario was made from.

    Attributes:
        variation: As in `Run`; empty for the only variation of a scenario without a sweep.
        contract_hash: Hash of the contract as its file has it.
        data_sha256: SHA-256 of the data file; None where people were invented.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    contract_hash: str
    data_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A method at one epsilon in one variation, over its seeds.

    Attributes:
        variation: As in `Run`.
        learner: What was trained.
        baseline: What it is compared as, or None for the scenario's own run.
        noise: Who added noise.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        epsilon_spent: The largest true one of the runs; None where it is infinite.
        epsilon_reported: The largest that was reported instead, if one was.
        epsilon_prv: The largest PRV estimate, if there is one.
        n: Number of runs that ended.
        failed: Number of runs that could not end; the other figures know nothing of them.
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

    variation: Mapping[str, str] = field(default_factory=dict)
    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    epsilon_spent: float | None
    epsilon_reported: float | None
    epsilon_prv: float | None
    n: int
    failed: int = 0
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
        versions: Of fedscore, Python, and the packages that decide figures, by name.
        code_sha256: Hash of fedscore's own source files.
        origins: Contract and data of each variation, in the order of the sweep; at least one.
        scenario: The experiment as it was run, overrides included; of a sweep, as its first variation was.
        runs: Variation by variation, in the order of the scenario's seeds and epsilons; the federated runs
            come first in each.
        parties: What the federated cards and the local ones are worth to each party; in the same order.
        audits: What audits found; empty where the scenario asks for none.
        failures: Trainings that could not end; they are among no others.
    """

    versions: Mapping[str, str]
    code_sha256: str
    origins: Sequence[Origin]
    scenario: Mapping[str, Any]
    runs: Sequence[Run]
    parties: Sequence[PartyRun] = ()
    audits: Sequence[AuditRow] = ()
    failures: Sequence[Failure] = ()

    @property
    def summary(self) -> tuple[Summary, ...]:
        """The runs by variation, method and epsilon."""
        return summarise(self.runs, self.failures)

    def to_json(self) -> str:
        """The object of `results.json`, strict JSON (no NaN, no infinity), with a line break at its end."""
        document = {
            "versions": self.versions,
            "code_sha256": self.code_sha256,
            "origins": [dataclasses.asdict(origin) for origin in self.origins],
            "scenario": self.scenario,
            "runs": [dataclasses.asdict(run) for run in self.runs],
            "summary": [dataclasses.asdict(summary) for summary in self.summary],
            "parties": [dataclasses.asdict(party) for party in self.parties],
            "audits": [audit.to_document() for audit in self.audits],
            "failures": [dataclasses.asdict(failure) for failure in self.failures],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The runs, one a line, under a line of names; what is null in JSON is empty here.

        Each swept key is a column of its own, before all others.
        """
        return _table(Run, self.runs)

    def parties_csv(self) -> str:
        """What `parties` holds, in the same form."""
        return _table(PartyRun, self.parties)

    def failures_csv(self) -> str:
        """What `failures` holds, in the same form."""
        return _table(Failure, self.failures)

    def write(self, folder: Path) -> None:
        """Write `results.json`, `results.csv`, `parties.csv`, and `failures.csv` if there are any.

        Each is written in one step. A `failures.csv` of an earlier experiment goes, if there are none now.

        Raises:
            ScenarioError: A file cannot be written.
        """
        write_whole(folder / "results.json", self.to_json())
        write_whole(folder / "results.csv", self.to_csv())
        write_whole(folder / "parties.csv", self.parties_csv())
        if self.failures:
            write_whole(folder / "failures.csv", self.failures_csv())
        else:
            (folder / "failures.csv").unlink(missing_ok=True)


def _table(
    kind: type[Run | PartyRun | Failure], entries: Sequence[Run] | Sequence[PartyRun] | Sequence[Failure]
) -> str:
    swept = list(dict.fromkeys(key for entry in entries for key in entry.variation))
    names = [one.name for one in dataclasses.fields(kind) if one.name != "variation"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*swept, *names])
    for entry in entries:
        coordinates = [entry.variation.get(key, "") for key in swept]
        writer.writerow([*coordinates, *(_plain(getattr(entry, name)) for name in names)])
    return text.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else value


def summarise(runs: Sequence[Run], failures: Sequence[Failure] = ()) -> tuple[Summary, ...]:
    """Bring runs together by variation, method and epsilon, in the order of their first runs.

    Differences are within one variation alone.

    Args:
        runs: Any runs; at most one of each variation, method, epsilon and seed.
        failures: Runs that could not end, which are counted beside the others.
    """
    groups: dict[_Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    failed = collections.Counter(_key(failure) for failure in failures)
    ceilings: dict[_Place, list[Run]] = {}
    own: dict[_Place, dict[float | None, Mapping[int, float]]] = {}
    for (place, _, baseline, _, epsilon), group in groups.items():
        if baseline is Baseline.POOLED_LIGHTGBM:
            ceilings.setdefault(place, []).extend(group)
        if baseline is None:
            own.setdefault(place, {})[epsilon] = _by_seed(group)
    return tuple(
        _summary(group, _by_seed(ceilings.get(key[0], ())), own.get(key[0], {}), failed=failed[key])
        for key, group in groups.items()
    )


def _key(run: Run | Failure) -> _Key:
    return (tuple(run.variation.items()), run.learner, run.baseline, run.noise, run.epsilon)


def _by_seed(runs: Iterable[Run]) -> dict[int, float]:
    return {run.seed: run.auc for run in runs}


def _summary(
    runs: Sequence[Run],
    ceiling: Mapping[int, float],
    own: Mapping[float | None, Mapping[int, float]],
    *,
    failed: int,
) -> Summary:
    first = runs[0]
    to_lightgbm = paired_gap(ceiling, _by_seed(runs))
    gap = None if first.baseline is None else paired_gap(_counterpart(first.epsilon, own), _by_seed(runs))
    return Summary(
        variation=first.variation,
        learner=first.learner,
        baseline=first.baseline,
        noise=first.noise,
        epsilon=first.epsilon,
        epsilon_spent=_largest(run.epsilon_spent for run in runs),
        epsilon_reported=_largest(run.epsilon_reported for run in runs),
        epsilon_prv=_largest(run.epsilon_prv for run in runs),
        n=len(runs),
        failed=failed,
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
