"""`fedscore contract draft`: a contract to edit, from a file's names and types of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.contract.proposal import Proposal, propose
from fedscore.errors import ContractError
from fedscore.files import write_new

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("draft")(_draft)


def _draft(
    data: Annotated[Path, typer.Argument(help="One organisation's file, Parquet or CSV.", metavar="DATA")],
    *,
    outcome: Annotated[
        str | None, typer.Option(help="The column with the outcome. [default: by its name]", metavar="COLUMN")
    ] = None,
    identifier: Annotated[
        str | None,
        typer.Option(
            "--id", help="The column that tells rows apart. [default: by its name]", metavar="COLUMN"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A new file for the contract. [default: it is printed]", metavar="FILE"),
    ] = None,
) -> None:
    """Propose a contract from a file's column names and types; its values are never read.

    Lines with TODO are left to people, who know the product: public grids, levels, what counts as bad.
    """
    # Other commands do not pay for reading files.
    from fedscore.data.schema import columns_of  # noqa: PLC0415

    proposal = propose(columns_of(data), name=data.stem, outcome=outcome, identifier=identifier)
    if out is None:
        typer.echo(proposal.text, nl=False)
    else:
        _write(out, proposal.text)
    for line in _in_words(proposal, data, out):
        typer.echo(line, err=True)


def _write(out: Path, text: str) -> None:
    try:
        write_new(out, text.encode(), mode=0o644)
    except FileExistsError:
        raise ContractError(f"{out} is there already, and may have been edited: name a new file") from None
    except OSError as error:
        raise ContractError(
            f"{out} cannot be written ({error.strerror}): name a file in a folder that you may write to"
        ) from None


def _in_words(proposal: Proposal, data: Path, out: Path | None) -> tuple[str, ...]:
    left_out = ", ".join(one.column for one in proposal.left_out) or "none"
    csv = ("a CSV file does not say what its columns hold: types are to be decided",)
    return (
        f"{len(proposal.characteristics)} columns are proposed as characteristics; left out: {left_out}",
        *(csv if data.suffix.lower() == ".csv" else ()),
        f"{proposal.to_decide} lines say TODO: fill them in, then fedscore contract check {out or 'FILE'}",
    )
