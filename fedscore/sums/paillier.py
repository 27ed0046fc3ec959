"""Sums under threshold Paillier: pack, encrypt, add, open together, check, unpack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.errors import CiphertextRefused, OpeningError
from fedscore.sums.sealing import Envelope
from privacy.paillier.codec import VectorHeader, decode_ciphertexts, encode_ciphertexts
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import pack, unpack
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import combine, partial_opening

__all__ = ["PaillierCombiner", "PaillierMember", "PaillierSealer"]


def _header(public_key: PublicKey, envelope: Envelope) -> VectorHeader:
    return VectorHeader.of(
        public_key,
        envelope.layout,
        run=bytes.fromhex(envelope.run),
        round_number=envelope.number,
        values=envelope.request.dimension,
    )


def _product(public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope) -> tuple[int, ...]:
    """Adds all submissions; whoever sent a malformed one is named."""
    header = _header(public_key, envelope)
    columns = []
    for party, sealed in submissions.items():
        try:
            columns.append(decode_ciphertexts(sealed, public_key=public_key, expected=header))
        except CiphertextRefused as refused:
            raise CiphertextRefused(f"{party}: {refused}") from None
    return add(public_key, columns)


@dataclass(frozen=True, slots=True)
class PaillierSealer:
    """What every node holds: the public key."""

    public_key: PublicKey

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """See `Sealer.seal`.

        Raises:
            LayoutError: A value lies outside its slot.
        """
        ciphertexts = encrypt(self.public_key, pack(envelope.layout, values))
        return encode_ciphertexts(self.public_key, _header(self.public_key, envelope), ciphertexts)


@dataclass(frozen=True, slots=True)
class PaillierMember:
    """What a node of the committee holds: its share of the private key."""

    share: KeyShare

    @property
    def index(self) -> int:
        """The member's number, from 1."""
        return self.share.index

    def partial(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """See `Member.partial`: the product is made here, from the submissions in full."""
        envelope.layout.require_summands(len(submissions))
        public_key = self.share.public_key
        size = _residue_bytes(public_key)
        return b"".join(
            partial_opening(self.share, ciphertext).to_bytes(size, "little")
            for ciphertext in _product(public_key, submissions, envelope)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaillierCombiner:
    """What the server holds: the public key and the committee's size.

    Attributes:
        public_key: Of the key series.
        members: Number of committee members.
        threshold: Number of members who open together.
    """

    public_key: PublicKey
    members: int
    threshold: int

    def open(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> npt.NDArray[np.int64]:
        """See `Combiner.open`: each opening is checked by encrypting it again."""
        envelope.layout.require_summands(len(submissions))
        product = _product(self.public_key, submissions, envelope)
        parts = {
            member: self._residues(member, partial, len(product)) for member, partial in partials.items()
        }
        plaintexts = [
            combine(
                self.public_key,
                ciphertext,
                {member: residues[position] for member, residues in parts.items()},
                threshold=self.threshold,
                members=self.members,
            ).plaintext
            for position, ciphertext in enumerate(product)
        ]
        return np.array(unpack(envelope.layout, plaintexts, envelope.request.dimension), dtype=np.int64)

    def _residues(self, member: int, partial: bytes, count: int) -> list[int]:
        size = _residue_bytes(self.public_key)
        if len(partial) != count * size:
            raise OpeningError(
                f"committee member {member} sent {len(partial)} bytes of partial openings, "
                f"{count * size} are needed: ask it again"
            )
        return [
            int.from_bytes(partial[start : start + size], "little") for start in range(0, len(partial), size)
        ]


def _residue_bytes(public_key: PublicKey) -> int:
    return (public_key.bits + 7) // 8
