"""What the terminal says about finished experiments."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence
from pathlib import Path

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape

from fedscore.cli.tables import (
    grade_table,
    measure_table,
    party_table,
    points_tables,
    run_table,
    summary_table,
)
from simulations.demo import DemoResult
from simulations.results import Run
from simulations.simulate import Simulated
from simulations.sweep import in_words
from simulations.timings import Timing
from simulations.wording import product_in_words, promises, warnings_in_words

__all__ = ["tell_demo", "tell_simulation"]

_STRONGEST = 3


def tell_demo(demo: DemoResult) -> None:
    """Print what the demo found to standard output."""
    console = Console(highlight=False)
    runs = demo.results.runs
    console.print("[bold]The people are synthetic:[/bold] nobody in these data exists.\n")
    console.print(run_table(runs, demo.timings.runs))
    _split(console, runs, demo.timings.runs)
    console.print(
        f"\nThe key ceremony ({demo.contract.encryption.key_bits} bits) took {demo.ceremony_seconds:.1f} s "
        "more. All methods are measured on the same test rows of all organisations; of the local cards, the "
        "mean is shown.\n"
    )
    console.print("[bold]What taking part is worth to each organisation[/bold], on its own test rows")
    console.print(party_table(demo.parties))
    _grades_and_measures(console, demo)
    console.print(f"\n[bold]Points of the {_STRONGEST} strongest characteristics[/bold] (more is safer)")
    console.print(Columns(points_tables(demo.card, _STRONGEST), padding=(0, 4)))
    console.print("\n[bold]Privacy[/bold]")
    for statement in promises(runs[0], demo.contract):
        console.print(f"[bold]{statement.heading}.[/bold] {statement.text}")
    _files(console, demo.folder, product=product_in_words(runs[0]))


def _grades_and_measures(console: Console, demo: DemoResult) -> None:
    if demo.card.grades:
        console.print("\n[bold]Grades[/bold], calibrated and cut by a private sum of scores")
        console.print(grade_table(demo.card))
    if demo.card.evaluation is not None:
        run = demo.results.runs[0]
        exact = {"auc": run.auc, "gini": run.gini, "ks": run.ks, "brier": run.brier}
        console.print("\n[bold]What a deployment would know of the card's worth[/bold]")
        console.print(measure_table(demo.card.evaluation, exact))


def tell_simulation(simulated: Simulated) -> None:
    """Print what a simulation found to standard output."""
    results = simulated.results
    console = Console(highlight=False)
    summary = results.summary
    for coordinates, entries in itertools.groupby(summary, key=lambda entry: entry.variation):
        if coordinates:
            console.print(f"\n[bold]{escape(in_words(coordinates))}[/bold]")
        console.print(summary_table(list(entries)))
    if (seeds := max(entry.n for entry in summary)) > 1:
        console.print(f"Means over {seeds} seeds.", end=" ")
    if any(entry.auc_gap_margin is not None for entry in summary):
        console.print("Own run \N{MINUS SIGN} this: paired by seed, with its 95 % interval.", end="")
    console.print()
    for warning in dict.fromkeys(warnings_in_words(summary)):
        console.print(f"\n{warning}")
    if results.failures:
        count, trainings = len(results.failures), len(results.runs) + len(results.failures)
        console.print(f"\n{count} of {trainings} trainings could not end, and are in no figure:")
        for reason, count in collections.Counter(failure.reason for failure in results.failures).items():
            console.print(f"{count} times: {escape(reason)}")
    _split(console, results.runs, simulated.timings.runs)
    _files(console, simulated.folder, product=product_in_words(results.runs[0]))


def _split(console: Console, runs: Sequence[Run], timings: Sequence[Timing]) -> None:
    """Say where the time of encrypted runs went; all parties, all members and the server took turns."""
    encrypted = [timing for run, timing in zip(runs, timings, strict=True) if run.encrypted]
    if not encrypted:
        return
    parts = {
        "encrypt": sum(timing.encrypt_seconds for timing in encrypted),
        "prove": sum(timing.prove_seconds for timing in encrypted),
        "verify": sum(timing.verify_seconds for timing in encrypted),
        "open": sum(timing.open_seconds for timing in encrypted),
    }
    rest = sum(timing.seconds for timing in encrypted) - sum(parts.values())
    told = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in parts.items())
    console.print(
        f"\nEncrypted sums, all organisations one after another: {told}; everything else {rest:.1f} s"
    )


def _files(console: Console, folder: Path, *, product: str) -> None:
    console.print(f"\nReport: {folder / 'report.html'}", soft_wrap=True)
    console.print(f"{product.capitalize() + ':':<7} {folder / product}.json", soft_wrap=True)
    console.print(
        f"Data:   {folder / 'results.json'}, results.csv, parties.csv, timings.json", soft_wrap=True
    )
