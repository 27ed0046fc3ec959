"""What is counted of present rows, as a card lays it out: bins of its tables, cells of the score, grades."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, CardTable, ScoreBands
from fedscore.contract import ALL_ROLES, Role
from fedscore.errors import CardError
from fedscore.estimates import Leverage, PointsToOdds

__all__ = ["MOST_GRADES", "MOST_SCORE_CELLS", "NOWHERE", "Layout", "WatchedTable"]

NOWHERE = -1
"""Stands for the bin of a table that does not count a record."""

MOST_BANDS, MOST_GRADES = 64, 26
_MOST_STEPS = 64

MOST_SCORE_CELLS = MOST_BANDS + MOST_GRADES + _MOST_STEPS + 1
"""No card's scores are counted in more cells."""

_STEP = 10.0
"""Score cells are at most so many points wide, or a 64th of all scores: within one, probabilities hardly
differ."""

_LEVERAGE_SPREAD = 2.5
"""±1 of the leverage lie so many standard deviations of the training scores from their mean."""

_LEAST_SPREAD = 0.5

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Cells = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTable:
    """A characteristic or an interaction, as far as it is counted.

    Attributes:
        card: What the card says of it.
        holders: The roles whose records are counted.
        bins: Numbers of its bins among those of the card.
        labels: What they are called.
        counted_cells: How many cells each of them counts.
        start: Number of its first bin among those of all tables.
    """

    card: CardTable
    holders: frozenset[Role]
    bins: tuple[int, ...]
    labels: tuple[str, ...]
    counted_cells: tuple[int, ...]
    start: int

    @property
    def place(self) -> slice:
        """Its bins among those of all tables."""
        return slice(self.start, self.start + len(self.bins))


class Layout:
    """Everything about the counts that is known before a row is read; a function of the card alone.

    Attributes:
        card: The card that is watched.
        score_bands: What it says of the scores of its training records.
        tables: Its tables, in its order.
        bins: Number of bins over all tables.
        edges: Scores at which one cell ends and the next begins, ascending, in hundredths of points: those of
            the card's bands and of its grades, and steps between them.
        probabilities: [score cells], of the outcome in the middle of each.
        band_of_cell: [score cells], the card's band that a score cell lies in; bands ascend with scores.
        grade_of_cell: [score cells], the card's grade that it lies in.
        leverage: How outcomes are weighed by score.
    """

    def __init__(self, card: Card) -> None:
        """Lays everything out.

        Raises:
            CardError: The card tells nothing of the scores that it was trained on.
        """
        self.card = card
        self.score_bands = _bands_of(card)
        self.tables, self._bin_of_cell = _tables_of(card)
        self.bins = sum(len(table.bins) for table in self.tables)
        sizes = [table.card.size for table in self.tables]
        self._offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        low, high = (round(100 * points) for points in card.score_range)
        bands = _hundredths(self.score_bands.edges)
        begins = _hundredths(grade.lowest_score for grade in card.grades if grade.lowest_score is not None)
        self.edges = np.unique(np.concatenate([bands, begins, _steps(low, high)])).astype(np.int64)
        ends = np.concatenate([[min(low, self.edges[0] - 1)], self.edges, [max(high, self.edges[-1] + 1)]])
        self.probabilities = card.probability_of((ends[1:] + ends[:-1]) / 200.0)
        # A cell lies in the band of its least score, which is its lower end.
        self.band_of_cell = np.searchsorted(np.sort(bands), ends[:-1], side="right").astype(np.int64)
        self.grade_of_cell = card.grade_places(ends[:-1].astype(np.int64))
        self.leverage = _leverage(card, self.score_bands)

    @property
    def score_cells(self) -> int:
        """Number of cells that scores are counted in."""
        return len(self.edges) + 1

    def bins_of(self, cells: _Cells) -> _Integers:
        """[records, tables], each record's bin among those of all tables; `NOWHERE` where none counts it.

        Raises:
            CardError: The cells do not belong to the card's tables.
        """
        # Only for its refusal of cells that its tables do not have.
        self.card.hundredths(cells)
        return np.asarray(self._bin_of_cell[cells + self._offsets])

    def score_cells_of(self, total: _Integers) -> _Integers:
        """[records], the cell of each score in whole hundredths of points."""
        return np.searchsorted(self.edges, total, side="right").astype(np.int64)

    def by_band(self, of_cells: _Floats) -> _Floats:
        """[bands], counts of score cells added up by the card's bands."""
        bands = len(self.score_bands.bad)
        return np.bincount(self.band_of_cell, weights=of_cells, minlength=bands).astype(np.float64)

    def by_grade(self, of_cells: _Floats) -> _Floats:
        """[grades], likewise by its grades."""
        grades = len(self.card.grades)
        return np.bincount(self.grade_of_cell, weights=of_cells, minlength=grades).astype(np.float64)


def _bands_of(card: Card) -> ScoreBands:
    if card.bands is None or not card.grades:
        raise CardError(
            f"the card of {card.contract_name} does not tell how its training scores were distributed, so "
            "there is nothing to compare present ones with: add [grades] to its contract and train anew"
        )
    if len(card.bands.edges) > MOST_BANDS - 1 or len(card.grades) > MOST_GRADES:
        raise CardError(
            f"the card of {card.contract_name} has more than {MOST_BANDS} bands or {MOST_GRADES} grades: no "
            "program of this version wrote it"
        )
    bands = card.bands
    if len(bands.bad) != len(bands.edges) + 1 or len(bands.good) != len(bands.bad):
        raise CardError(
            f"the card of {card.contract_name} has other numbers of bands than of counts: take the file anew"
        )
    return bands


def _tables_of(card: Card) -> tuple[tuple[WatchedTable, ...], _Integers]:
    """The tables, and [cells over all tables] the bin that counts each cell."""
    watched, places, start = [], [], 0
    for entry, table in zip(card.tables, card.grid.tables, strict=True):
        holders = frozenset.intersection(
            *(card.grid.holders[name] for name in table.parents or (table.name,))
        )
        # Rows of a role that does not hold the table all fall into its last cell, and are not counted.
        counted = [set(bin_.cells) for bin_ in entry.bins]
        if set(ALL_ROLES) - holders:
            counted = [cells - {table.size - 1} for cells in counted]
        bins = tuple(number for number, cells in enumerate(counted) if cells)
        place = np.full(table.size, NOWHERE, dtype=np.int64)
        for number, bin_ in enumerate(bins):
            place[list(counted[bin_])] = start + number
        places.append(place)
        watched.append(
            WatchedTable(
                card=entry,
                holders=holders,
                bins=bins,
                labels=tuple(entry.bins[bin_].label for bin_ in bins),
                counted_cells=tuple(len(counted[bin_]) for bin_ in bins),
                start=start,
            )
        )
        start += len(bins)
    return tuple(watched), np.concatenate(places)


def _hundredths(points: Iterable[float]) -> _Integers:
    return np.array([round(100 * value) for value in points], dtype=np.int64)


def _steps(low: int, high: int) -> _Integers:
    """Whole multiples of a step inside the scores that are possible."""
    wide = math.ceil((high - low) / 100.0 / _MOST_STEPS / _STEP) * _STEP
    step = round(100 * max(wide, _STEP))
    return np.arange((low // step + 1) * step, high, step, dtype=np.int64)[:_MOST_STEPS]


def _leverage(card: Card, bands: ScoreBands) -> Leverage:
    points = PointsToOdds(offset=card.scale.offset, factor=card.scale.factor)
    low, high = card.score_range
    middles = np.convolve(np.clip([low, *bands.edges, high], low, high), [0.5, 0.5], mode="valid")
    if len(bands.edges) > 1:
        # The outer bands are open: their records lie near the edge, not halfway to the last possible score.
        middles[0] = bands.edges[0] - (bands.edges[1] - bands.edges[0]) / 2
        middles[-1] = bands.edges[-1] + (bands.edges[-1] - bands.edges[-2]) / 2
    numbers = np.maximum(np.array(bands.bad) + np.array(bands.good), 0.0)
    weights = numbers / numbers.sum() if numbers.sum() > 0 else np.full(len(numbers), 1 / len(numbers))
    log_odds = (points.offset - middles) / points.factor
    centre = float(weights @ log_odds)
    spread = _LEVERAGE_SPREAD * float(np.sqrt(weights @ (log_odds - centre) ** 2))
    # Rounded, so that all machines weigh alike.
    return Leverage(centre=round(centre, 3), spread=round(max(spread, _LEAST_SPREAD), 3))
