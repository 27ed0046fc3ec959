"""How well does the public recipe do (Flower with Opacus), and what does it really cost in epsilon?

The recipe is Flower's own example `examples/opacus`, with a table in place of pictures. Each client builds a
new optimizer and `PrivacyEngine` in every round, trains with the default generator, prints the epsilon of
that engine, and sends its whole model and its number of rows in clear; `FedAvg` weights the models by those
numbers. It runs here through Flower's and Opacus' own objects.

Two numbers come with it. `epsilon_reported` is what the recipe prints: an engine that is new in each round
knows of one round alone. `epsilon_true` composes the same steps over all rounds, for one record added to or
removed from a client. It is what Rényi accounting proves; the recipe prints what Opacus' default, PRV,
estimates numerically, which is about a tenth lower for the same steps over many rounds. Neither counts what
the numbers of rows in clear give away, nor that the default generator was not made to keep secrets.

Importing this module imports torch and opacus: import it only where the recipe is to be run.
"""

from __future__ import annotations

import functools
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from flwr.app import ArrayRecord, ConfigRecord
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from opacus.accountants import RDPAccountant
from torch.utils.data import TensorDataset

from fedscore.errors import ScenarioError
from simulations.in_process_grid import InProcessGrid
from simulations.naive_flower_client import Clients, History, Ledger, Recipe
from simulations.torch_surroundings import undisturbed

__all__ = ["Examples", "NaiveResult", "Recipe", "naive_flower_opacus"]

_ORDERS = (*RDPAccountant.DEFAULT_ALPHAS, 80, 128, 256, 512)
"""Opacus' own orders, and larger ones that are best where epsilon is small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a client holds, or the test rows.

    Attributes:
        features: Encoded by public grids, shape [records, width].
        outcome: Outcomes in {0, 1}, shape [records].
    """

    features: npt.NDArray[np.float32]
    outcome: npt.NDArray[np.int8]


_CHOSEN = Recipe()


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveResult:
    """What the recipe gave.

    Attributes:
        probability: Of the bad outcome, for each test row, shape [rows].
        epsilon_reported: What the recipe prints in its last round, at the client where it is largest.
        epsilon_true: What all rounds cost, at the client where it is largest, at the same delta, for one
            record added or removed; never less than the truth.
        rounds: Rounds of federated averaging.
        seconds: Wall time.
        bytes_per_party: What one client sent in all rounds, in clear: its models and figures.
    """

    probability: npt.NDArray[np.float64]
    epsilon_reported: float
    epsilon_true: float
    rounds: int
    seconds: float
    bytes_per_party: int


def naive_flower_opacus(
    training: Mapping[str, Examples],
    test: Examples,
    *,
    model: Callable[[int], torch.nn.Module],
    epsilon: float,
    delta: float,
    seed: int,
    recipe: Recipe = _CHOSEN,
) -> NaiveResult:
    """Train by the public recipe, and price what it did.

    Args:
        training: What each party holds. A party without rows takes no part.
        test: Rows to be scored.
        model: Makes a model for features of a width; it gives one logit for each row, [rows] or [rows, 1].
        epsilon: What the recipe shall report of one round, or what all shall cost, as `recipe.meant` says.
        delta: Of both epsilons, in (0, 1).
        seed: Of everything: first weights, batches, noise. Equal seeds give equal results.
        recipe: Rounds, batches and step sizes.

    Raises:
        ScenarioError: No party holds a row, or a client failed, with what it failed of.
    """
    started = time.perf_counter()
    held = [examples for examples in training.values() if len(examples.outcome)]
    if not held:
        raise ScenarioError("no party has training rows, so there is nothing to train on: use fewer parties")
    make = functools.partial(model, test.features.shape[1])
    with undisturbed(seed):
        clients = Clients(
            held=[(_dataset(examples), Ledger()) for examples in held],
            model=make,
            epsilon=epsilon,
            delta=delta,
            recipe=recipe,
        )
        final = make()
        final.load_state_dict(_averaged(clients.app(), ArrayRecord(final.state_dict()), len(held), recipe))
        ledgers = [ledger for _, ledger in clients.held]
        return NaiveResult(
            probability=_probability(final, test),
            epsilon_reported=max(ledger.reported for ledger in ledgers),
            # Clients with equally many batches have one history, and one takes a while.
            epsilon_true=max(_composed(history, delta) for history in {each.history for each in ledgers}),
            rounds=recipe.rounds,
            seconds=time.perf_counter() - started,
            bytes_per_party=max(ledger.bytes_sent for ledger in ledgers),
        )


def _averaged(
    app: ClientApp, arrays: ArrayRecord, clients: int, recipe: Recipe
) -> OrderedDict[str, torch.Tensor]:
    """The server side of the recipe: weights after all rounds of Flower's `FedAvg`."""
    grid = InProcessGrid(app, [{"partition-id": number} for number in range(clients)])
    strategy = FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
    for number in range(1, recipe.rounds + 1):
        replies = grid.send_and_receive(strategy.configure_train(number, arrays, ConfigRecord(), grid))
        for reply in replies:
            # The strategy would log this and go on without the client.
            if reply.has_error():
                raise ScenarioError(f"a client of naive-flower-opacus failed: {reply.error.reason}")
        averaged, _ = strategy.aggregate_train(number, replies)
        if averaged is None:
            raise ScenarioError(f"no client of naive-flower-opacus answered in round {number}")
        arrays = averaged
    return arrays.to_torch_state_dict()


def _composed(history: History, delta: float) -> float:
    accountant = RDPAccountant()
    accountant.history = list(history)
    return float(accountant.get_epsilon(delta, alphas=_ORDERS))


def _dataset(examples: Examples) -> TensorDataset:
    return TensorDataset(
        torch.tensor(examples.features, dtype=torch.float32),
        torch.tensor(examples.outcome, dtype=torch.float32),
    )


def _probability(net: torch.nn.Module, test: Examples) -> npt.NDArray[np.float64]:
    net.eval()
    with torch.no_grad():
        logits = net(torch.tensor(test.features, dtype=torch.float32)).reshape(-1)
        return np.asarray(torch.sigmoid(logits.to(torch.float64)).numpy())
