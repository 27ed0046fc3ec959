"""Training and test rows have a budget each: what is printed, against a closed form per side."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode, Split
from fedscore.errors import AccountingError
from fedscore.learners.agenda import Agenda
from fedscore.learners.pricing import price_program
from fedscore.learners.program import Steps
from fedscore.learners.scorecard.program import Scorecard
from fedscore.sums import PlannedSum, Side
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed, Disjoint, aligned, leaves
from simulations.randomness import SeededRandomness
from tests.evaluations import open_all, product_contract, product_rows

RUN = "ab" * 16
TEST_SUMS = ["score distribution", "outcomes by score", "groups"]


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


def epsilon_of(mu: float, delta: float) -> float:
    """Balle and Wang 2018, theorem 8."""

    def excess(epsilon: float) -> float:
        tail = math.exp(epsilon + norm.logcdf(-epsilon / mu - mu / 2))
        return float(norm.cdf(-epsilon / mu + mu / 2)) - tail - delta

    return float(brentq(excess, 0, 500, xtol=1e-13))


def told_mu(events: Sequence[dict[str, int | str]], side: str) -> float:
    """From what the card tells alone, as somebody else would."""
    total = 0.0
    for event in events:
        if event.get("side", "training") == side:
            variance = int(event["honest_shares"]) * int(event["share_variance"]) - 4
            total += int(event["sensitivity_squared"]) / variance
    return math.sqrt(total)


def test_the_sums_of_each_side_share_a_budget_of_their_own(contract: Contract) -> None:
    plan = Scorecard(contract).plan
    assert [one.name for one in plan if one.side is Side.TEST] == TEST_SUMS
    for side in Side:
        assert sum((one.share for one in plan if one.side is side), Fraction()) == 1
    # No sum over training rows follows one over test rows: no training depends on what was tested.
    assert [one.side for one in plan] == sorted((one.side for one in plan), key=lambda side: side.part)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("spare_rounds", [0, 2])
def test_the_card_tells_what_each_side_costs(contract: Contract, epsilon: float, spare_rounds: int) -> None:
    contract = contract.with_privacy(epsilon=epsilon, spare_rounds=spare_rounds)
    parts = [product_rows(contract, 300, seed) for seed in range(2)]
    _, card = open_all(contract, parts[:1], parts[1:], SeededRandomness(3))
    privacy = card.privacy
    assert privacy is not None
    assert privacy.epsilon is not None
    delta = contract.privacy.delta
    sides = {side.value: epsilon_of(told_mu(privacy.events, side.value), delta) for side in Side}
    assert privacy.epsilon == pytest.approx(max(sides.values()), rel=1e-5)
    assert privacy.epsilon <= epsilon
    assert all(one == pytest.approx(epsilon, rel=0.03) for one in sides.values()), sides
    assert [event["sum"] for event in privacy.events if "side" in event] == [
        *TEST_SUMS,
        *(f"spare {number}" for number in range(1, spare_rounds + 1)),
    ]


def test_without_an_evaluation_nothing_is_divided(contract: Contract) -> None:
    alone = contract.model_copy(update={"evaluation": None, "groups": ()})
    assert isinstance(Agenda(alone, run=RUN).event, Composed)
    assert isinstance(Agenda(contract, run=RUN).event, Disjoint)


def test_an_evaluation_takes_nothing_from_the_training(contract: Contract) -> None:
    """The same noise in every sum over training rows."""
    alone = contract.model_copy(update={"evaluation": None, "groups": ()})
    with_it = Agenda(contract, run=RUN).requests[: len(Agenda(alone, run=RUN).requests)]
    assert with_it == Agenda(alone, run=RUN).requests


def test_a_person_on_one_side_pays_for_the_dearer_one(contract: Contract) -> None:
    several = with_caps(contract, contract.split)
    agenda = Agenda(several, run=RUN)
    assert agenda.person.mu == pytest.approx(6 * agenda.record.mu, rel=1e-9)


def test_a_person_on_both_sides_pays_for_both(contract: Contract) -> None:
    """Where the date divides rows, early and late rows of a person are under the caps of each side."""
    by_date = Split(test_share=0.0, column="day", test_from=dt.date(2026, 1, 1), key="k")
    assert not by_date.separates_persons
    agenda = Agenda(with_caps(contract, by_date), run=RUN)
    mus = [
        math.sqrt(
            sum(
                one.sensitivity_squared / (one.honest_shares * one.share_variance - 4)
                for one in agenda.requests
                if one.side is side
            )
        )
        for side in Side
    ]
    assert agenda.record.mu == pytest.approx(max(mus), rel=1e-9)
    assert agenda.person.mu == pytest.approx(6 * math.hypot(*mus), rel=1e-9)
    assert agenda.person.epsilon == pytest.approx(
        epsilon_of(6 * math.hypot(*mus), agenda.contract.privacy.delta), rel=1e-5
    )


def with_caps(contract: Contract, split: Split) -> Contract:
    rows = {
        **contract.rows.model_dump(),
        "organisations_per_person": 3,
        "rows_per_person": 2,
        "person": "person_id",
    }
    return Contract.model_validate({**contract.model_dump(), "rows": rows, "split": split})


def test_whichever_sums_are_repeated_was_paid_for_on_their_side(contract: Contract) -> None:
    agenda = Agenda(contract.with_privacy(spare_rounds=2), run=RUN)
    events = [request.event for request in agenda.requests]
    for one in range(len(events)):
        for other in range(one, len(events)):
            spent = aligned([*events, events[one], events[other]])
            assert guarantee(spent, delta=1e-5).epsilon <= agenda.record.epsilon
            assert covers(agenda.event, spent)
    dearest = max(range(len(events)), key=lambda place: guarantee(events[place], delta=1e-5).mu)
    assert not covers(agenda.event, aligned([*events, *(events[dearest],) * 3]))


def test_the_side_is_in_the_digest(contract: Contract) -> None:
    request = Agenda(contract, run=RUN).requests[-1]
    assert request.side is Side.TEST
    moved = dataclasses.replace(request, side=Side.TRAINING)
    place = {"contract_hash": "0" * 64, "run": RUN, "round_number": 1, "step": 0, "head": "", "openings": ""}
    assert moved.digest(**place) != request.digest(**place)  # type: ignore[arg-type]  # a place's parts


def test_the_side_decides_what_a_request_is_charged_to(contract: Contract) -> None:
    agenda = Agenda(contract, run=RUN)
    for request in agenda.requests:
        event = request.event
        assert isinstance(event, Disjoint) == (request.side is Side.TEST)
        if isinstance(event, Disjoint):
            assert event.parts[0] == Composed(events=())
        assert len(list(leaves(event))) == 1


@dataclasses.dataclass(frozen=True)
class Lopsided:
    """A program whose test side was given a part of a budget only."""

    plan: tuple[PlannedSum, ...]

    def steps(self) -> Steps:
        raise NotImplementedError


def test_a_side_whose_shares_do_not_add_up_is_a_defect(contract: Contract) -> None:
    plan = Scorecard(contract).plan
    with pytest.raises(AccountingError, match="the shares of the test sums do not add to one"):
        Agenda(contract, run=RUN, program=Lopsided(plan[:-1]))


def test_without_noise_there_is_nothing_to_promise(contract: Contract) -> None:
    agenda = Agenda(contract.with_privacy(noise=NoiseMode.NONE), run=RUN)
    assert math.isinf(agenda.record.epsilon)


def test_each_side_has_the_spares_of_its_own_dearest_sum(contract: Contract) -> None:
    contract = contract.with_privacy(spare_rounds=1)
    plan = Scorecard(contract).plan
    priced = price_program(plan, contract)
    assert [spare.side for spare in priced.spares] == [Side.TRAINING, Side.TEST]
    for spare in priced.spares:
        own = [request for request in priced.requests if request.side is spare.side]
        assert guarantee(spare.event, delta=1e-5).mu == max(
            guarantee(request.event, delta=1e-5).mu for request in own
        )
        assert spare.dimension == max(request.dimension for request in own)


def test_a_card_without_an_evaluation_has_no_metrics(contract: Contract) -> None:
    alone = contract.model_copy(update={"evaluation": None, "groups": (), "grades": None})
    _, card = open_all(alone, [product_rows(alone, 300, 1)], [], SeededRandomness(3))
    assert isinstance(card, Card)
    assert (card.evaluation, card.grades, card.bands) == (None, (), None)
