"""What a node answers, and above all what it does not."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clients.node
from clients.books import NoBooks
from clients.memory import Collected, MemoryOnly, NodeState
from clients.node import AUDITOR, Node, Submitter
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import (
    BudgetExhausted,
    CiphertextRefused,
    CohortRefused,
    DataError,
    NodeConfigError,
    ProofRefused,
    ProtocolError,
    RoundRefused,
    SignatureRefused,
    TranscriptRefused,
)
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import NO_RUN, chain_openings, read_head, submission_digest
from fedscore.sums import Envelope
from fedscore.sums.series import HELLO_DOMAIN
from privacy.dp.randomness import SystemRandomness
from privacy.identities import verify_signature
from simulations.keys import simulated_identity
from simulations.plain import PlainMember, PlainSealer

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

RUN = "ab" * 16
OTHER_RUN = "cd" * 16
Openings = tuple[npt.NDArray[np.int64], ...]
MakeBench = Callable[..., "Bench"]
MakeRows = Callable[[int, int], Rows]


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    """Three parties; north and south sit on the committee, and so does an auditor."""
    return make_bench(members=("north", "south", "auditor-1"))


@pytest.fixture(scope="module")
def openings(make_bench: MakeBench) -> Openings:
    """The first openings of a run: public, and good for any run of the contract."""
    bench = make_bench()
    for _ in range(3):
        bench.play_round()
    return bench.openings


def false_head(bench: Bench, openings: Openings, *, round_number: int, run: str = RUN) -> Head:
    """A head that fits openings, from a server that says what it likes."""
    return replace(
        bench.series.genesis,
        round=round_number,
        run=run if openings else NO_RUN,
        step=len(openings),
        openings=chain_openings(openings),
    )


# Hello


@pytest.mark.parametrize(
    ("name", "role", "seat"),
    [("north", "platform", 1), ("agency", "collector", None), ("auditor-1", AUDITOR, 3)],
)
def test_hello_says_who_is_there_and_signs_it(bench: Bench, name: str, role: str, seat: int | None) -> None:
    ask = bench.ask(Phase.HELLO)
    answer = bench.answer(name, ask)
    assert isinstance(answer, Reply)
    assert (answer.party, answer.role, answer.committee_member) == (name, role, seat)
    assert (answer.phase, answer.run, answer.round, answer.last_round) == (Phase.HELLO, RUN, 0, 0)
    said = answer.introduction(ask.contract_hash)
    verify_signature(simulated_identity(name).public.signing_key, HELLO_DOMAIN, said, answer.signature)
    if seat is None:
        assert (answer.payload, answer.head_signature) == (b"", b"")
    else:
        assert read_head(answer.payload) == bench.head
        assert bench.series.vouchers(bench.head, {seat: answer.head_signature})


@pytest.mark.parametrize(
    "lie",
    [
        {"party": "south"},
        {"role": "collector"},
        {"version": "9"},
        {"committee_member": 2},
        {"committee_member": None},
        {"last_round": 5},
        {"run": OTHER_RUN},
        {"payload": b""},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_a_hellos_signature_covers_all_that_the_server_goes_by(bench: Bench, lie: dict[str, object]) -> None:
    ask = bench.ask(Phase.HELLO)
    answer = bench.answer("north", ask)
    assert isinstance(answer, Reply)
    changed = replace(answer, **lie)  # type: ignore[arg-type]  # one field of many types
    assert changed != answer
    key = simulated_identity("north").public.signing_key
    with pytest.raises(SignatureRefused):
        verify_signature(key, HELLO_DOMAIN, changed.introduction(ask.contract_hash), answer.signature)
    with pytest.raises(SignatureRefused):
        verify_signature(key, HELLO_DOMAIN, answer.introduction("0" * 64), answer.signature)


def test_a_hello_is_the_same_whatever_the_data(bench: Bench, make_rows: MakeRows) -> None:
    hello = bench.ask(Phase.HELLO)
    empty = node_with(bench, load_rows=lambda _day: make_rows(0, 1))
    assert empty.answer(hello) == bench.answer("agency", hello)


def test_a_server_that_lost_its_transcript_learns_where_it_stands(bench: Bench) -> None:
    bench.play_round()
    bench.answer("north", bench.ask(Phase.HELLO))
    answer = bench.answer("north", bench.ask(Phase.HELLO, head=bench.series.genesis))
    assert isinstance(answer, Reply)
    assert read_head(answer.payload) == bench.head
    assert bench.series.vouchers(bench.head, {1: answer.head_signature})
    assert answer.last_round == 1


def test_a_member_that_was_away_catches_up_in_a_hello(bench: Bench) -> None:
    bench.play_round()
    bench.answer("auditor-1", bench.ask(Phase.HELLO))
    submissions = bench.collect()
    bench.close(submissions)
    lone = bench.answer("auditor-1", bench.ask(Phase.HELLO))
    assert isinstance(lone, Reply)
    assert read_head(lone.payload).round == 1
    bench.signatures = bench.signed(["north", "south"])
    answer = bench.answer("auditor-1", bench.ask(Phase.HELLO))
    assert isinstance(answer, Reply)
    assert read_head(answer.payload) == bench.head
    assert bench.memories["auditor-1"].load().head == bench.head


def test_an_auditor_that_missed_the_first_sum_never_opens_one(bench: Bench) -> None:
    """Nothing that it sends could prove to it that a head is new, and its memory may be a second one."""
    for _ in range(2):
        bench.signatures = bench.signed(["north", "south"])
        submissions = bench.collect()
        if bench.round > 1:
            ask = bench.ask(Phase.OPEN, submissions)
            assert bench.refusal("auditor-1", ask) is RefusalCode.TRANSCRIPT
        bench.close(submissions)


def test_what_a_member_sends_until_its_past_tells_it_what_is_new_is_remembered_in_short(
    make_bench: MakeBench, tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients.node, "KEPT", 2)
    bench = make_bench(tiny_contract.with_privacy(spare_rounds=5))
    sent = [bench.payload("north", bench.ask(Phase.COLLECT, round=number)) for number in range(1, 5)]
    kept = tuple(submission_digest(submission) for submission in sent[-2:])
    assert bench.memories["north"].load().made_since == kept


def test_a_member_without_its_memory_says_hello_and_signs_no_head(bench: Bench) -> None:
    bench.memories["north"].store(NodeState(head=bench.head, abstains=True))
    answer = bench.answer("north", bench.ask(Phase.HELLO))
    assert isinstance(answer, Reply)
    assert answer.head_signature == b""


# A vector for a round


def test_asked_twice_a_node_sends_the_same_bytes(bench: Bench) -> None:
    ask = bench.ask(Phase.COLLECT)
    first = bench.payload("north", ask)
    assert bench.payload("north", ask) == first
    bench.restart("north")
    assert bench.payload("north", ask) == first
    # A node without a memory of its own draws other noise: the comparisons above can fail.
    bench.restart("north", MemoryOnly(bench.series))
    assert bench.payload("north", ask) != first


def test_it_sends_the_same_bytes_also_when_the_server_knows_more_signatures(bench: Bench) -> None:
    first = bench.payload("north", bench.ask(Phase.COLLECT))
    bench.signatures = bench.signed(["north", "south"])
    assert bench.payload("north", bench.ask(Phase.COLLECT, opening=b"any")) == first


def test_noise_is_there_and_has_the_promised_size(make_bench: MakeBench, tiny_contract: Contract) -> None:
    bench, clear = make_bench(), make_bench(tiny_contract.with_privacy(noise=NoiseMode.NONE))
    sent, exact = (np.frombuffer(of.collect(["north"])["north"], dtype="<i8") for of in (bench, clear))
    request = bench.turn(bench.ask(Phase.COLLECT)).envelope.request
    noise = sent - request.scale * exact
    ratio = float(np.mean(noise.astype(float) ** 2)) / request.share_variance
    assert 0.35 < ratio < 2.1  # 54 values: beyond this by chance less than once in 10⁵


def test_another_round_has_other_noise(make_bench: MakeBench, tiny_contract: Contract) -> None:
    bench = make_bench(tiny_contract.with_privacy(spare_rounds=1))
    first = bench.payload("north", bench.ask(Phase.COLLECT))
    second = bench.payload("north", bench.ask(Phase.COLLECT, round=2))
    difference = np.frombuffer(first, dtype="<i8") - np.frombuffer(second, dtype="<i8")
    assert np.count_nonzero(difference) > len(difference) / 2


def test_a_second_question_about_a_round_and_an_older_round_are_refused(bench: Bench) -> None:
    """Either would be answered with fresh noise over the same rows."""
    bench.payload("north", bench.ask(Phase.COLLECT, round=5))
    for run, number in ((OTHER_RUN, 5), (RUN, 4), (OTHER_RUN, 4), (RUN, 1)):
        ask = bench.ask(Phase.COLLECT, run=run, round=number)
        assert bench.refusal("north", ask) is RefusalCode.ROUND, (run, number)
    assert bench.payload("north", bench.ask(Phase.COLLECT, run=OTHER_RUN, round=6))
    assert bench.refusal("north", bench.ask(Phase.COLLECT, round=5)) is RefusalCode.ROUND


@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_round_that_is_not_after_the_transcripts_head_is_refused(
    bench: Bench, openings: Openings, number: int
) -> None:
    head = false_head(bench, openings[:1], round_number=7)
    ask = bench.ask(Phase.COLLECT, head=head, openings=openings[:1], round=number)
    assert bench.refusal("agency", ask) is RefusalCode.ROUND


def test_a_changed_request_is_refused(make_bench: MakeBench, tiny_contract: Contract) -> None:
    bench = make_bench()
    weaker = make_bench(tiny_contract.with_privacy(epsilon=100.0))
    asks = {
        "another digest": bench.ask(Phase.COLLECT, request_hash="0" * 64),
        "the request of a weaker contract": replace(
            weaker.ask(Phase.COLLECT), contract_hash=bench.contract.hash()
        ),
        "another run's request": replace(bench.ask(Phase.COLLECT, run=OTHER_RUN), run=RUN),
        "another round's request": replace(bench.ask(Phase.COLLECT, round=2), round=1),
        "another transcript's request": replace(
            bench.ask(Phase.COLLECT, head=replace(bench.head, previous="0" * 64)), head=bench.head
        ),
    }
    for what, ask in asks.items():
        for phase in (Phase.COLLECT, Phase.OPEN, Phase.PROVE):
            assert bench.refusal("north", replace(ask, phase=phase)) is RefusalCode.REQUEST, (what, phase)
    for phase in Phase:
        assert bench.refusal("north", weaker.ask(phase)) is RefusalCode.CONTRACT, phase
    assert bench.memories["north"].load() == NodeState(head=bench.series.genesis)


@pytest.mark.parametrize("run", ["", "zz" * 16, "../../etc/passwd", "AB" * 16, "ab" * 16 + "\n"])
def test_a_run_that_is_no_run_is_refused(bench: Bench, run: str) -> None:
    for phase in Phase:
        assert bench.refusal("north", bench.ask(phase, run=run)) is RefusalCode.REQUEST


def test_another_keys_transcript_is_refused(bench: Bench) -> None:
    for phase in Phase:
        ask = bench.ask(phase, head=replace(bench.head, key_id="0" * 64))
        assert bench.refusal("agency", ask) is RefusalCode.TRANSCRIPT


# Forks


def test_openings_other_than_those_of_the_head_are_refused(bench: Bench, openings: Openings) -> None:
    head = false_head(bench, openings[:1], round_number=3)
    other = (openings[0] + 1,)
    for name in ("north", "agency"):
        asks: tuple[dict[str, Any], ...] = (
            {"openings": other, "head": head},
            {"openings": openings[:2], "head": head},
            {"openings": openings[:1], "head": replace(head, run=OTHER_RUN)},
            {"openings": openings[:1], "head": replace(head, step=2)},
        )
        for changes in asks:
            ask = bench.ask(Phase.COLLECT, round=4, **changes)
            assert bench.refusal(name, ask) is RefusalCode.TRANSCRIPT, changes
    assert bench.payload("agency", bench.ask(Phase.COLLECT, round=4, head=head, openings=openings[:1]))


def test_a_run_has_one_history(bench: Bench, openings: Openings) -> None:
    """Whatever head the server invents, a node that was shown openings is not shown others in their place."""
    first = bench.ask(
        Phase.COLLECT, round=4, head=false_head(bench, openings[:2], round_number=3), openings=openings[:2]
    )
    assert bench.payload("agency", first)
    forks: dict[str, Openings] = {
        "the last is another": (openings[0], openings[1] + 1),
        "the first is another": (openings[0] + 1, openings[1]),
        "another, and one more": (openings[0], openings[1] + 1, openings[2]),
        "one less": openings[:1],
        "none": (),
    }
    for what, fork in forks.items():
        ask = bench.ask(Phase.COLLECT, round=9, head=false_head(bench, fork, round_number=8), openings=fork)
        assert bench.refusal("agency", ask) is RefusalCode.TRANSCRIPT, what
    longer = bench.ask(
        Phase.COLLECT, round=9, head=false_head(bench, openings, round_number=8), openings=openings
    )
    assert bench.payload("agency", longer)


def test_an_older_head_than_the_one_shown_before_is_refused(bench: Bench) -> None:
    head = false_head(bench, (), round_number=5)
    bench.payload("agency", bench.ask(Phase.COLLECT, head=head, round=6))
    older = bench.ask(Phase.COLLECT, run=OTHER_RUN, head=false_head(bench, (), round_number=4), round=7)
    assert bench.refusal("agency", older) is RefusalCode.TRANSCRIPT
    assert bench.payload("agency", bench.ask(Phase.COLLECT, run=OTHER_RUN, head=head, round=7))


def test_a_member_collects_for_no_history_older_than_its_own(bench: Bench) -> None:
    bench.play_round()
    bench.payload("north", bench.ask(Phase.COLLECT))
    stale = bench.ask(Phase.COLLECT, run=OTHER_RUN, head=bench.series.genesis, openings=(), round=9)
    assert bench.refusal("north", stale) is RefusalCode.TRANSCRIPT


# Rounds that are paid for


def repeated(make_bench: MakeBench, contract: Contract, spare_rounds: int) -> Bench:
    return make_bench(contract.with_privacy(spare_rounds=spare_rounds), members=("north", "south"))


@pytest.mark.parametrize("spare_rounds", [0, 1, 3])
@pytest.mark.parametrize("step", [0, 1])
def test_a_sum_is_repeated_as_often_as_was_paid_for(
    make_bench: MakeBench, tiny_contract: Contract, openings: Openings, spare_rounds: int, step: int
) -> None:
    """The dearest sum first of all: n rounds of it cost more than a program of n sums."""
    bench = repeated(make_bench, tiny_contract, spare_rounds)
    head = false_head(bench, openings[:step], round_number=1)
    for number in range(2, 3 + spare_rounds):
        ask = bench.ask(Phase.COLLECT, head=head, openings=openings[:step], round=number)
        assert bench.payload("agency", ask)
    for number in (3 + spare_rounds, 99):
        ask = bench.ask(Phase.COLLECT, head=head, openings=openings[:step], round=number)
        assert bench.refusal("agency", ask) is RefusalCode.BUDGET


def test_a_repeated_round_that_was_paid_for_does_not_pay_for_the_next_sum(
    make_bench: MakeBench, tiny_contract: Contract, openings: Openings
) -> None:
    bench = repeated(make_bench, tiny_contract, 1)
    first = [bench.ask(Phase.COLLECT, round=number) for number in (1, 2)]
    assert all(bench.payload("agency", ask) for ask in first)
    head = false_head(bench, openings[:1], round_number=2)
    second = [bench.ask(Phase.COLLECT, head=head, openings=openings[:1], round=number) for number in (3, 4)]
    assert bench.payload("agency", second[0])
    assert bench.refusal("agency", second[1]) is RefusalCode.BUDGET
    assert bench.payload("agency", second[0]), "resending costs nothing"


def test_two_runs_in_turns_repeat_nothing(make_bench: MakeBench, tiny_contract: Contract) -> None:
    bench = repeated(make_bench, tiny_contract, 0)
    assert bench.payload("agency", bench.ask(Phase.COLLECT, round=1))
    assert bench.payload("agency", bench.ask(Phase.COLLECT, round=2, run=OTHER_RUN))
    assert bench.refusal("agency", bench.ask(Phase.COLLECT, round=3)) is RefusalCode.ROUND
    bench.restart("agency")
    assert bench.refusal("agency", bench.ask(Phase.COLLECT, round=3)) is RefusalCode.ROUND
    third = bench.ask(Phase.COLLECT, round=3, run="ef" * 16)
    assert bench.payload("agency", third)
    for run in (RUN, OTHER_RUN):
        assert bench.refusal("agency", bench.ask(Phase.COLLECT, round=4, run=run)) is RefusalCode.ROUND


def test_a_run_that_began_without_a_party_goes_on_without_it(bench: Bench, openings: Openings) -> None:
    bench.payload("agency", bench.ask(Phase.COLLECT))
    head = false_head(bench, openings[:1], round_number=2, run=OTHER_RUN)
    ask = bench.ask(Phase.COLLECT, run=OTHER_RUN, head=head, openings=openings[:1], round=3)
    assert bench.refusal("agency", ask) is RefusalCode.ROUND


def test_a_key_serves_so_many_runs_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.node, "MAXIMUM_RUNS", 3)
    codes = []
    for number in range(1, 7):
        answer = bench.answer("agency", bench.ask(Phase.COLLECT, run=f"{number:032x}", round=number))
        codes.append(answer.code if isinstance(answer, Refusal) else None)
    assert codes == [None] * 4 + [RefusalCode.ROUND] * 2


@settings(max_examples=30)
@given(
    spare_rounds=st.integers(0, 2),
    moves=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-1, 2)), max_size=14),
)
def test_no_order_of_questions_gets_more_than_was_paid_for(
    make_bench: MakeBench,
    tiny_contract: Contract,
    openings: Openings,
    spare_rounds: int,
    moves: Sequence[tuple[int, int, int]],
) -> None:
    """A server asks for any sum of any run in any round, with whatever head it invents."""
    bench = repeated(make_bench, tiny_contract, spare_rounds)
    answered: Counter[tuple[str, int]] = Counter()
    rounds: dict[int, bytes] = {}
    number = 2
    for run_number, step, ahead in moves:
        run, number = f"{run_number:032x}", max(2, number + ahead)
        head = false_head(bench, openings[:step], round_number=number - 1, run=run)
        answer = bench.answer(
            "agency", bench.ask(Phase.COLLECT, run=run, head=head, openings=openings[:step], round=number)
        )
        if isinstance(answer, Reply):
            if number not in rounds:
                answered[run, step] += 1
            assert rounds.setdefault(number, answer.payload) == answer.payload, "two vectors in one round"
    for run in {run for run, _ in answered}:
        again = sum(times - 1 for (of, _), times in answered.items() if of == run)
        assert again <= spare_rounds


# Helping to open


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.PROVE])
def test_a_member_helps_to_open_the_whole_cohorts_sum_and_does_so_again(bench: Bench, phase: Phase) -> None:
    submissions = bench.collect()
    ask = bench.ask(phase, submissions)
    for name in ("north", "south", "auditor-1"):
        answer = bench.answer(name, ask)
        assert isinstance(answer, Reply)
        assert (answer.phase, answer.round, answer.request_hash) == (phase, 1, ask.request_hash)
        assert answer.payload == bench.payload(name, ask)
        released = bench.memories[name].load().released
        assert released is not None
        assert released.submissions.keys() == submissions.keys()


def test_a_proof_is_of_the_product_that_was_opened(bench: Bench) -> None:
    submissions = bench.collect()
    opened = bench.payload("north", bench.ask(Phase.OPEN, submissions))
    proven = bench.payload("north", bench.ask(Phase.PROVE, submissions))
    assert proven == opened + bench.ask(Phase.PROVE, submissions).request_hash.encode()
    fewer = {name: submissions[name] for name in ("north", "south")}
    assert bench.refusal("north", bench.ask(Phase.PROVE, fewer)) is RefusalCode.ROUND


def test_an_auditor_has_no_vector_to_send(bench: Bench) -> None:
    assert bench.refusal("auditor-1", bench.ask(Phase.COLLECT)) is RefusalCode.COHORT


def test_who_holds_no_share_opens_nothing(bench: Bench) -> None:
    submissions = bench.collect()
    for phase in (Phase.OPEN, Phase.PROVE):
        assert bench.refusal("agency", bench.ask(phase, submissions)) is RefusalCode.COHORT


def test_only_the_whole_cohort_is_opened(bench: Bench) -> None:
    everyone = bench.collect()
    for cohort in (
        {"south": everyone["south"]},
        {name: everyone[name] for name in ("north", "south")},
        {**everyone, "invented": everyone["south"][::-1]},
        {},
    ):
        assert bench.refusal("north", bench.ask(Phase.OPEN, cohort)) is RefusalCode.COHORT
    assert bench.memories["north"].load().released is None
    assert bench.payload("north", bench.ask(Phase.OPEN, everyone))


def test_members_sign_the_head_that_they_know_with_every_answer(bench: Bench) -> None:
    bench.play_round()
    for name, seat in (("north", 1), ("south", 2), ("agency", None)):
        answer = bench.answer(name, bench.ask(Phase.COLLECT))
        assert isinstance(answer, Reply)
        if seat is None:
            assert answer.head_signature == b""
        else:
            assert bench.series.vouchers(bench.head, {seat: answer.head_signature})


def test_a_member_gives_its_vector_under_a_head_that_it_cannot_judge_and_opens_nothing_there(
    bench: Bench,
) -> None:
    """Who is behind must not be the reason that nobody can go on; but it vouches for nothing."""
    bench.close(bench.collect(["north", "south", "agency"]))
    answer = bench.answer("north", bench.ask(Phase.COLLECT))
    assert isinstance(answer, Reply)
    assert answer.head_signature == b""
    submissions = bench.collect()
    assert bench.refusal("north", bench.ask(Phase.OPEN, submissions)) is RefusalCode.TRANSCRIPT
    bench.signatures = bench.signed(["south", "auditor-1"])
    assert bench.payload("north", bench.ask(Phase.OPEN, submissions))


def test_a_member_that_lost_its_memory_is_back_after_one_round_with_its_new_vector(bench: Bench) -> None:
    bench.play_round()
    bench.memories["north"].store(NodeState(head=bench.series.genesis, abstains=True))
    submissions = bench.collect()
    ask = bench.ask(Phase.OPEN, submissions)
    assert bench.refusal("north", ask) is RefusalCode.TRANSCRIPT
    for name in ("south", "auditor-1"):
        bench.payload(name, ask)
    bench.close(submissions)
    bench.signatures = {}
    for name in ("south", "auditor-1"):
        hello = bench.answer(name, bench.ask(Phase.HELLO))
        assert isinstance(hello, Reply)
        assert hello.committee_member is not None
        bench.signatures = {**bench.signatures, hello.committee_member: hello.head_signature}
    submissions = bench.collect()
    assert not bench.memories["north"].load().abstains
    assert bench.payload("north", bench.ask(Phase.OPEN, submissions))


class Refusing(PlainMember):
    """A member that finds what it is told to find."""

    def __init__(self, finding: Exception) -> None:
        self.finding = finding

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:  # noqa: ARG002 - looks at nothing
        raise self.finding


CANARY = "account-4711-owes-1234"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (CiphertextRefused, RefusalCode.SUBMISSION),
        (SignatureRefused, RefusalCode.SUBMISSION),
        (ProofRefused, RefusalCode.SUBMISSION),
        (CohortRefused, RefusalCode.COHORT),
        (TranscriptRefused, RefusalCode.TRANSCRIPT),
        (RoundRefused, RefusalCode.ROUND),
        (BudgetExhausted, RefusalCode.BUDGET),
        (ProtocolError, RefusalCode.REQUEST),
        (DataError, RefusalCode.DATA),
        (ValueError, RefusalCode.INTERNAL),
        (MemoryError, RefusalCode.INTERNAL),
    ],
)
def test_every_refusal_has_a_code_and_its_text_stays_here(
    bench: Bench, kind: type[Exception], code: RefusalCode, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(
        name="north",
        contract=bench.contract,
        series=bench.series,
        signer=simulated_identity("north"),
        memory=bench.memories["north"],
        books=NoBooks(),
        submitter=None,
        member=Refusing(kind(CANARY)),
    )
    with caplog.at_level(logging.WARNING):
        answer = node.answer(bench.ask(Phase.OPEN, bench.collect(["south", "agency"]) | {"north": b""}))
    assert answer == Refusal(version=version("fedscore"), party="north", phase=Phase.OPEN, round=1, code=code)
    assert CANARY in caplog.text


# Whatever goes wrong


@dataclass
class Broken:
    """A memory that fails where it is told to."""

    at: str
    error: Exception
    state: NodeState
    stored: list[NodeState] = field(default_factory=list)

    def locked(self) -> AbstractContextManager[None]:
        self._fail("locked")
        return nullcontext()

    def load(self) -> NodeState:
        self._fail("load")
        return self.stored[-1] if self.stored else self.state

    def store(self, state: NodeState) -> None:
        self._fail("store")
        self.stored.append(state)

    def _fail(self, place: str) -> None:
        if place == self.at:
            raise self.error


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(28, CANARY), RefusalCode.INTERNAL), (NodeConfigError(CANARY), RefusalCode.LEDGER)],
    ids=["disk", "damage"],
)
@pytest.mark.parametrize("at", ["locked", "load", "store"])
def test_what_cannot_be_written_down_does_not_leave(
    bench: Bench, at: str, error: Exception, code: RefusalCode
) -> None:
    submissions = bench.collect()
    broken = Broken(at=at, error=error, state=NodeState(head=bench.head))
    bench.restart("north", broken)
    for ask in (
        bench.ask(Phase.COLLECT),
        bench.ask(Phase.OPEN, submissions),
        bench.ask(Phase.PROVE, submissions),
    ):
        answer = bench.answer("north", ask)
        assert answer == Refusal(
            version=version("fedscore"), party="north", phase=ask.phase, round=1, code=code
        )
    assert broken.stored == []
    broken.at = "nowhere"
    submissions["north"] = bench.payload("north", bench.ask(Phase.COLLECT))
    assert bench.payload("north", bench.ask(Phase.OPEN, submissions))


def node_with(
    bench: Bench,
    *,
    load_rows: Callable[[dt.date], Rows],
    sealer: PlainSealer | None = None,
    agenda_of: Callable[[Contract, str], Agenda] | None = None,
) -> Node:
    return Node(
        name="agency",
        contract=bench.contract,
        series=bench.series,
        signer=simulated_identity("agency"),
        memory=bench.memories["agency"],
        books=NoBooks(),
        submitter=Submitter(
            load_rows=load_rows, sealer=sealer or PlainSealer(), randomness=SystemRandomness()
        ),
        member=None,
        agenda_of=agenda_of or (lambda contract, run: Agenda(contract, run=run)),
    )


class Leaky(PlainSealer):
    """A sealer that fails, and says what on."""

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        raise ArithmeticError(f"{CANARY} {list(values)} {envelope}")


def test_whatever_the_data_cause_leaves_as_one_code_without_text(
    bench: Bench, make_rows: MakeRows, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_day: dt.date) -> Rows:
        raise RuntimeError(CANARY)

    def unfit(_day: dt.date) -> Rows:
        raise DataError(f"a message about data, such as {CANARY}")

    def confused(_contract: Contract, _run: str) -> Agenda:
        raise KeyError(CANARY)

    rows = make_rows(5, 1)
    nodes = [
        (node_with(bench, load_rows=broken), RefusalCode.INTERNAL),
        (node_with(bench, load_rows=unfit), RefusalCode.DATA),
        (node_with(bench, load_rows=lambda _day: rows, sealer=Leaky()), RefusalCode.INTERNAL),
        (node_with(bench, load_rows=lambda _day: rows, agenda_of=confused), RefusalCode.INTERNAL),
    ]
    ask = bench.ask(Phase.COLLECT)
    for node, code in nodes:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            answer = node.answer(ask)
        assert answer == Refusal(
            version=version("fedscore"), party="agency", phase=Phase.COLLECT, round=1, code=code
        )
        assert CANARY in caplog.text, "the owner's own log does not say what happened"
    assert bench.memories["agency"].load().collected is None
    assert bench.payload("agency", ask)


def test_too_many_rows_are_refused_before_anything_is_sent(bench: Bench, make_rows: MakeRows) -> None:
    rows = make_rows(bench.contract.rows.row_cap + 1, 1)
    answer = node_with(bench, load_rows=lambda _day: rows).answer(bench.ask(Phase.COLLECT))
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.DATA
    assert bench.memories["agency"].load().collected is None


def test_a_party_without_rows_still_sends_noise(bench: Bench, make_rows: MakeRows) -> None:
    answer = node_with(bench, load_rows=lambda _day: make_rows(0, 1)).answer(bench.ask(Phase.COLLECT))
    assert isinstance(answer, Reply)
    assert np.count_nonzero(np.frombuffer(answer.payload, dtype="<i8"))


def test_what_is_refused_needs_no_rows(bench: Bench) -> None:
    """Else an owner's data would be read, and time be told, for a server that lies."""

    def loaded(_day: dt.date) -> Rows:
        raise AssertionError("the rows were read")

    node = node_with(bench, load_rows=loaded)
    asks = (
        bench.ask(Phase.HELLO),
        bench.ask(Phase.COLLECT, request_hash="0" * 64),
        bench.ask(Phase.COLLECT, round=0),
        bench.ask(Phase.OPEN, {"north": b""}),
    )
    codes = [answer.code for ask in asks if isinstance(answer := node.answer(ask), Refusal)]
    assert codes == [RefusalCode.REQUEST, RefusalCode.ROUND, RefusalCode.COHORT]


ODD_VECTORS = st.lists(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60).map(
        lambda values: np.array(values, dtype=np.int64)
    ),
    max_size=2,
).map(tuple)
PIECES = st.sampled_from(["north", "south", "agency", "cut", "empty"])


@settings(max_examples=30)
@given(
    phase=st.sampled_from(Phase),
    run=st.sampled_from([RUN, OTHER_RUN, "x"]),
    number=st.sampled_from([-1, 0, 1, 2, 2**32, 2**64]),
    known_head=st.booleans(),
    shown=st.integers(0, 2) | ODD_VECTORS,
    opening=st.binary(max_size=9),
    signatures=st.dictionaries(st.integers(-1, 4), st.sampled_from([b"", bytes(64), b"right"]), max_size=3),
    chosen=st.dictionaries(st.sampled_from(["north", "south", "agency", "west", ""]), PIECES),
)
def test_whatever_is_asked_a_node_answers_and_opens_nothing_but_a_whole_cohorts_sum(  # noqa: PLR0913 - one argument for each field of an ask
    make_bench: MakeBench,
    openings: Openings,
    *,
    phase: Phase,
    run: str,
    number: int,
    known_head: bool,
    shown: int | Openings,
    opening: bytes,
    signatures: Mapping[int, bytes],
    chosen: Mapping[str, str],
) -> None:
    bench = make_bench()
    sent = bench.collect()
    pieces = {**sent, "cut": sent["north"][:-1], "empty": b""}
    shown = openings[:shown] if isinstance(shown, int) else shown
    head = bench.head if known_head else false_head(bench, shown, round_number=1, run=run)
    right = bench.signed(["south"], head)[2]
    ask = Ask(
        phase=phase,
        run=run,
        round=number,
        contract_hash=bench.contract.hash(),
        head=head,
        opening=opening,
        head_signatures={seat: right if made == b"right" else made for seat, made in signatures.items()},
        request_hash="0" * 64,
        openings=shown,
        submissions={name: pieces[piece] for name, piece in chosen.items()},
    )
    with contextlib.suppress(Exception):  # there is no request to be derived; the node must see that too
        ask = replace(ask, request_hash=bench.turn(ask).envelope.digest)
    answer = bench.answer("north", ask)
    assert isinstance(answer, Reply | Refusal)
    state = bench.memories["north"].load()
    assert state.head == bench.series.genesis
    if phase in (Phase.OPEN, Phase.PROVE) and isinstance(answer, Reply):
        assert chosen.keys() == sent.keys()
        assert known_head
        assert state.released is not None
    else:
        assert state.released is None


def test_what_is_remembered_is_what_was_sent(bench: Bench) -> None:
    ask = bench.ask(Phase.COLLECT)
    sent = bench.payload("south", ask)
    assert bench.memories["south"].load().collected == Collected(
        round=1,
        run=RUN,
        step=0,
        openings=chain_openings(()),
        request=ask.request_hash,
        head_round=0,
        repeats=0,
        submission=sent,
    )
