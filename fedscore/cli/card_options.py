"""Options that several commands about cards share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.contract import Role

__all__ = ["CardFile", "RoleOption", "SignerOption"]

CardFile = Annotated[Path, typer.Argument(help="The card file, card.json.", metavar="CARD")]

SignerOption = Annotated[
    str | None,
    typer.Option(
        help="Whose signature is expected: a public identity's file, or its key as 64 hexadecimal digits.",
        metavar="FILE|KEY",
        # Square brackets in a help text would be taken for markup.
        show_default="card.signer.json beside the card",
    ),
]

RoleOption = Annotated[
    Role, typer.Option(help="What the organisation is to the consortium; decides which columns it holds.")
]
