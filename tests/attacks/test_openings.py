"""A server asks the committee to open something else than the one sum that everybody takes part in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clients.gate import CommitteeGate
from fedscore.contract import Contract
from fedscore.messages import Phase, RefusalCode
from fedscore.sums import OpenedSum
from fedscore.sums.series import HEAD_DOMAIN
from privacy.paillier.threshold import Opening, reproduce
from simulations.keys import SimulatedKeys, simulated_identity

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Reader, Server

OTHER_RUN = "cd" * 16
UNSIGNED = "a signature for fedscore submission 1 is not that of the key"

MakeFederation = Callable[..., "Nodes"]
Refused = Callable[..., None]


@pytest.fixture
def server(make_federation: MakeFederation, serve: type[Server]) -> Server:
    """South plays along; one more member would be enough to open."""
    return serve(make_federation(), colluders=("south",))


def test_without_the_rule_the_sum_of_all_but_one_shows_that_ones_vector(
    absences: Server, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defence off: members forget what they released, and open a second cohort of the round."""
    monkeypatch.setattr(CommitteeGate, "_require_round", lambda *_: None)
    turn = absences.turn(1)
    everyone = absences.collect(turn)
    others = {name: sent for name, sent in everyone.items() if name != "north"}
    sums = []
    for cohort in (everyone, others):
        partials, refusals = absences.partials(turn, cohort)
        assert not refusals
        sums.append(absences.combined(turn, cohort, partials).values)
    assert (sums[0] - sums[1]).tolist() == reader.values(everyone["north"], turn.envelope)


def test_a_second_cohort_of_a_released_round_is_refused(absences: Server, refused: Refused) -> None:
    turn = absences.turn(1)
    everyone = absences.collect(turn)
    partials, _ = absences.partials(turn, everyone)
    absences.combined(turn, everyone, partials)
    reason = "round 1 was released for another cohort or request: a second one would show the difference"
    for missing in everyone:
        others = {name: sent for name, sent in everyone.items() if name != missing}
        for phase in (Phase.OPEN, Phase.PROVE):
            ask = absences.ask(phase, turn, submissions=others)
            refused(absences, "north", ask, RefusalCode.ROUND, reason)
        assert len(absences.gets_nothing(turn, others)) == 4
    # Another vector of the member's own accomplice is another cohort as well.
    swapped = {**everyone, "agency": absences.seal(turn, "agency", [0] * turn.envelope.request.dimension)}
    refused(absences, "north", absences.open_ask(turn, swapped), RefusalCode.ROUND, reason)
    # For the very same cohort a member answers again, with the very same bytes.
    assert absences.partials(turn, everyone)[0] == partials


def test_a_committee_that_is_told_two_cohorts_opens_at_most_one(absences: Server) -> None:
    """Agency's member helps with both; of the four honest ones each helps with what it is shown first."""
    turn = absences.turn(1)
    everyone = absences.collect(turn)
    others = {name: sent for name, sent in everyone.items() if name != "north"}
    absences.answer("west", absences.open_ask(turn, others))
    partials, refusals = absences.partials(turn, everyone)
    assert len(partials) == 4
    assert refusals.keys() == {"west"}
    absences.combined(turn, everyone, partials)
    assert absences.gets_nothing(turn, others).keys() == {"north", "south", "auditor-1"}


def test_a_split_committee_opens_neither(absences: Server) -> None:
    turn = absences.turn(1)
    everyone = absences.collect(turn)
    others = {name: sent for name, sent in everyone.items() if name != "north"}
    for name, cohort in (("north", everyone), ("south", everyone), ("west", others), ("auditor-1", others)):
        absences.answer(name, absences.open_ask(turn, cohort))
    for cohort in (everyone, others):
        refusals = absences.gets_nothing(turn, cohort)
        assert [refusal.code for refusal in refusals.values()] == [RefusalCode.ROUND] * 2
    # The round is lost, and asked again under another number; that is what spare rounds are for. Some have
    # released a cohort without north, so it is out of the run.
    again = absences.turn(2)
    assert not absences.partials(again, absences.collect(again, others))[1]


def test_one_partys_ciphertext_alone_is_not_opened(server: Server, refused: Refused) -> None:
    turn = server.turn(1)
    everyone = server.collect(turn)
    for alone in ({"north": everyone["north"]}, {"north": everyone["north"], "south": everyone["south"]}):
        reason = f"a cohort of {len(alone)} is refused: at least 3 parties of the roster are needed"
        for phase in (Phase.OPEN, Phase.PROVE):
            ask = server.ask(phase, turn, submissions=alone)
            refused(server, "agency", ask, RefusalCode.COHORT, reason)
        server.gets_nothing(turn, alone)
    # Nor if the others' names stand beside it, with vectors of nothing that the server made.
    dimension = turn.envelope.request.dimension
    zero = server.seal(turn, "south", [0] * dimension)
    padded = {"north": everyone["north"], "south": zero, "agency": zero}
    reason = f"agency: {UNSIGNED}"
    refused(server, "north", server.open_ask(turn, padded), RefusalCode.SUBMISSION, reason)
    server.gets_nothing(turn, padded)
    # Nor is nothing opened for nobody.
    refused(server, "north", server.open_ask(turn, {}), RefusalCode.COHORT, "a cohort of 0 is refused")


def test_all_but_one_are_not_opened_after_all(server: Server, refused: Refused) -> None:
    turn, everyone, _ = server.play(1)
    others = {name: sent for name, sent in everyone.items() if name != "north"}
    before = {"head": server.nodes.series.genesis, "openings": (), "opening": b""}
    refused(
        server,
        "agency",
        server.ask(Phase.OPEN, turn, submissions=others, **before),
        RefusalCode.ROUND,
        "round 1 was released for another cohort or request",
    )
    # The newest head is known by now, so the round is closed for every cohort.
    server.collect(server.turn(2))
    for cohort in (everyone, others):
        ask = server.ask(Phase.OPEN, turn, submissions=cohort, **before)
        reason = "transcript stands at round 0, this member's at 1: a forked or older history is refused"
        refused(server, "north", ask, RefusalCode.TRANSCRIPT, reason)


def test_an_older_round_is_not_opened(server: Server, refused: Refused) -> None:
    """Vectors of a round that was abandoned stay closed once a newer round is released."""
    server.play(1)
    abandoned = server.turn(2)
    kept, openings = server.collect(abandoned), server.openings
    server.begin(OTHER_RUN)
    newer = server.turn(3)
    submissions = server.collect(newer)
    partials, _ = server.partials(newer, submissions)
    assert len(partials) == 3
    reason = "round 2 is older than 3, which this member has released: ask a new round"
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = server.ask(phase, abandoned, submissions=kept, openings=openings)
        refused(server, "agency", ask, RefusalCode.ROUND, reason)
    server.gets_nothing(abandoned, kept, openings=openings)


def test_vectors_of_one_run_are_not_opened_under_another(server: Server, refused: Refused) -> None:
    turn = server.turn(1)
    sent = server.collect(turn)
    for number, run in ((1, OTHER_RUN), (2, OTHER_RUN), (2, turn.envelope.run)):
        moved = server.turn(number, run=run)
        ask = server.open_ask(moved, sent)
        refused(server, "agency", ask, RefusalCode.SUBMISSION, f"(north|south|agency): {UNSIGNED}")
        # South signs its own for the new place; the honest ones' still do not fit.
        own = {**sent, "south": server.seal(moved, "south", [0] * 54)}
        refused(server, "agency", server.open_ask(moved, own), RefusalCode.SUBMISSION, UNSIGNED)


def test_two_sums_of_one_round_differ_by_what_the_accomplice_chose_and_nothing_else(
    server: Server, refused: Refused
) -> None:
    """Without absences one honest member is enough to open: all parties, so all of the noise, are in it.

    South signs two vectors for the round, and shows one to each of the honest members.
    """
    turn = server.turn(1)
    dimension = turn.envelope.request.dimension
    honest = server.collect(turn, ["north", "agency"])
    chosen = {"north": [0] * dimension, "agency": list(range(dimension))}
    values = {}
    for index, (name, vector) in zip((1, 3), chosen.items(), strict=True):
        cohort = {**honest, "south": server.seal(turn, "south", vector)}
        given = {index: server.answer(name, server.open_ask(turn, cohort)).payload}
        given[2] = server.accomplice(2, turn, cohort)
        values[name] = cohort, server.combined(turn, cohort, given)
    difference = values["agency"][1].values - values["north"][1].values
    assert difference.tolist() == chosen["agency"]
    # From here on there are two histories, and no round that both of them help with.
    server.close(turn, *values["north"])
    server.collect(server.turn(2), ["north"])
    following = server.turn(2)
    reason = "nothing proves the server's transcript of round 1 to this member, which knows round 0"
    refused(server, "agency", server.open_ask(following, honest), RefusalCode.TRANSCRIPT, reason)


def test_the_committees_proof_is_no_second_way_to_an_opening(server: Server, refused: Refused) -> None:
    """A proof carries partial openings, so it passes the very same gate, and counts as a release."""
    turn = server.turn(1)
    everyone = server.collect(turn)
    proven = server.answer("agency", server.ask(Phase.PROVE, turn, submissions=everyone)).payload
    swapped = {**everyone, "south": server.seal(turn, "south", [0] * turn.envelope.request.dimension)}
    reason = "round 1 was released for another cohort or request"
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = server.ask(phase, turn, submissions=swapped)
        refused(server, "agency", ask, RefusalCode.ROUND, reason)
    opened = server.answer("agency", server.open_ask(turn, everyone)).payload
    assert proven.startswith(opened)
    # Two proofs of one opening do not show the share: their masks differ.
    again = server.answer("agency", server.ask(Phase.PROVE, turn, submissions=everyone)).payload
    assert again != proven


def test_who_has_no_share_or_no_rows_is_asked_in_vain(
    make_federation: MakeFederation,
    serve: type[Server],
    audited: tuple[Contract, SimulatedKeys],
    refused: Refused,
) -> None:
    server = serve(make_federation(*audited))
    turn = server.turn(1)
    reason = "auditor-1 is no party of the contract and takes part in no sum"
    refused(server, "auditor-1", server.ask(Phase.COLLECT, turn), RefusalCode.COHORT, reason)
    everyone = server.collect(turn)
    extra = {**everyone, "auditor-1": server.seal(turn, "auditor-1", [0] * turn.envelope.request.dimension)}
    reason = "1 of the submissions are of nobody on the contract's roster"
    refused(server, "auditor-1", server.open_ask(turn, extra), RefusalCode.COHORT, reason)


def test_a_published_opening_moves_members_only_to_the_sum_that_they_opened(
    server: Server, refused: Refused
) -> None:
    """Other bytes behind the same head are other openings, or the same one written in another way."""
    turn = server.turn(1)
    submissions = server.collect(turn)
    partials, _ = server.partials(turn, submissions)
    opened = server.combined(turn, submissions, partials)
    n, width = server.key.n, server.key.residue_bytes
    parts = [opened.opening[start : start + width] for start in range(0, len(opened.opening), width)]
    plaintext, root, quotient = parts
    numbers = [int.from_bytes(part, "little") for part in parts]

    def written(number: int) -> bytes:
        return number.to_bytes(width, "little")

    def quotient_of(plaintext: int, root: int) -> bytes:
        return written(
            reproduce(server.key, Opening(plaintext=server.key.centred(plaintext), root=root)) // n
        )

    one_more, negated = written(numbers[0] + 1), written(n - numbers[1])
    # These are openings, only of other ciphertexts.
    another = one_more + root + quotient_of(numbers[0] + 1, numbers[1])
    other_root = plaintext + negated + quotient_of(numbers[0], n - numbers[1])
    more = opened.values.copy()
    more[0] += 1
    claims = {
        "one more in the first slot": OpenedSum(values=more, opening=another),
        "one more, under the true quotient": OpenedSum(values=more, opening=one_more + root + quotient),
        "the true bytes, and one more said": replace(opened, values=more),
        "another root": replace(opened, opening=plaintext * 2 + quotient),
        "the negated root": replace(opened, opening=other_root),
        "the negated root, under the true quotient": replace(opened, opening=plaintext + negated + quotient),
        "another quotient": replace(opened, opening=plaintext + root + bytes(width)),
        "no root": replace(opened, opening=plaintext + bytes(width) + quotient),
        "the true bytes, said to be others": opened,
        "nothing": replace(opened, opening=b""),
    }
    genesis = server.head
    for what, claim in claims.items():
        server.head = genesis
        head = server.next_head(turn, submissions, claim)
        if what == "the true bytes, said to be others":
            head = replace(head, opening=hashlib.sha256(other_root).hexdigest())
        server.head, server.opening = head, claim.opening
        following = server.turn(2, openings=(claim.values,))
        ask = server.open_ask(following, submissions, openings=(claim.values,))
        reason = "nothing proves the server's transcript of round 1 to this member, which knows round 0"
        refused(server, "agency", ask, RefusalCode.TRANSCRIPT, reason)
    server.head = genesis
    server.close(turn, submissions, opened)
    server.collect(server.turn(2))
    assert server.nodes.memories["agency"].load().head == server.head


def test_an_opening_is_no_link_to_a_head_that_its_sum_was_not_made_for(
    absences: Server, refused: Refused
) -> None:
    """Two rounds of one step are asked under one head; once one is the next link, the other never is.

    North was away from the first, and takes it from others' signatures after it has released the second.
    """
    first, second = absences.turn(1), absences.turn(2)
    sent, again = absences.collect(first), absences.collect(second)
    partials = absences.helped(first, sent, ["south", "agency", "west", "auditor-1"])
    opened = absences.combined(first, sent, partials)
    partials = absences.helped(second, again, ["north", "south", "agency", "auditor-1"])
    other = absences.combined(second, again, partials)
    absences.close(first, sent, opened)
    link = absences.head
    absences.answer("west", absences.ask(Phase.HELLO, first))
    absences.signatures[3] = simulated_identity("agency").sign(HEAD_DOMAIN, link.to_bytes())
    absences.answer("north", absences.ask(Phase.HELLO, first))
    assert absences.nodes.memories["north"].load().head == link
    absences.openings = ()
    absences.head, absences.opening = absences.next_head(second, again, other), other.opening
    absences.openings = (other.values,)
    assert absences.head.previous == link.hash
    reason = "nothing proves the server's transcript of round 2 to this member, which knows round 1"
    ask = absences.open_ask(absences.turn(3), again)
    refused(absences, "north", ask, RefusalCode.TRANSCRIPT, reason)
    assert absences.nodes.memories["north"].load().head == link
