"""`fedscore demo`: the whole on a synthetic consortium."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.watching import ProgressWatcher

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(_demo)


def _demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the files.", metavar="DIR")] = Path("runs/demo"),
    seed: Annotated[
        int, typer.Option(help="What people and noise are drawn from.", min=0, max=2**32 - 1)
    ] = 1,
    people: Annotated[int, typer.Option(help="How many people to invent.", min=1000, max=90_000)] = 60_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the object of results.json.")] = False,
) -> None:
    """Train one card over invented platforms and collection agencies, encrypted, and compare it.

    Writes report.html, card.json, results.json and results.csv.
    """
    from simulations.demo import run_demo  # noqa: PLC0415 - loads matplotlib and Flower, for this command alone

    with ProgressWatcher() as watcher:
        demo = run_demo(out=out, seed=seed, people=people, watcher=watcher)
    if as_json:
        typer.echo(demo.results.to_json(), nl=False)
        return
    from fedscore.cli.telling import tell_demo  # noqa: PLC0415 - likewise

    tell_demo(demo)
