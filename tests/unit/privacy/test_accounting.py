"""Prices against closed forms, two other accountants, and each other."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from dp_accounting import dp_event, pld
from scipy import optimize, stats

from fedscore.errors import AccountingError
from privacy.dp.accounting import (
    covers,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    guarantee,
    renyi_epsilon,
    variance_for_mu,
)
from privacy.dp.discrete_lemma import gaussian_bound
from privacy.dp.events import Composed, DistributedGaussian, Event, NonPrivate, PoissonSampledGaussian
from privacy.dp.renyi import epsilon_of_curve, renyi_curve

DELTA = 1e-5


def _sum(
    sensitivity_squared: int, variance: int, *, honest: int = 18, dimension: int = 1000
) -> DistributedGaussian:
    return DistributedGaussian(
        sensitivity_squared=sensitivity_squared,
        share_variance=variance,
        honest_shares=honest,
        dimension=dimension,
        total_shares=honest + 2,
    )


PROGRAM = Composed(events=(_sum(2, 300), _sum(10**10, 2**40), _sum(5, 1000, honest=3), _sum(1, 100)))


def _closed_form(event: Composed, delta: float, *, group: int = 1) -> float:
    """Epsilon by the textbook: mu from the events, then the curve solved by another solver."""
    mu_squared = 0.0
    for part in event.events:
        assert isinstance(part, DistributedGaussian)
        mu_squared += part.sensitivity_squared / (part.honest_shares * part.share_variance - 4)
    mu = group * math.sqrt(mu_squared)

    def excess(epsilon: float) -> float:
        tail = math.exp(epsilon + stats.norm.logcdf(-epsilon / mu - mu / 2))
        return float(stats.norm.cdf(-epsilon / mu + mu / 2)) - tail - delta

    return float(optimize.brentq(excess, 0, 1000, xtol=1e-13))


@pytest.mark.parametrize("group", [1, 2, 10])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_a_programs_price_is_the_closed_form_of_its_events(delta: float, group: int) -> None:
    promise = guarantee(PROGRAM, delta=delta, group=group)
    assert promise.epsilon == pytest.approx(_closed_form(PROGRAM, delta, group=group), rel=1e-9)
    assert promise.delta == delta
    assert promise.group == group
    assert promise.slack_lambda < 1e-29


def test_the_price_agrees_with_privacy_loss_distributions() -> None:
    accountant = pld.PLDAccountant()
    for part in PROGRAM.events:
        assert isinstance(part, DistributedGaussian)
        multiplier = math.sqrt((part.honest_variance - 4) / part.sensitivity_squared)
        accountant.compose(dp_event.GaussianDpEvent(multiplier))
    oracle = accountant.get_epsilon(DELTA)
    assert guarantee(PROGRAM, delta=DELTA).epsilon == pytest.approx(oracle, rel=1e-3)


@pytest.mark.parametrize("event", [PROGRAM, _sum(10**12, 2**36), _sum(1, 100, honest=1)])
@pytest.mark.parametrize("group", [1, 4])
def test_the_exact_price_is_below_the_renyi_price_but_near(event: Event, group: int) -> None:
    exact = guarantee(event, delta=DELTA, group=group).epsilon
    assert exact < renyi_epsilon(event, DELTA, group=group) < 1.3 * exact


def test_renyi_price_is_the_textbooks_for_one_gaussian() -> None:
    event = _sum(1, 400, honest=1)
    rho = 1 / 800
    best = optimize.minimize_scalar(
        lambda a: rho * a + (math.log(1 / DELTA) - math.log(a)) / (a - 1) + math.log(1 - 1 / a),
        bounds=(1.001, 10_000),
        method="bounded",
    )
    assert renyi_epsilon(event, DELTA) == pytest.approx(best.fun, rel=1e-3)
    assert renyi_epsilon(event, DELTA) >= best.fun * (1 - 1e-9)


def test_delta_covers_lattice_and_redraws() -> None:
    bound = gaussian_bound(_sum(1, 9, honest=1, dimension=10))
    promise = guarantee(_sum(1, 9, honest=1, dimension=10), delta=DELTA)
    in_all = (
        math.exp(promise.slack_lambda)
        * gaussian_delta(promise.mu, promise.epsilon - 2 * promise.slack_lambda)
        + (1 + math.exp(promise.epsilon)) * bound.tail
    )
    assert in_all <= DELTA


def test_redraws_are_charged_even_where_they_would_be_the_whole_of_delta() -> None:
    small = 1e-84
    one = guarantee(_sum(1, 900, honest=1, dimension=1), delta=small)
    many = guarantee(_sum(1, 900, honest=1, dimension=50), delta=small)
    assert one.mu == many.mu
    assert one.epsilon < many.epsilon < math.inf
    assert guarantee(_sum(1, 900, honest=1, dimension=10**6), delta=small).epsilon == math.inf


def test_an_epsilon_that_redraws_cannot_carry_is_infinite_instead_of_wrong() -> None:
    dear = _sum(10**7, 900)
    assert gaussian_epsilon(guarantee(dear, delta=DELTA).mu, DELTA) > 200
    assert guarantee(dear, delta=DELTA).epsilon == math.inf
    assert renyi_epsilon(dear, DELTA) == math.inf


def test_nothing_costs_nothing_and_an_unprotected_part_costs_everything() -> None:
    assert guarantee(Composed(events=()), delta=DELTA).epsilon == 0
    for event in (NonPrivate(), Composed(events=(PROGRAM, NonPrivate()))):
        promise = guarantee(event, delta=DELTA)
        assert promise.epsilon == math.inf
        assert promise.mu == math.inf
        assert renyi_epsilon(event, DELTA) == math.inf


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 2.0, 8.0])
def test_a_program_calibrated_to_a_budget_is_priced_within_it(epsilon: float) -> None:
    total = gaussian_mu(epsilon, DELTA)
    weights = [0.3, 0.25, 0.2, 0.15, 0.1]
    parts = []
    for weight in weights:
        variance = variance_for_mu(10**15, total * math.sqrt(weight))
        parts.append(_sum(10**15, -(-variance // 18)))
    spent = guarantee(Composed(events=tuple(parts)), delta=DELTA).epsilon
    assert epsilon * (1 - 1e-6) < spent <= epsilon


def test_the_person_level_multiplies_mu() -> None:
    one, six = (guarantee(PROGRAM, delta=DELTA, group=group) for group in (1, 6))
    assert six.mu == pytest.approx(6 * one.mu, rel=1e-14)
    # Tighter than the generic group property, which would multiply epsilon and blow up delta.
    assert one.epsilon * 6 < six.epsilon < gaussian_epsilon(one.mu * 6 * 1.001, DELTA)


def test_refuses_groups_deltas_and_shares_outside_the_limits() -> None:
    for price in (
        lambda event, delta, group: guarantee(event, delta=delta, group=group),
        lambda event, delta, group: renyi_epsilon(event, delta, group=group),
    ):
        with pytest.raises(AccountingError, match="group must be 1 or more"):
            price(PROGRAM, DELTA, 0)
        with pytest.raises(AccountingError, match="below 1"):
            price(PROGRAM, 1.0, 1)
        with pytest.raises(AccountingError, match="needs 9 or more"):
            price(Composed(events=(PROGRAM, _sum(1, 8))), DELTA, 1)


# Sampled sums


def _sampled(part: DistributedGaussian, one_in: int = 20, repetitions: int = 1) -> PoissonSampledGaussian:
    return PoissonSampledGaussian(sum=part, one_in=one_in, repetitions=repetitions)


SAMPLED = _sampled(_sum(1, 100, honest=1), repetitions=30)


def test_a_sampled_program_is_priced_by_its_curve_and_has_no_mu() -> None:
    event = Composed(events=(PROGRAM, SAMPLED))
    promise = guarantee(event, delta=DELTA)
    assert promise.epsilon == pytest.approx(epsilon_of_curve(renyi_curve(event), DELTA), rel=1e-12)
    assert promise.epsilon > guarantee(PROGRAM, delta=DELTA).epsilon
    assert promise.mu == math.inf
    assert promise.delta == DELTA


def test_sampling_amplifies() -> None:
    full = guarantee(Composed(events=(SAMPLED.sum,) * 30), delta=DELTA).epsilon
    assert guarantee(SAMPLED, delta=DELTA).epsilon < full / 5


def test_every_repetition_owes_its_lattice_and_its_redraws() -> None:
    coarse = _sum(1, 9, honest=5, dimension=10**6)
    one, many = (guarantee(_sampled(coarse, 1000, times), delta=DELTA) for times in (1, 1000))
    bound = gaussian_bound(coarse)
    assert one.slack_lambda == bound.slack > 0
    assert many.slack_lambda == pytest.approx(1000 * bound.slack, rel=1e-12)
    small = 1e-79
    dear = _sum(1, 900, honest=1, dimension=2000)
    assert guarantee(_sampled(dear, 100, 1), delta=small).epsilon < math.inf
    assert guarantee(_sampled(dear, 100, 10**6), delta=small).epsilon == math.inf


def test_the_lattices_lambda_is_in_a_sampled_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """In practice it is far below a float's digits; so it is made large."""
    plain = guarantee(SAMPLED, delta=DELTA).epsilon
    monkeypatch.setattr("privacy.dp.discrete_lemma.rounding_slack", lambda _: 1e-6)
    owed = 30 * 1000 * 1e-6
    promise = guarantee(SAMPLED, delta=DELTA)
    assert promise.slack_lambda == pytest.approx(owed, rel=1e-9)
    assert promise.epsilon == pytest.approx(
        epsilon_of_curve(renyi_curve(SAMPLED), DELTA * math.exp(-owed)) + 2 * owed, rel=1e-12
    )
    assert promise.epsilon > plain + 2 * owed


@pytest.mark.parametrize(("one_in", "variance", "honest"), [(2, 9, 1), (5, 9, 3), (20, 12, 1)])
def test_the_exact_law_of_a_sampled_lattice_sum_is_within_its_price(
    one_in: int, variance: int, honest: int
) -> None:
    """Three other records are sampled as well; all laws are summed up, none is drawn."""
    shift = 6
    event = _sampled(_sum(shift**2, variance, honest=honest, dimension=1), one_in)
    at = np.arange(-60 * shift, 60 * shift + 1)
    share = np.exp(-(at**2) / (2 * variance))
    noise = share = share / share.sum()
    for _ in range(honest - 1):
        noise = np.convolve(noise, share, mode="same")

    def law(records: list[int]) -> npt.NDArray[np.float64]:
        mixed: npt.NDArray[np.float64] = noise
        for record in records:
            mixed = (1 - 1 / one_in) * mixed + np.roll(mixed, record) / one_in
        return mixed

    others = [1, -shift, 4]
    without, with_it = law(others), law([*others, shift])
    for delta in (1e-2, 1e-4, 1e-6):
        epsilon = guarantee(event, delta=delta).epsilon
        for one, other in ((with_it, without), (without, with_it)):
            assert np.maximum(one - math.exp(epsilon) * other, 0).sum() <= delta
    # And the price is not vacuous: a fifth of it is too little.
    gap = np.maximum(with_it - math.exp(guarantee(event, delta=1e-4).epsilon / 5) * without, 0).sum()
    assert gap > 1e-4


@pytest.mark.parametrize("group", [2, 3, 6])
def test_a_groups_price_is_what_its_members_price_promises_to_a_group(group: int) -> None:
    """The generic property, searched for by brute force over the members' delta."""
    event = _sampled(_sum(1, 400, honest=1), 100, 50)
    found = guarantee(event, delta=DELTA, group=group)
    assert found.group == group
    best = math.inf
    for exponent in np.linspace(-5, -20, 200):
        small = 10.0**exponent
        one = guarantee(event, delta=small).epsilon
        if small * math.expm1(group * one) / math.expm1(one) <= DELTA:
            best = min(best, group * one)
    assert best * 0.9 < found.epsilon <= best * (1 + 1e-6)


def test_a_group_for_which_nothing_can_be_promised_is_told_so() -> None:
    assert guarantee(_sampled(_sum(1, 100, honest=1), 2, 10**5), delta=DELTA, group=50).epsilon == math.inf


def test_sampled_sums_have_no_second_opinion_and_the_same_limits() -> None:
    with pytest.raises(AccountingError, match="ask for its guarantee"):
        renyi_epsilon(SAMPLED, DELTA)
    with pytest.raises(AccountingError, match="group must be 1 or more"):
        guarantee(SAMPLED, delta=DELTA, group=0)
    with pytest.raises(AccountingError, match="needs 9 or more"):
        guarantee(_sampled(_sum(1, 8)), delta=DELTA)
    assert guarantee(Composed(events=(SAMPLED, NonPrivate())), delta=DELTA).epsilon == math.inf


def test_a_reservation_covers_parts_of_itself_and_cheaper_events_only() -> None:
    part = _sampled(_sum(1, 100, honest=1))
    for within in (part, Composed(events=(part,) * 30), SAMPLED, Composed(events=())):
        assert covers(SAMPLED, within)
        assert covers(Composed(events=(PROGRAM, SAMPLED)), Composed(events=(*PROGRAM.events[1:], within)))
    assert covers(Composed(events=(part,) * 30), SAMPLED)
    # Sampled more rarely, or with more noise.
    assert covers(SAMPLED, _sampled(part.sum, 21, 30))
    assert covers(SAMPLED, _sampled(_sum(1, 101, honest=1), repetitions=30))
    # One repetition, or a hair, more.
    assert not covers(SAMPLED, _sampled(part.sum, repetitions=31))
    assert not covers(SAMPLED, _sampled(part.sum, 19, 30))
    assert not covers(SAMPLED, Composed(events=(SAMPLED, _sampled(_sum(1, 10**20), 10**6))))
    assert not covers(SAMPLED, Composed(events=(SAMPLED, _sum(1, 10**20))))


def test_a_reservation_and_what_is_charged_are_compared_at_every_order() -> None:
    """With as much for small orders, a full batch is cheaper at large ones, and a sampled sum is not."""
    part = _sum(1, 100, honest=1)
    sampled = _sampled(part, 20, 400)
    assert not covers(sampled, Composed(events=(part,) * 2))
    dear = Composed(events=(part,) * 400)
    assert covers(Composed(events=(*dear.events, sampled)), dear)
    assert not covers(dear, _sampled(part, 20, 1)), "full-batch programs have a lower price, an exact one"
    assert not covers(NonPrivate(), part)
    assert not covers(part, NonPrivate())
