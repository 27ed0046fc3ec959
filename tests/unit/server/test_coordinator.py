"""The operator's loop: who may be missing, who is left out, what is asked again, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import RunFailed
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from privacy.paillier.ceremony import unsafe_deal_from_primes
from server.chronicle import FileChronicle
from server.transport import Silence
from simulations.keys import record_of

Answer = Reply | Refusal | Silence
Hook = Callable[[str, Ask, Answer], Answer]
MakeCircle = Callable[..., Any]

SILENT = Silence(reason="no answer within 5 seconds")
GONE = "is silent (no answer within 5 seconds)"
OUT = "could not prove its partial opening, which is wrong: it is out of this run"
AUDITORS = ("auditor-1", "auditor-2", "auditor-3")
MARKER = "marker-49152"


def silence(phase: Phase, *names: str, rounds: Callable[[int], bool] = lambda _: True) -> Hook:
    """Keeps the answers of some, in one phase of some rounds, from arriving."""

    def hook(name: str, ask: Ask, answer: Answer) -> Answer:
        return SILENT if name in names and ask.phase is phase and rounds(ask.round) else answer

    return hook


def hooks(*several: Hook) -> Hook:
    def hook(name: str, ask: Ask, answer: Answer) -> Answer:
        for one in several:
            answer = one(name, ask, answer)
        return answer

    return hook


def lying(*names: str, rounds: Callable[[int], bool] = lambda _: True) -> Hook:
    """Members whose partial openings, and proofs of them, are wrong."""

    def hook(name: str, ask: Ask, answer: Answer) -> Answer:
        lies = name in names and ask.phase in (Phase.OPEN, Phase.PROVE) and rounds(ask.round)
        if lies and isinstance(answer, Reply):
            return replace(answer, payload=answer.payload[:-1] + bytes([answer.payload[-1] ^ 1]))
        return answer

    return hook


def asked(circle: Any, phase: Phase, number: int) -> list[tuple[str, Ask]]:  # noqa: ANN401 - the fixture's own class
    return [(name, ask) for name, ask in circle.asked if ask.phase is phase and ask.round == number]


def cohorts(circle: Any) -> dict[int, frozenset[str]]:  # noqa: ANN401 - the fixture's own class
    return {ask.round: frozenset(ask.submissions) for _, ask in circle.asked if ask.phase is Phase.OPEN}


ALL = frozenset({"north", "south", "agency", "west"})


# A run to which nothing happens.


def test_a_run_gives_a_card_that_carries_its_price(make_circle: MakeCircle) -> None:
    circle = make_circle()

    result = circle.run()

    assert circle.seen.rounds == ["1/4 histogram", "2/4 covariance", "3/4 gradient 1", "4/4 residuals 1"]
    assert circle.seen.notices == []
    assert (result.abandoned, result.liars) == (0, ())
    assert result.trained.privacy is not None
    assert result.trained.privacy.epsilon is not None
    assert 0.97 < result.trained.privacy.epsilon <= 1.0
    assert result.values_per_party == sum(opening.size for opening in result.openings)
    assert result.bytes_per_party == 8 * result.values_per_party
    assert not any(ask.phase is Phase.PROVE for _, ask in circle.asked)


def test_nothing_is_asked_before_it_is_durable(make_circle: MakeCircle, tmp_path: Path) -> None:
    circle = make_circle(spare_rounds=1)
    seen: list[int] = []

    def durable(_: str, ask: Ask, answer: Answer) -> Answer:
        kept = FileChronicle(tmp_path, circle.series).load()
        if ask.phase is not Phase.HELLO:
            assert kept.round == ask.round
            seen.append(ask.round)
        assert kept.head == ask.head
        assert kept.opening == ask.opening
        return answer

    lost = silence(Phase.COLLECT, "south", "west", rounds=lambda number: number == 2)
    circle.hook = hooks(durable, lost)
    circle.run(chronicle=FileChronicle(tmp_path, circle.series))

    assert sorted(set(seen)) == [1, 2, 3, 4, 5]
    last = FileChronicle(tmp_path, circle.series).load()
    assert (last.round, last.head.round, last.head.step) == (5, 5, 4)


def test_the_next_run_under_the_key_goes_on_with_the_numbers_and_the_transcript(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle()
    circle.run()
    last = circle.chronicle.load().head
    circle.asked.clear()

    circle.run()

    first = next(ask for _, ask in circle.asked if ask.phase is Phase.COLLECT)
    assert (first.round, first.head, first.openings) == (5, last, ())
    assert circle.chronicle.load().head.round == 8
    assert circle.seen.notices == []


# Parties that drop out.


def test_an_absence_that_the_contract_allows_leaves_a_card_and_the_party_out(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.COLLECT, "agency", rounds=lambda number: number == 2)

    result = circle.run()

    # It would have answered from round 3 on, and is not even asked.
    assert cohorts(circle) == {1: ALL, 2: ALL - {"agency"}, 3: ALL - {"agency"}, 4: ALL - {"agency"}}
    assert "agency" not in [name for name, _ in asked(circle, Phase.COLLECT, 3)]
    assert circle.seen.notices == ["covariance: agency is silent (no answer within 5 seconds)"]
    assert len(result.openings) == 4


def test_one_absence_more_than_allowed_ends_the_run_by_name(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.COLLECT, "agency", "west", rounds=lambda number: number >= 3)

    with pytest.raises(RunFailed) as failure:
        circle.run()

    assert str(failure.value) == (
        "gradient 1: 2 parties answered, 3 are needed; without an answer: agency, west; the contract pays "
        "for 0 spare rounds: the run is interrupted, and what it opened stays spent; resume it when all are "
        "back\n"
        f"  - agency {GONE}\n"
        f"  - west {GONE}"
    )
    assert 3 not in cohorts(circle)


def test_the_smallest_cohort_also_counts_at_the_start(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.HELLO, "north", "west")

    with pytest.raises(RunFailed) as failure:
        circle.run()

    assert str(failure.value) == (
        "hello: 2 parties answered, 3 are needed; without an answer: north, west; nothing was asked for yet\n"
        f"  - node 101 {GONE}\n"
        f"  - node 104 {GONE}"
    )
    assert {ask.phase for _, ask in circle.asked} == {Phase.HELLO}


def test_who_is_absent_at_the_start_may_stay_away(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.HELLO, "west")

    circle.run()

    assert set(cohorts(circle).values()) == {ALL - {"west"}}
    assert circle.seen.notices == [f"node 104 {GONE}"]


# Rounds that are given up.


def test_an_abandoned_round_is_asked_again_with_a_new_number_and_fresh_bytes(make_circle: MakeCircle) -> None:
    circle = make_circle(spare_rounds=1)
    sent: dict[int, bytes] = {}

    def note(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "north" and ask.phase is Phase.COLLECT and isinstance(answer, Reply):
            sent[ask.round] = answer.payload
        return answer

    circle.hook = hooks(note, silence(Phase.COLLECT, "agency", "west", rounds=lambda number: number == 2))
    result = circle.run()

    assert (result.abandoned, len(result.openings)) == (1, 4)
    # Round 2 was never opened, so those who were missing in it are back in round 3.
    assert cohorts(circle) == dict.fromkeys((1, 3, 4, 5), ALL)
    abandoned, repeated = asked(circle, Phase.COLLECT, 2)[0][1], asked(circle, Phase.COLLECT, 3)[0][1]
    assert len(abandoned.openings) == len(repeated.openings) == 1
    assert abandoned.head == repeated.head
    assert abandoned.request_hash != repeated.request_hash
    assert sent[2] != sent[3]
    assert len(sent[2]) == len(sent[3])
    (notice,) = circle.seen.notices
    assert notice == (
        "covariance: 2 parties answered, 3 are needed; without an answer: agency, west; the round is "
        f"abandoned, stays paid, and is asked again as a new one\n  - agency {GONE}\n  - west {GONE}"
    )


def test_who_is_missing_when_an_opening_is_asked_stays_out_although_the_round_is_abandoned(
    make_circle: MakeCircle,
) -> None:
    """The sum may have been opened: members would refuse a cohort in which somebody is back."""
    circle = make_circle(spare_rounds=1)
    circle.hook = hooks(
        silence(Phase.COLLECT, "agency", rounds=lambda number: number == 2),
        silence(Phase.OPEN, *AUDITORS, rounds=lambda number: number == 2),
    )

    result = circle.run()

    assert (len(result.openings), result.abandoned) == (4, 1)
    assert cohorts(circle) == {1: ALL, **dict.fromkeys((2, 3, 4, 5), ALL - {"agency"})}
    assert {name for name, _ in asked(circle, Phase.COLLECT, 3)} == ALL - {"agency"}
    # As a member it helps as before.
    assert "agency" in {name for name, _ in asked(circle, Phase.OPEN, 3)}


@pytest.mark.parametrize("spare_rounds", [0, 1, 3])
@pytest.mark.parametrize("phase", [Phase.COLLECT, Phase.OPEN])
def test_a_round_is_asked_again_as_often_as_is_paid_for_and_no_more(
    make_circle: MakeCircle, spare_rounds: int, phase: Phase
) -> None:
    circle = make_circle(spare_rounds=spare_rounds)
    circle.hook = silence(phase, "agency", "west", "south", rounds=lambda number: number >= 2)

    with pytest.raises(RunFailed, match=f"the contract pays for {spare_rounds} spare rounds: the run is"):
        circle.run()

    collected = [ask for _, ask in circle.asked if ask.phase is Phase.COLLECT]
    assert sorted({ask.round for ask in collected}) == list(range(1, 3 + spare_rounds))
    assert {len(ask.openings) for ask in collected if ask.round > 1} == {1}
    assert circle.chronicle.load().round == 2 + spare_rounds
    assert circle.chronicle.load().head.round == 1


def test_spare_rounds_are_on_the_card_whether_they_were_used_or_not(make_circle: MakeCircle) -> None:
    used, unused = make_circle(spare_rounds=2), make_circle(spare_rounds=2)
    used.hook = silence(Phase.COLLECT, "agency", "west", rounds=lambda number: number == 2)

    cards = [used.run().trained, unused.run().trained]

    privacies = [card.privacy for card in cards]
    assert privacies[0] == privacies[1]
    assert privacies[0] is not None
    assert [event["sum"] for event in privacies[0].events][-2:] == ["spare 1", "spare 2"]


# Members that are away.


def test_absent_members_up_to_n_minus_t_cost_nothing(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.OPEN, "north", "auditor-3")

    result = circle.run()

    assert (len(result.openings), result.abandoned) == (4, 0)
    assert circle.seen.notices == [
        f"histogram: committee member north {GONE}",
        f"histogram: committee member auditor-3 {GONE}",
    ]
    # Whoever was silent is not waited for again; as a party it is.
    for number in (2, 3, 4):
        assert {name for name, _ in asked(circle, Phase.OPEN, number)} == {
            *(ALL - {"north"}),
            "auditor-1",
            "auditor-2",
        }
        assert {name for name, _ in asked(circle, Phase.COLLECT, number)} == ALL


def test_one_absent_member_more_ends_the_run_by_name_after_a_second_try_of_the_same_cohort(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.OPEN, *AUDITORS, rounds=lambda number: number == 2)

    with pytest.raises(RunFailed) as failure:
        circle.run()

    assert str(failure.value) == (
        "covariance: 4 of 5 needed partial openings arrived; the contract pays for 0 spare rounds: the run "
        "is interrupted, and what it opened stays spent; resume it when all are back\n"
        f"  - committee member auditor-1 {GONE}\n"
        f"  - committee member auditor-2 {GONE}\n"
        f"  - committee member auditor-3 {GONE}"
    )
    asks = asked(circle, Phase.OPEN, 2)
    assert [name for name, _ in asks][7:] == list(AUDITORS)
    assert len({tuple(ask.submissions.items()) for _, ask in asks}) == 1


def test_members_that_come_back_in_time_save_the_round(make_circle: MakeCircle) -> None:
    circle = make_circle()
    tries: list[str] = []

    def restarted(name: str, ask: Ask, answer: Answer) -> Answer:
        if name in AUDITORS and ask.phase is Phase.OPEN and ask.round == 2:
            tries.append(name)
            return SILENT if tries.count(name) == 1 else answer
        return answer

    circle.hook = restarted
    result = circle.run()

    assert tries == [*AUDITORS, *AUDITORS]
    assert (len(result.openings), result.abandoned) == (4, 0)
    assert circle.seen.notices == []
    assert {name for name, _ in asked(circle, Phase.OPEN, 3)} == {*ALL, *AUDITORS}


@pytest.mark.parametrize("auditors", [False, True])
def test_members_that_were_away_are_tried_again_before_a_round_is_given_up(
    make_circle: MakeCircle, *, auditors: bool
) -> None:
    # Where parties sit on the committee, signatures under the newest head come with their vectors; auditors'
    # come with the partial openings of the very round.
    circle = make_circle(auditors=auditors)
    members = list(circle.series.member_names.values())
    circle.away = lambda name, ask: (
        ask.phase is Phase.OPEN
        and ((ask.round == 3 and name in members[5:]) or (ask.round >= 4 and name == members[4]))
    )

    result = circle.run()

    # In round 4 there are four without them; they know the first opening, and others vouch for the third.
    assert {name for name, _ in asked(circle, Phase.OPEN, 4)[5:]} == set(members[4:])
    assert (len(result.openings), result.abandoned) == (4, 0)
    assert circle.memories[members[6]].load().released.round == 4


def test_an_auditor_that_misses_the_first_opening_is_done_without_from_then_on(
    make_circle: MakeCircle,
) -> None:
    """It sends no vectors by which it could tell that what is shown to it is new."""
    circle = make_circle(auditors=True)
    circle.away = lambda name, ask: (
        ask.phase is Phase.OPEN
        and (
            (ask.round == 1 and name in ("auditor-6", "auditor-7"))
            or (ask.round >= 3 and name == "auditor-5")
        )
    )

    with pytest.raises(RunFailed, match=r"gradient 1: 4 of 5 needed partial openings arrived") as failure:
        circle.run()

    for name in ("auditor-6", "auditor-7"):
        assert f"committee member {name} refused (transcript-refused)" in str(failure.value)
        assert circle.memories[name].load().released is None


def test_the_silent_are_tried_again_when_a_round_is_abandoned(make_circle: MakeCircle) -> None:
    circle = make_circle(spare_rounds=1)
    circle.hook = hooks(
        silence(Phase.OPEN, "auditor-1", rounds=lambda number: number == 1),
        silence(Phase.COLLECT, "agency", "west", rounds=lambda number: number == 2),
    )

    circle.run()

    assert "auditor-1" in [name for name, _ in asked(circle, Phase.OPEN, 3)]


def test_without_enough_of_its_committee_a_run_does_not_start(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = silence(Phase.HELLO, *AUDITORS)

    with pytest.raises(RunFailed) as failure:
        circle.run()

    assert str(failure.value).startswith(
        "hello: 4 committee members are present, 5 are needed to open a sum; without an answer: auditor-1, "
        "auditor-2, auditor-3; nothing was asked for yet: start their nodes\n"
    )
    assert {ask.phase for _, ask in circle.asked} == {Phase.HELLO}


# Members that lie.


def test_a_lying_member_is_named_and_out_and_changes_nothing(make_circle: MakeCircle) -> None:
    honest, circle = make_circle(), make_circle()
    circle.hook = lying("south", rounds=lambda number: number >= 2)

    expected, result = honest.run(), circle.run()

    assert result.liars == ("south",)
    assert result.abandoned == 0
    assert circle.seen.notices == [f"covariance: committee member south {OUT}"]
    # It lied once; it is no longer asked as a member, and still is as a party.
    assert {ask.round for _, ask in circle.asked if ask.phase is Phase.PROVE} == {2}
    assert "south" not in [name for name, _ in asked(circle, Phase.OPEN, 3)]
    assert set(cohorts(circle).values()) == {ALL}
    for opening, other in zip(result.openings, expected.openings, strict=True):
        assert np.array_equal(opening, other)


def test_who_proves_something_else_than_it_sent_is_the_liar(make_circle: MakeCircle) -> None:
    circle = make_circle()

    def wrong_first(name: str, ask: Ask, answer: Answer) -> Answer:
        lies = name == "north" and ask.phase is Phase.OPEN and ask.round == 1
        return replace(answer, payload=b"?" * 32) if lies and isinstance(answer, Reply) else answer

    circle.hook = wrong_first

    assert circle.run().liars == ("north",)


def test_a_member_that_dies_before_it_proves_is_not_called_a_liar(make_circle: MakeCircle) -> None:
    circle = make_circle()
    circle.hook = hooks(lying("south", rounds=lambda number: number == 1), silence(Phase.PROVE, "west"))

    result = circle.run()

    assert result.liars == ("south",)
    assert circle.seen.notices == [
        f"histogram: committee member west {GONE}, and its partial opening is left out",
        f"histogram: committee member south {OUT}",
    ]
    assert "west" not in [name for name, _ in asked(circle, Phase.OPEN, 2)]


def test_a_member_that_refuses_to_prove_is_not_called_a_liar_and_costs_one_round_its_time(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle()

    def wrong_and_mute(name: str, ask: Ask, answer: Answer) -> Answer:
        if name != "west" or not isinstance(answer, Reply):
            return answer
        if ask.phase is Phase.PROVE:
            return Refusal(
                version=version("fedscore"),
                party="west",
                phase=ask.phase,
                round=ask.round,
                code=RefusalCode.INTERNAL,
            )
        return replace(answer, payload=b"?" * 32) if ask.phase is Phase.OPEN else answer

    circle.hook = wrong_and_mute
    result = circle.run()

    assert (len(result.openings), result.liars, result.abandoned) == (4, (), 0)
    assert circle.seen.notices == [
        (
            "histogram: committee member west refused (internal-error): something went wrong inside it; its "
            "own log says what, and its partial opening is left out"
        )
    ]
    assert {ask.round for _, ask in circle.asked if ask.phase is Phase.PROVE} == {1}


@pytest.mark.parametrize("auditors", [False, True])
def test_members_that_were_left_alone_stand_in_for_liars(make_circle: MakeCircle, *, auditors: bool) -> None:
    """Two are silent in one round, one lies in the next: at no time more than can be spared."""
    circle = make_circle(auditors=auditors)
    members = list(circle.series.member_names.values())
    circle.hook = hooks(
        silence(Phase.OPEN, *members[5:], rounds=lambda number: number == 1),
        lying(members[0], rounds=lambda number: number >= 2),
    )

    result = circle.run()

    assert (len(result.openings), result.liars, result.abandoned) == (4, (members[0],), 0)
    assert [name for name, _ in asked(circle, Phase.OPEN, 2)] == members[:5]
    assert [name for name, _ in asked(circle, Phase.PROVE, 2)] == [*members[:5], *members[5:]]
    assert circle.seen.notices[2:] == [f"covariance: committee member {members[0]} {OUT}"]
    # They are back for good.
    assert [name for name, _ in asked(circle, Phase.OPEN, 3)] == members[1:]


def test_who_stands_in_and_lies_is_named_as_well(make_circle: MakeCircle) -> None:
    circle = make_circle(auditors=True)
    circle.hook = hooks(
        silence(Phase.OPEN, "auditor-6", "auditor-7", rounds=lambda number: number == 1),
        lying("auditor-1", "auditor-6", rounds=lambda number: number == 2),
    )

    result = circle.run()

    assert (len(result.openings), result.liars) == (4, ("auditor-1", "auditor-6"))
    for name in result.liars:
        assert f"covariance: committee member {name} {OUT}" in circle.seen.notices
        assert name not in [one for one, _ in asked(circle, Phase.OPEN, 3)]


def test_who_stands_in_may_be_too_few(make_circle: MakeCircle) -> None:
    circle = make_circle(auditors=True)
    circle.hook = hooks(
        silence(Phase.OPEN, "auditor-6", "auditor-7", rounds=lambda number: number == 1),
        silence(Phase.PROVE, "auditor-7"),
        lying("auditor-1", "auditor-6", rounds=lambda number: number == 2),
    )

    with pytest.raises(RunFailed) as failure:
        circle.run()

    message = str(failure.value)
    assert message.startswith("covariance: 4 of 5 needed partial openings are proven; ")
    for what in (f"auditor-1 {OUT}", f"auditor-6 {OUT}", f"auditor-7 {GONE}"):
        assert f"\n  - committee member {what}" in message


def test_more_liars_than_can_be_spared_end_the_run_by_name_and_spend_nothing_on_it(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle(spare_rounds=3)
    circle.hook = lying("north", *AUDITORS[:2])

    with pytest.raises(RunFailed) as failure:
        circle.run()

    message = str(failure.value)
    assert message.startswith(
        "histogram: 4 of 5 needed partial openings are proven; too many committee members have lied to "
        "open a sum without them: the run ends here"
    )
    for name in ("north", "auditor-1", "auditor-2"):
        assert f"committee member {name} {OUT}" in message
    assert circle.chronicle.load().round == 1


def test_a_round_without_enough_proofs_is_asked_again_without_the_liar(make_circle: MakeCircle) -> None:
    circle = make_circle(spare_rounds=1)
    circle.hook = hooks(
        lying("south", rounds=lambda number: number == 1),
        silence(Phase.PROVE, *AUDITORS),
    )

    result = circle.run()

    assert (result.abandoned, result.liars) == (1, ("south",))
    assert {name for name, _ in asked(circle, Phase.OPEN, 2)} == {*(ALL - {"south"}), *AUDITORS}


# Submissions and answers that are refused.


def test_a_refused_submission_names_its_party_and_the_round_goes_on_without_it(
    make_circle: MakeCircle,
) -> None:
    circle = make_circle()

    def damaged(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "west" and ask.phase is Phase.COLLECT and ask.round == 2 and isinstance(answer, Reply):
            return replace(answer, payload=answer.payload + MARKER.encode())
        return answer

    circle.hook = damaged
    result = circle.run()

    assert len(result.openings) == 4
    assert cohorts(circle)[2] == cohorts(circle)[4] == ALL - {"west"}
    assert circle.seen.notices == [
        "covariance: its submission is refused, west: a vector of another length than was asked for"
    ]


def test_a_refusal_is_reported_with_its_code_alone(
    make_circle: MakeCircle, circle_contract: Contract
) -> None:
    circle = make_circle(circle_contract.with_privacy(absent=0), count=5000)  # over the cap on rows

    with pytest.raises(RunFailed, match=r"histogram: 0 parties answered, 4 are needed") as failure:
        circle.run()

    assert "\n  - south refused (data-refused)" in str(failure.value)
    assert "5000" not in str(failure.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: replace(reply, run="cd" * 16),
        lambda reply: replace(reply, round=7),
        lambda reply: replace(reply, request_hash="0" * 64),
        lambda reply: replace(reply, party="north"),
        lambda reply: replace(reply, phase=Phase.OPEN),
    ],
    ids=["run", "round", "request", "party", "phase"],
)
def test_an_answer_to_another_question_does_not_count(
    make_circle: MakeCircle, spoil: Callable[[Reply], Reply]
) -> None:
    circle = make_circle()

    def other(name: str, ask: Ask, answer: Answer) -> Answer:
        spoiled = name == "south" and ask.phase is Phase.COLLECT and isinstance(answer, Reply)
        return spoil(answer) if spoiled and isinstance(answer, Reply) else answer

    circle.hook = other
    circle.run()

    assert set(cohorts(circle).values()) == {ALL - {"south"}}
    assert circle.seen.notices == ["histogram: south answered something else than was asked"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: replace(reply, committee_member=1),
        lambda reply: replace(reply, committee_member=None),
        lambda reply: replace(reply, round=7),
    ],
    ids=["other", "none", "round"],
)
def test_a_partial_opening_counts_for_the_member_that_was_asked_and_for_nobody_else(
    make_circle: MakeCircle, spoil: Callable[[Reply], Reply]
) -> None:
    circle = make_circle()

    def other(name: str, ask: Ask, answer: Answer) -> Answer:
        spoiled = name == "south" and ask.phase is Phase.OPEN and isinstance(answer, Reply)
        return spoil(answer) if spoiled and isinstance(answer, Reply) else answer

    circle.hook = other
    result = circle.run()

    assert (len(result.openings), result.liars) == (4, ())
    assert (
        circle.seen.notices[0] == "histogram: committee member south answered something else than was asked"
    )


def test_nobody_hides_a_members_signature_by_claiming_its_number(make_circle: MakeCircle) -> None:
    circle = make_circle()

    def claiming(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "west" and ask.phase is Phase.COLLECT and isinstance(answer, Reply):
            return replace(answer, committee_member=1, head_signature=b"?" * 64)
        return answer

    circle.hook = claiming
    circle.run()

    for number in (2, 3, 4):
        (_, ask), *_ = asked(circle, Phase.OPEN, number)
        assert sorted(ask.head_signatures) == [1, 2, 3]
        assert len(circle.series.vouchers(ask.head, ask.head_signatures)) == 3


def test_what_nodes_write_is_nowhere_in_what_is_said(make_circle: MakeCircle) -> None:
    circle = make_circle(spare_rounds=1)

    def chatty(name: str, ask: Ask, answer: Answer) -> Answer:
        if not isinstance(answer, Reply):
            return answer
        answer = replace(answer, role=MARKER, version=MARKER)
        if ask.phase is Phase.HELLO:
            return answer if name != "auditor-3" else replace(answer, party=MARKER)
        if name in ("north", "south", "agency"):
            return replace(answer, payload=MARKER.encode())
        return replace(answer, party=MARKER)

    circle.hook = chatty
    # The hello's signature covers role and version, so it is spoiled for all of them.
    with pytest.raises(RunFailed) as failure:
        circle.run()
    spoken = [str(failure.value), *circle.seen.notices]

    circle.hook = lambda name, ask, answer: answer if ask.phase is Phase.HELLO else chatty(name, ask, answer)
    with pytest.raises(RunFailed) as failure:
        circle.run()
    spoken += [str(failure.value), *circle.seen.notices]

    assert len(spoken) >= 3
    assert not any(MARKER in text for text in spoken)


def test_an_answer_that_the_transport_does_not_bring_is_silence(make_circle: MakeCircle) -> None:
    circle = make_circle()
    everything = circle.ask

    class Forgetful:
        def addresses(self) -> tuple[int, ...]:
            found: tuple[int, ...] = circle.addresses()
            return found

        def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
            answers: Mapping[int, Answer] = everything(asks)
            return {address: answer for address, answer in answers.items() if address != 104}

    circle.run(transport=Forgetful())

    assert set(cohorts(circle).values()) == {ALL - {"west"}}


# With a real key.


def test_a_liar_and_a_damaged_submission_leave_the_openings_of_the_plain_run(
    make_circle: MakeCircle,
    make_federation: Callable[..., Any],
    make_short_agendas: Callable[[], Any],
    circle_contract: Contract,
    known_primes: tuple[int, int],
) -> None:
    committee = {"members": 4, "threshold": 3, "colluding_members": 1}
    contract = circle_contract.with_encryption(committee=committee)
    keys = record_of(contract, unsafe_deal_from_primes(*known_primes, members=4, threshold=3))
    federation = make_federation(contract, keys)
    agenda_of = make_short_agendas()
    for node in federation.nodes.values():
        node._agenda_of = agenda_of
    plain = make_circle(contract)

    def damaged(name: str, ask: Ask, answer: Answer) -> Answer:
        if name == "west" and ask.phase is Phase.COLLECT and ask.round == 2 and isinstance(answer, Reply):
            middle = len(answer.payload) // 2
            flipped = bytes([answer.payload[middle] ^ 1])
            return replace(answer, payload=answer.payload[:middle] + flipped + answer.payload[middle + 1 :])
        return answer

    federation.hook = hooks(damaged, lying("north", rounds=lambda number: number == 2))
    plain.hook = silence(Phase.COLLECT, "west", rounds=lambda number: number == 2)
    result = federation.coordinator(agenda_of=agenda_of, observer=plain.seen).run()
    notices, expected = list(plain.seen.notices), plain.run()

    assert result.liars == ("north",)
    assert len(notices) == 2
    assert notices[0].startswith("covariance: its submission is refused, west: a signature for fedscore")
    assert notices[1].startswith("covariance: committee member north could not prove its partial opening")
    for opening, other in zip(result.openings, expected.openings, strict=True):
        assert np.array_equal(opening, other)
    assert isinstance(result.trained, Card)
    assert isinstance(expected.trained, Card)
    assert result.trained.intercept_points == expected.trained.intercept_points
