from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks import wall_time
from fedscore.errors import ScenarioError
from simulations.deployment import Bandwidth, DeploymentTerms
from simulations.outcomes import Outcome
from simulations.scenario import load_scenario
from simulations.timings import Timing
from simulations.wall_time import Span, Work, estimated_wall_time, phases_of
from tests.reports import runs

# 4 parties, 3 members, 10 sums of 1,000 numbers in all.
WORK = Work(
    parties=4,
    members=3,
    rounds=10,
    values_per_party=1000,
    bytes_per_party=500_000,
    encrypt_seconds=8.0,
    prove_seconds=4.0,
    verify_seconds=6.0,
    open_seconds=10.0,
    other_seconds=20.0,
    encrypted=True,
)
# 8 Mbit are a million bytes a second.
TERMS = DeploymentTerms(
    phase_seconds=(4.0, 5.0),
    latency_seconds=0.1,
    bandwidth_mbit=Bandwidth(up=8.0, down=8.0),
    operator_mbit=Bandwidth(up=80.0, down=80.0),
)


def test_an_estimate_by_hand() -> None:
    found = estimated_wall_time(WORK, TERMS)
    # 21 phases of 4 to 5 seconds and five round trips.
    assert found.phases.low == pytest.approx(21 * 4.5)
    assert found.phases.high == pytest.approx(21 * 5.5)
    # Own line up .5 s beats four submissions into the operator, .2 s. Down: two million bytes of submissions
    # and 72,000 of openings, 2.072 s, against 6,288,000 bytes out of the operator, .6288 s. Up once more.
    assert found.transport.low == found.transport.high == pytest.approx(3.072)
    # Three seconds each to encrypt and prove, a quarter of the checks twice, openings between 5 and 10.
    assert found.encryption.low == pytest.approx(3.0 + 3.0 + 5.0)
    assert found.encryption.high == pytest.approx(3.0 + 3.0 + 10.0)
    assert (found.computing.low, found.computing.high) == (5.0, 20.0)
    assert found.total.low == pytest.approx(94.5 + 3.072 + 11.0 + 5.0)
    assert found.total.high == pytest.approx(115.5 + 3.072 + 16.0 + 20.0)


def test_the_operators_line_can_be_the_narrow_one() -> None:
    narrow = TERMS.model_copy(update={"operator_mbit": Bandwidth(up=4.0, down=2.0)})
    # Four submissions at 250,000 bytes a second; everything to three members at 500,000; three answers.
    by_hand = 2_000_000 / 250_000 + (6_000_000 + 288_000) / 500_000 + 1_500_000 / 250_000
    assert estimated_wall_time(WORK, narrow).transport.low == pytest.approx(by_hand)


def test_a_plain_run_of_one_sum_costs_three_phases_and_its_bytes() -> None:
    plain = replace(
        WORK,
        members=1,
        rounds=1,
        encrypt_seconds=0.0,
        prove_seconds=0.0,
        verify_seconds=0.0,
        open_seconds=0.0,
        encrypted=False,
    )
    found = estimated_wall_time(plain, TERMS)
    assert found.phases.low == pytest.approx(13.5)
    assert found.phases.high == pytest.approx(16.5)
    assert found.encryption == Span(low=0.0, high=0.0)
    assert found.transport.low == pytest.approx(0.5 + 2.0 + 0.5)


@given(st.integers(0, 200))
def test_phases_are_a_greeting_and_two_for_every_sum(rounds: int) -> None:
    assert phases_of(rounds) - phases_of(0) == 2 * rounds
    assert phases_of(0) == 1


@given(
    st.integers(1, 1000), st.integers(1, 15), st.integers(0, 10**8), st.floats(0.1, 1e4), st.floats(0.1, 1e4)
)
def test_a_wider_line_is_never_slower_and_low_is_never_above_high(
    parties: int, members: int, size: int, up: float, down: float
) -> None:
    work = replace(WORK, parties=parties, members=members, bytes_per_party=size)
    terms = TERMS.model_copy(update={"bandwidth_mbit": Bandwidth(up=up, down=down)})
    wider = TERMS.model_copy(update={"bandwidth_mbit": Bandwidth(up=2 * up, down=3 * down)})
    found, faster = estimated_wall_time(work, terms), estimated_wall_time(work, wider)
    assert faster.transport.low <= found.transport.low
    for part in (found.phases, found.transport, found.encryption, found.computing, found.total):
        assert 0 <= part.low <= part.high


def test_a_scenario_says_what_the_deployment_runs_on() -> None:
    terms = load_scenario("taiwan").terms.deployment
    assert terms.phase_seconds == (3.5, 6.0)
    own = load_scenario(
        "taiwan", ["deployment.latency_seconds=0.2", "deployment.bandwidth_mbit={up=5, down=9}"]
    )
    assert own.terms.deployment.latency_seconds == 0.2
    assert own.terms.deployment.bandwidth_mbit == Bandwidth(up=5.0, down=9.0)


@pytest.mark.parametrize(
    "setting",
    [
        "deployment.phase_seconds=[6, 3.5]",
        "deployment.phase_seconds=4",
        "deployment.latency_seconds=-1",
        "deployment.bandwidth_mbit={up=0, down=1}",
        "deployment.bandwidth_mbit={up=inf, down=1}",
        "deployment.speed=3",
    ],
)
def test_a_deployment_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(ScenarioError, match="deployment"):
        load_scenario("taiwan", [setting])


def test_the_benchmark_compares_the_estimate_with_what_was_seen() -> None:
    (run,) = runs(epsilons=(1.0,), seeds=(1,))[:1]
    run = replace(run, encrypted=True, parties=3, rounds=13, bytes_per_party=51_701, values_per_party=3115)
    timing = Timing(
        learner="scorecard",
        baseline=None,
        noise=run.noise,
        epsilon=1.0,
        seed=1,
        seconds=40.0,
        encrypt_seconds=3.0,
        prove_seconds=6.0,
        verify_seconds=8.0,
        open_seconds=20.0,
        phases=27,
    )
    estimate, figures = wall_time.compared(Outcome(run=run, timing=timing), seconds=200.0)
    # 27 phases; 3 s of sealing each, twice a quarter of verifying, 10 to 20 s of opening, 1 to 3 of the rest.
    assert estimate.total.low == pytest.approx(27 * 3.5 + 3 + 4 + 10 + 1, abs=0.1)
    assert estimate.total.high == pytest.approx(27 * 6 + 3 + 4 + 20 + 3, abs=0.1)
    assert figures["low_vs_seen"] == pytest.approx(estimate.total.low / 200)
    assert figures["high_vs_seen"] == pytest.approx(estimate.total.high / 200)
    assert figures["seen_per_phase"] == pytest.approx(200 / 27)


def test_terms_are_frozen() -> None:
    with pytest.raises(ValidationError):
        TERMS.latency_seconds = 1.0  # type: ignore[misc]  # the attempt is the test
