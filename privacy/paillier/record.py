"""The record of a ceremony: the key, its committee, who the members are, and the dealer's signature.

Everybody keeps the same record: nodes and server take the key from it, members check their shares against
it, and a contract names it by its hash. One record has one text, so people compare hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

from fedscore.errors import KeyRefused
from privacy.identities import Identity, PublicIdentity, verify_signature
from privacy.paillier.committee import Committee
from privacy.paillier.committee_rules import require_committee_rules
from privacy.paillier.keys import MINIMUM_BITS, PublicKey
from privacy.paillier.shares import KeyShare

__all__ = ["CeremonyRecord", "require_distinct", "seal_share", "sign_record", "unseal_share"]

_KIND = "fedscore-ceremony-1"
_SIGNATURE_DOMAIN = b"fedscore-ceremony-record-1"
_GENESIS_DOMAIN = b"fedscore-genesis-1"
_SHARE_DOMAIN = b"fedscore-sealed-share-1"
_NAMES = {
    "kind",
    "committee",
    "members",
    "colluding_members",
    "absences",
    "created",
    "previous",
    "dealer",
    "signature",
}
_PATTERNS = {
    "created": re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
    "signature": re.compile(r"[0-9a-f]{128}"),
}
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyRecord:
    """What a ceremony leaves for everybody.

    Building one checks everything that it says, the dealer's signature included. That the dealer forgot the
    private key is the one thing that nobody can check.

    Attributes:
        committee: The key and its committee.
        members: Who holds which share: the first has index 1.
        colluding_members: How many members may collude with the server without learning more than it.
        absences: Whether parties may be absent, so that more than one cohort is admissible in a round.
        created: The day of the ceremony.
        previous: Hash of the record that this one replaces, or None.
        dealer: Who made the key and signed.
        signature: The dealer's, over all of these, 64 bytes.

    Raises:
        KeyRefused: Members and committee do not fit together, two members are one, or the committee could
            open more than the agreed sums.
        SignatureRefused: The dealer did not sign this.
    """

    committee: Committee
    members: tuple[PublicIdentity, ...]
    colluding_members: int
    absences: bool
    created: date
    previous: str | None
    dealer: PublicIdentity
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_consistency(self.committee, self.members, self.previous)
        require_committee_rules(
            members=self.committee.members,
            threshold=self.committee.threshold,
            colluding_members=self.colluding_members,
            absences=self.absences,
        )
        verify_signature(
            self.dealer.signing_key, _SIGNATURE_DOMAIN, _canonical(self._content()), self.signature
        )

    @property
    def public_key(self) -> PublicKey:
        """The key that everybody encrypts to."""
        return self.committee.public_key

    def hash(self) -> str:
        """SHA-256 over everything that is signed, as 64 hexadecimal digits: what a contract names."""
        return hashlib.sha256(_canonical(self._content())).hexdigest()

    def genesis(self) -> bytes:
        """The first hash of the key's transcript, 32 bytes: over the key's id and all members' nonces.

        No member, and not the dealer, chooses it alone.
        """
        parts = [_GENESIS_DOMAIN, bytes.fromhex(self.public_key.key_id)]
        return hashlib.sha256(b"".join([*parts, *(member.nonce for member in self.members)])).digest()

    def index_of(self, name: str) -> int | None:
        """The index of the member with a name, from 1; None if there is no such member."""
        names = [member.name for member in self.members]
        return names.index(name) + 1 if name in names else None

    def to_json(self) -> str:
        """The record as JSON text; the same record always gives the same text."""
        document = self._content() | {"signature": self.signature.hex()}
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, *, unsafe_minimum_bits: int = MINIMUM_BITS) -> Self:
        """Read a record from what `to_json` wrote, and check all of it.

        Args:
            text: The JSON text.
            unsafe_minimum_bits: For tests with toy keys only, as in `PublicKey`.

        Raises:
            KeyRefused: The text is no record, or says something that is refused.
            SignatureRefused: The dealer did not sign this, or an identity is not signed by its own key.
        """
        document = _parsed(text)
        if not isinstance(document, dict) or document.get("kind") != _KIND:
            raise KeyRefused(f"the text is no {_KIND}: give the file as `fedscore keys ceremony` wrote it")
        if set(document) != _NAMES or not _well_formed(document):
            raise KeyRefused(f"a {_KIND} holds other fields than this text: fetch the record anew")
        return cls(
            committee=Committee.from_document(document["committee"], unsafe_minimum_bits=unsafe_minimum_bits),
            members=tuple(PublicIdentity.from_document(member) for member in document["members"]),
            colluding_members=document["colluding_members"],
            absences=document["absences"],
            created=_day(document["created"]),
            previous=document["previous"],
            dealer=PublicIdentity.from_document(document["dealer"]),
            signature=bytes.fromhex(document["signature"]),
        )

    def _content(self) -> dict[str, object]:
        return _content(
            committee=self.committee,
            members=self.members,
            colluding_members=self.colluding_members,
            absences=self.absences,
            created=self.created,
            previous=self.previous,
            dealer=self.dealer,
        )


def sign_record(
    *,
    committee: Committee,
    members: Sequence[PublicIdentity],
    colluding_members: int,
    absences: bool,
    created: date,
    dealer: Identity,
    previous: str | None = None,
) -> CeremonyRecord:
    """Write and sign the record of a ceremony.

    Args:
        committee: As the ceremony dealt it.
        members: Who gets which share: the first gets index 1.
        colluding_members: How many members may collude with the server.
        absences: Whether parties may be absent.
        created: The day of the ceremony.
        dealer: Who dealt.
        previous: Hash of the record that this one replaces, if any.

    Raises:
        KeyRefused: As for `CeremonyRecord`.
    """
    content = _content(
        committee=committee,
        members=members,
        colluding_members=colluding_members,
        absences=absences,
        created=created,
        previous=previous,
        dealer=dealer.public,
    )
    return CeremonyRecord(
        committee=committee,
        members=tuple(members),
        colluding_members=colluding_members,
        absences=absences,
        created=created,
        previous=previous,
        dealer=dealer.public,
        signature=dealer.sign(_SIGNATURE_DOMAIN, _canonical(content)),
    )


def seal_share(record: CeremonyRecord, share: KeyShare) -> bytes:
    """Encrypt a share to the member that the record gives it to.

    It opens for that member, under that record, and in no other way.

    Raises:
        KeyRefused: The share is not one of the record's committee.
    """
    record.committee.require_share(share)
    return record.members[share.index - 1].seal(share.to_json().encode(), _context(record, share.index))


def unseal_share(record: CeremonyRecord, identity: Identity, sealed: bytes) -> KeyShare:
    """Open the share that was sealed to a member, and check it against the record.

    Raises:
        KeyRefused: The identity is not a member's, what was sealed is not this member's share under this
            record, or the share is not the one that the record's verification key belongs to.
    """
    index = record.index_of(identity.name)
    if index is None or record.members[index - 1] != identity.public:
        raise KeyRefused(
            f"the identity of {identity.name} is not one of this ceremony's members: use the identity whose "
            "public file the dealer was given, or the record of another ceremony"
        )
    text = identity.unseal(sealed, _context(record, index)).decode("utf-8", "replace")
    # The record's key was accepted when the record was, be it a toy or not.
    share = KeyShare.from_json(text, unsafe_minimum_bits=record.public_key.bits)
    record.committee.require_share(share)
    if share.index != index:
        raise KeyRefused(
            f"what was sealed to member {index} is the share of member {share.index}: the dealer made a "
            "mistake; ask for another ceremony"
        )
    return share


def require_distinct(members: Sequence[PublicIdentity]) -> None:
    """Refuse a list of members in which somebody appears twice, who would then hold two shares.

    Raises:
        KeyRefused: Two members have one name or one key.
    """
    for what, values in (
        # Shares are files by name, and some disks do not tell upper from lower case.
        ("name", [member.name.casefold() for member in members]),
        ("signing key", [member.signing_key for member in members]),
        ("sealing key", [member.sealing_key for member in members]),
    ):
        if len(set(values)) != len(values):
            raise KeyRefused(
                f"two of the {len(values)} members have one {what}: each holds one share; list every "
                "member's own identity once"
            )


def _require_consistency(
    committee: Committee, members: Sequence[PublicIdentity], previous: str | None
) -> None:
    if len(members) != committee.members:
        raise KeyRefused(
            f"{len(members)} members for {committee.members} shares are refused: list one member for each"
        )
    require_distinct(members)
    if previous is not None and not _HASH.fullmatch(previous):
        raise KeyRefused("the record that is replaced is named by 64 hexadecimal digits: give its hash")


def _content(
    *,
    committee: Committee,
    members: Sequence[PublicIdentity],
    colluding_members: int,
    absences: bool,
    created: date,
    previous: str | None,
    dealer: PublicIdentity,
) -> dict[str, object]:
    """What the dealer signs."""
    return {
        "kind": _KIND,
        "committee": committee.document(),
        "members": [member.document() for member in members],
        "colluding_members": colluding_members,
        "absences": absences,
        "created": created.isoformat(),
        "previous": previous,
        "dealer": dealer.document(),
    }


def _context(record: CeremonyRecord, index: int) -> bytes:
    return _SHARE_DOMAIN + bytes.fromhex(record.hash()) + index.to_bytes(2, "little")


def _canonical(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _parsed(text: str) -> object:
    # The parser's own error carries the whole text, so it is not chained.
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise KeyRefused(
            f"a {_KIND} created on a day that does not exist is refused: fetch the record anew"
        ) from None


def _well_formed(document: Mapping[str, Any]) -> bool:
    """Whether the record's own fields have their types; what is inside others is theirs to check."""
    return (
        isinstance(document["members"], list)
        and type(document["colluding_members"]) is int
        and type(document["absences"]) is bool
        and isinstance(document["previous"], str | None)
        and all(
            isinstance(document[name], str) and pattern.fullmatch(document[name])
            for name, pattern in _PATTERNS.items()
        )
    )
