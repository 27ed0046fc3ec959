"""Reading a card for people to read: they may look at one that nobody has signed, and are told so."""

from __future__ import annotations

from pathlib import Path

from fedscore.card import Card
from fedscore.pages.standing import Standing

__all__ = ["card_to_look_at"]


def card_to_look_at(path: Path, signer: str | None) -> tuple[Card, Standing]:
    """Reads a card, and checks its signature as far as it is known whose it should be.

    Args:
        path: The card file.
        signer: Who is expected to have signed: a public identity's file, or its key. Left out, the public
            identity that lies beside the card, if there is one.

    Raises:
        CardError: The file is missing or malformed; or it is known who should have signed, and they have not
            signed this.
    """
    # Other commands do not pay for it.
    from fedscore.card.signing import SIGNER_FILE, expected_key, verify  # noqa: PLC0415

    card = Card.read(path)
    if signer is None and (card.signature is None or not (path.parent / SIGNER_FILE).exists()):
        return card, Standing.UNSIGNED if card.signature is None else Standing.UNCHECKED
    verify(card, expected_key(path, signer))
    return card, Standing.VERIFIED
