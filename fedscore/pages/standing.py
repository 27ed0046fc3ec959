"""Who stands behind a card that somebody reads: checked, not checked, or nobody."""

from __future__ import annotations

from enum import StrEnum

from fedscore.card import Card

__all__ = ["Standing", "standing_in_words"]


class Standing(StrEnum):
    """What is known of a card's signature."""

    VERIFIED = "verified"
    """The signature is that of the key that was expected."""

    UNCHECKED = "not checked"
    """There is a signature, and nobody said whose it should be."""

    UNSIGNED = "unsigned"
    """There is none."""


def standing_in_words(card: Card, standing: Standing) -> str:
    """A sentence for whoever reads the card."""
    if card.signature is None:
        return "Nobody has signed this card: who made it, and whether it was changed, is not known."
    signer = f"{card.signature.signer} (key {card.signature.key})"
    if standing is Standing.VERIFIED:
        return f"Signed by {signer}; the signature holds for the whole file."
    return (
        f"Bears the signature of {signer}, which was not checked: whose it should be is not known. Name the "
        "key with --signer."
    )
