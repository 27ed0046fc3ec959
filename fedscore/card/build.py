"""From log-odds per cell to a card of points per bin."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from fedscore.card.model import Card
from fedscore.card.parts import Bin, CardParty, CardTable, Scale
from fedscore.contract import Contract, Table

__all__ = ["build_card"]

DECIMALS = 2
"""Points are rounded to so many decimals."""


def build_card(
    contract: Contract,
    *,
    cell_log_odds: npt.NDArray[np.float64],
    bin_of_cell: npt.NDArray[np.int64],
    intercept: float,
    bad: npt.NDArray[np.float64],
    good: npt.NDArray[np.float64],
    errors: npt.NDArray[np.float64] | None = None,
    deviations: npt.NDArray[np.float64] | None = None,
) -> Card:
    """Builds the card.

    Args:
        contract: Gives tables, labels and the outcome.
        cell_log_odds: [cells over all tables], log-odds of the outcome that a cell adds; equal in a bin.
        bin_of_cell: [cells], number of the bin that each cell belongs to.
        intercept: Log-odds that every record starts from.
        bad: [cells], noisy counts of bad records.
        good: [cells], noisy counts of good records.
        errors: [cells], standard errors of the log-odds; equal in a bin; NaN where nothing was measured.
        deviations: [cells], standard deviation of the noise in each count; equal in a table.
    """
    scale = Scale()
    tables = []
    start = 0
    for table in contract.tables:
        cells = slice(start, start + table.size)
        points = -scale.factor * cell_log_odds[cells]
        point_errors = None if errors is None else scale.factor * errors[cells]
        deviation = None if deviations is None else round(float(deviations[start]), 4)
        tables.append(
            _table(table, points, bin_of_cell[cells], bad[cells], good[cells], point_errors, deviation)
        )
        start = cells.stop
    return Card(
        software_version=version("fedscore"),
        contract_hash=contract.hash(),
        contract_name=contract.name,
        purpose=contract.purpose,
        outcome=contract.outcome,
        parties=tuple(CardParty(name=party.name, role=party.role) for party in contract.parties),
        scale=scale,
        grid=contract.grid,
        intercept_points=round(scale.offset - scale.factor * intercept, DECIMALS),
        characteristics=tuple(table for table in tables if not table.parents),
        interactions=tuple(table for table in tables if table.parents),
    )


def _table(
    table: Table,
    points: npt.NDArray[np.float64],
    bins: npt.NDArray[np.int64],
    bad: npt.NDArray[np.float64],
    good: npt.NDArray[np.float64],
    errors: npt.NDArray[np.float64] | None,
    deviation: float | None,
) -> CardTable:
    total = max(float(np.maximum(bad + good, 0.0).sum()), 1.0)
    entries = []
    for number in dict.fromkeys(bins.tolist()):
        cells = np.flatnonzero(bins == number)
        bad_count, count = float(bad[cells].sum()), float((bad + good)[cells].sum())
        entries.append(
            Bin(
                label=table.label_of(int(cells[0]), int(cells[-1])),
                cells=tuple(cells.tolist()),
                # + 0.0 turns the negative zero of rounding into zero
                points=round(float(points[cells[0]]), DECIMALS) + 0.0,
                standard_error=(
                    None
                    if errors is None or np.isnan(errors[cells[0]])
                    else round(float(errors[cells[0]]), DECIMALS)
                ),
                share=round(max(count, 0.0) / total, 6),
                bad_rate=round(min(max(bad_count / count, 0.0), 1.0), 6) if count >= 1.0 else None,
            )
        )
    return CardTable(
        name=table.name,
        parents=table.parents,
        monotone=table.monotone,
        bins=tuple(entries),
        records=round(total, 1),
        deviation=deviation,
    )
