"""Shared noise of twenty parties against stock Opacus on one pooled table, with the same noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, NeuralTerms, Optimiser
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.fixed_point import WEIGHT_STEP
from fedscore.learners.neural.gradients import GradientQuery
from fedscore.learners.neural.model import NeuralModel
from fedscore.learners.neural.steps import FIRST_DECAY, SECOND_DECAY, SMALLEST_SQUARE_ROOT
from fedscore.sums import SumRequest
from simulations.federation import train_federation

torch = pytest.importorskip("torch")
opacus = pytest.importorskip("opacus")
optimizers = pytest.importorskip("opacus.optimizers")
network = pytest.importorskip("fedscore.learners.neural.network")

Values = npt.NDArray[np.float64]
ROUNDS = 5
GROWTH = 3.0
"""How much larger a difference of parameters may become through the gradients of the rounds after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One federated run, seen from where all rows are.

    Attributes:
        inputs: [rows, inputs] of all parties.
        outcome: [rows].
        records: As the first sum told it.
        visited: Parameters at which gradients were taken.
        sums: The rounds' sums before noise, in units.
        noise: What the parties' shares added in each round, in units.
        requests: Of the rounds.
        trained: The model.
    """

    inputs: Values
    outcome: npt.NDArray[np.int8]
    records: float
    visited: list[Values]
    sums: list[Values]
    noise: list[Values]
    requests: list[SumRequest]
    trained: NeuralModel


def followed(contract: Contract, rows: Mapping[str, Rows]) -> Followed:
    result = train_federation(contract, rows, seed=11)
    assert isinstance(result.trained, NeuralModel)
    pooled = Rows.concatenate(list(rows.values()))
    agenda = Agenda(contract, run="0" * 32)
    visited, sums, noise, requests = [], [], [], []
    for number in range(1, len(result.openings)):
        query, request = agenda.next_sum(result.openings[:number])
        assert isinstance(query, GradientQuery)
        noiseless = query.contributions(pooled).lattice_total(
            scale=request.scale, limit_squared=request.sensitivity_squared, dimension=request.dimension
        )
        visited.append(query.parameters)
        sums.append(noiseless / request.scale)
        noise.append((result.openings[number] - noiseless) / request.scale)
        requests.append(request)
        inputs = query.inputs
    return Followed(
        inputs=inputs.of(pooled.cells),
        outcome=pooled.outcome,
        records=float(np.maximum(result.openings[0] / agenda.requests[0].scale, 10.0).sum()),
        visited=visited,
        sums=sums,
        noise=noise,
        requests=requests,
        trained=result.trained,
    )


def stock_opacus(run: Followed, terms: NeuralTerms, *, noisy: bool = True) -> list[Values]:
    """Central DP-SGD on the pooled table: Opacus' own clipping, sums and hand-over to torch's optimisers."""
    architecture = Architecture.of(terms, run.inputs.shape[1])
    with network.one_thread():
        model = network.network_with(architecture, run.visited[0])
        parameters = list(model.parameters())
        private = opacus.GradSampleModule(model, loss_reduction="sum")
        inner = (
            torch.optim.Adam(
                parameters,
                lr=terms.learning_rate,
                betas=(FIRST_DECAY, SECOND_DECAY),
                eps=SMALLEST_SQUARE_ROOT,
            )
            if terms.optimiser is Optimiser.ADAM
            else torch.optim.SGD(parameters, lr=terms.learning_rate / run.records, momentum=FIRST_DECAY)
        )
        optimizer = optimizers.DPOptimizer(
            inner,
            noise_multiplier=0.0,
            max_grad_norm=terms.max_grad_norm,
            expected_batch_size=None,
            loss_reduction="sum",
        )
        reached = []
        for noise in run.noise:
            optimizer.zero_grad()
            network.backward(private, run.inputs, run.outcome)
            assert optimizer.pre_step()
            start = 0
            for parameter in parameters:
                part = noise[start : start + parameter.numel()].reshape(parameter.shape)
                start += parameter.numel()
                parameter.grad += torch.from_numpy(part * noisy)
            inner.step()
            model.round_weights()
            reached.append(network.parameters_of(model))
    return reached


def plain_torch(run: Followed, terms: NeuralTerms) -> list[Values]:
    """The same without Opacus, fixed point or double precision: a loop over records, as a textbook has it."""
    architecture = Architecture.of(terms, run.inputs.shape[1])
    weights = [
        torch.nn.Parameter(torch.from_numpy(part).float())
        for layer in architecture.split(run.visited[0])
        for part in layer
    ]
    inner = torch.optim.SGD(weights, lr=terms.learning_rate / run.records, momentum=FIRST_DECAY)
    inputs, outcome = torch.from_numpy(run.inputs).float(), torch.from_numpy(run.outcome).float()

    def score(seen: Any) -> Any:  # noqa: ANN401 - tensors
        for place, scale in enumerate(architecture.scales):
            seen = (weights[2 * place] @ seen + weights[2 * place + 1]).clamp(0.0, 6.0) * scale
        return (weights[-2] @ seen + weights[-1])[0]

    reached = []
    with network.one_thread():
        for noise in run.noise:
            total = torch.from_numpy(noise).float()
            for seen, label in zip(inputs, outcome, strict=True):
                at = score(seen)
                loss = torch.nn.functional.softplus(at) - label * at
                flat = torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])
                total += flat * min(1.0, terms.max_grad_norm / float(flat.norm()))
            start = 0
            for part in weights:
                part.grad = total[start : start + part.numel()].view_as(part).clone()
                start += part.numel()
            inner.step()
            reached.append(torch.nn.utils.parameters_to_vector(weights).detach().double().numpy())
    return reached


def opacus_sum(run: Followed, terms: NeuralTerms, at: Values) -> Values:
    """One sum of gradients that Opacus clips and adds up by itself."""
    with network.one_thread():
        model = network.network_with(Architecture.of(terms, run.inputs.shape[1]), at)
        private = opacus.GradSampleModule(model, loss_reduction="sum")
        optimizer = optimizers.DPOptimizer(
            torch.optim.SGD(model.parameters(), lr=1.0),
            noise_multiplier=0.0,
            max_grad_norm=terms.max_grad_norm,
            expected_batch_size=None,
            loss_reduction="sum",
        )
        network.backward(private, run.inputs, run.outcome)
        optimizer.clip_and_accumulate()
        return np.concatenate([parameter.summed_grad.numpy().ravel() for parameter in model.parameters()])


def terms_of(**changes: object) -> NeuralTerms:
    return NeuralTerms.model_validate(
        {
            "hidden": (6, 4),
            "rounds": ROUNDS,
            "optimiser": Optimiser.MOMENTUM,
            "learning_rate": 0.3,
            "max_grad_norm": 0.4,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def run_of(twenty_parties: Contract, many_rows: dict[str, Rows]) -> Callable[[NeuralTerms], Followed]:
    """Trains once for all tests that look at the same terms."""
    return cache(lambda terms: followed(twenty_parties.with_neural(terms), many_rows))


SHAPES: dict[str, dict[str, object]] = {
    "two layers": {},
    "one layer": {"hidden": (8,)},
    "logistic": {"model": "logistic", "hidden": (16,)},
    "one-hot": {"hidden": (5,), "encoding": "one-hot"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_twenty_parties_train_what_stock_opacus_trains_on_pooled_rows_with_the_same_noise(
    run_of: Callable[[NeuralTerms], Followed], shape: str
) -> None:
    """To lattice precision: a round's sum loses a lattice step per row, and weights are rounded to theirs.

    Momentum is linear in both. What the first rounds differ by is in the parameters of the later ones, and
    moves their gradients; so each round is also compared by itself, from where the federation was.
    """
    terms = terms_of(**SHAPES[shape])
    run = run_of(terms)
    rows = len(run.outcome)
    lattice = rows / min(request.scale for request in run.requests)
    assert (len(run.noise), run.requests[0].parties, lattice < 1e-3) == (ROUNDS, 20, True)

    theirs = stock_opacus(run, terms)

    weight = terms.learning_rate * lattice / run.records
    for number, (ours, other) in enumerate(zip(run.visited[1:], theirs, strict=False), start=1):
        # Each sum's error stays in the velocity, so after n rounds it has been added up to n times in n.
        bound = number**2 * weight + number * WEIGHT_STEP
        assert np.abs(ours - other).max() <= bound * (1 if number == 1 else GROWTH)
    assert np.abs(run.visited[-1] - run.visited[0]).max() > 0.05
    written = np.mean([*run.visited[1:], theirs[-1]][ROUNDS // 2 :], axis=0)
    np.testing.assert_allclose(np.array(run.trained.parameters), written, atol=GROWTH * bound)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_round_is_opacus_sum_and_the_noise_to_one_lattice_step_per_row(
    run_of: Callable[[NeuralTerms], Followed], shape: str
) -> None:
    terms = terms_of(**SHAPES[shape])
    run = run_of(terms)
    for visited, ours, request in zip(run.visited, run.sums, run.requests, strict=True):
        clipped = opacus_sum(run, terms, visited)
        assert np.abs(ours - clipped).max() <= len(run.outcome) / request.scale
        assert np.abs(clipped).max() > 1000 * len(run.outcome) / request.scale


def test_the_noise_is_that_of_twenty_shares(run_of: Callable[[NeuralTerms], Followed]) -> None:
    """Were a share left out, or added twice, what is left of the opened sums would show it."""
    run = run_of(terms_of(hidden=(60, 20), rounds=2))
    for noise, request in zip(run.noise, run.requests, strict=True):
        deviation = np.sqrt(20 * request.share_variance) / request.scale
        assert noise.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * noise.size))
        assert abs(noise.mean()) < 4 * deviation / np.sqrt(noise.size)


def test_the_noise_is_in_the_trained_model(run_of: Callable[[NeuralTerms], Followed]) -> None:
    """The comparison above would fail for a run without noise."""
    terms = terms_of()
    run = run_of(terms)
    assert np.abs(stock_opacus(run, terms, noisy=False)[0] - run.visited[1]).max() > 1e-3


def test_adam_is_torchs_on_the_same_sums(run_of: Callable[[NeuralTerms], Followed]) -> None:
    """Adam divides by what it has seen, so lattice steps are compared with the size of the sums."""
    terms = terms_of(optimiser=Optimiser.ADAM, learning_rate=0.05)
    run = run_of(terms)
    for ours, other in zip(run.visited[1:], stock_opacus(run, terms), strict=False):
        np.testing.assert_allclose(ours, other, atol=2e-3)
    assert np.abs(run.visited[-1] - run.visited[0]).max() > 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_textbooks_loop_in_single_precision_comes_close(
    run_of: Callable[[NeuralTerms], Followed], shape: str
) -> None:
    """A record whose unit is at a kink to within single precision has another gradient: one in some runs."""
    terms = terms_of(**SHAPES[shape])
    run = run_of(terms)
    for ours, other in zip(run.visited[1:], plain_torch(run, terms), strict=False):
        np.testing.assert_allclose(ours, other, atol=2e-3)
