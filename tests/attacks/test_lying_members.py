"""A committee member that lies changes no opening: it is named, and the run goes on with those that remain.

South and agency sit in the first places, so their partial openings are among the three that are combined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fedscore.contract import Contract
from fedscore.errors import RunFailed
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Phase, Reply
from fedscore.messages.transcript import chain_openings
from fedscore.sums.paillier import PaillierMember
from fedscore.sums.submission import statement_of
from privacy.paillier.keys import PublicKey
from privacy.paillier.partial_proofs import prove_partials
from privacy.paillier.proofs import Claim, why_refused
from server.coordinator import Coordinator
from server.transport import Silence
from simulations.keys import SimulatedKeys

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Reader

MakeFederation = Callable[..., "Nodes"]
Lie = Callable[["Liar", Ask, bytes], bytes]


class OneRound(Exception):  # noqa: N818 - ends a run that has shown what it should
    """The first sum is opened."""


@dataclass
class Told:
    """An observer that keeps everything; it may end the run after the first sum."""

    only_one: bool = True
    notices: list[str] = field(default_factory=list)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        assert number <= rounds, name
        if self.only_one:
            raise OneRound

    def noticed(self, what: str) -> None:
        self.notices.append(what)


@dataclass
class Liar:
    """A member, with its real share, that answers what it likes."""

    member: PaillierMember
    contract: Contract

    def statement(self, ask: Ask) -> bytes:
        """What an honest member's proof would be about."""
        turn = Agenda(self.contract, run=ask.run).turn(
            ask.openings, round_number=ask.round, head=ask.head.hash
        )
        return statement_of(self.member.share.public_key, turn.envelope, f"member {self.member.index}")

    def size(self) -> int:
        return (self.member.share.public_key.bits + 7) // 8

    def flipped(self, data: bytes) -> bytes:
        return bytes((data[0] ^ 1,)) + data[1:]

    def negated(self, data: bytes) -> bytes:
        """Every partial opening's negative, and whatever follows as it was."""
        n, size = self.member.share.public_key.n, self.size()
        return (n - int.from_bytes(data[:size], "little")).to_bytes(size, "little") + data[size:]

    def of_another_product(self) -> int:
        """A product of its own choice: two is a canonical unit."""
        return 2

    def product(self, number: int) -> bytes:
        return number.to_bytes((self.member.share.public_key.n_squared.bit_length() + 7) // 8, "little")


def only_in_the_opening(lie: Callable[[Liar, bytes], bytes]) -> Lie:
    return lambda liar, ask, data: lie(liar, data) if ask.phase is Phase.OPEN else data


def in_both(lie: Callable[[Liar, bytes], bytes]) -> Lie:
    return lambda liar, _ask, data: lie(liar, data)


def with_a_proof_for_another_product(liar: Liar, ask: Ask, data: bytes) -> bytes:
    """A partial opening of another product, and a proof that is true of that one."""
    number = liar.of_another_product()
    partial = liar.member.partial(liar.product(number))
    if ask.phase is Phase.OPEN:
        return partial
    [proven], proof = prove_partials(liar.member.share, [number], liar.statement(ask))
    assert proven.to_bytes(liar.size(), "little") == partial
    assert len(data) > len(partial)
    return partial + proof.to_bytes()


def honest_proof_of_what_was_not_sent(liar: Liar, ask: Ask, data: bytes) -> bytes:
    return liar.flipped(data) if ask.phase is Phase.OPEN else data


def garbage_for_a_proof(liar: Liar, ask: Ask, data: bytes) -> bytes:
    return liar.flipped(data) if ask.phase is Phase.OPEN else b"\x01" * 5000


LIES: dict[str, Lie] = {
    "a flipped bit, and an honest proof afterwards": honest_proof_of_what_was_not_sent,
    "a flipped bit, also in what is proven": in_both(Liar.flipped),
    "a partial opening of another product": with_a_proof_for_another_product,
    "a negative that is also a lie": only_in_the_opening(lambda liar, data: liar.flipped(liar.negated(data))),
    "zero": only_in_the_opening(lambda liar, _: bytes(liar.size())),
    "too short": only_in_the_opening(lambda _, data: data[:-1]),
    "too long": only_in_the_opening(lambda _, data: data * 50),
    "one byte": only_in_the_opening(lambda _, data: data[:1]),
    "no proof but bytes": garbage_for_a_proof,
    "an empty proof": lambda liar, ask, data: (
        liar.flipped(data) if ask.phase is Phase.OPEN else data[: liar.size()]
    ),
}


@pytest.fixture(autouse=True)
def _checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six would check each submission in one process; it is the partial openings that are lied about here."""
    known: dict[Claim, str | None] = {}

    def once(public_key: PublicKey, claims: Sequence[Claim]) -> tuple[str | None, ...]:
        new = [claim for claim in claims if claim not in known]
        known.update(zip(new, why_refused(public_key, new), strict=True))
        return tuple(known[claim] for claim in claims)

    monkeypatch.setattr("fedscore.sums.submission.why_refused", once)


@pytest.fixture
def federation(make_federation: MakeFederation, audited: tuple[Contract, SimulatedKeys]) -> Nodes:
    """Nodes that share one derivation of the run, because all derive the same."""
    made = make_federation(*audited)
    agendas: dict[str, Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        return agendas.setdefault(run, agendas.get(run) or Agenda(contract, run=run))

    for node in made.nodes.values():
        node._agenda_of = agenda_of
    return made


def liars(federation: Nodes, lies: Mapping[str, Lie]) -> None:
    """Lets members lie from now on."""
    shares = {federation.keys.record.members[share.index - 1].name: share for share in federation.keys.shares}
    telling = {
        name: Liar(
            PaillierMember(share=shares[name], signing_keys=federation.contract.signing_keys),
            federation.contract,
        )
        for name in lies
    }

    def hook(name: str, ask: Ask, answer: Any) -> Any:  # noqa: ANN401 - whatever came
        if name not in lies or ask.phase not in (Phase.OPEN, Phase.PROVE) or not isinstance(answer, Reply):
            return answer
        return replace(answer, payload=lies[name](telling[name], ask, answer.payload))

    federation.hook = hook


def true_sum(federation: Nodes, reader: Reader, ask: Ask) -> list[int]:
    """What an opened sum must be, read with the whole key from what the parties sent."""
    agenda = federation.nodes["north"]._agenda_of(federation.contract, ask.run)
    turn = agenda.turn(ask.openings, round_number=ask.round, head=ask.head.hash)
    vectors = [reader.values(sent, turn.envelope) for sent in ask.submissions.values()]
    return [sum(column) for column in zip(*vectors, strict=True)]


def first_round(federation: Nodes, reader: Reader) -> tuple[Coordinator, Told]:
    """Runs until the first sum is opened, which is the true one."""
    told = Told()
    coordinator = federation.coordinator(observer=told)
    with pytest.raises(OneRound):
        coordinator.run()
    ask = next(ask for _, ask in federation.asked if ask.phase is Phase.OPEN)
    true = np.array(true_sum(federation, reader, ask))
    assert coordinator._correspondence.standing.head.openings == chain_openings([true])
    return coordinator, told


def names_of_liars(coordinator: Coordinator) -> list[str]:
    return [coordinator._series.member_names[member] for member in coordinator._committee.liars]


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_liar_is_named_and_the_sum_is_opened_by_the_others(
    federation: Nodes, reader: Reader, lie: Lie
) -> None:
    liars(federation, {"south": lie})
    coordinator, told = first_round(federation, reader)
    assert names_of_liars(coordinator) == ["south"]
    [notice] = told.notices
    assert notice == (
        "histogram: committee member south could not prove its partial opening, which is wrong: it is out of "
        "this run"
    )
    assert {ask.phase for _, ask in federation.asked} == set(Phase)
    present = coordinator._committee._members
    assert "south" not in {coordinator._series.member_names[member] for member in present}


def test_a_negated_partial_opening_changes_nothing_and_nobody_is_accused(
    federation: Nodes, reader: Reader
) -> None:
    """Partial openings count up to their sign, so there is nothing to find out."""
    liars(federation, {"south": only_in_the_opening(Liar.negated), "agency": in_both(Liar.negated)})
    coordinator, told = first_round(federation, reader)
    assert (names_of_liars(coordinator), told.notices) == ([], [])
    assert Phase.PROVE not in {ask.phase for _, ask in federation.asked}


def test_whose_proof_is_lost_is_not_called_a_liar(federation: Nodes, reader: Reader) -> None:
    liars(federation, {"south": in_both(Liar.flipped)})
    lying = federation.hook

    def and_one_is_silent(name: str, ask: Ask, answer: Any) -> Any:  # noqa: ANN401 - whatever came
        if name == "auditor-2" and ask.phase is Phase.PROVE:
            return Silence(reason="no reply in time")
        return lying(name, ask, answer)

    federation.hook = and_one_is_silent
    coordinator, told = first_round(federation, reader)
    assert names_of_liars(coordinator) == ["south"]
    assert any("auditor-2 is silent" in notice for notice in told.notices)


def test_more_liars_than_the_committee_can_bear_open_nothing(federation: Nodes) -> None:
    flip = in_both(Liar.flipped)
    liars(federation, {"north": flip, "south": flip, "agency": flip})
    with pytest.raises(RunFailed, match="2 of 3 needed partial openings are proven") as error:
        federation.coordinator().run()
    for name in ("north", "south", "agency"):
        assert f"committee member {name} could not prove its partial opening" in str(error.value)


def test_a_run_with_two_liars_ends_with_a_card_of_the_true_sums(federation: Nodes, reader: Reader) -> None:
    def later(liar: Liar, ask: Ask, data: bytes) -> bytes:
        return liar.flipped(data) if ask.round >= 4 else data

    liars(federation, {"south": in_both(Liar.flipped), "agency": later})
    told = Told(only_one=False)
    coordinator = federation.coordinator(observer=told)
    result = coordinator.run()
    assert result.liars == ("south", "agency")
    assert result.abandoned == 0
    assert result.trained.privacy is not None
    assert [notice.split(":")[0] for notice in told.notices] == ["histogram", "gradient 1"]
    asks = {ask.round: ask for _, ask in federation.asked if ask.phase is Phase.OPEN}
    for number, opening in enumerate(result.openings, start=1):
        assert opening.tolist() == true_sum(federation, reader, asks[number])
