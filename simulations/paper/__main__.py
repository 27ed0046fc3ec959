"""`python -m simulations.paper`: make the tables of the documents again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from fedscore.errors import FedscoreError
from simulations.paper.reproduce import TABLES, chosen, made
from simulations.runner import Task

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]


class _Lines:
    """Tells on standard error how it goes on, a line at a time."""

    def __init__(self) -> None:
        self._jobs = self._done = 0
        self._told = time.monotonic()

    def stage(self, text: str) -> None:
        typer.echo(text, err=True)

    def started(self, jobs: int, found: int) -> None:
        self._jobs, self._done = jobs, found
        typer.echo(f"  {jobs} trainings, of which {found} were done before", err=True)

    def noticed(self, what: str) -> None:
        typer.echo(f"  {what}", err=True)

    def finished(self, job: Task) -> None:  # noqa: ARG002 - one is as good as another
        self._done += 1
        if self._done == self._jobs or time.monotonic() - self._told > 30:
            self._told = time.monotonic()
            typer.echo(f"  {self._done} of {self._jobs} trainings", err=True)


def main(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="Make this table alone. May be repeated.", metavar="TABLE")
    ] = None,
    list_tables: Annotated[
        bool, typer.Option("--list", help="Print the tables and what they are made of; run nothing.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change no document; tell what differs, and fail if anything does."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="The folder of the data. [default: looked up]", metavar="DIR")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results of all runs.", metavar="DIR")] = Path(
        "runs", "paper"
    ),
    workers: Annotated[
        int | None, typer.Option(help="Processes at a time. [default: one a processor]", min=1)
    ] = None,
) -> None:
    """Run what the tables of docs/accuracy.md and docs/guide-researcher.md show, and write them there.

    Everything takes about an hour of one processor, and docs/accuracy.md a quarter of that. What was run
    before with the same code is not run again.
    """
    try:
        tables = chosen(only or ())
        if list_tables:
            for table in tables:
                typer.echo(f"{table.name}  ({table.document})")
                for source in table.sources:
                    typer.echo(f"    {source.command}")
            return
        began, differing = time.monotonic(), 0
        for one in made(
            tables, root=_ROOT, out=out, data=data, write=not check, watcher=_Lines(), workers=workers
        ):
            differing += len(one.differences)
            state = "differs" if check else "is written"
            typer.echo(f"{one.table.name}: {state if one.differences else 'is as before'}")
            for difference in one.differences:
                typer.echo(f"  {difference}")
        typer.echo(f"{len(tables)} of {len(TABLES)} tables, {time.monotonic() - began:.0f} s", err=True)
    except FedscoreError as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(2) from None
    if check and differing:
        typer.echo(f"{differing} differences: run it without --check to write what the runs give", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
