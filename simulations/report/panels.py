"""Which figures a report has: one panel for each variation, all of them to the same scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from simulations.audit.row import AuditRow
from simulations.report.accuracy_panel import auc_limits
from simulations.report.axis import EpsilonAxis, epsilon_axis
from simulations.report.figures import Panel
from simulations.report.frontier import FrontierPoint, Variation, by_variation, variation_in_words

__all__ = ["panels_of"]


def panels_of(
    points: Sequence[FrontierPoint], audits: Sequence[AuditRow], *, deltas: Mapping[Variation, float]
) -> tuple[Panel, ...]:
    """One panel for each variation, in the order of the sweep.

    Args:
        points: Of all variations.
        audits: Likewise.
        deltas: That go with the epsilons of each variation.
    """
    axis, limits = _axis(points, next(iter(deltas.values()))), auc_limits(points)
    return tuple(
        Panel(
            title=variation_in_words(place),
            points=here,
            audits=tuple(row for row in audits if tuple(row.variation.items()) == place),
            axis=None if axis is None else replace(axis, delta=deltas[place]),
            limits=limits,
        )
        for place, here in by_variation(points).items()
    )


def _axis(points: Sequence[FrontierPoint], delta: float) -> EpsilonAxis | None:
    """None where a line would have a single point."""
    asked = {point.epsilon for point in points if point.epsilon is not None}
    if len(asked) < 2:
        return None
    true = [at for point in points if (at := point.epsilon_drawn) is not None]
    return epsilon_axis(asked, true, delta)
