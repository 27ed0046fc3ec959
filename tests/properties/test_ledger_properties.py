"""Whatever runs and charges come, a source never spends more than its owner allows, and forgets nothing."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from fedscore.errors import BudgetExhausted, LedgerMismatch
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed, DistributedGaussian, PoissonSampledGaussian, leaves
from privacy.ledger import Charge, Limits, RunSpending, Spending, event_fields, event_of

DELTA = 1e-5

SUMS = st.builds(
    lambda sensitivity, variance, honest: DistributedGaussian(
        sensitivity_squared=sensitivity,
        share_variance=variance,
        honest_shares=honest,
        dimension=20,
        total_shares=honest + 1,
    ),
    sensitivity=st.integers(1, 40),
    variance=st.sampled_from([200, 1_000, 20_000, 10**9]),
    honest=st.integers(1, 4),
)
SAMPLES = st.builds(
    PoissonSampledGaussian, sum=SUMS, one_in=st.sampled_from([2, 10, 1000]), repetitions=st.integers(1, 60)
)
PROGRAMS = st.lists(SUMS, min_size=1, max_size=3)


# What may happen: a run begins (its number, its program, its contract), a sum is charged (its run, its round,
# which sum of which program), or the owner changes the limit.
def steps_of(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, int, object]]]:
    return st.lists(
        st.tuples(st.just("begin"), st.integers(0, 4), st.lists(leaf, min_size=1, max_size=3))
        | st.tuples(st.just("charge"), st.integers(0, 4), st.tuples(st.integers(1, 12), leaf | st.none()))
        | st.tuples(st.just("limit"), st.just(0), st.floats(0.01, 6.0)),
        min_size=4,
        max_size=14,
    )


def mu_squared(event: Composed) -> float:
    """The closed form, by hand: each sum is Gaussian with the noise that the discrete lemma leaves."""
    return sum(
        part.sensitivity_squared / (part.honest_variance - 4 * part.honest_shares)
        for part in leaves(event)
        if isinstance(part, DistributedGaussian)
    )


def exact_epsilon(mu: float, delta: float) -> float:
    """Dong, Roth and Su 2022, Corollary 2.13, inverted by a root finder."""
    if mu == 0:
        return 0.0

    def excess(epsilon: float) -> float:
        normal = stats.norm
        second = math.exp(epsilon + normal.logcdf(-epsilon / mu - mu / 2))
        return float(normal.cdf(-epsilon / mu + mu / 2)) - second - delta

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, mu * mu / 2 + 20 * mu + 1, xtol=1e-12))


def played(steps: list[tuple[str, int, object]]) -> list[tuple[Spending, Spending, float, str]]:
    """Every state before and after a step, the limit then, and what happened."""
    spending, limit = Spending(), 3.0
    states = []
    for number, (what, which, how) in enumerate(steps):
        before, happened = spending, "refused"
        limits = Limits(epsilon=limit, delta=DELTA, run_epsilon=100.0)
        run = f"{which:032x}"
        with contextlib.suppress(BudgetExhausted, LedgerMismatch):
            if what == "limit":
                assert isinstance(how, float)
                limit = how
            elif what == "begin":
                assert isinstance(how, list)
                reserved = Composed(events=tuple(how))
                begun = RunSpending(run=run, contract=f"c{number}", began="", reserved=reserved)
                spending = spending.begin(begun, limits)
            else:
                assert isinstance(how, tuple)
                round_number, event = how
                known = next((one for one in spending.runs if one.run == run), None)
                if event is None and known is not None:
                    planned = list(leaves(known.reserved))
                    event = planned[len(known.charges) % len(planned)]
                if event is None:
                    raise LedgerMismatch("there is no such run")
                spent = Charge(round=round_number, name="sum", event=event)
                spending = spending.charge(run, spent, limits)
            happened = what
        states.append((before, spending, limit, happened))
    return states


@given(steps=steps_of(SUMS | SAMPLES))
@settings(max_examples=40)
def test_whatever_comes_the_limit_holds_and_nothing_is_taken_back(
    steps: list[tuple[str, int, object]],
) -> None:
    for before, after, limit, happened in played(steps):
        if happened == "refused":
            assert after == before
            continue
        for known in before.runs:
            kept = next(one for one in after.runs if one.run == known.run)
            assert replace(kept, charges=()) == replace(known, charges=())
            assert kept.charges[: len(known.charges)] == known.charges
        spent = after.guarantee(delta=DELTA)
        assert spent.epsilon >= before.guarantee(delta=DELTA).epsilon
        committed = guarantee(after.committed, delta=DELTA)
        assert spent.epsilon <= committed.epsilon
        if happened in ("begin", "charge"):
            assert committed.epsilon <= limit
        for one in after.runs:
            assert covers(one.reserved, one.charged)
            assert guarantee(one.charged, delta=DELTA).epsilon <= guarantee(one.reserved, delta=DELTA).epsilon


@given(steps=steps_of(SUMS))
@settings(max_examples=20)
def test_what_was_spent_is_priced_as_the_closed_form(steps: list[tuple[str, int, object]]) -> None:
    *_, (_, spending, _, _) = played(steps)
    found = spending.guarantee(delta=DELTA)
    squares = [guarantee(run.charged, delta=DELTA).mu ** 2 for run in spending.runs]
    assert found.mu**2 == pytest.approx(math.fsum(squares), rel=1e-12)
    assert found.mu**2 == pytest.approx(mu_squared(Composed(events=(spending.spent,))), rel=0.02)
    exact = exact_epsilon(found.mu, DELTA)
    assert found.epsilon == pytest.approx(exact, rel=1e-6, abs=1e-9)
    assert found.epsilon >= exact * (1 - 1e-9)


@given(programs=st.lists(PROGRAMS, min_size=1, max_size=4))
@settings(max_examples=8)
def test_opacus_prices_the_same_runs_higher(programs: list[list[DistributedGaussian]]) -> None:
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp", reason="needs the extra `neural`")
    limits = Limits(epsilon=1e6, delta=DELTA, run_epsilon=1e6)
    spending = Spending()
    for number, program in enumerate(programs):
        reserved = Composed(events=tuple(program))
        run = RunSpending(run=f"{number:032x}", contract="c", began="", reserved=reserved)
        spending = spending.begin(run, limits)
        for place, event in enumerate(program, start=1):
            spending = spending.charge(run.run, Charge(round=place, name="sum", event=event), limits)
    # The best order is about sqrt(2 ln(1/delta)) / mu: far out where mu is small.
    orders = np.geomspace(1.05, 1e7, 3000).tolist()
    curve = sum(
        rdp.compute_rdp(
            q=1.0,
            noise_multiplier=math.sqrt(event.honest_variance / event.sensitivity_squared),
            steps=1,
            orders=orders,
        )
        for program in programs
        for event in program
    )
    theirs, _ = rdp.get_privacy_spent(orders=orders, rdp=curve, delta=DELTA)
    # The lattice lets a hundredth of a small share's noise count for nothing; Opacus does not know lattices.
    assert spending.guarantee(delta=DELTA).epsilon <= theirs * 1.01


@given(events=st.lists(SUMS | SAMPLES, max_size=5))
def test_events_come_back_from_their_fields_at_the_same_price(
    events: list[DistributedGaussian | PoissonSampledGaussian],
) -> None:
    event = Composed(events=tuple(events))
    again = event_of(json.loads(json.dumps(event_fields(event))))
    assert again == event
    assert guarantee(again, delta=DELTA) == guarantee(event, delta=DELTA)
