"""An estimate, as the card tells it."""

from __future__ import annotations

from fedscore.card import Measure
from fedscore.estimates.interval import Estimate

__all__ = ["as_measure"]


def as_measure(name: str, estimate: Estimate) -> Measure | None:
    """An estimate as the card tells it; none where nothing could be measured."""
    if estimate.value is None:
        return None
    return Measure(
        name=name,
        value=round(estimate.value, 6),
        low=round(estimate.low, 6),
        high=round(estimate.high, 6),
        total_low=round(estimate.total_low, 6),
        total_high=round(estimate.total_high, 6),
    )
