from __future__ import annotations

import functools
import logging
import random
import subprocess
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg
from opacus import PrivacyEngine
from opacus.accountants import PRVAccountant, RDPAccountant
from torch.utils.data import DataLoader, TensorDataset

from fedscore.errors import ScenarioError
from fedscore.metrics import auc
from simulations import naive_flower_client
from simulations.naive_flower_client import Meant
from simulations.naive_flower_opacus import Examples, NaiveResult, Recipe, naive_flower_opacus
from simulations.torch_surroundings import undisturbed

EPSILON, DELTA = 1.0, 1e-5
WIDTH = 4
SHORT = Recipe(rounds=2, batch_size=32)
ONE_BATCH, FOUR_BATCHES = 20, 120  # rows; Opacus is quick to find the noise of these


def mlp(width: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))


def people(rows: int, seed: int) -> Examples:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, WIDTH)).astype(np.float32)
    chance = 1 / (1 + np.exp(1 - 3 * features[:, 0] + 2 * features[:, 1]))
    return Examples(features=features, outcome=(generator.random(rows) < chance).astype(np.int8))


TEST = people(500, seed=99)
train = functools.partial(naive_flower_opacus, test=TEST, model=mlp, delta=DELTA)


@functools.cache
def trained(seed: int = 5, recipe: Recipe = SHORT) -> NaiveResult:
    return train(
        {"a": people(ONE_BATCH, 1), "b": people(FOUR_BATCHES, 2)}, epsilon=EPSILON, seed=seed, recipe=recipe
    )


def test_the_recipe_reports_what_was_asked_and_spends_more() -> None:
    result = trained()
    assert EPSILON - 0.011 < result.epsilon_reported <= EPSILON
    assert result.epsilon_true > 1.3 * result.epsilon_reported
    assert result.rounds == 2


def test_what_it_reports_does_not_grow_with_rounds_and_the_truth_does() -> None:
    results = [trained(recipe=Recipe(rounds=rounds, batch_size=32)) for rounds in (1, 2, 3)]
    assert len({result.epsilon_reported for result in results}) == 1
    truths = [result.epsilon_true for result in results]
    assert truths == sorted(truths)
    # One round costs what is reported, but for what Rényi accounting proves less tightly.
    assert 1.0 <= truths[0] / results[0].epsilon_reported < 1.2 < truths[1] / results[0].epsilon_reported


def test_noise_for_the_whole_run_makes_the_true_epsilon_the_one_that_was_asked_for() -> None:
    result = trained(recipe=replace(SHORT, meant=Meant.RUN))
    assert 0.9 * EPSILON < result.epsilon_true <= EPSILON
    assert result.epsilon_reported < 0.9 * result.epsilon_true


def test_the_truth_is_opacus_own_accountant_fed_with_the_whole_history() -> None:
    result = trained()
    expected = []
    for batches in (1, 4):
        noise = naive_flower_client._noise_multiplier(EPSILON, DELTA, batches=batches, recipe=SHORT)
        accountant = RDPAccountant()
        for _ in range(2 * batches):
            accountant.step(noise_multiplier=noise, sample_rate=1 / batches)
        expected.append(accountant.get_epsilon(DELTA))
    assert result.epsilon_true == pytest.approx(max(expected), rel=1e-9)


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")
def test_a_proven_truth_is_above_the_estimate_of_the_recipes_own_accountant() -> None:
    noise = naive_flower_client._noise_multiplier(EPSILON, DELTA, batches=4, recipe=SHORT)
    accountant = PRVAccountant()
    accountant.history = [(noise, 1 / 4, 8)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order is the")
        assert 0.85 * trained().epsilon_true < accountant.get_epsilon(DELTA) <= trained().epsilon_true


@pytest.mark.parametrize(("rows", "epochs"), [(ONE_BATCH, 1), (ONE_BATCH, 2), (FOUR_BATCHES, 1)])
def test_the_noise_is_what_opacus_finds_for_the_epsilon_of_one_round(rows: int, epochs: int) -> None:
    examples = people(rows, 3)
    loader = DataLoader(TensorDataset(torch.tensor(examples.features)), batch_size=32)
    net = mlp(WIDTH)
    with undisturbed(1):
        _, optimizer, _ = PrivacyEngine().make_private_with_epsilon(
            module=net,
            optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
            data_loader=loader,
            target_epsilon=EPSILON,
            target_delta=DELTA,
            epochs=epochs,
            max_grad_norm=1.0,
        )
        found = naive_flower_client._noise_multiplier(
            EPSILON, DELTA, batches=len(loader), recipe=Recipe(local_epochs=epochs)
        )
    assert found == optimizer.noise_multiplier


def test_equal_seeds_give_equal_results_and_others_do_not() -> None:
    again = trained.__wrapped__()
    assert np.array_equal(trained().probability, again.probability)
    assert again.epsilon_true == trained().epsilon_true
    assert not np.array_equal(trained().probability, trained(seed=6).probability)


def test_it_learns_an_easy_problem() -> None:
    training = {str(number): people(240, number) for number in range(6)}
    result = train(training, epsilon=EPSILON, seed=1, recipe=Recipe(rounds=6))
    assert result.probability.shape == (500,)
    assert result.probability.dtype == np.float64
    assert auc(TEST.outcome, result.probability) > 0.85


def test_tiny_clients_and_clients_of_one_outcome_take_part_and_empty_ones_do_not() -> None:
    good = Examples(features=people(8, 1).features, outcome=np.zeros(8, dtype=np.int8))
    training = {"one row": people(1, 1), "nobody": people(0, 1), "all good": good}
    # Batches of two rows in expectation, of eight: one in ten is empty.
    result = train(training, epsilon=EPSILON, seed=1, recipe=Recipe(rounds=12, batch_size=2))
    assert np.isfinite(result.probability).all()
    assert result.epsilon_true > result.epsilon_reported


def test_one_party_alone_does_not_wait_for_others() -> None:
    assert train({"a": people(ONE_BATCH, 1)}, epsilon=EPSILON, seed=1, recipe=SHORT).rounds == 2


def test_models_and_numbers_of_rows_travel_in_clear_and_weight_the_average(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[list[Message], ArrayRecord | None]] = []
    original = FedAvg.aggregate_train

    def spied(
        self: FedAvg, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        replies = list(replies)
        result = original(self, server_round, replies)
        seen.append((replies, result[0]))
        return result

    monkeypatch.setattr(FedAvg, "aggregate_train", spied)
    result = train({"a": people(3, 1), "b": people(27, 2)}, epsilon=EPSILON, seed=1, recipe=SHORT)
    assert len(seen) == 2
    sent = 0
    for replies, averaged in seen:
        assert averaged is not None
        models = {
            reply.content.metric_records["metrics"]["num-examples"]: reply.content.array_records["arrays"]
            for reply in replies
        }
        assert sorted(models) == [3, 27]
        assert not np.allclose(models[3]["0.weight"].numpy(), models[27]["0.weight"].numpy())
        for name, array in averaged.items():
            by_hand = 0.1 * models[3][name].numpy() + 0.9 * models[27][name].numpy()
            assert np.allclose(array.numpy(), by_hand, atol=1e-6)
        sent += models[3].count_bytes()
    assert sent < result.bytes_per_party < sent + 200


def surroundings() -> list[object]:
    return [
        torch.get_rng_state().tolist(),
        random.getstate(),
        torch.get_num_threads(),
        logging.getLogger("flwr").level,
        list(warnings.filters),
    ]


def test_nothing_around_it_is_disturbed() -> None:
    torch.manual_seed(3)
    random.seed(3)
    before = surroundings()
    trained.__wrapped__(seed=7)
    assert surroundings() == before


def fail_inside() -> None:
    with undisturbed(1):
        assert torch.get_num_threads() == 1
        torch.rand(1)
        raise KeyError


def test_what_was_changed_is_restored_after_a_failure() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        before = surroundings()
        with pytest.raises(KeyError):
            fail_inside()
        assert surroundings() == before
    finally:
        torch.set_num_threads(threads)


def test_a_client_that_fails_is_not_left_out_in_silence() -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(WIDTH, 1)

        def forward(self, _features: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("a broken model")

    with pytest.raises(ScenarioError, match=r"client of naive-flower-opacus failed.*a broken model"):
        naive_flower_opacus(
            {"a": people(ONE_BATCH, 1)},
            TEST,
            model=lambda _width: Broken(),
            epsilon=EPSILON,
            delta=DELTA,
            seed=1,
        )


def test_without_a_row_there_is_nothing_to_train_on() -> None:
    with pytest.raises(ScenarioError, match="no party has training rows"):
        train({"a": people(0, 1)}, epsilon=EPSILON, seed=1)


def test_simulations_of_cards_import_neither_torch_nor_opacus() -> None:
    code = "import sys, simulations.runner; sys.exit(bool({'torch', 'opacus'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
