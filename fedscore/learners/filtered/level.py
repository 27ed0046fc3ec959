"""Right on average: one last sum of plain residuals moves the intercept, and the offsets of roles.

The rounds' residuals are weighted, so a card whose form is not quite the truth's ends with a mean probability
that is not quite the bad rate. Formal guarantee: a record adds y - p once, and once more for its role if that
does not hold everything: squared norm ≤ 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedscore.contract import Role
from fedscore.data import Rows
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.queries import Model
from fedscore.learners.scorecard.evidence import Population
from fedscore.sums import DenseContributions, Query, Released

__all__ = ["Level", "shifts_of"]

_PRIOR_SHIFT = 0.1
"""Prior deviation of a shift, in log-odds."""


@dataclass(frozen=True, slots=True, eq=False)
class Level(Query):
    """Σ(y - p) over all records, and over those of each role that does not hold everything.

    Attributes:
        model: The finished rounds' card.
    """

    model: Model

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the roles
        """1 + roles."""
        return 1 + len(self.model.columns.layout.carriers)

    def contributions(self, rows: Rows) -> DenseContributions:
        """The residual, once or twice."""
        log_odds = np.clip(self.model.log_odds(rows.cells), -30.0, 30.0)
        residual = rows.outcome - 1.0 / (1.0 + np.exp(-log_odds))
        indicators = self.model.columns.anchors(rows.cells)
        return DenseContributions(values=indicators * residual[:, None])


def shifts_of(released: Released, marginals: Marginals) -> tuple[float, Mapping[Role, float]]:
    """By how much the intercept, and the offset of each role, should move, in log-odds.

    Args:
        released: Of the sum.
        marginals: Counts of bad and good records.
    """
    roles = list(marginals.roles)
    excess = dict(zip(roles, released.values[1:].tolist(), strict=True))
    everyone = float(released.values[0])
    rest, of_rest, deviation = marginals.everyone, everyone, released.deviation
    if len(roles) == 1:
        # The intercept is then everybody else's.
        rest, of_rest = rest.without(marginals.roles[roles[0]]), everyone - excess[roles[0]]
        deviation *= np.sqrt(2.0)
    intercept = _shift(rest, of_rest, deviation)
    return intercept, {
        role: _shift(marginals.roles[role], excess[role], released.deviation) - intercept for role in roles
    }


def _shift(population: Population, excess: float, deviation: float) -> float:
    """The first Newton step to a mean probability as the bad rate, shrunk by what noise is in it."""
    rate = population.bad_rate
    curvature = population.records * max(rate * (1.0 - rate), 1e-3)
    kept = _PRIOR_SHIFT**2 / (_PRIOR_SHIFT**2 + (deviation / curvature) ** 2)
    return float(kept * np.clip(excess / curvature, -1.0, 1.0))
