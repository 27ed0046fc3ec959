"""Whatever noise makes of a sum, what is told of it is a number in order, or that nothing can be said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from math import isfinite

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from fedscore.estimates import (
    OUTCOMES,
    Bands,
    Baseline,
    Estimate,
    EvaluationPlan,
    Leverage,
    Measured,
    NoisyCounts,
    OutcomeSums,
    auc,
    bad_rate_alarm,
    brier,
    calibration_curve,
    calibration_drift,
    calibration_error,
    gini,
    grades,
    ks,
    outcome_vectors,
    recall_at,
    stability,
)
from tests.customers import POINTS

Floats = npt.NDArray[np.float64]

PLAN = EvaluationPlan(low=300.0, high=800.0, points=POINTS, cut_offs=(520.0, 560.0), bands=24, grid_cells=32)

counts = st.floats(-1e4, 1e6) | st.floats(-100.0, 100.0) | st.just(0.0)
deviations = st.sampled_from([0.0, 1e-9, 0.3, 5.0, 100.0, 1e5])
levels = st.sampled_from([0.5, 0.95, 0.99, 0.9999])


@st.composite
def evaluations(draw: st.DrawFn) -> Bands:
    """Sums that have seen anything: nobody, noise alone, one kind of rows, huge counts."""
    grid = PLAN.grid.strategy
    first = draw(st_numpy.arrays(np.float64, grid.dimension, elements=counts))
    reference = PLAN.reference(Measured(strategy=grid, values=first, deviation=draw(deviations)))
    strategy = reference.strategy
    kind = draw(st.sampled_from(["anything", "counts", "one kind", "nobody"]))
    if kind == "anything":
        values = draw(st_numpy.arrays(np.float64, strategy.dimension, elements=counts))
    else:
        cells = draw(st_numpy.arrays(np.float64, strategy.cells, elements=st.integers(0, 500).map(float)))
        if kind == "one kind":
            cells[draw(st.sampled_from([0, reference.bands])) :][: reference.bands] = 0.0
        if kind == "nobody":
            cells[:] = 0.0
        values = cells @ strategy.patterns
    return Bands(
        reference=reference,
        measured=Measured(strategy=strategy, values=values, deviation=draw(deviations)),
    )


def estimates_in(told: object) -> Iterator[Estimate]:
    if isinstance(told, Estimate):
        yield told
    elif isinstance(told, tuple):
        for one in told:
            yield from estimates_in(one)
    elif is_dataclass(told):
        for field in fields(told):
            yield from estimates_in(getattr(told, field.name))


def is_sound(estimate: Estimate) -> bool:
    ends = (estimate.total_low, estimate.low, estimate.high, estimate.total_high)
    if not all(isfinite(end) for end in ends) or list(ends) != sorted(ends):
        return False
    if estimate.value is None:
        return estimate.noise_error is None and estimate.sampling_error is None
    errors = (estimate.noise_error, estimate.sampling_error)
    inside = estimate.low <= estimate.value <= estimate.high
    return inside and all(error is not None and isfinite(error) and error >= 0 for error in errors)


@given(bands=evaluations(), level=levels, alert_rate=st.floats(1e-6, 1.0))
def test_an_evaluation_is_in_order_or_not_measurable(bands: Bands, level: float, alert_rate: float) -> None:
    for told, least, greatest in (
        (auc(bands, level=level), 0, 1),
        (gini(bands, level=level), -1, 1),
        (ks(bands, level=level), 0, 1),
        (recall_at(bands, alert_rate, level=level), 0, 1),
        (brier(bands, level=level), 0, 1),
        (calibration_error(bands, level=level), 0, 1),
        (bands.bad_rate(level=level), 0, 1),
        (calibration_curve(bands, level=level), 0, 1),
        (grades(bands, PLAN.cut_offs, level=level), 0, 1),
    ):
        found = list(estimates_in(told))
        assert found
        for estimate in found:
            assert is_sound(estimate), estimate
            assert estimate.level == level
            assert least <= estimate.total_low <= estimate.total_high <= greatest


@given(
    values=st_numpy.arrays(np.float64, (2, 8), elements=counts),
    noise=st.tuples(deviations, deviations),
    level=levels,
)
def test_a_stability_index_is_in_order_or_unknown(
    values: Floats, noise: tuple[float, float], level: float
) -> None:
    reference, current = (
        NoisyCounts(counts=row, deviation=deviation) for row, deviation in zip(values, noise, strict=True)
    )
    found = stability(reference, current, level=level)
    assert is_sound(found.index), found
    assert found.index.total_low >= 0
    assert isinstance(found.certain, bool)


@given(
    first=st_numpy.arrays(np.float64, 32, elements=counts),
    values=st_numpy.arrays(np.float64, 4, elements=counts | st.floats(-1e12, 1e12)),
    deviation=deviations,
    baseline=st.builds(Baseline, ratio=st.floats(0.01, 100.0), error=st.floats(0.0, 10.0)),
    limit=st.floats(1e-3, 100.0),
    leverage=st.builds(Leverage, centre=st.floats(-10, 10), spread=st.floats(0.01, 100)),
)
def test_outcomes_are_in_order_or_undecided(
    first: Floats, values: Floats, deviation: float, baseline: Baseline, limit: float, leverage: Leverage
) -> None:
    sums = OutcomeSums(values=values, deviation=deviation)
    alarm = bad_rate_alarm(sums, baseline=baseline, limit=limit)
    assert 0.0 <= alarm.power <= 1.0
    assert alarm.detectable is None or 0.0 <= alarm.detectable < np.inf
    assert alarm.sentence
    reference = PLAN.reference(Measured(strategy=PLAN.grid.strategy, values=first, deviation=1.0))
    for told in (alarm, calibration_drift(sums, reference, leverage)):
        for estimate in estimates_in(told):
            assert is_sound(estimate), estimate


@given(
    probability=st.floats(0.0, 1.0),
    outcome=st.sampled_from([0.0, 1.0]),
    centre=st.floats(-20, 20),
    spread=st.floats(1e-3, 100),
)
def test_no_record_adds_more_to_the_outcomes_than_was_planned(
    probability: float, outcome: float, centre: float, spread: float
) -> None:
    vector = outcome_vectors([outcome], [probability], Leverage(centre=centre, spread=spread))[0]
    assert float(vector @ vector) <= float(OUTCOMES.sensitivity_squared)
    assert np.abs(vector).max() <= float(OUTCOMES.largest)


@given(
    first=st_numpy.arrays(np.float64, 32, elements=counts),
    deviation=deviations,
    cut_offs=st.lists(st.floats(301.0, 799.0), max_size=6, unique=True),
)
def test_no_reference_makes_a_record_add_more_than_was_planned(
    first: Floats, deviation: float, cut_offs: list[float]
) -> None:
    plan = replace(PLAN, cut_offs=tuple(cut_offs))
    reference = plan.reference(Measured(strategy=plan.grid.strategy, values=first, deviation=deviation))
    bound, planned = reference.strategy.bound, plan.outcomes
    assert bound.sensitivity_squared <= planned.sensitivity_squared
    assert bound.largest <= planned.largest
    assert bound.dimension_limit <= planned.dimension_limit
    assert set(cut_offs) <= set(reference.edges.tolist())
    assert np.all(np.diff(reference.edges) > 0)


@given(bands=evaluations(), factor=st.floats(1.01, 10.0))
def test_more_noise_never_makes_an_interval_narrower(bands: Bands, factor: float) -> None:
    louder = replace(bands, measured=replace(bands.measured, deviation=bands.measured.deviation * factor))
    for metric in (auc, brier, Bands.bad_rate):
        quiet, loud = metric(bands), metric(louder)
        assert loud.low <= quiet.low + 1e-9
        assert loud.high >= quiet.high - 1e-9
