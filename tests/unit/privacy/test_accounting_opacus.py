"""Opacus prices the same events: full-batch ones higher, sampled ones the same, but never below the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting import dp_event, pld
from scipy import stats

from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, DistributedGaussian, PoissonSampledGaussian
from privacy.dp.renyi import ORDERS, renyi_curve

accountants = pytest.importorskip("opacus.accountants", reason="needs the extra `neural`")
rdp = pytest.importorskip("opacus.accountants.analysis.rdp", reason="needs the extra `neural`")


@pytest.mark.parametrize("share_variance", [100, 1_000, 20_000])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_the_printed_epsilon_is_below_opacus_for_the_same_events(share_variance: int, delta: float) -> None:
    rounds = 9
    event = DistributedGaussian(
        sensitivity_squared=50,
        share_variance=share_variance,
        honest_shares=18,
        dimension=500,
        total_shares=20,
    )
    orders = np.concatenate([np.linspace(1.05, 12, 400), np.arange(12.5, 600, 0.5)]).tolist()
    curve = rdp.compute_rdp(
        q=1.0,
        noise_multiplier=math.sqrt(event.honest_variance / event.sensitivity_squared),
        steps=rounds,
        orders=orders,
    )
    theirs, _ = rdp.get_privacy_spent(orders=orders, rdp=curve, delta=delta)
    ours = guarantee(Composed(events=(event,) * rounds), delta=delta).epsilon
    assert 0.7 * theirs < ours < theirs


def sampled_sum(noise_multiplier: float, one_in: int, repetitions: int = 1) -> PoissonSampledGaussian:
    """With so fine a lattice that its cost is none."""
    sensitivity_squared = 10**12
    variance = 4 + round(sensitivity_squared * noise_multiplier**2)
    return PoissonSampledGaussian(
        sum=fine_sum(sensitivity_squared, variance), one_in=one_in, repetitions=repetitions
    )


def fine_sum(sensitivity_squared: int, variance: int) -> DistributedGaussian:
    return DistributedGaussian(
        sensitivity_squared=sensitivity_squared,
        share_variance=variance,
        honest_shares=1,
        dimension=1000,
        total_shares=1,
    )


def opacus_epsilon(history: list[tuple[float, float, int]], delta: float) -> float:
    accountant = accountants.RDPAccountant()
    accountant.history = history
    # Its own orders, and larger ones for small epsilons.
    orders = [*accountant.DEFAULT_ALPHAS, *range(64, 513, 16)]
    return float(accountant.get_epsilon(delta, alphas=orders))


@pytest.mark.parametrize(
    ("one_in", "noise_multiplier"), [(2, 1.0), (3, 50.0), (100, 0.6), (100, 4.0), (5000, 1.0)]
)
def test_one_sampled_sum_is_opacus_at_whole_orders_and_above_between(
    one_in: int, noise_multiplier: float
) -> None:
    theirs = rdp.compute_rdp(q=1 / one_in, noise_multiplier=noise_multiplier, steps=1, orders=list(ORDERS))
    ours = renyi_curve(sampled_sum(noise_multiplier, one_in))
    for order, mine, other in zip(ORDERS, ours, theirs, strict=True):
        # What Opacus adds up is 1 and a little: it loses the digits that the 1 takes.
        digits = 1e-14 / other
        assert mine >= other * (1 - 1e-9 - digits), order
        if order == int(order):
            assert mine <= other * (1 + 1e-9 + digits), order


HISTORIES = [
    [(1.0, 100, 1000)],
    [(1.1, 250, 4000)],
    [(4.0, 20, 300)],
    [(0.7, 1000, 2000)],
    [(20.0, 2, 60)],
    # Local training: hundreds of steps over several runs and contracts.
    [(1.5, 50, 200), (1.2, 50, 300), (2.0, 10, 40), (1.5, 50, 100)],
    # A scorecard, then sampled runs.
    [(12.0, 1, 9), (1.3, 100, 400), (12.0, 1, 9), (1.3, 100, 400)],
]


@pytest.mark.filterwarnings(
    "ignore:Optimal order is the largest alpha"
)  # where its exact one looks how far to go
@pytest.mark.parametrize("history", HISTORIES, ids=str)
@pytest.mark.parametrize("delta", [1e-5, 1e-7])
def test_whole_histories_cost_what_opacus_says_and_more_than_is_true(
    history: list[tuple[float, int, int]], delta: float
) -> None:
    event = Composed(
        events=tuple(
            Composed(events=(fine_sum(10**12, 4 + round(10**12 * noise**2)),) * steps)
            if one_in == 1
            else sampled_sum(noise, one_in, steps)
            for noise, one_in, steps in history
        )
    )
    ours = guarantee(event, delta=delta).epsilon
    theirs = opacus_epsilon([(noise, 1 / one_in, steps) for noise, one_in, steps in history], delta)
    # Under little noise the curve is steep, and the chord between two whole orders further from it.
    steep = min(noise for noise, _, _ in history) < 1
    assert theirs * 0.98 < ours < theirs * (1.08 if steep else 1.02)
    if delta == 1e-5 and all(one_in > 1 for _, one_in, _ in history):
        exact = accountants.PRVAccountant()
        exact.history = [(noise, 1 / one_in, steps) for noise, one_in, steps in history]
        error = 0.05
        found = exact._get_dprv(eps_error=error, delta_error=delta / 1000)
        lower, _, _ = found.compute_epsilon(delta, delta / 1000, error)
        assert ours > lower


def test_a_history_is_priced_as_a_whole_and_not_run_by_run() -> None:
    run = sampled_sum(1.3, 100, 300)
    one, four = (guarantee(Composed(events=(run,) * runs), delta=1e-5).epsilon for runs in (1, 4))
    assert four == pytest.approx(opacus_epsilon([(1.3, 0.01, 1200)], 1e-5), rel=0.02)
    assert one < four < 4 * one * 0.8


@pytest.mark.parametrize(
    ("steps", "noise_multiplier", "one_in", "group"), [(50, 2.0, 20, 2), (10, 4.0, 10, 3)]
)
def test_a_group_costs_at_least_what_a_mixture_of_gaussians_does(
    steps: int, noise_multiplier: float, one_in: int, group: int
) -> None:
    """Each of the group's records has a coin of its own, so how many are drawn is binomial."""
    delta = 1e-6
    chances = stats.binom.pmf(range(group + 1), group, 1 / one_in)
    accountant = pld.PLDAccountant(value_discretization_interval=0.02)
    accountant.compose(
        dp_event.MixtureOfGaussiansDpEvent(noise_multiplier, list(range(group + 1)), list(chances)), steps
    )
    ours = guarantee(sampled_sum(noise_multiplier, one_in, steps), delta=delta, group=group).epsilon
    assert accountant.get_epsilon(delta) < ours < 10 * accountant.get_epsilon(delta)
