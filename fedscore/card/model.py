"""The card file: what it holds, and how a score follows from it.

A record falls into one bin of every characteristic and interaction. Its score is the intercept's points
plus the points of those bins: the higher, the safer. `probability` turns a score into the probability of
the outcome; `Scale` says how.
"""

from __future__ import annotations

import json
import math
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from fedscore.card.reading import read_trained
from fedscore.contract import Direction, NoiseMode
from fedscore.errors import CardError
from fedscore.files import write_whole

__all__ = ["Bin", "Card", "CardTable", "PrivacyRecord", "Scale"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scale(_Frozen):
    """How points and odds belong together.

    Attributes:
        points_to_double_odds: So many points more, and the odds good : bad are twice as high.
        reference_points: A score of this many points ...
        reference_odds: ... stands for these odds good : bad.
    """

    points_to_double_odds: float = 20.0
    reference_points: float = 600.0
    reference_odds: float = 30.0

    @property
    def factor(self) -> float:
        """Points per unit of log-odds."""
        return self.points_to_double_odds / math.log(2.0)

    @property
    def offset(self) -> float:
        """Points at odds 1 : 1."""
        return self.reference_points - self.factor * math.log(self.reference_odds)


class Bin(_Frozen):
    """Cells of one table that get the same points.

    Attributes:
        label: In words.
        cells: Numbers of the cells within the table.
        points: What a record in this bin gets.
        share: Share of the training records, from the noisy histogram.
        bad_rate: Share of bad records in the bin, from the noisy histogram; none where noise hides it.
    """

    label: str
    cells: tuple[int, ...]
    points: float
    share: float
    bad_rate: float | None


class CardTable(_Frozen):
    """A characteristic or an interaction.

    Attributes:
        name: As in the contract.
        parents: The two characteristics of an interaction; empty for a characteristic.
        monotone: Direction of the bad rate that the contract asks for.
        bins: In the order of their first cells.
    """

    name: str
    parents: tuple[str, ...]
    monotone: Direction | None
    bins: tuple[Bin, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of the points over the training records: how strongly the table decides."""
        shares = np.array([bin_.share for bin_ in self.bins])
        points = np.array([bin_.points for bin_ in self.bins])
        weight = shares / max(float(shares.sum()), 1e-12)
        return float(np.sqrt(weight @ (points - weight @ points) ** 2))

    def points_of_cells(self) -> npt.NDArray[np.float64]:
        """[cells], the points of each cell."""
        points = np.zeros(sum(len(bin_.cells) for bin_ in self.bins))
        for bin_ in self.bins:
            points[list(bin_.cells)] = bin_.points
        return points


class PrivacyRecord(_Frozen):
    """What the card's training cost.

    Attributes:
        noise: Shared, local or none.
        epsilon: For one record of one organisation; none where nothing bounds it.
        person_epsilon: For a person with all the records that the contract allows.
        delta: For both.
        mu: Gaussian-DP parameter at record level.
        absent: Parties whose noise may be missing.
        colluding_parties: Parties whose noise an adversary may know.
        events: One per private sum, in lattice steps, for whoever recomputes ε.
    """

    noise: NoiseMode
    epsilon: float | None
    person_epsilon: float | None
    delta: float
    mu: float | None
    absent: int
    colluding_parties: int
    events: tuple[dict[str, int | str], ...]


class Card(_Frozen):
    """A scorecard.

    Attributes:
        schema_version: Of this file.
        software_version: Of the fedscore that trained it.
        contract_hash: The contract that it was trained under.
        contract_name: Its name.
        outcome: What is predicted.
        scale: From points to odds.
        intercept_points: Every record's first points.
        characteristics: Tables of one characteristic each.
        interactions: Tables of two characteristics each.
        privacy: What training cost.
    """

    schema_version: Literal[1] = 1
    software_version: str
    contract_hash: str
    contract_name: str
    outcome: str
    scale: Scale
    intercept_points: float
    characteristics: tuple[CardTable, ...]
    interactions: tuple[CardTable, ...]
    privacy: PrivacyRecord | None = None

    @property
    def tables(self) -> tuple[CardTable, ...]:
        """Characteristics, then interactions: the order of a record's cells."""
        return self.characteristics + self.interactions

    @cached_property
    def _points(self) -> tuple[npt.NDArray[np.float64], ...]:
        return tuple(table.points_of_cells() for table in self.tables)

    def score(self, cells: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Adds the points.

        Args:
            cells: [records, tables], each record's cell in each table.

        Returns:
            [records], points; the higher, the safer.

        Raises:
            CardError: The cells do not belong to this card's tables.
        """
        if cells.ndim != 2 or cells.shape[1] != len(self.tables):
            raise CardError(f"cells of {len(self.tables)} tables are needed, one column each")
        total = np.full(len(cells), self.intercept_points)
        for column, points in enumerate(self._points):
            index = cells[:, column]
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(points):
                raise CardError(
                    f"{self.tables[column].name} has {len(points)} cells in this card, the rows were binned "
                    "otherwise: bin them by the contract that the card names"
                )
            total += points[index]
        return total

    def probability(self, cells: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Returns [records], the probability of the outcome."""
        log_odds_of_good = (self.score(cells) - self.scale.offset) / self.scale.factor
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(log_odds_of_good, -700.0, 700.0))))

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
        """Reads a card file.

        Raises:
            CardError: The file is missing, no JSON, or not a card of this schema.
        """
        return read_trained(cls, path, called="a card", named="card.json")
