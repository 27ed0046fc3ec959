"""From counts to a report: stability of every table, grades, calibration, and the bad-rate alarm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fedscore.card import CardParty
from fedscore.contract import Contract, Role
from fedscore.estimates import (
    LEVEL,
    Estimate,
    NoisyCounts,
    Reference,
    Shift,
    Total,
    bad_rate_alarm,
    calibration_drift,
    stability,
)
from fedscore.monitoring.counts import Counts, KnownOutcomes
from fedscore.monitoring.layout import Layout
from fedscore.monitoring.past import Past
from fedscore.monitoring.report import (
    AlarmFound,
    BinShares,
    CalibrationFound,
    Figure,
    GradeFound,
    MonitoringReport,
    StabilityFound,
    Watch,
)

__all__ = ["monitoring_report"]

_Floats = npt.NDArray[np.float64]


def monitoring_report(
    layout: Layout, counts: Counts, past: Past, *, contract: Contract | None = None, role: Role | None = None
) -> MonitoringReport:
    """Reads counts.

    Args:
        layout: What was counted.
        counts: Of present rows.
        past: What they are compared with.
        contract: Of the monitoring, if the counts are of all its parties.
        role: Of the organisation, if they are of its own rows: tables that it does not hold are left out.
    """
    card, known = layout.card, counts.outcomes
    rows = NoisyCounts(counts=counts.scores, deviation=counts.scores_deviation).rows
    tables = tuple(
        _stability(
            table.card.name,
            table.labels,
            then,
            NoisyCounts(counts=counts.bins[table.place], deviation=counts.bins_deviation),
        )
        for table, then in zip(layout.tables, past.tables, strict=True)
        if role is None or role in table.holders
    )
    score = _score(layout, counts, past)
    return MonitoringReport(
        software_version=version("fedscore"),
        watch=Watch.CONSORTIUM if contract is not None else Watch.OWN,
        card=card.fingerprint,
        card_name=card.contract_name,
        outcome=card.outcome,
        contract_hash=contract.hash() if contract is not None else None,
        contract_name=contract.name if contract is not None else None,
        parties=tuple(CardParty(name=party.name, role=party.role) for party in contract.parties)
        if contract is not None
        else (),
        role=role,
        own_past=past.own,
        level=LEVEL,
        records=round(rows, 1),
        known=round(float(known.scores.sum()), 1) if known is not None else 0.0,
        score=score,
        tables=tables,
        grades=tuple(_grades(layout, counts, past)),
        calibration=_calibration(layout, known) if known is not None else None,
        alarm=_alarm(known, past) if known is not None else None,
        notes=tuple(_notes(counts, past, (score, *tables), is_own=contract is None)),
    )


def _score(layout: Layout, counts: Counts, past: Past) -> StabilityFound:
    points = [f"{edge:g}" for edge in layout.score_bands.edges]
    labels = [f"{low} to {high}" for low, high in pairwise(points)]
    labels = [f"below {points[0]}", *labels, f"from {points[-1]}"] if points else ["all"]
    sizes = layout.by_band(np.ones(layout.score_cells))
    now = NoisyCounts(
        counts=layout.by_band(counts.scores), deviation=counts.scores_deviation * np.sqrt(sizes)
    )
    return _stability("score", labels, past.bands, now)


def _stability(name: str, labels: Sequence[str], then: NoisyCounts, now: NoisyCounts) -> StabilityFound:
    found = stability(then, now)
    return StabilityFound(
        name=name,
        index=_figure(found.index),
        reading=found.reading,
        certain=found.certain and found.reading is not Shift.UNKNOWN,
        bins=tuple(
            BinShares(label=label, then=was, now=present)
            for label, was, present in zip(labels, _shares(then), _shares(now), strict=True)
        ),
    )


def _shares(counts: NoisyCounts) -> list[float] | list[None]:
    if not counts.clear:
        return [None] * len(counts.counts)
    return [round(share, 6) for share in (counts.counts / counts.rows).tolist()]


def _grades(layout: Layout, counts: Counts, past: Past) -> Iterator[GradeFound]:
    known = counts.outcomes
    sizes = layout.by_grade(np.ones(layout.score_cells))
    everybody = Total(
        value=float(counts.scores.sum()),
        deviation=counts.scores_deviation * layout.score_cells**0.5,
    )
    numbers = layout.by_grade(counts.scores)
    of_known = layout.by_grade(known.scores) if known is not None else np.zeros(len(numbers))
    for place, grade in enumerate(layout.card.grades):
        expected, observed = None, None
        if known is not None:
            rows = Total(value=float(of_known[place]), deviation=known.scores_deviation * sizes[place] ** 0.5)
            count = Total(value=float(known.expected[place]), deviation=known.expected_deviation)
            surplus = Total(value=float(known.surplus[place]), deviation=known.surplus_deviation)
            bad = Total(
                value=count.value + surplus.value,
                deviation=float(np.hypot(count.deviation, surplus.deviation)),
            )
            expected, observed = _rate(count, rows), _rate(bad, rows)
        yield GradeFound(
            name=grade.name,
            lowest_score=grade.lowest_score,
            then=round(float(past.grades[place]), 6),
            now=_rate(
                Total(value=float(numbers[place]), deviation=counts.scores_deviation * sizes[place] ** 0.5),
                everybody,
            ),
            promised=grade.bad_rate,
            expected=expected,
            observed=observed,
        )


def _rate(part: Total, rows: Total) -> Figure:
    """A share of rows; noise of both counts is in it."""
    if not rows.clear:
        return _figure(Estimate.unknown(level=LEVEL))
    rate = part.value / rows.value
    prudent = float(np.clip(part.value + 1.0, 1.0, rows.value + 1.0)) / (rows.value + 2.0)
    return _figure(
        Estimate.around(
            rate,
            noise=float(np.hypot(part.deviation, rate * rows.deviation)) / rows.value,
            sampling=float(np.sqrt(prudent * (1.0 - prudent) / rows.value)),
            level=LEVEL,
        )
    )


def _calibration(layout: Layout, known: KnownOutcomes) -> CalibrationFound:
    shares = _running_shares(known.scores)
    # What it uses of a reference are shares and probabilities; the ends of its bands bound other metrics.
    reference = Reference(
        edges=layout.edges / 100.0,
        shares=shares,
        probabilities=layout.probabilities,
        least_probabilities=layout.probabilities,
        greatest_probabilities=layout.probabilities,
    )
    found = calibration_drift(known.sums, reference, layout.leverage)
    return CalibrationFound(in_the_large=_figure(found.in_the_large), slope=_figure(found.slope))


def _running_shares(numbers: _Floats) -> _Floats:
    """Shares of noisy counts, none of them negative; noise in neighbouring cells cancels.

    Negative counts are not cut off, for that would make people of the noise in every empty cell: the running
    sum is led between its two envelopes that never fall.
    """
    running = np.cumsum(numbers)
    rising, falling = np.maximum.accumulate(running), np.minimum.accumulate(running[::-1])[::-1]
    monotone = np.maximum.accumulate(np.maximum((rising + falling) / 2, 0.0))
    if monotone[-1] <= 0.0:
        return np.full(len(numbers), 1.0 / len(numbers))
    return np.asarray(np.diff(monotone, prepend=0.0) / monotone[-1])


def _alarm(known: KnownOutcomes, past: Past) -> AlarmFound:
    found = bad_rate_alarm(known.sums, baseline=past.baseline)
    return AlarmFound(
        reading=found.reading,
        sentence=found.sentence,
        observed=_figure(found.observed),
        expected=_figure(found.expected),
        shift=_figure(found.shift),
        limit=found.limit,
        detectable=None if found.detectable is None else round(found.detectable, 6),
        power=round(found.power, 6),
    )


def _notes(counts: Counts, past: Past, found: Sequence[StabilityFound], *, is_own: bool) -> Iterator[str]:
    if is_own and not past.own:
        yield (
            "Present rows of one organisation are compared with the training rows of all parties: what is "
            "told apart may be that this organisation's customers have always been others. Give its own "
            "earlier rows to see what has changed."
        )
    unknown = [one.name for one in found if one.reading is Shift.UNKNOWN]
    if unknown:
        yield (
            f"Nothing can be said of {', '.join(unknown)}: there are too few rows for the noise, then or now."
            if not is_own
            else f"Nothing can be said of {', '.join(unknown)}: there are too few rows, or the card's own "
            "numbers are too noisy."
        )
    known = counts.outcomes
    if known is None:
        yield "No outcome is known yet: only distributions were compared, and no alarm can be raised."
        return
    if is_own and (missing := float(counts.scores.sum() - known.scores.sum())) > 0:
        yield (
            f"The outcome of {missing:,.0f} rows is not known yet: they count in distributions alone, and a "
            "cohort of which only early outcomes are known looks worse or better than it will be."
        )
    error = past.baseline.error
    if error >= 1.0:
        yield "The card was calibrated on too few bad records to say what bad rate is to be expected."
        return
    yield (
        f"What is expected has a standard error of {error:.1%} of itself. The alarm allows for it; intervals "
        "of calibration and grades do not."
    )


def _figure(estimate: Estimate) -> Figure:
    return Figure(
        value=None if estimate.value is None else round(estimate.value, 6),
        low=round(estimate.low, 6),
        high=round(estimate.high, 6),
        total_low=round(estimate.total_low, 6),
        total_high=round(estimate.total_high, 6),
    )
