"""What the service counts, for Prometheus: calls, seconds, grades, scores; no identifier and no value."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fedscore.card import Card

__all__ = ["CardMetrics", "Metrics"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one process.

    Attributes:
        registry: What Prometheus reads.
    """

    def __init__(self) -> None:
        """Begins to count at 0."""
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "fedscore_calls_total", "Calls, by method and code.", ("method", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "fedscore_call_seconds",
            "Seconds of a call.",
            ("method",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._unfit = Counter(
            "fedscore_records_unfit_total", "Records that could not be scored.", registry=self.registry
        )
        self._grades = Counter(
            "fedscore_grades_total",
            "Records scored, by card and grade; one without a name if the card has none.",
            ("card", "grade"),
            registry=self.registry,
        )
        self._scores = Counter(
            "fedscore_scores_total",
            "Records scored, by card and band: from so many points on, to where the next band begins.",
            ("card", "at_least"),
            registry=self.registry,
        )
        self._info = Gauge(
            "fedscore_card_info",
            "1 for the card that is served.",
            ("card", "contract"),
            registry=self.registry,
        )

    def of(self, card: Card, fingerprint: str) -> CardMetrics:
        """What is counted about the scores of a card."""
        edges = card.bands.edges if card.bands is not None else ()
        names = [grade.name for grade in card.grades] or [""]
        return CardMetrics(
            edges=edges,
            bands=[self._scores.labels(fingerprint, str(edge)) for edge in (-math.inf, *edges)],
            grades=[self._grades.labels(fingerprint, name) for name in names],
        )

    def serves(self, card: Card, fingerprint: str) -> None:
        """Notes which card is served from now on."""
        self._info.clear()
        self._info.labels(fingerprint, card.contract_name).set(1)

    def called(self, method: str, code: str, seconds: float) -> None:
        """Counts a call."""
        self._calls.labels(method, code).inc()
        self._seconds.labels(method).observe(seconds)

    def unfit(self, records: int) -> None:
        """Counts records that could not be scored."""
        self._unfit.inc(records)


class CardMetrics:
    """Counters about the scores of one card."""

    def __init__(self, *, edges: Sequence[float], bands: list[Counter], grades: list[Counter]) -> None:
        """Takes its counters.

        Args:
            edges: Of the bands, in points.
            bands: One more than there are edges.
            grades: In the card's order.
        """
        self._edges = edges
        self._bands = bands
        self._grades = grades

    def scored(self, score: float, grade: int) -> None:
        """Counts a record by its score and the place of its grade; a card without grades has -1 for it."""
        self._bands[bisect_right(self._edges, score)].inc()
        self._grades[grade].inc()
