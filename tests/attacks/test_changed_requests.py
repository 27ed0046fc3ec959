"""A server asks for another sum than the agreed one: less noise, other slots, parties or histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, Party, Role
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.messages import Head, Phase, RefusalCode
from fedscore.messages.transcript import chain_openings
from fedscore.sums import Query, SumRequest, Update
from fedscore.sums.series import HEAD_DOMAIN
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed
from privacy.paillier.packing import SlotLayout
from simulations.keys import SimulatedKeys, keyed, simulated_identity

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Server

RUN = "ab" * 16
OTHER_RUN = "cd" * 16
DERIVED = "request-mismatch: histogram: the server derived another request than this node did"

Vector = npt.NDArray[np.int64]
MakeRows = Callable[[int, int], Rows]
Refused = Callable[..., None]
Lie = Callable[[SumRequest], SumRequest]


class Lying(Agenda):
    """The agenda of a server that changes what it asks for; its hashes are those of the changed request."""

    def __init__(self, contract: Contract, lie: Lie, *, run: str = RUN) -> None:
        super().__init__(contract, run=run)
        self._lie = lie

    def next_sum(self, openings: Any) -> tuple[Query | Update, SumRequest]:  # noqa: ANN401 - as its parent
        query, request = super().next_sum(openings)
        return query, self._lie(request)


def nearly_noiseless(request: SumRequest) -> SumRequest:
    """The same sum, with a hundredth of a record of noise, in slots that have room for it."""
    layout = SlotLayout.for_sum(
        max_abs=request.max_abs * 1000, max_summands=request.parties, modulus_bits=2048
    )
    return replace(
        request,
        scale=1000,
        sensitivity_squared=request.sensitivity_squared // request.scale**2 * 1000**2,
        share_variance=100,
        max_abs=layout.max_abs,
        width=layout.width,
        slots=layout.slots,
    )


LIES: dict[str, Lie] = {
    "nearly no noise": nearly_noiseless,
    "no noise": lambda request: replace(request, share_variance=0),
    "a smaller share of noise": lambda request: replace(request, share_variance=request.share_variance - 1),
    "another sensitivity": lambda request: replace(request, sensitivity_squared=1),
    "more honest shares": lambda request: replace(request, honest_shares=request.honest_shares + 1),
    "more parties": lambda request: replace(request, parties=request.parties + 1),
    "wider slots": lambda request: replace(request, width=request.width + 1, slots=request.slots // 2),
    "fewer slots": lambda request: replace(request, slots=request.slots - 1),
    "larger values": lambda request: replace(request, max_abs=request.max_abs + 1),
    "another scale": lambda request: replace(request, scale=request.scale * 2),
    "fewer values": lambda request: replace(request, dimension=request.dimension - 1),
    "another name": lambda request: replace(request, name="covariance"),
}


def test_a_node_that_takes_the_servers_word_shows_its_counts(
    make_federation: Callable[..., Nodes],
    serve: type[Server],
    audited: tuple[Contract, SimulatedKeys],
    make_rows: MakeRows,
) -> None:
    """The defence off: north derives nothing itself, and south, agency and both their shares are bought.

    The contract promises that north's own noise is enough against two colluding organisations.
    """
    contract, keys = audited
    server = serve(make_federation(contract, keys), colluders=("south", "agency"))
    lying = Lying(contract, nearly_noiseless)
    server.nodes.nodes["north"]._agenda_of = lambda _contract, _run: lying

    turn = server.turn(1, agenda=lying)
    nothing = [0] * turn.envelope.request.dimension
    submissions = {
        **server.collect(turn, ["north"]),
        **{name: server.seal(turn, name, nothing) for name in ("south", "agency")},
    }
    partials, refusals = server.partials(turn, submissions)
    assert refusals.keys() == {"auditor-1", "auditor-2"}  # who derive it themselves
    assert len(partials) == 3
    stolen = server.combined(turn, submissions, partials).values

    query, _ = server.agenda().next_sum(())
    assert isinstance(query, Query)
    counts = query.contributions(make_rows(200, 0)).lattice_total(
        scale=1, limit_squared=turn.envelope.request.sensitivity_squared // 1000**2, dimension=len(nothing)
    )
    assert (stolen / 1000).round().astype(int).tolist() == counts.tolist()
    assert counts[:12].sum() >= 200


@pytest.fixture(scope="module")
def server(make_federation: Callable[..., Nodes], serve: type[Server]) -> Server:
    """Before the first round, for attacks that fail; south plays along."""
    return serve(make_federation(), colluders=("south",))


@pytest.fixture(scope="module")
def later(make_federation: Callable[..., Nodes], serve: type[Server]) -> Server:
    """After the second round, for attacks that fail."""
    server = serve(make_federation(), colluders=("south",))
    server.play(1)
    server.play(2)
    return server


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_node_answers_a_changed_request(server: Server, refused: Refused, lie: Lie) -> None:
    turn = server.turn(1, agenda=Lying(server.nodes.contract, lie))
    reason = DERIVED.replace("histogram", "(histogram|covariance)")
    refused(server, "north", server.ask(Phase.COLLECT, turn), RefusalCode.REQUEST, reason)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_member_opens_what_was_sent_for_another_request(
    server: Server, refused: Refused, lie: Lie
) -> None:
    """Everybody answered honestly; only the committee is told that something else was asked for."""
    honest = server.turn(1)
    submissions = server.collect(honest)
    lying = server.turn(1, agenda=Lying(server.nodes.contract, lie))
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = server.ask(phase, lying, submissions=submissions)
        refused(server, "agency", ask, RefusalCode.REQUEST, DERIVED)


def test_a_request_changed_for_one_party_leaves_the_others_unopened(
    make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    server = serve(make_federation(), colluders=("south",))
    honest, lying = server.turn(1), server.turn(1, agenda=Lying(server.nodes.contract, nearly_noiseless))
    refused(server, "north", server.ask(Phase.COLLECT, lying), RefusalCode.REQUEST, DERIVED)
    others = server.collect(honest, ["south", "agency"])
    small = "cohort-refused: a cohort of 2 is refused: at least 3 parties"
    refused(server, "agency", server.open_ask(honest, others), RefusalCode.COHORT, small)
    # If north were as credulous as can be, its vector would go with nobody else's.
    credulous = Lying(server.nodes.contract, nearly_noiseless)
    server.nodes.nodes["north"]._agenda_of = lambda _contract, _run: credulous
    mixed = {**others, **server.collect(lying, ["north"])}
    reason = "submission-refused: north: [0-9]+ bytes|submission-refused: north: a signature"
    refused(server, "agency", server.open_ask(honest, mixed), RefusalCode.SUBMISSION, reason)
    reason = reason.replace("north", "(south|agency)")
    refused(server, "north", server.open_ask(lying, mixed), RefusalCode.SUBMISSION, reason)


def test_of_two_requests_in_one_round_the_second_is_refused(
    server: Server, later: Server, refused: Refused
) -> None:
    server.collect(server.turn(1))
    ask = server.ask(Phase.COLLECT, server.turn(1, run=OTHER_RUN))
    reason = "round 1 is refused: this node answered round 1 already, and a second answer would spend"
    refused(server, "north", ask, RefusalCode.ROUND, reason)
    # An older round is refused even if nobody but this node ever heard of the newer one.
    later.collect(later.turn(9))
    for number in (3, 8):
        ask = later.ask(Phase.COLLECT, later.turn(number))
        reason = f"round {number} is refused: this node answered round 9 already"
        refused(later, "agency", ask, RefusalCode.ROUND, reason)


def test_invented_parties_do_not_thin_the_noise(server: Server, refused: Refused) -> None:
    contract = server.nodes.contract
    invented = [Party(name=f"invented-{number}", role=Role.PLATFORM) for number in range(17)]
    crowded = keyed(contract.with_parties([*contract.parties, *invented]))
    lying = Agenda(crowded, run=RUN)
    thin, honest = (
        request.share_variance / request.scale**2
        for request in (lying.requests[0], server.agenda().requests[0])
    )
    assert thin < honest / 8  # what the server would gain

    ask = server.ask(Phase.COLLECT, server.turn(1, agenda=lying))
    refused(server, "north", ask, RefusalCode.CONTRACT, "the server follows another contract than the one")
    said = replace(ask, contract_hash=contract.hash())
    refused(server, "north", said, RefusalCode.REQUEST, DERIVED)
    turn = server.turn(1)
    stuffed = {**server.collect(turn), "invented-0": server.seal(turn, "invented-0", [0] * 54)}
    reason = "1 of the submissions are of nobody on the contract's roster"
    refused(server, "north", server.open_ask(turn, stuffed), RefusalCode.COHORT, reason)
    swapped = {name: sent for name, sent in stuffed.items() if name != "agency"}
    refused(server, "north", server.open_ask(turn, swapped), RefusalCode.COHORT, reason)


def steered(server: Server) -> tuple[Head, tuple[Vector, ...]]:
    """Openings of the server's choice, which would steer what it asks for next, under a head that fits."""
    openings = (*server.openings[:-1], np.ones_like(server.openings[-1]))
    return replace(server.head, openings=chain_openings(openings)), openings


def test_a_forged_history_is_refused_by_those_who_know_the_true_one(later: Server, refused: Refused) -> None:
    later.collect(later.turn(9))  # so that everybody has seen the proof of the second round
    head, openings = steered(later)
    turn = later.turn(10, head=head, openings=openings)
    ask = later.ask(Phase.COLLECT, turn, head=head, openings=openings)
    reason = "transcript-refused: .* stands at round 2, this member's at 2: a forked or older history"
    for name in ("north", "agency"):
        refused(later, name, ask, RefusalCode.TRANSCRIPT, reason)
    # The head of the true history does not carry other openings.
    ask = later.ask(Phase.COLLECT, later.turn(10, openings=openings), openings=openings)
    reason = "the openings are not those that the transcript's head stands for"
    refused(later, "north", ask, RefusalCode.TRANSCRIPT, reason)


def test_what_is_sent_for_a_forged_history_is_opened_by_nobody(
    make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    """Parties that are shown a forged history first answer it, since their vectors are noised and sealed."""
    server = serve(make_federation(), colluders=("south",))
    server.play(1)
    head, openings = steered(server)
    turn = server.turn(2, head=head, openings=openings)
    places: dict[str, Any] = {"head": head, "openings": openings}
    submissions = server.collect(turn, **places)
    server.gets_nothing(turn, submissions, **places)
    reason = (
        "nothing proves the server's transcript of round 1 to this member, which knows round 0: 2 members"
    )
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = server.ask(phase, turn, submissions=submissions, **places)
        refused(server, "agency", ask, RefusalCode.TRANSCRIPT, reason)
    # Nor does the bought member's signature help.
    forged = simulated_identity("south").sign(HEAD_DOMAIN, head.to_bytes())
    for signatures in ({2: forged}, {1: forged, 2: forged, 3: forged}, {2: forged, 4: forged}):
        ask = server.open_ask(turn, submissions, head_signatures=signatures, **places)
        refused(server, "agency", ask, RefusalCode.TRANSCRIPT, reason)
    # Whoever answered the forged history does not answer the true one in this run: the server lost its run.
    ask = server.ask(Phase.COLLECT, server.turn(3))
    reason = "the openings differ from those that this node was shown before: a fork"
    refused(server, "north", ask, RefusalCode.TRANSCRIPT, reason)


def test_parties_that_were_shown_different_histories_are_not_added_up(
    make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    server = serve(make_federation(), colluders=("south",))
    server.play(1)
    head, openings = steered(server)
    true, forged = server.turn(2), server.turn(2, head=head, openings=openings)
    submissions = {
        **server.collect(true, ["north", "south"]),
        **server.collect(forged, ["agency"], head=head, openings=openings),
    }
    assert server.gets_nothing(true, submissions).keys() == {"north", "agency"}
    reason = "submission-refused: agency: a signature for fedscore submission 1 is not that of the key"
    refused(server, "north", server.open_ask(true, submissions), RefusalCode.SUBMISSION, reason)


def test_a_run_has_as_many_repeated_sums_as_were_paid_for(
    make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    """A server that asks for the dearest sum again and again would average its noise away.

    Nine rounds are paid for, but not nine histograms: those would cost far more than the contract's epsilon.
    """
    server = serve(make_federation(), colluders=("south",))
    terms = server.nodes.contract.privacy
    histogram = server.agenda().requests[0]
    nine = Composed(events=(histogram.event,) * server.agenda().rounds)
    assert guarantee(nine, delta=terms.delta).epsilon > 1.7 * terms.epsilon

    reason = "the run asks for a sum once more; 0 spare rounds were paid for"
    server.collect(server.turn(1))
    for name in ("north", "agency"):
        ask = server.ask(Phase.COLLECT, server.turn(2))
        refused(server, name, ask, RefusalCode.BUDGET, reason)
    # Neither does it help to open the sum first, nor to ask again after the next one.
    hidden = "the openings are not those that the transcript's head stands for"
    fork = "the openings differ from those that this node was shown before"
    for number, code, again in ((1, RefusalCode.BUDGET, reason), (2, RefusalCode.TRANSCRIPT, fork)):
        server.play(number)
        # Nor to make up a head that says nothing of the run, for who has not been shown the true one yet.
        made_up = replace(server.head, run=OTHER_RUN)
        for name in ("north", "agency"):
            turn = server.turn(number + 1, openings=(), head=made_up)
            ask = server.ask(Phase.COLLECT, turn, openings=(), head=made_up)
            refused(server, name, ask, code, again)
            ask = server.ask(Phase.COLLECT, server.turn(number + 1, openings=()), openings=())
            refused(server, name, ask, RefusalCode.TRANSCRIPT, hidden)


def test_a_run_that_was_left_is_not_taken_up_again(
    make_federation: Callable[..., Nodes], serve: type[Server], refused: Refused
) -> None:
    """Two runs in turns would make a node forget how often it answered each."""
    server = serve(make_federation(), colluders=("south",))
    server.collect(server.turn(1))
    server.collect(server.turn(2, run=OTHER_RUN))
    over = "round-refused: another run has followed this one here, so it is over"
    refused(server, "north", server.ask(Phase.COLLECT, server.turn(3)), RefusalCode.ROUND, over)
    # Not even when it is another run's turn once more.
    server.collect(server.turn(3, run="ef" * 16))
    for run in (RUN, OTHER_RUN):
        ask = server.ask(Phase.COLLECT, server.turn(4, run=run))
        refused(server, "agency", ask, RefusalCode.ROUND, over)
