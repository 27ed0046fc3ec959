"""From a noisy histogram to bins and their weights of evidence. Post-processing: costs no budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import Direction, Role, Table
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.populations import Measured, totals
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import NOT_COUNTED

__all__ = ["Evidence", "Population", "weigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """A part of the records, or all of them, as the histogram counts it.

    Attributes:
        bad: Number of bad records.
        good: Number of good records.
    """

    bad: Measured
    good: Measured

    @property
    def records(self) -> float:
        """Number of records."""
        return self.bad.value + self.good.value

    @property
    def bad_rate(self) -> float:
        """Share of bad records."""
        return self.bad.value / self.records

    @property
    def log_odds(self) -> float:
        """Log-odds of the outcome."""
        return float(np.log(self.bad.value / self.good.value))

    def without(self, part: Population) -> Population:
        """The records that are not in a part."""
        return _population(self.bad - part.bad, self.good - part.good)


def _population(bad: Measured, good: Measured) -> Population:
    """Noise may leave hardly anybody: ten records on each side are the least that is reckoned with."""
    ten = 10.0
    return Population(
        bad=bad if bad.value > ten else Measured(ten, bad.deviation),
        good=good if good.value > ten else Measured(ten, good.deviation),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the histogram says.

    Attributes:
        weights: [cells], log-odds of each cell's bin against all rows that hold the table, shrunk; 0 in
            cells of rows that do not hold it.
        bin_of_cell: [cells], numbers of the bins, counted over all tables.
        response: [bins, bins], how a bin's weight moves with the log-odds of each bin of its table.
        bad: [cells], noisy counts.
        good: [cells], noisy counts.
        deviation: Standard deviation of the noise in each count.
        everyone: All records.
        roles: The records of each role that does not hold every characteristic.
    """

    weights: npt.NDArray[np.float64]
    bin_of_cell: npt.NDArray[np.int64]
    response: npt.NDArray[np.float64]
    bad: npt.NDArray[np.float64]
    good: npt.NDArray[np.float64]
    deviation: float
    everyone: Population
    roles: Mapping[Role, Population]


@dataclass(slots=True)
class _Bin:
    """A run of neighbouring cells while bins are being made."""

    cells: list[int]
    bad: float
    good: float

    @property
    def bad_rate(self) -> float:
        return self.bad / max(self.bad + self.good, 1e-9)

    def absorb(self, other: _Bin) -> None:
        self.cells += other.cells
        self.bad += other.bad
        self.good += other.good


@dataclass(frozen=True, slots=True)
class _Holders:
    """The released counts of one table, and the records that hold it."""

    bad: npt.NDArray[np.float64]
    good: npt.NDArray[np.float64]
    deviation: float
    population: Population

    def of(self, cells: list[int]) -> _Bin:
        return _Bin(cells, float(self.bad[cells].sum()), float(self.good[cells].sum()))

    def log_odds(self, group: _Bin) -> tuple[float, float]:
        """Log-odds against the whole, and their variance from sampling and noise (delta method)."""
        floor = 1.0 + 0.5 * self.deviation
        bad, good = max(group.bad, floor), max(group.good, floor)
        noise = len(group.cells) * self.deviation**2
        variance = (noise + bad) / bad**2 + (noise + good) / good**2
        return float(np.log(bad / good)) - self.population.log_odds, variance


def weigh(
    axes: Axes,
    bad: npt.NDArray[np.float64],
    good: npt.NDArray[np.float64],
    deviation: float,
    settings: Settings,
) -> Evidence:
    """Merges cells into bins and weighs each bin.

    Ordered cells are merged until a bin holds enough records and rises above the noise, then until the
    bad rate moves in the direction that the contract asks for (pool adjacent violators). A bin's log-odds
    are shrunk toward a variance-weighted straight line through the characteristic; cells without
    neighbours (missing, special, levels) are shrunk toward 0. Rows of a role that does not hold a table
    say nothing through it: what their role says is in `roles`.

    Args:
        axes: The tables.
        bad: [cells], released counts of bad records.
        good: [cells], released counts of good records.
        deviation: Standard deviation of the noise in each count.
        settings: Public constants.
    """
    table_of_cell = np.repeat(np.arange(len(axes)), axes.sizes)
    bad_totals = totals(axes, bad, deviation, table_of_cell)
    good_totals = totals(axes, good, deviation, table_of_cell)
    everyone = _population(bad_totals.everyone, good_totals.everyone)
    roles = {role: _population(bad_totals.roles[role], good_totals.roles[role]) for role in bad_totals.roles}
    weights = np.zeros(axes.cells)
    bin_of_cell = np.zeros(axes.cells, dtype=np.int64)
    bins = 0
    responses: list[npt.NDArray[np.float64]] = []
    for (table, cells), missing, absent in zip(
        axes.slices(), axes.missing_roles, axes.absent_cells.tolist(), strict=True
    ):
        population = everyone.without(roles[missing]) if missing in roles else everyone
        holders = _Holders(bad, good, deviation, population)
        ordered_bins, single_bins = _bins_of(table, cells.start, absent, holders, settings)
        along, kept = _along_a_line(ordered_bins, cells, holders, settings)
        alone = [_toward_zero(group, holders, settings) for group in single_bins]
        responses += [kept, *(np.array([[share]]) for _, share in alone)]
        if absent != NOT_COUNTED:
            responses.append(np.zeros((1, 1)))
        for group, weight in [
            *zip(ordered_bins, along, strict=True),
            *((group, weight) for group, (weight, _) in zip(single_bins, alone, strict=True)),
            *(((_Bin([absent], 0.0, 0.0), 0.0),) if absent != NOT_COUNTED else ()),
        ]:
            weights[group.cells] = np.clip(weight, -settings.largest_evidence, settings.largest_evidence)
            bin_of_cell[group.cells] = bins
            bins += 1
    return Evidence(
        weights=weights,
        bin_of_cell=bin_of_cell,
        response=_block_diagonal(responses),
        bad=bad,
        good=good,
        deviation=deviation,
        everyone=everyone,
        roles=roles,
    )


def _bins_of(
    table: Table, start: int, absent: int, holders: _Holders, settings: Settings
) -> tuple[list[_Bin], list[_Bin]]:
    """Bins of the ordered cells, and the cells that stand alone."""
    # The cells of an interaction follow each other row by row: neighbours are alike there too.
    end = start + table.size
    ordered = [
        cell for cell in range(start, end if table.parents else start + table.ordered) if cell != absent
    ]
    bins = _large_enough([holders.of([cell]) for cell in ordered], holders, settings)
    if table.monotone is not None:
        bins = _monotone(bins, table.monotone)
    alone = [cell for cell in range(start, end) if cell != absent and cell not in ordered]
    return bins, [holders.of([cell]) for cell in alone]


def _large_enough(cells: list[_Bin], holders: _Holders, settings: Settings) -> list[_Bin]:
    """Merges from left to right until each bin is large and rises above the noise."""
    bins: list[_Bin] = []
    open_bin: _Bin | None = None
    for cell in cells:
        if open_bin is None:
            open_bin = cell
        else:
            open_bin.absorb(cell)
        noise = settings.noise_floor * holders.deviation * np.sqrt(len(open_bin.cells))
        count = open_bin.bad + open_bin.good
        if (
            count >= settings.smallest_bin * holders.population.records
            and count >= np.sqrt(2.0) * noise
            and open_bin.bad >= 0.7 * noise
        ):
            bins.append(open_bin)
            open_bin = None
    if open_bin is not None:
        if bins:
            bins[-1].absorb(open_bin)
        else:
            bins.append(open_bin)
    return bins


def _monotone(bins: list[_Bin], direction: Direction) -> list[_Bin]:
    """Pool adjacent violators: the bad rate then moves in one direction only."""
    sign = 1.0 if direction is Direction.INCREASING else -1.0
    pooled: list[_Bin] = []
    for group in bins:
        pooled.append(group)
        while len(pooled) > 1 and sign * (pooled[-1].bad_rate - pooled[-2].bad_rate) < 0:
            last = pooled.pop()
            pooled[-1].absorb(last)
    return pooled


def _toward_zero(group: _Bin, holders: _Holders, settings: Settings) -> tuple[float, float]:
    """The weight, and the share of its log-odds that is kept."""
    log_odds, variance = holders.log_odds(group)
    kept = settings.plain_variance / (settings.plain_variance + variance)
    return log_odds * kept, kept


def _along_a_line(
    bins: list[_Bin], cells: slice, holders: _Holders, settings: Settings
) -> tuple[list[float], npt.NDArray[np.float64]]:
    """Shrinks log-odds toward the line that fits them best, in the cell's position.

    Returns:
        The weights, and [bins, bins] how they depend on the log-odds.
    """
    if len(bins) < 3:  # a line through two points shrinks nothing
        shrunk = [_toward_zero(group, holders, settings) for group in bins]
        return [weight for weight, _ in shrunk], np.diag([kept for _, kept in shrunk])
    limit = settings.largest_evidence
    estimates = [holders.log_odds(group) for group in bins]
    log_odds = np.clip([value for value, _ in estimates], -limit, limit)
    variance = np.array([value for _, value in estimates])
    span = max(bins[-1].cells[-1] - cells.start, 1)
    position = np.array([(np.mean(group.cells) - cells.start) / span * 2 - 1 for group in bins])
    design = np.column_stack([np.ones(len(bins)), position])
    precision = 1.0 / (variance + settings.smooth_variance)
    normal = design.T @ (design * precision[:, None]) + 2.0 * np.eye(2)
    line = design @ np.linalg.solve(normal, design.T @ (log_odds * precision))
    kept = settings.smooth_variance / (settings.smooth_variance + variance)
    of_line = design @ np.linalg.solve(normal, design.T * precision)
    response = np.diag(kept) + (1.0 - kept)[:, None] * of_line
    return [float(value) for value in line + (log_odds - line) * kept], response


def _block_diagonal(blocks: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    size = sum(len(block) for block in blocks)
    whole = np.zeros((size, size))
    start = 0
    for block in blocks:
        end = start + len(block)
        whole[start:end, start:end] = block
        start = end
    return whole
