"""A source's budget: what is covered, what is refused, and that nothing is ever given back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from fedscore.errors import AccountingError, BudgetExhausted, LedgerMismatch
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, DistributedGaussian, Event, NonPrivate, PoissonSampledGaussian, leaves
from privacy.ledger import Charge, Limits, RunSpending, Spending, event_fields, event_of

BEGAN = "2026-01-31T23:59:59Z"


def a_sum(share_variance: int = 2000, dimension: int = 10) -> DistributedGaussian:
    return DistributedGaussian(
        sensitivity_squared=16,
        share_variance=share_variance,
        honest_shares=2,
        dimension=dimension,
        total_shares=3,
    )


SUM = a_sum()
PROGRAM = Composed(events=(SUM,) * 3)
DELTA = 1e-5
PRICE = guarantee(PROGRAM, delta=DELTA).epsilon
TWO_RUNS = guarantee(Composed(events=(PROGRAM,) * 2), delta=DELTA).epsilon


def limits(epsilon: float) -> Limits:
    return Limits(epsilon=epsilon, delta=DELTA, run_epsilon=100.0)


def run(number: int, reserved: Event = PROGRAM, contract: str = "c1") -> RunSpending:
    return RunSpending(run=f"{number:032x}", contract=contract, began=BEGAN, reserved=reserved)


def name(number: int) -> str:
    return run(number).run


def charge(number: int, event: Event = SUM) -> Charge:
    return Charge(round=number, name=f"sum {number}", event=event)


def with_a_whole_run(number: int, before: Spending, allowed: Limits) -> Spending:
    after = before.begin(run(number), allowed)
    for one in range(3):
        after = after.charge(name(number), charge(10 * number + one + 1), allowed)
    return after


def test_a_run_reserves_its_whole_price_at_once() -> None:
    spending = Spending().begin(run(1), limits(PRICE))
    assert spending.guarantee(delta=DELTA).epsilon == 0.0
    assert guarantee(spending.committed, delta=DELTA).epsilon == PRICE


def test_a_run_that_costs_a_hair_more_than_is_left_is_refused_and_told_why() -> None:
    with pytest.raises(BudgetExhausted) as told:
        Spending().begin(run(1), limits(PRICE * (1 - 1e-12)))
    said = str(told.value)
    assert f"from epsilon 0.0000 to {PRICE:.4f} at delta 1e-05" in said
    assert "nothing was computed" in said
    assert "raise epsilon in policy.toml" in said


def test_the_third_run_under_a_budget_for_two_is_refused() -> None:
    allowed = limits(TWO_RUNS)
    spending = with_a_whole_run(2, with_a_whole_run(1, Spending(), allowed), allowed)
    with pytest.raises(BudgetExhausted, match="could bring what this source of data has spent from epsilon"):
        spending.begin(run(3), allowed)
    assert spending.guarantee(delta=DELTA).epsilon == TWO_RUNS


@pytest.mark.parametrize("contract", ["c1", "another"])
def test_another_contract_refills_nothing(contract: str) -> None:
    allowed = limits(PRICE)
    spending = with_a_whole_run(1, Spending(), allowed)
    with pytest.raises(BudgetExhausted):
        spending.begin(run(2, contract=contract), allowed)


def test_what_a_run_did_not_use_is_free_once_another_has_begun() -> None:
    allowed = limits(TWO_RUNS)
    spending = Spending().begin(run(1), allowed).charge(name(1), charge(1), allowed)
    spending = spending.begin(run(2), allowed)
    assert guarantee(spending.committed, delta=DELTA).epsilon < TWO_RUNS
    left = Composed(events=(SUM, PROGRAM))
    assert guarantee(spending.committed, delta=DELTA).epsilon == guarantee(left, delta=DELTA).epsilon


def test_a_run_that_is_over_is_charged_no_more() -> None:
    allowed = limits(100.0)
    spending = Spending().begin(run(1), allowed).begin(run(2), allowed)
    for over in (name(1), name(7)):
        with pytest.raises(LedgerMismatch, match="is not the one that began last here: it is over"):
            spending.charge(over, charge(1), allowed)
    with pytest.raises(LedgerMismatch, match="it is over"):
        Spending().charge(name(1), charge(1), allowed)


def test_a_run_begins_once() -> None:
    allowed = limits(100.0)
    spending = Spending().begin(run(1), allowed).begin(run(2), allowed)
    for again in (1, 2):
        with pytest.raises(LedgerMismatch, match="a run begins once"):
            spending.begin(run(again), allowed)


@pytest.mark.parametrize("number", [0, 4, 5])
def test_a_round_is_charged_once_and_after_those_before(number: int) -> None:
    allowed = limits(100.0)
    spending = Spending().begin(run(1), allowed).charge(name(1), charge(5), allowed)
    with pytest.raises(LedgerMismatch, match=rf"round {number} is not after those"):
        spending.charge(name(1), charge(number), allowed)


def test_charges_beyond_the_reservation_are_refused() -> None:
    allowed = limits(100.0)
    spending = with_a_whole_run(1, Spending(), allowed)
    with pytest.raises(BudgetExhausted, match=r"would cost more than run .* reserved when it began"):
        spending.charge(name(1), charge(99), allowed)
    smaller = Spending().begin(run(1), allowed)
    with pytest.raises(BudgetExhausted, match="nothing was computed"):
        smaller.charge(name(1), charge(1, a_sum(share_variance=100)), allowed)


def test_even_the_smallest_charge_beyond_the_reservation_is_refused() -> None:
    allowed = limits(100.0)
    spending = with_a_whole_run(1, Spending(), allowed)
    with pytest.raises(BudgetExhausted):
        spending.charge(name(1), charge(99, a_sum(share_variance=10**12)), allowed)


def test_a_limit_that_is_lowered_in_the_middle_of_a_run_refuses_the_next_charge() -> None:
    spending = Spending().begin(run(1), limits(PRICE)).charge(name(1), charge(1), limits(PRICE))
    lower = limits(PRICE * 0.99)
    with pytest.raises(BudgetExhausted, match=f"its owner allows {lower.epsilon:g} over its life"):
        spending.charge(name(1), charge(2), lower)
    spending.charge(name(1), charge(2), limits(PRICE))


def test_the_delta_of_the_limit_counts() -> None:
    Spending().begin(run(1), limits(PRICE))
    with pytest.raises(BudgetExhausted):
        Spending().begin(run(1), replace(limits(PRICE), delta=DELTA / 10))


def test_what_is_assumed_counts_as_spent() -> None:
    spending = Spending(assumed=(PROGRAM,))
    assert spending.guarantee(delta=DELTA).epsilon == PRICE
    with pytest.raises(BudgetExhausted):
        spending.begin(run(1), limits(PRICE))
    spending.begin(run(1), limits(TWO_RUNS))


def test_nothing_changes_what_was_there_before() -> None:
    allowed = limits(100.0)
    before = Spending().begin(run(1), allowed)
    before.charge(name(1), charge(1), allowed)
    before.begin(run(2), allowed)
    assert before == Spending(runs=(run(1),))


@pytest.mark.parametrize("epsilon", [float("nan"), float("-inf"), 0.0])
def test_a_limit_that_is_none_covers_nothing(epsilon: float) -> None:
    with pytest.raises(BudgetExhausted):
        Spending().begin(run(1), limits(epsilon))


def test_what_has_no_finite_price_cannot_begin() -> None:
    with pytest.raises(BudgetExhausted):
        Spending().begin(run(1, reserved=NonPrivate()), limits(1e300))


def test_a_group_of_records_is_promised_less() -> None:
    spending = with_a_whole_run(1, Spending(), limits(PRICE))
    assert (
        spending.guarantee(delta=DELTA, group=2).epsilon
        == guarantee(PROGRAM, delta=DELTA, group=2).epsilon
        > PRICE
    )


def test_events_are_written_as_whole_numbers_and_read_back() -> None:
    nested = Composed(events=(SUM, Composed(events=(a_sum(30, 1), a_sum(40, 2))), Composed(events=())))
    fields = event_fields(nested)
    assert len(fields) == 3
    assert {type(value) for part in fields for value in part.values()} == {int}
    assert event_of(fields) == Composed(events=(SUM, a_sum(30, 1), a_sum(40, 2)))
    assert guarantee(event_of(fields), delta=DELTA) == guarantee(nested, delta=DELTA)


def test_what_is_unprotected_has_no_place_in_a_ledger() -> None:
    with pytest.raises(LedgerMismatch, match="without noise cannot be charged"):
        event_fields(Composed(events=(SUM, NonPrivate())))


@pytest.mark.parametrize("field", ["sensitivity_squared", "share_variance", "honest_shares", "dimension"])
def test_an_event_that_is_none_is_not_read(field: str) -> None:
    (fields,) = event_fields(SUM)
    with pytest.raises(AccountingError):
        event_of([{**fields, field: 0}])
    with pytest.raises(TypeError):
        event_of([{name: value for name, value in fields.items() if name != field}])


# Sampled sums

STEP = PoissonSampledGaussian(sum=a_sum(share_variance=10**4), one_in=10)
EPOCH = replace(STEP, repetitions=40)
TRAINING = Composed(events=(EPOCH,) * 5)


def test_a_scorecard_and_then_sampled_runs_cost_what_opacus_says_of_the_whole_history() -> None:
    accountants = pytest.importorskip("opacus.accountants", reason="needs the extra `neural`")
    allowed = limits(100.0)
    spending = with_a_whole_run(1, Spending(), allowed)
    for number in (2, 3):
        spending = spending.begin(run(number, TRAINING), allowed)
        for one in range(5):
            spending = spending.charge(name(number), charge(10 * number + one + 1, EPOCH), allowed)
    oracle = accountants.RDPAccountant()
    for _ in range(3):
        oracle.step(noise_multiplier=math.sqrt((SUM.honest_variance - 4) / 16), sample_rate=1.0)
    for _ in range(2 * 5 * 40):
        oracle.step(noise_multiplier=math.sqrt((EPOCH.sum.honest_variance - 4) / 16), sample_rate=0.1)
    theirs = oracle.get_epsilon(DELTA)
    ours = spending.guarantee(delta=DELTA).epsilon
    assert theirs * (1 - 1e-6) < ours < theirs * 1.01
    # Each run by itself is cheaper, and a new run never begins at nothing.
    assert guarantee(TRAINING, delta=DELTA).epsilon < ours
    assert ours == guarantee(spending.committed, delta=DELTA).epsilon


def test_a_sampled_run_over_the_budget_is_refused_when_it_begins() -> None:
    spent = Composed(events=(PROGRAM, TRAINING))
    epsilon = guarantee(spent, delta=DELTA).epsilon
    for allowed in (limits(epsilon), limits(epsilon * (1 - 1e-12))):
        spending = with_a_whole_run(1, Spending(), limits(100.0))
        if allowed.epsilon == epsilon:
            spending = spending.begin(run(2, TRAINING), allowed)
            for one in range(5):
                spending = spending.charge(name(2), charge(20 + one, EPOCH), allowed)
            with pytest.raises(BudgetExhausted):
                spending.begin(run(3, STEP), allowed)
        else:
            with pytest.raises(BudgetExhausted, match=f"to {epsilon:.4f} at delta 1e-05"):
                spending.begin(run(2, TRAINING), allowed)


def test_a_sampled_reservation_is_charged_to_its_last_step_and_no_further() -> None:
    allowed = limits(100.0)
    spending = Spending().begin(run(1, EPOCH), allowed)
    for number in range(1, 41):
        spending = spending.charge(name(1), charge(number, STEP), allowed)
    least = PoissonSampledGaussian(sum=a_sum(share_variance=10**12), one_in=10**6)
    for more in (STEP, SUM, least, a_sum(share_variance=10**12)):
        with pytest.raises(BudgetExhausted, match="would cost more than run"):
            spending.charge(name(1), charge(41, more), allowed)


def test_a_reservation_for_samples_does_not_pay_for_the_whole_batch() -> None:
    allowed = limits(100.0)
    spending = Spending().begin(run(1, EPOCH), allowed)
    with pytest.raises(BudgetExhausted):
        spending.charge(name(1), charge(1, Composed(events=(EPOCH.sum,) * 40)), allowed)
    with pytest.raises(BudgetExhausted):
        spending.charge(name(1), charge(1, replace(EPOCH, one_in=9)), allowed)
    # Nor the other way round: full-batch sums are reserved at their exact price, which is a lower one.
    dear = Spending().begin(run(1, Composed(events=(EPOCH.sum,) * 40)), allowed)
    with pytest.raises(BudgetExhausted):
        dear.charge(name(1), charge(1, STEP), allowed)


def test_a_full_batch_sums_line_is_what_it_always_was() -> None:
    line = json.dumps(event_fields(SUM))
    assert line == (
        '[{"dimension": 10, "honest_shares": 2, "sensitivity_squared": 16, "share_variance": 2000, '
        '"total_shares": 3}]'
    )
    assert event_of(json.loads(line)) == Composed(events=(SUM,))


def test_a_sampled_sum_is_written_with_its_sampling_and_read_back() -> None:
    nested = Composed(events=(SUM, Composed(events=(EPOCH, STEP))))
    fields = event_fields(nested)
    assert fields[1] == {**event_fields(EPOCH.sum)[0], "one_in": 10, "repetitions": 40}
    assert fields[2]["repetitions"] == 1
    assert all(list(part) == sorted(part) for part in fields)
    assert {type(value) for part in fields for value in part.values()} == {int}
    assert event_of(json.loads(json.dumps(fields, sort_keys=True))) == Composed(events=(SUM, EPOCH, STEP))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"one_in": 1}, AccountingError),
        ({"one_in": -10}, AccountingError),
        ({"one_in": 2.5}, AccountingError),
        ({"repetitions": 0}, AccountingError),
        ({"repetitions": "40"}, AccountingError),
        ({"share_variance": 0}, AccountingError),
        ({"later": 1}, TypeError),
    ],
)
def test_a_sampled_event_that_is_none_is_not_read(change: dict[str, int], error: type[Exception]) -> None:
    (fields,) = event_fields(EPOCH)
    with pytest.raises(error):
        event_of([fields | change])


@pytest.mark.parametrize("field", ["one_in", "repetitions", "total_shares"])
def test_a_sampled_event_with_a_field_less_is_not_read(field: str) -> None:
    """Above all not as a full-batch one, or as one repetition."""
    (fields,) = event_fields(EPOCH)
    with pytest.raises((KeyError, TypeError)):
        event_of([{name: value for name, value in fields.items() if name != field}])


def test_equal_sums_in_a_row_are_one_entry_and_come_back_as_they_were() -> None:
    """A program of ten thousand local steps would not fit into a line of evidence otherwise."""
    total = DistributedGaussian(
        sensitivity_squared=10_000, share_variance=4_000_000, honest_shares=1, total_shares=1, dimension=417
    )
    sampled = PoissonSampledGaussian(sum=total, one_in=20, repetitions=4)
    event = Composed(events=(total, *(sampled,) * 3, *(total,) * 10_000))
    fields = event_fields(event)
    assert [entry.get("times", 1) for entry in fields] == [1, 3, 10_000]
    assert list(leaves(event_of(fields))) == list(leaves(event))
    assert all(list(entry) == sorted(entry) for entry in fields)


@pytest.mark.parametrize("times", [1, 0, -3, 10**7, 2.5, "2", None])
def test_a_number_of_equal_sums_that_cannot_be_is_refused(
    times: Any,  # noqa: ANN401 - whatever a file may hold
) -> None:
    entry = {"sensitivity_squared": 1, "share_variance": 100, "honest_shares": 1, "total_shares": 1}
    with pytest.raises((AccountingError, TypeError)):
        event_of([{**entry, "dimension": 1, "times": times}])


def test_a_sampled_run_that_is_over_counts_as_it_was_reserved() -> None:
    """Else its end, which depends on what it opened, would decide which runs are admitted later."""
    total = DistributedGaussian(
        sensitivity_squared=1, share_variance=10_000, honest_shares=1, total_shares=1, dimension=5
    )
    limits = Limits(epsilon=50.0, delta=1e-5, run_epsilon=50.0)
    for event in (total, PoissonSampledGaussian(sum=total, one_in=10)):
        reserved = Composed(events=(event,) * 8)
        first = RunSpending(run="1" * 32, contract="c", began="2026-01-01T00:00:00Z", reserved=reserved)
        spending = Spending().begin(first, limits)
        spending = spending.charge(first.run, Charge(round=1, name="one", event=event), limits)
        assert len(list(leaves(spending.spent))) == 1
        later = replace(first, run="2" * 32)
        over = spending.begin(later, limits)
        assert len(list(leaves(over.spent))) == (1 if event is total else 8)
        assert len(list(leaves(over.committed))) == len(list(leaves(over.spent))) + 8
