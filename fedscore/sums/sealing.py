"""Who seals, who helps to open, who combines: three roles, three types, so no process holds too much.

A `Sealer` lives at every node and can only encrypt. A `Member` lives at a node of the committee: it checks
every submission, adds them itself, and answers with partial openings of that sum. A `Combiner` lives at the
server: it joins partial openings and has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.sums.request import SumRequest
from privacy.paillier.packing import SlotLayout

__all__ = ["Combiner", "Envelope", "Member", "OpenedSum", "Sealer", "SumShape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SumShape:
    """How an opened sum is read: all that has to be remembered of a request until then.

    Attributes:
        layout: The slots.
        dimension: Number of values.
    """

    layout: SlotLayout
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a submission belongs; the same for every party.

    Attributes:
        run: 32 hexadecimal digits.
        round: The round, counted per key from 1.
        contract_hash: The contract's.
        head: Hash of the transcript's head that the round is chained to.
        digest: Hash of the derived request in its place.
        request: The derived request.
    """

    run: str
    round: int
    contract_hash: str
    head: str
    digest: str
    request: SumRequest

    @property
    def shape(self) -> SumShape:
        """How the opened sum is read."""
        return SumShape(layout=self.request.layout, dimension=self.request.dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSum:
    """What a combiner publishes.

    Attributes:
        values: [dimension], the sum on the lattice.
        opening: What proves it to those who hold the product: it reproduces the product and nothing else.
    """

    values: npt.NDArray[np.int64]
    opening: bytes


class Sealer(Protocol):
    """Encrypts a party's vector, proves that it knows it, and signs."""

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """Returns the canonical wire form of the submission."""
        ...


class Member(Protocol):
    """A committee member's hands: what it does once its gate has let a cohort through."""

    @property
    def index(self) -> int:
        """The member's number, from 1."""
        ...

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """Checks every submission and returns the encrypted sum, made here.

        Raises:
            CiphertextRefused: A submission is malformed.
            SignatureRefused: One is not signed by the party that it is said to be of, for this very round.
            ProofRefused: One is by somebody who does not know what is in it.
                All three name the party.
        """
        ...

    def partial(self, product: bytes) -> bytes:
        """Returns this member's partial opening of a product."""
        ...

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        """Returns the partial opening once more, with a proof that it is right."""
        ...

    def reopen(self, opening: bytes, shape: SumShape) -> tuple[bytes, npt.NDArray[np.int64]]:
        """Returns the product and the values that a published opening stands for.

        Raises:
            OpeningError: It is no canonical opening.
        """
        ...


class Combiner(Protocol):
    """Joins partial openings; holds no key."""

    @property
    def threshold(self) -> int:
        """Number of members whose partial openings are needed."""
        ...

    def refused(self, submissions: Mapping[str, bytes], envelope: Envelope) -> Mapping[str, str]:
        """Returns, for each party whose submission does not hold, why not."""
        ...

    def combine(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> OpenedSum:
        """Returns the opened sum, after checking it against the product of the submissions.

        Raises:
            CiphertextRefused: A submission is malformed; the message names its sender.
            OpeningError: The partial openings do not combine: at least one is wrong.
        """
        ...

    def proven(
        self, submissions: Mapping[str, bytes], proofs: Mapping[int, bytes], envelope: Envelope
    ) -> Mapping[int, bytes]:
        """Returns the partial openings of those members whose proof holds."""
        ...
