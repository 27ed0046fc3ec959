"""What the report says, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import ScenarioError
from fedscore.learners.neural.model import NeuralModel
from fedscore.pages import words
from fedscore.pages.rulers import bar_scales, ruler_of
from fedscore.pages.sheets import characteristic_sheets
from simulations import wording
from simulations.deployment import DeploymentTerms
from simulations.files import write_whole
from simulations.report import numbers
from simulations.report.absences import absent_of
from simulations.report.costs import costs_of
from simulations.report.figures import Names, Panel, grid_figure, legend_figure, panel_figure
from simulations.report.finding import finding, tiles
from simulations.report.frontier import (
    FrontierPoint,
    by_variation,
    frontier,
    frontier_csv,
    variation_in_words,
)
from simulations.report.inline import as_inline_svg, as_png, as_svg
from simulations.report.methods import explained
from simulations.report.neural import described
from simulations.report.panels import panels_of
from simulations.report.provenance import is_runnable, openings_of, scenario_in_words
from simulations.report.worth import worth_of
from simulations.results import Results
from simulations.timings import Timings
from simulations.wall_time import formula

__all__ = ["ReportContent", "render", "write_report"]

_STRONGEST = 6
_WIDE, _NARROW, _SMALL, _GRID = 7.6, 3.9, 3.3, 9.6
"""Widths of figures, in inches."""


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
        ceremony_seconds: Duration of the key ceremony, if there was one.
    """

    title: str
    introduction: tuple[str, ...]
    results: Results
    timings: Timings
    trained: Card | NeuralModel
    contract: Contract
    ceremony_seconds: float | None = None


def write_report(content: ReportContent, folder: Path) -> None:
    """Write `report.html`, and what it draws as `frontier.png`, `frontier.svg` and `frontier.csv`.

    Args:
        content: What to tell.
        folder: Where to.

    Raises:
        ScenarioError: A file cannot be written.
    """
    points = frontier(content.results.runs)
    figure = _file_figure(_panels(content, points))
    write_whole(folder / "frontier.csv", frontier_csv(points))
    write_whole(folder / "frontier.svg", as_svg(figure))
    _write_bytes(folder / "frontier.png", as_png(figure))
    write_whole(folder / "report.html", render(content))


def _write_bytes(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise ScenarioError(
            f"{path} cannot be written ({error.strerror}): pass another folder with --out"
        ) from None


def render(content: ReportContent) -> str:
    """Write the report as one HTML page without outside resources.

    Args:
        content: What to tell.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("simulations.report", "."), jinja2.PackageLoader("fedscore.pages", ".")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        words=words,
        say=wording,
        figures=numbers,
        n=lambda value: f"{value:g}",
        place_in_words=variation_in_words,
        finite=math.isfinite,
    )
    return environment.get_template("report.html.j2").render(_values(content))


def _values(content: ReportContent) -> Mapping[str, Any]:
    results = content.results
    points = frontier(results.runs)
    audits = results.audits
    card = content.trained if isinstance(content.trained, Card) else None
    sheets = characteristic_sheets(card)[:_STRONGEST] if card is not None else ()
    first = results.runs[0]
    worth = worth_of(results)
    committee = content.contract.encryption.committee
    terms = DeploymentTerms.model_validate(results.scenario.get("deployment", {}))
    costs = costs_of(
        results.runs, content.timings.runs, members=committee.members if committee else 1, terms=terms
    )
    return {
        "content": content,
        "results": results,
        "first": first,
        "product": wording.product_in_words(first),
        "finding": finding(points),
        "tiles": tiles(points, audits=audits, worth=worth, costs=costs),
        "tables": by_variation(points),
        "pictures": _pictures(_panels(content, points)),
        "has_ceiling": any(point.below_ceiling is not None for point in points),
        "several_seeds": any(point.seeds > 1 for point in points),
        "several_epsilons": _several_epsilons(points),
        "has_lead": any(point.lead is not None for point in points),
        "explained": explained(points),
        "warnings": wording.warnings_in_words(points),
        "audits": audits,
        "worth": worth,
        "absent": absent_of(results.runs),
        "card": card,
        "sheets": sheets,
        "ruler": ruler_of(sheets) if sheets else None,
        "scales": bar_scales,
        "observed": _observed(card),
        "model": described(content.trained) if isinstance(content.trained, NeuralModel) else (),
        "costs": costs,
        "terms": terms,
        "formula": formula(),
        "promises": wording.promises(first, content.contract),
        "scenario": scenario_in_words(results.scenario),
        "is_runnable": is_runnable(results.scenario),
        "openings": openings_of(results.runs),
    }


def _panels(content: ReportContent, points: Sequence[FrontierPoint]) -> tuple[Panel, ...]:
    usual = content.contract.privacy.delta
    deltas = {tuple(run.variation.items()): usual for run in content.results.runs}
    deltas |= {
        tuple(run.variation.items()): run.delta
        for run in content.results.runs
        if run.baseline is None and run.delta is not None
    }
    return panels_of(points, content.results.audits, deltas=deltas)


def _file_figure(panels: Sequence[Panel]) -> Figure:
    if len(panels) == 1:
        return panel_figure(panels[0], width=_WIDE, names=Names.BESIDE)
    return grid_figure(panels, width=_GRID)


def _pictures(panels: Sequence[Panel]) -> Mapping[str, Any]:
    """Each for a wide screen and for a phone; of many variations, those are the legends."""
    label = "AUC of every method; the figures are in the tables below"
    first = panels[0]
    if len(panels) == 1:
        wide, narrow = (
            panel_figure(first, width=width, names=names)
            for width, names in ((_WIDE, Names.BESIDE), (_NARROW, Names.BELOW))
        )
        many = []
    else:
        wide, narrow = (legend_figure(first, width=width) for width in (_WIDE, _NARROW))
        many = [
            (
                panel.title,
                panel_figure(replace(panel, title=""), width=_SMALL, names=Names.ELSEWHERE, small=True),
            )
            for panel in panels
        ]
    return {
        "wide": as_inline_svg(wide, label=label if not many else "What lines and marks mean"),
        "narrow": as_inline_svg(narrow, label=label),
        "many": [(title, as_inline_svg(figure, label=f"{label}: {title}")) for title, figure in many],
    }


def _several_epsilons(points: Sequence[FrontierPoint]) -> bool:
    return len({point.epsilon for point in points if point.epsilon is not None}) > 1


def _observed(card: Card | None) -> Mapping[str, Any]:
    if card is None or card.evaluation is None:
        return {}
    return {one.name: one for one in card.evaluation.grades}
