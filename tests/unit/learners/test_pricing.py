"""Noise of programs with sampled and local sums: all of the budget is used, and never more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import pytest

from fedscore.contract import Contract, Encoding, NeuralTerms, NoiseMode, Training
from fedscore.learners.agenda import Agenda
from fedscore.learners.pricing import price_program
from fedscore.learners.program import Steps
from fedscore.sums import PlannedSum, SumRequest
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed, NonPrivate, PoissonSampledGaussian, leaves

RUN = "ab" * 16
SHARED, LOCAL = Training.SHARED, Training.LOCAL


@pytest.fixture(scope="module")
def agenda_of(tiny_contract: Contract) -> Callable[..., Agenda]:
    @cache
    def make(
        training: Training = SHARED,
        one_in: int = 1,
        *,
        rounds: int = 20,
        epsilon: float = 1.0,
        spare_rounds: int = 0,
        encoding: Encoding = Encoding.STANDARDISED,
    ) -> Agenda:
        noise = NoiseMode.SHARED if training is SHARED else NoiseMode.LOCAL
        contract = tiny_contract.with_privacy(epsilon=epsilon, noise=noise, spare_rounds=spare_rounds)
        terms = NeuralTerms(hidden=(4,), training=training, one_in=one_in, rounds=rounds, encoding=encoding)
        return Agenda(contract.with_neural(terms), run=RUN)

    return make


def multiplier(request: SumRequest) -> float:
    """Deviation of what the guarantee counts on, in units of one record's bound."""
    part = request.local if request.local is not None else request
    return math.sqrt(part.share_variance * request.honest_shares / part.sensitivity_squared)


WAYS = [(SHARED, 1), (SHARED, 10), (SHARED, 50), (LOCAL, 1), (LOCAL, 10), (LOCAL, 50)]


@pytest.mark.parametrize(("training", "one_in"), WAYS)
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 8.0])
def test_the_budget_is_used_and_never_exceeded(
    agenda_of: Callable[..., Agenda], training: Training, one_in: int, epsilon: float
) -> None:
    agenda = agenda_of(training, one_in, epsilon=epsilon)
    assert 0.95 * epsilon <= agenda.record.epsilon <= epsilon
    assert guarantee(agenda.event, delta=1e-5).epsilon == agenda.record.epsilon


@pytest.mark.parametrize(("training", "one_in"), WAYS)
def test_the_events_are_those_of_the_contract(
    agenda_of: Callable[..., Agenda], training: Training, one_in: int
) -> None:
    parts = list(leaves(agenda_of(training, one_in).event))
    steps = 4 if training is LOCAL else 1
    sampled = [part for part in parts if isinstance(part, PoissonSampledGaussian)]
    if one_in == 1:
        assert not sampled
        assert len(parts) == 1 + 20 * steps
        return
    assert len(parts) == 21
    assert {(part.one_in, part.repetitions) for part in sampled} == {(one_in, steps)}
    assert len(sampled) == 20
    shares = {(part.sum.honest_shares, part.sum.total_shares) for part in sampled}
    assert shares == ({(1, 1)} if training is LOCAL else {(2, 3)})


@pytest.mark.parametrize("training", [SHARED, LOCAL])
def test_the_rarer_a_record_takes_part_the_less_noise_is_needed(
    agenda_of: Callable[..., Agenda], training: Training
) -> None:
    found = [multiplier(agenda_of(training, one_in).requests[1]) for one_in in (1, 10, 50)]
    assert found[0] > 1.5 * found[1]
    assert found[1] > found[2]


def test_what_sampling_gains_is_gained_by_the_sums_that_are_sampled(agenda_of: Callable[..., Agenda]) -> None:
    """The first sum takes all rows: if its noise shrank with the others', it alone would eat the budget."""
    full, sampled = agenda_of(), agenda_of(SHARED, 50)
    alone = [guarantee(agenda.requests[0].event, delta=1e-5).epsilon for agenda in (full, sampled)]
    assert alone[1] <= 2 * alone[0]


def test_more_rounds_ask_for_more_noise_in_each(agenda_of: Callable[..., Agenda]) -> None:
    found = [multiplier(agenda_of(SHARED, 10, rounds=rounds).requests[1]) for rounds in (5, 20)]
    assert found[0] < found[1]


@pytest.mark.parametrize(("training", "one_in"), [(SHARED, 1), (SHARED, 10), (LOCAL, 1), (LOCAL, 10)])
def test_a_repeated_sum_was_paid_for_whichever_it_is(
    agenda_of: Callable[..., Agenda], training: Training, one_in: int
) -> None:
    agenda = agenda_of(training, one_in, rounds=4, spare_rounds=2)
    assert 0.9 <= agenda.record.epsilon <= 1.0
    events = [request.event for request in agenda.requests]
    for one in range(len(events)):
        for other in range(one, len(events)):
            spent = Composed(events=(*events, events[one], events[other]))
            assert guarantee(spent, delta=1e-5).epsilon <= agenda.record.epsilon
            assert covers(agenda.event, spent)
    assert not covers(agenda.event, Composed(events=(*events, *(events[0],) * 3, *(events[1],) * 3)))


def test_spare_rounds_of_another_kind_are_reserved_for_each_kind(agenda_of: Callable[..., Agenda]) -> None:
    agenda = agenda_of(LOCAL, 10, rounds=4, spare_rounds=2)
    assert [spare.name for spare in agenda.spares] == ["spare 1", "spare 1", "spare 2", "spare 2"]
    assert [spare.one_in for spare in agenda.spares] == [1, 10, 1, 10]
    longest = max(request.dimension for request in agenda.requests[1:])
    assert [spare.dimension for spare in agenda.spares] == [2, longest, 2, longest]


@dataclass(frozen=True)
class Mixed:
    """A program of four kinds of sums, two of each; it is priced, not run."""

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        kinds = [(1, 0), (7, 0), (1, 3), (7, 3)]
        return tuple(
            PlannedSum(
                name=f"{place}-{half}",
                share=Fraction(1 + half, 12),
                sensitivity_squared=Fraction(1 + place),
                largest=Fraction(2),
                integral=False,
                dimension_limit=4 + place + half,
                one_in=one_in,
                local_steps=local_steps,
            )
            for place, (one_in, local_steps) in enumerate(kinds)
            for half in (0, 1)
        )

    def steps(self) -> Steps:
        raise NotImplementedError


def test_spare_rounds_of_four_kinds_cover_every_repetition(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_privacy(noise=NoiseMode.LOCAL, spare_rounds=1)
    agenda = Agenda(contract, run=RUN, program=Mixed())
    assert 0.95 <= agenda.record.epsilon <= 1.0
    events = [request.event for request in agenda.requests]
    for repeated in events:
        spent = Composed(events=(*events, repeated))
        assert guarantee(spent, delta=1e-5).epsilon <= agenda.record.epsilon
        assert covers(agenda.event, spent)
    assert len(agenda.spares) == 4


def test_steps_of_a_round_at_home_cost_what_the_round_may_cost(agenda_of: Callable[..., Agenda]) -> None:
    """Without sampling Gaussians compose exactly: four steps of half the precision are one."""
    local, shared = agenda_of(LOCAL, 1), agenda_of(SHARED, 1)
    request = local.requests[1]
    assert request.local is not None
    assert (request.local.steps, request.share_variance, request.sensitivity_squared) == (4, 0, 0)
    assert multiplier(request) == pytest.approx(2 * multiplier(shared.requests[1]), rel=0.01)


def test_without_noise_nothing_is_promised_and_nothing_searched(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    for training in Training:
        terms = NeuralTerms(hidden=(4,), training=training, one_in=10, rounds=3)
        agenda = Agenda(contract.with_neural(terms), run=RUN)
        assert set(leaves(agenda.event)) == {NonPrivate()}
        assert math.isinf(agenda.record.epsilon)


def test_two_parties_price_a_program_alike(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_neural(NeuralTerms(hidden=(4,), one_in=10, rounds=5))
    plan = Agenda(contract, run=RUN)._plan
    assert price_program(plan, contract) == price_program(plan, contract)
    assert price_program(plan, contract).requests == Agenda(contract, run="cd" * 16).requests


def test_names_of_rounds_are_kept_apart(agenda_of: Callable[..., Agenda]) -> None:
    names = [request.name for request in agenda_of(SHARED, 10).requests]
    assert names == ["outcomes", *(f"gradient {number}" for number in range(1, 21))]
    assert agenda_of(LOCAL, 1).requests[1].name == "update 1"


@pytest.mark.parametrize("one_in", [1, 10])
def test_a_person_pays_for_all_their_records(tiny_contract: Contract, one_in: int) -> None:
    rows = {**tiny_contract.rows.model_dump(), "organisations_per_person": 2}
    several = Contract.model_validate({**tiny_contract.model_dump(), "rows": rows})
    agenda = Agenda(several.with_neural(NeuralTerms(hidden=(4,), one_in=one_in, rounds=5)), run=RUN)
    assert 2 * agenda.record.epsilon < agenda.person.epsilon < 6 * agenda.record.epsilon
