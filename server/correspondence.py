"""Asking several nodes at once: answers by name, signatures kept on the way, and an ear for the operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from fedscore.errors import RunStopped
from fedscore.messages import Ask, Reply
from fedscore.sums.series import KeySeries
from server.answers import Answer
from server.chronicle import Standing
from server.transport import Silence, Transport

__all__ = ["Correspondence"]

_Who = TypeVar("_Who", str, int)


class Correspondence:
    """What a run says to its nodes, and hears from them.

    Attributes:
        standing: Where the key's transcript stands, with all signatures that have come in.
    """

    def __init__(
        self, *, transport: Transport, series: KeySeries, standing: Standing, stopping: Callable[[], bool]
    ) -> None:
        """Sets it up.

        Args:
            transport: Reaches the nodes.
            series: The key's.
            standing: Where the transcript stands.
            stopping: Whether the operator wants the run to end.
        """
        self.standing = standing
        self._transport = transport
        self._series = series
        self._stopping = stopping

    def hello(self, ask: Ask) -> Mapping[int, Answer]:
        """Asks all that can be reached, and returns their answers by address.

        Raises:
            RunStopped: The operator ended the run.
        """
        return self._ask(dict.fromkeys(self._transport.addresses(), ask))

    def answers(self, ask: Ask, addresses: Mapping[_Who, int]) -> dict[_Who, Answer]:
        """Asks each of them; signatures under the transcript's head are kept on the way.

        Raises:
            RunStopped: The operator ended the run.
        """
        by_address = self._ask(dict.fromkeys(addresses.values(), ask))
        answers = {
            who: by_address.get(address, Silence(reason="no answer")) for who, address in addresses.items()
        }
        for answer in answers.values():
            if isinstance(answer, Reply) and answer.committee_member is not None:
                # One by one: whoever gives itself another's number must not hide that member's signature.
                signed = {answer.committee_member: answer.head_signature}
                if not signed.keys() <= self.standing.signatures.keys():
                    self.standing = self.standing.vouched(self._series.vouchers(self.standing.head, signed))
        return answers

    def _ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        self._listen()
        answers = self._transport.ask(asks)
        # A transport that is told to stop no longer waits: what it has is not all that there is.
        self._listen()
        return answers

    def _listen(self) -> None:
        if self._stopping():
            raise RunStopped("the operator ended the run; what was released stays spent")
