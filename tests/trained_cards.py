"""A card of Taiwan's customers, trained without noise once for all tests of a process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from fedscore.card import Card
from fedscore.contract import GradeTerms, Party, Role, load_contract
from fedscore.data import Rows, read_rows
from simulations.federation import train_alone
from tests.conftest import REPOSITORY

__all__ = ["Taiwan", "taiwan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taiwan:
    """Thirty thousand customers and their card.

    Attributes:
        card: With three grades.
        file: The customers.
        rows: The same, as cells.
    """

    card: Card
    file: Path
    rows: Rows


@functools.cache
def taiwan(shared_data: Path) -> Taiwan:
    grades = GradeTerms(names=("A", "B", "C"), largest_bad_rates=(0.1, 0.2))
    contract = load_contract(REPOSITORY / "simulations" / "contracts" / "taiwan.toml").with_grades(grades)
    contract = contract.with_parties(
        Party(name=name, role=Role.PLATFORM) for name in ("north", "south", "west")
    )
    file = shared_data / "taiwan_credit_card.parquet"
    rows = read_rows(file, contract, role=Role.PLATFORM)
    return Taiwan(card=train_alone(contract, rows).card, file=file, rows=rows)
