"""Watching a finished card on present rows: the same statistics from exact counts and from private sums.

A `Layout` says what is counted, as the card lays it out. `Counts` are what was found: exactly, on an
organisation's own rows, or noisy, over all parties. `report` makes a `MonitoringReport` of them.
"""

from fedscore.monitoring.counts import Counts, KnownOutcomes
from fedscore.monitoring.findings import monitoring_report
from fedscore.monitoring.layout import Layout
from fedscore.monitoring.past import Past
from fedscore.monitoring.report import MonitoringReport, Watch

__all__ = ["Counts", "KnownOutcomes", "Layout", "MonitoringReport", "Past", "Watch", "monitoring_report"]
