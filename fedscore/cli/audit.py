"""`fedscore audit`: what the code really does with noise and single records, beside what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("audit")(_audit)


def _audit(
    scenario: Annotated[str, typer.Argument(help="A scenario's file, or a shipped one, as taiwan.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="The data file, or its folder. [default: looked up]", metavar="FILE"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the scenario; VALUE as in TOML. May be repeated.", metavar="KEY=VALUE"
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="How often the program runs.", min=1, max=1000)] = 4,
    level: Annotated[
        float, typer.Option(help="The chance at which each finding may be wrong.", min=1e-9, max=0.5)
    ] = 0.001,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Run a scenario's program with real noise; test every share of it, and the worst records of every sum.

    Each party's share is drawn in a process of its own by the code that nodes run. Fails if a promise is
    broken; says "no power" where a broken one would not have been seen.
    """
    # Other commands do not pay for these.
    from rich.console import Console  # noqa: PLC0415

    from simulations.audit.findings import Verdict  # noqa: PLC0415
    from simulations.audit.run import audit  # noqa: PLC0415

    told = Console(stderr=True, highlight=False)
    found = audit(
        scenario,
        data=data,
        overrides=settings or (),
        runs=runs,
        level=level,
        progress=lambda run: told.print(f"run {run} of {runs}"),
    )
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        for one in found.findings:
            chance = "" if one.p_value is None else f" (p = {one.p_value:.2g})"
            typer.echo(f"{one.verdict.upper():<9} {one.name}: {one.told}{chance}; {one.power}")
        typer.echo(f"{found.scenario} at epsilon {found.epsilon:g}, {found.runs} runs: {found.verdict}")
    if found.verdict is Verdict.FAILED:
        raise typer.Exit(1)
