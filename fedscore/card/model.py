"""The card file: what it holds, and how a score follows from it.

A record falls into one bin of every characteristic and interaction. Its score is the intercept's points
plus the points of those bins: the higher, the safer. `probability` turns a score into the probability of
the outcome; `Scale` says how. Points have at most two decimals and are added as whole hundredths, so a score
is exact whatever adds it.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

from fedscore.card.parts import (
    CardParty,
    CardSignature,
    CardTable,
    Evaluation,
    Grade,
    Points,
    PrivacyRecord,
    Provenance,
    Scale,
    ScoreBands,
    hundredths,
)
from fedscore.card.reading import read_trained
from fedscore.contract import Grid, Outcome
from fedscore.errors import CardError
from fedscore.files import write_whole

__all__ = ["SCHEMA", "Card"]

SCHEMA: Literal[2] = 2
"""Version of the file."""


class Card(BaseModel):
    """A scorecard.

    Attributes:
        schema_version: Of this file.
        software_version: Of the fedscore that trained it.
        contract_hash: The contract that it was trained under.
        contract_name: Its name.
        purpose: What the contract says that the score is for.
        outcome: What is predicted.
        parties: Whose rows trained it.
        scale: From points to odds.
        grid: What turns columns into cells; the characteristics with their reasons.
        intercept_points: Every record's first points.
        characteristics: Tables of one characteristic each.
        interactions: Tables of two characteristics each.
        grades: Best first; empty if the contract has none.
        bands: Distribution of the training records' scores; none if the contract has no grades.
        evaluation: Metrics over test rows; none if the contract has none.
        privacy: What training cost.
        provenance: The run that it comes from.
        signature: Who stands behind the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[2] = SCHEMA
    software_version: str
    contract_hash: str
    contract_name: str
    purpose: str
    outcome: Outcome
    parties: tuple[CardParty, ...]
    scale: Scale
    grid: Grid
    intercept_points: Points
    characteristics: tuple[CardTable, ...]
    interactions: tuple[CardTable, ...]
    grades: tuple[Grade, ...] = ()
    bands: ScoreBands | None = None
    evaluation: Evaluation | None = None
    privacy: PrivacyRecord | None = None
    provenance: Provenance | None = None
    signature: CardSignature | None = None

    @model_validator(mode="after")
    def _points_for_every_cell(self) -> Self:
        tables = self.grid.tables
        if [table.name for table in self.tables] != [table.name for table in tables]:
            raise ValueError("its tables are not those of its grid")
        for entry, table in zip(self.tables, tables, strict=True):
            if sorted(cell for bin_ in entry.bins for cell in bin_.cells) != list(range(table.size)):
                raise ValueError(f"the bins of {entry.name} do not hold each of its {table.size} cells once")
        cut_offs = [grade.lowest_score for grade in self.grades]
        if cut_offs and (None in cut_offs[:-1] or cut_offs[-1] is not None):
            raise ValueError("each grade but the last must say where it begins")
        begins = [cut_off for cut_off in cut_offs if cut_off is not None]
        if begins != sorted(begins, reverse=True):
            raise ValueError("grades are not listed best first")
        return self

    def __eq__(self, other: object) -> bool:
        """Whether the files say the same; pydantic would compare what was derived from them as well."""
        return isinstance(other, Card) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def tables(self) -> tuple[CardTable, ...]:
        """Characteristics, then interactions: the order of a record's cells."""
        return self.characteristics + self.interactions

    @cached_property
    def _points(self) -> tuple[npt.NDArray[np.int64], ...]:
        return tuple(table.hundredths_of_cells() for table in self.tables)

    def points(self, cells: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Looks up the points of each table.

        Args:
            cells: [records, tables], each record's cell in each table.

        Returns:
            [records, tables], hundredths of points, without the intercept's.

        Raises:
            CardError: The cells do not belong to this card's tables.
        """
        self._require(cells)
        columns = [points[cells[:, column]] for column, points in enumerate(self._points)]
        return np.column_stack(columns) if columns else np.zeros((len(cells), 0), dtype=np.int64)

    def hundredths(self, cells: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Adds the points: [records], whole hundredths.

        Raises:
            CardError: The cells do not belong to this card's tables.
        """
        self._require(cells)
        total = np.full(len(cells), hundredths(self.intercept_points), dtype=np.int64)
        for column, points in enumerate(self._points):
            total += points[cells[:, column]]
        return total

    def score(self, cells: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
        """Adds the points.

        Args:
            cells: [records, tables], each record's cell in each table.

        Returns:
            [records], points; the higher, the safer.

        Raises:
            CardError: The cells do not belong to this card's tables.
        """
        return self.hundredths(cells) / 100.0

    def probability(self, cells: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
        """Returns [records], the probability of the outcome."""
        return self.probability_of(self.score(cells))

    def probability_of(self, score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns [records], the probability of the outcome at each score."""
        log_odds_of_good = (score - self.scale.offset) / self.scale.factor
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(log_odds_of_good, -700.0, 700.0))))

    def grade_places(self, total: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Grades scores.

        Args:
            total: [records], scores in whole hundredths.

        Returns:
            [records], places in `grades`.

        Raises:
            CardError: The card has no grades.
        """
        if not self.grades:
            raise CardError(
                f"the card of {self.contract_name} has no grades: add [grades] to the contract and train anew"
            )
        begins = [hundredths(grade.lowest_score) for grade in self.grades if grade.lowest_score is not None]
        # A score has the first grade that begins at or below it.
        return np.asarray(len(begins) - np.searchsorted(begins[::-1], total, side="right"), dtype=np.int64)

    def _require(self, cells: npt.NDArray[np.integer[Any]]) -> None:
        if cells.ndim != 2 or cells.shape[1] != len(self.tables):
            raise CardError(f"cells of {len(self.tables)} tables are needed, one column each")
        if not len(cells):
            return
        smallest, largest = cells.min(axis=0), cells.max(axis=0)
        for column, points in enumerate(self._points):
            if not 0 <= int(smallest[column]) <= int(largest[column]) < len(points):
                raise CardError(
                    f"{self.tables[column].name} has {len(points)} cells in this card, the rows were binned "
                    "otherwise: bin them by the contract that the card names"
                )

    @property
    def score_range(self) -> tuple[float, float]:
        """The least and the greatest score that cells can add up to."""
        least = greatest = hundredths(self.intercept_points)
        for points in self._points:
            least += int(points.min())
            greatest += int(points.max())
        return least / 100.0, greatest / 100.0

    def strongest(self, count: int) -> tuple[CardTable, ...]:
        """Returns the characteristics whose points spread most over the training records."""
        ranked = sorted(self.characteristics, key=lambda table: table.spread, reverse=True)
        return tuple(ranked[:count])

    @property
    def file_name(self) -> str:
        """What its file is called in a folder of results."""
        return "card.json"

    def with_privacy(self, privacy: PrivacyRecord) -> Card:
        """Returns the card with what its training cost."""
        return self.model_copy(update={"privacy": privacy})

    def with_provenance(self, provenance: Provenance) -> Card:
        """Returns the card with where it comes from."""
        return self.model_copy(update={"provenance": provenance})

    def with_signature(self, signature: CardSignature) -> Card:
        """Returns the card with who stands behind it."""
        return self.model_copy(update={"signature": signature})

    def claim(self) -> bytes:
        """What is signed: the file's JSON without `signature`, with sorted keys, no whitespace, in ASCII."""
        document = self.model_dump(mode="json", exclude={"signature"})
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is signed, in hex: what people compare, and what monitoring names."""
        return hashlib.sha256(self.claim()).hexdigest()

    def to_json(self) -> str:
        """Returns the file's text: the same card gives the same bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Writes the file at once or not at all.

        Raises:
            OSError: The file cannot be written; an old one is as it was.
        """
        write_whole(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Card:
        """Reads a card file, whoever signed it; `fedscore.card.signing.read_card` also asks who did.

        Raises:
            CardError: The file is missing, no JSON, or not a card of this schema.
        """
        return read_trained(cls, path, called="a card", named="card.json", schema=SCHEMA)
