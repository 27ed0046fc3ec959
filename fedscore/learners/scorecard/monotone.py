"""Isotonic regression of the finished bins, where the contract asks for a direction. Post-processing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.contract import Direction
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence

__all__ = ["isotonic", "make_monotone"]


def make_monotone(
    axes: Axes, log_odds: npt.NDArray[np.float64], evidence: Evidence
) -> npt.NDArray[np.float64]:
    """Projects the ordered cells of each monotone table onto its direction (pool adjacent violators).

    Args:
        axes: The tables.
        log_odds: [cells], what each cell adds.
        evidence: Its counts weigh the cells, its bins stay whole.
    """
    result = log_odds.copy()
    counts = np.maximum(evidence.bad + evidence.good, 1.0)
    for table, cells in axes.slices():
        if table.monotone is not None:
            ordered = slice(cells.start, cells.start + table.ordered)
            sign = 1.0 if table.monotone is Direction.INCREASING else -1.0
            result[ordered] = sign * isotonic(
                sign * log_odds[ordered], counts[ordered], evidence.bin_of_cell[ordered]
            )
    return result


def isotonic(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The non-decreasing values nearest in weighted least squares, constant within a group.

    Args:
        values: [cells], in order.
        weights: [cells], positive.
        groups: [cells], equal numbers stand side by side.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, cells
    for group in dict.fromkeys(groups.tolist()):
        members = groups == group
        weight = float(weights[members].sum())
        blocks.append((float(values[members] @ weights[members]) / weight, weight, int(members.sum())))
        while len(blocks) > 1 and blocks[-1][0] < blocks[-2][0]:
            (mean, weight, size), (mean_before, weight_before, size_before) = blocks.pop(), blocks.pop()
            together = weight + weight_before
            pooled = (mean * weight + mean_before * weight_before) / together
            blocks.append((pooled, together, size + size_before))
    return np.concatenate([np.full(size, mean) for mean, _, size in blocks])
