"""`fedscore card export`: a card in a language that something else than Python runs."""

from __future__ import annotations

from typing import Annotated

import typer

from fedscore.cli.card_options import CardFile, RoleOption, SignerOption
from fedscore.contract import Role

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("export")(_export)


def _export(
    card: CardFile,
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="As a SELECT for SQLite 3.35 or PostgreSQL 12, or later ones.")
    ] = False,
    table: Annotated[
        str, typer.Option(help="The table of customers, perhaps with its schema before a dot.")
    ] = "customers",
    id_column: Annotated[str, typer.Option("--id", help="The column that tells rows apart.")] = "id",
    role: RoleOption = Role.PLATFORM,
    signer: SignerOption = None,
) -> None:
    """Print a card as a query that gives the identifier, score, probability and grade of every row.

    The score is the one that `fedscore card score` gives, to the hundredth. Columns have the names that the
    contract gives them; missing values are NULL.
    """
    if not sql:
        raise typer.BadParameter("say what the card is to become: --sql is what there is")
    # Other commands do not pay for these.
    from fedscore.card.signing import read_card  # noqa: PLC0415
    from fedscore.card.sql import score_query  # noqa: PLC0415

    typer.echo(score_query(read_card(card, signer=signer), role=role, table=table, id_column=id_column) + ";")
