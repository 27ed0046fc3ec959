"""What present rows are compared with: training records, as the card tells of them, or earlier own rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fedscore.estimates import Baseline, NoisyCounts
from fedscore.monitoring.counts import Counts
from fedscore.monitoring.layout import Layout, WatchedTable

__all__ = ["Past"]

_FEWEST = 10.0
_CLEAR = 6.0

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """How it was.

    Attributes:
        tables: Counts of the bins of each table, in the layout's order; zeros where nothing is told.
        bands: Counts in the card's bands.
        grades: [grades], share of each.
        baseline: How well the card's probabilities fitted.
        own: Whether these are earlier rows of the same organisation.
    """

    tables: tuple[NoisyCounts, ...]
    bands: NoisyCounts
    grades: _Floats
    baseline: Baseline
    own: bool

    @classmethod
    def of_card(cls, layout: Layout) -> Self:
        """The training records of all parties, as far as the noise in the card's own numbers shows them."""
        card, bands = layout.card, layout.score_bands
        return cls(
            tables=tuple(_of_table(table) for table in layout.tables),
            bands=NoisyCounts(
                counts=np.array(bands.bad) + np.array(bands.good),
                deviation=bands.deviation * float(np.sqrt(2.0)),
            ),
            grades=np.array([grade.share for grade in card.grades]),
            baseline=_baseline(float(np.sum(bands.bad)), bands.total_deviation),
            own=False,
        )

    @classmethod
    def of_counts(cls, layout: Layout, counts: Counts) -> Self:
        """Earlier rows of the organisation itself, counted exactly.

        Their outcomes say how well the card fitted there; where they are not known, the card's own
        calibration does.
        """
        grades = layout.by_grade(counts.scores)
        baseline = Past.of_card(layout).baseline
        if counts.outcomes is not None:
            expected = counts.outcomes.sums.expected.value
            observed = expected + counts.outcomes.sums.surplus.value
            if observed >= _FEWEST and expected > 0.0:
                baseline = Baseline(ratio=observed / expected, error=float(observed**-0.5))
        return cls(
            tables=tuple(
                NoisyCounts(counts=counts.bins[table.place], deviation=0.0) for table in layout.tables
            ),
            bands=NoisyCounts(counts=layout.by_band(counts.scores), deviation=0.0),
            grades=grades / max(float(grades.sum()), 1.0),
            baseline=baseline,
            own=True,
        )


def _of_table(table: WatchedTable) -> NoisyCounts:
    noise = table.card.deviation
    if noise is None or table.card.records is None:
        return NoisyCounts(counts=np.zeros(len(table.bins)), deviation=0.0)
    shares = np.array([table.card.bins[bin_].share for bin_ in table.bins])
    # A bin's count is of bad and good records in each of its cells.
    deviations = noise * np.sqrt(2.0 * np.array(table.counted_cells))
    return NoisyCounts(counts=table.card.records * shares, deviation=deviations)


def _baseline(bad: float, deviation: float) -> Baseline:
    """The card was calibrated on so many bad records: on average right, with the error of their number."""
    if bad < max(_CLEAR * deviation, _FEWEST):
        return Baseline(ratio=1.0, error=1.0)
    return Baseline(ratio=1.0, error=float(np.hypot(bad**0.5, deviation)) / bad)
