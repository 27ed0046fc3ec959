"""What a committee member helps to open, whom it believes, and when it keeps out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clients.gate import CommitteeGate
from clients.memory import NodeState
from fedscore.contract import Contract
from fedscore.errors import (
    CiphertextRefused,
    CohortRefused,
    ProofRefused,
    ProtocolError,
    RoundRefused,
    SignatureRefused,
    TranscriptRefused,
)
from fedscore.learners.agenda import Turn
from fedscore.messages import Ask, Head, Phase
from fedscore.messages.transcript import submission_digest
from fedscore.sums import Envelope
from fedscore.sums.series import HEAD_DOMAIN, HELLO_DOMAIN
from privacy.identities import verify_signature
from simulations.keys import simulated_identity
from simulations.plain import PlainMember

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

RUN = "ab" * 16
OTHER_RUN = "cd" * 16


@dataclass
class Seat:
    """The gate of north, member 1, with the state that it is in."""

    bench: Bench
    gate: CommitteeGate
    state: NodeState

    def turn(self, ask: Ask) -> Turn:
        return self.bench.turn(ask)

    def follow(self, ask: Ask) -> None:
        self.state = self.gate.follow(self.state, ask)

    def admit(self, ask: Ask) -> bytes:
        self.state, product = self.gate.admit(self.state, ask, self.turn(ask))
        return product

    def open(self, submissions: Mapping[str, bytes], **changes: Any) -> Ask:  # noqa: ANN401 - fields of an ask
        return self.bench.ask(Phase.OPEN, submissions, **changes)


@pytest.fixture
def seat(make_bench: Callable[..., Bench]) -> Seat:
    return seated(make_bench())


def seated(bench: Bench, member: PlainMember | None = None) -> Seat:
    gate = CommitteeGate(
        name="north",
        contract=bench.contract,
        series=bench.series,
        member=member or PlainMember(),
        signer=simulated_identity("north"),
    )
    return Seat(bench=bench, gate=gate, state=NodeState(head=bench.series.genesis))


@pytest.fixture(scope="module")
def with_absences(tiny_contract: Contract) -> Contract:
    """One of three may be absent; a committee of three could open two cohorts with one colluding member."""
    committee = {"members": 3, "threshold": 2, "colluding_members": 0}
    return tiny_contract.with_encryption(committee=committee).with_privacy(absent=1, noise="local")


# Following the transcript


def test_a_head_that_is_known_changes_nothing(seat: Seat) -> None:
    assert seat.gate.follow(seat.state, seat.bench.ask(Phase.HELLO)) is seat.state


def test_whoever_helped_to_open_needs_nobodys_word(seat: Seat) -> None:
    """The opening proves itself to a member that made the product."""
    submissions = seat.bench.collect()
    seat.admit(seat.open(submissions))
    seat.bench.close(submissions)
    assert seat.bench.signatures == {}
    seat.follow(seat.bench.ask(Phase.COLLECT))
    assert seat.state.head == seat.bench.head
    assert seat.state.head.cohort == {"north", "south", "agency"}
    assert seat.state.head.previous == seat.bench.series.genesis.hash


def test_whoever_helped_follows_through_several_sums_of_several_runs(seat: Seat) -> None:
    for run in (seat.bench.run, OTHER_RUN):
        seat.bench.run, seat.bench.openings = run, ()
        for step in range(1, 4):
            submissions = seat.bench.collect()
            seat.follow(seat.bench.ask(Phase.COLLECT))
            seat.admit(seat.open(submissions))
            seat.bench.close(submissions)
            seat.follow(seat.bench.ask(Phase.HELLO))
            assert (seat.state.head.run, seat.state.head.step) == (run, step)
    assert seat.state.head.round == 6


FALSE_HEADS: dict[str, Callable[[Head], Head]] = {
    "another round": lambda head: replace(head, round=head.round + 1),
    "another run": lambda head: replace(head, run=OTHER_RUN),
    "another step": lambda head: replace(head, step=0),
    "another request": lambda head: replace(head, request="0" * 64),
    "other openings": lambda head: replace(head, openings="0" * 64),
    "a party more": lambda head: replace(head, submissions={**head.submissions, "west": "0" * 64}),
    "a party less": lambda head: replace(head, submissions={"north": head.submissions["north"]}),
    "another submission": lambda head: replace(head, submissions={**head.submissions, "south": "0" * 64}),
    "another history": lambda head: replace(head, previous="0" * 64),
}


@pytest.mark.parametrize("false", FALSE_HEADS.values(), ids=FALSE_HEADS.keys())
def test_a_true_opening_proves_no_false_head(seat: Seat, false: Callable[[Head], Head]) -> None:
    submissions = seat.bench.collect()
    seat.admit(seat.open(submissions))
    seat.bench.close(submissions)
    lie = false(seat.bench.head)
    assert lie != seat.bench.head
    ask = seat.bench.ask(Phase.HELLO, head=lie)
    assert seat.gate.follow(seat.state, ask) is seat.state
    seat.follow(seat.bench.ask(Phase.HELLO))
    assert seat.state.head == seat.bench.head


@pytest.mark.parametrize("what", ["nothing", "too short", "noise", "another sum"])
def test_a_false_opening_proves_nothing(seat: Seat, what: str) -> None:
    submissions = seat.bench.collect()
    seat.admit(seat.open(submissions))
    true = seat.bench.next_head(submissions)[2]
    other = np.frombuffer(true, dtype="<i8") + 1
    false = {"nothing": b"", "too short": true[:-1], "noise": true[::-1], "another sum": other.tobytes()}
    seat.bench.close(submissions)
    head = seat.bench.head
    if what == "another sum":
        # The head that another sum would have made, with the opening that would prove it.
        seat.bench.head, seat.bench.openings, seat.bench.round = seat.bench.series.genesis, (), 1
        head = seat.bench.next_head({**submissions, "south": (south_of(submissions) + 1).tobytes()})[0]
        head = replace(head, submissions=seat.bench.next_head(submissions)[0].submissions)
    ask = seat.bench.ask(Phase.HELLO, head=head, opening=false[what])
    assert seat.gate.follow(seat.state, ask) is seat.state


def south_of(submissions: Mapping[str, bytes]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.frombuffer(submissions["south"], dtype="<i8").astype(np.int64)


def test_what_was_opened_without_it_proves_nothing_to_a_member_that_was_away(seat: Seat) -> None:
    seat.bench.close(seat.bench.collect())
    assert seat.gate.follow(seat.state, seat.bench.ask(Phase.COLLECT)) is seat.state


def test_a_sum_that_was_abandoned_is_no_link_after_one_that_was_not(seat: Seat) -> None:
    """Rounds 1 and 2 hang on the same head; if 1 is opened after all, 2 must not be hung behind it."""
    first = seat.bench.collect()
    genesis = seat.bench.head
    seat.bench.run, seat.bench.round = OTHER_RUN, 2
    second = seat.bench.collect()
    seat.admit(seat.open(second))
    straight, _, opening = seat.bench.next_head(second)
    seat.bench.run, seat.bench.round = RUN, 1
    seat.bench.close(first)
    seat.state = replace(seat.state, made_since=(submission_digest(first["north"]),))
    seat.follow(seat.bench.ask(Phase.HELLO, head_signatures=seat.bench.signed(["south", "agency"])))
    assert (seat.state.head.round, seat.state.head.previous) == (1, genesis.hash)
    for head in (straight, replace(straight, previous=seat.state.head.hash)):
        ask = seat.bench.ask(Phase.HELLO, head=head, opening=opening)
        assert seat.gate.follow(seat.state, ask) is seat.state


def helped_before(seat: Seat) -> None:
    """One sum with the member's help, so that its own past tells it what is new."""
    submissions = seat.bench.collect()
    seat.admit(seat.open(submissions))
    seat.bench.close(submissions)
    seat.follow(seat.bench.ask(Phase.HELLO))
    assert seat.state.head == seat.bench.head


def test_a_member_that_was_away_believes_as_many_as_hold_an_honest_one(seat: Seat) -> None:
    helped_before(seat)
    seat.bench.close(seat.bench.collect())
    ask = seat.bench.ask(Phase.COLLECT, head_signatures=seat.bench.signed(["south", "agency"]))
    seat.follow(ask)
    assert seat.state.head == seat.bench.head


def test_a_member_that_never_helped_believes_only_heads_with_what_it_has_sent(seat: Seat) -> None:
    """Its memory may be empty because its share was accepted a second time: old heads are signed too."""
    bench = seat.bench
    submissions = bench.collect()
    bench.close(submissions)
    ask = bench.ask(Phase.HELLO, head_signatures=bench.signed(["south", "agency"]))
    assert seat.gate.follow(seat.state, ask) is seat.state
    seat.state = replace(seat.state, made_since=(submission_digest(b"another"),))
    assert seat.gate.follow(seat.state, ask) is seat.state
    own = submission_digest(submissions["north"])
    seat.state = replace(seat.state, made_since=(submission_digest(b"another"), own))
    alone = bench.ask(Phase.HELLO, head_signatures=bench.signed(["south"]))
    assert seat.gate.follow(seat.state, alone) is seat.state
    seat.follow(ask)
    assert (seat.state.head, seat.state.made_since) == (bench.head, ())


def vouchers(bench: Bench) -> dict[str, dict[int, bytes]]:
    """Signatures that are those of at most one member; two may not suffice when one may collude."""
    (signature,) = bench.signed(["south"]).values()
    (another,) = bench.signed(["agency"], replace(bench.head, round=bench.head.round + 1)).values()
    hello = simulated_identity("agency").sign(HELLO_DOMAIN, bench.head.to_bytes())
    stranger = simulated_identity("stranger").sign(HEAD_DOMAIN, bench.head.to_bytes())
    return {
        "nobody": {},
        "one": {2: signature},
        "one, counted twice": {2: signature, 3: signature},
        "one, under numbers that are nobody's": {2: signature, 0: signature, 4: signature, -1: signature},
        "a stranger": {2: signature, 3: stranger},
        "a signature under another head": {2: signature, 3: another},
        "a signature for another purpose": {2: signature, 3: hello},
        "a signature cut short": {2: signature, 3: bench.signed(["agency"])[3][:-1]},
        "nothing signed": {2: signature, 3: b""},
    }


WEAK = [
    "nobody",
    "one",
    "one, counted twice",
    "one, under numbers that are nobody's",
    "a stranger",
    "a signature under another head",
    "a signature for another purpose",
    "a signature cut short",
    "nothing signed",
]


@pytest.mark.parametrize("who", WEAK)
def test_fewer_vouchers_prove_nothing(seat: Seat, who: str) -> None:
    helped_before(seat)
    submissions = seat.bench.collect()
    seat.bench.close(submissions)
    assert vouchers(seat.bench).keys() == set(WEAK)
    ask = seat.bench.ask(Phase.COLLECT, head_signatures=vouchers(seat.bench)[who])
    assert seat.gate.follow(seat.state, ask) is seat.state
    with pytest.raises(
        TranscriptRefused, match=r"transcript of round 2 .* knows round 1: 2 members must vouch"
    ):
        seat.admit(seat.open(submissions, round=3))
    assert seat.gate.vouch(seat.state, ask) == b""


@pytest.mark.parametrize("colluding", [0, 1, 2])
def test_one_voucher_more_than_may_collude_is_needed(
    make_bench: Callable[..., Bench], colluding: int
) -> None:
    names = ["north", "south", "agency", "auditor-1", "auditor-2"]
    seat = seated(make_bench(members=names, colluding_members=colluding))
    helped_before(seat)
    seat.bench.close(seat.bench.collect())
    for count in range(1, 5):
        ask = seat.bench.ask(Phase.HELLO, head_signatures=seat.bench.signed(names[-count:]))
        followed = seat.gate.follow(seat.state, ask)
        assert (followed.head == seat.bench.head) == (count > colluding)


def test_an_older_history_a_fork_and_another_keys_history_are_refused_whoever_signs(seat: Seat) -> None:
    bench = seat.bench
    genesis = bench.head
    first = bench.collect()
    bench.close(first)
    older = bench.head
    bench.close(bench.collect())
    seat.state = replace(seat.state, head=bench.head)
    everyone = ["north", "south", "agency"]
    for head in (
        genesis,
        older,
        replace(bench.head, openings="0" * 64),
        replace(bench.head, submissions={**bench.head.submissions, "south": "0" * 64}),
        replace(bench.head, previous="0" * 64),
        replace(bench.head, round=9, key_id="0" * 64),
    ):
        ask = bench.ask(Phase.HELLO, head=head, head_signatures=bench.signed(everyone, head))
        with pytest.raises(
            TranscriptRefused, match=rf"stands at round {head.round}, this member's at 2: a forked"
        ):
            seat.gate.follow(seat.state, ask)


# Vouching


def test_a_member_signs_its_own_head_and_no_other(seat: Seat) -> None:
    bench = seat.bench
    submissions = bench.collect()
    seat.admit(seat.open(submissions))
    bench.close(submissions)
    ask = bench.ask(Phase.HELLO)
    assert seat.gate.vouch(seat.state, ask) == b""
    seat.follow(ask)
    signature = seat.gate.vouch(seat.state, ask)
    key = bench.series.member_keys[1]
    verify_signature(key, HEAD_DOMAIN, bench.head.to_bytes(), signature)
    assert bench.series.vouchers(bench.head, {1: signature}) == {1: signature}
    for false in FALSE_HEADS.values():
        assert seat.gate.vouch(seat.state, bench.ask(Phase.HELLO, head=false(bench.head))) == b""


# Without a memory


def forgetful(bench: Bench) -> tuple[Seat, dict[str, bytes]]:
    """North has lost its memory in mid-round: it had helped to open a cohort of a round that is still open.

    Returns its seat, and what all parties sent in that round.
    """
    seat = seated(bench)
    bench.play_round()
    forgotten = bench.collect()
    seat.state = NodeState(head=bench.series.genesis, abstains=True)
    return seat, forgotten


def stays_out(seat: Seat, ask: Ask) -> None:
    before = seat.state
    seat.follow(ask)
    assert seat.state is before
    assert seat.gate.vouch(seat.state, ask) == b""
    opening = replace(ask, phase=Phase.OPEN, submissions={"north": b""})
    with pytest.raises(TranscriptRefused, match=r"abstains: .* 2 members vouch"):
        seat.gate.admit(seat.state, opening, seat.turn(seat.bench.ask(Phase.COLLECT)))


def test_a_member_without_a_memory_opens_nothing_and_vouches_for_nothing(
    make_bench: Callable[..., Bench],
) -> None:
    seat, forgotten = forgetful(make_bench())
    stays_out(seat, seat.bench.ask(Phase.OPEN, forgotten))
    stays_out(seat, seat.bench.ask(Phase.HELLO, head=seat.bench.series.genesis))


def test_old_signed_heads_do_not_bring_it_back(make_bench: Callable[..., Bench]) -> None:
    """Every one that was ever signed holds what it sent before it forgot, if it holds anything of it."""
    seat, forgotten = forgetful(make_bench())
    bench = seat.bench
    everyone = ["north", "south", "agency"]
    stays_out(seat, bench.ask(Phase.COLLECT, head_signatures=bench.signed(everyone)))
    # It has sent something since; the old heads do not hold that.
    new = submission_digest(b"new")
    seat.state = replace(seat.state, made_since=(new,))
    stays_out(seat, bench.ask(Phase.COLLECT, head_signatures=bench.signed(everyone)))
    # The very round that it forgot, opened with what it sent then.
    head = bench.next_head(forgotten)[0]
    stays_out(seat, bench.ask(Phase.HELLO, head=head, head_signatures=bench.signed(everyone, head)))


NEW = submission_digest(b"new")

NOT_CLOSED: dict[str, Callable[[Bench, Head], tuple[Head, dict[int, bytes]]]] = {
    "too few sign": lambda bench, head: (head, bench.signed(["south"], head)),
    "one signs twice": lambda bench, head: (
        head,
        {2: bench.signed(["south"], head)[2], 3: bench.signed(["south"], head)[2]},
    ),
    "nobody signs": lambda _, head: (head, {}),
    "a round without it": lambda bench, head: signed_by_all(
        bench, replace(head, submissions={"south": head.submissions["south"]})
    ),
    "its submission under another's name": lambda bench, head: signed_by_all(
        bench, replace(head, submissions={"south": NEW, "north": "0" * 64})
    ),
    "another submission of its": lambda bench, head: signed_by_all(
        bench, replace(head, submissions={**head.submissions, "north": submission_digest(b"old")})
    ),
}


def signed_by_all(bench: Bench, head: Head) -> tuple[Head, dict[int, bytes]]:
    return head, bench.signed(["north", "south", "agency"], head)


@pytest.mark.parametrize("way", NOT_CLOSED.values(), ids=NOT_CLOSED.keys())
def test_it_abstains_until_others_have_closed_a_round_with_what_it_sent_since(
    make_bench: Callable[..., Bench], way: Callable[[Bench, Head], tuple[Head, dict[int, bytes]]]
) -> None:
    seat, forgotten = forgetful(make_bench())
    bench = seat.bench
    seat.state = replace(seat.state, made_since=(submission_digest(b"earlier"), NEW))
    true = bench.next_head(forgotten)[0]
    true = replace(true, submissions={**true.submissions, "north": NEW})
    head, signatures = way(bench, true)
    stays_out(seat, bench.ask(Phase.HELLO, head=head, head_signatures=signatures))
    # The one way back: at least c_m + 1 members have closed a round that holds a submission it made since.
    seat.follow(bench.ask(Phase.HELLO, head=true, head_signatures=bench.signed(["south", "agency"], true)))
    assert (seat.state.head, seat.state.abstains, seat.state.made_since) == (true, False, ())
    assert seat.gate.vouch(seat.state, bench.ask(Phase.HELLO, head=true))


def test_an_opening_does_not_bring_it_back_even_if_a_backup_held_its_release(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    seat = seated(bench)
    submissions = bench.collect()
    seat.admit(seat.open(submissions))
    seat.state = replace(seat.state, abstains=True, made_since=(submission_digest(submissions["north"]),))
    bench.close(submissions)
    stays_out(seat, bench.ask(Phase.HELLO))


def test_without_the_rule_a_forgotten_round_would_be_opened_for_a_second_cohort(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    """The attack that abstaining is for, and that it stops."""
    bench = make_bench(with_absences)
    seat = seated(bench)
    sent = bench.collect()
    everyone = seat.admit(seat.open(sent))
    without_south = seat.open({name: sent[name] for name in ("north", "agency")})

    seat.state = NodeState(head=bench.series.genesis)  # forgot, and does not abstain
    second = seat.admit(without_south)
    first, less = (np.frombuffer(product, dtype="<i8") for product in (everyone, second))
    assert np.array_equal(first - less, np.frombuffer(sent["south"], dtype="<i8"))

    seat.state = NodeState(head=bench.series.genesis, abstains=True)
    with pytest.raises(TranscriptRefused, match="abstains"):
        seat.admit(without_south)


# Letting a cohort through


def test_the_product_is_of_exactly_these_submissions_and_is_remembered_before_it_is_used(seat: Seat) -> None:
    sent = seat.bench.collect()
    ask = seat.open(sent)
    turn = seat.turn(ask)
    state, product = seat.gate.admit(seat.state, ask, turn)
    vectors = [np.frombuffer(vector, dtype="<i8") for vector in sent.values()]
    assert np.array_equal(np.frombuffer(product, dtype="<i8"), np.sum(vectors, axis=0))
    assert state.released is not None
    assert state.released.product == hashlib.sha256(product).hexdigest()
    assert state.released.submissions == {name: submission_digest(vector) for name, vector in sent.items()}
    assert (state.released.round, state.released.run) == (1, seat.bench.run)
    assert state.released.request == turn.envelope.digest
    assert seat.state.released is None, "what was not stored is not yet so"


def test_the_same_cohort_is_let_through_as_often_as_asked(seat: Seat) -> None:
    sent = seat.bench.collect()
    first = seat.admit(seat.open(sent))
    kept = seat.state
    backwards = dict(reversed(sent.items()))
    assert seat.admit(seat.open(backwards)) == first
    assert seat.state == kept


def other_cohorts(sent: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    bumped = (south_of(sent) + 1).tobytes()
    return {
        "without one": {name: sent[name] for name in ("north", "agency")},
        "another submission of one": {**sent, "south": bumped},
        "two exchanged": {**sent, "south": sent["north"], "north": sent["south"]},
    }


@pytest.mark.parametrize("which", ["without one", "another submission of one", "two exchanged"])
def test_another_cohort_of_a_released_round_is_refused(
    make_bench: Callable[..., Bench], with_absences: Contract, which: str
) -> None:
    seat = seated(make_bench(with_absences))
    sent = seat.bench.collect()
    other = seat.open(other_cohorts(sent)[which])
    seat.admit(seat.open(sent))
    kept = seat.state
    with pytest.raises(
        RoundRefused, match="round 1 was released for another cohort or request: a second one"
    ):
        seat.admit(other)
    assert seat.state is kept
    # Asked first, it would have been let through: it is refused for being the second.
    fresh = seated(seat.bench)
    fresh.admit(other)
    with pytest.raises(RoundRefused, match="another cohort"):
        fresh.admit(seat.open(sent))


def test_the_same_cohort_for_another_request_is_refused(seat: Seat) -> None:
    sent = seat.bench.collect()
    seat.admit(seat.open(sent))
    with pytest.raises(RoundRefused, match="another cohort or request"):
        seat.admit(seat.open(sent, run=OTHER_RUN))


def test_rounds_only_grow(seat: Seat) -> None:
    sent = seat.bench.collect()
    seat.admit(seat.open(sent, round=5))
    with pytest.raises(RoundRefused, match="round 4 is older than 5, which this member has released"):
        seat.admit(seat.open(sent, round=4))
    seat.admit(seat.open(sent, round=6))
    with pytest.raises(RoundRefused, match="round 5 is older than 6"):
        seat.admit(seat.open(sent, round=5))


@pytest.mark.parametrize("number", [0, 1, 6, 7])
def test_a_round_that_is_closed_stays_closed(seat: Seat, number: int) -> None:
    sent = seat.bench.collect()
    seat.bench.round = 7
    head = seat.bench.next_head(sent)[0]
    seat.state = replace(seat.state, head=head)
    ask = seat.open(sent, head=head, round=number)
    with pytest.raises(RoundRefused, match=f"round {number} is not after the last opened one, 7"):
        seat.admit(ask)


def test_a_transcript_that_the_member_does_not_know_is_refused(seat: Seat) -> None:
    sent = seat.bench.collect()
    seat.bench.close(sent)
    with pytest.raises(TranscriptRefused, match="nothing proves the server's transcript of round 1"):
        seat.admit(seat.open(sent))
    older = seat.bench.series.genesis
    seat.state = replace(seat.state, head=seat.bench.head)
    with pytest.raises(TranscriptRefused, match="nothing proves the server's transcript of round 0"):
        seat.admit(seat.open(sent, head=older, openings=()))


def test_a_party_that_nobody_knows_thins_no_noise(seat: Seat) -> None:
    sent = seat.bench.collect()
    for stranger in ("west", "North", "", "north "):
        with pytest.raises(
            CohortRefused, match="1 of the submissions are of nobody on the contract's roster"
        ):
            seat.admit(seat.open({**sent, stranger: sent["south"]}))
    assert seat.state.released is None


def test_a_cohort_that_is_too_small_is_refused(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    everybody = seated(make_bench())
    sent = everybody.bench.collect()
    for names, needed, seat in (
        (("south",), 3, everybody),
        (("south", "agency"), 3, everybody),
        (("south",), 2, seated(make_bench(with_absences))),
    ):
        with pytest.raises(CohortRefused, match=rf"of {len(names)} is refused: at least {needed} parties"):
            seat.admit(seat.open({name: sent[name] for name in names}))
        assert seat.state.released is None
    seat = seated(make_bench(with_absences))
    assert seat.admit(seat.open({name: sent[name] for name in ("south", "agency")}))


def test_the_smallest_cohort_that_the_contract_says_counts_too(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    seat = seated(make_bench(with_absences.with_privacy(minimum_cohort=3)))
    sent = seat.bench.collect()
    with pytest.raises(CohortRefused, match="of 2 is refused: at least 3 parties"):
        seat.admit(seat.open({name: sent[name] for name in ("south", "agency")}))


def test_who_was_missing_stays_out_of_the_run_and_is_back_in_the_next(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    seat = seated(make_bench(with_absences))
    bench = seat.bench
    submissions = bench.collect(["north", "agency"])
    seat.admit(seat.open(submissions))
    bench.close(submissions)
    seat.follow(bench.ask(Phase.COLLECT))
    later = bench.collect(["north", "agency"])
    with pytest.raises(
        CohortRefused, match=r"^south: missing from a sum of this run that was opened, .* so out of the run"
    ):
        seat.admit(seat.open({**later, "south": later["north"]}))
    with pytest.raises(CohortRefused, match="south: missing"):
        seat.admit(seat.open({"south": later["north"], "north": later["north"]}))
    seat.admit(seat.open(later))
    bench.close(later)
    bench.run, bench.openings = OTHER_RUN, ()
    seat.follow(bench.ask(Phase.HELLO))
    assert seat.admit(seat.open(bench.collect()))


def test_who_was_missing_from_a_round_that_was_released_stays_out_even_if_it_was_not_opened(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    """It may have been opened in secret: the next one would show the difference that one party makes."""
    seat = seated(make_bench(with_absences.with_privacy(spare_rounds=1)))
    bench = seat.bench
    seat.admit(seat.open(bench.collect(["north", "agency"])))
    bench.round = 2
    repeated = bench.collect()
    with pytest.raises(CohortRefused, match=r"^south: missing from a sum of this run"):
        seat.admit(seat.open(repeated))
    assert seat.admit(seat.open({name: repeated[name] for name in ("north", "agency")}))
    bench.run, bench.round = OTHER_RUN, 3
    assert seat.admit(seat.open(bench.collect()))


def test_who_was_missing_from_a_sum_that_was_opened_without_this_member_stays_out(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    seat = seated(make_bench(with_absences))
    bench = seat.bench
    helped_before(seat)
    bench.close(bench.collect(["north", "agency"]))
    seat.follow(bench.ask(Phase.HELLO, head_signatures=bench.signed(["south", "agency"])))
    assert seat.state.head == bench.head
    sent = bench.collect()
    with pytest.raises(CohortRefused, match=r"^south: missing"):
        seat.admit(seat.open(sent))
    assert seat.admit(seat.open({name: sent[name] for name in ("north", "agency")}))


def test_a_cohort_may_become_smaller_and_not_larger_again(
    make_bench: Callable[..., Bench], with_absences: Contract
) -> None:
    seat = seated(make_bench(with_absences))
    bench = seat.bench
    submissions = bench.collect()
    seat.admit(seat.open(submissions))
    bench.close(submissions)
    seat.follow(bench.ask(Phase.HELLO))
    everyone = bench.collect()
    seat.admit(seat.open({name: everyone[name] for name in ("south", "agency")}))
    bench.round += 1
    for cohort in (["north", "south", "agency"], ["north", "south"]):
        with pytest.raises(CohortRefused, match=r"^north: missing"):
            seat.admit(seat.open({name: everyone[name] for name in cohort}))


class Suspicious(PlainMember):
    """A member that finds something wrong with a submission."""

    def __init__(self, finding: Exception) -> None:
        self.finding = finding

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:  # noqa: ARG002 - looks at nothing
        raise self.finding


@pytest.mark.parametrize("kind", [CiphertextRefused, SignatureRefused, ProofRefused])
def test_a_submission_that_does_not_hold_leaves_no_release_behind(
    make_bench: Callable[..., Bench], kind: type[Exception]
) -> None:
    """Else one bad submission would use up the round, and the good cohort could not be opened any more."""
    bench = make_bench()
    sent = bench.collect()
    seat = seated(bench, Suspicious(kind("south: does not hold")))
    with pytest.raises(kind, match="south: does not hold"):
        seat.admit(seat.open(sent))
    assert seat.state.released is None


def test_a_vector_of_another_length_is_refused_and_its_sender_named(seat: Seat) -> None:
    sent = seat.bench.collect()
    with pytest.raises(CiphertextRefused, match=r"^south: a vector of another length"):
        seat.admit(seat.open({**sent, "south": sent["south"][:-8]}))
    assert seat.state.released is None
    assert seat.admit(seat.open(sent))


def test_what_is_refused_never_quotes_a_submission(seat: Seat) -> None:
    sent = dict.fromkeys(seat.bench.contract.parties_by_name, b"marker-49152" * 40)
    for submissions in (sent, {"marker-49152": b""}, dict(list(sent.items())[:1])):
        with pytest.raises((ProtocolError, CiphertextRefused)) as refused:
            seat.admit(seat.open(submissions))
        assert "49152" not in str(refused.value)
