"""What the service counts, for Prometheus: calls, seconds, grades and scores; no identifier and no value."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fedscore.card import Card
from fedscore.card.scoring import Scored

__all__ = ["Metrics"]

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
        self._scored = Counter("fedscore_records_scored_total", "Records scored.", registry=self.registry)
        self._unfit = Counter(
            "fedscore_records_unfit_total", "Records that could not be scored.", registry=self.registry
        )
        self._grades = Counter(
            "fedscore_grades_total",
            "Records scored, by card and grade.",
            ("card", "grade"),
            registry=self.registry,
        )
        self._points = Counter(
            "fedscore_points_total", "Sum of scores, by card.", ("card",), registry=self.registry
        )
        self._info = Gauge(
            "fedscore_card_info",
            "1 for the card that is served.",
            ("card", "contract"),
            registry=self.registry,
        )

    def serves(self, card: Card) -> None:
        """Notes which card is served from now on."""
        self._info.clear()
        self._info.labels(card=card.fingerprint, contract=card.contract_name).set(1)

    def called(self, method: str, code: str, seconds: float) -> None:
        """Counts a call."""
        self._calls.labels(method=method, code=code).inc()
        self._seconds.labels(method=method).observe(seconds)

    def unfit(self, records: int) -> None:
        """Counts records that could not be scored."""
        self._unfit.inc(records)

    def scored(self, card: Card, fingerprint: str, scored: Scored, *, unfit: int) -> None:
        """Counts records."""
        self._scored.inc(len(scored.score))
        self._unfit.inc(unfit)
        self._points.labels(card=fingerprint).inc(max(float(scored.score.sum()), 0.0))
        for place, grade in enumerate(card.grades):
            count = int((scored.grades == place).sum())
            if count:
                self._grades.labels(card=fingerprint, grade=grade.name).inc(count)
