"""The transport over Flower's `Grid`: real nodes behind a SuperLink, or the grid of a simulation.

Flower's own `send_and_receive` waits three seconds between polls, whatever it is told; here the messages are
pushed once and pulled until all answers are there, so that a round costs what the nodes need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from flwr.app import Message
from flwr.serverapp import Grid

from fedscore.errors import ProtocolError
from fedscore.messages.codec import MESSAGE_TYPES, decode_answer, encode_ask, software_of
from fedscore.messages.protocol import ASK_DOMAIN, SOFTWARE, Ask, Refusal, Reply
from fedscore.sums.series import Signer
from server.transport import Silence

__all__ = ["GridTransport"]


class GridTransport:
    """Carries asks over a Flower grid; a `server.transport.Transport`.

    An answer belongs to the ask that its message replies to. What the answer says about its phase, run and
    round is for the coordinator to compare.

    Attributes:
        grid: Flower's interface to the nodes.
        signer: Signs every ask as the operator.
        poll_seconds: Pause between two polls for answers; the first poll comes at once.
        timeout_seconds: Longest wait for the answers to one call of `ask`, and the lifetime of its messages.
        stopping: Whether the operator wants the run to end: then nothing is waited for any more.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        signer: Signer,
        poll_seconds: float = 0.2,
        timeout_seconds: float = 600.0,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.grid = grid
        self.signer = signer
        self.poll_seconds = poll_seconds
        self.timeout_seconds = timeout_seconds
        self.stopping = stopping

    def addresses(self) -> tuple[int, ...]:
        """Return Flower's identifiers of the nodes that are connected now, in ascending order."""
        return tuple(sorted(self.grid.get_node_ids()))

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Reply | Refusal | Silence]:
        """Put every ask to its node, and wait for all answers, the time limit, or the operator's stop.

        Raises:
            ProtocolError: An ask breaks a rule of `Ask`; nothing was sent.
        """
        deadline = time.monotonic() + self.timeout_seconds
        waiting = self._push(asks)
        answers: dict[int, Reply | Refusal | Silence] = {}
        while True:
            for message in self.grid.pull_messages(sorted(waiting)) if waiting else ():
                address = waiting.pop(message.metadata.reply_to_message_id, None)
                if address is not None:
                    answers[address] = _answer(message)
            if not waiting or time.monotonic() >= deadline or self.stopping():
                break
            time.sleep(self.poll_seconds)
        for address in asks:
            if address not in answers:
                sent = address in waiting.values()
                answers[address] = Silence(
                    reason=f"no answer within {self.timeout_seconds:g} seconds"
                    if sent
                    else "the message could not be handed to Flower"
                )
        return answers

    def _push(self, asks: Mapping[int, Ask]) -> dict[str, int]:
        """Hand all asks to Flower and return the address by message identifier, for those that it took."""
        # Most asks go to many nodes: each is signed and written once, and read by all.
        distinct = {id(ask): ask for ask in asks.values()}
        contents = {key: encode_ask(self._signed(ask)) for key, ask in distinct.items()}
        messages = [
            Message(
                contents[id(ask)],
                address,
                MESSAGE_TYPES[ask.phase],
                ttl=self.timeout_seconds,
                group_id=str(ask.round),
            )
            for address, ask in asks.items()
        ]
        if not messages:
            return {}
        # In the messages' order and with None for a refused one; nothing if together they were too large.
        identifiers = list(self.grid.push_messages(messages))
        if len(identifiers) != len(messages):
            return {}
        return {
            identifier: address for identifier, address in zip(identifiers, asks, strict=True) if identifier
        }

    def _signed(self, ask: Ask) -> Ask:
        ask = replace(ask, version=SOFTWARE)
        return replace(ask, signature=self.signer.sign(ASK_DOMAIN, ask.statement()))


def _answer(message: Message) -> Reply | Refusal | Silence:
    if message.has_error():
        # The code is Flower's; the reason beside it may quote an exception of the node, so it stays here.
        return Silence(reason=f"Flower reports error {message.error.code} instead of an answer")
    try:
        return decode_answer(message.content)
    except ProtocolError:
        theirs = software_of(message.content)
        versions = f" (the node runs fedscore {theirs}, this server {SOFTWARE})" if theirs else ""
        return Silence(reason=f"the answer is no message of this version of the protocol{versions}")
