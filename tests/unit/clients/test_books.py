"""A node's books: what they hold, what they refuse, and what is noticed when they were touched."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clients.books import Expense, NoBooks, Price
from clients.evidence_file import EvidenceFile
from clients.file_books import EVIDENCE, LEDGER, LONGEST_RUN, FileBooks
from clients.ledger_view import LedgerView
from clients.memory import Collected, FileMemory, Memory, MemoryOnly, NodeState, Release
from clients.node import Node, Submitter
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import (
    BudgetExhausted,
    EvidenceDamaged,
    FedscoreError,
    LedgerMismatch,
    NodeConfigError,
    RoundRefused,
)
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Head, Phase, RefusalCode, Reply
from fedscore.messages.transcript import submission_digest
from fedscore.sums import Envelope, SumShape
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, DistributedGaussian, PoissonSampledGaussian
from privacy.dp.randomness import SystemRandomness
from privacy.evidence import Entry, read_evidence, write_entry
from privacy.identities import Identity
from privacy.ledger import Limits
from privacy.paillier.packing import SlotLayout
from simulations.keys import simulated_identity
from simulations.plain import PlainMember, PlainSealer

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

NORTH = simulated_identity("north")
KEY, OTHER_KEY = "5" * 64, "6" * 64
DELTA = 1e-5
SUM = DistributedGaussian(
    sensitivity_squared=16, share_variance=2000, honest_shares=2, dimension=10, total_shares=3
)
PROGRAM = Composed(events=(SUM,) * 3)
COST = guarantee(PROGRAM, delta=DELTA).epsilon
EPOCH = PoissonSampledGaussian(sum=replace(SUM, share_variance=10**4), one_in=10, repetitions=40)
TRAINING = Composed(events=(EPOCH,) * 3)
RUN, SECOND_RUN, THIRD_RUN = "0a" * 16, "0b" * 16, "0c" * 16
PLENTY = Limits(epsilon=100.0, delta=DELTA, run_epsilon=100.0)
SENT, OTHER = "ab" * 32, "cd" * 32
GENESIS = Head.genesis(KEY, "12" * 32)
ASK = Ask(phase=Phase.COLLECT, run=RUN, round=1, contract_hash="2" * 64, head=GENESIS)
RELEASE = Release(
    round=1,
    run=RUN,
    step=0,
    request="67" * 32,
    head=GENESIS.hash,
    submissions={"north": SENT, "south": OTHER},
    product="ef" * 32,
    shape=SumShape(layout=SlotLayout(width=48, max_abs=2**40, max_summands=3, slots=12), dimension=10),
)


def books_at(folder: Path, limits: Limits | None = PLENTY, signer: Identity = NORTH) -> FileBooks:
    return FileBooks(
        folder,
        party="north",
        signer=signer,
        signing_key=signer.public.signing_key,
        source="warehouse",
        limits=limits,
        policy="99" * 32,
    )


def create(folder: Path, signer: Identity = NORTH) -> bool:
    return FileBooks.create(
        folder,
        party="north",
        source="warehouse",
        signer=signer,
        signing_key=signer.public.signing_key,
    )


def price(run: str = RUN, **changes: Any) -> Price:  # noqa: ANN401 - fields of a price
    return replace(Price(run=run, contract="2" * 64, program=PROGRAM, epsilon=COST), **changes)


def expense(number: int, run: str = RUN, key: str = KEY, **changes: Any) -> Expense:  # noqa: ANN401 - fields of an expense
    paid = Expense(
        key=key, round=number, name="histogram", request=f"{number:064x}", event=SUM, price=price(run)
    )
    return replace(paid, **changes)


def sampled(number: int, run: str = RUN) -> Expense:
    """A round of a run whose every sum is sampled."""
    training = price(run, program=TRAINING, epsilon=guarantee(TRAINING, delta=DELTA).epsilon)
    return expense(number, run, event=EPOCH, price=training)


def lines_of(folder: Path) -> list[bytes]:
    return (folder / EVIDENCE).read_bytes().splitlines(keepends=True)


def entries_of(folder: Path, signer: Identity = NORTH) -> list[Entry]:
    return list(read_evidence((folder / EVIDENCE).read_bytes(), signing_key=signer.public.signing_key))


def kinds_of(folder: Path) -> list[str]:
    return [entry.kind for entry in entries_of(folder)]


def state(**changes: Any) -> NodeState:  # noqa: ANN401 - fields of a state
    return replace(NodeState(head=GENESIS), **changes)


def collected(number: int, run: str = RUN) -> Collected:
    return Collected(
        round=number,
        run=run,
        step=0,
        openings="ef" * 32,
        request=f"{number:064x}",
        head_round=0,
        repeats=0,
        submission=b"sealed",
    )


def dump(folder: Path) -> tuple[str, ...]:
    view = LedgerView.open(folder / LEDGER)
    assert view is not None
    try:
        return view.dump()
    finally:
        view.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Books that have begun."""
    assert create(tmp_path / "books")
    return tmp_path / "books"


@pytest.fixture
def used(folder: Path) -> Path:
    """Books in which something of each kind is written."""
    books = books_at(folder)
    with books.locked():
        for number in (1, 2):
            books.charge(expense(number))
            books.sent(KEY, number, SENT)
        books.opened(KEY, RELEASE)
        books.refused(ASK, RefusalCode.BUDGET)
        books.assume(key=OTHER_KEY, through_round=7, events=(SUM,))
        books.charge(expense(3))
    return folder


# Beginning


def test_books_begin_once(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "books"
    assert create(folder)
    first = (folder / EVIDENCE).read_bytes()
    (entry,) = entries_of(folder)
    assert entry.kind == "began"
    assert entry.body == {
        "party": "north",
        "source": "warehouse",
        "signing_key": NORTH.public.signing_key.hex(),
    }
    assert not create(folder)
    assert (folder / EVIDENCE).read_bytes() == first
    assert (folder / EVIDENCE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_crash_while_they_begin_leaves_nothing_that_is_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / f".{EVIDENCE}.draft").write_bytes(b'{"body"')
    assert create(folder)
    assert kinds_of(folder) == ["began"]
    assert not (folder / f".{EVIDENCE}.draft").exists()


def test_without_evidence_nothing_is_answered_and_the_next_step_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(NodeConfigError, match=r"there is no evidence in .*: begin it once with fedscore node"),
        books_at(tmp_path).locked(),
    ):
        pass


def test_evidence_that_is_gone_is_not_begun_again_beside_its_ledger(used: Path) -> None:
    (used / EVIDENCE).unlink()
    with pytest.raises(NodeConfigError, match="fedscore node restore"), books_at(used).locked():
        pass
    assert create(used)
    with (
        pytest.raises(LedgerMismatch, match="an older or another copy was put back"),
        books_at(used).locked(),
    ):
        pass


def test_books_are_not_used_without_their_lock(folder: Path) -> None:
    with pytest.raises(NodeConfigError, match="without their lock"):
        books_at(folder).charge(expense(1))


# What is written, and how often


def test_the_first_charge_of_a_run_begins_it_and_all_sums_have_its_day(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        day = books.charge(expense(1))
        assert day == books.charge(expense(2)) == dt.datetime.now(dt.UTC).date()
        assert [run.run for run in books.spending().runs] == [RUN]
        books.verify()
    assert kinds_of(folder) == ["began", "run", "charge", "charge"]
    began = entries_of(folder)[1]
    assert began.body["contract"] == "2" * 64
    assert began.body["policy"] == "99" * 32


@pytest.mark.parametrize("age", [10, 31])
def test_the_day_is_that_on_which_the_run_began_and_not_todays(folder: Path, age: int) -> None:
    """So that whose consent ends in between is in all sums of the run, or in none."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(days=age)
    first, line_of_first = write_entry(
        after=None,
        time=f"{began:%Y-%m-%dT%H:%M:%SZ}",
        kind="began",
        body={"party": "north", "source": "warehouse", "signing_key": NORTH.public.signing_key.hex()},
        signer=NORTH,
    )
    (folder / EVIDENCE).write_bytes(line_of_first)
    entry, line = write_entry(
        after=first,
        time=f"{began:%Y-%m-%dT%H:%M:%SZ}",
        kind="run",
        body={
            "run": RUN,
            "contract": "2" * 64,
            "key": KEY,
            "policy": "9" * 64,
            "reserved": [
                {
                    "dimension": 10,
                    "honest_shares": 2,
                    "sensitivity_squared": 16,
                    "share_variance": 2000,
                    "total_shares": 3,
                }
            ]
            * 3,
        },
        signer=NORTH,
    )
    with (folder / EVIDENCE).open("ab") as file:
        file.write(line)
    assert entry.sequence == 1
    books = books_at(folder)
    with books.locked():
        if age > LONGEST_RUN.days:
            for refused in (lambda: books.charge(expense(1)), lambda: books.require_affordable(price())):
                with pytest.raises(RoundRefused, match="more than 30 days ago"):
                    refused()
        else:
            assert books.charge(expense(1)) == began.date()
            assert books.charge(expense(1)) == began.date()


def test_a_clock_that_was_set_back_makes_nothing_younger(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a consent that has ended, or was withdrawn, would be good again."""
    books = books_at(folder)
    with books.locked():
        today = books.charge(expense(1))

    class Back(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Back:
            return cls.fromtimestamp(time.time() - 20 * 3600, tz)

    monkeypatch.setattr("clients.file_books.dt.datetime", Back)
    with books.locked():
        assert books.charge(expense(2, SECOND_RUN)) == today
        books.verify()
    times = [entry.time for entry in entries_of(folder)]
    assert times == sorted(times)


def test_no_run_begins_while_the_evidence_is_ahead_of_the_clock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its day would admit consents that have not begun, for as long as the clock was ahead."""
    books = books_at(folder)

    class Ahead(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Ahead:
            return cls(2100, 1, 1, tzinfo=tz)

    with monkeypatch.context() as ahead, books.locked():
        ahead.setattr("clients.file_books.dt.datetime", Ahead)
        books.refused(ASK, RefusalCode.ROUND)
    with books.locked():
        for refused in (lambda: books.charge(expense(1)), lambda: books.require_affordable(price())):
            with pytest.raises(LedgerMismatch, match="was written on 2100-01-01, and this machine's clock"):
                refused()
    assert kinds_of(folder) == ["began", "refusal"]


def test_a_number_in_the_ledger_that_was_changed_does_not_decide(folder: Path) -> None:
    books = books_at(folder, replace(PLENTY, epsilon=COST * 1.2))
    with books.locked():
        for number in (1, 2, 3):
            books.charge(expense(number))
    ledger = sqlite3.connect(folder / LEDGER)
    ledger.execute("UPDATE charges SET event = replace(event, '2000', '900000')")
    ledger.commit()
    ledger.close()
    with books.locked(), pytest.raises(BudgetExhausted, match="from epsilon"):
        books.charge(expense(4, SECOND_RUN))
    with books.locked():
        books.verify()


def test_a_restored_copy_answers_no_round_that_it_paid_for_and_may_have_sent(folder: Path) -> None:
    """The copy was made between the charge and the release; the release is lost."""
    books = books_at(folder)
    with books.locked():
        books.charge(expense(3))
    with books.locked():
        books.assume(key=KEY, through_round=3, events=())
        with pytest.raises(RoundRefused, match="answers none up to it"):
            books.charge(expense(3))


def test_a_restore_charges_the_run_that_was_open_in_the_copy(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        books.assume(key=KEY, through_round=9, events=())
        assert books.spending().guarantee(delta=DELTA).epsilon > COST


def test_a_second_cohort_for_a_round_is_not_noted_but_refused(folder: Path) -> None:
    books = books_at(folder)
    others: list[Release] = [
        replace(RELEASE, submissions={"north": SENT}),
        replace(RELEASE, run=SECOND_RUN),
        replace(RELEASE, request="68" * 32),
        replace(RELEASE, product="ee" * 32),
    ]
    with books.locked():
        books.opened(KEY, RELEASE)
        books.opened(KEY, RELEASE)
        for other in others:
            with pytest.raises(LedgerMismatch, match="round 1 for another cohort"):
                books.opened(KEY, other)
    assert kinds_of(folder) == ["began", "opening"]


def test_a_line_that_the_ledger_could_not_read_is_not_written(folder: Path) -> None:
    books = books_at(folder)
    for number in (2**32, 2**63, 10**20, -1):
        with books.locked(), pytest.raises(EvidenceDamaged, match="says what no node writes"):
            books.assume(key=KEY, through_round=number, events=(PROGRAM,))
    with books.locked():
        books.verify()
        books.charge(expense(1))


@pytest.mark.parametrize("what", [{"party": "south"}, {"source": "attic"}])
def test_the_books_of_another_source_are_not_taken(folder: Path, what: dict[str, str]) -> None:
    named = {"party": "north", "source": "warehouse"} | what
    books = FileBooks(
        folder,
        signer=NORTH,
        signing_key=NORTH.public.signing_key,
        limits=PLENTY,
        policy="99" * 32,
        **named,
    )
    with pytest.raises(LedgerMismatch, match="are those of north about warehouse"), books.locked():
        pass


def test_a_line_that_was_not_synced_is_before_anything_is_done_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = books_at(folder)
    kept = (folder / LEDGER).read_bytes() if (folder / LEDGER).exists() else b""
    with books.locked():
        books.charge(expense(1))
    # As a process leaves it that is killed between a line and its sync.
    (folder / LEDGER).unlink()
    if kept:
        (folder / LEDGER).write_bytes(kept)
    synced: list[Path] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with books_at(folder).locked():
        assert (folder / EVIDENCE).resolve() in synced


def test_a_charge_is_written_once_as_long_as_nothing_was_sent_for_it(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
    before = (folder / EVIDENCE).read_bytes()
    for _ in range(2):
        with books_at(folder).locked():
            pass
        again = books_at(folder)
        with again.locked():
            again.charge(expense(1))
    assert (folder / EVIDENCE).read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [
        expense(1, request="f" * 64),
        expense(1, run=SECOND_RUN),
        expense(1, run=SECOND_RUN, request="f" * 64),
        expense(0),
    ],
    ids=["another request", "another run", "both", "an older round"],
)
def test_another_question_about_a_round_that_was_paid_for_is_refused(folder: Path, other: Expense) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        before = (folder / EVIDENCE).read_bytes()
        with pytest.raises(RoundRefused, match="this node paid for round 1 already"):
            books.charge(other)
        assert (folder / EVIDENCE).read_bytes() == before
        books.verify()


def test_what_was_sent_is_not_computed_again(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        books.sent(KEY, 1, SENT)
        with pytest.raises(RoundRefused, match="ask a new round"):
            books.charge(expense(1))


def test_an_older_round_that_was_paid_for_is_not_computed_once_a_newer_one_is(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        books.charge(expense(2))
        with pytest.raises(RoundRefused, match="this node paid for round 2 already"):
            books.charge(expense(1))


def test_what_is_sent_is_written_once_and_never_two_things_for_one_round(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        for _ in range(2):
            books.sent(KEY, 1, SENT)
        assert kinds_of(folder).count("release") == 1
        with pytest.raises(LedgerMismatch, match="about to send for round 1 what they do not know"):
            books.sent(KEY, 1, OTHER)
        for key, number in ((KEY, 2), (OTHER_KEY, 1)):
            with pytest.raises(LedgerMismatch, match=rf"about to send for round {number}"):
                books.sent(key, number, SENT)
        assert kinds_of(folder).count("release") == 1


def test_an_opening_is_written_once(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        for _ in range(2):
            books.opened(KEY, RELEASE)
        books.opened(OTHER_KEY, RELEASE)
        books.verify()
    assert kinds_of(folder) == ["began", "opening", "opening"]
    body = entries_of(folder)[1].body
    assert body["submissions"] == {"north": SENT, "south": OTHER}
    assert body["product"] == "ef" * 32


def test_every_refusal_is_written(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        for code in (RefusalCode.BUDGET, RefusalCode.DATA, RefusalCode.BUDGET):
            books.refused(ASK, code)
        assert books.refusals() == {"budget-refused": 2, "data-refused": 1}
        books.verify()


def test_nothing_of_a_sum_is_in_the_books_but_hashes_and_prices(used: Path) -> None:
    text = (used / EVIDENCE).read_text()
    assert "sealed" not in text
    allowed = {
        "began": {"party", "source", "signing_key"},
        "run": {"run", "contract", "key", "policy", "reserved"},
        "charge": {"key", "round", "run", "sum", "request", "event"},
        "release": {"key", "round", "submission"},
        "opening": {"key", "round", "run", "request", "submissions", "product"},
        "refusal": {"phase", "run", "round", "code"},
        "restored": {"key", "through_round", "events"},
    }
    for entry in entries_of(used):
        assert set(entry.body) == allowed[entry.kind]
    assert set(kinds_of(used)) == set(allowed)


# The budget


def test_what_may_be_spent_in_one_run_is_limited(folder: Path) -> None:
    books = books_at(folder, replace(PLENTY, run_epsilon=COST * 0.999))
    with books.locked():
        for ask in (lambda: books.require_affordable(price()), lambda: books.charge(expense(1))):
            with pytest.raises(BudgetExhausted, match=f"may cost epsilon {COST:.4f} at its contract's delta"):
                ask()
    assert kinds_of(folder) == ["began"]


def test_without_a_budget_nothing_is_spent(folder: Path) -> None:
    books = books_at(folder, None)
    with books.locked():
        for ask in (lambda: books.require_affordable(price()), lambda: books.charge(expense(1))):
            with pytest.raises(BudgetExhausted, match=r"policy\.toml has no budget, .* add \[budget\]"):
                ask()
    assert kinds_of(folder) == ["began"]


def test_whether_a_run_can_be_afforded_is_asked_without_reserving_it(folder: Path) -> None:
    books = books_at(folder, replace(PLENTY, epsilon=COST))
    with books.locked():
        for run in (RUN, SECOND_RUN, RUN):
            books.require_affordable(price(run))
        assert kinds_of(folder) == ["began"]
        books.charge(expense(1))
        books.require_affordable(price())
        with pytest.raises(BudgetExhausted):
            books.require_affordable(price(SECOND_RUN))


def test_a_run_that_another_followed_is_over(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        books.charge(expense(2, SECOND_RUN))
        for ask in (lambda: books.require_affordable(price()), lambda: books.charge(expense(3))):
            with pytest.raises(RoundRefused, match=r"another run has followed run .* so it is over"):
                ask()
        books.charge(expense(3, SECOND_RUN))


def test_a_limit_that_was_lowered_in_the_middle_of_a_run_holds_at_once(folder: Path) -> None:
    with books_at(folder).locked():
        pass
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
    for lower in (replace(PLENTY, epsilon=COST * 0.9), replace(PLENTY, run_epsilon=COST * 0.9), None):
        lowered = books_at(folder, lower)
        with lowered.locked(), pytest.raises(BudgetExhausted):
            lowered.charge(expense(2))
    with books.locked():
        books.charge(expense(2))


def test_two_keys_over_one_source_have_one_budget(folder: Path) -> None:
    """Two node.toml, two contracts, two ceremonies, one folder."""
    two = guarantee(Composed(events=(PROGRAM,) * 2), delta=DELTA).epsilon
    first, second = (books_at(folder, replace(PLENTY, epsilon=two)) for _ in range(2))
    with first.locked():
        for number in (1, 2, 3):
            first.charge(expense(number))
            first.sent(KEY, number, SENT)
    with second.locked():
        for number in (1, 2, 3):
            second.charge(expense(number, SECOND_RUN, OTHER_KEY))
            second.sent(OTHER_KEY, number, SENT)
    for books, key in ((first, KEY), (second, OTHER_KEY)):
        with books.locked():
            with pytest.raises(BudgetExhausted):
                books.charge(expense(4, THIRD_RUN, key))
            assert books.spending().guarantee(delta=DELTA).epsilon == two
            books.verify()


def test_one_run_has_one_key_and_one_contract(folder: Path) -> None:
    """The operator chooses the names of runs, and may give two the same."""
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))
        changed = replace(expense(2), price=replace(expense(2).price, contract="c" * 64))
        for other in (expense(2, key=OTHER_KEY), changed):
            with pytest.raises(RoundRefused, match="began here under another contract or key"):
                books.charge(other)
        with pytest.raises(RoundRefused, match="began here under another contract or key"):
            books.require_affordable(changed.price)
        books.charge(expense(2))


# Sampled sums


def test_sampled_sums_are_written_and_counted_beside_the_others(folder: Path) -> None:
    """A scorecard's run, then one that trains on samples: one lifetime, and no refill."""
    history = Composed(events=(PROGRAM, TRAINING))
    enough = replace(PLENTY, epsilon=guarantee(history, delta=DELTA).epsilon)
    books = books_at(folder, enough)
    with books.locked():
        for number in (1, 2, 3):
            books.charge(expense(number))
        for number in (4, 5, 6):
            books.charge(sampled(number, SECOND_RUN))
        books.verify()
        assert books.spending().guarantee(delta=DELTA).epsilon == enough.epsilon
        with pytest.raises(BudgetExhausted, match="from epsilon"):
            books.require_affordable(sampled(7, THIRD_RUN).price)
        with pytest.raises(BudgetExhausted, match="from epsilon"):
            books.charge(sampled(7, THIRD_RUN))
        books.verify()
    charged: list[Any] = [entry.body["event"] for entry in entries_of(folder) if entry.kind == "charge"]
    plain, drawn = charged[2:4]
    assert set(plain[0]) == {
        "dimension",
        "honest_shares",
        "sensitivity_squared",
        "share_variance",
        "total_shares",
    }
    assert drawn == [{**plain[0], "share_variance": 10**4, "one_in": 10, "repetitions": 40}]


def test_a_sampled_run_that_was_refused_leaves_nothing(folder: Path) -> None:
    books = books_at(folder, replace(PLENTY, epsilon=guarantee(TRAINING, delta=DELTA).epsilon * 0.999))
    with books.locked(), pytest.raises(BudgetExhausted, match="nothing was computed"):
        books.charge(sampled(1))
    assert kinds_of(folder) == ["began"]


@pytest.mark.parametrize(
    "died", ["after the charge", "half a line", "without its ledger", "after the release"]
)
def test_a_crash_in_a_sampled_run_neither_forgets_a_charge_nor_writes_it_twice(
    folder: Path, died: str
) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(sampled(1))
        books.sent(KEY, 1, SENT)
        books.charge(sampled(2))
        if died == "after the release":
            books.sent(KEY, 2, SENT)
    if died == "half a line":
        with (folder / EVIDENCE).open("ab") as file:
            file.write(lines_of(folder)[-1][:40])
    if died == "without its ledger":
        (folder / LEDGER).unlink()
    again = books_at(folder)
    with again.locked():
        if died == "after the release":
            with pytest.raises(RoundRefused, match="paid for round 2 already"):
                again.charge(sampled(2))
        else:
            again.charge(sampled(2))
        again.charge(sampled(3))
        again.verify()
        spent = again.spending()
        assert spent.guarantee(delta=DELTA).epsilon == guarantee(TRAINING, delta=DELTA).epsilon
        with pytest.raises(BudgetExhausted, match="would cost more than run"):
            again.charge(sampled(4))
    assert kinds_of(folder).count("charge") == 3


@pytest.mark.parametrize(
    "change", [{"one_in": 1}, {"one_in": -10}, {"repetitions": 0}, {"repetitions": None}, {"later": 1}]
)
def test_a_signed_line_with_a_sampled_sum_that_is_none_is_named(folder: Path, change: dict[str, int]) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(sampled(1))
    entries = entries_of(folder)
    body: dict[str, Any] = dict(entries[-1].body)
    body |= {"round": 2, "event": [{**body["event"][0], **change}]}
    _, line = write_entry(after=entries[-1], time=entries[-1].time, kind="charge", body=body, signer=NORTH)
    with (folder / EVIDENCE).open("ab") as file:
        file.write(line)
    with (
        pytest.raises(EvidenceDamaged, match="says what no node writes"),
        books_at(folder).locked(),
    ):
        pass


def test_a_restore_charges_the_sampled_run_that_was_open(folder: Path) -> None:
    books = books_at(folder)
    with books.locked():
        books.charge(sampled(1))
        books.assume(key=KEY, through_round=9, events=(TRAINING,))
        lost = Composed(events=(TRAINING, TRAINING, EPOCH))
        assert books.spending().guarantee(delta=DELTA).epsilon == guarantee(lost, delta=DELTA).epsilon


# The ledger is a view


def spoil(folder: Path, how: str) -> None:
    ledger = folder / LEDGER
    if how == "gone":
        ledger.unlink()
    elif how == "empty":
        ledger.write_bytes(b"")
    elif how == "garbage":
        ledger.write_bytes(os.urandom(5000))
    elif how == "cut":
        ledger.write_bytes(ledger.read_bytes()[:-5000])
    elif how == "a page of zeros":
        data = bytearray(ledger.read_bytes())
        data[-4096:] = bytes(4096)
        ledger.write_bytes(data)
    else:
        change = {
            "another version": "ALTER TABLE charges RENAME COLUMN submission TO sent",
            "a table less": "DROP TABLE openings",
            "a table more": "CREATE TABLE later (what TEXT)",
            "no tip": "DELETE FROM tip",
            "another tip": "UPDATE tip SET entry = '{}'",
            "no text": "UPDATE tip SET entry = x'00'",
        }[how]
        with contextlib.closing(sqlite3.connect(ledger)) as connection, connection:
            connection.execute(change)


@pytest.mark.parametrize(
    "how",
    [
        "gone",
        "empty",
        "garbage",
        "cut",
        "a page of zeros",
        "another version",
        "a table less",
        "a table more",
        "no tip",
        "another tip",
        "no text",
    ],
)
def test_a_ledger_that_cannot_be_read_is_rebuilt_from_the_evidence(used: Path, how: str) -> None:
    before, evidence = dump(used), (used / EVIDENCE).read_bytes()
    spoil(used, how)
    books = books_at(used)
    with books.locked():
        books.verify()
        assert books.spending().guarantee(delta=DELTA).epsilon > 0
    assert dump(used) == before
    assert (used / EVIDENCE).read_bytes() == evidence


def test_an_older_ledger_is_brought_up_to_date(used: Path) -> None:
    older = (used / LEDGER).read_bytes()
    books = books_at(used)
    with books.locked():
        books.sent(KEY, 3, SENT)
    newest = dump(used)
    (used / LEDGER).write_bytes(older)
    with books.locked():
        books.verify()
    assert dump(used) == newest


def test_a_ledger_that_says_something_else_does_not_agree(used: Path) -> None:
    with contextlib.closing(sqlite3.connect(used / LEDGER)) as connection, connection:
        connection.execute("DELETE FROM charges WHERE round = 3")
    books = books_at(used)
    with books.locked(), pytest.raises(LedgerMismatch, match=f"{LEDGER} does not say what {EVIDENCE}"):
        books.verify()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("unknown", {}),
        ("began", {"party": "north", "source": "s", "signing_key": ""}),
        ("release", {"key": KEY, "round": 99, "submission": SENT}),
        ("release", {"key": KEY, "round": 1, "submission": OTHER}),
        ("charge", {"key": KEY, "round": 9}),
        ("charge", {"key": KEY, "round": 1, "run": RUN, "sum": "s", "request": "r", "event": []}),
        ("charge", {"key": KEY, "round": 9, "run": "none", "sum": "s", "request": "r", "event": []}),
        ("charge", {"key": KEY, "round": 9, "run": RUN, "sum": "s", "request": "r", "event": [{"a": 1}]}),
        ("run", {"run": RUN, "contract": "c", "key": KEY, "policy": "p", "reserved": []}),
        ("opening", {"key": KEY, "round": 1, "run": RUN, "submissions": {}}),
        ("restored", {"key": KEY, "through_round": 1, "events": "none"}),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_named(used: Path, kind: str, body: dict[str, object]) -> None:
    entries = entries_of(used)
    _, line = write_entry(after=entries[-1], time=entries[-1].time, kind=kind, body=body, signer=NORTH)
    with (used / EVIDENCE).open("ab") as file:
        file.write(line)
    said = rf"line {len(entries) + 1} is signed, but says what no node writes there \({kind}\)"
    for _ in range(2):
        with pytest.raises(EvidenceDamaged, match=said), books_at(used).locked():
            pass
        (used / LEDGER).unlink()


# Evidence that was touched


def test_evidence_that_is_older_than_its_ledger_is_refused(used: Path) -> None:
    lines = lines_of(used)
    for kept in range(1, len(lines)):
        (used / EVIDENCE).write_bytes(b"".join(lines[:kept]))
        with (
            pytest.raises(
                LedgerMismatch, match=rf"up to line {len(lines)}: an older or another copy was put"
            ),
            books_at(used).locked(),
        ):
            pass
        assert len(lines_of(used)) == kept, "a record that is refused stays as it is"


def test_another_history_of_the_same_signer_is_refused(used: Path, tmp_path: Path) -> None:
    create(tmp_path / "other")
    other = books_at(tmp_path / "other")
    with other.locked():
        for number in range(1, 4):
            other.charge(expense(number))
            other.sent(KEY, number, OTHER)
        for _ in range(20):
            other.refused(ASK, RefusalCode.ROUND)
    shutil.copy(tmp_path / "other" / EVIDENCE, used / EVIDENCE)
    with pytest.raises(LedgerMismatch, match="another copy was put back"), books_at(used).locked():
        pass


def test_a_changed_line_is_found_wherever_it_is_once_all_are_read(used: Path) -> None:
    data = (used / EVIDENCE).read_bytes()
    (used / LEDGER).unlink()
    for position in range(0, len(data) - 1, 97):
        changed = bytearray(data)
        changed[position] ^= 1
        (used / EVIDENCE).write_bytes(changed)
        line = data[:position].count(b"\n") + 1
        with pytest.raises(EvidenceDamaged, match=rf"line {line} is not what"), books_at(used).locked():
            pass
        assert (used / EVIDENCE).read_bytes() == changed


def test_a_changed_byte_in_the_newest_line_is_found_beside_its_ledger_too(used: Path) -> None:
    data, last = (used / EVIDENCE).read_bytes(), lines_of(used)[-1]
    for position in (*range(len(data) - len(last), len(data), 5), len(data) - 1):
        changed = bytearray(data)
        changed[position] ^= 1
        (used / EVIDENCE).write_bytes(changed)
        with (
            pytest.raises(LedgerMismatch, match="is not the record that its ledger"),
            books_at(used).locked(),
        ):
            pass
        assert (used / EVIDENCE).read_bytes() == changed


def test_a_changed_line_break_at_the_end_loses_no_line_without_a_ledger(used: Path) -> None:
    """What was sent must not pass for half a line that nothing was done for."""
    data = (used / EVIDENCE).read_bytes()
    for wrong in (b"\x0b", b" ", b"\x00", b"}"):
        (used / LEDGER).unlink()
        (used / EVIDENCE).write_bytes(data[:-1] + wrong)
        books = books_at(used)
        with books.locked():
            books.verify()
        assert (used / EVIDENCE).read_bytes() == data


def test_evidence_of_another_organisations_key_is_refused(used: Path) -> None:
    """Else lines of two signers would stand in one record, which nobody could verify."""
    other = simulated_identity("south")
    with pytest.raises(LedgerMismatch, match="another"), books_at(used, signer=other).locked():
        pass
    (used / LEDGER).unlink()
    with pytest.raises(EvidenceDamaged, match="line 1 is not"), books_at(used, signer=other).locked():
        pass
    (used / LEDGER).unlink()
    books = books_at(used)
    with books.locked():
        books.verify()


# A last line that a crash left unfinished


def test_every_cut_of_the_last_line_is_mended(used: Path) -> None:
    data, last = (used / EVIDENCE).read_bytes(), lines_of(used)[-1]
    begins, before = len(data) - len(last), entries_of(used)[-2]
    evidence = EvidenceFile(used / EVIDENCE, signing_key=NORTH.public.signing_key)
    for kept in range(len(last) + 1):
        (used / EVIDENCE).write_bytes(data[: begins + kept])
        assert evidence.mend(offset=begins, after=before) is (0 < kept < len(last))
        expected = data if kept >= len(last) - 1 else data[:begins]
        assert (used / EVIDENCE).read_bytes() == expected, kept


def test_books_whose_last_line_was_cut_go_on(used: Path) -> None:
    data, last = (used / EVIDENCE).read_bytes(), lines_of(used)[-1]
    for kept in (0, 1, len(last) // 2, len(last) - 2, len(last) - 1):
        (used / LEDGER).unlink()
        (used / EVIDENCE).write_bytes(data[: len(data) - len(last) + kept])
        books = books_at(used)
        with books.locked():
            books.verify()
            # Nothing was done for it, so it may be done now.
            books.charge(expense(3))
            books.sent(KEY, 3, SENT)
            books.verify()
        assert kinds_of(used).count("charge") == 3


def test_a_cut_line_behind_what_the_ledger_has_read_is_mended_too(used: Path) -> None:
    data = (used / EVIDENCE).read_bytes()
    newest = entries_of(used)[-1]
    _, line = write_entry(
        after=newest,
        time=newest.time,
        kind="release",
        body={"key": KEY, "round": 3, "submission": SENT},
        signer=NORTH,
    )
    ledger = (used / LEDGER).read_bytes()
    for kept in (1, 50, len(line) - 2, len(line) - 1):
        (used / LEDGER).write_bytes(ledger)
        (used / EVIDENCE).write_bytes(data + line[:kept])
        books = books_at(used)
        with books.locked():
            books.verify()
            books.sent(KEY, 3, SENT)
            books.verify()
        assert (used / EVIDENCE).read_bytes().startswith(data)


def test_a_cut_at_a_lines_end_holds_by_itself(used: Path) -> None:
    """The ledger, the node's memory and the transcript tell; the record cannot."""
    lines = lines_of(used)
    (used / LEDGER).unlink()
    (used / EVIDENCE).write_bytes(b"".join(lines[:-1]))
    with books_at(used).locked():
        pass


def test_a_first_line_that_is_not_whole_is_no_evidence(folder: Path) -> None:
    data = (folder / EVIDENCE).read_bytes()
    for kept in (b"", data[:50]):
        (folder / EVIDENCE).write_bytes(kept)
        with pytest.raises(EvidenceDamaged, match="the evidence is empty"), books_at(folder).locked():
            pass


@pytest.mark.parametrize("at", ["half a line", "sync", "ledger"])
def test_after_a_write_that_failed_nothing_is_written_until_both_were_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A line behind half a line, or behind one that was not read, would end the record."""
    books = books_at(folder)
    with books.locked():
        books.charge(expense(1))

    def half(*_: object, **__: object) -> Entry:
        with (folder / EVIDENCE).open("ab") as file:
            file.write(b'{"body":{"half')
        raise OSError(28, "No space left on device")

    def unsynced(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    def unread(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with books.locked():
        with monkeypatch.context() as patch:
            if at == "half a line":
                patch.setattr(books._evidence, "append", half)
            elif at == "sync":
                patch.setattr(os, "fsync", unsynced)
            else:
                patch.setattr(LedgerView, "apply", unread)
            with pytest.raises((OSError, sqlite3.OperationalError)):
                books.charge(expense(2))
        with pytest.raises(LedgerMismatch, match="failed: nothing more is written until both are read again"):
            books.refused(ASK, RefusalCode.INTERNAL)
    with books.locked():
        books.verify()
        books.charge(expense(2))
        books.sent(KEY, 2, SENT)
        books.verify()
    assert kinds_of(folder) == ["began", "run", "charge", "charge", "release"]


# Copies that were put back


def test_books_and_ledger_rolled_back_together_are_found_by_the_nodes_memory(used: Path) -> None:
    books = books_at(used)
    with books.locked():
        books.require_current(state(released=RELEASE, collected=collected(3)), GENESIS)
        with pytest.raises(LedgerMismatch, match="the node's own memory knows of round 4") as told:
            books.require_current(state(released=RELEASE, collected=collected(4)), GENESIS)
    assert "put the newest one back, or take this one with fedscore node restore" in str(told.value)


def head_at(number: int, submission: str | None, party: str = "north") -> Head:
    return replace(
        GENESIS, round=number, run=RUN, submissions={party: submission} if submission is not None else {}
    )


def test_all_rolled_back_together_are_found_by_a_head_that_holds_a_later_submission(used: Path) -> None:
    books = books_at(used)
    with books.locked():
        books.require_current(state(released=RELEASE), head_at(2, SENT))
        for number, sent in ((2, OTHER), (3, SENT), (9, SENT), (1, OTHER)):
            with pytest.raises(
                LedgerMismatch, match=f"the transcript holds a submission of north of round {number}"
            ):
                books.require_current(state(released=RELEASE), head_at(number, sent))
        books.require_current(state(released=RELEASE), head_at(9, None))
        books.require_current(state(released=RELEASE), head_at(9, SENT, party="south"))


def test_a_memory_that_does_not_know_what_it_helped_to_open_is_refused(used: Path) -> None:
    """A share accepted twice gives an empty memory that trusts itself; so does an older copy."""
    books = books_at(used)
    with books.locked():
        for empty in (state(), state(collected=collected(3))):
            with pytest.raises(LedgerMismatch, match="helped to open round 1 and its memory does not know"):
                books.require_current(empty, GENESIS)
        for sound in (
            state(released=RELEASE),
            state(head=head_at(1, SENT)),
            state(head=head_at(2, SENT)),
            state(abstains=True),
        ):
            books.require_current(sound, sound.head)


def test_after_a_restore_rounds_up_to_the_stated_one_are_refused_and_later_ones_go_on(
    folder: Path,
) -> None:
    limits = replace(PLENTY, epsilon=guarantee(Composed(events=(PROGRAM,) * 2), delta=DELTA).epsilon)
    books = books_at(folder, limits)
    with books.locked():
        with pytest.raises(LedgerMismatch):
            books.require_current(state(collected=collected(5)), head_at(5, SENT))
        books.assume(key=KEY, through_round=6, events=(PROGRAM,))
        for number, sent in ((5, SENT), (6, OTHER)):
            books.require_current(state(collected=collected(5)), head_at(number, sent))
        with pytest.raises(LedgerMismatch):
            books.require_current(state(collected=collected(7)), GENESIS)
        with pytest.raises(LedgerMismatch):
            books.require_current(state(), head_at(7, SENT))
        with pytest.raises(LedgerMismatch, match="about to send for round 5"):
            books.sent(KEY, 5, SENT)
        for number in (1, 5, 6):
            with pytest.raises(RoundRefused, match="this node paid for round 6 already"):
                books.charge(expense(number))
        for number in (7, 8, 9):
            books.charge(expense(number))
        with pytest.raises(BudgetExhausted):
            books.charge(expense(10, SECOND_RUN))
        books.verify()


# Two processes


def test_processes_that_charge_at_once_leave_one_chain(folder: Path) -> None:
    children = []
    for child in range(3):
        process = os.fork()
        if process == 0:
            status = 1
            try:
                key = f"{child}" * 64
                for number in range(1, 9):
                    books = books_at(folder)
                    with books.locked():
                        run = f"{child}{number:031x}"
                        books.charge(expense(number, run, key))
                        books.sent(key, number, SENT)
                status = 0
            finally:
                os._exit(status)
        children.append(process)
    assert [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in children] == [0, 0, 0]
    books = books_at(folder)
    with books.locked():
        books.verify()
        spending = books.spending()
    assert len(spending.runs) == 24
    assert kinds_of(folder).count("charge") == kinds_of(folder).count("release") == 24
    whole = guarantee(Composed(events=(SUM,) * 24), delta=DELTA).epsilon
    assert spending.guarantee(delta=DELTA).epsilon == pytest.approx(whole)


# A node with books


class SameMember(PlainMember):
    """Opens nothing but the product itself."""

    def __init__(self, index: int) -> None:
        self.index = index

    def partial(self, product: bytes) -> bytes:
        return product

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        return product + envelope.digest.encode()


class Source:
    """Rows, and how often they were read."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.days: list[dt.date] = []

    def __call__(self, day: dt.date) -> Rows:
        self.days.append(day)
        return self.rows


class Crash(BaseException):
    """Stands for the death of a process: no handler catches it."""


def with_books(
    bench: Bench, books: FileBooks | NoBooks, source: Source, memory: Memory | None = None
) -> Node:
    """North, as the bench has it, but with books; it takes the bench's place of north."""
    agendas: dict[str, Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        return agendas.setdefault(run, Agenda(contract, run=run))

    node = Node(
        name="north",
        contract=bench.contract,
        series=bench.series,
        signer=NORTH,
        memory=memory or bench.memories["north"],
        books=books,
        submitter=Submitter(load_rows=source, sealer=PlainSealer(), randomness=SystemRandomness()),
        member=SameMember(1),
        agenda_of=agenda_of,
    )
    bench.nodes["north"] = node
    return node


MakeBench = Callable[..., "Bench"]
RUNS = ["0a" * 16, "0b" * 16, "0c" * 16]


@pytest.fixture
def source(make_rows: Callable[[int, int], Rows]) -> Source:
    return Source(make_rows(20, 0))


def new_run(bench: Bench, run: str) -> None:
    bench.run, bench.openings = run, ()


def lifetime(contract: Contract, runs: int) -> Limits:
    """Just enough for some runs of the contract."""
    program = Agenda(contract, run="0" * 32).event
    epsilon = guarantee(Composed(events=(program,) * runs), delta=DELTA).epsilon
    return Limits(epsilon=epsilon, delta=DELTA, run_epsilon=1.5)


def test_three_runs_under_a_budget_for_two(
    make_bench: MakeBench, folder: Path, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench()
    books = books_at(folder, lifetime(bench.contract, 2))
    with_books(bench, books, source)
    sums = Agenda(bench.contract, run=RUN).rounds
    for run in RUNS[:2]:
        new_run(bench, run)
        assert isinstance(bench.answer("north", bench.ask(Phase.HELLO)), Reply)
        for _ in range(sums):
            bench.play_round()
    assert len(source.days) == 2 * sums
    new_run(bench, RUNS[2])
    for phase in (Phase.HELLO, Phase.COLLECT):
        assert bench.refusal("north", bench.ask(phase)) is RefusalCode.BUDGET
    assert len(source.days) == 2 * sums, "rows were read for a run that cannot be paid for"
    assert "its owner allows" in caplog.text
    with books.locked():
        books.verify()
        assert books.refusals() == {"budget-refused": 2}
        assert books.spending().guarantee(delta=DELTA).epsilon == lifetime(bench.contract, 2).epsilon


CRASHES = ["before the charge", "after the charge", "while rows are read", "before the release", "after it"]


def crash_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def die(*_: object, **__: object) -> Any:  # noqa: ANN401 - in the place of anything
        raise Crash

    charge, sent = FileBooks.charge, FileBooks.sent

    def charge_and_die(self: FileBooks, paid: Expense) -> dt.date:
        charge(self, paid)
        raise Crash

    def send_and_die(self: FileBooks, key: str, number: int, submission: str) -> None:
        sent(self, key, number, submission)
        raise Crash

    match place:
        case "before the charge":
            monkeypatch.setattr(FileBooks, "charge", die)
        case "after the charge":
            monkeypatch.setattr(FileBooks, "charge", charge_and_die)
        case "while rows are read":
            monkeypatch.setattr(Source, "__call__", die)
        case "before the release":
            monkeypatch.setattr(FileBooks, "sent", die)
        case _:
            monkeypatch.setattr(FileBooks, "sent", send_and_die)


@pytest.mark.parametrize("changed", [False, True], ids=["the contract", "another contract and key"])
@pytest.mark.parametrize("place", CRASHES)
def test_the_third_run_is_refused_also_after_a_crash_in_the_second_and_under_another_contract(
    make_bench: MakeBench,
    folder: Path,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    *,
    changed: bool,
) -> None:
    bench = make_bench()
    limits = lifetime(bench.contract, 2)
    with_books(bench, books_at(folder, limits), source)
    for _ in range(2):
        bench.play_round()
    new_run(bench, RUNS[1])
    bench.play_round()
    with monkeypatch.context() as patch:
        crash_at(patch, place)
        with pytest.raises(Crash):
            bench.answer("north", bench.ask(Phase.COLLECT))
    # A new process, which finishes the second run.
    with_books(bench, books_at(folder, limits), source)
    sums = Agenda(bench.contract, run=RUN).rounds
    while len(bench.openings) < sums:
        bench.play_round()
    read = len(source.days)
    if changed:
        other = bench.contract.with_privacy(minimum_cohort=3)
        assert other.hash() != bench.contract.hash()
        bench = make_bench(other)
        bench.series = replace(bench.series, genesis=Head.genesis(OTHER_KEY, "12" * 32))
        bench.head = bench.series.genesis
        bench.memories["north"] = MemoryOnly(bench.series)
    new_run(bench, RUNS[2])
    # The first run used two of its sums: what it did not use is free, but no whole run fits into it.
    books = books_at(folder, lowered(limits, bench.contract))
    with_books(bench, books, source)
    for phase in (Phase.HELLO, Phase.COLLECT):
        assert bench.refusal("north", bench.ask(phase)) is RefusalCode.BUDGET
    assert len(source.days) == read, "rows were read for a run that cannot be paid for"
    with books.locked():
        books.verify()


def lowered(limits: Limits, contract: Contract) -> Limits:
    """A budget for the first run's two sums and one whole run, and a hair less than another whole one."""
    agenda = Agenda(contract, run=RUN)
    spent = Composed(events=(*(request.event for request in agenda.requests[:2]), agenda.event, agenda.event))
    return replace(limits, epsilon=guarantee(spent, delta=DELTA).epsilon * (1 - 1e-6))


def snapshot(*folders: Path) -> Mapping[Path, bytes]:
    return {file: file.read_bytes() for folder in folders for file in folder.iterdir() if file.is_file()}


def put_back(kept: Mapping[Path, bytes]) -> None:
    for file, content in kept.items():
        file.write_bytes(content)


@pytest.fixture
def on_disk(make_bench: MakeBench, folder: Path, tmp_path: Path, source: Source) -> Bench:
    """A bench whose north has its memory and its books in files, after one round."""
    bench = make_bench()
    FileMemory.create(tmp_path / "state", bench.series, abstains=False)
    with_books(bench, books_at(folder), source, FileMemory(tmp_path / "state", bench.series))
    bench.play_round()
    return bench


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("books", "the node's own memory knows of line "),
        ("memory", "this node sent its part of round 2 and its memory does not know"),
        ("books and memory", "the transcript holds a submission of north of round 2"),
    ],
)
def test_older_copies_that_are_put_back_are_found(
    on_disk: Bench,
    folder: Path,
    tmp_path: Path,
    source: Source,
    caplog: pytest.LogCaptureFixture,
    what: str,
    said: str,
) -> None:
    bench = on_disk
    folders = [place for name, place in (("books", folder), ("memory", tmp_path / "state")) if name in what]
    kept = snapshot(*folders)
    bench.play_round()
    newest = snapshot(*folders)
    read = len(source.days)
    put_back(kept)
    for phase in (Phase.HELLO, Phase.COLLECT):
        assert bench.refusal("north", bench.ask(phase)) is RefusalCode.LEDGER
    assert said in caplog.text
    assert len(source.days) == read
    put_back(newest)
    if "books" not in what:
        bench.play_round()


def test_an_abstaining_memory_that_was_put_back_opens_no_second_cohort(on_disk: Bench, folder: Path) -> None:
    """It is led out of abstaining by the very ask that it then would answer for the second time."""
    bench = on_disk
    memory = bench.nodes["north"]._memory
    memory.store(NodeState(head=bench.series.genesis, abstains=True))
    # A submission of its own, made since, is in a round that the others open and vouch for.
    submissions = bench.collect()
    abstaining = memory.load()
    bench.close(submissions)
    bench.signatures = bench.signed(["south", "agency"])
    again = bench.collect()
    assert bench.payload("north", bench.ask(Phase.OPEN, again))
    fewer = {name: sent for name, sent in again.items() if name != "agency"}
    memory.store(abstaining)
    assert bench.refusal("north", bench.ask(Phase.OPEN, fewer)) is RefusalCode.LEDGER
    opened = [entry.body for entry in entries_of(folder) if entry.kind == "opening"]
    assert len({body["round"] for body in opened}) == len(opened)


def test_a_memory_begun_anew_and_abstaining_goes_on_with_its_books(
    on_disk: Bench, folder: Path, source: Source
) -> None:
    bench = on_disk
    forgotten = MemoryOnly(bench.series)
    with_books(bench, books_at(folder), source, forgotten)
    assert bench.refusal("north", bench.ask(Phase.COLLECT, round=2)) is RefusalCode.LEDGER
    forgotten.store(NodeState(head=bench.series.genesis, abstains=True))
    submissions = bench.collect()
    assert bench.refusal("north", bench.ask(Phase.OPEN, submissions)) is RefusalCode.TRANSCRIPT


def test_a_node_with_a_new_memory_does_not_answer_a_round_that_it_sent(
    on_disk: Bench, folder: Path, source: Source
) -> None:
    bench = on_disk
    ask = bench.ask(Phase.COLLECT)
    first = bench.payload("north", ask)
    read = len(source.days)
    with_books(bench, books_at(folder), source, MemoryOnly(bench.series))
    bench.nodes["north"]._memory.store(NodeState(head=bench.series.genesis, abstains=True))
    assert bench.refusal("north", ask) is RefusalCode.ROUND
    assert len(source.days) == read
    assert first


def test_a_node_writes_what_it_sent_and_whose_sum_it_helped_to_open(on_disk: Bench, folder: Path) -> None:
    bodies = {entry.kind: entry.body for entry in entries_of(folder)}
    mine = on_disk.head.submissions["north"]
    assert bodies["release"]["submission"] == mine
    assert bodies["opening"]["submissions"] == dict(on_disk.head.submissions)
    assert kinds_of(folder) == ["began", "run", "charge", "release", "opening"]


@pytest.mark.parametrize("error", [OSError(28, "full"), sqlite3.OperationalError("full"), MemoryError()])
@pytest.mark.parametrize("method", ["charge", "sent", "opened", "refused", "locked", "require_current"])
def test_nothing_leaves_when_it_cannot_be_written_down(
    on_disk: Bench,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    method: str,
) -> None:
    bench = on_disk

    def fail(*_: object, **__: object) -> Any:  # noqa: ANN401 - in the place of anything
        raise error

    asks = {
        "opened": lambda: bench.ask(Phase.OPEN, bench.collect()),
        "refused": lambda: bench.ask(Phase.COLLECT, request_hash="0" * 64),
    }
    ask = asks.get(method, lambda: bench.ask(Phase.COLLECT))()
    with monkeypatch.context() as patch:
        patch.setattr(FileBooks, method, fail)
        assert bench.refusal("north", ask) is RefusalCode.INTERNAL
    books = books_at(folder)
    with books.locked():
        books.verify()
    if method != "refused":
        assert bench.payload("north", ask)


def test_every_error_of_the_books_has_a_code() -> None:
    from clients.node import _CODES  # noqa: PLC0415 - looked at from outside

    known = tuple(kind for kind, _ in _CODES)
    for kind in (BudgetExhausted, RoundRefused, LedgerMismatch, EvidenceDamaged, NodeConfigError):
        assert issubclass(kind, known)
        assert issubclass(kind, FedscoreError)
    assert hashlib.sha256(b"sealed").hexdigest() == submission_digest(b"sealed")


def test_no_books_keep_nothing(folder: Path) -> None:
    books = NoBooks()
    with books.locked():
        assert books.charge(expense(1)) == dt.datetime.now(dt.UTC).date()
        books.sent(KEY, 1, SENT)
        books.opened(KEY, RELEASE)
        books.refused(ASK, RefusalCode.DATA)
        books.require_current(state(), GENESIS)
        books.require_affordable(price())
    assert kinds_of(folder) == ["began"]
