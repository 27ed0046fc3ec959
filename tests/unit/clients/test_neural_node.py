"""A node under a contract with a neural model: it prices the run itself, and answers to no other."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clients.file_books import EVIDENCE, FileBooks
from clients.memory import MemoryOnly
from clients.node import Node, Submitter
from fedscore.contract import Contract, NeuralModelKind, NeuralTerms, NoiseMode, Training
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.messages import Phase, RefusalCode
from fedscore.messages.transcript import chain_openings
from privacy.dp.randomness import SystemRandomness
from privacy.evidence import Entry, read_evidence
from privacy.ledger import Limits, event_fields
from simulations.keys import simulated_identity
from simulations.loopback.parties import as_toml
from simulations.plain import PlainSealer

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

NORTH = simulated_identity("north")
SHARED = NeuralTerms(model=NeuralModelKind.LOGISTIC, rounds=2, one_in=10, max_grad_norm=1.0)
LOCAL = NeuralTerms(
    model=NeuralModelKind.LOGISTIC, training=Training.LOCAL, rounds=2, local_steps=3, one_in=5
)


Neural = Callable[..., Contract]


@pytest.fixture(scope="module")
def neural(tiny_contract: Contract) -> Neural:
    """The small contract with a neural model; the same one for the same terms, so that it is priced once."""

    @functools.cache
    def make(terms: NeuralTerms, epsilon: float = 1.0) -> Contract:
        noise = NoiseMode.LOCAL if terms.training is Training.LOCAL else NoiseMode.SHARED
        return tiny_contract.with_privacy(noise=noise, epsilon=epsilon).with_neural(terms)

    return make


@pytest.fixture
def read() -> list[str]:
    """Grows with every reading of rows."""
    return []


@pytest.fixture
def make_node(
    make_bench: Callable[..., Bench], make_rows: Callable[[int, int], Rows], tmp_path: Path, read: list[str]
) -> Callable[..., Bench]:
    """A bench whose node of north keeps real books and derives everything by itself."""

    def make(contract: Contract, *, limit: float = 10.0) -> Bench:
        bench = make_bench(contract)
        identity: dict[str, Any] = {
            "party": "north",
            "source": "warehouse",
            "signer": NORTH,
            "signing_key": NORTH.public.signing_key,
        }
        FileBooks.create(tmp_path, **identity)
        limits = Limits(epsilon=limit, delta=contract.privacy.delta, run_epsilon=limit)

        def load_rows(_day: object) -> Rows:
            read.append("rows")
            return make_rows(30, 0)

        bench.nodes["north"] = Node(
            name="north",
            contract=contract,
            series=bench.series,
            signer=NORTH,
            memory=MemoryOnly(bench.series),
            books=FileBooks(tmp_path, limits=limits, policy="99" * 32, **identity),
            submitter=Submitter(load_rows=load_rows, sealer=PlainSealer(), randomness=SystemRandomness()),
            member=None,
        )
        return bench

    return make


def entries(folder: Path) -> list[Entry]:
    return list(read_evidence((folder / EVIDENCE).read_bytes(), signing_key=NORTH.public.signing_key))


@pytest.mark.parametrize("terms", [SHARED, LOCAL], ids=["shared", "local"])
def test_a_node_reserves_and_charges_what_it_derives_itself(
    make_node: Callable[..., Bench], neural: Neural, tmp_path: Path, terms: NeuralTerms
) -> None:
    contract = neural(terms)
    bench = make_node(contract)
    for _ in range(3):
        submissions = bench.collect()
        bench.close(submissions)
    agenda = Agenda(contract, run=bench.run)
    told = entries(tmp_path)
    (reserved,) = [entry.body["reserved"] for entry in told if entry.kind == "run"]
    assert reserved == event_fields(agenda.event)
    charged: list[Any] = [entry.body["event"] for entry in told if entry.kind == "charge"]
    assert charged == [event_fields(request.event) for request in agenda.requests]
    steps = 3 if terms.training is Training.LOCAL else 1
    assert [leaf["repetitions"] for event in charged[1:] for leaf in event] == [steps] * 2
    assert agenda.record.epsilon <= contract.privacy.epsilon


LIES: Mapping[str, tuple[NeuralTerms, dict[str, Any], float]] = {
    "a smaller sample": (SHARED, {"one_in": 1000}, 1.0),
    "no sample": (SHARED, {"one_in": 1}, 1.0),
    "less noise": (SHARED, {}, 8.0),
    "more rounds": (SHARED, {"rounds": 3}, 1.0),
    "a larger norm": (SHARED, {"max_grad_norm": 8.0}, 1.0),
    "more steps at home": (LOCAL, {"local_steps": 30}, 1.0),
    "fewer steps at home": (LOCAL, {"local_steps": 1}, 1.0),
    "less noise at home": (LOCAL, {}, 8.0),
    "a smaller sample at home": (LOCAL, {"one_in": 50}, 1.0),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_asks_for_another_training_is_refused_and_nothing_is_charged(
    make_node: Callable[..., Bench], neural: Neural, tmp_path: Path, read: list[str], lie: str
) -> None:
    terms, changes, epsilon = LIES[lie]
    contract = neural(terms)
    bench = make_node(contract)
    bench.close(bench.collect())
    rows, lines = list(read), len(entries(tmp_path))
    other = Agenda(neural(terms.model_copy(update=changes), epsilon), run=bench.run).requests[1]
    asked = other.digest(
        contract_hash=bench.contract_hash,
        run=bench.run,
        round_number=bench.round,
        step=1,
        head=bench.head.hash,
        openings=chain_openings(bench.openings),
    )
    honest = bench.ask(Phase.COLLECT)
    assert asked != honest.request_hash

    refused = bench.refusal("north", replace(honest, request_hash=asked))

    assert refused is RefusalCode.REQUEST
    assert read == rows
    assert [entry.kind for entry in entries(tmp_path)[lines:]] == ["refusal"]
    assert bench.payload("north", honest)


@pytest.mark.parametrize("terms", [SHARED, LOCAL], ids=["shared", "local"])
def test_a_run_that_cannot_be_paid_for_is_refused_at_hello_without_reading_rows(
    make_node: Callable[..., Bench],
    neural: Neural,
    tmp_path: Path,
    read: list[str],
    terms: NeuralTerms,
) -> None:
    contract = neural(terms)
    bench = make_node(contract, limit=0.9)
    assert bench.refusal("north", bench.ask(Phase.HELLO)) is RefusalCode.BUDGET
    assert bench.refusal("north", bench.ask(Phase.COLLECT)) is RefusalCode.BUDGET
    assert read == []
    assert [entry.kind for entry in entries(tmp_path)] == ["began", "refusal", "refusal"]


WATCHED = """
import json
import sys
from dataclasses import replace

import numpy as np

import clients.app
import clients.node
from fedscore.contract import load_contract
from fedscore.data import Rows
from fedscore.messages import Phase
from simulations.federation import train_federation

contract = load_contract(sys.argv[1])
answer, noised_total, phases = clients.node.Node.answer, clients.node.noised_total, set()


def answered(node, ask):
    given = answer(node, ask)
    phases.add(str(ask.phase))
    if ask.phase is Phase.OPEN:
        # Plain sums have nothing to prove; what the node does before it comes to that is the same.
        answer(node, replace(ask, phase=Phase.PROVE))
        phases.add(str(Phase.PROVE))
    return given


def without_gradients(query, rows, request, **named):
    if request.name == "outcomes":
        return noised_total(query, rows, request, **named)
    return np.zeros(request.dimension, dtype=np.int64)


def loaded_after_a_run():
    trained = train_federation(contract, dict.fromkeys(contract.parties_by_name, rows), seed=1).trained
    trained.probability(rows.cells)
    return sorted({"torch", "opacus"} & set(sys.modules))


clients.node.Node.answer = answered
rows = Rows(
    cells=np.zeros((20, len(contract.tables)), dtype=np.int32),
    outcome=np.arange(20, dtype=np.int8) % 2,
    ids=np.array([str(number) for number in range(20)], dtype=object),
)
clients.node.noised_total = without_gradients
before = loaded_after_a_run()
if sys.argv[2] == "both":
    clients.node.noised_total = noised_total
print(json.dumps([sorted(phases), before, loaded_after_a_run()]))
"""


@pytest.mark.parametrize(
    ("terms", "runs", "loaded"),
    # Once is enough to see that the check can see it.
    [(SHARED, "both", ["opacus", "torch"]), (LOCAL, "without", [])],
    ids=["shared", "local"],
)
def test_only_who_computes_gradients_loads_torch_and_opacus(
    neural: Neural, tmp_path: Path, terms: NeuralTerms, runs: str, loaded: list[str]
) -> None:
    """Hello, opening, proving, the first sum, the server's part and the finished model need neither."""
    path = tmp_path / "contract.toml"
    path.write_text(as_toml(neural(terms).model_dump(mode="json")))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(path), runs],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    phases, before, after = json.loads(done.stdout.splitlines()[-1])
    assert phases == ["collect", "hello", "open", "prove"]
    assert (before, after) == ([], loaded)
