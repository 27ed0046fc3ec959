"""`fedscore simulate`: a researcher's experiment."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.watching import ProgressWatcher
from simulations.engines import Engine

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate", epilog=f"Shipped scenarios: {', '.join(_shipped())}.")(_simulate)


def _shipped() -> list[str]:
    """Names of the scenarios that come with fedscore, without loading what reads them."""
    folder = files("simulations") / "scenarios"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def _simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario's file, or the name of a shipped one.")],
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
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do all jobs anew, whatever was kept of an earlier run.")
    ] = False,
    engine: Annotated[
        Engine,
        typer.Option(
            help="What carries the messages: all in one process, or Flower's own engine, as a check."
        ),
    ] = Engine.IN_PROCESS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the object of results.json.")] = False,
) -> None:
    """Train over seeds and budgets, compare with baselines, and report.

    Writes results.json, results.csv, parties.csv, timings.json, report.html, the
    frontier's picture, and card.json (or model.json) of the first run. Jobs that
    end are kept in jobs/: after an interruption the same command goes on from
    there. Data are looked for in --data, the scenario's folder, $FEDSCORE_DATA and
    ../shared/data.
    """
    from simulations.simulate import simulate  # noqa: PLC0415 - loads scikit-learn and Flower, for this command alone

    with ProgressWatcher() as watcher:
        simulated = simulate(
            scenario,
            data=data,
            out=out,
            overrides=settings or (),
            watcher=watcher,
            fresh=fresh,
            engine=engine,
        )
    if as_json:
        typer.echo(simulated.results.to_json(), nl=False)
        return
    from fedscore.cli.telling import tell_simulation  # noqa: PLC0415 - likewise

    tell_simulation(simulated)
