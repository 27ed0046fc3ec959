"""Steps at home: Opacus counts them, our coins and our noise are in them, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, Encoding, NeuralModelKind, NeuralTerms, NoiseMode, Optimiser, Training
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.fixed_point import WEIGHT_STEP
from fedscore.learners.neural.inputs import Inputs, grid_inputs
from fedscore.learners.neural.model import NeuralModel
from fedscore.learners.neural.program import LARGEST_UPDATE, LocalUpdate
from fedscore.sums import LocalSteps, noised_total
from fedscore.sums.share import _Steps
from simulations.federation import train_federation
from simulations.randomness import SeededRandomness

torch = pytest.importorskip("torch")
opacus = pytest.importorskip("opacus")
local_training = pytest.importorskip("fedscore.learners.neural.local_training")
network = pytest.importorskip("fedscore.learners.neural.network")

Values = npt.NDArray[np.float64]
SCALE = 2**16
TERMS = NeuralTerms(hidden=(5,), training=Training.LOCAL, learning_rate=0.05, max_grad_norm=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One organisation's side of a round.

    Attributes:
        rows: Its training rows.
        architecture: The model's.
        inputs: What it sees.
        start: Public parameters.
    """

    rows: Rows
    architecture: Architecture
    inputs: Inputs
    start: Values

    def local(self, steps: int, multiplier: float) -> LocalSteps:
        return LocalSteps(
            steps=steps,
            dimension=self.architecture.parameters,
            scale=SCALE,
            sensitivity_squared=SCALE**2,
            share_variance=round((multiplier * SCALE) ** 2),
        )

    def train(
        self,
        *,
        steps: int = 4,
        multiplier: float = 0.0,
        one_in: int = 1,
        seed: int = 1,
        terms: NeuralTerms = TERMS,
        rows: Rows | None = None,
    ) -> tuple[Values, LocalSteps, list[tuple[float, float, int]]]:
        local = self.local(steps, multiplier)
        noisy = _Steps(self.rows if rows is None else rows, local, one_in, SeededRandomness(seed))
        reached, engine = local_training.trained_at_home(
            self.architecture,
            self.inputs,
            self.start,
            terms,
            steps=steps,
            records=100.0,
            noisy=noisy,
        )
        return reached, local, engine.accountant.history


@pytest.fixture(scope="module")
def home(tiny_contract: Contract, make_rows: Callable[[int, int], Rows]) -> Home:
    inputs = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED)
    architecture = Architecture.of(TERMS, len(inputs))
    return Home(
        rows=make_rows(100, 1), architecture=architecture, inputs=inputs, start=architecture.initial(0.0)
    )


@pytest.mark.parametrize("one_in", [1, 2, 10, 49])
def test_opacus_accountant_has_the_history_that_the_node_is_charged_for(home: Home, one_in: int) -> None:
    _, local, history = home.train(steps=5, multiplier=3.0, one_in=one_in)
    [(multiplier, rate, steps)] = history
    assert (multiplier, steps) == (local.noise_multiplier, 5)
    assert Fraction(rate).limit_denominator(10**6) == Fraction(1, one_in)
    assert multiplier == pytest.approx(3.0, rel=1e-4)
    assert multiplier < 3.0


def oracle(home: Home, terms: NeuralTerms, steps: int) -> Values:
    """The same steps over all rows without noise: torch's optimisers, gradients clipped by a loop."""
    with network.one_thread():
        model = network.network_with(home.architecture, home.start)
        inner = (
            torch.optim.Adam(model.parameters(), lr=terms.learning_rate, betas=(0.9, 0.99), eps=1e-6)
            if terms.optimiser is Optimiser.ADAM
            else torch.optim.SGD(model.parameters(), lr=terms.learning_rate / 100.0, momentum=0.9)
        )
        seen, outcome = home.inputs.of(home.rows.cells), torch.from_numpy(home.rows.outcome.astype(float))
        for _ in range(steps):
            totals = [torch.zeros_like(parameter) for parameter in model.parameters()]
            for record in range(len(seen)):
                score = model(torch.from_numpy(seen[record : record + 1]))[0]
                loss = torch.nn.functional.softplus(score) - outcome[record] * score
                found = torch.autograd.grad(loss, list(model.parameters()))
                norm = float(torch.cat([part.flatten() for part in found]).norm())
                factor = min(1.0, terms.max_grad_norm / (norm + 1e-6))
                totals = [total + part * factor for total, part in zip(totals, found, strict=True)]
            for parameter, total in zip(model.parameters(), totals, strict=True):
                parameter.grad = total
            inner.step()
            model.round_weights()
        return np.asarray(network.parameters_of(model))


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_without_noise_it_is_clipped_gradient_descent(home: Home, optimiser: Optimiser) -> None:
    terms = TERMS.model_copy(update={"optimiser": optimiser, "max_grad_norm": 0.5})
    local = replace(home.local(3, 0.0), sensitivity_squared=SCALE**2 // 4)
    noisy = _Steps(home.rows, local, 1, SeededRandomness(1))
    reached, _ = local_training.trained_at_home(
        home.architecture, home.inputs, home.start, terms, steps=3, records=100.0, noisy=noisy
    )
    np.testing.assert_allclose(reached, oracle(home, terms, 3), atol=2e-3)
    assert np.abs(reached - home.start).max() > 0.02


@pytest.mark.parametrize("values", [1, 300, 2000])
@pytest.mark.parametrize("one_in", [1, 2])
def test_physical_batches_change_no_bit(
    home: Home, monkeypatch: pytest.MonkeyPatch, values: int, one_in: int
) -> None:
    whole, _, history = home.train(multiplier=2.0, one_in=one_in)
    monkeypatch.setattr(local_training, "BATCH_VALUES", values)
    parts, _, split_history = home.train(multiplier=2.0, one_in=one_in)
    assert parts.tobytes() == whole.tobytes()
    assert split_history == history


def test_noise_is_in_the_result_and_comes_from_the_source_that_was_passed(home: Home) -> None:
    quiet, _, _ = home.train()
    one, _, _ = home.train(multiplier=2.0, seed=1)
    again, _, _ = home.train(multiplier=2.0, seed=1)
    other, _, _ = home.train(multiplier=2.0, seed=2)
    assert one.tobytes() == again.tobytes()
    assert np.abs(one - quiet).max() > 0.01
    assert np.abs(one - other).max() > 0.01


def test_neither_torchs_generator_nor_numpys_is_drawn_from(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _, _ = home.train(multiplier=2.0, one_in=2)

    def never(*_args: object, **_kwargs: object) -> object:
        raise AssertionError("drawn from a generator that is no secret")

    for name in ("normal", "randn", "rand", "randint", "randperm", "bernoulli", "multinomial", "randn_like"):
        monkeypatch.setattr(torch, name, never)
    for name in ("normal", "rand", "choice", "random", "permutation"):
        monkeypatch.setattr(np.random, name, never)
    # Layers are made with torch's generator, and what it wrote is overwritten before anything is computed.
    torch.manual_seed(1)
    one, _, _ = home.train(multiplier=2.0, one_in=2)
    torch.manual_seed(2)
    other, _, _ = home.train(multiplier=2.0, one_in=2)
    assert one.tobytes() == other.tobytes() == before.tobytes()


@pytest.mark.parametrize("multiplier", [0.0, 2.0])
def test_empty_samples_are_steps_like_others(home: Home, multiplier: float) -> None:
    nobody = home.rows.select(slice(0, 0))
    reached, _, history = home.train(multiplier=multiplier, rows=nobody)
    assert (reached.tobytes() == home.start.tobytes()) == (multiplier == 0.0)
    assert [steps for _, _, steps in history] == [4]
    few, _, history = home.train(
        multiplier=multiplier, rows=home.rows.select(slice(0, 2)), one_in=40, steps=12
    )
    assert np.isfinite(few).all()
    assert [steps for _, _, steps in history] == [12]


@pytest.mark.parametrize("optimiser", list(Optimiser))
@pytest.mark.parametrize("model", list(NeuralModelKind))
def test_weights_stay_on_their_grid(home: Home, optimiser: Optimiser, model: NeuralModelKind) -> None:
    terms = TERMS.model_copy(update={"optimiser": optimiser, "learning_rate": 9.0, "model": model})
    architecture = Architecture.of(terms, len(home.inputs))
    elsewhere = replace(home, architecture=architecture, start=architecture.initial(0.0))
    reached, _, _ = elsewhere.train(multiplier=5.0, terms=terms)
    assert (reached / WEIGHT_STEP == np.rint(reached / WEIGHT_STEP)).all()
    assert np.abs(reached).max() <= 15.0
    assert (reached != elsewhere.start).any()


def test_a_records_whole_influence_passes_through_the_steps(home: Home) -> None:
    """With the same noise, two tables give the same result as soon as their steps release the same sums."""
    doubled = Rows.concatenate([home.rows, home.rows])
    one, _, _ = home.train(multiplier=2.0)
    other, _, _ = home.train(multiplier=2.0, rows=doubled)
    relabelled = replace(home.rows, ids=home.rows.ids[::-1].copy(), persons=home.rows.ids.copy())
    third, _, _ = home.train(multiplier=2.0, rows=relabelled)
    assert one.tobytes() == third.tobytes() != other.tobytes()


# The average


@pytest.fixture(scope="module")
def local_contract(tiny_contract: Contract) -> Contract:
    terms = TERMS.model_copy(update={"rounds": 2, "local_steps": 2})
    return tiny_contract.with_privacy(noise=NoiseMode.NONE).with_neural(terms)


def one_round(contract: Contract, rows: list[Rows]) -> tuple[LocalUpdate, list[Values], Values]:
    """Every party's update, and the parameters of the next round."""
    agenda = Agenda(contract, run="0" * 32)
    openings: list[npt.NDArray[np.int64]] = []
    for _ in range(2):
        query, request = agenda.next_sum(openings)
        totals = [
            noised_total(query, part, request, row_cap=4000, randomness=SeededRandomness(1)) for part in rows
        ]
        openings.append(np.asarray(np.sum(totals, axis=0, dtype=np.int64)))
    assert isinstance(query, LocalUpdate)
    after, _ = agenda.next_sum(openings)
    assert isinstance(after, LocalUpdate)
    return query, [total / request.scale for total in totals], after.parameters


def test_parties_count_equally_whatever_their_rows(
    local_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = [make_rows(10, 1), make_rows(400, 2), make_rows(90, 3)]
    before, updates, after = one_round(local_contract, rows)
    assert [update[-1] for update in updates] == [1.0, 1.0, 1.0]
    mean = np.mean([update[:-1] for update in updates], axis=0)
    np.testing.assert_allclose(after, before.parameters + mean, atol=WEIGHT_STEP)
    assert np.abs(updates[0][:-1] - updates[1][:-1]).max() > 0.01


@pytest.mark.parametrize("present", [1, 2])
def test_an_absent_party_does_not_make_the_step_shorter(
    local_contract: Contract, make_rows: Callable[[int, int], Rows], present: int
) -> None:
    rows = [make_rows(60, 1), make_rows(60, 2)][:present]
    before, updates, after = one_round(local_contract, rows)
    mean = np.sum([update[:-1] for update in updates], axis=0) / present
    np.testing.assert_allclose(after, before.parameters + mean, atol=WEIGHT_STEP)


def test_no_party_moves_a_weight_by_more_than_the_bound(
    local_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    terms = TERMS.model_copy(update={"rounds": 2, "local_steps": 3, "learning_rate": 10.0})
    before, [update], after = one_round(local_contract.with_neural(terms), [make_rows(60, 1)])
    assert np.abs(update[:-1]).max() == LARGEST_UPDATE
    np.testing.assert_allclose(after, np.clip(before.parameters + update[:-1], -15, 15), atol=WEIGHT_STEP)


def test_a_federation_trains_at_home_and_tells_what_it_cost(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    terms = TERMS.model_copy(update={"rounds": 2, "local_steps": 3, "one_in": 2})
    contract = tiny_contract.with_privacy(noise=NoiseMode.LOCAL, epsilon=4.0).with_neural(terms)
    rows = {party.name: make_rows(50, number) for number, party in enumerate(contract.parties)}
    result = train_federation(contract, rows, seed=3)
    assert isinstance(result.trained, NeuralModel)
    assert result.rounds == 3
    privacy = result.trained.privacy
    assert privacy is not None
    assert privacy.epsilon == Agenda(contract, run="0" * 32).record.epsilon
    told = [event for event in privacy.events if event["sum"] != "outcomes"]
    assert [(event["steps"], event["one_in"], event["shares"]) for event in told] == [(3, 2, 1)] * 2
    assert all(int(event["share_variance"]) > 0 for event in told)
