"""What was found: one line per horizon and method, and what it all came from."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from simulations.early_warning.figures import ALERT_RATE, Estimate, Measured
from simulations.early_warning.methods import Method
from simulations.files import write_whole

__all__ = ["EarlyWarning", "HorizonResult", "MethodResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One method at one horizon.

    Attributes:
        method: Which.
        epsilon: For one record; None where nothing is promised.
        epsilon_person: For a person.
        without_card: Parties that could not train by themselves.
        measured: What its warnings are worth.
    """

    method: Method
    epsilon: float | None
    epsilon_person: float | None
    without_card: int
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonResult:
    """One horizon.

    Attributes:
        horizon_days: The horizon.
        contract_hash: Of the contract about it, with its roster.
        parties: How many there are.
        training_rows: Rows that were trained on.
        training_bad: How many of them are bad.
        test_rows: Later rows that were measured.
        test_bad: How many of them are bad.
        methods: The federated one first.
    """

    horizon_days: int
    contract_hash: str
    parties: int
    training_rows: int
    training_bad: int
    test_rows: int
    test_bad: int
    methods: Sequence[MethodResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyWarning:
    """Everything that `early_warning.json` holds.

    Attributes:
        version: Version of fedscore.
        created: When it ended, with its time zone.
        source: Whose rows they are.
        terms: What was asked for, and the days that separate training and test.
        seeds: Of the noise.
        horizons: By horizon.
    """

    version: str
    created: datetime
    source: str
    terms: Mapping[str, str | int]
    seeds: Sequence[int]
    horizons: Sequence[HorizonResult]

    def to_json(self) -> str:
        """The object of `early_warning.json`, strict JSON, with a line break at its end."""
        document = {
            "fedscore": self.version,
            "created": self.created.isoformat(timespec="seconds"),
            "source": self.source,
            "terms": dict(self.terms),
            "seeds": list(self.seeds),
            "alert_rate": ALERT_RATE,
            "horizons": [dataclasses.asdict(horizon) for horizon in self.horizons],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per horizon and method, under a line of names; what is null in JSON is empty here."""
        lines = [
            {
                **{name: value for name, value in _plain(horizon).items() if name != "methods"},
                **{name: value for name, value in _plain(method).items() if name != "measured"},
                **_measured(method.measured),
            }
            for horizon in self.horizons
            for method in horizon.methods
        ]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        return text.getvalue()

    def write(self, folder: Path) -> None:
        """Write `early_warning.json` and `early_warning.csv`, each in one step.

        Raises:
            ScenarioError: A file cannot be written.
        """
        write_whole(folder / "early_warning.json", self.to_json())
        write_whole(folder / "early_warning.csv", self.to_csv())


def _plain(part: HorizonResult | MethodResult) -> dict[str, object]:
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}


def _measured(measured: Measured) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for field in dataclasses.fields(measured):
        estimate: Estimate | None = getattr(measured, field.name)
        columns[field.name] = None if estimate is None else estimate.value
        columns[f"{field.name}_low"] = None if estimate is None else estimate.low
        columns[f"{field.name}_high"] = None if estimate is None else estimate.high
    return columns
