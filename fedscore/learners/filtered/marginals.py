"""What the histogram says of each table alone: bad rates of cells, and a column. Post-processing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import Role
from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.filtered.smoothing import in_one_direction, smooth_log_odds, smoothing_precision
from fedscore.learners.scorecard.evidence import Population
from fedscore.learners.scorecard.populations import Measured, totals

__all__ = ["Marginals", "read_histogram"]

_Floats = npt.NDArray[np.float64]
_FEWEST = 10.0
"""Noise may leave hardly anybody: so many records on each side are the least that is reckoned with."""

_LEAST_SIGNAL = 0.03
"""A table whose log-odds deviate by less says nothing that is told from noise."""

_LEAST_MASS = 0.002
"""Every cell is taken to hold at least this share of the records, or it could move anywhere."""

_LARGEST_PRODUCT = 3.0
_LEAST_PRODUCT_SPREAD = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marginals:
    """What the histogram says.

    Attributes:
        bad: [cells], unbiased counts of bad records.
        good: [cells], unbiased counts of good records.
        deviations: [cells], standard deviation of the noise in each.
        counts: [cells], records, at least 0; 0 in cells that count nobody.
        rates: [cells], estimated bad rate.
        columns: [cells], what a record has in its table's column: for a characteristic its standardised
            log-odds, for an interaction the standardised product of its sides' columns, made smaller.
        spreads: [characteristics], standard deviation of the estimated log-odds.
        responses: [characteristics][counted cells, counted cells], how the estimated log-odds move with those
            that were counted in each cell.
        holding: [tables], share of the records that hold the table.
        everyone: All records.
        roles: The records of each role that does not hold everything.
    """

    bad: _Floats
    good: _Floats
    deviations: _Floats
    counts: _Floats
    rates: _Floats
    columns: _Floats
    spreads: _Floats
    responses: tuple[_Floats, ...]
    holding: _Floats
    everyone: Population
    roles: Mapping[Role, Population]

    @property
    def information(self) -> _Floats:
        """[cells], of the records about each cell's log-odds; above 0."""
        return np.asarray(self.masses * np.maximum(self.rates * (1.0 - self.rates), 1e-3))

    @property
    def masses(self) -> _Floats:
        """[cells], records, where a few are taken to be even in a cell that seems to be empty."""
        return np.asarray(np.maximum(self.counts, _LEAST_MASS * self.everyone.records))

    @property
    def noise(self) -> _Floats:
        """[cells], variance that the histogram's noise gives to each cell's own log-odds."""
        squared = (1.0 - self.rates) ** 2 + self.rates**2
        return np.asarray(self.deviations**2 * squared / self.information**2)

    @property
    def informative(self) -> npt.NDArray[np.bool_]:
        """[characteristics], whether one says anything that is told from noise."""
        return np.asarray(self.spreads > _LEAST_SIGNAL)


def read_histogram(values: _Floats, deviation: float, layout: Layout, settings: Settings) -> Marginals:
    """Estimates what the noisy histogram allows.

    Args:
        values: [2 cells], the released sum: bad records, then good ones, each times its table's weight.
        deviation: Standard deviation of the noise in each value.
        layout: The tables.
        settings: Public constants.
    """
    axes, singles = layout.axes, layout.singles
    weights = layout.weight_of_cell
    bad, good = values[: axes.cells] / weights, values[axes.cells :] / weights
    deviations = deviation / weights
    everyone, roles = _populations(layout, bad, good, float(deviations[0]))
    holders = [
        everyone.without(roles[missing]) if missing is not None and missing in roles else everyone
        for missing in axes.missing_roles
    ]
    counts = np.zeros(axes.cells)
    for number in range(len(axes)):
        cells = layout.counted_cells(number)
        counts[cells] = np.maximum(bad[cells] + good[cells], 0.0)
    rates, columns = np.zeros(axes.cells), np.zeros(axes.cells)
    spreads = np.zeros(len(singles))
    responses = []
    for number, table in enumerate(singles.tables):
        cells = layout.counted_cells(number)
        own = cells - cells[0]
        log_odds, response = smooth_log_odds(
            bad[cells],
            good[cells],
            float(deviations[cells[0]]),
            smoothing_precision(table, settings)[np.ix_(own, own)],
            holders[number].log_odds,
            settings.largest_evidence,
        )
        responses.append(response)
        log_odds = in_one_direction(log_odds, counts[cells] + deviations[cells] + 1.0, table)
        rates[cells] = 1.0 / (1.0 + np.exp(-(holders[number].log_odds + log_odds)))
        centred, spreads[number] = _centred(log_odds, counts[cells])
        scores = centred / max(spreads[number], settings.least_spread)
        columns[cells] = np.clip(scores, -settings.largest_score, settings.largest_score)
    for number in range(len(layout.interactions)):
        table_number = len(singles) + number
        cells = layout.counted_cells(table_number)
        product = _product(layout, number, columns, counts)[cells - axes.offsets[table_number]]
        centred, spread = _centred(product, counts[cells])
        scores = np.clip(centred / max(spread, _LEAST_PRODUCT_SPREAD), -_LARGEST_PRODUCT, _LARGEST_PRODUCT)
        columns[cells] = float(settings.column_weight) * scores
        rates[cells] = _shrunk_rates(
            bad[cells], counts[cells], deviations[cells], holders[table_number].bad_rate
        )
    return Marginals(
        bad=bad,
        good=good,
        deviations=deviations,
        counts=counts,
        rates=rates,
        columns=columns,
        spreads=spreads,
        responses=tuple(responses),
        holding=np.array([min(held.records / everyone.records, 1.0) for held in holders]),
        everyone=everyone,
        roles=roles,
    )


def _populations(
    layout: Layout, bad: _Floats, good: _Floats, deviation: float
) -> tuple[Population, Mapping[Role, Population]]:
    singles = layout.singles
    table_of_cell = np.repeat(np.arange(len(singles)), singles.sizes)
    of_bad = totals(singles, bad[: singles.cells], deviation, table_of_cell)
    of_good = totals(singles, good[: singles.cells], deviation, table_of_cell)
    roles = {role: _population(of_bad.roles[role], of_good.roles[role]) for role in of_bad.roles}
    return _population(of_bad.everyone, of_good.everyone), roles


def _population(bad: Measured, good: Measured) -> Population:
    return Population(
        bad=Measured(max(bad.value, _FEWEST), bad.deviation),
        good=Measured(max(good.value, _FEWEST), good.deviation),
    )


def _centred(values: _Floats, counts: _Floats) -> tuple[_Floats, float]:
    """Values less their mean over the records, and their standard deviation."""
    share = counts / max(float(counts.sum()), 1.0)
    centred = values - float(share @ values)
    return centred, float(np.sqrt(share @ centred**2))


def _product(layout: Layout, interaction: int, columns: _Floats, counts: _Floats) -> _Floats:
    """[cells of the interaction], the product of the mean columns of its two sides."""
    both = layout.interactions[interaction]
    means = []
    for side, (number, falls_into) in zip((both.first, both.second), layout.sides(interaction), strict=True):
        size = side.value_cells + 1
        if number is None:
            means.append(np.zeros(size))
            continue
        cells = layout.counted_cells(number)
        places = falls_into[cells - layout.axes.offsets[number]]
        weights = counts[cells] + 1e-3 * counts[cells].sum() + 1e-6
        sums = np.bincount(places, weights * columns[cells], minlength=size)
        means.append(sums / np.maximum(np.bincount(places, weights, minlength=size), 1e-9))
    return np.clip(np.outer(*means).ravel(), -_LARGEST_PRODUCT, _LARGEST_PRODUCT)


def _shrunk_rates(bad: _Floats, counts: _Floats, deviations: _Floats, rate: float) -> _Floats:
    """Bad rates drawn toward that of all records, the more, the fewer stand out from the noise."""
    prior = 50.0 + 2.0 * deviations
    counted = np.maximum(bad, 0.0)
    shrunk = (counted + prior * rate) / (np.maximum(counts, counted) + prior)
    return np.asarray(np.clip(shrunk, 0.2 * rate, 0.97))
