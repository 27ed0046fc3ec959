"""Trainings with and without a worst record: their law, what they bound, and what they catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fedscore.contract import Contract, EvaluationTerms, GradeTerms, NeuralTerms, NoiseMode, Recipe, Training
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.sums import Query, Side, SumRequest, Update, noised_total
from privacy.dp.randomness import RandomSource
from simulations.audit.bounds import (
    Attack,
    Trainings,
    attack,
    lower_bound_finding,
    lower_bounds,
    trainings_of,
)
from simulations.audit.findings import Verdict
from simulations.audit.noise import noise_findings
from simulations.audit.promise import Promise
from simulations.audit.row import LowerBounds
from simulations.audit.sensitivity import sensitivity_findings, worst_records
from simulations.audit.shares import Contribute, auditable_agenda, draw_run
from simulations.audit.sources import SeededSource
from simulations.audit.workers import spread

EPSILON = 8.0
COUNT = 100
SURELY = 0.9995

_Integers = npt.NDArray[np.int64]


def quiet(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    request = replace(request, share_variance=request.share_variance // 5)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


def silent_once(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    if request.name == "gradient 1":
        request = replace(request, share_variance=0)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


@pytest.fixture(scope="module")
def contract(tiny_contract: Contract) -> Contract:
    grades = GradeTerms(names=("A", "B"), shares=(0.5,))
    plain = tiny_contract.with_recipe(Recipe.PLAIN)
    return plain.with_grades(grades).with_evaluation(EvaluationTerms()).with_privacy(epsilon=EPSILON)


Attacker = Callable[[Contribute], Attack]


@pytest.fixture(scope="module")
def attacker(contract: Contract, make_rows: Callable[[int, int], Rows]) -> Attacker:
    training = {party.name: make_rows(150, seed) for seed, party in enumerate(contract.parties)}
    test = {party.name: make_rows(60, 10 + seed) for seed, party in enumerate(contract.parties)}
    run = draw_run(contract, training, test, number=0, source=SeededSource(3), processes=1)
    worst = worst_records(run, contract, seed=1)

    def made(contribute: Contribute) -> Attack:
        return attack(
            contract,
            Rows.concatenate(list(training.values())),
            Rows.concatenate(list(test.values())),
            worst,
            seed=2,
            source=SeededSource(2),
            contribute=contribute,
        )

    return made


@pytest.fixture(scope="module")
def trained(attacker: Attacker) -> Callable[[Contribute], Trainings]:
    known: dict[Contribute, Trainings] = {}

    def made(contribute: Contribute) -> Trainings:
        if contribute not in known:
            known[contribute] = trainings_of(attacker(contribute), COUNT, processes=1)
        return known[contribute]

    return made


@pytest.fixture(scope="module")
def bound(
    trained: Callable[[Contribute], Trainings], contract: Contract
) -> Callable[[Contribute], LowerBounds]:
    def bounded(contribute: Contribute) -> LowerBounds:
        return lower_bounds(trained(contribute), Promise.of(contract), confidence=SURELY)

    return bounded


def test_what_is_left_has_the_law_that_is_claimed(
    trained: Callable[[Contribute], Trainings], contract: Contract
) -> None:
    found = trained(noised_total)
    requests = auditable_agenda(contract, run="0" * 32).requests
    on_training = np.array([request.side is Side.TRAINING for request in requests])
    assert not found.outside[:, ~on_training].any()
    assert not found.shift_inside[:, ~on_training].any()
    noise = np.concatenate([found.outside, found.inside - found.shift_inside])[:, on_training]
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.001
    assert stats.kstest(noise.sum(axis=1) / np.sqrt(noise.shape[1]), "norm").pvalue > 0.001
    # The record moves no sum by more than its price, and nearly by as much.
    limits = np.array(
        [
            request.sensitivity_squared / (request.honest_shares * request.share_variance)
            for request in requests
        ]
    )
    assert (np.square(found.shift_inside) <= limits * (1 + 1e-9)).all()
    promised = auditable_agenda(contract, run="0" * 32).record.mu
    assert 0.8 * promised < found.mu <= promised


def test_an_openings_known_part_is_what_nodes_would_have_added(attacker: Attacker) -> None:
    """A record that is there many times is many records."""
    attack = attacker(noised_total)
    others = attack.others[Side.TRAINING]
    query, request = attack.agenda.next_sum([])
    many = Rows.concatenate([others] * attack.times)
    silent = replace(request, share_variance=0)

    def total(rows: Rows) -> _Integers:
        return noised_total(query, rows, silent, row_cap=len(rows), randomness=SeededSource(1)())

    assert attack.times == 2
    np.testing.assert_array_equal(total(many), total(others) * attack.times)


def test_right_code_is_not_found_to_break_its_promise(
    bound: Callable[[Contribute], LowerBounds], contract: Contract
) -> None:
    found = bound(noised_total)
    assert 0.0 < found.epsilon < EPSILON
    assert found.epsilon < found.gaussian_epsilon < EPSILON
    assert found.detectable < 5**0.5
    assert lower_bound_finding(found, Promise.of(contract)).verdict is Verdict.PASSED


def test_noise_that_is_too_small_is_found_to_break_it(
    bound: Callable[[Contribute], LowerBounds], contract: Contract
) -> None:
    found = bound(quiet)
    assert found.gaussian_epsilon > EPSILON
    assert lower_bound_finding(found, Promise.of(contract)).verdict is Verdict.FAILED


@pytest.mark.slow
def test_a_sum_without_noise_gets_all_the_weight(bound: Callable[[Contribute], LowerBounds]) -> None:
    found = bound(silent_once)
    assert found.epsilon == found.most


def test_too_few_trainings_have_no_power(contract: Contract) -> None:
    blind = LowerBounds(
        trainings=100,
        confidence=SURELY,
        epsilon=0.0,
        most=1.0,
        expected=0.0,
        mu=0.0,
        gaussian_epsilon=0.0,
        gaussian_most=5.0,
        gaussian_expected=0.0,
        attained=0.9,
        detectable=float("inf"),
    )
    finding = lower_bound_finding(blind, Promise.of(contract))
    assert finding.verdict is Verdict.NO_POWER
    assert "would not have found any noise" in finding.power


def test_processes_change_nothing(attacker: Attacker) -> None:
    attack = attacker(noised_total)
    one, two = (trainings_of(attack, 6, processes=processes) for processes in (1, 2))
    np.testing.assert_array_equal(one.inside, two.inside)
    np.testing.assert_array_equal(one.outside, two.outside)


def test_progress_is_told_to_the_end() -> None:
    told: list[int] = []
    assert spread(lambda number: number**2, range(40), processes=1, progress=told.append) == [
        number**2 for number in range(40)
    ]
    assert told == sorted(told)
    assert told[-1] == 40


@pytest.mark.slow
def test_local_noise_leaves_one_share(contract: Contract, make_rows: Callable[[int, int], Rows]) -> None:
    local = contract.with_privacy(noise=NoiseMode.LOCAL)
    rows = {party.name: make_rows(80, seed) for seed, party in enumerate(local.parties)}
    run = draw_run(local, rows, rows, number=0, source=SeededSource(3), processes=1)
    together = Rows.concatenate(list(rows.values()))
    found = trainings_of(
        attack(local, together, together, worst_records(run, local, seed=1), seed=2, source=SeededSource(2)),
        25,
        processes=1,
    )
    noise = np.concatenate([found.outside, found.inside - found.shift_inside])
    assert 0.85 < noise[:, noise.any(axis=0)].var() < 1.15


def test_sums_over_samples_and_private_updates_are_refused(tiny_contract: Contract) -> None:
    sampled = tiny_contract.with_neural(NeuralTerms(rounds=2, one_in=10, training=Training.SHARED))
    at_home = tiny_contract.with_privacy(noise=NoiseMode.LOCAL).with_neural(
        NeuralTerms(rounds=2, training=Training.LOCAL)
    )
    for contract in (sampled, at_home):
        with pytest.raises(ScenarioError, match=r"no shares to audit: take a scorecard, or a neural model"):
            auditable_agenda(contract, run="0" * 32)


def test_a_neural_model_in_shared_training_is_audited_like_a_card(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    pytest.importorskip("opacus")
    neural = tiny_contract.with_privacy(epsilon=EPSILON).with_neural(
        NeuralTerms(rounds=2, hidden=(2,), training=Training.SHARED)
    )
    rows = {party.name: make_rows(30, seed) for seed, party in enumerate(neural.parties)}
    runs = [
        draw_run(neural, rows, rows, number=number, source=SeededSource(3), processes=1)
        for number in range(15)
    ]
    worst = worst_records(runs[0], neural, seed=1)
    of_noise = {one.name: one.verdict for one in noise_findings(runs, neural, level=0.001, worst=worst)}
    assert Verdict.FAILED not in of_noise.values()
    assert of_noise["noise of gradient 2"] is of_noise["price of the noise"] is Verdict.PASSED
    # Two numbers a run are too few to say what colluders are left with: ten times as many runs would do.
    assert of_noise["noise left to colluders in short sums"] is Verdict.NO_POWER
    assert {one.verdict for one in sensitivity_findings(worst)} == {Verdict.PASSED}
    together = Rows.concatenate(list(rows.values()))
    found = trainings_of(
        attack(neural, together, together, worst, seed=2, source=SeededSource(2)), 10, processes=1
    )
    assert 0.5 * Promise.of(neural).mu < found.mu <= Promise.of(neural).mu


def test_the_filtered_card_is_audited_like_the_plain_one(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    filtered = tiny_contract.with_privacy(epsilon=EPSILON).with_recipe(Recipe.FILTERED)
    rows = {party.name: make_rows(60, seed) for seed, party in enumerate(filtered.parties)}
    run = draw_run(filtered, rows, rows, number=0, source=SeededSource(3), processes=1)
    worst = worst_records(run, filtered, seed=1)
    assert {one.verdict for one in sensitivity_findings(worst)} == {Verdict.PASSED}
    assert Verdict.FAILED not in {one.verdict for one in noise_findings([run], filtered, level=0.001)}
    together = Rows.concatenate(list(rows.values()))
    found = trainings_of(
        attack(filtered, together, together, worst, seed=2, source=SeededSource(2)), 10, processes=1
    )
    assert 0.8 * Promise.of(filtered).mu < found.mu <= Promise.of(filtered).mu
