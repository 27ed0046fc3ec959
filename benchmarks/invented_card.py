"""A signed card with invented points over any contract's grid: where nothing must be trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedscore.card import Bin, Card, CardTable, Grade, Scale, ScoreBands
from fedscore.card.signing import SIGNER_FILE, signed
from fedscore.contract import Contract
from simulations.keys import simulated_identity

__all__ = ["invented_card", "write_signed"]

_SPREAD = 12.0
"""Standard deviation of a table's points."""


def invented_card(contract: Contract, *, seed: int, grades: Sequence[str] = ("A", "B", "C", "D")) -> Card:
    """Makes a card whose every cell is a bin of its own, with points of two decimals.

    Args:
        contract: Whose grid it has.
        seed: Of the points and shares.
        grades: Names, best first; none for a card without grades and bands.
    """
    draw = np.random.default_rng(seed)
    tables = []
    for table in contract.tables:
        points = draw.normal(0, _SPREAD, table.size).round(2)
        shares = draw.dirichlet(np.ones(table.size))
        bins = tuple(
            Bin(label=f"cell {cell}", cells=(cell,), points=value, share=share, bad_rate=None)
            for cell, (value, share) in enumerate(zip(points.tolist(), shares.tolist(), strict=True))
        )
        tables.append(CardTable(name=table.name, parents=table.parents, monotone=None, bins=bins))
    begins = np.linspace(600, 500, max(len(grades) - 1, 1)).round(2).tolist()[: len(grades) - 1]
    edges = tuple(float(edge) for edge in range(440, 640, 20))
    counts = tuple(100.0 for _ in range(len(edges) + 1))
    return Card(
        software_version="0",
        contract_hash=contract.hash(),
        contract_name=contract.name,
        purpose=contract.purpose,
        outcome=contract.outcome,
        parties=(),
        scale=Scale(),
        grid=contract.grid,
        intercept_points=550.0,
        characteristics=tuple(table for table in tables if not table.parents),
        interactions=tuple(table for table in tables if table.parents),
        grades=tuple(
            Grade(
                name=name,
                lowest_score=low,
                share=1 / len(grades),
                bad_rate=0.1,
                standard_error=0.01,
            )
            for name, low in zip(grades, [*begins, None], strict=True)
        )
        if grades
        else (),
        bands=ScoreBands(edges=edges, bad=counts, good=counts, deviation=1.0, total_deviation=2.0)
        if grades
        else None,
    )


def write_signed(card: Card, folder: Path, *, signer: str = "operator") -> Path:
    """Writes a card, signed by a simulated identity, and that identity beside it.

    Args:
        card: The card.
        folder: Where card.json goes; an old one is replaced.
        signer: Whose name the identity has.
    """
    identity = simulated_identity(signer)
    path = folder / card.file_name
    signed(card, identity).write(path)
    (folder / SIGNER_FILE).write_text(identity.public.to_json(), encoding="utf-8")
    return path
