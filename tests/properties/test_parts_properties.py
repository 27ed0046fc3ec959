"""Histories of runs over training and test rows: priced by hand, and never found cheaper than they are."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import BudgetExhausted
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed, DistributedGaussian, Event, aligned, on_part
from privacy.dp.renyi import renyi_curve
from privacy.ledger import Charge, Limits, RunSpending, Spending, event_fields, event_of

DELTA = 1e-5

sums = st.builds(
    lambda sensitivity, variance: DistributedGaussian(
        sensitivity_squared=sensitivity,
        share_variance=variance,
        honest_shares=2,
        dimension=20,
        total_shares=3,
    ),
    st.integers(1, 40),
    st.sampled_from([200, 1_000, 20_000, 10**9]),
)
placed = st.tuples(st.integers(0, 1), sums)
runs = st.lists(placed, min_size=1, max_size=6)


def of(run: list[tuple[int, DistributedGaussian]]) -> Event:
    return aligned(on_part(event, part) for part, event in run)


def mu_squared(run: list[tuple[int, DistributedGaussian]]) -> float:
    """Of one record, which is on one side: the larger of both."""
    sides = [0.0, 0.0]
    for part, event in run:
        sides[part] += event.sensitivity_squared / (event.honest_variance - 4)
    return max(sides)


@given(history=st.lists(runs, min_size=1, max_size=3), group=st.integers(1, 6))
def test_a_history_costs_the_dearer_side_of_each_run(
    history: list[list[tuple[int, DistributedGaussian]]], group: int
) -> None:
    event = Composed(events=tuple(of(run) for run in history))
    expected = group * math.sqrt(sum(mu_squared(run) for run in history))
    assert guarantee(event, delta=DELTA, group=group).mu == pytest.approx(expected, rel=1e-9)


@given(run=runs, more=placed)
def test_what_is_added_never_makes_a_run_cheaper(
    run: list[tuple[int, DistributedGaussian]], more: tuple[int, DistributedGaussian]
) -> None:
    before, after = of(run), of([*run, more])
    assert guarantee(after, delta=DELTA).epsilon >= guarantee(before, delta=DELTA).epsilon
    assert covers(after, before)
    assert (renyi_curve(after) >= renyi_curve(before)).all()
    alone = [of([one for one in run if one[0] == part]) for part in (0, 1)]
    assert all(covers(before, side) for side in alone)
    assert (
        guarantee(before, delta=DELTA).epsilon
        <= guarantee(Composed(events=tuple(alone)), delta=DELTA).epsilon
    )


@given(run=runs)
def test_evidence_reads_as_it_was_written(run: list[tuple[int, DistributedGaussian]]) -> None:
    fields = event_fields(of(run))
    again = event_of(json.loads(json.dumps(fields)))
    assert event_fields(again) == fields
    assert guarantee(again, delta=DELTA) == guarantee(of(run), delta=DELTA)
    assert covers(again, of(run))
    assert covers(of(run), again)


@given(
    plan=runs,
    asked=st.lists(st.tuples(st.integers(0, 1), sums | st.none()), max_size=12),
    limit=st.floats(0.05, 8.0),
)
def test_whatever_is_asked_neither_side_exceeds_what_was_reserved(
    plan: list[tuple[int, DistributedGaussian]],
    asked: list[tuple[int, DistributedGaussian | None]],
    limit: float,
) -> None:
    """A server asks for planned and invented sums on whichever side it likes, in whichever order."""
    limits = Limits(epsilon=limit, delta=DELTA, run_epsilon=100.0)
    begun = RunSpending(run="1" * 32, contract="c", began="", reserved=of(plan))
    try:
        states = [Spending().begin(begun, limits)]
    except BudgetExhausted:
        assert guarantee(of(plan), delta=DELTA).epsilon > limit
        return
    answered: list[tuple[int, DistributedGaussian]] = []
    for number, (part, invented) in enumerate(asked, start=1):
        event = invented if invented is not None else plan[number % len(plan)][1]
        charge = Charge(round=number, name="sum", event=on_part(event, part))
        try:
            states.append(states[-1].charge("1" * 32, charge, limits))
        except BudgetExhausted:
            continue
        answered.append((part, event))
    assert mu_squared(answered) <= mu_squared(plan) * (1 + 1e-12)
    for before, after in pairwise(states):
        assert after.guarantee(delta=DELTA).epsilon >= before.guarantee(delta=DELTA).epsilon
    assert states[-1].guarantee(delta=DELTA).epsilon <= limit
