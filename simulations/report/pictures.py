"""Pictures of the report, each as one text that an `<img>` can hold."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedscore.card import CardTable
from simulations.results import Summary
from simulations.scenario import NAIVE, Baseline
from simulations.wording import epsilon_in_words, method_in_words, points_in_words, true_epsilon

__all__ = ["auc_by_epsilon", "auc_by_method", "points_of"]

_WIDTH = 5.0
_SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "svg.hashsalt": "fedscore",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Okabe and Ito's colours, which people tell apart whatever their colour vision.
_COLOURS = {
    None: "#0072B2",
    Baseline.LOCAL_NOISE: "#D55E00",
    Baseline.POOLED_LIGHTGBM: "#000000",
    Baseline.POOLED_NO_NOISE: "#009E73",
    Baseline.LOCAL_ONLY: "#CC79A7",
    Baseline.SCORECARD: "#56B4E9",
    Baseline.NEURAL_SHARED: "#E69F00",
    Baseline.NEURAL_LOCAL: "#7F7F7F",
    Baseline.NAIVE_FLOWER_OPACUS: "#7A1F00",
    Baseline.NAIVE_TUNED: "#B24A00",
    Baseline.NAIVE_TUNED_TRUE: "#5B2C83",
}
_MARKERS: dict[Baseline | None, str] = {**dict.fromkeys(NAIVE, "X"), Baseline.NEURAL_LOCAL: "s"}
_MAY_FAIL = frozenset({Baseline.LOCAL_NOISE, Baseline.NEURAL_LOCAL, *NAIVE})
_SAFER, _RISKIER = "#0072B2", "#D55E00"


def auc_by_epsilon(summary: Sequence[Summary]) -> str:
    """AUC against epsilon: a line for each method that has one, a level for each that has none.

    Args:
        summary: Methods at several epsilons.

    Returns:
        A picture as a data URI.
    """
    with style.context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, 4.3), layout="constrained")
        axes = figure.add_subplot()
        lines: dict[tuple[Baseline | None, str], list[Summary]] = {}
        for entry in summary:
            lines.setdefault((entry.baseline, method_in_words(entry)), []).append(entry)
        axes.set_ylim(*_range_of_interest(summary))
        for (baseline, label), entries in lines.items():
            _draw_method(axes, entries, label=label, baseline=baseline)
        axes.set_xscale("log")
        ticks = sorted({entry.epsilon for entry in summary if entry.epsilon is not None})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("true \N{GREEK SMALL LETTER EPSILON} of one record (smaller is more private)")
        axes.set_ylabel("AUC on test rows")
        axes.grid(axis="y", alpha=0.25)
        figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=2)
        return _data_uri(figure)


def _draw_method(axes: Axes, entries: Sequence[Summary], *, label: str, baseline: Baseline | None) -> None:
    colour = _COLOURS[baseline]
    budgets = [(epsilon, entry) for entry in entries if (epsilon := true_epsilon(entry)) is not None]
    if not budgets:
        axes.axhline(entries[0].auc_mean, color=colour, linestyle="--", linewidth=1.2, label=label)
        return
    budgets.sort(key=lambda pair: pair[0])
    bottom, _ = axes.get_ylim()
    for epsilon, entry in budgets:
        if entry.auc_mean < bottom:
            axes.annotate(
                f"{entry.auc_mean:.3f} \N{DOWNWARDS ARROW}",
                (epsilon, bottom),
                xytext=(0, 4),
                textcoords="offset points",
                color=colour,
                fontsize=8,
            )
    axes.errorbar(
        [epsilon for epsilon, _ in budgets],
        [entry.auc_mean for _, entry in budgets],
        yerr=[entry.auc_sd or 0.0 if entry.auc_mean >= bottom else 0.0 for _, entry in budgets],
        color=colour,
        marker=_MARKERS.get(baseline, "o"),
        markersize=4,
        capsize=2,
        linewidth=1.5,
        label=label,
    )


def _range_of_interest(summary: Sequence[Summary]) -> tuple[float, float]:
    """Keeps a method that fails at small budgets from flattening all the others."""
    compared = [entry for entry in summary if entry.baseline not in _MAY_FAIL]
    lowest = min(entry.auc_mean for entry in compared)
    highest = max(entry.auc_mean for entry in compared)
    margin = 0.25 * (highest - lowest) + 0.002 + max(entry.auc_sd or 0.0 for entry in compared)
    return lowest - margin, highest + margin


def auc_by_method(summary: Sequence[Summary]) -> str:
    """AUC of each method, where there is a single epsilon.

    Args:
        summary: One entry per method.

    Returns:
        A picture as a data URI.
    """
    with style.context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, 0.55 * len(summary) + 0.8), layout="constrained")
        axes = figure.add_subplot()
        for place, entry in enumerate(summary):
            axes.errorbar(
                [entry.auc_mean],
                [place],
                xerr=[entry.auc_sd or 0.0],
                color=_COLOURS[entry.baseline],
                marker=_MARKERS.get(entry.baseline, "o"),
                markersize=7,
                capsize=2,
            )
            axes.annotate(
                f"{entry.auc_mean:.3f}",
                (entry.auc_mean, place),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        labels = [textwrap.fill(_label(entry), 26) for entry in summary]
        axes.set_yticks(range(len(summary)), labels)
        axes.set_ylim(len(summary) - 0.5, -0.7)
        axes.margins(x=0.15)
        axes.set_xlabel("AUC on test rows")
        axes.grid(axis="x", alpha=0.25)
        return _data_uri(figure)


def _label(entry: Summary) -> str:
    label = method_in_words(entry)
    if entry.epsilon_reported is None:
        return label
    return f"{label} (true \N{GREEK SMALL LETTER EPSILON} = {epsilon_in_words(entry.epsilon_spent)})"


def points_of(table: CardTable) -> str:
    """Points of each bin of a characteristic: to the right safer, to the left riskier.

    Args:
        table: A characteristic of a card.

    Returns:
        A picture as a data URI.
    """
    with style.context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, 0.27 * len(table.bins) + 0.7), layout="constrained")
        axes = figure.add_subplot()
        points = [entry.points for entry in table.bins]
        places = range(len(points))
        bars = axes.barh(
            places, points, color=[_SAFER if value >= 0 else _RISKIER for value in points], height=0.7
        )
        axes.bar_label(bars, [points_in_words(value) for value in points], padding=3, fontsize=8)
        axes.set_yticks(
            places, [textwrap.shorten(entry.label, 40, placeholder=" …") for entry in table.bins], fontsize=8
        )
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        axes.margins(x=0.15)
        axes.set_xlabel("points (more is safer)")
        return _data_uri(figure)


def _data_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    # No date and no creator: the same results give the same report.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
