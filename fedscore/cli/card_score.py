"""`fedscore card score`: a file of customers becomes a file of scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.card_options import CardFile, RoleOption, SignerOption
from fedscore.contract import Role

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("score")(_score)


def _score(  # noqa: PLR0913 - each is an option of the command
    card: CardFile,
    file: Annotated[Path, typer.Argument(help="The rows: a Parquet or CSV file.", metavar="FILE")],
    *,
    out: Annotated[
        Path, typer.Option(help="Where the scores go: .parquet or .csv; replaced at the end.", metavar="FILE")
    ],
    role: RoleOption = Role.PLATFORM,
    id_column: Annotated[str, typer.Option("--id", help="The column that tells rows apart.")] = "id",
    reasons: Annotated[int, typer.Option(help="Reasons told for each score, at most.", min=0, max=20)] = 4,
    language: Annotated[str, typer.Option(help="Of the reasons, as en or zh.")] = "en",
    bad: Annotated[
        Path | None,
        typer.Option(
            help="Where rows go that cannot be scored, with codes. [default: OUT, .bad before its ending]",
            metavar="FILE",
        ),
    ] = None,
    signer: SignerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Score every row of a file: id, score, probability, grade and the reasons for points that it lost.

    A row that cannot be read does not stop the others: it goes into a file of its own, with its number, its
    column and a code. The files appear at the end, whole. Fails if no row could be scored.
    """
    # Other commands do not pay for these.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from fedscore.card.batch import score_file  # noqa: PLC0415
    from fedscore.card.scoring import Scorer  # noqa: PLC0415
    from fedscore.card.signing import read_card  # noqa: PLC0415

    scorer = Scorer(read_card(card, signer=signer), role=role, reasons=reasons, language=language)
    beside = bad if bad is not None else out.with_name(f"{out.stem}.bad{out.suffix}")
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,} rows read"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("scoring", total=None)
        result = score_file(
            scorer,
            file,
            out,
            bad=beside,
            id_column=id_column,
            progress=lambda rows: progress.update(task, completed=rows),
        )
    if as_json:
        document = {
            "scored": result.scored,
            "left_out": result.left_out,
            "faults": {fault.value: times for fault, times in result.faults.items()},
            "grades": result.grades,
            "out": str(out),
            "bad": str(beside) if result.left_out else None,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(f"{result.scored:,} rows scored: {out}")
        for grade, rows in result.grades.items():
            typer.echo(f"  grade {grade}: {rows:,} ({rows / max(result.scored, 1):.1%})")
        if result.left_out:
            told = ", ".join(f"{fault} {times:,}" for fault, times in result.faults.items())
            typer.echo(f"{result.left_out:,} rows could not be scored ({told}): {beside}")
    if not result.scored and result.left_out:
        raise typer.Exit(1)
