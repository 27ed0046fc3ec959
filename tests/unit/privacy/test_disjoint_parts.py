"""Parallel composition: what is done to disjoint parts of the records costs what the dearest part costs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fedscore.errors import AccountingError, BudgetExhausted
from privacy.dp.accounting import covers, guarantee, renyi_epsilon
from privacy.dp.events import (
    Composed,
    Disjoint,
    DistributedGaussian,
    Event,
    NonPrivate,
    PoissonSampledGaussian,
    aligned,
    leaves,
    on_part,
)
from privacy.dp.renyi import renyi_curve
from privacy.ledger import Charge, Limits, RunSpending, Spending, event_fields, event_of

DELTA = 1e-5


def a_sum(share_variance: int = 2000, sensitivity_squared: int = 16) -> DistributedGaussian:
    return DistributedGaussian(
        sensitivity_squared=sensitivity_squared,
        share_variance=share_variance,
        honest_shares=2,
        dimension=10,
        total_shares=3,
    )


ONE, OTHER, LARGE = a_sum(), a_sum(3000), a_sum(500)
SAMPLED = PoissonSampledGaussian(sum=a_sum(10**4), one_in=10, repetitions=40)


def epsilon(event: Event, group: int = 1) -> float:
    return guarantee(event, delta=DELTA, group=group).epsilon


def mu_squared(*sums: DistributedGaussian) -> float:
    return sum(one.sensitivity_squared / (one.honest_variance - 4) for one in sums)


# Events


def test_training_rows_are_not_set_apart() -> None:
    assert on_part(ONE, 0) is ONE


def test_an_event_on_a_part_leaves_the_others_alone() -> None:
    assert on_part(ONE, 1) == Disjoint(parts=(Composed(events=()), ONE))
    assert on_part(ONE, 2) == Disjoint(parts=(Composed(events=()), Composed(events=()), ONE))


@pytest.mark.parametrize("parts", [(), (ONE,), [ONE, OTHER], (ONE, "sum"), None])
def test_parts_must_be_two_events_or_more(parts: Any) -> None:  # noqa: ANN401 - wrong types are the point
    with pytest.raises(AccountingError, match="tuple of two events or more"):
        Disjoint(parts=parts)


def test_alignment_composes_part_by_part() -> None:
    event = aligned([ONE, on_part(OTHER, 1), LARGE, on_part(ONE, 1)])
    assert isinstance(event, Disjoint)
    assert [list(leaves(part)) for part in event.parts] == [[ONE, LARGE], [OTHER, ONE]]


def test_alignment_of_undivided_events_is_their_composition() -> None:
    assert aligned([ONE, OTHER]) == Composed(events=(ONE, OTHER))
    assert aligned([]) == Composed(events=())


def test_what_is_aligned_can_be_aligned_again() -> None:
    before = aligned([ONE, on_part(OTHER, 1)])
    event = aligned([before, on_part(LARGE, 1)])
    assert epsilon(event) == epsilon(Composed(events=(OTHER, LARGE)))


@pytest.mark.parametrize(
    "within",
    [
        Composed(events=(on_part(LARGE, 1),)),
        Composed(events=(ONE, Composed(events=(on_part(LARGE, 1),)))),
        Disjoint(parts=(ONE, on_part(LARGE, 1))),
    ],
)
def test_parts_within_an_event_are_not_aligned(within: Event) -> None:
    """Laid into the first part they would be priced beside the second, and not together with it."""
    with pytest.raises(AccountingError, match="disjoint parts within an event cannot be aligned"):
        aligned([within, on_part(OTHER, 1)])


def test_leaves_takes_parts_apart() -> None:
    assert list(leaves(Disjoint(parts=(Composed(events=(ONE, OTHER)), LARGE)))) == [ONE, OTHER, LARGE]


# Prices


@pytest.mark.parametrize("group", [1, 2, 6])
def test_the_dearest_part_is_the_price(group: int) -> None:
    event = Disjoint(parts=(Composed(events=(ONE, OTHER)), LARGE))
    assert mu_squared(LARGE) > mu_squared(ONE, OTHER)
    assert epsilon(event, group) == pytest.approx(epsilon(LARGE, group), rel=1e-12)
    assert guarantee(event, delta=DELTA).mu == pytest.approx(math.sqrt(mu_squared(LARGE)), rel=1e-12)


def test_the_order_of_parts_does_not_matter() -> None:
    assert epsilon(Disjoint(parts=(ONE, LARGE))) == epsilon(Disjoint(parts=(LARGE, ONE)))


def test_several_runs_add_the_dearest_part_of_each() -> None:
    """Another contract may divide otherwise: a record may be in the dearest part of each run."""
    one, other = Disjoint(parts=(ONE, LARGE)), Disjoint(parts=(LARGE, OTHER))
    both = Composed(events=(one, other))
    assert guarantee(both, delta=DELTA).mu == pytest.approx(math.sqrt(2 * mu_squared(LARGE)), rel=1e-12)
    assert epsilon(both) > epsilon(aligned([one, other]))


@pytest.mark.parametrize("in_first", range(7))
def test_a_group_that_is_spread_over_parts_costs_no_more_than_in_the_dearest(in_first: int) -> None:
    parts, group = (ONE, LARGE), 6
    counts = (in_first, group - in_first)
    spread = math.sqrt(sum(count**2 * mu_squared(part) for count, part in zip(counts, parts, strict=True)))
    assert spread <= guarantee(Disjoint(parts=parts), delta=DELTA, group=group).mu * (1 + 1e-12)


def test_lattice_and_redraws_of_all_parts_are_charged() -> None:
    slack = guarantee(Disjoint(parts=(ONE, LARGE)), delta=DELTA).slack_lambda
    assert slack == guarantee(Composed(events=(ONE, LARGE)), delta=DELTA).slack_lambda > 0


def test_an_unprotected_part_leaves_nothing_promised() -> None:
    event = Disjoint(parts=(ONE, NonPrivate()))
    assert math.isinf(epsilon(event))
    assert np.isinf(renyi_curve(event)).all()
    assert not covers(Composed(events=(LARGE,) * 9), event)
    assert not covers(event, ONE)


def test_a_curve_of_parts_is_the_larger_one_at_every_order() -> None:
    full = a_sum(20_000)
    event = Disjoint(parts=(SAMPLED, full))
    curves = [renyi_curve(part) for part in event.parts]
    assert (renyi_curve(event) == np.maximum(*curves)).all()
    assert (curves[0] > curves[1]).any()
    assert (curves[1] > curves[0]).any()
    assert epsilon(event) >= max(epsilon(SAMPLED), epsilon(full))
    assert (renyi_curve(Composed(events=(ONE, event))) >= renyi_curve(event)).all()


def test_the_second_opinion_counts_all_parts() -> None:
    divided, together = Disjoint(parts=(ONE, LARGE)), Composed(events=(ONE, LARGE))
    assert renyi_epsilon(divided, DELTA) == renyi_epsilon(together, DELTA) > epsilon(divided)


# Ledger

RESERVED = aligned([ONE, OTHER, on_part(ONE, 1), on_part(OTHER, 1)])
PLENTY = Limits(epsilon=100.0, delta=DELTA, run_epsilon=100.0)


def run(number: int = 1, reserved: Event = RESERVED) -> RunSpending:
    return RunSpending(run=f"{number:032x}", contract="c", began="2026-01-31T23:59:59Z", reserved=reserved)


def charged(spending: Spending, *events: Event) -> Spending:
    for event in events:
        assert spending.open_run is not None
        charge = Charge(round=len(spending.open_run.charges) + 1, name="sum", event=event)
        spending = spending.charge(spending.open_run.run, charge, PLENTY)
    return spending


WHOLE = (ONE, OTHER, on_part(ONE, 1), on_part(OTHER, 1))


def test_a_run_with_an_evaluation_costs_the_larger_side_and_not_both() -> None:
    spending = charged(Spending().begin(run(), PLENTY), *WHOLE)
    assert spending.guarantee(delta=DELTA).epsilon == epsilon(Composed(events=(ONE, OTHER)))
    assert epsilon(Composed(events=(ONE, OTHER) * 2)) > spending.guarantee(delta=DELTA).epsilon


def test_several_runs_with_evaluations_add() -> None:
    spending = Spending()
    for number in (1, 2, 3):
        spending = charged(spending.begin(run(number), PLENTY), *WHOLE)
    assert spending.guarantee(delta=DELTA).epsilon == epsilon(Composed(events=(ONE, OTHER) * 3))


@pytest.mark.parametrize("more", [ONE, on_part(ONE, 1)])
def test_neither_side_is_charged_beyond_the_price(more: Event) -> None:
    spending = charged(Spending().begin(run(), PLENTY), *WHOLE)
    with pytest.raises(BudgetExhausted, match="would cost more than run"):
        charged(spending, more)


def test_a_training_sum_on_the_test_side_is_charged_there() -> None:
    """Moved over, it saves nothing: that side's budget is spent all the sooner."""
    spending = charged(Spending().begin(run(), PLENTY), *WHOLE[2:])
    for moved in (on_part(ONE, 1), on_part(a_sum(10**9), 1)):
        with pytest.raises(BudgetExhausted, match="would cost more than run"):
            charged(spending, moved)


def test_parts_are_written_and_read_back() -> None:
    fields = event_fields(RESERVED)
    assert [entry.get("part") for entry in fields] == [None, None, 1, 1]
    assert all(list(entry) == sorted(entry) for entry in fields)
    assert {type(value) for entry in fields for value in entry.values()} == {int}
    read = event_of(json.loads(json.dumps(fields)))
    assert isinstance(read, Disjoint)
    assert [list(leaves(part)) for part in read.parts] == [[ONE, OTHER], [ONE, OTHER]]
    assert guarantee(read, delta=DELTA) == guarantee(RESERVED, delta=DELTA)
    assert event_fields(read) == fields


def test_equal_sums_of_different_parts_are_entries_of_their_own() -> None:
    fields = event_fields(aligned([*(ONE,) * 3, *(on_part(ONE, 1),) * 2, on_part(SAMPLED, 1)]))
    assert [(entry.get("times"), entry.get("part"), entry.get("one_in")) for entry in fields] == [
        (3, None, None),
        (2, 1, None),
        (None, 1, 10),
    ]
    assert epsilon(event_of(fields)) == epsilon(
        aligned([*(ONE,) * 3, *(on_part(a, 1) for a in (ONE, ONE, SAMPLED))])
    )


@pytest.mark.parametrize("part", [0, -1, 2, 10**9, 1.5, "1", None])
def test_a_part_that_cannot_be_is_not_read(part: Any) -> None:  # noqa: ANN401 - whatever a file may hold
    (fields,) = event_fields(ONE)
    with pytest.raises((AccountingError, TypeError)):
        event_of([{**fields, "part": part}])


def test_parts_within_a_composition_are_written_as_undivided_which_is_dearer() -> None:
    nested = Composed(events=(ONE, on_part(LARGE, 1)))
    assert all("part" not in entry for entry in event_fields(nested))
    assert epsilon(event_of(event_fields(nested))) >= epsilon(nested)


def test_a_run_that_is_over_counts_its_larger_side() -> None:
    spending = charged(Spending().begin(run(), PLENTY), ONE, OTHER, on_part(ONE, 1))
    spending = spending.begin(run(2, Composed(events=(LARGE,))), PLENTY)
    assert spending.guarantee(delta=DELTA).epsilon == epsilon(Composed(events=(ONE, OTHER)))
    assert guarantee(spending.committed, delta=DELTA).epsilon == epsilon(Composed(events=(ONE, OTHER, LARGE)))


def test_a_limit_for_one_side_pays_for_both() -> None:
    exact = replace(PLENTY, epsilon=epsilon(Composed(events=(ONE, OTHER))))
    Spending().begin(run(), exact)
    with pytest.raises(BudgetExhausted):
        Spending().begin(run(), replace(exact, epsilon=exact.epsilon * (1 - 1e-12)))
