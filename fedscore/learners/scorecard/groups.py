"""How groups of people fare under a card, from one private sum over the test rows.

Formal guarantee: for each of the contract's g groups a record adds one count, at its cell, grade and outcome,
and its probability p ≤ 1 at its cell: squared norm ≤ 2g.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, GroupMeasures
from fedscore.contract import Contract, Table
from fedscore.data import Rows
from fedscore.estimates.interval import LEVEL, Estimate
from fedscore.estimates.strategy import SumBound
from fedscore.learners.scorecard.measures import as_measure
from fedscore.sums import DenseContributions, Query, Released

__all__ = ["GroupSum", "group_measures", "group_sum_bound"]

_CLEAR = 6.0
"""Shares are told of a group only if its count exceeds its noise so many times."""

_FEWEST = 50.0
"""... and only if it counts so many rows."""

_Floats = npt.NDArray[np.float64]


def _answers_of_cell(grades: int) -> int:
    """Bad and good rows of each grade, and the sum of their probabilities."""
    return 2 * grades + 1


def _grades_of(contract: Contract) -> int:
    return len(contract.grades.names) if contract.grades is not None else 1


def group_sum_bound(contract: Contract) -> SumBound:
    """What the sum costs."""
    cells = sum(table.size for table in contract.group_tables)
    return SumBound(
        sensitivity_squared=Fraction(2 * len(contract.groups)),
        largest=Fraction(1),
        dimension_limit=cells * _answers_of_cell(_grades_of(contract)),
    )


class GroupSum(Query):
    """For every cell of every group: bad and good rows of each grade, and the sum of their probabilities."""

    def __init__(self, card: Card, contract: Contract) -> None:
        """Lays out the answers, group after group, cell after cell."""
        self._card = card
        self._sizes = [table.size for table in contract.group_tables]
        self._grades = max(len(card.grades), 1)
        self.dimension = sum(self._sizes) * _answers_of_cell(self._grades)

    def contributions(self, rows: Rows) -> DenseContributions:
        """One count and one probability for each group."""
        total = self._card.hundredths(rows.cells)
        grade = self._card.grade_places(total) if self._card.grades else np.zeros(len(rows), dtype=np.int64)
        probability = self._card.probability_of(total / 100.0)
        place = 2 * grade + (rows.outcome == 0)
        values = np.zeros((len(rows), self.dimension))
        records, start = np.arange(len(rows)), 0
        answers = _answers_of_cell(self._grades)
        for group, size in enumerate(self._sizes):
            first = start + rows.groups[:, group] * answers
            values[records, first + place] = 1.0
            values[records, first + answers - 1] = probability
            start += size * answers
        return DenseContributions(values=values)


def group_measures(card: Card, contract: Contract, released: Released) -> tuple[GroupMeasures, ...]:
    """What the sum says of each group that is large enough to be told apart from the noise."""
    grades = [grade.name for grade in card.grades]
    answers = _answers_of_cell(max(len(grades), 1))
    found: list[GroupMeasures] = []
    start = 0
    for table in contract.group_tables:
        values = released.values[start : start + table.size * answers].reshape(table.size, answers)
        start += table.size * answers
        found += _cells(table, values, released.deviation, grades)
    return tuple(found)


def _cells(table: Table, values: _Floats, deviation: float, grades: list[str]) -> Iterator[GroupMeasures]:
    everyone = max(float(values[:, :-1].sum()), 1.0)
    of_counts = deviation * float(np.sqrt(values.shape[1] - 1))
    for cell, row in zip(table.cells, values, strict=True):
        records = float(row[:-1].sum())
        if records < max(_CLEAR * of_counts, _FEWEST):
            continue
        share = records / everyone
        # Everybody's number is the sum of the same noisy counts.
        spread = of_counts * float(np.sqrt((1.0 - share) ** 2 + (len(values) - 1) * share**2))
        measures = {
            "share": _ratio(share, everyone, spread),
            **dict(_measures(row, records, deviation, grades)),
        }
        yield GroupMeasures(
            group=table.name,
            label=cell.label,
            measures=tuple(one for name, told in measures.items() if (one := as_measure(name, told))),
        )


def _measures(
    row: _Floats, records: float, deviation: float, grades: list[str]
) -> Iterator[tuple[str, Estimate]]:
    bad, good = row[0:-1:2], row[1:-1:2]
    rate = float(bad.sum()) / records
    spread = deviation * np.sqrt(len(bad) * ((1.0 - rate) ** 2 + rate**2))
    yield "bad rate", _ratio(rate, records, spread)
    predicted = float(row[-1]) / records
    yield "predicted", _ratio(predicted, records, deviation * np.sqrt(1.0 + (len(row) - 1) * predicted**2))
    for name, count in zip(grades, bad + good, strict=False):
        share = float(count) / records
        spread = deviation * np.sqrt(2.0 * (1.0 - share) ** 2 + (len(row) - 3) * share**2)
        yield f"share of grade {name}", _ratio(share, records, spread)


def _ratio(value: float, records: float, noise: float) -> Estimate:
    """A share of so many records whose count, less its share of theirs, has so much noise."""
    prudent = float(np.clip(value, 1.0 / (records + 2.0), 1.0 - 1.0 / (records + 2.0)))
    return Estimate.around(
        value,
        noise=float(noise) / records,
        sampling=float(np.sqrt(prudent * (1.0 - prudent) / records)),
        level=LEVEL,
    )
