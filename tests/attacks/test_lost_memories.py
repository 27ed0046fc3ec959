"""Whoever may have forgotten what it answered answers nothing until that can do no harm any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clients.memory import FileMemory, NodeState
from fedscore.contract import Contract
from fedscore.errors import NodeConfigError
from fedscore.messages import Phase, RefusalCode
from fedscore.sums.series import HEAD_DOMAIN
from privacy.paillier.ceremony import unsafe_deal_from_primes
from simulations.keys import keyed, record_of, simulated_identity

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Reader, Server

ABSTAINS = "this member abstains: its memory was lost"
UNPROVEN = "nothing proves the server's transcript of round 1 to this member, which knows round 0"

MakeFederation = Callable[..., "Nodes"]
Refused = Callable[..., None]


def remembers(server: Server, name: str, folder: Path, *, abstains: bool) -> None:
    """Gives a node a memory on disk that has just been begun; one that was there is lost."""
    shutil.rmtree(folder, ignore_errors=True)
    memory = FileMemory.create(folder, server.nodes.series, abstains=abstains)
    server.nodes.memories[name] = server.nodes.nodes[name]._memory = memory


@pytest.fixture
def server(make_federation: MakeFederation, serve: type[Server]) -> Server:
    """Three parties, all needed, 2 of 3; agency's member plays along with the server."""
    return serve(make_federation(), colluders=("agency",))


@pytest.fixture
def divided(
    make_federation: MakeFederation, serve: type[Server], tiny_contract: Contract, primes: tuple[int, int]
) -> Server:
    """Four parties of whom one may be absent, 3 of 4; west's member plays along.

    The first sum is opened already.
    """
    west = tiny_contract.parties[1].model_copy(update={"name": "west", "key": None})
    contract = keyed(tiny_contract.with_parties([*tiny_contract.parties, west]))
    contract = contract.with_encryption(committee={"members": 4, "threshold": 3, "colluding_members": 1})
    contract = contract.with_privacy(absent=1)
    keys = record_of(contract, unsafe_deal_from_primes(*primes, members=4, threshold=3))
    server = serve(make_federation(contract, keys), colluders=("west",))
    server.play(1)
    return server


def all_but_south(server: Server) -> tuple[dict[str, bytes], dict[str, bytes], list[int]]:
    """Opens everybody's second sum by north and south, and asks for the others' sum."""
    turn = server.turn(2)
    everyone = server.collect(turn)
    partials = server.helped(turn, everyone, ["north", "south", "west"])
    values = server.combined(turn, everyone, partials).values
    return everyone, {name: sent for name, sent in everyone.items() if name != "south"}, values.tolist()


def signed_by_all(server: Server) -> dict[int, bytes]:
    """Signatures of the whole committee under the newest head."""
    return {
        number: simulated_identity(name).sign(HEAD_DOMAIN, server.head.to_bytes())
        for number, name in server.nodes.series.member_names.items()
    }


def test_a_node_does_not_start_without_its_memory(server: Server, tmp_path: Path) -> None:
    """It does not begin one by itself, with or without a seat on the committee."""
    with pytest.raises(NodeConfigError, match=r"holds no memory of this key.*fedscore node begin") as refusal:
        FileMemory(tmp_path / "state", server.nodes.series)
    assert "fedscore keys accept" in str(refusal.value)
    assert not (tmp_path / "state").exists()
    remembers(server, "north", tmp_path / "state", abstains=False)
    server.collect(server.turn(1), ["north"])
    for file in (tmp_path / "state").glob("memory-*"):
        file.unlink()
    with pytest.raises(NodeConfigError, match="holds no memory of this key"):
        FileMemory(tmp_path / "state", server.nodes.series)


def test_a_party_whose_memory_is_begun_anew_within_a_run_answers_twice(
    server: Server, reader: Reader, tmp_path: Path
) -> None:
    """Why that is to be done between runs: without absences, one honest member is enough to open a sum.

    Each of the honest members opens one of two sums that differ by north's fresh noise and nothing else.
    """
    remembers(server, "north", tmp_path, abstains=False)
    turn = server.turn(1)
    first = server.collect(turn)
    before = server.combined(turn, first, server.helped(turn, first, ["north", "agency"])).values
    remembers(server, "north", tmp_path, abstains=True)
    second = {**first, **server.collect(turn, ["north"])}
    after = server.combined(turn, second, server.helped(turn, second, ["south", "agency"])).values
    sent = [reader.values(one["north"], turn.envelope) for one in (first, second)]
    assert sent[0] != sent[1]
    assert (after - before).tolist() == [new - old for old, new in zip(*sent, strict=True)]


def test_without_the_rule_a_share_accepted_twice_shows_one_partys_vector(
    divided: Server, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defence off: a member with an empty memory takes a head that others have signed."""
    monkeypatch.setattr(NodeState, "unproven", property(lambda state: state.abstains))
    everyone, others, values = all_but_south(divided)
    turn = divided.turn(2)
    remembers(divided, "north", tmp_path, abstains=False)
    partials = divided.helped(turn, others, ["north", "agency", "west"])
    rest = divided.combined(turn, others, partials).values.tolist()
    south = [one - other for one, other in zip(values, rest, strict=True)]
    assert south == reader.values(everyone["south"], turn.envelope)


def test_a_share_accepted_twice_is_led_through_the_transcript_once_more(
    divided: Server, reader: Reader, tmp_path: Path
) -> None:
    """Why a share is never accepted to replace a lost folder: the memory that this begins trusts itself.

    It opens again what was opened, comes to know the true transcript so, and opens a second cohort there.
    """
    sent = {name: memory.load().collected for name, memory in divided.nodes.memories.items()}
    first = {name: collected.submission for name, collected in sent.items() if collected is not None}
    everyone, others, values = all_but_south(divided)
    remembers(divided, "north", tmp_path, abstains=False)
    start = divided.nodes.series.genesis
    opening = divided.turn(1, head=start, openings=())
    ask = divided.open_ask(opening, first, head=start, openings=(), opening=b"", head_signatures={})
    divided.answer("north", ask)
    turn = divided.turn(2)
    partials = divided.helped(turn, others, ["north", "agency", "west"])
    rest = divided.combined(turn, others, partials).values.tolist()
    south = [one - other for one, other in zip(values, rest, strict=True)]
    assert south == reader.values(everyone["south"], turn.envelope)


@pytest.mark.parametrize(
    ("abstains", "reason"),
    [(False, UNPROVEN), (True, ABSTAINS)],
    ids=["the share is accepted again", "the memory is begun anew"],
)
def test_a_member_that_lost_its_memory_opens_no_second_cohort(
    divided: Server, refused: Refused, tmp_path: Path, *, abstains: bool, reason: str
) -> None:
    _, others, _ = all_but_south(divided)
    turn = divided.turn(2)
    remembers(divided, "north", tmp_path, abstains=abstains)
    signatures = signed_by_all(divided)
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = divided.ask(phase, turn, submissions=others, head_signatures=signatures)
        refused(divided, "north", ask, RefusalCode.TRANSCRIPT, reason)
    assert divided.gets_nothing(turn, others, head_signatures=signatures).keys() == {"north", "south"}
    assert divided.nodes.memories["north"].load().head == divided.nodes.series.genesis


def test_a_head_over_what_a_member_sent_before_it_forgot_proves_nothing(
    divided: Server, refused: Refused, tmp_path: Path
) -> None:
    """It may be as old as what was forgotten, whoever signed it; one over a new submission is not."""
    turn = divided.turn(2)
    everyone = divided.collect(turn)
    remembers(divided, "north", tmp_path, abstains=True)
    opened = divided.combined(turn, everyone, divided.helped(turn, everyone, ["south", "agency", "west"]))
    divided.close(turn, everyone, opened)
    turn = divided.turn(3)
    everyone = divided.collect(turn)
    ask = divided.open_ask(turn, everyone, head_signatures=signed_by_all(divided))
    refused(divided, "north", ask, RefusalCode.TRANSCRIPT, ABSTAINS)
    opened = divided.combined(turn, everyone, divided.helped(turn, everyone, ["south", "agency", "west"]))
    divided.close(turn, everyone, opened)
    # Its submission of round 3 was made with the new memory.
    divided.signatures = signed_by_all(divided)
    turn = divided.turn(4)
    assert not divided.partials(turn, divided.collect(turn))[1]
    state = divided.nodes.memories["north"].load()
    assert (state.abstains, state.head) == (False, divided.head)
