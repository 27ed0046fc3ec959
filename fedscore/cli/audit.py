"""`fedscore audit`: what the code really does with noise and single records, beside what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulations.audit.row import AuditRow
    from simulations.audit.run import Audit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("audit")(_audit)


def _audit(  # noqa: PLR0913 - the options of the command
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
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="A budget to audit. May be repeated. [default: all of the scenario's]"),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(help="How often the program runs for the noise check. [default: audit.runs]")
    ] = None,
    trainings: Annotated[
        int | None,
        typer.Option(
            help="Trainings with the worst record, and as many without; 0 leaves the lower bound out. "
            "[default: audit.trainings]"
        ),
    ] = None,
    shadows: Annotated[
        int | None,
        typer.Option(
            help="Trainings for membership inference; 0 leaves it out. [default: audit.shadows]",
        ),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(help="The chance at which right code may fail, for each budget. [default: audit.level]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look at what a scenario's program really does, beside what it promises.

    Every share of noise of several runs; the worst records of every sum; a lower bound of epsilon from many
    trainings with and without a worst record; membership inference. Fails if a promise is broken; says "no
    power" where a broken one would not have been seen.
    """
    # Other commands do not pay for these.
    from rich.console import Console  # noqa: PLC0415

    from simulations.audit.findings import Verdict  # noqa: PLC0415
    from simulations.audit.run import audit  # noqa: PLC0415
    from simulations.runner import available_processors  # noqa: PLC0415

    told = Console(stderr=True, highlight=False)
    asked = {"runs": runs, "trainings": trainings, "shadows": shadows, "level": level}
    found = audit(
        scenario,
        data=data,
        overrides=[
            *(settings or ()),
            *(f"audit.{name}={value}" for name, value in asked.items() if value is not None),
            *([f"privacy.epsilon={epsilon}"] if epsilon else ()),
        ],
        processes=min(2, available_processors()),
        progress=told.print,
    )
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        for line in _lines(found):
            typer.echo(line)
    if found.verdict is Verdict.FAILED:
        raise typer.Exit(1)


def _lines(found: Audit) -> Iterator[str]:
    """Every finding; then what was measured beside what is promised, budget by budget."""
    for row in found.rows:
        yield f"{found.scenario} at epsilon {row.epsilon:g}, delta {row.delta:g}"
        for one in row.findings:
            chance = "" if one.p_value is None else f" (p = {one.p_value:.2g})"
            yield f"  {one.verdict.upper():<9} {one.name}: {one.told}{chance}; {one.power}"
        yield ""
    yield "promised     lower bound of epsilon   would have  membership AUC, 95 %, of        AUC at most"
    yield " epsilon  by (eps, delta)  Gaussian         found  ordinary      outliers      by promise  verdict"
    yield from map(_beside, found.rows)
    yield (
        f"Right code fails with a chance of {found.terms.level:g} at most, for each budget; figures that are "
        "only measured, and could not have failed, are not part of a verdict."
    )
    if found.terms.trainings == 0:
        yield "The lower bound was left out: the verdict says nothing of it."
    if found.terms.shadows == 0:
        yield "Membership inference was left out: the verdict says nothing of it."


def _beside(row: AuditRow) -> str:
    lower, members = row.lower, {one.of: one for one in row.membership}
    bounds = ("-", "-", "-")
    if lower is not None:
        bounds = (
            f"{lower.epsilon:.3f}",
            f"{lower.gaussian_epsilon:.3f}",
            f"noise / {lower.detectable:.2f}" if lower.detectable < float("inf") else "nothing",
        )
    areas = [
        f"{one.auc_low:.2f} to {one.auc_high:.2f}" if (one := members.get(of)) is not None else "-"
        for of in ("ordinary", "outliers")
    ]
    most = f"{row.membership[0].auc_allowed:.3f}" if row.membership else "-"
    return (
        f"{row.epsilon:>8g}  {bounds[0]:>15}  {bounds[1]:>8}  {bounds[2]:>12}  {areas[0]:<12}  {areas[1]:<12}"
        f"  {most:>10}  {row.verdict}"
    )
