"""The tables of docs/guide-researcher.md that simulations give."""

from __future__ import annotations

from simulations.paper import runs
from simulations.paper.cells import Cell, Difference, Empty, Mean, Reported, Spent
from simulations.paper.sources import Method, Source
from simulations.paper.tables import Row, Table, less
from simulations.scenario import Baseline

__all__ = ["RESEARCHER_TABLES"]

_DOCUMENT = "docs/guide-researcher.md"
_EPSILON = 1.0
_COLUMNS = ("reported ε", "true ε", "AUC", less("shared", "this"))


def _line(label: str, method: Method, own: Method) -> Row:
    beside: Cell = Empty() if method == own else Difference(own, method)
    return Row(label=label, cells=(Reported(method), Spent(method), Mean(method), beside))


def _with_epsilon(source: Source, baseline: Baseline | None) -> Method:
    return Method(source=source, baseline=baseline, epsilon=_EPSILON)


def _taiwan() -> Table:
    source = runs.TAIWAN_NEURAL
    own = _with_epsilon(source, None)
    rows = (
        _line("neural, shared noise", own, own),
        _line("scorecard, shared noise", _with_epsilon(source, Baseline.SCORECARD), own),
        _line("neural, local noise", _with_epsilon(source, Baseline.NEURAL_LOCAL), own),
        _line("public recipe, as published", _with_epsilon(source, Baseline.NAIVE_FLOWER_OPACUS), own),
        _line("public recipe, tuned for tables", _with_epsilon(source, Baseline.NAIVE_TUNED), own),
        _line(
            "public recipe, tuned, noise for a true ε of 1",
            _with_epsilon(source, Baseline.NAIVE_TUNED_TRUE),
            own,
        ),
        _line("neural, pooled, no privacy", Method(source=source, baseline=Baseline.POOLED_NO_NOISE), own),
        _line("LightGBM, pooled, all columns", Method(source=source, baseline=Baseline.POOLED_LIGHTGBM), own),
    )
    return Table(name="neural-taiwan", document=_DOCUMENT, columns=_COLUMNS, rows=rows)


def _gmsc() -> Table:
    source = runs.GMSC_NEURAL
    own = _with_epsilon(source, None)
    rows = (
        _line("neural, shared noise, 100 rounds", own, own),
        _line("scorecard, shared noise", _with_epsilon(source, Baseline.SCORECARD), own),
    )
    return Table(name="neural-gmsc", document=_DOCUMENT, columns=_COLUMNS, rows=rows)


RESEARCHER_TABLES = (_taiwan(), _gmsc())
"""In the order of the document."""
