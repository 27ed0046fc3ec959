"""The file of a watched card, `monitoring.json`: what moved since training, and what outcomes say by now."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fedscore.card import CardParty, PrivacyRecord, Provenance, read_trained
from fedscore.contract import Outcome, Role
from fedscore.estimates import AlarmReading, Shift

__all__ = [
    "SCHEMA",
    "AlarmFound",
    "BinShares",
    "CalibrationFound",
    "Figure",
    "GradeFound",
    "MonitoringReport",
    "StabilityFound",
    "Watch",
]

SCHEMA: Literal[1] = 1
"""Version of the file."""


class Watch(StrEnum):
    """Whose rows were watched."""

    CONSORTIUM = "consortium"
    """All parties', through private sums."""

    OWN = "own"
    """One organisation's, exactly; the file stays there."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figure(_Frozen):
    """A number with what noise and sampling leave open.

    Attributes:
        value: Best guess; none if it cannot be measured, and then the intervals are all that is possible.
        low: With `high`, an interval that holds the exact value of these very rows at the report's level.
        high: See `low`.
        total_low: With `total_high`, the same for all customers like these: noise and sampling.
        total_high: See `total_low`.
    """

    value: float | None
    low: float
    high: float
    total_low: float
    total_high: float


class BinShares(_Frozen):
    """A bin's share of the records.

    Attributes:
        label: In words.
        then: Of the records that present ones are compared with; none where noise hides all of them.
        now: Of the present ones; likewise. Noise may make a share negative.
    """

    label: str
    then: float | None
    now: float | None


class StabilityFound(_Frozen):
    """How far one distribution has moved.

    Attributes:
        name: The characteristic's, the interaction's, or "score".
        index: Population stability index.
        reading: Below 0.1 stable, up to 0.25 moderate, above shifted; unknown if the interval reaches from
            stable to shifted, or nothing can be measured.
        certain: Whether the whole interval has that reading.
        bins: What it was computed from.
    """

    name: str
    index: Figure
    reading: Shift
    certain: bool
    bins: tuple[BinShares, ...]


class GradeFound(_Frozen):
    """One grade.

    Attributes:
        name: As in the card.
        lowest_score: Where it begins; none for the last.
        then: Its share of the records that present ones are compared with.
        now: Its share of the present ones.
        promised: The bad rate that the card's file states for it.
        expected: The bad rate that the card expects of its present records; none without outcomes.
        observed: The bad rate that came about; none without outcomes.
    """

    name: str
    lowest_score: float | None
    then: float
    now: Figure
    promised: float
    expected: Figure | None
    observed: Figure | None


class CalibrationFound(_Frozen):
    """Whether probabilities still fit.

    Attributes:
        in_the_large: Log-odds that outcomes have moved by; 0 is no drift.
        slope: Slope of the outcomes' log-odds on the card's; 1 is no drift, below 1 the card claims too much.
    """

    in_the_large: Figure
    slope: Figure


class AlarmFound(_Frozen):
    """Whether the bad rate has risen.

    Attributes:
        reading: Alarm, small rise, quiet, or undecided.
        sentence: The same in words.
        observed: Bad rate of the rows whose outcome is known.
        expected: Bad rate that the card expects of them.
        shift: Observed divided by expected, minus 1.
        limit: The shift that matters.
        detectable: The smallest shift that would surely have been seen; none if there is none.
        power: The chance of an alarm if the bad rate had risen by `limit`.
    """

    reading: AlarmReading
    sentence: str
    observed: Figure
    expected: Figure
    shift: Figure
    limit: float
    detectable: float | None
    power: float


class MonitoringReport(_Frozen):
    """What watching a card gave.

    Attributes:
        schema_version: Of this file.
        software_version: Of the fedscore that wrote it.
        watch: Whose rows were watched.
        card: Fingerprint of the card.
        card_name: Name of the contract that the card was trained under.
        outcome: What the card predicts.
        contract_hash: The contract of the monitoring; none for own rows.
        contract_name: Its name.
        parties: Whose rows they are; empty for own rows.
        role: What the organisation is to the consortium; none for the consortium's rows.
        own_past: Whether present rows are compared with earlier ones of the organisation itself, and not with
            the card's training records.
        level: Of all intervals.
        records: Number of present rows; noisy for the consortium's.
        known: Number of those whose outcome is known.
        score: Stability of the score.
        tables: Stability of each characteristic and interaction, in the card's order.
        grades: In the card's order.
        calibration: None if no outcome is known.
        alarm: None if no outcome is known.
        notes: What has to be known for reading it.
        privacy: What it cost; none for own rows.
        provenance: The run that it comes from, if it comes from a deployment.
    """

    schema_version: Literal[1] = SCHEMA
    software_version: str
    watch: Watch
    card: str
    card_name: str
    outcome: Outcome
    contract_hash: str | None = None
    contract_name: str | None = None
    parties: tuple[CardParty, ...] = ()
    role: Role | None = None
    own_past: bool = False
    level: float = Field(gt=0, lt=1)
    records: float
    known: float
    score: StabilityFound
    tables: tuple[StabilityFound, ...]
    grades: tuple[GradeFound, ...]
    calibration: CalibrationFound | None = None
    alarm: AlarmFound | None = None
    notes: tuple[str, ...] = ()
    privacy: PrivacyRecord | None = None
    provenance: Provenance | None = None

    @property
    def file_name(self) -> str:
        """What its file is called in a folder of results."""
        return "monitoring.json"

    @property
    def moved(self) -> tuple[StabilityFound, ...]:
        """The tables that are not stable, farthest first; not those of which nothing is known."""
        found = [one for one in self.tables if one.reading in (Shift.MODERATE, Shift.SHIFTED)]
        return tuple(sorted(found, key=lambda one: one.index.value or 0.0, reverse=True))

    def with_privacy(self, privacy: PrivacyRecord) -> MonitoringReport:
        """Returns the report with what it cost."""
        return self.model_copy(update={"privacy": privacy})

    def with_provenance(self, provenance: Provenance) -> MonitoringReport:
        """Returns the report with where it comes from."""
        return self.model_copy(update={"provenance": provenance})

    def to_json(self) -> str:
        """Returns the file's text: the same report gives the same bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> MonitoringReport:
        """Reads a report's file.

        Raises:
            CardError: The file is missing, no JSON, or not a report of this schema.
        """
        return read_trained(cls, path, called="a monitoring report", named="monitoring.json", schema=SCHEMA)
