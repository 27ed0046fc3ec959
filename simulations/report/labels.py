"""Where labels go that would overlap: apart from each other, and as near as can be to what they name."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["apart", "thinned"]


def apart(wanted: Sequence[float], *, least: float, low: float, high: float) -> list[float]:
    """Move places along a line until neighbours are far enough from each other.

    Their order stays. Where there is too little room for all, they share the line evenly.

    Args:
        wanted: Places as they should be, in any order.
        least: The smallest distance of two neighbours.
        low: No place is below.
        high: No place is above.

    Returns:
        Places in the order of `wanted`.
    """
    count = len(wanted)
    if count > 1 and least * (count - 1) > high - low:
        least = (high - low) / (count - 1)
    order = sorted(range(count), key=lambda index: wanted[index])
    # Each block of touching labels has its members' mean place (the pool-adjacent-violators algorithm).
    blocks: list[list[float]] = []
    for rank, index in enumerate(order):
        blocks.append([min(max(wanted[index], low), high) - rank * least, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (upper, more), (lower, less) = blocks.pop(), blocks.pop()
            blocks.append([(upper * more + lower * less) / (more + less), more + less])
    level = [place for place, members in blocks for _ in range(int(members))]
    top = high - least * (count - 1)
    places = [0.0] * count
    for rank, index in enumerate(order):
        places[index] = min(max(level[rank], low), top) + rank * least
    return places


def thinned(ticks: Sequence[float], *, least: float) -> list[float]:
    """Leave out ticks that come too close to one that stays; the first and the last stay.

    Args:
        ticks: In ascending order.
        least: The smallest distance of two neighbours.
    """
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick - kept[-1] >= least:
            kept.append(tick)
    if ticks and kept[-1] != ticks[-1]:
        if len(kept) > 1:
            kept.pop()
        kept.append(ticks[-1])
    return kept
