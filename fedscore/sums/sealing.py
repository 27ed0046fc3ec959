"""Who seals, who helps to open, who combines: three roles, three types, so no process holds too much.

A `Sealer` lives at every node and can only encrypt. A `Member` lives at a node of the committee and
answers with partial openings of the sum. A `Combiner` lives at the server: it joins partial openings and
has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.sums.request import SumRequest
from privacy.paillier.packing import SlotLayout

__all__ = ["Combiner", "Envelope", "Member", "Sealer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a sealed vector belongs.

    Attributes:
        run: 32 hexadecimal digits.
        number: The round, from 0.
        digest: Hash of the derived request in its place.
        request: The derived request.
    """

    run: str
    number: int
    digest: str
    request: SumRequest

    @property
    def layout(self) -> SlotLayout:
        """The slots of the sealed vector."""
        return self.request.layout


class Sealer(Protocol):
    """Encrypts a party's vector."""

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """Returns the canonical wire form of the encrypted vector."""
        ...


class Member(Protocol):
    """A committee member: adds the submissions itself, and opens nothing but their sum."""

    @property
    def index(self) -> int:
        """The member's number, from 1."""
        ...

    def partial(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """Returns this member's partial opening of the sum of all submissions.

        Raises:
            CiphertextRefused: A submission is malformed; the message names its sender.
        """
        ...


class Combiner(Protocol):
    """Joins partial openings; holds no key."""

    @property
    def threshold(self) -> int:
        """Number of members whose partial openings are needed."""
        ...

    def open(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> npt.NDArray[np.int64]:
        """Returns the opened sum, [dimension], after checking it against the ciphertexts.

        Raises:
            CiphertextRefused: A submission is malformed; the message names its sender.
            OpeningError: The partial openings do not combine.
        """
        ...
