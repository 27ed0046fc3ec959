"""`fedscore early-warning`: how well a card says today who will be in arrears 7, 15 or 30 days on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedscore.cli.watching import ProgressWatcher

if TYPE_CHECKING:
    from rich.table import Table

    from simulations.early_warning.figures import Estimate
    from simulations.early_warning.results import EarlyWarning, HorizonResult, MethodResult

__all__ = ["register"]


class _Source(StrEnum):
    """As `simulations.early_warning.Source`, which is not loaded for --help."""

    CONSORTIUM = "consortium"
    SUPERLENDER = "superlender"


_WORDS = {
    "federated": "federated, shared noise",
    "federated-one-card": "one card for all three",
    "pooled-no-noise": "pooled card, no privacy",
    "own-card": "own cards, not shared",
}
_NOTHING = "\N{EN DASH}"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("early-warning")(_early_warning)


def _early_warning(
    source: Annotated[
        _Source,
        typer.Argument(help="The synthetic consortium at two days, or Superlender's past loans."),
    ] = _Source.CONSORTIUM,
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of Superlender's files. [default: looked up]", metavar="DIR"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results. [default: runs/early-warning-SOURCE]", metavar="DIR"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="How often to train, with noise anew.", min=1, max=100)] = 5,
    people: Annotated[
        int, typer.Option(help="How many people to invent for the consortium.", min=1000, max=90_000)
    ] = 60_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the object of early_warning.json.")] = False,
) -> None:
    """Train as of a day, warn of arrears 7, 15 and 30 days on, and measure on later rows.

    Prints AUC, KS, recall among the riskiest 5 % and the median lead time, for the federated card, a pooled
    one and each organisation's own. Writes early_warning.json and early_warning.csv.
    """
    from simulations.early_warning import (  # noqa: PLC0415 - loads Flower, for this command alone
        EarlyWarningTerms,
        Source,
        run_early_warning,
    )

    terms = EarlyWarningTerms(
        source=Source(source.value), seeds=tuple(range(1, seeds + 1)), people=people, data=data
    )
    with ProgressWatcher() as watcher:
        results, folder = run_early_warning(terms, out=out, watcher=watcher)
    if as_json:
        typer.echo(results.to_json(), nl=False)
        return
    _tell(results, folder)


def _tell(results: EarlyWarning, folder: Path) -> None:
    from rich.console import Console  # noqa: PLC0415 - needed where something is shown

    console = Console(highlight=False)
    if results.source == _Source.CONSORTIUM:
        console.print("[bold]The people are synthetic:[/bold] nobody in these data exists.\n")
    for horizon in results.horizons:
        console.print(
            f"[bold]{horizon.horizon_days} days ahead.[/bold] Trained on {horizon.training_rows:,} rows of "
            f"{horizon.parties} organisations ({horizon.training_bad:,} bad); measured on "
            f"{horizon.test_rows:,} later ones, {horizon.test_bad / horizon.test_rows:.2%} bad "
            f"({horizon.test_bad:,})."
        )
        console.print(_table(horizon))
        console.print(_privacy(horizon.methods[0]))
        for method in horizon.methods:
            if method.without_card:
                console.print(
                    f"{method.without_card} organisations could not train a card of their own: their rows "
                    "are ranked by their bad rate."
                )
        console.print()
    console.print(
        "One card for all three: the federated card of the horizon with the most events; it costs its ε "
        f"once. Means over {len(results.seeds)} trainings with noise anew. In brackets: 95 % intervals, of a "
        "bootstrap over the people measured and over the trainings. Lead: median days from a row's day to "
        "the event, of those bad rows that are among the riskiest 5 %."
    )
    console.print(f"\nData: {folder / 'early_warning.json'}, early_warning.csv", soft_wrap=True)


def _table(horizon: HorizonResult) -> Table:
    from rich import box  # noqa: PLC0415 - likewise
    from rich.table import Table  # noqa: PLC0415 - likewise

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("method", no_wrap=True)
    for name in ("AUC", "KS", "recall at 5 %", "lead"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, method in enumerate(horizon.methods):
        measured = method.measured
        table.add_row(
            _WORDS[method.method],
            _with_interval(measured.auc),
            _share(measured.ks.value),
            _with_interval(measured.recall),
            _NOTHING if measured.lead_days is None else f"{measured.lead_days.value:.0f}",
            style=None if place else "bold",
        )
    return table


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _share(estimate.value)
    return f"{_share(estimate.value)} [{_share(estimate.low)}, {_share(estimate.high)}]"


def _share(value: float) -> str:
    """Three digits, without the zero that takes a column's room."""
    return f"{value:.3f}".removeprefix("0")


def _privacy(federated: MethodResult) -> str:
    if federated.epsilon is None:
        return "No privacy is promised."
    person = "" if federated.epsilon_person is None else f", {federated.epsilon_person:.4g} for a person"
    return f"ε = {federated.epsilon:.4g} for a record{person}: of this horizon's card alone."
