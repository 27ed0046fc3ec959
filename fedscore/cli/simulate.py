"""`fedscore simulate`: a researcher's experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.watching import ProgressWatcher

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate")(_simulate)


def _simulate(
    scenario: Annotated[
        str,
        typer.Argument(
            help="A scenario's file, or a shipped one: taiwan, gmsc, pakdd_shops, taiwan-neural, gmsc-neural."
        ),
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="The data file, or its folder. [default: looked up]", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/SCENARIO]", metavar="DIR")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the scenario; VALUE as in TOML. May be repeated.", metavar="KEY=VALUE"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the object of results.json.")] = False,
) -> None:
    """Train over seeds and budgets, compare with baselines, and report.

    Writes results.json, results.csv, parties.csv, timings.json, report.html, and card.json (or model.json) of
    the first run. Data are looked for in --data, the scenario's folder, $FEDSCORE_DATA and ../shared/data.
    """
    from simulations.simulate import simulate  # noqa: PLC0415 - loads scikit-learn and Flower, for this command alone

    with ProgressWatcher() as watcher:
        simulated = simulate(scenario, data=data, out=out, overrides=settings or (), watcher=watcher)
    if as_json:
        typer.echo(simulated.results.to_json(), nl=False)
        return
    from fedscore.cli.telling import tell_simulation  # noqa: PLC0415 - likewise

    tell_simulation(simulated)
