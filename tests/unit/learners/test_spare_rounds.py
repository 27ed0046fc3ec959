"""Rounds that may be asked again are paid for beforehand, each as the dearest sum of the program."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from fedscore.card import PrivacyRecord
from fedscore.contract import Contract, NoiseMode, Recipe
from fedscore.errors import BudgetExhausted
from fedscore.learners.agenda import Agenda
from fedscore.learners.program import Steps
from fedscore.sums import PlannedSum, Side, SumRequest
from privacy.dp.accounting import gaussian_mu
from privacy.dp.discrete_lemma import gaussian_bound
from privacy.dp.events import Composed, DistributedGaussian, NonPrivate


@pytest.fixture(scope="session")
def tiny_contract(tiny_contract: Contract) -> Contract:
    return tiny_contract.with_recipe(Recipe.PLAIN)


RUN = "ab" * 16


def agenda_of(contract: Contract, spare_rounds: int, **terms: object) -> Agenda:
    return Agenda(contract.with_privacy(spare_rounds=spare_rounds, **terms), run=RUN)


def record_of(agenda: Agenda) -> PrivacyRecord:
    return agenda._privacy_record()


def closed_form(record: PrivacyRecord) -> float:
    """Balle and Wang 2018, theorem 8, from the card's events; the lattice takes 4 steps² of each variance."""
    mu = math.sqrt(
        sum(
            int(event["sensitivity_squared"])
            / (int(event["share_variance"]) * int(event["honest_shares"]) - 4)
            for event in record.events
        )
    )

    def excess(epsilon: float) -> float:
        spent = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        return float(spent - record.delta)

    return float(brentq(excess, 0.0, 200.0, xtol=1e-12))


def variance_in_units(request: SumRequest) -> Fraction:
    return Fraction(request.share_variance * request.honest_shares, request.scale**2)


def mu_squared(request: SumRequest) -> Fraction:
    event = request.event
    assert isinstance(event, DistributedGaussian)
    return gaussian_bound(event).mu_squared


# Scale and variance of each share, three parties of whom one may collude, epsilon 1, delta 1e-5.
WITHOUT_SPARES = {
    NoiseMode.SHARED: [(2, 374), (5115, 18434064422)]
    + [(9967, 18434545878)] * 4
    + [(10506, 18434052898)] * 3,
    NoiseMode.LOCAL: [(1, 190), (5115, 36868128843)] + [(9967, 36869091756)] * 4 + [(10506, 36868105795)] * 3,
}


@pytest.mark.parametrize("noise", WITHOUT_SPARES)
def test_without_spare_rounds_no_sum_pays_for_any(tiny_contract: Contract, noise: NoiseMode) -> None:
    agenda = agenda_of(tiny_contract, 0, noise=noise)
    told = [(request.scale, request.share_variance) for request in agenda.requests]
    assert told == WITHOUT_SPARES[noise]
    assert Agenda(tiny_contract.with_privacy(noise=noise), run=RUN).requests == agenda.requests
    assert agenda.spares == ()
    assert agenda.spare_factors == {Side.TRAINING: Fraction(1)}
    assert (agenda.rounds, len(agenda.spares)) == (9, 0)
    assert len(record_of(agenda).events) == 9


@pytest.mark.parametrize(("spare_rounds", "factor"), [(1, 1.3), (2, 1.6), (10, 4.0)])
@pytest.mark.parametrize("noise", [NoiseMode.SHARED, NoiseMode.LOCAL])
def test_the_noise_of_every_sum_grows_by_the_stated_factor(
    tiny_contract: Contract, noise: NoiseMode, spare_rounds: int, factor: float
) -> None:
    # The dearest of the nine sums, the histogram, has three tenths of the program's mu².
    before = agenda_of(tiny_contract, 0, noise=noise)
    after = agenda_of(tiny_contract, spare_rounds, noise=noise)
    assert float(after.spare_factors[Side.TRAINING]) == pytest.approx(factor)
    for one, other in zip(before.requests, after.requests, strict=True):
        # A coarse lattice rounds the share up, by one per cent at most.
        assert variance_in_units(other) / variance_in_units(one) == pytest.approx(factor, rel=0.02)
        assert mu_squared(other) / mu_squared(one) == pytest.approx(1 / factor, rel=0.02)
    assert (after.rounds, len(after.spares)) == (9, spare_rounds)


@pytest.mark.parametrize("spare_rounds", [0, 1, 2, 7])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("noise", [NoiseMode.SHARED, NoiseMode.LOCAL])
def test_the_epsilon_of_the_cards_events_is_the_contracts(
    tiny_contract: Contract, noise: NoiseMode, epsilon: float, spare_rounds: int
) -> None:
    agenda = agenda_of(tiny_contract, spare_rounds, epsilon=epsilon, noise=noise)
    record = record_of(agenda)
    assert len(record.events) == 9 + spare_rounds
    assert closed_form(record) == pytest.approx(agenda.record.epsilon, rel=1e-5)
    assert 0.97 * epsilon <= agenda.record.epsilon <= epsilon
    assert record.epsilon == agenda.record.epsilon


def test_the_cards_events_are_those_that_are_priced(tiny_contract: Contract) -> None:
    agenda = agenda_of(tiny_contract, 2)
    assert isinstance(agenda.event, Composed)
    named = record_of(agenda).events
    assert [event["sum"] for event in named[-3:]] == ["residuals 3", "spare 1", "spare 2"]
    for told, event in zip(named, agenda.event.events, strict=True):
        assert isinstance(event, DistributedGaussian)
        assert told["sensitivity_squared"] == event.sensitivity_squared
        assert told["share_variance"] == event.share_variance
        assert told["honest_shares"] == event.honest_shares
        assert told["shares"] == event.total_shares
        assert told["dimension"] == event.dimension


@pytest.mark.parametrize("repeated", list(itertools.combinations_with_replacement(range(9), 2)))
def test_whatever_is_repeated_it_was_paid_for(tiny_contract: Contract, repeated: tuple[int, ...]) -> None:
    agenda = agenda_of(tiny_contract, 2)
    paid = agenda.record.mu**2
    released = sum(map(mu_squared, (*agenda.requests, *(agenda.requests[place] for place in repeated))))
    assert released <= paid
    if set(repeated) == {0}:
        assert released == pytest.approx(paid)


def test_it_matters_what_is_repeated_and_not_only_how_many_rounds_there_are(tiny_contract: Contract) -> None:
    """Eleven rounds were paid for, but not eleven rounds of the dearest sum."""
    agenda = agenda_of(tiny_contract, 2)
    assert (agenda.rounds + len(agenda.spares)) * mu_squared(agenda.requests[0]) > 2 * agenda.record.mu**2


@dataclass(frozen=True)
class Pair:
    """A program of two sums; it is priced, not run."""

    plan: tuple[PlannedSum, ...]

    def steps(self) -> Steps:
        raise NotImplementedError


def pair(first: Fraction) -> Pair:
    def planned(name: str, share: Fraction, *, integral: bool, longest: int) -> PlannedSum:
        return PlannedSum(
            name=name,
            share=share,
            sensitivity_squared=Fraction(1),
            largest=Fraction(1),
            integral=integral,
            dimension_limit=longest,
        )

    return Pair(
        plan=(
            planned("counts", first, integral=True, longest=5),
            planned("gradient", 1 - first, integral=False, longest=700),
        )
    )


def test_the_dearest_sum_is_the_one_with_the_largest_mu_not_the_largest_share(
    tiny_contract: Contract,
) -> None:
    # Counts have the larger share, but their shares of noise are few steps² and rounded up to whole ones.
    program = pair(Fraction(5001, 10000))
    contract = tiny_contract.with_privacy(spare_rounds=1, epsilon=0.5)
    agenda = Agenda(contract, run=RUN, program=program)
    counts, gradient = agenda.requests
    assert mu_squared(gradient) > mu_squared(counts)
    [spare] = agenda.spares
    assert mu_squared(spare) == mu_squared(gradient)
    assert (spare.scale, spare.share_variance) == (gradient.scale, gradient.share_variance)
    assert agenda.spare_factors == {Side.TRAINING: Fraction(15001, 10000)}


def test_a_spare_round_is_as_long_as_the_longest_sum(tiny_contract: Contract) -> None:
    agenda = Agenda(tiny_contract.with_privacy(spare_rounds=1), run=RUN, program=pair(Fraction(3, 4)))
    [spare] = agenda.spares
    assert mu_squared(spare) == mu_squared(agenda.requests[0])
    assert spare.dimension == agenda.requests[1].dimension == 700
    slacks = [gaussian_bound(event).slack for event in events_of(agenda)]
    assert slacks[2] >= max(slacks[:2])


def events_of(agenda: Agenda) -> list[DistributedGaussian]:
    assert isinstance(agenda.event, Composed)
    return [event for event in agenda.event.events if isinstance(event, DistributedGaussian)]


def test_persons_pay_for_spare_rounds_as_well(tiny_contract: Contract) -> None:
    rows = {**tiny_contract.rows.model_dump(), "organisations_per_person": 3}
    several = Contract.model_validate({**tiny_contract.model_dump(), "rows": rows})
    agenda = agenda_of(several, 2)
    assert agenda.person.mu == pytest.approx(
        3 * math.sqrt(sum(map(mu_squared, (*agenda.requests, *agenda.spares))))
    )


def test_without_noise_spare_rounds_promise_nothing_and_cost_nothing(tiny_contract: Contract) -> None:
    agenda = agenda_of(tiny_contract, 2, noise=NoiseMode.NONE)
    assert isinstance(agenda.event, Composed)
    assert agenda.event.events == (NonPrivate(),) * 11
    assert agenda.requests == agenda_of(tiny_contract, 0, noise=NoiseMode.NONE).requests
    assert record_of(agenda).epsilon is None
    assert agenda.rounds + len(agenda.spares) == 11


def test_spare_rounds_that_were_not_paid_for_are_refused(
    tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The price is checked after the fact: a factor left out would be found before anything is sent."""
    contract = tiny_contract.with_privacy(spare_rounds=2)

    def forgetful(epsilon: float, delta: float) -> float:
        return gaussian_mu(epsilon, delta) * math.sqrt(1.6)

    monkeypatch.setattr("fedscore.learners.pricing.gaussian_mu", forgetful)
    with pytest.raises(BudgetExhausted, match="nothing was sent"):
        Agenda(contract, run=RUN)


def test_spare_rounds_are_part_of_the_contracts_hash(tiny_contract: Contract) -> None:
    assert tiny_contract.with_privacy(spare_rounds=1).hash() != tiny_contract.hash()
