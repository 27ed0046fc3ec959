"""What a node needs of its books: what a sum costs, and that everything is written down before it leaves."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from clients.memory import Mark, NodeState, Release
from fedscore.messages import Ask, Head, RefusalCode
from privacy.dp.events import Event

__all__ = ["Books", "Expense", "NoBooks", "Price"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a whole run may cost.

    Attributes:
        run: Its id.
        contract: Hash of its contract.
        program: What all its sums cost, with all spare rounds.
        epsilon: Of `program`, at the contract's own delta.
    """

    run: str
    contract: str
    program: Event
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """One sum that the node is about to take part in.

    Attributes:
        key: Id of the key under which rounds are counted.
        round: The round.
        name: The sum's name.
        request: Hash of the request.
        event: What it costs.
        price: What its run may cost.
    """

    key: str
    round: int
    name: str
    request: str
    event: Event
    price: Price


class Books(Protocol):
    """What a node needs of its books."""

    def locked(self) -> AbstractContextManager[None]:
        """Keeps every other process that uses them out until the block ends, and brings them up to date."""
        ...

    def mark(self) -> Mark | None:
        """Number and hash of the newest line, for the node's memory; none where nothing is kept."""
        ...

    def require_current(self, state: NodeState, head: Head) -> None:
        """Refuses to go on with books that are older than what the node, or the transcript, knows.

        Raises:
            LedgerMismatch: They are.
        """
        ...

    def require_affordable(self, price: Price) -> None:
        """Refuses a run that cannot be paid for, or is over; reserves nothing.

        Raises:
            BudgetExhausted: It cannot be paid for.
            RoundRefused: Another run has followed it.
        """
        ...

    def charge(self, expense: Expense) -> dt.date:
        """Writes down what a sum costs, once; the first of a run reserves all that the run may cost.

        Returns:
            The day on which the run began here.

        Raises:
            BudgetExhausted: It cannot be paid for; nothing was written.
            RoundRefused: The round was sent before, or is older than one that was, or its run is over.
        """
        ...

    def sent(self, key: str, number: int, submission: str) -> None:
        """Writes down the SHA-256 of what is about to be sent; again for the same round, does nothing.

        Raises:
            LedgerMismatch: The round was not charged, or something else was sent for it.
        """
        ...

    def opened(self, key: str, release: Release) -> None:
        """Writes down whose sum the node is about to help to open; again for the same one, does nothing.

        Raises:
            LedgerMismatch: Another one was noted for the round.
        """
        ...

    def refused(self, ask: Ask, code: RefusalCode) -> None:
        """Writes down that an ask was refused."""
        ...


class NoBooks:
    """Keeps nothing and refuses nothing: for simulations, whose rows lie with their researcher anyway."""

    def locked(self) -> AbstractContextManager[None]:
        """See `Books.locked`."""
        return nullcontext()

    def mark(self) -> None:
        """See `Books.mark`."""

    def require_current(self, state: NodeState, head: Head) -> None:
        """See `Books.require_current`."""

    def require_affordable(self, price: Price) -> None:
        """See `Books.require_affordable`."""

    def charge(self, expense: Expense) -> dt.date:  # noqa: ARG002 - the protocol's
        """See `Books.charge`: the day is today."""
        return dt.datetime.now(dt.UTC).date()

    def sent(self, key: str, number: int, submission: str) -> None:
        """See `Books.sent`."""

    def opened(self, key: str, release: Release) -> None:
        """See `Books.opened`."""

    def refused(self, ask: Ask, code: RefusalCode) -> None:
        """See `Books.refused`."""
