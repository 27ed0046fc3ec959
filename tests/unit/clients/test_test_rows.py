"""Sums over test rows at a node: which rows, what it writes down, and what no server can make it do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from clients.file_books import EVIDENCE, LEDGER, FileBooks
from clients.memory import FileMemory
from clients.node import Node, Submitter
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import NO_OPENINGS, extend_openings, submission_digest
from fedscore.sums import Side
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, Disjoint, aligned, leaves
from privacy.dp.randomness import SystemRandomness
from privacy.evidence import Entry, read_evidence
from privacy.ledger import Limits
from simulations.keys import simulated_identity
from simulations.plain import PlainMember, PlainSealer
from tests.evaluations import product_contract, product_rows

NORTH = simulated_identity("north")
RUN, SECOND_RUN = "ab" * 16, "cd" * 16
DELTA = 1e-5
TRAINING_SUMS = 10
AGENDAS: dict[tuple[int, str], Agenda] = {}
"""Derived once: they are public, and the same for everybody."""

LIMITS = Limits(epsilon=50.0, delta=DELTA, run_epsilon=50.0)


@dataclass
class Table:
    """One node over its files, and a server that shows it whatever it likes.

    The server makes openings up: a node cannot tell, and the program goes on with any.
    """

    contract: Contract
    folder: Path
    series: KeySeries
    run: str = RUN
    round: int = 1
    limits: Limits = LIMITS
    has_test_rows: bool = True
    head: Head = field(init=False)
    openings: tuple[npt.NDArray[np.int64], ...] = ()
    loaded: list[Side] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.head = self.series.genesis
        self.rows = {
            Side.TRAINING: product_rows(self.contract, 40, 1),
            Side.TEST: product_rows(self.contract, 30, 2),
        }

    def agenda(self, run: str) -> Agenda:
        key = (self.contract.privacy.spare_rounds, run)
        if key not in AGENDAS:
            AGENDAS[key] = Agenda(self.contract, run=run)
        return AGENDAS[key]

    @property
    def books(self) -> FileBooks:
        return FileBooks(
            self.folder / "books",
            party="north",
            signer=NORTH,
            signing_key=NORTH.public.signing_key,
            source="warehouse",
            limits=self.limits,
            policy="99" * 32,
        )

    @property
    def node(self) -> Node:
        """As a fresh process would begin."""

        def loading(side: Side) -> Callable[[dt.date], Rows]:
            def load(_day: dt.date) -> Rows:
                self.loaded.append(side)
                return self.rows[side]

            return load

        return Node(
            name="north",
            contract=self.contract,
            series=self.series,
            signer=NORTH,
            memory=FileMemory(self.folder / "state", self.series),
            books=self.books,
            submitter=Submitter(
                load_rows=loading(Side.TRAINING),
                load_test_rows=loading(Side.TEST) if self.has_test_rows else None,
                sealer=PlainSealer(),
                randomness=SystemRandomness(),
            ),
            member=PlainMember(),
            agenda_of=lambda _contract, run: self.agenda(run),
        )

    def turn(self) -> Turn:
        return self.agenda(self.run).turn(self.openings, round_number=self.round, head=self.head.hash)

    def ask(self, digest: str | None = None) -> Ask:
        return Ask(
            phase=Phase.COLLECT,
            run=self.run,
            round=self.round,
            contract_hash=self.contract.hash(),
            head=self.head,
            opening=b"",
            head_signatures={},
            openings=self.openings,
            submissions={},
            request_hash=digest or self.turn().envelope.digest,
        )

    def answer(self, ask: Ask | None = None) -> Reply | Refusal:
        return self.node.answer(ask or self.ask())

    def payload(self) -> bytes:
        answer = self.answer()
        assert isinstance(answer, Reply), f"refused: {answer}"
        return answer.payload

    def refusal(self, ask: Ask | None = None) -> RefusalCode:
        answer = self.answer(ask)
        assert isinstance(answer, Refusal)
        return answer.code

    def close(self, payload: bytes) -> None:
        """The round is opened, to what this node sent alone."""
        opening = np.frombuffer(payload, dtype="<i8").astype(np.int64)
        self.head = Head(
            key_id=self.head.key_id,
            round=self.round,
            run=self.run,
            step=len(self.openings) + 1,
            request=self.turn().envelope.digest,
            openings=extend_openings(self.head.openings if self.openings else NO_OPENINGS, opening),
            opening=hashlib.sha256(b"").hexdigest(),
            submissions={"north": submission_digest(payload)},
            previous=self.head.hash,
        )
        self.openings = (*self.openings, opening)
        self.round += 1

    def play(self, sums: int) -> None:
        for _ in range(sums):
            self.close(self.payload())

    def begin(self, run: str) -> None:
        self.run, self.openings = run, ()

    def spent(self) -> float:
        books = self.books
        with books.locked():
            books.verify()
            return books.spending().guarantee(delta=DELTA).epsilon

    def charges(self) -> list[Entry]:
        data = (self.folder / "books" / EVIDENCE).read_bytes()
        entries = read_evidence(data, signing_key=NORTH.public.signing_key)
        return [entry for entry in entries if entry.kind == "charge"]


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table]:
    # Only a machine that dies needs the sync.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)

    def make(contract: Contract, **changes: object) -> Table:
        key = simulated_identity("auditor").public.signing_key
        series = KeySeries(
            genesis=Head.genesis("5" * 64, "12" * 32),
            member_names={1: "auditor"},
            member_keys={1: key},
            colluding_members=0,
        )
        FileMemory.create(tmp_path / "state", series, abstains=False)
        FileBooks.create(
            tmp_path / "books",
            party="north",
            source="warehouse",
            signer=NORTH,
            signing_key=NORTH.public.signing_key,
        )
        return Table(contract=contract, folder=tmp_path, series=series, **changes)  # type: ignore[arg-type]  # fields

    return make


def test_a_run_is_charged_its_dearer_side_across_restarts_and_rebuilding(
    lay: Callable[..., Table], contract: Contract
) -> None:
    table = lay(contract)
    agenda = table.agenda(RUN)
    table.play(TRAINING_SUMS)
    training = table.spent()
    table.play(agenda.rounds - TRAINING_SUMS)

    # Each side costs all of the epsilon to a few thousandths, and both together do too.
    of_sides = [
        guarantee(
            Composed(
                events=tuple(
                    leaf
                    for request in agenda.requests
                    if request.side is side
                    for leaf in leaves(request.event)
                )
            ),
            delta=DELTA,
        ).epsilon
        for side in Side
    ]
    assert training == of_sides[0]
    assert table.spent() == max(of_sides) <= contract.privacy.epsilon
    together = Composed(events=tuple(request.event for request in agenda.requests))
    assert guarantee(together, delta=DELTA).epsilon > 1.3 * table.spent()

    before = table.spent()
    (table.folder / "books" / LEDGER).unlink()
    assert table.spent() == before


def test_two_runs_cost_the_sum_of_their_dearer_sides(lay: Callable[..., Table], contract: Contract) -> None:
    table = lay(contract)
    for run in (RUN, SECOND_RUN):
        table.begin(run)
        table.play(table.agenda(run).rounds)
    twice = Composed(events=(table.agenda(RUN).event,) * 2)
    assert table.spent() == guarantee(twice, delta=DELTA).epsilon > contract.privacy.epsilon


def test_a_budget_for_one_run_pays_for_its_evaluation_and_for_no_other_run(
    lay: Callable[..., Table], contract: Contract
) -> None:
    limit = Agenda(contract, run=RUN).record.epsilon
    table = lay(contract, limits=Limits(epsilon=limit, delta=DELTA, run_epsilon=limit))
    table.play(table.agenda(RUN).rounds)
    table.begin(SECOND_RUN)
    assert table.refusal() is RefusalCode.BUDGET


def test_each_sum_is_over_the_rows_of_its_side(lay: Callable[..., Table], contract: Contract) -> None:
    table = lay(contract)
    rounds = table.agenda(RUN).rounds
    table.play(rounds)
    assert table.loaded == [Side.TRAINING] * TRAINING_SUMS + [Side.TEST] * (rounds - TRAINING_SUMS)
    assert [request.side for request in table.agenda(RUN).requests] == table.loaded
    # In the evidence, too, it can be seen on which side each sum was.
    events = [cast("list[dict[str, int]]", entry.body["event"]) for entry in table.charges()]
    assert ["part" in event[0] for event in events] == [side is Side.TEST for side in table.loaded]


@pytest.mark.parametrize("sums", [0, TRAINING_SUMS - 1, TRAINING_SUMS, TRAINING_SUMS + 2])
def test_no_server_moves_a_sum_to_the_other_side(
    lay: Callable[..., Table], contract: Contract, sums: int
) -> None:
    """The side is derived here, and in the hash of what the server says that it derived."""
    table = lay(contract)
    table.play(sums)
    honest = table.turn().envelope.request
    moved = dataclasses.replace(honest, side=Side.TEST if honest.side is Side.TRAINING else Side.TRAINING)
    digest = moved.digest(
        contract_hash=contract.hash(),
        run=RUN,
        round_number=table.round,
        step=len(table.openings),
        head=table.head.hash,
        openings=table.head.openings if table.openings else NO_OPENINGS,
    )
    table.loaded.clear()
    before = table.spent(), len(table.charges())
    assert table.refusal(table.ask(digest)) is RefusalCode.REQUEST
    assert table.loaded == []
    assert (table.spent(), len(table.charges())) == before
    # And with the true one it is answered.
    table.payload()


def test_a_test_sum_is_answered_once(lay: Callable[..., Table], contract: Contract) -> None:
    table = lay(contract)
    table.play(TRAINING_SUMS + 1)
    table.payload()
    table.round += 1
    assert table.refusal() is RefusalCode.BUDGET
    assert len(table.charges()) == TRAINING_SUMS + 2


def test_a_spare_round_of_a_test_sum_is_charged_on_the_test_side(
    lay: Callable[..., Table], contract: Contract
) -> None:
    table = lay(contract.with_privacy(spare_rounds=1))
    agenda = table.agenda(RUN)
    table.play(TRAINING_SUMS + 1)
    table.payload()
    table.round += 1
    table.play(agenda.rounds - TRAINING_SUMS - 1)

    events = [request.event for request in agenda.requests]
    true = aligned([*events, events[TRAINING_SUMS + 1]])
    assert isinstance(true, Disjoint)
    assert table.spent() == guarantee(true, delta=DELTA).epsilon <= agenda.record.epsilon
    # The one spare round is used, on whichever side.
    table.round += 1
    table.openings = table.openings[:-1]
    assert isinstance(table.answer(), Refusal)


def test_a_training_sum_is_not_asked_for_again_after_test_sums(
    lay: Callable[..., Table], contract: Contract
) -> None:
    table = lay(contract.with_privacy(spare_rounds=2))
    table.play(TRAINING_SUMS + 1)
    earlier = table.openings[:3]
    ask = dataclasses.replace(table.ask(), openings=earlier)
    assert table.refusal(ask) is RefusalCode.TRANSCRIPT


def test_a_node_without_test_rows_refuses_to_evaluate(lay: Callable[..., Table], contract: Contract) -> None:
    table = lay(contract, has_test_rows=False)
    table.play(TRAINING_SUMS)
    assert table.refusal() is RefusalCode.REQUEST
    assert table.loaded == [Side.TRAINING] * TRAINING_SUMS


def test_killed_before_the_answer_to_a_test_sum_a_node_charges_it_once_and_answers(
    lay: Callable[..., Table], contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Like a process that dies: nobody catches it."""

    table = lay(contract)
    table.play(TRAINING_SUMS)

    def dies(*_: object) -> None:
        raise Killed

    for dying in ("clients.memory.FileMemory.store", "clients.file_books.FileBooks.sent"):
        with monkeypatch.context() as patch:
            patch.setattr(dying, dies)
            with pytest.raises(Killed):
                table.answer()
    first = table.payload()
    # Between its answer and the opening it dies as well, and says the same again.
    assert table.payload() == first
    assert len(table.charges()) == TRAINING_SUMS + 1
    table.close(first)
    table.play(table.agenda(RUN).rounds - TRAINING_SUMS - 1)
    assert table.spent() == guarantee(table.agenda(RUN).event, delta=DELTA).epsilon
