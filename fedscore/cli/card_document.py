"""`fedscore card document`: what a model-risk officer asks for, from the card file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.card_options import CardFile, SignerOption
from fedscore.errors import CardError

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("document")(_document)


def _document(
    card: CardFile,
    *,
    out: Annotated[
        Path, typer.Option(help="The document, .html or .md; replaced at the end.", metavar="FILE")
    ],
    contract: Annotated[
        Path | None,
        typer.Option(
            help="The contract that the card was trained under: tells split, consent and committee too.",
            metavar="FILE",
        ),
    ] = None,
    signer: SignerOption = None,
) -> None:
    """Write the model document: purpose, data, method, performance, limits, privacy, and lines to sign.

    Nothing is invented: what the card does not say is said to be missing, with the way to get it.
    """
    # Other commands do not pay for these.
    from fedscore.cli.card_reading import card_to_look_at  # noqa: PLC0415
    from fedscore.cli.card_show import write_page  # noqa: PLC0415
    from fedscore.contract import load_contract  # noqa: PLC0415
    from fedscore.pages.document import DocumentForm, card_document  # noqa: PLC0415

    ending = out.suffix.lower().removeprefix(".")
    if ending not in tuple(DocumentForm):
        raise CardError(f"{out} ends in neither .html nor .md: name it so, for that decides its form")
    shown, standing = card_to_look_at(card, signer)
    text = card_document(
        shown,
        standing,
        DocumentForm(ending),
        contract=load_contract(contract) if contract is not None else None,
    )
    write_page(out, text)
    typer.echo(f"{out}: the model document of {shown.contract_name}; its card is {standing}")
