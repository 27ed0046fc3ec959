"""What the report says, and in which order."""

from __future__ import annotations

import json
from dataclasses import dataclass

import jinja2

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.learners.neural.model import NeuralModel
from simulations import wording
from simulations.report import pictures
from simulations.report.methods import explained
from simulations.report.neural import described
from simulations.results import Results, Summary
from simulations.timings import Timings

__all__ = ["PartyLine", "ReportContent", "render"]

_STRONGEST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLine:
    """What taking part is worth to one organisation, on its own test rows.

    Attributes:
        party: Its name.
        rows: Number of its training rows.
        local_auc: AUC of the card that it trains alone; None if it can train or measure none.
        federated_auc: AUC of the federated card; None if its test rows have only one outcome.
    """

    party: str
    rows: int
    local_auc: float | None
    federated_auc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """Everything that a report tells.

    Attributes:
        title: Of the page.
        introduction: What was trained and on what, as paragraphs.
        results: All runs; the first is the one that `trained` came from.
        timings: How long they took.
        trained: The card or the neural model of the first run.
        contract: The contract that the first run ran under.
        parties: What each organisation gained, where this was measured.
        ceremony_seconds: Duration of the key ceremony, if there was one.
    """

    title: str
    introduction: tuple[str, ...]
    results: Results
    timings: Timings
    trained: Card | NeuralModel
    contract: Contract
    parties: tuple[PartyLine, ...] = ()
    ceremony_seconds: float | None = None


def render(content: ReportContent) -> str:
    """Write the report as one HTML page without outside resources.

    Args:
        content: What to tell.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simulations.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        method=wording.method_in_words,
        epsilon=wording.epsilon_in_words,
        true_epsilon=wording.true_epsilon,
        gap=wording.gap_in_words,
        size=wording.bytes_in_words,
        points=wording.points_in_words,
    )
    first = content.results.runs[0]
    summary = content.results.summary
    card = content.trained if isinstance(content.trained, Card) else None
    strongest = card.strongest(_STRONGEST) if card is not None else ()
    return environment.get_template("report.html.j2").render(
        content=content,
        card=card,
        observed={one.name: one for one in card.evaluation.grades}
        if card is not None and card.evaluation is not None
        else {},
        model=described(content.trained) if isinstance(content.trained, NeuralModel) else (),
        product=wording.product_in_words(first),
        first=first,
        summary=summary,
        finding=_finding(summary),
        warnings=wording.warnings_in_words(summary),
        explained=explained(summary),
        auc_picture=_auc_picture(summary),
        points_pictures=[(table, pictures.points_of(table)) for table in strongest],
        promises=wording.promises(first, content.contract),
        scenario=json.dumps(content.results.scenario, indent=2, ensure_ascii=False),
        meanings={name: item.description for name, item in content.contract.by_name.items()},
        several_epsilons=_several_epsilons(summary),
        has_ceiling=any(entry.gap_to_lightgbm is not None for entry in summary),
        several_seeds=any(entry.n > 1 for entry in summary),
        has_gap=any(entry.auc_gap is not None for entry in summary),
        costs=[
            (run, timing)
            for run, timing in zip(content.results.runs, content.timings.runs, strict=True)
            if run.rounds and run.seed == first.seed
        ],
        first_timing=content.timings.runs[0],
    )


def _auc_picture(summary: tuple[Summary, ...]) -> str:
    return pictures.auc_by_epsilon(summary) if _several_epsilons(summary) else pictures.auc_by_method(summary)


def _several_epsilons(summary: tuple[Summary, ...]) -> bool:
    return len({entry.epsilon for entry in summary if entry.epsilon is not None}) > 1


def _finding(summary: tuple[Summary, ...]) -> str:
    """The experiment in one sentence, at the epsilon nearest to 1."""
    own = [entry for entry in summary if entry.baseline is None]
    chosen = min(own, key=lambda entry: abs((entry.epsilon or 1.0) - 1.0))
    runs = f"mean of {chosen.n} seeds" if chosen.n > 1 else "one seed"
    at = "Without noise" if chosen.epsilon is None else f"At ε = {chosen.epsilon:g}"
    what = wording.product_in_words(chosen)
    sentence = f"{at} the federated {what} reaches an AUC of {chosen.auc_mean:.4f} on test rows ({runs})"
    others = [
        f"{wording.method_in_words(entry)}: {entry.auc_mean:.4f}{_true_price(entry)}"
        for entry in summary
        if entry.baseline is not None and entry.epsilon in {None, chosen.epsilon}
    ]
    return sentence + (f". For comparison: {'; '.join(others)}." if others else ".")


def _true_price(entry: Summary) -> str:
    if entry.epsilon_reported is None:
        return ""
    return f" (at a true ε of {wording.epsilon_in_words(entry.epsilon_spent)})"
