"""Hellos are believed as far as they are signed, heads as far as enough members vouch for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import pytest

from fedscore.contract import Contract
from fedscore.errors import RunFailed
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import MAXIMUM_LEAD, NO_OPENINGS
from fedscore.sums.series import HEAD_DOMAIN, HELLO_DOMAIN, KeySeries
from server.chronicle import Standing, VolatileChronicle
from server.greeting import Acquaintance, acquaint
from server.transport import Silence
from simulations.keys import simulated_identity

Answer = Reply | Refusal | Silence
MakeCircle = Callable[..., Any]
MARKER = "marker-49152"
RUN = "ab" * 16
NORTH, SOUTH, AGENCY, WEST, AUDITOR_1, AUDITOR_2, AUDITOR_3 = range(101, 108)
EVERYBODY: dict[str, dict[Any, int]] = {
    "parties": {"north": NORTH, "south": SOUTH, "agency": AGENCY, "west": WEST},
    "members": dict(enumerate(range(101, 108), start=1)),
}


@dataclass
class Hall:
    """The hellos of one run, to be changed before the server reads them."""

    contract: Contract
    series: KeySeries
    ask: Ask
    answers: dict[int, Answer]

    def say(self, address: int, *, signer: str | None = "", **changes: Any) -> None:  # noqa: ANN401 - fields of a reply
        """Changes a hello, and signs it again: as its organisation, as somebody else, or (None) not."""
        reply = self.answers[address]
        assert isinstance(reply, Reply)
        reply = replace(reply, **changes)
        if signer is not None:
            message = reply.introduction(self.ask.contract_hash)
            name = signer or reply.party
            reply = replace(reply, signature=simulated_identity(name).sign(HELLO_DOMAIN, message))
        self.answers[address] = reply

    def read(self, standing: Standing | None = None) -> Acquaintance:
        return acquaint(
            self.answers,
            self.ask,
            contract=self.contract,
            series=self.series,
            standing=standing or Standing(round=0, head=self.series.genesis),
        )

    def head(self, number: int, *, key_id: str | None = None, step: int = 1) -> Head:
        return Head(
            key_id=key_id or self.series.genesis.key_id,
            round=number,
            run="cd" * 16,
            step=step,
            request="1" * 64,
            opening="0" * 64,
            openings=NO_OPENINGS,
            submissions={"north": "2" * 64},
            previous=self.series.genesis.hash,
        )

    def knows(self, address: int, head: Head, *, signed: bool = True) -> None:
        """Lets a member say that the transcript stands at a head."""
        reply = self.answers[address]
        assert isinstance(reply, Reply)
        signature = simulated_identity(reply.party).sign(HEAD_DOMAIN, head.to_bytes())
        self.say(
            address,
            payload=head.to_bytes(),
            last_round=head.round,
            head_signature=signature if signed else b"?" * 64,
        )


@pytest.fixture
def hall(make_circle: MakeCircle) -> Hall:
    circle = make_circle()
    ask = Ask(
        phase=Phase.HELLO,
        run=RUN,
        round=0,
        contract_hash=circle.contract.hash(),
        head=circle.series.genesis,
    )
    return Hall(
        contract=circle.contract,
        series=circle.series,
        ask=ask,
        answers=dict(circle.ask(dict.fromkeys(circle.addresses(), ask))),
    )


def without(address: int) -> dict[str, dict[Any, int]]:
    return {
        kind: {who: at for who, at in found.items() if at != address} for kind, found in EVERYBODY.items()
    }


def found(met: Acquaintance) -> dict[str, Mapping[Any, int]]:
    return {"parties": met.parties, "members": met.members}


def test_everybody_who_signs_is_believed(hall: Hall) -> None:
    met = hall.read()

    assert found(met) == EVERYBODY
    assert met.problems == ()
    assert met.standing.round == 0
    assert sorted(met.standing.signatures) == [1, 2, 3, 4, 5, 6, 7]


# Who is not believed.


@pytest.mark.parametrize(
    "changes",
    [
        {"signer": None, "signature": b""},
        {"signer": None, "signature": b"?" * 64},
        {"signer": "west"},
        {"signer": None, "role": "collector"},
        {"signer": None, "version": "9"},
        {"signer": None, "last_round": 5},
        {"signer": None, "payload": b"{}"},
        {"signer": None, "committee_member": None},
    ],
    ids=["unsigned", "garbled", "other", "role", "version", "last-round", "payload", "seat"],
)
def test_a_hello_that_is_not_signed_as_it_stands_is_not_believed(hall: Hall, changes: dict[str, Any]) -> None:
    hall.say(SOUTH, **changes)

    met = hall.read()

    assert found(met) == without(SOUTH)
    assert met.problems == (
        "node 102: its hello says south and is not signed with the key that is known of south",
    )
    assert met.standing.round == 0


def test_a_hello_signed_for_another_run_or_contract_is_not_believed(hall: Hall) -> None:
    south, agency = hall.answers[SOUTH], hall.answers[AGENCY]
    assert isinstance(south, Reply)
    assert isinstance(agency, Reply)
    other_run = replace(south, run="cd" * 16).introduction(hall.ask.contract_hash)
    other_contract = agency.introduction("0" * 64)
    hall.answers[SOUTH] = replace(south, signature=simulated_identity("south").sign(HELLO_DOMAIN, other_run))
    hall.answers[AGENCY] = replace(
        agency, signature=simulated_identity("agency").sign(HELLO_DOMAIN, other_contract)
    )

    met = hall.read()

    assert set(met.parties) == {"north", "west"}
    assert [problem[:9] for problem in met.problems] == ["node 102:", "node 103:"]


def test_a_whole_hello_of_an_earlier_run_is_not_believed(hall: Hall) -> None:
    hall.say(SOUTH, run="cd" * 16)

    met = hall.read()

    assert found(met) == without(SOUTH)
    assert met.problems == ("node 102: south answers another question",)


@pytest.mark.parametrize("member", [None, 2, 30])
def test_a_stranger_is_not_believed_and_not_quoted(hall: Hall, member: int | None) -> None:
    hall.say(SOUTH, party=MARKER, committee_member=member)

    met = hall.read()

    assert found(met) == without(SOUTH)
    (problem,) = met.problems
    assert problem.startswith("node 102: it says that it is somebody who is not on the contract's roster")
    assert MARKER not in problem


def test_nobody_takes_a_name_away_by_saying_it_first(hall: Hall) -> None:
    hall.say(NORTH, party="west", signer=None)

    met = hall.read()

    assert met.parties["west"] == WEST
    assert found(met) == without(NORTH)
    assert met.problems[0].startswith("node 101: its hello says west and is not signed")


def test_of_two_nodes_of_one_organisation_the_first_counts(hall: Hall) -> None:
    hall.answers[120] = hall.answers[SOUTH]

    met = hall.read()

    assert found(met) == EVERYBODY
    assert met.problems == ("node 120: south answers from two nodes, and the first one counts",)


@pytest.mark.parametrize("member", [1, 7, 8, 0])
def test_a_seat_that_is_not_its_own_makes_a_hello_worthless(hall: Hall, member: int) -> None:
    hall.say(SOUTH, committee_member=member)

    met = hall.read()

    assert found(met) == without(SOUTH)
    assert met.problems == (
        f"node 102: south says it is committee member {member}, the ceremony's record says otherwise",
    )


def test_a_party_that_left_its_share_at_home_is_a_party(hall: Hall) -> None:
    hall.say(SOUTH, committee_member=None)

    met = hall.read()

    assert met.parties == EVERYBODY["parties"]
    assert met.members == without(SOUTH)["members"]
    assert met.problems == ()


def test_an_auditor_without_its_seat_is_nobody(hall: Hall) -> None:
    hall.say(AUDITOR_1, committee_member=None)
    hall.say(AUDITOR_2, committee_member=5)

    met = hall.read()

    assert sorted(met.members) == [1, 2, 3, 4, 7]
    assert len(met.problems) == 2


def test_refusals_and_silence_are_for_the_coordinator_to_tell(hall: Hall) -> None:
    hall.answers[SOUTH] = Refusal(
        version=version("fedscore"), party="north", phase=Phase.HELLO, round=0, code=RefusalCode.CONTRACT
    )
    hall.answers[WEST] = Silence(reason="no answer")

    met = hall.read()

    assert set(met.parties) == {"north", "agency"}
    assert met.problems == ()


# Rounds.


def test_the_next_round_is_after_the_newest_that_anybody_knows(hall: Hall) -> None:
    hall.say(AGENCY, last_round=17)
    hall.say(AUDITOR_2, last_round=12)

    assert hall.read().standing.round == 17
    assert hall.read(Standing(round=20, head=hall.series.genesis)).standing.round == 20


def test_no_node_uses_up_the_counter(hall: Hall) -> None:
    hall.say(SOUTH, last_round=7 + MAXIMUM_LEAD)
    hall.say(WEST, last_round=8 + MAXIMUM_LEAD)

    met = hall.read(Standing(round=7, head=hall.series.genesis))

    assert found(met) == without(WEST)
    assert met.standing.round == 7 + MAXIMUM_LEAD
    assert len(met.problems) == 1
    assert met.problems[0].startswith(
        "west says that more than 100000 rounds were asked after round 7, the newest that is known here: it "
        "is left out"
    )


def test_after_a_loss_a_vouched_head_tells_which_rounds_are_absurd(hall: Hall) -> None:
    far = 3 * MAXIMUM_LEAD
    for address in (SOUTH, AUDITOR_1):
        hall.knows(address, hall.head(far))
    hall.say(AGENCY, last_round=far + 1)
    hall.say(WEST, last_round=far + MAXIMUM_LEAD + 1)

    met = hall.read()

    assert found(met) == without(WEST)
    assert (met.standing.head.round, met.standing.round) == (far, far + 1)


# Heads.


def test_a_head_that_enough_members_vouch_for_is_taken_over(hall: Hall) -> None:
    head = hall.head(9)
    hall.knows(SOUTH, head)
    hall.knows(AUDITOR_3, head)

    met = hall.read(Standing(round=3, head=hall.series.genesis, opening=b"of another round"))

    assert met.standing.head == head
    assert met.standing.round == 9
    assert met.standing.opening == b""
    assert met.standing.signatures == hall.series.vouchers(head, met.standing.signatures)
    assert sorted(met.standing.signatures) == [2, 7]


def test_the_newest_of_several_vouched_heads_is_taken_over(hall: Hall) -> None:
    for number, addresses in ((9, (NORTH, AUDITOR_3)), (8, (SOUTH, AUDITOR_1)), (11, (WEST,))):
        for address in addresses:
            hall.knows(address, hall.head(number))

    met = hall.read()

    assert (met.standing.head.round, met.standing.round) == (9, 11)


@pytest.mark.parametrize(
    ("head", "second_signs"),
    [
        ({"number": 9}, False),
        ({"number": 9, "key_id": "7" * 64}, True),
        ({"number": 4}, True),
        ({"number": 3}, True),
    ],
    ids=["one-signature", "other-key", "same-round", "older"],
)
def test_a_head_is_not_taken_over(hall: Hall, head: dict[str, Any], *, second_signs: bool) -> None:
    known = Standing(round=4, head=hall.head(4, step=3), opening=b"opening")
    hall.knows(SOUTH, hall.head(**head))
    hall.knows(WEST, hall.head(**head), signed=second_signs)

    met = hall.read(known)

    assert met.standing.head == known.head
    assert met.standing.opening == b"opening"
    assert met.standing.signatures == {}
    assert found(met) == EVERYBODY


def test_one_organisation_does_not_vouch_twice(hall: Hall) -> None:
    hall.knows(SOUTH, hall.head(9))
    hall.answers[120] = hall.answers[SOUTH]
    south = hall.answers[SOUTH]
    assert isinstance(south, Reply)
    hall.say(WEST, payload=south.payload, head_signature=south.head_signature)

    assert hall.read().standing.head == hall.series.genesis


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff\xfe", b"9" * 5000, b'{"round": 1}', b"[" * 100_000]
)
def test_a_malformed_head_is_nobodys_word_and_the_member_is_still_there(hall: Hall, payload: bytes) -> None:
    hall.say(SOUTH, payload=payload)

    met = hall.read()

    assert found(met) == EVERYBODY
    assert 2 not in met.standing.signatures


# A server that lost its chronicle.


def test_after_a_loss_the_members_say_where_the_transcript_stands(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.run()
    before = circle.chronicle.load()
    circle.asked.clear()

    circle.run(chronicle=VolatileChronicle(circle.series))

    first = next(ask for _, ask in circle.asked if ask.phase is Phase.COLLECT)
    # Nobody has been shown the last opening of the first run, so its round counts as one that was abandoned.
    assert first.head.round == before.round - 1
    assert first.round == before.round + 1
    assert circle.seen.notices == []
    assert circle.seen.rounds[-1] == "4/4 residuals 1"


@pytest.mark.parametrize("phase", [Phase.COLLECT, Phase.OPEN])
def test_after_a_loss_in_the_middle_of_a_round_the_next_run_works(
    make_circle: MakeCircle, phase: Phase
) -> None:
    circle = make_circle()

    def breaks(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "agency" and ask.phase is phase and ask.round == 3:
            raise KeyboardInterrupt
        return answer

    circle.hook = breaks
    with pytest.raises(KeyboardInterrupt):
        circle.run()
    circle.hook = lambda _name, _ask, answer: answer
    circle.asked.clear()

    result = circle.run(chronicle=VolatileChronicle(circle.series))

    first = next(ask for _, ask in circle.asked if ask.phase is Phase.COLLECT)
    assert (first.head.round, first.round) == (2, 4)
    assert len(result.openings) == 4
    assert circle.seen.notices == []


def test_who_knows_more_than_is_vouched_for_stays_out_of_one_run_and_is_back_in_the_next(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle()

    def breaks(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "north" and ask.phase is Phase.COLLECT and ask.round == 2:
            raise KeyboardInterrupt
        return answer

    circle.hook = breaks
    with pytest.raises(KeyboardInterrupt):
        circle.run()
    assert [name for name, memory in circle.memories.items() if memory.load().head.round] == ["north"]
    circle.hook = lambda _name, _ask, answer: answer
    chronicle = VolatileChronicle(circle.series)

    circle.run(chronicle=chronicle)
    assert circle.seen.notices[0].startswith("histogram: north refused (transcript-refused): ")
    circle.seen.notices.clear()
    circle.run(chronicle=chronicle)

    assert circle.seen.notices == []
    assert "north" in chronicle.load().head.cohort


def test_after_a_loss_too_few_members_are_not_enough_to_go_on(make_circle: MakeCircle) -> None:
    circle = make_circle(absent=0)
    circle.run()
    members = list(circle.series.member_names.values())

    def away(name: str, _: Ask, answer: Answer) -> Answer:
        return Silence(reason="away") if name in members[3:] else answer

    circle.hook = away
    with pytest.raises(RunFailed, match=r"hello: 3 parties answered, 4 are needed"):
        circle.run(chronicle=VolatileChronicle(circle.series))
