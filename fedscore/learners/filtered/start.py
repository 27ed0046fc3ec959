"""Where the filter starts: one slope for all columns, right on average. Post-processing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.settings import Settings

__all__ = ["correlations_of", "positive", "start_of"]

_Floats = npt.NDArray[np.float64]

_LEAST_EIGENVALUE = 0.3
"""Eigenvalues are raised to so many times the size of the noise among them."""


def positive(matrix: _Floats, noise: float) -> _Floats:
    """The matrix with no eigenvalue below a part of the noise in it, so that it can be inverted.

    Args:
        matrix: Symmetric.
        noise: The spectral size of its noise.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    raised = np.maximum(values, _LEAST_EIGENVALUE * noise + 1e-9)
    return np.asarray((vectors * raised) @ vectors.T)


def correlations_of(
    moments: _Floats, deviation: float, layout: Layout, marginals: Marginals, settings: Settings
) -> _Floats:
    """Mean products of the characteristics' columns, drawn toward what is usual where noise is large.

    Args:
        moments: [characteristics, characteristics], the released sum.
        deviation: Standard deviation of the noise in each element.
        layout: The tables.
        marginals: Of the histogram.
        settings: Public constants.
    """
    count = len(layout.singles)
    records = marginals.everyone.records
    noise = deviation / records
    weight = settings.correlation_variance / (settings.correlation_variance + noise**2)
    holding = marginals.holding[:count]
    usual = settings.usual_correlation * np.minimum(holding[:, None], holding[None, :])
    missing = layout.singles.missing_roles
    apart = [
        [first is not None and second is not None and first is not second for second in missing]
        for first in missing
    ]
    usual[np.array(apart)] = 0.0
    np.fill_diagonal(usual, holding)
    mixed = weight * moments / records + (1.0 - weight) * usual
    return positive(mixed, weight * noise * np.sqrt(2.0 * count))


def start_of(
    layout: Layout, marginals: Marginals, correlations: _Floats, settings: Settings
) -> tuple[_Floats, _Floats]:
    """The intercept and what each cell adds before the first round, and what they hang on.

    All weights of evidence get one slope: that at which their sum has the variance that it would have if they
    were independent. Offsets of roles are the counted ones.

    Returns:
        [1 + cells], and [1 + cells, 1 + cells] how it moves with each cell's own log-odds.
    """
    count = len(layout.singles)
    spreads = np.where(marginals.informative, marginals.spreads, 0.0)
    together = float(spreads @ correlations @ spreads)
    apart = float(spreads**2 @ marginals.holding[:count])
    slope = settings.first_slope * float(np.clip(apart / max(together, 1e-6), 1.0 / count, 1.0))

    everyone = marginals.everyone
    # With one role told apart, the intercept belongs to everybody else.
    rest = everyone
    if len(marginals.roles) == 1:
        rest = everyone.without(next(iter(marginals.roles.values())))
    start = np.zeros(1 + layout.axes.cells)
    # The mean probability of scores of some variance lies nearer to a half than that of their mean.
    start[0] = rest.log_odds - 0.5 * slope**2 * together * (1.0 - 2.0 * everyone.bad_rate)
    response = np.zeros((len(start), len(start)))
    for number, own in enumerate(marginals.responses):
        cells = layout.counted_cells(number)
        start[1 + cells] = slope * spreads[number] * marginals.columns[cells]
        response[np.ix_(1 + cells, 1 + cells)] = slope * own * (spreads[number] > 0.0)
    for role, cell in layout.carriers.items():
        start[1 + cell] = marginals.roles[role].log_odds - rest.log_odds
    return start, response
