from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.dp.accounting import (
    covers,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    guarantee,
    renyi_epsilon,
    variance_for_mu,
)
from privacy.dp.events import Composed, DistributedGaussian, PoissonSampledGaussian
from privacy.dp.renyi import renyi_curve

mus = st.floats(1e-3, 30)
epsilons = st.floats(1e-3, 120)
deltas = st.floats(-15, -1).map(lambda exponent: 10.0**exponent)


@st.composite
def sums(draw: st.DrawFn) -> DistributedGaussian:
    honest = draw(st.integers(1, 40))
    share_variance = draw(st.integers(100, 2**60))
    mu = draw(st.floats(0.05, 2))
    return DistributedGaussian(
        sensitivity_squared=math.ceil(mu**2 * honest * share_variance),
        share_variance=share_variance,
        honest_shares=honest,
        dimension=draw(st.integers(1, 5_000)),
        total_shares=honest + draw(st.integers(0, 3)),
    )


programs = st.lists(sums(), min_size=1, max_size=5)


@given(mus, epsilons, epsilons)
def test_delta_falls_as_epsilon_grows(mu: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert gaussian_delta(mu, high) <= gaussian_delta(mu, low) * (1 + 1e-6)


@given(mus, mus, deltas)
def test_epsilon_grows_with_mu(one: float, other: float, delta: float) -> None:
    low, high = sorted((one, other))
    assert gaussian_epsilon(low, delta) <= gaussian_epsilon(high, delta) * (1 + 1e-6)


@given(mus, deltas, deltas)
def test_a_smaller_delta_costs_more_epsilon(mu: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert gaussian_epsilon(mu, low) >= gaussian_epsilon(mu, high)


@given(epsilons, deltas)
def test_mu_and_epsilon_are_each_others_inverse_on_the_safe_side(epsilon: float, delta: float) -> None:
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_delta(mu, epsilon) <= delta
    assert epsilon * (1 - 1e-6) <= gaussian_epsilon(mu, delta) <= epsilon


@given(st.integers(1, 2**90), st.floats(1e-4, 50))
def test_variance_is_the_least_that_keeps_mu(sensitivity_squared: int, mu: float) -> None:
    variance = variance_for_mu(sensitivity_squared, mu)
    assert Fraction(sensitivity_squared) <= Fraction(mu) ** 2 * (variance - 4)
    assert Fraction(sensitivity_squared) > Fraction(mu) ** 2 * (variance - 5)


@given(programs, st.randoms(use_true_random=False))
def test_order_and_nesting_do_not_change_the_price(parts: list[DistributedGaussian], random: object) -> None:
    flat = guarantee(Composed(events=tuple(parts)), delta=1e-5)
    shuffled = sorted(parts, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis' Random
    nested = Composed(events=(Composed(events=tuple(shuffled[:1])), Composed(events=tuple(shuffled[1:]))))
    again = guarantee(nested, delta=1e-5)
    assert again.epsilon == pytest.approx(flat.epsilon, rel=1e-12)
    assert again.mu == flat.mu


@given(programs, sums())
def test_another_round_never_makes_a_program_cheaper(
    parts: list[DistributedGaussian], more: DistributedGaussian
) -> None:
    before = guarantee(Composed(events=tuple(parts)), delta=1e-5)
    after = guarantee(Composed(events=(*parts, more)), delta=1e-5)
    assert after.epsilon >= before.epsilon
    assert after.mu > before.mu
    assert after.slack_lambda > before.slack_lambda


@given(sums(), st.integers(1, 50))
def test_more_honest_noise_is_never_dearer(event: DistributedGaussian, extra: int) -> None:
    def priced(**changes: int) -> float:
        fields = {
            "sensitivity_squared": event.sensitivity_squared,
            "share_variance": event.share_variance,
            "honest_shares": event.honest_shares,
            "dimension": event.dimension,
            "total_shares": event.total_shares + extra,
        }
        return guarantee(DistributedGaussian(**{**fields, **changes}), delta=1e-5).epsilon

    plain = priced()
    rounding = 1e-9
    assert priced(honest_shares=event.honest_shares + extra) <= plain * (1 + rounding)
    assert priced(share_variance=event.share_variance + extra) <= plain * (1 + rounding)
    assert priced(sensitivity_squared=event.sensitivity_squared + extra) >= plain * (1 - rounding)


@given(programs, st.integers(1, 4))
def test_renyi_is_the_conservative_one(parts: list[DistributedGaussian], group: int) -> None:
    event = Composed(events=tuple(parts))
    assert guarantee(event, delta=1e-5, group=group).epsilon < renyi_epsilon(event, 1e-5, group=group)


@given(programs, st.integers(2, 5))
def test_a_group_is_never_cheaper_than_its_members(parts: list[DistributedGaussian], group: int) -> None:
    event = Composed(events=tuple(parts))
    assert guarantee(event, delta=1e-5, group=group).epsilon > guarantee(event, delta=1e-5).epsilon


samples = st.builds(
    PoissonSampledGaussian, sum=sums(), one_in=st.integers(2, 10**6), repetitions=st.integers(1, 200)
)
mixed = st.lists(sums() | samples, max_size=4).flatmap(
    lambda parts: samples.map(lambda one: [*parts, one])  # at least one is sampled
)


@given(mixed, st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_order_and_nesting_do_not_change_a_sampled_price(
    parts: list[DistributedGaussian | PoissonSampledGaussian], random: object
) -> None:
    flat = Composed(events=tuple(parts))
    shuffled = sorted(parts, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis' Random
    nested = Composed(events=(Composed(events=tuple(shuffled[:1])), Composed(events=tuple(shuffled[1:]))))
    assert (renyi_curve(nested) == renyi_curve(flat)).all()
    assert covers(flat, nested)
    assert covers(nested, flat)


@given(mixed, sums() | samples)
@settings(max_examples=20)
def test_another_part_never_makes_a_sampled_program_cheaper(
    parts: list[DistributedGaussian | PoissonSampledGaussian],
    more: DistributedGaussian | PoissonSampledGaussian,
) -> None:
    before, after = Composed(events=tuple(parts)), Composed(events=(*parts, more))
    assert (renyi_curve(after) >= renyi_curve(before)).all()
    assert guarantee(after, delta=1e-5).epsilon >= guarantee(before, delta=1e-5).epsilon
    assert covers(after, before)
    assert not covers(before, after)


@given(programs, samples)
@settings(max_examples=20)
def test_whatever_is_covered_is_priced_no_higher(
    parts: list[DistributedGaussian], sample: PoissonSampledGaussian
) -> None:
    """Also where a part of a sampled reservation is priced exactly, since nothing in it is sampled."""
    reserved = Composed(events=(*parts, sample))
    assert covers(reserved, Composed(events=tuple(parts)))
    alone = guarantee(Composed(events=tuple(parts)), delta=1e-5).epsilon
    assert alone <= guarantee(reserved, delta=1e-5).epsilon


@given(samples, st.integers(2, 50))
@settings(max_examples=20)
def test_sampling_and_more_noise_and_rarer_samples_never_cost_more(
    event: PoissonSampledGaussian, factor: int
) -> None:
    def priced(sampled: PoissonSampledGaussian) -> float:
        return guarantee(sampled, delta=1e-5).epsilon

    noisier = replace(event, sum=replace(event.sum, share_variance=event.sum.share_variance * factor))
    assert priced(noisier) <= priced(event)
    assert priced(replace(event, one_in=event.one_in * factor)) <= priced(event)
    assert priced(replace(event, repetitions=event.repetitions * factor)) >= priced(event)
    whole = Composed(events=(event.sum,) * event.repetitions)
    assert (renyi_curve(event) <= renyi_curve(whole)).all()


@given(samples, st.integers(2, 5))
@settings(max_examples=20)
def test_a_group_of_sampled_records_is_never_cheaper_than_one(
    event: PoissonSampledGaussian, group: int
) -> None:
    assert guarantee(event, delta=1e-5, group=group).epsilon >= guarantee(event, delta=1e-5).epsilon
