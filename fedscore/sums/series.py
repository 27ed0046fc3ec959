"""A key series: one key, its committee, and the one transcript that all runs under the key share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from fedscore.errors import SignatureRefused
from fedscore.messages.transcript import Head
from privacy.identities import verify_signature
from privacy.paillier.record import CeremonyRecord

__all__ = ["HEAD_DOMAIN", "HELLO_DOMAIN", "KeySeries", "Signer"]

HEAD_DOMAIN = b"fedscore transcript head 1"
HELLO_DOMAIN = b"fedscore hello 1"


class Signer(Protocol):
    """Signs as one organisation."""

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """Returns an Ed25519 signature, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeries:
    """What everybody knows of a key and of who may open sums under it.

    Attributes:
        genesis: The transcript's head before the first round.
        member_names: The committee, by number.
        member_keys: Their keys for signatures, by number.
        colluding_members: How many of them may collude with the server.
    """

    genesis: Head
    member_names: Mapping[int, str]
    member_keys: Mapping[int, bytes]
    colluding_members: int

    @classmethod
    def of(cls, record: CeremonyRecord) -> Self:
        """The series that a ceremony began."""
        numbered = dict(enumerate(record.members, start=1))
        return cls(
            genesis=Head.genesis(record.public_key.key_id, record.genesis().hex()),
            member_names={number: member.name for number, member in numbered.items()},
            member_keys={number: member.signing_key for number, member in numbered.items()},
            colluding_members=record.colluding_members,
        )

    @property
    def vouchers_needed(self) -> int:
        """Signatures under a head of which one at least is an honest member's."""
        return self.colluding_members + 1

    def vouchers(self, head: Head, signatures: Mapping[int, bytes]) -> dict[int, bytes]:
        """Returns those signatures under a head that are valid."""
        return {
            member: signature
            for member, signature in signatures.items()
            if member in self.member_keys and _holds(self.member_keys[member], head, signature)
        }


def _holds(key: bytes, head: Head, signature: bytes) -> bool:
    try:
        verify_signature(key, HEAD_DOMAIN, head.to_bytes(), signature)
    except SignatureRefused:
        return False
    return True
