"""A card that was trained with noise, and customers who are watched under it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedscore.card import Card
from fedscore.contract import Contract, GradeTerms, MonitoringTerms, Party, Role, parse_contract
from fedscore.data import Rows
from simulations.federation import train_federation
from tests.conftest import TINY

__all__ = ["PER_PARTY", "TRAINING", "card_and_contract", "customers", "everybody"]

PER_PARTY = 10_000
"""Customers of each of five organisations: 50,000 in all, of whom 3 % go bad."""

TRAINING = (
    parse_contract(
        TINY.replace("row_cap = 4000", "row_cap = 12000")
        .replace("delta = 1e-5", "delta = 1e-6")
        .replace("test_share = 0.3", "test_share = 0.0")
    )
    .with_parties(
        [
            *(Party(name=f"platform-{number}", role=Role.PLATFORM) for number in range(4)),
            Party(name="agency", role=Role.COLLECTOR),
        ]
    )
    .with_grades(GradeTerms(largest_bad_rates=(0.01, 0.03, 0.08), budget_share=0.1))
)
"""Five parties, epsilon 1, delta 1e-6, grades."""


def customers(
    seed: int, role: Role, *, bad_rate: float = 1.0, tilt: float = 1.0, count: int = PER_PARTY
) -> Rows:
    """Customers of one organisation.

    Args:
        seed: Of the draw.
        role: Collectors do not hold the segment.
        bad_rate: By what all probabilities are multiplied.
        tilt: Weight of the first cells of the first table; 1 as when the card was trained.
        count: How many.
    """
    generator = np.random.default_rng(seed)
    columns: list[npt.NDArray[np.int64]] = []
    for number, table in enumerate(TRAINING.tables):
        falling = np.arange(table.size, 0, -1, dtype=np.float64)
        if number == 0:
            falling **= tilt
        columns.append(generator.choice(table.size, count, p=falling / falling.sum()))
    cells = np.column_stack(columns)
    last = TRAINING.tables[2].size - 1
    cells[:, 2] = last if role is Role.COLLECTOR else np.minimum(cells[:, 2], last - 1)
    risk = bad_rate / (1.0 + np.exp(5.4 - 0.35 * cells[:, 0] - 0.45 * cells[:, 1]))
    return Rows(
        cells=cells.astype(np.int32),
        outcome=(generator.random(count) < risk).astype(np.int8),
        ids=np.array([f"{seed}-{number}" for number in range(count)], dtype=object),
    )


def everybody(
    seed: int, *, bad_rate: float = 1.0, tilt: float = 1.0, count: int = PER_PARTY
) -> Mapping[str, Rows]:
    """The same of all parties."""
    return {
        party.name: customers(100 * seed + number, party.role, bad_rate=bad_rate, tilt=tilt, count=count)
        for number, party in enumerate(TRAINING.parties)
    }


def card_and_contract(*, outcomes: bool = True, seed: int = 3) -> tuple[Card, Contract]:
    """A card of 50,000 records at epsilon 1, and the contract that watches it.

    Args:
        outcomes: Whether they are known.
        seed: Of training records and noise. That of 3 knows its own bad rate about as well as most do; one in
            twenty is off by two standard errors, and watches as far off.
    """
    card = _card(seed)
    return card, TRAINING.with_monitoring(MonitoringTerms(card=card.fingerprint, outcomes=outcomes))


@functools.cache
def _card(seed: int) -> Card:
    return train_federation(TRAINING, everybody(seed), seed=seed).card
