"""A contract to start from, written from names and types of columns alone.

What only people can know is left as a line with `TODO`. `check` refuses exactly these lines, so the contract
is finished when nothing is refused any more. Nothing in it depends on a value of anybody's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedscore.contract.column_hints import Column
from fedscore.contract.column_sorting import LeftOut, sorted_out
from fedscore.contract.findings import closest
from fedscore.contract.proposal_text import text_of, to_decide
from fedscore.errors import ContractError

__all__ = ["Proposal", "propose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A contract to edit.

    Attributes:
        text: Of the file.
        characteristics: The columns that it proposes as such.
        left_out: The others, but for the outcome and what tells rows apart.
    """

    text: str
    characteristics: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def to_decide(self) -> int:
        """How many lines have to be filled in."""
        return len(to_decide(self.text))


def propose(
    columns: Sequence[Column], *, name: str, outcome: str | None = None, identifier: str | None = None
) -> Proposal:
    """Propose a contract.

    Args:
        columns: Of an organisation's file.
        name: What the contract is to be called, if it can be.
        outcome: The column with the outcome; found by its name if left out.
        identifier: The column that tells rows apart; found by its name if left out.

    Raises:
        ContractError: A column that was named is not there, or no column is left for the score.
    """
    known = [column.name for column in columns]
    for asked in (outcome, identifier):
        if asked is not None and asked not in known:
            raise ContractError(
                f"there is no column {asked!r}{closest(asked, known)}: name one of the file's"
            )
    if outcome is not None and outcome == identifier:
        raise ContractError(
            f"column {outcome!r} cannot both hold the outcome and tell rows apart: name two columns"
        )
    found = sorted_out(columns, outcome, identifier)
    if not found.characteristics:
        raise ContractError(
            "no column is left that a score could use: name a file with characteristics of customers, one "
            "row for each account"
        )
    return Proposal(
        text=text_of(found, name=name),
        characteristics=tuple(column.name for column in found.characteristics),
        left_out=tuple(found.left_out),
    )
