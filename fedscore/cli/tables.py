"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table

from fedscore.card import Card, Evaluation
from simulations.report import PartyLine
from simulations.results import Run, Summary
from simulations.timings import Timing
from simulations.wording import (
    bytes_in_words,
    epsilon_in_words,
    gap_in_words,
    method_in_words,
    points_in_words,
    true_epsilon,
)

__all__ = [
    "grade_table",
    "measure_table",
    "party_table",
    "points_tables",
    "run_table",
    "summary_table",
]

_NOTHING = "\N{EN DASH}"


def run_table(runs: Iterable[Run], timings: Iterable[Timing]) -> Table:
    """Single runs with what they cost, and how long each took."""
    table = _table("method", "AUC", "KS", "ε", "ε/person", "rounds", "sent/party", "s")
    for run, timing in zip(runs, timings, strict=True):
        table.add_row(
            method_in_words(run),
            f"{run.auc:.4f}",
            f"{run.ks:.3f}",
            epsilon_in_words(run.epsilon),
            epsilon_in_words(run.epsilon_person),
            str(run.rounds or _NOTHING),
            bytes_in_words(run.bytes_per_party),
            f"{timing.seconds:.1f}",
            style="bold" if run.baseline is None else None,
        )
    return table


def summary_table(summary: Sequence[Summary]) -> Table:
    """Methods over their seeds; the ε of each is the true one, and differences stand where there are any."""
    table = _table("method", "ε", "AUC", "± sd", "KS")
    has_ceiling = any(entry.gap_to_lightgbm is not None for entry in summary)
    has_gap = any(entry.auc_gap is not None for entry in summary)
    for name in ["gap to\nLightGBM"] * has_ceiling + ["own run\n\N{MINUS SIGN} this"] * has_gap:
        table.add_column(name, justify="right", no_wrap=True)
    for entry in summary:
        table.add_row(
            method_in_words(entry),
            _short(true_epsilon(entry)),
            f"{entry.auc_mean:.4f}",
            _or_nothing(entry.auc_sd, ".4f"),
            f"{entry.ks_mean:.3f}",
            *[_or_nothing(entry.gap_to_lightgbm, "+.4f")] * has_ceiling,
            *[gap_in_words(entry)] * has_gap,
            style="bold" if entry.baseline is None else None,
        )
    return table


def _short(epsilon: float | None) -> str:
    return epsilon_in_words(epsilon if epsilon is None else float(f"{epsilon:.3g}"))


def party_table(lines: Iterable[PartyLine]) -> Table:
    """What taking part is worth to each organisation."""
    table = _table("organisation", "training rows", "AUC of its own card", "AUC of the federated card")
    for line in lines:
        table.add_row(
            line.party,
            f"{line.rows:,}",
            _or_nothing(line.local_auc, ".4f"),
            _or_nothing(line.federated_auc, ".4f"),
        )
    return table


def grade_table(card: Card) -> Table:
    """The grades: what training expects of them, and what the test rows say, as far as sums tell."""
    table = _table("grade", "scores from", "share", "expected bad rate", "on test rows (99 %)")
    told = {one.name: one for one in card.evaluation.grades} if card.evaluation is not None else {}
    for grade in card.grades:
        observed = told.get(grade.name)
        table.add_row(
            grade.name,
            _or_nothing(grade.lowest_score, ".0f"),
            f"{grade.share:.1%}",
            f"{grade.bad_rate:.2%}",
            _NOTHING if observed is None else f"{observed.low:.2%} to {observed.high:.2%}",
        )
    return table


def measure_table(evaluation: Evaluation, exact: Mapping[str, float]) -> Table:
    """Metrics from private sums, beside the exact ones that only a simulation knows."""
    table = _table("from private sums", "estimate", "99 % interval", "exact")
    for measure in evaluation.measures:
        table.add_row(
            measure.name,
            f"{measure.value:.4f}",
            f"{measure.low:.4f} to {measure.high:.4f}",
            _or_nothing(exact.get(measure.name), ".4f"),
        )
    return table


def points_tables(card: Card, count: int) -> Sequence[Table]:
    """The points of the characteristics that decide most."""
    tables = []
    for characteristic in card.strongest(count):
        table = _table(characteristic.name, "points")
        for entry in characteristic.bins:
            table.add_row(entry.label, points_in_words(entry.points))
        tables.append(table)
    return tables


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _or_nothing(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)
