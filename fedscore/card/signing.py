"""Who stands behind a card: signatures over the whole file, and the key that they are expected from.

A signature is Ed25519 (RFC 8032) over three frames, each after its length in eight bytes, least significant
first: `fedscore-signature-1`, `fedscore-card-2`, and a message. That is what `privacy.identities` signs,
written out here, so that whoever only scores installs nothing of it. The message is the signer's name and the
card's claim, framed likewise: a card that shows another name is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedscore.card.model import Card
from fedscore.card.parts import CardSignature
from fedscore.errors import CardError

__all__ = ["CARD_DOMAIN", "SIGNER_FILE", "CardSigner", "expected_key", "read_card", "signed", "verify"]

CARD_DOMAIN = b"fedscore-card-2"
"""What a signature under a card is for."""

SIGNER_FILE = "card.signer.json"
"""The public identity of whoever signed a card, beside it in a folder of results."""

_KEY = re.compile(r"[0-9a-f]{64}")


class _Public(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def signing_key(self) -> bytes: ...


class CardSigner(Protocol):
    """Whoever signs; `privacy.identities.Identity` does."""

    @property
    def public(self) -> _Public:
        """Its name and its key."""
        ...

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """Signs a message for a purpose."""
        ...


def signed(card: Card, signer: CardSigner) -> Card:
    """The card with a signature; one that it had is replaced."""
    public = signer.public
    signature = signer.sign(CARD_DOMAIN, _message(card, public.name))
    return card.with_signature(
        CardSignature(signer=public.name, key=public.signing_key.hex(), signature=signature.hex())
    )


def verify(card: Card, key: str) -> None:
    """Checks that a card is what the holder of a key signed.

    Args:
        card: As it was read.
        key: The Ed25519 public key that is expected, 64 hexadecimal digits.

    Raises:
        CardError: It is unsigned, signed by somebody else, or was changed since.
    """
    if card.signature is None:
        raise CardError(
            f"the card of {card.contract_name} is not signed: take the one that the operator's server wrote"
        )
    if card.signature.key != key:
        raise CardError(
            f"the card of {card.contract_name} is signed by {card.signature.signer} with the key "
            f"{card.signature.key[:16]}…, and {key[:16]}… is expected: it is another consortium's, or the "
            "operator has a new key; ask the operator"
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(card.signature.signature),
            _framed(b"fedscore-signature-1", CARD_DOMAIN, _message(card, card.signature.signer)),
        )
    except (InvalidSignature, ValueError):
        raise CardError(
            f"the card of {card.contract_name} is not what {card.signature.signer} signed: it was changed "
            "since; take the file anew"
        ) from None


def read_card(path: Path, *, signer: str | None) -> Card:
    """Reads a card and checks who stands behind it.

    Args:
        path: The card file.
        signer: Who is expected to have signed: a public identity's file, or its key as 64 hexadecimal
            digits. Left out, the public identity that lies beside the card.

    Raises:
        CardError: The file is missing or malformed, or not signed by that key; or the key is not known.
    """
    card = Card.read(path)
    verify(card, expected_key(path, signer))
    return card


def expected_key(path: Path, signer: str | None) -> str:
    """The key that a card's signature is expected from, 64 hexadecimal digits; see `read_card`.

    Raises:
        CardError: It is not known.
    """
    if signer is not None and _KEY.fullmatch(signer):
        return signer
    file = Path(signer) if signer is not None else path.parent / SIGNER_FILE
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        key = document["signing_key"]
    except (OSError, ValueError, KeyError, TypeError):
        key = None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise CardError(
            f"{file} is no public identity, so nobody knows who should have signed {path.name}: name the "
            "operator's with --signer, as a file or as 64 hexadecimal digits"
        )
    return key


def _message(card: Card, signer: str) -> bytes:
    return _framed(signer.encode(), card.claim())


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)
