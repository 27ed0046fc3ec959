"""Killed before, in and after everything that it writes, a node comes back and tells one story."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pytest

from clients.file_books import EVIDENCE, LEDGER, FileBooks
from clients.memory import FileMemory
from clients.node import Node, Submitter
from fedscore.card import Card
from fedscore.contract import Contract, Learner, NeuralModelKind, NeuralTerms, NoiseMode, Training
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.program import Steps
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.queries import Histogram
from fedscore.messages import Ask, Phase, Refusal, Reply
from fedscore.sums import Envelope, PlannedSum
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed
from privacy.dp.randomness import SystemRandomness
from privacy.evidence import Entry, read_evidence
from privacy.ledger import Limits
from simulations.keys import simulated_identity
from simulations.plain import PlainMember, PlainSealer

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

NORTH = simulated_identity("north")
DELTA = 1e-5
SUMS = 3
FEWEST_OPERATIONS = 60
"""A conversation of three sums writes at least this often; else the test has lost sight of the writes."""

Left = tuple[Phase, int, bytes]


class ThreeSums:
    """A program of three histograms; its card is of no interest."""

    def __init__(self, contract: Contract) -> None:
        self._axes = Axes.of(contract)

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        return tuple(
            PlannedSum(
                name=f"sum {number}",
                share=Fraction(1, SUMS),
                sensitivity_squared=Fraction(self._axes.tables_of_a_record),
                largest=Fraction(1),
                integral=True,
                dimension_limit=2 * self._axes.cells,
            )
            for number in range(1, SUMS + 1)
        )

    def steps(self) -> Steps:
        for _ in range(SUMS):
            yield Histogram(self._axes)
        return cast("Card", None)


class Shown(PlainMember):
    """Opens nothing but the product itself, so that two cohorts would be seen."""

    def __init__(self, index: int) -> None:
        self.index = index

    def partial(self, product: bytes) -> bytes:
        return product

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        return product + envelope.digest.encode()


class Moment(Enum):
    """Where in an operation a process dies, or its disk fails."""

    BEFORE = "before"
    IN = "half of it"
    AFTER = "after"


@dataclass
class Disk:
    """Counts every durable operation of this process, and ends it at one of them."""

    at: int
    moment: Moment
    end: Callable[[], None]
    operations: int = 0
    seen: list[str] = field(default_factory=list)

    def operation(self, name: str, act: Callable[[], Any], half: Callable[[], object] = lambda: None) -> Any:  # noqa: ANN401 - whatever the operation returns
        self.operations += 1
        self.seen.append(name)
        now = self.operations == self.at
        if now and self.moment is not Moment.AFTER:
            if self.moment is Moment.IN:
                half()
            self.end()
        try:
            return act()
        finally:
            # Also behind an operation that found nothing to do, such as to unlink what is not there.
            if now and self.moment is Moment.AFTER:
                self.end()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Puts itself in the way of all that writes."""
        disk, patch = self, pytest.MonkeyPatch()
        real_open, real_path_open = os.open, Path.open

        def around(module: Any, name: str) -> None:  # noqa: ANN401 - a module
            real = getattr(module, name)
            patch.setattr(
                module, name, lambda *given, **named: disk.operation(name, lambda: real(*given, **named))
            )

        for name in ("fsync", "replace", "unlink"):
            around(os, name)

        def opened(path: Any, flags: int, *given: Any, **named: Any) -> int:  # noqa: ANN401 - as os.open takes them
            if flags & os.O_CREAT:
                made: int = disk.operation("open", lambda: real_open(path, flags, *given, **named))
                return made
            return real_open(path, flags, *given, **named)

        patch.setattr(os, "open", opened)

        def path_opened(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:  # noqa: ANN401 - as Path.open takes them
            file = real_path_open(path, mode, *given, **named)
            return file if set(mode) <= set("rbt") else Watched(file, disk)

        patch.setattr(Path, "open", path_opened)

        class Connection(Unsynced):
            def execute(self, query: str, *given: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 takes them
                if query.split(maxsplit=1)[0] in ("COMMIT", "BEGIN", "INSERT", "UPDATE", "DELETE"):
                    done: sqlite3.Cursor = disk.operation(
                        query.split(maxsplit=1)[0], lambda: Unsynced.execute(self, query, *given)
                    )
                    return done
                return super().execute(query, *given)

            def executescript(self, script: str) -> sqlite3.Cursor:
                done: sqlite3.Cursor = disk.operation("script", lambda: Unsynced.executescript(self, script))
                return done

        connect = sqlite3.connect
        patch.setattr(
            sqlite3,
            "connect",
            lambda *given, **named: connect(*given, factory=Connection, **named),
        )
        try:
            yield
        finally:
            patch.undo()


class Watched:
    """A file whose writes reach the system when it is flushed, and may reach it by half."""

    def __init__(self, file: Any, disk: Disk) -> None:  # noqa: ANN401 - a binary file
        self._file = file
        self._disk = disk
        self._written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._file.close()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        data, self._written = self._written, b""
        if data:
            self._disk.operation(
                "write", lambda: self._through(data), lambda: self._through(data[: len(data) // 2])
            )

    def truncate(self, size: int) -> int:
        result: int = self._disk.operation("truncate", lambda: self._file.truncate(size))
        return result

    def seek(self, *where: int) -> int:
        self.flush()
        place: int = self._file.seek(*where)
        return place

    def fileno(self) -> int:
        number: int = self._file.fileno()
        return number

    def _through(self, data: bytes) -> None:
        self._file.write(data)
        io.BufferedWriter.flush(self._file)


@dataclass
class Stage:
    """One node over its files, and the server that asks it."""

    bench: Bench
    folder: Path
    start: Callable[[Path], Node]
    left: list[Left] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """A fresh process's node."""
        return self.start(self.folder)

    def others(self, number: int) -> dict[str, bytes]:
        """What the other parties send for a round."""
        nothing = np.zeros(AGENDAS[self.bench.run].requests[number - 1].dimension, dtype="<i8").tobytes()
        return dict.fromkeys(("south", "agency"), nothing)

    def submissions(self) -> dict[str, bytes]:
        mine = next(
            made for phase, number, made in self.left if (phase, number) == (Phase.COLLECT, self.bench.round)
        )
        return {**self.others(self.bench.round), "north": mine}

    def next_ask(self) -> Ask | None:
        """The next one of the conversation, after what has left; None at its end."""
        done = [phase for phase, number, _ in self.left if number == self.bench.round]
        if Phase.PROVE in done:
            self.bench.close(self.submissions())
            done = []
        if len(self.bench.openings) == SUMS:
            return None
        if not done:
            return self.bench.ask(Phase.COLLECT)
        return self.bench.ask(Phase.PROVE if Phase.OPEN in done else Phase.OPEN, self.submissions())

    def step(self, tell: Callable[[Left], None] = lambda _left: None) -> bool:
        """Asks once, unless the conversation is over; what leaves is told before it does."""
        ask = self.next_ask()
        if ask is None:
            return False
        answer = self.node.answer(ask)
        assert isinstance(answer, Reply), f"{ask.phase} of round {ask.round} is refused: {answer}"
        said = (ask.phase, ask.round, answer.payload)
        tell(said)
        self.left.append(said)
        return True

    def play(self, tell: Callable[[Left], None] = lambda _left: None) -> None:
        """Asks to the end."""
        while self.step(tell):
            pass

    def entries(self) -> list[Entry]:
        data = (self.folder / "books" / EVIDENCE).read_bytes()
        return list(read_evidence(data, signing_key=NORTH.public.signing_key))

    def require_agreement(self) -> None:
        """Evidence holds, the ledger equals it, and all that left was charged, once."""
        books = books_at(self.folder)
        with books.locked():
            books.verify()
            spending = books.spending()
        entries = self.entries()
        charged = [entry.body["round"] for entry in entries if entry.kind == "charge"]
        assert len(charged) == len(set(charged))
        released = {
            entry.body["round"]: entry.body["submission"] for entry in entries if entry.kind == "release"
        }
        opened = [entry.body["round"] for entry in entries if entry.kind == "opening"]
        assert len(opened) == len(set(opened)), "two cohorts of one round"
        cohorts = {
            entry.body["round"]: entry.body["submissions"] for entry in entries if entry.kind == "opening"
        }
        for phase, number, payload in self.left:
            if phase is Phase.COLLECT:
                assert number in charged
                assert released[number] == hashlib.sha256(payload).hexdigest(), "another submission had left"
            else:
                mine = {"north": released[number]}
                theirs = self.others(number).items()
                sent = {name: hashlib.sha256(made).hexdigest() for name, made in theirs}
                assert cohorts[number] == sent | mine
        true = Composed(
            events=tuple(
                request.event
                for request, number in zip(AGENDAS[self.bench.run].requests, range(1, SUMS + 1), strict=True)
                if any(one == number for _, one, _ in self.left)
            )
        )
        # At every order: neither way of pricing finds less in the ledger than what is true.
        assert covers(spending.spent, true)
        assert spending.guarantee(delta=DELTA).epsilon >= guarantee(true, delta=DELTA).epsilon


class Unsynced(sqlite3.Connection):
    """A connection that leaves it to the system when its pages reach the disk."""

    def execute(self, query: str, *given: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 takes them
        return super().execute(query.replace("synchronous = FULL", "synchronous = OFF"), *given)


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses nothing that the system has: real syncs would only take time here."""
    connect = sqlite3.connect
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda *given, **named: connect(*given, **{"factory": Unsynced, **named}),
    )


AGENDAS: dict[str, Agenda] = {}


def agenda_of(contract: Contract, run: str) -> Agenda:
    """Derived once, before any process forks."""
    if run not in AGENDAS:
        program = None if contract.learner is Learner.NEURAL else ThreeSums(contract)
        AGENDAS[run] = Agenda(contract, run=run, program=program)
    return AGENDAS[run]


def books_at(folder: Path, epsilon: float = 100.0) -> FileBooks:
    return FileBooks(
        folder / "books",
        party="north",
        signer=NORTH,
        signing_key=NORTH.public.signing_key,
        source="warehouse",
        limits=Limits(epsilon=epsilon, delta=DELTA, run_epsilon=100.0),
        policy="99" * 32,
    )


@pytest.fixture
def stage(
    make_bench: Callable[..., Bench],
    make_rows: Callable[[int, int], Rows],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Stage]:
    """Makes a stage over fresh files, under a contract if one is given; nothing was asked yet."""
    AGENDAS.clear()
    rows = make_rows(5, 0)
    template = tmp_path / "template"
    series: KeySeries = make_bench().series
    FileMemory.create(template / "state", series, abstains=False)
    FileBooks.create(
        template / "books",
        party="north",
        source="warehouse",
        signer=NORTH,
        signing_key=NORTH.public.signing_key,
    )

    def make(name: str, *contracts: Contract) -> Stage:
        bench = make_bench(*contracts)
        # The server derives the same program as the node.
        monkeypatch.setattr(bench, "turn", turn_of(bench), raising=False)
        folder = tmp_path / name
        shutil.copytree(template, folder)

        def start(where: Path) -> Node:
            return Node(
                name="north",
                contract=bench.contract,
                series=bench.series,
                signer=NORTH,
                memory=FileMemory(where / "state", bench.series),
                books=books_at(where),
                submitter=Submitter(
                    load_rows=lambda _day: rows, sealer=PlainSealer(), randomness=SystemRandomness()
                ),
                member=Shown(1),
                agenda_of=agenda_of,
            )

        agenda_of(bench.contract, bench.run)
        return Stage(bench=bench, folder=folder, start=start)

    return make


def turn_of(bench: Bench) -> Callable[[Ask], Any]:
    def turn(ask: Ask) -> Any:  # noqa: ANN401 - a turn
        agenda = agenda_of(bench.contract, ask.run)
        return agenda.turn(ask.openings, round_number=ask.round, head=ask.head.hash)

    return turn


def tell(writer: int, what: Left | int) -> None:
    """Whole, before anything else happens: a pipe keeps what a killed process has written."""
    os.write(writer, pickle.dumps(what))


def killed(stage: Stage, at: int, moment: Moment) -> int | None:
    """Plays in a child that kills itself at an operation; what left before is in `stage.left`.

    Returns:
        How many operations there were, if it survived; else None.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            disk = Disk(at=at, moment=moment, end=lambda: os.kill(os.getpid(), signal.SIGKILL))
            with disk.watched():
                stage.play(lambda left: tell(writer, left))
            tell(writer, disk.operations)
        except BaseException:  # noqa: BLE001 - nothing of pytest may run in the child
            os._exit(1)
        os._exit(0)
    os.close(writer)
    survived: int | None = None
    with os.fdopen(reader, "rb") as pipe, contextlib.suppress(EOFError):
        while True:
            told = pickle.load(pipe)  # noqa: S301 - from this test's own child
            if isinstance(told, int):
                survived = told
            else:
                stage.left.append(told)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == (0 if survived is not None else -signal.SIGKILL), status
    return survived


def require_one_story(stage: Stage, *, to_the_end: bool) -> None:
    """What must hold after a kill, and that the run goes on; `stage.left` is what had left."""
    stage.bench.head, stage.bench.openings, stage.bench.round, stage.bench.opening = (
        stage.bench.series.genesis,
        (),
        1,
        b"",
    )
    newest = max((number for _, number, _ in stage.left), default=0)
    for _ in range(1, newest):
        stage.bench.close(stage.submissions())
    stage.require_agreement()
    # The newest that had left is asked again, then what was cut off, twice.
    if stage.left:
        phase, number, payload = stage.left[-1]
        assert number == stage.bench.round
        again = stage.bench.ask(phase, None if phase is Phase.COLLECT else stage.submissions())
        answer = stage.node.answer(again)
        if isinstance(answer, Reply):
            assert answer.payload == payload, "two answers to one question"
        else:
            # The node may have followed the transcript behind a round that was over.
            assert phase is Phase.PROVE
    ask = stage.next_ask()
    if ask is None:
        return
    first, second = stage.node.answer(ask), stage.node.answer(ask)
    assert isinstance(first, Reply), f"{ask.phase} of round {ask.round} is refused after a kill: {first}"
    assert isinstance(second, Reply)
    assert first.payload == second.payload
    stage.left.append((ask.phase, ask.round, first.payload))
    if ask.phase is Phase.COLLECT:
        other = stage.bench.ask(Phase.COLLECT, run="cd" * 16, openings=()) if ask.round == 1 else None
    else:
        lie = dict(ask.submissions)
        lie["south"] = b"\x01" + lie["south"][1:]
        other = stage.bench.ask(ask.phase, lie)
    if other is not None:
        assert isinstance(stage.node.answer(other), Refusal)
    stage.require_agreement()
    if to_the_end:
        stage.play()
        stage.require_agreement()


def test_the_conversation_by_itself_runs_to_its_end(stage: Callable[..., Stage]) -> None:
    alive = stage("alive")
    alive.play()
    assert [(phase, number) for phase, number, _ in alive.left] == [
        (phase, number) for number in (1, 2, 3) for phase in (Phase.COLLECT, Phase.OPEN, Phase.PROVE)
    ]
    alive.require_agreement()
    books = books_at(alive.folder)
    with books.locked():
        (run,) = books.spending().runs
        assert guarantee(run.charged, delta=DELTA).mu == guarantee(run.reserved, delta=DELTA).mu


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.value)
def test_a_node_that_is_killed_at_any_write_tells_one_story_and_finishes_its_run(
    stage: Callable[..., Stage], moment: Moment
) -> None:
    killed_at = 0
    alive = stage("counted")
    operations = killed(alive, 0, moment)
    assert operations is not None
    assert operations >= FEWEST_OPERATIONS
    # Half of an operation makes a difference for writes alone; and what is on the disk before an operation is
    # what was there after the one before, so that some of these are enough.
    places = {
        Moment.AFTER: range(1, operations + 1),
        Moment.BEFORE: range(1, operations + 1, 5),
        Moment.IN: writes_of(stage("watched")),
    }[moment]
    for place in places:
        victim = stage(f"{moment.value}-{place}")
        survived = killed(victim, place, moment)
        assert survived is None, f"operation {place} of {operations} did not come"
        killed_at += 1
        require_one_story(victim, to_the_end=place % 15 == 0)
        shutil.rmtree(victim.folder)
    assert killed_at == len(places)
    assert killed_at >= {Moment.AFTER: FEWEST_OPERATIONS, Moment.BEFORE: 12, Moment.IN: 3 * SUMS}[moment]


LOGISTIC = NeuralTerms(model=NeuralModelKind.LOGISTIC, rounds=SUMS - 1)
NEURAL = {
    "shared": LOGISTIC.model_copy(update={"one_in": 2}),
    "local": LOGISTIC.model_copy(update={"training": Training.LOCAL, "local_steps": 2, "one_in": 2}),
}


@pytest.mark.parametrize("way", NEURAL)
def test_a_node_that_is_killed_while_it_trains_neither_forgets_a_charge_nor_draws_noise_again(
    stage: Callable[..., Stage], tiny_contract: Contract, way: str
) -> None:
    """After every operation of an answer to a round of training."""
    # A child that had to import them for itself would take seconds.
    for module in ("opacus", "fedscore.learners.neural.local_training"):
        pytest.importorskip(module, reason="needs the extra `neural`")
    terms = NEURAL[way]
    noise = NoiseMode.LOCAL if terms.training is Training.LOCAL else NoiseMode.SHARED
    contract = tiny_contract.with_privacy(noise=noise).with_neural(terms)
    begun = stage("begun", contract)
    for _ in range(3):
        begun.step()

    def training(name: str) -> Stage:
        """A stage on which the first sum is opened, and the first round of training comes next."""
        copy = stage(name, contract)
        shutil.rmtree(copy.folder)
        shutil.copytree(begun.folder, copy.folder)
        copy.left = list(begun.left)
        return copy

    disk, watched = Disk(at=0, moment=Moment.AFTER, end=lambda: None), training("watched")
    with disk.watched():
        watched.step()
    assert disk.seen.count("write") == 2, "the charge, and what was sent"
    for place in range(1, disk.operations + 1):
        victim = training(f"after-{place}")
        assert killed(victim, place, Moment.AFTER) is None
        assert len(victim.left) == 3, "nothing leaves before all of it is written"
        require_one_story(victim, to_the_end=place == disk.operations)
        shutil.rmtree(victim.folder)


def writes_of(stage: Stage) -> list[int]:
    """The operations that write to the evidence."""
    disk = Disk(at=0, moment=Moment.BEFORE, end=lambda: None)
    with disk.watched():
        stage.play()
    return [number for number, name in enumerate(disk.seen, start=1) if name == "write"]


def test_the_disk_is_watched_where_the_node_writes(stage: Callable[..., Stage]) -> None:
    """A kind of operation that is missed here would not be tested above."""
    disk = Disk(at=0, moment=Moment.BEFORE, end=lambda: None)
    watched = stage("watched")
    with disk.watched():
        watched.play()
    counted = {name: disk.seen.count(name) for name in set(disk.seen)}
    lines = len(watched.entries()) - 1
    assert lines == 1 + 3 * SUMS
    assert counted["write"] == lines
    # The line with which the evidence began, and in memory all lines at once when the run begins.
    assert counted["COMMIT"] == lines + 2
    assert counted["replace"] >= 2 * SUMS
    assert counted["fsync"] >= lines + 2 * counted["replace"]
    assert counted["open"] >= counted["replace"]
    assert (watched.folder / "books" / LEDGER).exists()


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.value)
def test_a_disk_that_fails_once_at_any_write_leaves_books_that_verify(
    stage: Callable[..., Stage], moment: Moment
) -> None:
    """The process lives on, and answers with a code; what it writes next must not break the chain."""

    def fail() -> None:
        raise OSError(28, "No space left on device")

    operations = killed(stage("counted"), 0, moment)
    assert operations is not None
    places = range(2, operations + 1, 13) if moment is not Moment.IN else writes_of(stage("watched"))
    refused = 0
    for place in places:
        victim = stage(f"{moment.value}-{place}")
        disk = Disk(at=place, moment=moment, end=fail)
        with disk.watched():
            while (ask := victim.next_ask()) is not None:
                try:
                    node = victim.node
                except OSError:
                    # The app says what cannot even be loaded in a code of its own.
                    refused += 1
                    continue
                answer = node.answer(ask)
                if isinstance(answer, Refusal):
                    refused += 1
                    assert disk.operations >= place
                    continue
                victim.left.append((ask.phase, ask.round, answer.payload))
                assert disk.operations < 10_000
        victim.require_agreement()
        shutil.rmtree(victim.folder)
    assert refused >= len(places) // 2


def test_what_leaves_before_it_is_written_would_be_found(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks above can fail: books that do not write what is sent are caught."""
    forgetful = stage("forgetful")
    monkeypatch.setattr(FileBooks, "sent", lambda *_: None)
    ask = forgetful.next_ask()
    assert ask is not None
    answer = forgetful.node.answer(ask)
    assert isinstance(answer, Reply)
    forgetful.left.append((ask.phase, ask.round, answer.payload))
    with pytest.raises(KeyError):
        forgetful.require_agreement()
    monkeypatch.undo()
