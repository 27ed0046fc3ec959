"""Somebody passes for somebody else, votes twice, or uses one signature for another purpose."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedscore.contract import Contract, Party, Role
from fedscore.errors import ContractError, KeyRefused, NodeConfigError, SignatureRefused
from fedscore.messages import Ask, Head, Phase, RefusalCode, Reply
from fedscore.sums.ceremonies import require_ceremony
from fedscore.sums.series import HEAD_DOMAIN, HELLO_DOMAIN
from fedscore.sums.submission import SIGNATURE_DOMAIN, statement_of
from privacy.identities import Identity, verify_signature
from privacy.paillier.record import sign_record
from server.chronicle import Standing
from server.greeting import Acquaintance, acquaint
from simulations.keys import SimulatedKeys, simulated_identity

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Server

Refused = Callable[..., None]
OTHER_RUN = "cd" * 16
UNSIGNED = "a signature for fedscore submission 1 is not that of the key"


@pytest.fixture(scope="module")
def server(make_federation: Callable[..., Nodes], serve: type[Server]) -> Server:
    """After the first round, for attacks that fail; south plays along as a party and as a member."""
    server = serve(make_federation(), colluders=("south",))
    server.play(1)
    return server


def hello(server: Server, **changes: object) -> Ask:
    contract = server.nodes.contract
    ask = Ask(phase=Phase.HELLO, run=server.run, round=0, contract_hash=contract.hash(), head=server.head)
    return replace(ask, **changes)  # type: ignore[arg-type]  # the fields of an ask


def meet(server: Server, ask: Ask, replies: dict[int, Reply]) -> Acquaintance:
    return acquaint(
        replies,
        ask,
        contract=server.nodes.contract,
        series=server.nodes.series,
        standing=Standing(round=1, head=server.head),
    )


def greeting(server: Server, name: str, ask: Ask) -> Reply:
    reply = server.nodes.nodes[name].answer(ask)
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize("made_for", [SIGNATURE_DOMAIN, HEAD_DOMAIN, HELLO_DOMAIN])
@pytest.mark.parametrize("used_as", [SIGNATURE_DOMAIN, HEAD_DOMAIN, HELLO_DOMAIN])
def test_a_signature_for_one_purpose_is_good_for_no_other(made_for: bytes, used_as: bytes) -> None:
    """Parties sign with the key that they sign with as members, so the purposes must tell apart."""
    north = simulated_identity("north")
    signature = north.sign(made_for, b"a message")
    if made_for == used_as:
        verify_signature(north.public.signing_key, used_as, b"a message", signature)
        return
    refusal = f"a signature for {used_as.decode()} is not that of the key"
    with pytest.raises(SignatureRefused, match=refusal):
        verify_signature(north.public.signing_key, used_as, b"a message", signature)
    # Nor do purpose and message run into each other.
    shifted = north.sign(used_as[:-1], used_as[-1:] + b"a message")
    with pytest.raises(SignatureRefused, match=refusal):
        verify_signature(north.public.signing_key, used_as, b"a message", shifted)


def test_what_a_node_signs_when_it_is_greeted_is_no_submission_and_no_vote(
    server: Server, refused: Refused
) -> None:
    """A hello is signed for anybody who asks, so it must be worth nothing elsewhere."""
    turn = server.turn(2)
    sent = server.collect(turn)
    reply = greeting(server, "north", hello(server))
    for signature in (reply.signature, reply.head_signature):
        forged = {**sent, "north": sent["north"][:-64] + signature}
        reason = f"submission-refused: north: {UNSIGNED}"
        refused(server, "agency", server.open_ask(turn, forged), RefusalCode.SUBMISSION, reason)
    series = server.nodes.series
    statement = statement_of(server.key, turn.envelope, "north")
    for signature in (reply.signature, sent["north"][-64:], simulated_identity("north").sign(b"", statement)):
        assert series.vouchers(server.head, {1: signature}) == {}
    assert series.vouchers(server.head, {1: reply.head_signature}).keys() == {1}


def test_a_member_does_not_sign_a_head_because_it_is_asked_to(server: Server) -> None:
    """Its signature is under its own head, whatever head the ask holds."""
    server.collect(server.turn(2))
    invented = replace(server.head, round=7, submissions={"north": "0" * 64})
    reply = greeting(server, "agency", hello(server, head=invented))
    series = server.nodes.series
    assert series.vouchers(invented, {3: reply.head_signature}) == {}
    assert series.vouchers(server.head, {3: reply.head_signature}).keys() == {3}
    assert server.nodes.memories["agency"].load().head == server.head


@pytest.fixture
def behind(make_federation: Callable[..., Nodes], serve: type[Server]) -> Server:
    """Agency was away in the first round's opening, so it has to believe others."""
    server = serve(make_federation())
    turn = server.turn(1)
    submissions = server.collect(turn)
    ask = server.open_ask(turn, submissions)
    partials = {number: server.answer(name, ask).payload for number, name in ((1, "north"), (2, "south"))}
    server.close(turn, submissions, server.combined(turn, submissions, partials))
    server.collect(server.turn(2), ["north", "south"])
    return server


def test_a_member_that_was_away_believes_two_members_and_nobody_twice(
    behind: Server, refused: Refused
) -> None:
    turn = behind.turn(2)
    submissions = behind.collect(turn, ["north", "south"])
    submissions |= behind.collect(turn, ["agency"], head_signatures={})
    north, south = (
        simulated_identity(name).sign(HEAD_DOMAIN, behind.head.to_bytes()) for name in ("north", "south")
    )
    outsider = simulated_identity("nobody").sign(HEAD_DOMAIN, behind.head.to_bytes())
    older = simulated_identity("north").sign(HEAD_DOMAIN, behind.nodes.series.genesis.to_bytes())
    for signatures in (
        {},
        {2: south},
        {1: south, 2: south, 3: south},
        {2: south, 4: outsider, 0: outsider, 99: south},
        {1: older, 2: south},
        {1: north, 2: north},
    ):
        ask = behind.open_ask(turn, submissions, head_signatures=signatures)
        reason = (
            "nothing proves the server's transcript of round 1 to this member, which knows round 0: 2 memb"
        )
        refused(behind, "agency", ask, RefusalCode.TRANSCRIPT, reason)
    ask = behind.open_ask(turn, submissions, head_signatures={1: north, 2: south})
    assert behind.answer("agency", ask).payload


def test_signed_heads_are_not_replayed(behind: Server, refused: Refused) -> None:
    """Once it knows better, a member takes no older head, however many signed it."""
    old = behind.head
    assert len(behind.signatures) == 2
    turn = behind.turn(2)
    submissions = behind.collect(turn)
    partials, _ = behind.partials(turn, submissions)
    behind.close(turn, submissions, behind.combined(turn, submissions, partials))
    signatures = {
        number: simulated_identity(name).sign(HEAD_DOMAIN, old.to_bytes())
        for number, name in behind.nodes.series.member_names.items()
    }
    behind.collect(behind.turn(3))
    again = behind.turn(4, head=old, openings=behind.openings[:1])
    for phase, more in ((Phase.COLLECT, {}), (Phase.OPEN, {"submissions": submissions})):
        ask = behind.ask(
            phase, again, head=old, openings=behind.openings[:1], head_signatures=signatures, **more
        )
        reason = "stands at round 1, this member's at 2: a forked or older history is refused"
        refused(behind, "agency", ask, RefusalCode.TRANSCRIPT, reason)
    # A head of another key is another transcript altogether.
    other = Head.genesis("0" * 64, "0" * 64)
    ask = replace(again_at(behind), head=other)
    reason = "the server's transcript is of another key: use one ceremony's files"
    refused(behind, "agency", ask, RefusalCode.TRANSCRIPT, reason)


def again_at(server: Server) -> Ask:
    return server.ask(Phase.COLLECT, server.turn(5))


def test_nobody_votes_under_two_names(
    server: Server, tiny_contract: Contract, small_keys: SimulatedKeys, refused: Refused
) -> None:
    # A key twice on the roster is no contract.
    twin = Party(name="twin", role=Role.PLATFORM, key=tiny_contract.parties[1].key)
    with pytest.raises(ContractError, match="twin has the key of south, so either could sign for the other"):
        tiny_contract.with_parties([*tiny_contract.parties, twin])
    # An identity twice on a committee is no record.
    record = small_keys.record
    with pytest.raises(KeyRefused, match="two of the 3 members have one name"):
        sign_record(
            committee=record.committee,
            members=[record.members[0], record.members[1], record.members[1]],
            colluding_members=1,
            absences=False,
            created=dt.date(2026, 1, 1),
            dealer=simulated_identity("dealer"),
        )
    # South signs as south, so not as agency; and what it signed under its name is not agency's either.
    turn = server.turn(2)
    sent = server.collect(turn, ["north", "south"])
    as_agency = server.seal(turn, "agency", [0] * turn.envelope.request.dimension)
    body = as_agency[:-64]
    statement = statement_of(server.key, turn.envelope, "agency")
    signed_by_south = body + simulated_identity("south").sign(SIGNATURE_DOMAIN, statement + body)
    for twice in (signed_by_south, sent["south"]):
        ask = server.open_ask(turn, {**sent, "agency": twice})
        refused(server, "north", ask, RefusalCode.SUBMISSION, f"agency: {UNSIGNED}")
    # Upper and lower case, or a blank, make other names, which are not on the roster.
    for name in ("South", "south ", "SOUTH"):
        ask = server.open_ask(turn, {**sent, name: sent["south"]})
        refused(
            server, "north", ask, RefusalCode.COHORT, "1 of the submissions are of nobody on the contract"
        )


def test_a_key_under_which_everybody_can_sign_is_no_key(
    server: Server, make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    """Of the neutral element as a key, an all-zero signature holds for any message at all."""
    neutral = (1).to_bytes(32, "little")
    nothing = neutral + bytes(32)
    Ed25519PublicKey.from_public_bytes(neutral).verify(nothing, b"whatever the server likes")
    with pytest.raises(SignatureRefused, match="is not that of the key 0100000000000000"):
        verify_signature(neutral, SIGNATURE_DOMAIN, b"whatever the server likes", nothing)
    # South registered it; now the server signs as south whatever it likes, and blames south.
    contract = server.nodes.contract
    weak = [
        party.model_copy(update={"key": neutral.hex()}) if party.name == "south" else party
        for party in contract.parties
    ]
    weakened = serve(make_federation(contract.with_parties(weak)))
    turn = weakened.turn(1)
    sent = weakened.collect(turn)
    forged = {**sent, "south": sent["south"][:-64] + nothing}
    ask = weakened.open_ask(turn, forged)
    refused(weakened, "agency", ask, RefusalCode.SUBMISSION, f"south: {UNSIGNED} 0100000000000000")


def test_the_hello_of_another_is_not_believed(server: Server) -> None:
    """A node that recorded north's hello, or says that it is north, is not taken for north."""
    ask = hello(server)
    honest = {number: greeting(server, name, ask) for number, name in enumerate(("north", "south", "agency"))}
    met = meet(server, ask, honest)
    assert (met.parties, met.problems) == ({"north": 0, "south": 1, "agency": 2}, ())
    north, south = honest[0], honest[1]
    unsigned = "not signed with the key"
    imposters = {
        replace(south, party="north"): unsigned,
        replace(south, party="north", committee_member=None): unsigned,
        replace(south, party="north", committee_member=1): unsigned,
        replace(north, last_round=99): unsigned,
        replace(north, committee_member=None): unsigned,
        replace(north, payload=b""): unsigned,
        replace(north, version="0"): unsigned,
        replace(north, signature=south.signature): unsigned,
        replace(north, signature=north.head_signature): unsigned,
        greeting(server, "north", hello(server, run=OTHER_RUN)): "answers another question",
        replace(greeting(server, "north", hello(server, run=OTHER_RUN)), run=ask.run): unsigned,
    }
    for imposter, reason in imposters.items():
        met = meet(server, ask, {7: imposter, 1: south})
        assert "north" not in met.parties
        assert 1 not in met.members
        [problem] = met.problems
        assert problem.startswith("node 7: ")
        assert reason in problem
    # Whoever relays north's true hello gets nothing by it but north's questions, and is noticed.
    met = meet(server, ask, {0: north, 7: north})
    assert met.parties == {"north": 0}
    [problem] = met.problems
    assert problem.startswith("node 7: north answers from two nodes")


def test_members_who_collude_do_not_move_the_transcript(server: Server) -> None:
    """One colluding member shows the server a newer head; it takes two to be believed."""
    ask = hello(server)
    south = simulated_identity("south")
    invented = replace(server.head, round=50)
    reply = replace(
        greeting(server, "south", ask),
        payload=invented.to_bytes(),
        head_signature=south.sign(HEAD_DOMAIN, invented.to_bytes()),
    )
    reply = replace(reply, signature=south.sign(HELLO_DOMAIN, reply.introduction(ask.contract_hash)))
    met = meet(server, ask, {0: greeting(server, "north", ask), 1: reply})
    assert met.problems == ()
    assert met.standing.head == server.head
    # Nor can it use up the counter of rounds.
    reply = replace(reply, last_round=1 << 31)
    reply = replace(reply, signature=south.sign(HELLO_DOMAIN, reply.introduction(ask.contract_hash)))
    met = meet(server, ask, {0: greeting(server, "north", ask), 1: reply})
    [problem] = met.problems
    assert problem.startswith("south says that more than 100000 rounds were asked after round 1")
    assert met.standing.round < 10
    assert met.parties.keys() == {"north"}


def test_another_ceremony_is_not_slipped_in(tiny_contract: Contract, small_keys: SimulatedKeys) -> None:
    """A server that deals a key itself could read everything that is encrypted to it."""
    agreed = tiny_contract.with_encryption(ceremony=small_keys.record.hash())
    require_ceremony(agreed, small_keys.record, name="ceremony.json")
    record = small_keys.record
    rogue = sign_record(
        committee=record.committee,
        members=[Identity.generate(member.name).public for member in record.members],
        colluding_members=record.colluding_members,
        absences=record.absences,
        created=record.created,
        dealer=Identity.generate("dealer"),
    )
    with pytest.raises(
        NodeConfigError, match="is the record of another ceremony than the one that the contract"
    ):
        require_ceremony(agreed, rogue, name="ceremony.json")
    assert rogue.genesis() != record.genesis()


def test_another_contract_is_not_slipped_in(server: Server, refused: Refused) -> None:
    weaker = server.nodes.contract.with_privacy(epsilon=50.0)
    for phase in (Phase.COLLECT, Phase.OPEN, Phase.PROVE):
        ask = server.ask(phase, server.turn(2), contract_hash=weaker.hash())
        reason = "contract-mismatch: the server follows another contract than the one accepted here"
        refused(server, "north", ask, RefusalCode.CONTRACT, reason)
