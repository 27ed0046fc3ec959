"""Right on average, and as far apart as it should be: one last sum of plain residuals.

The rounds' residuals are weighted, and the filter draws toward its start. So a card can end with a mean
probability that is not quite the bad rate, and with scores that lie too close together; or too far apart,
where few records bear many cells. Both are measured once more, with the likelihood's own residual, and mended
by the intercept, the roles' offsets and one factor. Residuals of the records that made the card look better
than those of others: by the degrees of freedom that the filter gave it, which are taken off.

Formal guarantee. With the residual r = y - p, the variance w = p (1 - p) = |r| (1 - |r|), the place |c| ≤ 1
of the record's score and its role if that does not hold everything, a record adds

    r, w c    once, and once more for its role
    r c, w c² once.

The squared norm is at most r² (2 + c²) + w² (2c² + c⁴) ≤ 3 r² (1 + (1 - |r|)²). With 0 ≤ |r| ≤ 1 that is at
most 3, since 1 - r² ≥ 1 - |r| ≥ r² (1 - |r|)².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import Role
from fedscore.data import Rows
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.queries import Model
from fedscore.learners.scorecard.evidence import Population
from fedscore.sums import DenseContributions, Query, Released

__all__ = ["SQUARED_BOUND", "Correction", "Level", "corrected", "correction_of"]

SQUARED_BOUND = 3
"""No record's squared norm is larger."""

_PRIOR_SHIFT = 0.1
"""Prior deviation of a shift, in log-odds."""

_PRIOR_SLOPE = 0.3
"""Prior deviation of the slope around 1."""

_LEAST_SLOPE, _LARGEST_SLOPE = 0.5, 2.0

_EXPECTED_DEVIATION = 0.3
"""How far what is measured of the places is expected to lie from what was expected, in parts."""

_FREEDOM_SEEN = 0.5
"""So much of the degrees of freedom is taken off; chosen on development data, at 3,000 to 57,000 records."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Level(Query):
    """Residuals and variances over all records and over roles, plain and times the place of the score.

    Attributes:
        model: The finished rounds' card.
        centre: The log-odds whose place is 0.
        spread: How far the log-odds of records deviate from it; the place is ±1 at twice that and beyond.
    """

    model: Model
    centre: float
    spread: float

    @property
    def anchors(self) -> int:
        """1 + roles."""
        return 1 + len(self.model.columns.layout.carriers)

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the roles
        """Residuals of everybody and of roles, their variances times places, and two more."""
        return 2 * self.anchors + 2

    def places(self, log_odds: _Floats) -> _Floats:
        """[records], where the log-odds lie between -1 and 1."""
        return np.asarray(np.clip((log_odds - self.centre) / (2.0 * self.spread), -1.0, 1.0))

    def contributions(self, rows: Rows) -> DenseContributions:
        """The residual and what the slope needs."""
        log_odds = np.clip(self.model.log_odds(rows.cells), -30.0, 30.0)
        probability = 1.0 / (1.0 + np.exp(-log_odds))
        residual = rows.outcome - probability
        variance = probability * (1.0 - probability)
        places = self.places(log_odds)
        indicators = self.model.columns.anchors(rows.cells)
        return DenseContributions(
            values=np.column_stack(
                [
                    indicators * residual[:, None],
                    indicators * (variance * places)[:, None],
                    residual * places,
                    variance * places**2,
                ]
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What makes the card right.

    Attributes:
        centre: The log-odds that the slope leaves as they are.
        slope: By what the distance from the centre is multiplied; positive.
        deviation: Of the slope, by the noise in what was measured.
        intercept: In log-odds, added to the intercept.
        offsets: The same for each role's offset.
    """

    centre: float
    slope: float
    deviation: float
    intercept: float
    offsets: Mapping[Role, float]


def correction_of(level: Level, released: Released, marginals: Marginals, *, freedom: float) -> Correction:
    """By how much the card should move; one Newton step, shrunk by what noise is in it.

    Args:
        level: The query.
        released: Of its sum.
        marginals: Counts of bad and good records.
        freedom: By so much is the sum of residuals times log-odds larger than over fresh records.
    """
    anchors, deviation = level.anchors, released.deviation
    excesses, crosses = released.values[:anchors], released.values[anchors : 2 * anchors]
    populations = [marginals.everyone, *marginals.roles.values()]
    curvatures = np.array([_curvature(one) for one in populations])
    # Places are centred, so that residuals and places go together by little.
    crosses = crosses * _kept(_EXPECTED_DEVIATION * curvatures, deviation)
    excess, curvature = _of_slope(released, float(crosses[0]), float(curvatures[0]))
    excess -= _FREEDOM_SEEN * freedom / (2.0 * level.spread)
    width = 2.0 * level.spread
    move = _shrunk(excess, curvature, deviation, width * _PRIOR_SLOPE)
    slope = float(np.clip(1.0 + move / width, _LEAST_SLOPE, _LARGEST_SLOPE))
    excesses = excesses - width * (slope - 1.0) * crosses
    intercept, offsets = _shifts(excesses, deviation, marginals)
    return Correction(
        centre=level.centre,
        slope=slope,
        deviation=_shrunk(deviation, curvature, deviation, width * _PRIOR_SLOPE) / width,
        intercept=intercept,
        offsets=offsets,
    )


def _of_slope(released: Released, cross: float, whole: float) -> tuple[float, float]:
    """What says how the slope should move, and how much that changes with the slope, in places."""
    # Places deviate by a half where the spread is right.
    usual = 0.25 * whole
    weight = float(_kept(np.array([_EXPECTED_DEVIATION * usual]), released.deviation)[0])
    measured = max(float(released.values[-1]), 0.0)
    curvature = weight * measured + (1.0 - weight) * usual - cross**2 / whole
    return float(released.values[-2] - cross / whole * released.values[0]), max(curvature, 0.2 * usual)


def _kept(deviations: _Floats, noise: float) -> _Floats:
    """What part of a noisy value is kept, by how far it is expected to lie from what is usual."""
    return np.asarray(deviations**2 / (deviations**2 + noise**2))


def _curvature(population: Population) -> float:
    rate = population.bad_rate
    return population.records * max(rate * (1.0 - rate), 1e-3)


def _shrunk(excess: float, curvature: float, deviation: float, prior: float) -> float:
    kept = prior**2 / (prior**2 + (deviation / curvature) ** 2)
    return kept * excess / curvature


def _shifts(excesses: _Floats, noise: float, marginals: Marginals) -> tuple[float, Mapping[Role, float]]:
    """By how much the intercept, and the offset of each role, should move, in log-odds."""
    roles = list(marginals.roles)
    excess = dict(zip(roles, excesses[1:].tolist(), strict=True))
    everyone = float(excesses[0])
    rest, of_rest, deviation = marginals.everyone, everyone, noise
    if len(roles) == 1:
        # The intercept is then everybody else's.
        rest, of_rest = rest.without(marginals.roles[roles[0]]), everyone - excess[roles[0]]
        deviation *= np.sqrt(2.0)
    intercept = _shift(rest, of_rest, deviation)
    return intercept, {role: _shift(marginals.roles[role], excess[role], noise) - intercept for role in roles}


def _shift(population: Population, excess: float, deviation: float) -> float:
    """The first Newton step to a mean probability as the bad rate, shrunk by what noise is in it."""
    curvature = _curvature(population)
    return float(np.clip(_shrunk(excess, curvature, deviation, _PRIOR_SHIFT), -1.0, 1.0))


def corrected(parameters: _Floats, correction: Correction, carriers: Mapping[Role, int]) -> _Floats:
    """The intercept and the cells after a correction.

    Args:
        parameters: [1 + cells], before it.
        correction: What to do.
        carriers: The cell of each role that does not hold everything.
    """
    moved = parameters * correction.slope
    moved[0] += correction.intercept + correction.centre * (1.0 - correction.slope)
    for role, cell in carriers.items():
        moved[1 + cell] += correction.offsets[role]
    return np.asarray(moved)
