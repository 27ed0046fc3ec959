"""What an experiment found, and what it all came from: a function of scenario, data and versions alone."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulations.audit.row import AuditRow
from simulations.files import write_whole
from simulations.runs import Failure, PartyRun, Run
from simulations.summaries import Summary, summarise

__all__ = ["Failure", "Origin", "PartyRun", "Results", "Run", "Summary", "summarise"]


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
