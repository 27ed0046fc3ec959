"""How the gradient changes with every cell: from curvature and masses. Post-processing.

Write a cell's indicator as its regression on its table's own two columns, "holds the table" and the table's
column z, and a rest. Between two tables only the regressions are taken to go together, through the columns'
measured curvature; within a table the rests are known from the masses of its cells, which do not overlap.
What the rests have in common across tables is not known, so their curvature is taken larger than it is: the
filter then moves shapes with more care than slopes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.contract import Role
from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.filtered.start import positive

__all__ = ["columns_curvature", "whole_curvature"]

_Floats = npt.NDArray[np.float64]

_MOST_INFORMATIVE = 5
"""So many characteristics tell what the mean curvature of a record is, before it is measured."""

_SCORES_KNOW_MORE = 0.95
"""Within a cell scores differ, and the mean curvature lies below that of the mean score by about this."""


def columns_curvature(
    released: _Floats,
    deviation: float,
    layout: Layout,
    marginals: Marginals,
    correlations: _Floats,
    settings: Settings,
) -> _Floats:
    """[columns, columns], drawn toward what the covariance lets expect where noise is large.

    Args:
        released: The noisy sum.
        deviation: Standard deviation of the noise in each element.
        layout: The tables.
        marginals: Of the histogram.
        correlations: Of the characteristics' columns.
        settings: Public constants.
    """
    expected = _expected(layout, marginals, correlations, settings)
    spread = (settings.curvature_deviation * expected[0, 0]) ** 2
    weight = spread / (spread + deviation**2)
    mixed = weight * released + (1.0 - weight) * expected
    return positive(mixed, weight * deviation * np.sqrt(2.0 * len(released)))


def _expected(layout: Layout, marginals: Marginals, correlations: _Floats, settings: Settings) -> _Floats:
    count = len(layout.singles)
    curvature = np.minimum(marginals.rates, 1.0 - marginals.rates)
    means = []
    for table in np.argsort(-marginals.spreads, kind="stable")[:_MOST_INFORMATIVE].tolist():
        cells = layout.counted_cells(table)
        counts = marginals.counts[cells]
        means.append(float(counts @ curvature[cells]) / max(float(counts.sum()), 1.0))
    whole = _SCORES_KNOW_MORE * marginals.everyone.records * float(np.clip(np.median(means), 0.01, 0.45))
    anchors = 1 + len(layout.carriers)
    expected = np.zeros((anchors + len(layout.axes), anchors + len(layout.axes)))
    expected[0, 0] = whole
    for number, role in enumerate(layout.carriers, start=1):
        part = marginals.roles[role]
        rarer = min(part.bad_rate, 1.0 - part.bad_rate) * part.records
        own = whole * min(rarer / (rarer + _rarer_elsewhere(marginals, role)), 0.95)
        expected[0, number] = expected[number, 0] = expected[number, number] = own
    tables = np.arange(anchors, len(expected))
    expected[tables, tables] = whole * float(settings.column_weight) ** 2
    singles = tables[:count]
    expected[np.ix_(singles, singles)] = whole * correlations
    return expected


def _rarer_elsewhere(marginals: Marginals, role: Role) -> float:
    others = marginals.everyone.without(marginals.roles[role])
    return min(others.bad_rate, 1.0 - others.bad_rate) * others.records


def whole_curvature(
    columns: _Floats, layout: Layout, marginals: Marginals, correlations: _Floats, settings: Settings
) -> _Floats:
    """[1 + cells, 1 + cells], of the intercept and of what each cell adds; see the module's docstring.

    Args:
        columns: [columns, columns], their curvature.
        layout: The tables.
        marginals: Of the histogram.
        correlations: Of the characteristics' columns.
        settings: Public constants.
    """
    axes = layout.axes
    damping = _damping(correlations, settings)
    anchors = 1 + len(layout.carriers)
    whole = float(columns[0, 0])
    masses = _masses(marginals)
    regressions = np.zeros((1 + axes.cells, len(columns)))
    regressions[0, 0] = 1.0
    for number, cell in enumerate(layout.carriers.values(), start=1):
        regressions[1 + cell, number] = 1.0
    rests = np.zeros((1 + axes.cells, 1 + axes.cells))
    variances = np.ones(len(axes))
    for table in range(len(axes)):
        cells = layout.counted_cells(table)
        holds = _holds(layout, table)
        held = max(float(holds @ columns[:anchors, :anchors] @ holds), 0.01 * whole)
        mass = masses[cells] * held / masses[cells].sum()
        mean = float(mass @ marginals.columns[cells]) / held
        centred = marginals.columns[cells] - mean
        variances[table] = max(float(mass @ centred**2), 1e-3 * whole)
        slopes = mass * centred / variances[table]
        regressions[np.ix_(1 + cells, np.arange(anchors))] = np.outer(mass / held - slopes * mean, holds)
        regressions[1 + cells, anchors + table] = slopes
        rests[np.ix_(1 + cells, 1 + cells)] = damping * (
            np.diag(mass) - np.outer(mass, mass) / held - np.outer(slopes, slopes) * variances[table]
        )
    fitted = _with_variances(columns, variances[: len(layout.singles)], anchors)
    return np.asarray(regressions @ fitted @ regressions.T + rests)


def _damping(correlations: _Floats, settings: Settings) -> float:
    """By how much the rests' curvature is taken larger than that of one table.

    Were the shapes of tables as correlated as their columns, the largest eigenvalue would be how much larger
    it is along what they have in common; with more than half of that, steps do not overshoot for ever.
    """
    spreads = np.sqrt(np.diag(correlations))
    largest = float(np.linalg.eigvalsh(correlations / np.outer(spreads, spreads))[-1])
    return max(settings.shape_damping * largest, 1.0)


def _holds(layout: Layout, table: int) -> _Floats:
    """[1 + roles], "holds the table" as a sum of the constant and the roles' indicators."""
    missing = layout.axes.missing_roles[table]
    return np.array([1.0, *(-1.0 if role is missing else 0.0 for role in layout.carriers)])


def _masses(marginals: Marginals) -> _Floats:
    """[cells], the curvature in each, but for a factor of its table."""
    everyone = marginals.everyone
    own = np.minimum(marginals.rates, 1.0 - marginals.rates)
    usual = min(everyone.bad_rate, 1.0 - everyone.bad_rate)
    return np.asarray(marginals.masses * (0.8 * own + 0.2 * usual))


def _with_variances(columns: _Floats, variances: _Floats, anchors: int) -> _Floats:
    """The columns' curvature, scaled so that a characteristic's column varies as much as its cells say."""
    cross = np.linalg.solve(columns[:anchors, :anchors], columns[:anchors, anchors:])
    centred = columns[anchors:, anchors:] - columns[anchors:, :anchors] @ cross
    factors = np.ones(len(centred))
    measured = np.maximum(np.diag(centred)[: len(variances)], 1e-6 * columns[0, 0])
    factors[: len(variances)] = np.sqrt(variances / measured)
    fitted = columns.copy()
    fitted[anchors:, anchors:] = centred * np.outer(factors, factors) + columns[anchors:, :anchors] @ cross
    return fitted
