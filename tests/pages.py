"""Cards with everything in them, and a reader of pages, for tests of what people read."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from fedscore.card import (
    Bin,
    Card,
    CardParty,
    CardTable,
    Evaluation,
    Grade,
    GroupMeasures,
    Measure,
    PrivacyRecord,
    Provenance,
    Scale,
    ScoreBands,
)
from fedscore.contract import Characteristic, Derived, Direction, Formula, Grid, NoiseMode, Role, ValueType
from tests.cards import OUTCOME

__all__ = ["Page", "full_card", "measure"]


class Page(HTMLParser):
    """Collects what a page would load, its tags, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in {"meta", "br"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All words, with single blanks."""
        return " ".join(" ".join(self.texts).split())


def measure(name: str, value: float, width: float) -> Measure:
    """A measure with an interval around it, and a wider one."""
    return Measure(
        name=name,
        value=value,
        low=round(max(value - width, 0.0), 6),
        high=round(value + width, 6),
        total_low=round(max(value - 2 * width, 0.0), 6),
        total_high=round(value + 2 * width, 6),
    )


def _bins(labels: Sequence[str], points: Sequence[float], *, cells: Sequence[int] = ()) -> tuple[Bin, ...]:
    return tuple(
        Bin(
            label=label,
            cells=(cells[place] if cells else place,),
            points=value,
            standard_error=round(1.13 + place / 7, 2),
            share=round(1 / len(labels), 6),
            bad_rate=round(0.0113 * (place + 1), 6),
        )
        for place, (label, value) in enumerate(zip(labels, points, strict=True))
    )


def full_card(**changes: Any) -> Card:  # noqa: ANN401 - fields of a card
    """A card with grades, an evaluation with groups, privacy, a run, and a table that not all hold."""
    grid = Grid(
        characteristics=(
            Characteristic(
                name="age",
                column="age_years",
                type=ValueType.NUMBER,
                unit="years",
                description="Age of the customer.",
                edges=(30.0,),
                monotone=Direction.DECREASING,
                reasons={"en": "Young", "zh": "年龄较小"},
            ),
            Characteristic(
                name="spent",
                column="spent",
                type=ValueType.NUMBER,
                unit="EUR",
                roles=(Role.PLATFORM,),
                edges=(100.0,),
            ),
        ),
        derived=(Derived(name="trend", formula=Formula.TREND, of=("spent", "spent"), edges=(0.0,)),),
    )
    tables = (
        CardTable(
            name="age",
            parents=(),
            monotone=Direction.DECREASING,
            bins=_bins(["< 30", "≥ 30", "missing"], [-12.41, 7.29, -1.57]),
        ),
        CardTable(
            name="spent",
            parents=(),
            monotone=None,
            bins=_bins(["< 100", "≥ 100", "missing", "not held"], [-3.31, 4.47, 0.0, 2.83]),
        ),
        CardTable(
            name="trend",
            parents=(),
            monotone=None,
            bins=_bins(["< 0", "≥ 0", "missing", "not held"], [-1.31, 1.61, 0.17, 0.0]),
        ),
    )
    fields: dict[str, Any] = {
        "software_version": "0.1.0",
        "contract_hash": "ab" * 32,
        "contract_name": "shops",
        "purpose": "Tell who falls behind.",
        "outcome": OUTCOME,
        "parties": (
            CardParty(name="shop-1", role=Role.PLATFORM),
            CardParty(name="agency-1", role=Role.COLLECTOR),
        ),
        "scale": Scale(),
        "grid": grid,
        "intercept_points": 587.63,
        "characteristics": tables,
        "interactions": (),
        "grades": (
            Grade(name="A", lowest_score=601.0, share=0.6113, bad_rate=0.0127, standard_error=0.0019),
            Grade(name="B", lowest_score=None, share=0.3887, bad_rate=0.1093, standard_error=0.0071),
        ),
        "bands": ScoreBands(
            edges=(571.5, 583.25, 597.75),
            bad=(211.3, 97.1, 51.9, -7.7),
            good=(1811.2, 2903.4, 3307.6, 2719.8),
            deviation=41.7,
            total_deviation=83.9,
        ),
        "evaluation": Evaluation(
            level=0.99,
            records=4127.4,
            measures=(
                measure("auc", 0.7531, 0.0213),
                measure("ks", 0.3817, 0.0417),
                measure("bad rate", 0.0433, 0.0031),
            ),
            not_measured=("brier",),
            calibration=(measure("below 583.25", 0.0911, 0.0123), measure("from 583.25", 0.0217, 0.0089)),
            predicted=(0.0873, 0.0239),
            grades=(measure("A", 0.0139, 0.0041),),
            groups=(
                GroupMeasures(
                    group="age",
                    label="< 30",
                    measures=(measure("share", 0.2719, 0.0107), measure("bad rate", 0.0613, 0.0167)),
                ),
                GroupMeasures(group="age", label="other", measures=(measure("share", 0.7281, 0.0109),)),
            ),
        ),
        "privacy": PrivacyRecord(
            noise=NoiseMode.SHARED,
            epsilon=0.9973,
            person_epsilon=3.127,
            delta=2.5e-6,
            mu=0.2311,
            absent=1,
            colluding_parties=2,
            events=(
                {
                    "sum": "histogram",
                    "sensitivity_squared": 3,
                    "share_variance": 257,
                    "honest_shares": 7,
                    "shares": 11,
                    "dimension": 53,
                },
            ),
        ),
        "provenance": Provenance(
            run="0c" * 16, transcript="cd" * 32, round=17, finished="2026-01-31T23:59:59Z"
        ),
    }
    return Card(**{**fields, **changes})
