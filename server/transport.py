"""How a coordinator reaches the nodes, whatever carries its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from fedscore.messages.protocol import Ask, Refusal, Reply

__all__ = ["Silence", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nothing usable came back from a node in time.

    Attributes:
        reason: What the transport saw, in its own words; never anything that the node wrote.
    """

    reason: str


class Transport(Protocol):
    """Carries one ask to each of several nodes, and brings back what they answered.

    An address is what the transport calls a node; which party lives there is what a hello tells.
    """

    def addresses(self) -> tuple[int, ...]:
        """Return the nodes that can be reached at this moment, in ascending order."""
        ...

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Reply | Refusal | Silence]:
        """Put every ask to its node, and wait for all answers or the transport's time limit.

        Args:
            asks: What to ask, by address.

        Returns:
            One answer for each address in `asks`. A failure of a node is a value, never an exception.
        """
        ...
