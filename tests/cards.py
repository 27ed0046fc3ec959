"""Small cards for tests that need one and do not train it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedscore.card import Bin, Card, CardTable, Scale
from fedscore.contract import Characteristic, Grid, Outcome, ValueType

__all__ = ["OUTCOME", "number", "plain_card", "table"]

OUTCOME = Outcome(definition="30 days past due", bucket="30+", horizon_days=90)


def number(name: str, cells: int) -> Characteristic:
    """A number with so many cells, *missing* among them."""
    edges = tuple(float(edge) for edge in range(1, cells - 1))
    return Characteristic(name=name, column=name, type=ValueType.NUMBER, edges=edges)


def table(name: str, points: Sequence[float]) -> CardTable:
    """A table with a bin for every cell."""
    bins = tuple(
        Bin(label=f"{name} bin {place}", cells=(place,), points=value, share=1 / len(points), bad_rate=None)
        for place, value in enumerate(points)
    )
    return CardTable(name=name, parents=(), monotone=None, bins=bins)


def plain_card(*tables: CardTable, **changes: Any) -> Card:  # noqa: ANN401 - fields of a card
    """A card of numbers, every cell a bin of its own."""
    fields: dict[str, Any] = {
        "software_version": "0",
        "contract_hash": "0" * 64,
        "contract_name": "tiny",
        "purpose": "tests",
        "outcome": OUTCOME,
        "parties": (),
        "scale": Scale(),
        "grid": Grid(characteristics=tuple(number(entry.name, entry.size) for entry in tables)),
        "intercept_points": 500.0,
        "characteristics": tables,
        "interactions": (),
    }
    return Card(**{**fields, **changes})
