"""What is expected of a card's points before any gradient: how far they lie from the start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.filtered.smoothing import chain_precision

__all__ = ["prior_covariance"]

_Floats = npt.NDArray[np.float64]

_UNINFORMATIVE = 0.05
"""Of a characteristic that says nothing told from noise, the shape has so much of the usual variance."""

_USUAL_TABLES = 6
"""For so many characteristics the prior deviation of a slope is meant; more of them share it."""


def prior_covariance(layout: Layout, marginals: Marginals, settings: Settings) -> _Floats:
    """[1 + cells, 1 + cells], around the start; 0 for cells that stand for nothing.

    A characteristic's cells deviate smoothly along its order, and all together along its column, by a slope.
    An interaction's cells deviate each by itself, and all together along its column.
    """
    axes = layout.axes
    covariance = np.zeros((1 + axes.cells, 1 + axes.cells))
    covariance[0, 0] = settings.intercept_deviation**2
    for cell in layout.carriers.values():
        covariance[1 + cell, 1 + cell] = settings.intercept_deviation**2
    count = len(layout.singles)
    for number, table in enumerate(axes.tables):
        cells = layout.counted_cells(number)
        column = marginals.columns[cells]
        if number < count:
            precision = np.eye(table.size) / settings.cell_deviation**2
            ordered = table.ordered
            precision[:ordered, :ordered] = chain_precision(
                ordered, settings.cell_deviation, settings.cell_step
            )
            own = cells - cells[0]
            shape = np.linalg.inv(precision)[np.ix_(own, own)]
            shape *= 1.0 if marginals.informative[number] else _UNINFORMATIVE
            slope = settings.slope_deviation**2 * _USUAL_TABLES / count
        else:
            shape = np.eye(len(cells)) * settings.interaction_deviation**2
            slope = (settings.interaction_slope / float(settings.column_weight)) ** 2
        covariance[np.ix_(1 + cells, 1 + cells)] = shape + slope * np.outer(column, column)
    return covariance
