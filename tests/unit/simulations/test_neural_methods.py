"""Neural models and the public recipe as methods of a scenario, on few rows and in few rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedscore.contract import Contract, NeuralModelKind, NeuralTerms, NoiseMode
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.model import NeuralModel
from simulations import naive_baseline
from simulations import naive_flower_opacus as recipe
from simulations.dealing import Ground, deal_rows, read_ground
from simulations.keys import SimulatedKeys
from simulations.lookup import find_contract, find_data
from simulations.plain_network import plain_network
from simulations.results import Run, summarise
from simulations.runner import Found, Job, Outcome, Task, perform, run_jobs
from simulations.scenario import Baseline, load_scenario
from simulations.variants import neural_terms

LEARNER = "learner={name='neural', hidden=[3], rounds=2}"
LOCAL = "learner={name='neural', hidden=[3], rounds=2, training='local', local_steps=2}"


def ground_of(scenario: Path, *overrides: str) -> Ground:
    loaded = load_scenario(scenario, [*overrides, "baselines=[]"])
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


@pytest.fixture(scope="module")
def ground(small_experiment: Path) -> Ground:
    return ground_of(small_experiment, LEARNER)


def job(baseline: Baseline | None = None, epsilon: float | None = 8.0) -> Job:
    return Job(seed=1, baseline=baseline, epsilon=epsilon)


def without_time(run: Run) -> Run:
    return replace(run, baseline=None)


def test_the_own_run_is_a_private_neural_model(ground: Ground) -> None:
    outcome = perform(job(), ground, None)
    run = outcome.run
    assert (run.learner, run.baseline, run.noise) == ("neural", None, NoiseMode.SHARED)
    assert run.epsilon_spent is not None
    assert 7.9 < run.epsilon_spent <= 8.0
    assert (run.epsilon_reported, run.epsilon_prv) == (None, None)
    assert isinstance(outcome.trained, NeuralModel)
    assert run.rounds == 1 + outcome.trained.rounds
    assert run.values_per_party == 2 + 2 * len(outcome.trained.parameters)


@pytest.mark.parametrize("learner", [LEARNER, LOCAL])
def test_encryption_opens_the_same_integers(
    small_experiment: Path, known_keys: Callable[[Contract], SimulatedKeys], learner: str
) -> None:
    short = learner.replace("rounds=2", "rounds=1")
    encryption = "encryption={mode='paillier', key_bits=2048}"
    encrypting = ground_of(small_experiment, short, encryption)
    encrypted = perform(job(), encrypting, known_keys(encrypting.contract))
    plain = perform(job(), ground_of(small_experiment, short), None)
    assert encrypted.run.encrypted
    assert isinstance(encrypted.trained, NeuralModel)
    assert isinstance(plain.trained, NeuralModel)
    assert encrypted.trained.parameters == plain.trained.parameters


def test_a_sampled_run_shows_the_estimate_beside_the_promise(small_experiment: Path) -> None:
    sampled = "learner={name='neural', hidden=[3], rounds=2, one_in=4}"
    run = perform(job(), ground_of(small_experiment, sampled), None).run
    assert run.epsilon_spent is not None
    assert run.epsilon_prv is not None
    assert 0.5 * run.epsilon_spent < run.epsilon_prv < run.epsilon_spent <= 8.0


def test_local_training_is_a_baseline_of_shared_training_and_the_other_way_round(
    small_experiment: Path, ground: Ground
) -> None:
    local = ground_of(small_experiment, LOCAL)
    own = perform(job(), local, None).run
    assert own.noise is NoiseMode.LOCAL
    assert own.epsilon_spent is not None
    assert 7.9 < own.epsilon_spent <= 8.0
    shared = perform(job(Baseline.NEURAL_SHARED), local, None).run
    assert without_time(shared) == without_time(perform(job(), ground, None).run)
    baseline = perform(job(Baseline.NEURAL_LOCAL), ground, None).run
    assert (baseline.learner, baseline.noise) == ("neural", NoiseMode.LOCAL)
    assert baseline.values_per_party == own.values_per_party


def test_the_card_beside_a_neural_model_is_that_of_its_own_scenario(
    small_experiment: Path, ground: Ground
) -> None:
    card = perform(job(), ground_of(small_experiment, 'learner.recipe="plain"'), None).run
    assert card.learner == "scorecard"
    for other in (ground, ground_of(small_experiment, LOCAL)):
        assert without_time(perform(job(Baseline.SCORECARD), other, None).run) == without_time(card)


@pytest.mark.parametrize("learner", [LEARNER, LOCAL])
def test_whoever_trains_alone_trains_the_same_model_without_noise(
    small_experiment: Path, learner: str
) -> None:
    ground = ground_of(small_experiment, learner)
    for baseline in (Baseline.POOLED_NO_NOISE, Baseline.LOCAL_ONLY):
        run = perform(job(baseline, None), ground, None).run
        assert (run.learner, run.private, run.noise) == ("neural", False, NoiseMode.NONE)
        assert run.auc > 0.55


def test_the_same_sums_with_local_noise(ground: Ground) -> None:
    run = perform(job(Baseline.LOCAL_NOISE), ground, None).run
    own = perform(job(), ground, None).run
    assert (run.learner, run.noise, run.values_per_party) == ("neural", NoiseMode.LOCAL, own.values_per_party)


@pytest.mark.parametrize("learner", [LEARNER, LOCAL])
def test_a_federation_without_noise_trains_too(small_experiment: Path, learner: str) -> None:
    run = perform(job(None, None), ground_of(small_experiment, learner, "privacy.noise='none'"), None).run
    assert (run.private, run.epsilon_spent, run.epsilon_prv) == (False, None, None)
    assert run.auc > 0.55


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, recipe.Examples]:
    """The recipe in two rounds; what it was given to train on."""
    seen: dict[str, recipe.Examples] = {}
    original = recipe.naive_flower_opacus

    def spied(
        training: dict[str, recipe.Examples],
        test: recipe.Examples,
        **terms: Any,  # noqa: ANN401 - passed on as they are
    ) -> recipe.NaiveResult:
        seen.update(training, test=test)
        asked: recipe.Recipe = terms.pop("recipe")
        return original(training, test, recipe=replace(asked, rounds=2, batch_size=1000), **terms)

    monkeypatch.setattr(recipe, "naive_flower_opacus", spied)
    return seen


def test_the_recipe_is_told_with_its_true_epsilon_beside_what_it_reports(
    ground: Ground, short_recipe: dict[str, recipe.Examples]
) -> None:
    run = perform(job(Baseline.NAIVE_FLOWER_OPACUS, 1.0), ground, None).run
    assert (run.learner, run.baseline, run.noise) == ("neural", "naive-flower-opacus", NoiseMode.LOCAL)
    assert (run.epsilon, run.private, run.encrypted) == (1.0, True, False)
    assert run.epsilon_reported is not None
    assert run.epsilon_spent is not None
    assert 0.9 < run.epsilon_reported <= 1.0
    assert run.epsilon_spent > 1.2
    assert run.epsilon_person == run.epsilon_spent
    assert run.rounds == 2
    assert run.bytes_per_party > 4 * run.values_per_party > 0
    dealt = deal_rows(ground, seed=1)
    assert set(short_recipe) == {*dealt.training, "test"}
    assert [len(short_recipe[party].outcome) for party in dealt.training] == [
        len(rows) for rows in dealt.training.values()
    ]
    assert np.array_equal(short_recipe["test"].outcome, dealt.pooled_test.outcome)
    assert short_recipe["test"].features.dtype == np.float32
    (entry,) = summarise([run])
    assert (entry.epsilon_spent, entry.epsilon_reported) == (run.epsilon_spent, run.epsilon_reported)


def test_the_recipe_sees_the_inputs_of_public_grids_whatever_the_learner_sees(
    small_experiment: Path, ground: Ground, short_recipe: dict[str, recipe.Examples]
) -> None:
    perform(job(Baseline.NAIVE_FLOWER_OPACUS, 1.0), ground, None)
    standardised = short_recipe["test"].features.copy()
    outcome = perform(job(), ground, None)
    assert isinstance(outcome.trained, NeuralModel)
    assert np.array_equal(
        standardised,
        outcome.trained._inputs.of(deal_rows(ground, seed=1).pooled_test.cells).astype(np.float32),
    )
    evidence = ground_of(small_experiment, "learner={name='neural', hidden=[3], encoding='evidence'}")
    perform(job(Baseline.NAIVE_FLOWER_OPACUS, 1.0), evidence, None)
    assert np.array_equal(standardised, short_recipe["test"].features)


@pytest.mark.usefixtures("short_recipe")
def test_where_people_have_several_records_no_price_of_a_person_is_made_up(ground: Ground) -> None:
    document = ground.contract.model_dump()
    document["rows"] |= {"person": "id", "organisations_per_person": 2}
    several = Contract.model_validate(document).with_privacy(epsilon=1.0)
    run = naive_baseline.naive_flower_opacus(
        several,
        deal_rows(ground, seed=1),
        baseline=Baseline.NAIVE_TUNED,
        terms=neural_terms(ground.terms),
        seed=1,
    ).run
    assert run.epsilon_spent is not None
    assert run.epsilon_person is None


@pytest.mark.slow
def test_processes_change_nothing_and_torch_has_its_threads_back(ground: Ground) -> None:
    jobs = [job(), job(Baseline.NEURAL_LOCAL)]
    threads = torch.get_num_threads()
    alone, together = dict[Task, Outcome](), dict[Task, Outcome]()
    for workers, found in ((1, alone), (2, together)):

        def keep(task: Task, outcome: Found, found: dict[Task, Outcome] = found) -> None:
            assert isinstance(outcome, Outcome)
            found[task] = outcome

        run_jobs(jobs, [ground], keys={}, workers=workers, finished=keep)
        assert torch.get_num_threads() == threads
    assert [alone[one].run for one in jobs] == [together[one].run for one in jobs]
    first, again = alone[jobs[0]].trained, together[jobs[0]].trained
    assert isinstance(first, NeuralModel)
    assert isinstance(again, NeuralModel)
    assert first.parameters == again.parameters


@pytest.mark.parametrize(
    "terms", [NeuralTerms(), NeuralTerms(hidden=(5, 4)), NeuralTerms(model=NeuralModelKind.LOGISTIC)]
)
def test_the_recipes_model_has_the_neural_learners_layers(terms: NeuralTerms) -> None:
    network = plain_network(terms, 7)
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == Architecture.of(terms, 7).parameters
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    assert network(torch.zeros(11, 7)).shape == (11, 1)
