"""Neural runs over files, both ways: the ledger says what Opacus' accountants say of the whole history.

A node of these runs lives for one message, as in a deployment: it is built anew from its files for each ask.
Their coordinator dies in mid-run and goes on from its checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from clients.file_books import EVIDENCE, FileBooks
from clients.memory import FileMemory
from clients.node import Node, Submitter
from fedscore.contract import Contract, NeuralModelKind, NeuralTerms, NoiseMode, Training
from fedscore.data import Rows
from fedscore.errors import RunFailed
from fedscore.learners.agenda import Agenda
from fedscore.learners.neural.model import NeuralModel
from fedscore.messages import Ask, Phase, Refusal, Reply
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed
from privacy.dp.randomness import SystemRandomness
from privacy.dp.renyi import ORDERS
from privacy.ledger import Limits, Spending
from server.checkpoint import FileCheckpoints
from server.chronicle import FileChronicle
from server.coordinator import RunResult
from server.transport import Silence
from simulations.keys import simulated_identity
from simulations.plain import PlainSealer

accountants = pytest.importorskip("opacus.accountants", reason="needs the extra `neural`")

Answer = Reply | Refusal | Silence
Step = tuple[float, float, int]
"""As Opacus keeps its history: noise multiplier, sampling rate, steps."""

NORTH = simulated_identity("north")
DELTA = 1e-5
ROUNDS = 3
WAYS: Mapping[str, NeuralTerms] = {
    "shared": NeuralTerms(model=NeuralModelKind.LOGISTIC, rounds=ROUNDS),
    "shared, sampled": NeuralTerms(model=NeuralModelKind.LOGISTIC, rounds=ROUNDS, one_in=8),
    "local": NeuralTerms(
        model=NeuralModelKind.LOGISTIC, training=Training.LOCAL, rounds=ROUNDS, local_steps=2
    ),
    "local, sampled": NeuralTerms(
        model=NeuralModelKind.LOGISTIC, training=Training.LOCAL, rounds=ROUNDS, local_steps=4, one_in=5
    ),
}


class Killed(BaseException):
    """Like a process that dies: nobody catches it."""


@dataclass
class Reborn:
    """A node that is thrown away after every message."""

    start: Callable[[], Node]
    born: int = 0

    def answer(self, ask: Ask) -> Reply | Refusal:
        self.born += 1
        return self.start().answer(ask)


@dataclass
class World:
    """A circle in which north keeps files, and a coordinator that keeps its own."""

    circle: Any
    folder: Path
    contract: Contract
    books_at: Callable[[], FileBooks]
    derived: dict[str, Agenda]
    rows_read: list[str] = field(default_factory=list)
    dies_at: tuple[Phase, int] | None = None

    def addresses(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.circle.addresses()
        return found

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        """Dies with north's answer in hand, and before the others are asked, if it is its time."""
        answers: dict[int, Answer] = {}
        for address, ask in asks.items():
            answers |= self.circle.ask({address: ask})
            if (ask.phase, len(ask.openings)) == self.dies_at:
                raise Killed
        return answers

    def run(self, run: str) -> RunResult:
        series = self.circle.series
        checkpoints = FileCheckpoints(self.folder / "server", series)
        result: RunResult = self.circle.run(
            transport=self,
            chronicle=FileChronicle(self.folder / "server", series),
            checkpoints=checkpoints,
            run=run,
            resume=checkpoints.load(),
        )
        checkpoints.clear()
        return result

    def die_and_resume(self, run: str, phase: Phase, step: int) -> RunResult:
        self.dies_at = phase, step
        with pytest.raises(Killed):
            self.run(run)
        self.dies_at = None
        # Whoever lives on derives the run anew.
        self.derived.clear()
        return self.run(run)

    def spending(self) -> Spending:
        books = self.books_at()
        with books.locked():
            books.verify()
            return books.spending()

    def history(self) -> list[Step]:
        """What was charged, read from the evidence line by line, and put as Opacus keeps it."""
        steps: list[Step] = []
        for line in (self.folder / "books" / EVIDENCE).read_text().splitlines():
            entry = json.loads(line)
            if entry["kind"] != "charge":
                continue
            for leaf in entry["body"]["event"]:
                # What rounding to the lattice may hide of the noise: `privacy.dp.discrete_lemma`.
                variance = leaf["honest_shares"] * leaf["share_variance"] - 4
                noise = math.sqrt(variance / leaf["sensitivity_squared"])
                times = leaf.get("repetitions", 1) * leaf.get("times", 1)
                steps.append((noise, 1 / leaf.get("one_in", 1), times))
        return steps


@pytest.fixture
def make_world(
    make_circle: Callable[..., Any],
    make_rows: Callable[[int, int], Rows],
    circle_contract: Contract,
    tmp_path: Path,
) -> Callable[[NeuralTerms], World]:
    """Makes a circle under a contract with a neural model, whose north can pay for two runs."""

    def make(terms: NeuralTerms) -> World:
        is_local = terms.training is Training.LOCAL
        noise = NoiseMode.LOCAL if is_local else NoiseMode.SHARED
        contract = circle_contract.with_privacy(absent=0, noise=noise).with_neural(terms)
        derived: dict[str, Agenda] = {}

        def agenda_of(contract: Contract, run: str) -> Agenda:
            """One derivation for all that live at the same time."""
            if run not in derived:
                derived[run] = Agenda(contract, run=run)
            return derived[run]

        circle = make_circle(contract, count=60, agenda_of=agenda_of)
        program = agenda_of(contract, "00" * 16).event
        twice = guarantee(Composed(events=(program, program)), delta=DELTA).epsilon
        limits = Limits(epsilon=twice, delta=DELTA, run_epsilon=contract.privacy.epsilon)
        owner: dict[str, Any] = {
            "party": "north",
            "source": "warehouse",
            "signer": NORTH,
            "signing_key": NORTH.public.signing_key,
        }
        FileBooks.create(tmp_path / "books", **owner)
        FileMemory.create(tmp_path / "state", circle.series, abstains=False)
        (tmp_path / "server").mkdir()
        world = World(
            circle=circle,
            folder=tmp_path,
            contract=contract,
            books_at=lambda: FileBooks(tmp_path / "books", limits=limits, policy="99" * 32, **owner),
            derived=derived,
        )

        def load_rows(_day: object) -> Rows:
            world.rows_read.append("rows")
            return make_rows(60, 0)

        member = circle.nodes["north"]._member
        circle.nodes["north"] = Reborn(
            lambda: Node(
                name="north",
                contract=contract,
                series=circle.series,
                signer=NORTH,
                memory=FileMemory(tmp_path / "state", circle.series),
                books=world.books_at(),
                submitter=Submitter(load_rows=load_rows, sealer=PlainSealer(), randomness=SystemRandomness()),
                member=member,
                agenda_of=agenda_of,
            )
        )
        return world

    return make


def renyi_of(history: list[Step]) -> float:
    accountant = accountants.RDPAccountant()
    accountant.history = history
    return float(accountant.get_epsilon(DELTA, alphas=list(ORDERS)))


def numerical_of(history: list[Step]) -> tuple[float, float]:
    """Between what epsilon lies, as Opacus' numerical accountant finds it."""
    accountant, error = accountants.PRVAccountant(), 0.02
    accountant.history = history
    # At a sampling rate of 1 it takes the logarithm of 0, and goes on with what that is.
    with np.errstate(divide="ignore"):
        found = accountant._get_dprv(eps_error=error, delta_error=DELTA / 1000)
    lower, _, upper = found.compute_epsilon(DELTA, DELTA / 1000, error)
    return float(lower), float(upper)


def closed_form_of(history: list[Step]) -> float:
    """Full-batch Gaussian steps are one Gaussian step (Dong, Roth and Su 2022, Corollary 3.3)."""
    mu = math.sqrt(sum(steps / noise**2 for noise, _, steps in history))

    def beyond(epsilon: float) -> float:
        shift = epsilon / mu
        tail = math.exp(epsilon) * stats.norm.cdf(-shift - mu / 2)
        return float(stats.norm.cdf(-shift + mu / 2) - tail - DELTA)

    return float(optimize.brentq(beyond, 0.0, 100.0, xtol=1e-12))


def require_agreement(world: World) -> None:
    """The ledger's epsilon is that of Opacus, or closer to the truth, and never below it."""
    history = world.history()
    ours = world.spending().guarantee(delta=DELTA).epsilon
    lower, upper = numerical_of(history)
    if any(rate < 1 for _, rate, _ in history):
        assert ours == pytest.approx(renyi_of(history), rel=1e-6)
        assert ours > lower
    else:
        assert ours == pytest.approx(closed_form_of(history), rel=1e-6)
        assert lower < ours < upper
        assert ours < renyi_of(history)


@pytest.mark.filterwarnings(
    "ignore:Optimal order is the largest alpha"
)  # where the numerical accountant looks how far to go
@pytest.mark.parametrize("way", WAYS)
def test_over_runs_and_deaths_the_ledger_says_what_opacus_says_of_the_whole_history(
    make_world: Callable[[NeuralTerms], World], way: str
) -> None:
    world = make_world(WAYS[way])
    terms = WAYS[way]

    first = world.die_and_resume("0a" * 16, Phase.COLLECT, 2)

    assert isinstance(first.trained, NeuralModel)
    assert first.trained.privacy is not None
    spent = world.spending()
    assert spent.guarantee(delta=DELTA).epsilon == first.trained.privacy.epsilon
    assert spent.guarantee(delta=DELTA).epsilon <= world.contract.privacy.epsilon
    require_agreement(world)

    second = world.die_and_resume("0b" * 16, Phase.OPEN, 1)

    assert second.trained != first.trained
    require_agreement(world)
    history = world.history()
    steps = terms.local_steps if terms.training is Training.LOCAL else 1
    assert sum(times for _, _, times in history) == 2 * (1 + ROUNDS * steps)
    assert {rate for _, rate, _ in history} == {1.0, 1 / terms.one_in}
    before, read, born = world.spending(), len(world.rows_read), world.circle.nodes["north"].born
    # The death in mid-collect had the sum computed once; it was sent again as it was.
    assert read == 2 * (1 + ROUNDS)
    assert born > 4 * (1 + ROUNDS)

    with pytest.raises(RunFailed, match=r"3 parties answered, 4 are needed(.|\n)*budget-refused"):
        world.run("0c" * 16)

    assert len(world.rows_read) == read
    assert world.spending() == before


def test_a_forgotten_charge_would_be_found(make_world: Callable[[NeuralTerms], World]) -> None:
    """The comparison above can fail."""
    world = make_world(WAYS["shared, sampled"])
    world.run("0a" * 16)
    history = world.history()
    ours = world.spending().guarantee(delta=DELTA).epsilon
    assert ours > renyi_of(history[:-1]) * (1 + 1e-4)
    assert ours > renyi_of([(noise * 1.001, rate, steps) for noise, rate, steps in history]) * (1 + 1e-4)
