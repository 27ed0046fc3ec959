"""Synthetic customers, and private sums over them as they would be released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.estimates import Bands, EvaluationPlan, Measured, PointsToOdds, Reference, Strategy

POINTS = PointsToOdds(offset=500.0, factor=28.85)
PLAN = EvaluationPlan(low=200.0, high=900.0, points=POINTS, cut_offs=(500.0, 540.0, 580.0))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """Rows with their scores."""

    scores: Floats
    outcome: npt.NDArray[np.int64]

    @property
    def probability(self) -> Floats:
        return POINTS.probability(self.scores)


def draw(
    generator: np.random.Generator,
    rows: int,
    bad_rate: float,
    *,
    slope: float = 1.0,
    shift: float = 0.0,
    rounding: float = 0.01,
) -> Customers:
    """Customers whose outcome has log-odds shift + slope · (the card's), around the bad rate's."""
    log_odds = (
        generator.normal(0.0, 1.15, rows) + np.log(bad_rate / (1.0 - bad_rate)) - 0.5 * (1.0 - bad_rate)
    )
    truth = 1.0 / (1.0 + np.exp(-(shift + slope * log_odds)))
    scores = np.round((POINTS.offset - POINTS.factor * log_odds) / rounding) * rounding
    return Customers(
        scores=np.clip(scores, PLAN.low, PLAN.high), outcome=(generator.random(rows) < truth).astype(np.int64)
    )


def released(
    strategy: Strategy, cells: npt.NDArray[np.int64], noise: float, generator: np.random.Generator
) -> Measured:
    """The sum over the rows in these cells, if a sum of sensitivity 1 would have so much noise."""
    deviation = noise * float(np.sqrt(float(strategy.bound.sensitivity_squared)))
    values = np.bincount(cells, minlength=strategy.cells) @ strategy.patterns
    return Measured(
        strategy=strategy,
        values=values + deviation * generator.standard_normal(strategy.dimension),
        deviation=deviation,
    )


def reference_of(
    customers: Customers, noise: float, generator: np.random.Generator, plan: EvaluationPlan = PLAN
) -> Reference:
    """The first sum, which has a tenth of the budget."""
    cells = plan.grid.cell_of(customers.scores)
    return plan.reference(released(plan.grid.strategy, cells, noise / np.sqrt(0.1), generator))


def evaluations(
    customers: Customers,
    noise: float,
    generator: np.random.Generator,
    *,
    count: int,
    plan: EvaluationPlan = PLAN,
) -> Iterator[Bands]:
    """Several evaluations of the same rows, which share their first sum."""
    reference = reference_of(customers, noise, generator, plan)
    exact = released(
        reference.strategy, reference.cell_of(customers.scores, customers.outcome), 0.0, generator
    )
    deviation = noise / np.sqrt(0.9) * float(np.sqrt(float(exact.strategy.bound.sensitivity_squared)))
    for _ in range(count):
        values = exact.values + deviation * generator.standard_normal(len(exact.values))
        yield Bands(
            reference=reference,
            measured=Measured(strategy=exact.strategy, values=values, deviation=deviation),
        )
