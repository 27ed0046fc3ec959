"""The audit of a federation's files finds each thing that must not be, and nothing where all is well."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from clients.books import Expense, Price
from clients.file_books import EVIDENCE, LEDGER, FileBooks
from clients.memory import Collected, NodeState, Release
from fedscore.messages import Head
from fedscore.messages.transcript import submission_digest
from fedscore.sums import SumShape
from privacy.dp.events import Composed, DistributedGaussian
from privacy.ledger import Limits
from privacy.paillier.packing import SlotLayout
from server.checkpoint import Checkpoint, Stage
from server.chronicle import Standing
from server.record import RunStatus
from simulations.keys import simulated_identity
from simulations.loopback.audit import Left, NodeFiles, audit
from simulations.loopback.sightings import Sighting, keep_checkpoint, keep_standing, read_sightings

KEY = "c" * 64
RUN = "1" * 32
REQUEST = "e" * 64
NAMES = ("north", "south", "west")
ROUNDS = 2
EVENT = DistributedGaussian(
    dimension=4, honest_shares=2, sensitivity_squared=1 << 20, share_variance=1 << 26, total_shares=3
)
PRICE = Price(run=RUN, contract="2" * 64, program=Composed(events=(EVENT,) * 4), epsilon=1.0)
SHAPE = SumShape(layout=SlotLayout(width=44, max_abs=1 << 20, max_summands=3, slots=40), dimension=4)


def submission(party: str, number: int) -> bytes:
    return f"vector of {party} for round {number}".encode()


def cohort(number: int, *, without: str = "") -> dict[str, str]:
    return {name: submission_digest(submission(name, number)) for name in NAMES if name != without}


def heads() -> list[Head]:
    """Of the key's beginning, and of each round."""
    chain = [Head.genesis(KEY, "9" * 64)]
    for number in range(1, ROUNDS + 1):
        chain.append(
            chain[-1].successor(
                round_number=number,
                run=RUN,
                step=number - 1,
                request=REQUEST,
                submissions=cohort(number),
                values=opening(number),
                opening=b"proof %d" % number,
            )
        )
    return chain


def opening(number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.full(4, number, dtype=np.int64)


@dataclass
class World:
    """A federation whose two rounds were opened as they should be."""

    folder: Path
    nodes: list[NodeFiles] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    ends: dict[str, RunStatus] = field(default_factory=lambda: {RUN: RunStatus.FINISHED})

    def found(self) -> list[str]:
        return audit(self.nodes, self.sightings, ends=self.ends, price=lambda _step: EVENT)

    def books(self, name: str) -> FileBooks:
        identity = simulated_identity(name)
        return FileBooks(
            self.folder / name,
            party=name,
            signer=identity,
            signing_key=identity.public.signing_key,
            source="tables",
            limits=Limits(epsilon=50.0, delta=1e-5, run_epsilon=50.0),
            policy="5" * 64,
        )

    def write(self, name: str, *, rounds: Mapping[int, Mapping[str, str]], charged: bool = True) -> None:
        """Writes a node's books: what it charged, sent, and helped to open."""
        identity = simulated_identity(name)
        FileBooks.create(
            self.folder / name,
            party=name,
            source="tables",
            signer=identity,
            signing_key=identity.public.signing_key,
        )
        books = self.books(name)
        for number, submissions in rounds.items():
            with books.locked():
                if charged:
                    books.charge(
                        Expense(
                            key=KEY,
                            round=number,
                            name=f"sum {number}",
                            request=REQUEST,
                            event=EVENT,
                            price=PRICE,
                        )
                    )
                    books.sent(KEY, number, submission_digest(submission(name, number)))
                books.opened(KEY, release(number, submissions))

    def replaced(self, name: str, **changes: object) -> None:
        self.nodes = [
            replace(node, **changes) if node.name == name else node  # type: ignore[arg-type]  # by the tests' names
            for node in self.nodes
        ]

    def node(self, name: str) -> NodeFiles:
        (found,) = (node for node in self.nodes if node.name == name)
        return found

    def begun_anew(self, name: str, **how: object) -> None:
        for file in (self.folder / name).iterdir():
            file.unlink()
        self.write(name, **how)  # type: ignore[arg-type]  # by the tests' names


def release(number: int, submissions: Mapping[str, str], *, product: str = "d" * 64) -> Release:
    return Release(
        round=number,
        run=RUN,
        step=number - 1,
        request=REQUEST,
        head=heads()[number - 1].hash,
        submissions=submissions,
        product=product,
        shape=SHAPE,
    )


def left(name: str) -> list[Left]:
    answers = []
    for number in range(1, ROUNDS + 1):
        digest = submission_digest(submission(name, number))
        answers.append(Left(round=number, run=RUN, digest=digest, submissions={}))
        partial = submission_digest(b"partial %d" % number)
        answers.append(Left(round=number, run=RUN, digest=partial, submissions=cohort(number)))
    return answers


def state(name: str) -> NodeState:
    collected = Collected(
        round=ROUNDS,
        run=RUN,
        step=ROUNDS - 1,
        openings="0" * 64,
        request=REQUEST,
        head_round=ROUNDS - 1,
        repeats=0,
        submission=submission(name, ROUNDS),
    )
    return NodeState(head=heads()[ROUNDS - 1], collected=collected, released=None)


def server_writes(folder: Path) -> None:
    """What a server writes while the two rounds take place."""
    chain = heads()
    for number in range(1, ROUNDS + 1):
        before = Standing(round=number, head=chain[number - 1])
        after = Standing(round=number, head=chain[number])
        done = tuple(opening(one) for one in range(1, number))
        at = Checkpoint(
            run=RUN,
            contract_hash="2" * 64,
            standing=before,
            round=number,
            stage=Stage.COLLECT,
            parties=frozenset(NAMES),
            openings=done,
        )
        sent = {name: submission(name, number) for name in NAMES}
        for checkpoint in (
            at,
            replace(at, stage=Stage.OPEN, submissions=sent),
            replace(at, stage=Stage.OPENED, standing=after, openings=(*done, opening(number))),
        ):
            for stored in (False, True):
                keep_checkpoint(folder, checkpoint, stored=stored)
            for stored in (False, True):
                keep_standing(folder, checkpoint.standing, stored=stored)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(folder=tmp_path)
    for name in NAMES:
        made.write(name, rounds={number: cohort(number) for number in range(1, ROUNDS + 1)})
        made.nodes.append(
            NodeFiles(
                name=name,
                signing_key=simulated_identity(name).public.signing_key,
                evidence=tmp_path / name / EVIDENCE,
                books=made.books(name),
                state=state(name),
                left=left(name),
            )
        )
    server_writes(tmp_path / "kept")
    made.sightings = read_sightings(tmp_path / "kept")
    return made


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    assert len(world.sightings) == 12 * ROUNDS
    assert world.sightings[-3].openings == tuple(opening(number).tobytes() for number in (1, 2))

    assert world.found() == []


def ledger_with_a_line_removed(world: World) -> None:
    with sqlite3.connect(world.folder / "south" / LEDGER) as connection:
        connection.execute("DELETE FROM charges WHERE round = 2")


def evidence_with_a_byte_flipped(world: World) -> None:
    file = world.folder / "south" / EVIDENCE
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    (world.folder / "south" / LEDGER).unlink()


def older_evidence(world: World) -> None:
    file = world.folder / "south" / EVIDENCE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))


def a_charge_that_is_missing(world: World) -> None:
    world.begun_anew("south", rounds={1: cohort(1)})


def an_opening_that_is_missing(world: World) -> None:
    others = {number: cohort(number) for number in (1, 2)}
    world.begun_anew("south", rounds=others)
    extra = Left(round=3, run=RUN, digest="a" * 64, submissions=cohort(2))
    world.replaced("south", left=[*left("south"), extra])


def two_cohorts_in_evidence(world: World) -> None:
    world.begun_anew("south", rounds={1: cohort(1), 2: cohort(2, without="west")})


def two_cohorts_in_checkpoints(world: World) -> None:
    place = next(number for number, one in enumerate(world.sightings) if one.submissions and one.stored)
    other = replace(world.sightings[place], submissions=cohort(1, without="west"))
    world.sightings.insert(place, other)


def two_cohorts_that_left_one_member(world: World) -> None:
    partial = submission_digest(b"another partial")
    other = Left(round=2, run=RUN, digest=partial, submissions=cohort(2, without="west"))
    world.replaced("south", left=[*left("south"), other])


def two_products(world: World) -> None:
    for file in (world.folder / "south").iterdir():
        file.unlink()
    world.write("south", rounds={1: cohort(1)})
    books = world.books("south")
    with books.locked():
        books.charge(Expense(key=KEY, round=2, name="s", request=REQUEST, event=EVENT, price=PRICE))
        books.sent(KEY, 2, submission_digest(submission("south", 2)))
        books.opened(KEY, release(2, cohort(2), product="f" * 64))


def two_submissions(world: World) -> None:
    second = Left(round=2, run=RUN, digest=submission_digest(b"a second vector"), submissions={})
    world.replaced("south", left=[*left("south"), second])


def a_second_vector_in_the_memory(world: World) -> None:
    known = state("south")
    assert known.collected is not None
    changed = replace(known, collected=replace(known.collected, submission=b"a second vector"))
    world.replaced("south", state=changed)


def two_heads_of_a_round(world: World) -> None:
    world.replaced("south", state=replace(state("south"), head=replace(heads()[1], opening="f" * 64)))


def two_values_of_a_sum(world: World) -> None:
    last = world.sightings[-3]
    world.sightings[-3] = replace(last, openings=(opening(7).tobytes(), last.openings[1]))


def an_operator_that_goes_back(world: World) -> None:
    world.sightings.append(next(one for one in world.sightings if one.stored))


def a_head_that_follows_nothing(world: World) -> None:
    head = replace(heads()[2], round=9, previous="8" * 64)
    world.sightings.append(replace(world.sightings[-1], head=head, round=9))


def a_run_without_an_end(world: World) -> None:
    world.ends = {RUN: RunStatus.INTERRUPTED}


def a_run_that_nobody_knows(world: World) -> None:
    world.ends = {}


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (ledger_with_a_line_removed, "south: ledger.db does not say what evidence.jsonl adds up to"),
        (ledger_with_a_line_removed, "south: its ledger shows mu"),
        (evidence_with_a_byte_flipped, "is not what its signer wrote there"),
        (older_evidence, "south: the evidence is not the record that its ledger has read"),
        (a_charge_that_is_missing, "south: round 2 is in a head of the operator's, and was never charged"),
        (a_charge_that_is_missing, "south: round 2 is in what left it, and was never charged"),
        (a_charge_that_is_missing, "south: its ledger shows mu"),
        (an_opening_that_is_missing, "south: it helped to open round 3, and its evidence does not say so"),
        (two_cohorts_in_evidence, "round 2 has 2 cohorts"),
        (two_cohorts_in_checkpoints, "round 1 has 2 cohorts"),
        (two_cohorts_that_left_one_member, "round 2 has 2 cohorts"),
        (two_cohorts_that_left_one_member, "south: 2 different partial openings of round 2 left it"),
        (two_products, "round 2 has 2 products"),
        (two_submissions, "south: 2 different submissions of round 2 are known"),
        (two_submissions, "south: its evidence does not hold what it sent for round 2, as what left it has"),
        (a_second_vector_in_the_memory, "south: 2 different submissions of round 2 are known"),
        (two_heads_of_a_round, "round 1 was opened 2 times"),
        (two_values_of_a_sum, f"sum 1 of run {RUN} was opened with 2 different values"),
        (an_operator_that_goes_back, "the operator went back from round 2 to 1"),
        (an_operator_that_goes_back, "the operator went back from the head of 2 to that of 0"),
        (a_head_that_follows_nothing, "the head of round 9 does not follow the one of 2"),
        (a_run_without_an_end, f"run {RUN} did not end: interrupted"),
        (a_run_that_nobody_knows, f"run {RUN} did not end: nobody knows how it stands"),
    ],
)
def test_what_must_not_be_is_found(world: World, forge: Callable[[World], None], said: str) -> None:
    forge(world)

    found = world.found()

    assert any(said in what for what in found), found


def test_what_was_never_written_binds_nobody(world: World) -> None:
    place = next(number for number, one in enumerate(world.sightings) if one.submissions)
    begun = replace(world.sightings[place], submissions=cohort(1, without="west"), stored=False)
    done = replace(world.sightings[-1], stored=False)
    world.sightings[place:place] = [begun, done]

    assert world.found() == []


def test_rounds_of_a_node_that_do_not_grow_are_found(world: World) -> None:
    world.begun_anew("south", rounds={2: cohort(2), 1: cohort(1)}, charged=False)

    assert "south: the rounds that it helped to open do not grow" in world.found()
