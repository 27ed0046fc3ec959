from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fedscore.contract import Contract, NoiseMode
from fedscore.errors import ScenarioError
from simulations import methods
from simulations.dealing import Dealt, Ground, deal_rows, read_ground
from simulations.keys import SimulatedKeys
from simulations.lookup import find_contract, find_data
from simulations.results import Run
from simulations.runner import Found, Job, Outcome, Task, jobs_of, perform, run_jobs
from simulations.scenario import NAIVE, Baseline, load_scenario


@pytest.fixture(scope="module")
def ground(small_experiment: Path) -> Ground:
    return ground_of(small_experiment)


def ground_of(scenario: Path, *overrides: str) -> Ground:
    loaded = load_scenario(scenario, overrides)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


def test_the_own_runs_come_first_and_what_has_no_epsilon_runs_once_per_seed() -> None:
    jobs = jobs_of(load_scenario("taiwan").terms)
    assert jobs[0] == Job(seed=1, baseline=None, epsilon=0.1)
    assert len(jobs) == len(set(jobs)) == 5 * (6 + 1 + 1 + 1 + 6)
    assert {job.epsilon for job in jobs if job.baseline is Baseline.LOCAL_ONLY} == {None}
    assert sum(job.baseline is Baseline.LOCAL_NOISE for job in jobs) == 30


def test_a_neural_scenario_trains_each_method_at_its_budget() -> None:
    settings = ["privacy.epsilon=[1, 2]", "split.seeds=[1]"]
    jobs = jobs_of(load_scenario("taiwan-neural", settings).terms)
    with_epsilon = (None, Baseline.SCORECARD, Baseline.NEURAL_LOCAL, *NAIVE)
    without = (Baseline.POOLED_LIGHTGBM, Baseline.POOLED_NO_NOISE)
    assert jobs == (
        *(Job(seed=1, baseline=baseline, epsilon=epsilon) for baseline in with_epsilon for epsilon in (1, 2)),
        *(Job(seed=1, baseline=baseline, epsilon=None) for baseline in without),
    )
    noiseless = jobs_of(load_scenario("taiwan-neural", [*settings, "privacy.noise='none'"]).terms)
    assert {job.baseline for job in noiseless if job.epsilon} == set(NAIVE)


def test_without_noise_there_is_nothing_to_vary() -> None:
    jobs = jobs_of(load_scenario("taiwan", ["privacy.noise='none'", "baselines=[]"]).terms)
    assert [job.epsilon for job in jobs] == [None] * 5


def test_a_private_run_says_what_it_spent(ground: Ground) -> None:
    outcome = perform(Job(seed=1, baseline=None, epsilon=2.0), ground, None)
    run = outcome.run
    assert run.private
    assert run.epsilon == 2.0
    assert run.epsilon_spent is not None
    assert 1.9 < run.epsilon_spent <= 2.0
    assert run.epsilon_person == run.epsilon_spent
    assert (run.noise, run.encrypted, run.parties) == (NoiseMode.SHARED, False, 3)
    assert run.gini == 2 * run.auc - 1
    assert run.rounds > 0
    assert run.values_per_party > 0
    assert outcome.trained is not None
    assert outcome.trained.privacy is not None
    assert outcome.trained.privacy.epsilon == run.epsilon_spent
    assert (run.epsilon_reported, run.epsilon_prv) == (None, None)


@pytest.mark.parametrize("baseline", [Baseline.POOLED_NO_NOISE, Baseline.LOCAL_ONLY])
def test_what_has_no_noise_promises_nothing(ground: Ground, baseline: Baseline) -> None:
    outcome = perform(Job(seed=1, baseline=baseline, epsilon=None), ground, None)
    run = outcome.run
    assert (run.private, run.epsilon, run.epsilon_spent, run.epsilon_person) == (False, None, None, None)
    assert (run.noise, run.bytes_per_party) == (NoiseMode.NONE, 0)
    assert run.auc > 0.6
    assert outcome.trained is None


def test_a_federation_without_noise_is_the_pooled_card(small_experiment: Path) -> None:
    ground = ground_of(small_experiment, "privacy.noise='none'")
    own = perform(Job(seed=1, baseline=None, epsilon=None), ground, None).run
    pooled = perform(Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None), ground, None).run
    assert not own.private
    assert (own.auc, own.ks, own.brier) == (pooled.auc, pooled.ks, pooled.brier)


def test_local_noise_is_the_federated_run_with_local_noise(small_experiment: Path, ground: Ground) -> None:
    baseline = perform(Job(seed=1, baseline=Baseline.LOCAL_NOISE, epsilon=8.0), ground, None).run
    own = perform(
        Job(seed=1, baseline=None, epsilon=8.0),
        ground_of(small_experiment, "privacy.noise='local'", "baselines=[]"),
        None,
    ).run
    assert baseline.noise is NoiseMode.LOCAL
    assert replace(baseline, baseline=None) == own


def test_local_only_is_the_mean_over_the_parties_that_can_train(ground: Ground) -> None:
    dealt = deal_rows(ground, seed=1)
    party = "platform-01"
    good = dealt.training[party].select(dealt.training[party].outcome == 0)
    dealt = Dealt(training={**dealt.training, party: good}, test=dealt.test)
    cards = methods.local_results(ground.contract, dealt.training)
    assert set(cards) == {"platform-02", "collector-01"}
    test = dealt.pooled_test
    expected = np.mean(
        [methods.measure(test.outcome, one.card.probability(test.cells)).auc for one in cards.values()]
    )
    outcome = methods.local_only(ground.contract, dealt, seed=1)
    assert outcome.run.auc == pytest.approx(expected)
    assert [(one.party, one.auc is None) for one in outcome.parties] == [
        *((party, True), ("platform-02", False), ("collector-01", False))
    ]
    nobody = Dealt(training={party: good}, test=dealt.test)
    with pytest.raises(ScenarioError, match="no party has training rows of both outcomes"):
        methods.local_only(ground.contract, nobody, seed=1)


def done(
    jobs: Sequence[Job],
    ground: Ground,
    *,
    keys: Mapping[int, SimulatedKeys] = MappingProxyType({}),
    workers: int = 1,
) -> dict[Task, Outcome]:
    """What the jobs gave, in the order in which they ended."""
    found: dict[Task, Outcome] = {}

    def keep(task: Task, outcome: Found) -> None:
        assert isinstance(outcome, Outcome)
        found[task] = outcome

    run_jobs(jobs, [ground], keys=keys, workers=workers, finished=keep)
    return found


def measured(run: Run) -> tuple[float, ...]:
    return (run.auc, run.ks, run.brier, run.calibration_error)


def test_neither_encryption_nor_the_number_of_processes_changes_what_is_measured(
    ground: Ground, small_experiment: Path, known_keys: Callable[[Contract], SimulatedKeys]
) -> None:
    jobs = [
        Job(seed=2, baseline=None, epsilon=8.0),
        Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None),
    ]
    encrypting = ground_of(small_experiment, "encryption={mode='paillier', key_bits=2048}")
    threads_before = os.environ.get("OMP_NUM_THREADS")
    children = multiprocessing.active_children()
    here = done(jobs, ground)
    there = done(jobs, encrypting, keys={0: known_keys(encrypting.contract)}, workers=2)
    assert set(here) == set(there) == set(jobs)
    alone, together = [here[job] for job in jobs], [there[job] for job in jobs]
    assert [measured(outcome.run) for outcome in alone] == [measured(outcome.run) for outcome in together]
    assert [(outcome.run.seed, outcome.run.encrypted) for outcome in together] == [(2, True), (1, False)]
    assert not any(outcome.run.encrypted for outcome in alone)
    parts = ("encrypt_seconds", "prove_seconds", "verify_seconds", "open_seconds")
    plain, encrypted = alone[0], together[0]
    assert encrypted.run.bytes_per_party > plain.run.bytes_per_party
    assert encrypted.run.openings_sha256 == plain.run.openings_sha256
    assert (together[1].run.openings_sha256, together[1].timing.phases) == (None, 0)
    assert 0 < sum(getattr(encrypted.timing, part) for part in parts) < encrypted.timing.seconds
    assert [getattr(plain.timing, part) for part in parts] == [0, 0, 0, 0]
    assert plain.timing.phases > plain.run.rounds
    assert os.environ.get("OMP_NUM_THREADS") == threads_before
    assert multiprocessing.active_children() == children


def test_a_job_has_one_numerical_thread_and_gives_the_others_back(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, int]] = []

    def threads() -> dict[str, int]:
        return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}

    def watched(*arguments: object, **named: object) -> Outcome:
        seen.append(threads())
        return pooled(*arguments, **named)  # type: ignore[arg-type]  # passed on as they are

    pooled = methods.pooled_no_noise
    monkeypatch.setattr(methods, "pooled_no_noise", watched)
    with threadpool_limits(limits=2):
        before = threads()
        perform(Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None), ground, None)
        after = threads()
    assert before
    assert set(seen[0].values()) == {1}
    assert {path: after[path] for path in before} == before
    assert max(before.values()) == min(2, os.cpu_count() or 1)


def test_an_interruption_ends_every_process_at_once(ground: Ground) -> None:
    def interrupt(_task: Task, _found: Found) -> None:
        raise KeyboardInterrupt

    jobs = [Job(seed=seed, baseline=Baseline.POOLED_NO_NOISE, epsilon=None) for seed in range(200)]
    children = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, [ground], keys={}, workers=2, finished=interrupt)
    assert multiprocessing.active_children() == children


def test_outcomes_hold_a_card_for_the_own_runs_alone(ground: Ground) -> None:
    outcome = perform(Job(seed=1, baseline=Baseline.LOCAL_NOISE, epsilon=8.0), ground, None)
    assert isinstance(outcome, Outcome)
    assert outcome.trained is None
