"""What a node answers, and above all what it does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from clients.node import Node
from clients.rounds import MemoryRounds
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import DataError
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from privacy.dp.randomness import SystemRandomness
from simulations.plain import PlainMember, PlainSealer

RUN = "ab" * 16
MakeRows = Callable[[int, int], Rows]


def node_for(
    contract: Contract, rows: Rows, party: str = "north", *, load_rows: Callable[[], Rows] | None = None
) -> Node:
    return Node(
        party=party,
        contract=contract,
        load_rows=load_rows if load_rows is not None else lambda: rows,
        sealer=PlainSealer(),
        member=PlainMember() if party == "north" else None,
        rounds=MemoryRounds(),
        randomness=SystemRandomness(),
    )


def ask_for(
    contract: Contract,
    phase: Phase,
    openings: tuple[npt.NDArray[np.int64], ...] = (),
    submissions: Mapping[str, bytes] | None = None,
    run: str = RUN,
) -> Ask:
    digest = Agenda(contract, run=run).turn(openings).envelope.digest if phase is not Phase.HELLO else ""
    return Ask(
        phase=phase,
        run=run,
        round=len(openings),
        contract_hash=contract.hash(),
        request_hash=digest,
        openings=openings,
        submissions=submissions or {},
    )


def refused(answer: Reply | Refusal) -> RefusalCode:
    assert isinstance(answer, Refusal), "the node answered"
    return answer.code


def payload(answer: Reply | Refusal) -> bytes:
    assert isinstance(answer, Reply), "the node refused"
    return answer.payload


def test_hello_says_who_is_there_and_nothing_of_the_data(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    node = node_for(tiny_contract, make_rows(50, 1))
    answer = node.answer(ask_for(tiny_contract, Phase.HELLO))
    assert isinstance(answer, Reply)
    assert (answer.party, answer.role, answer.committee_member) == ("north", "platform", 1)
    assert answer.payload == b""


def test_asked_twice_a_node_sends_the_same_bytes(tiny_contract: Contract, make_rows: MakeRows) -> None:
    node = node_for(tiny_contract, make_rows(50, 1))
    ask = ask_for(tiny_contract, Phase.COLLECT)
    first = payload(node.answer(ask))
    assert payload(node.answer(ask)) == first
    # a node without memory of its own would draw other noise: the comparison above can fail
    assert payload(node_for(tiny_contract, make_rows(50, 1)).answer(ask)) != first


def test_noise_is_there_and_has_the_promised_size(tiny_contract: Contract, make_rows: MakeRows) -> None:
    rows = make_rows(200, 1)
    request = Agenda(tiny_contract, run=RUN).turn(()).envelope.request
    ask = ask_for(tiny_contract, Phase.COLLECT)
    sent = np.frombuffer(payload(node_for(tiny_contract, rows).answer(ask)), dtype="<i8")
    without = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    clear = np.frombuffer(
        payload(node_for(without, rows).answer(ask_for(without, Phase.COLLECT))), dtype="<i8"
    )
    noise = sent - request.scale * clear
    ratio = float(np.mean(noise.astype(float) ** 2)) / request.share_variance
    assert 0.5 < ratio < 1.8  # 86 values: beyond this by chance less than once in 10⁴


def test_a_forked_transcript_is_refused(tiny_contract: Contract, make_rows: MakeRows) -> None:
    """Other openings for a round that was answered would make the node answer twice."""
    node = node_for(tiny_contract, make_rows(50, 1))
    dimension = Agenda(tiny_contract, run=RUN).turn(()).envelope.request.dimension
    one = (np.full(dimension, 1000, dtype=np.int64),)
    other = (np.full(dimension, 1001, dtype=np.int64),)
    assert payload(node.answer(ask_for(tiny_contract, Phase.COLLECT, one)))
    assert refused(node.answer(ask_for(tiny_contract, Phase.COLLECT, other))) is RefusalCode.ROUND


def test_a_changed_request_is_refused(tiny_contract: Contract, make_rows: MakeRows) -> None:
    node = node_for(tiny_contract, make_rows(50, 1))
    honest = ask_for(tiny_contract, Phase.COLLECT)
    weaker = tiny_contract.with_privacy(epsilon=100.0)
    asks = {
        "another digest": replace(honest, request_hash="0" * 64),
        "the request of a weaker contract": replace(
            ask_for(weaker, Phase.COLLECT), contract_hash=tiny_contract.hash()
        ),
        "another run's request": replace(ask_for(tiny_contract, Phase.COLLECT, run="cd" * 16), run=RUN),
    }
    for what, ask in asks.items():
        assert refused(node.answer(ask)) is RefusalCode.REQUEST, what
    assert refused(node.answer(ask_for(weaker, Phase.COLLECT))) is RefusalCode.CONTRACT


@pytest.mark.parametrize("run", ["", "zz" * 16, "../../etc/passwd", "AB" * 16, "ab" * 16 + "\n"])
def test_a_run_that_is_no_run_is_refused(tiny_contract: Contract, make_rows: MakeRows, run: str) -> None:
    ask = replace(ask_for(tiny_contract, Phase.COLLECT), run=run)
    assert refused(node_for(tiny_contract, make_rows(5, 1)).answer(ask)) is RefusalCode.ROUND


def test_a_round_out_of_its_order_is_refused(tiny_contract: Contract, make_rows: MakeRows) -> None:
    ask = replace(ask_for(tiny_contract, Phase.COLLECT), round=3)
    assert refused(node_for(tiny_contract, make_rows(5, 1)).answer(ask)) is RefusalCode.ROUND


def submissions_for(
    contract: Contract, make_rows: MakeRows, member: Node | None = None, run: str = RUN
) -> dict[str, bytes]:
    """What all parties sent; the first party's is that of `member`, if there is one."""
    ask = ask_for(contract, Phase.COLLECT, run=run)
    sent = {
        party.name: payload(node_for(contract, make_rows(40, seed), party.name).answer(ask))
        for seed, party in enumerate(contract.parties)
    }
    return sent if member is None else {**sent, "north": payload(member.answer(ask))}


def test_only_the_whole_cohort_is_opened(tiny_contract: Contract, make_rows: MakeRows) -> None:
    node = node_for(tiny_contract, make_rows(50, 1))
    everyone = submissions_for(tiny_contract, make_rows, node)
    for cohort in (
        {"south": everyone["south"]},
        {name: everyone[name] for name in ("north", "south")},
        {**everyone, "invented": everyone["south"][::-1]},
        dict.fromkeys(everyone, everyone["south"]),
        {"north": everyone["north"], "south": everyone["north"], "agency": everyone["agency"]},
        {},
    ):
        ask = ask_for(tiny_contract, Phase.OPEN, submissions=cohort)
        assert refused(node.answer(ask)) is RefusalCode.COHORT
    assert payload(node.answer(ask_for(tiny_contract, Phase.OPEN, submissions=everyone)))


def test_a_second_cohort_of_a_released_round_is_refused(tiny_contract: Contract, make_rows: MakeRows) -> None:
    node = node_for(tiny_contract, make_rows(50, 1))
    first = submissions_for(tiny_contract, make_rows, node)
    second = submissions_for(tiny_contract, make_rows, node)
    ask = ask_for(tiny_contract, Phase.OPEN, submissions=first)
    released = payload(node.answer(ask))
    assert payload(node.answer(ask)) == released  # after a lost reply: the same again
    ask = ask_for(tiny_contract, Phase.OPEN, submissions=second)
    assert refused(node.answer(ask)) is RefusalCode.ROUND


def test_who_holds_no_share_opens_nothing(tiny_contract: Contract, make_rows: MakeRows) -> None:
    everyone = submissions_for(tiny_contract, make_rows)
    ask = ask_for(tiny_contract, Phase.OPEN, submissions=everyone)
    assert refused(node_for(tiny_contract, make_rows(5, 1), "south").answer(ask)) is RefusalCode.COHORT


def test_a_malformed_submission_is_refused(tiny_contract: Contract, make_rows: MakeRows) -> None:
    node = node_for(tiny_contract, make_rows(5, 1))
    everyone = submissions_for(tiny_contract, make_rows, node)
    everyone["south"] = everyone["south"][:-1]
    ask = ask_for(tiny_contract, Phase.OPEN, submissions=everyone)
    assert refused(node.answer(ask)) is RefusalCode.CIPHERTEXT


def test_old_vectors_are_not_opened_again_under_another_run(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    """A member opens only what its own vector of this run and round is part of."""
    node = node_for(tiny_contract, make_rows(50, 1))
    old = submissions_for(tiny_contract, make_rows, node)
    other = "cd" * 16
    replayed = ask_for(tiny_contract, Phase.OPEN, submissions=old, run=other)
    assert refused(node.answer(replayed)) is RefusalCode.COHORT  # it sent nothing in that run
    payload(node.answer(ask_for(tiny_contract, Phase.COLLECT, run=other)))
    assert refused(node.answer(replayed)) is RefusalCode.COHORT  # it sent something else
    assert payload(node.answer(ask_for(tiny_contract, Phase.OPEN, submissions=old)))


def test_whatever_the_data_cause_leaves_as_one_code_without_text(
    tiny_contract: Contract, make_rows: MakeRows, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "account-4711-owes-1234"

    def broken() -> Rows:
        raise RuntimeError(canary)

    def unfit() -> Rows:
        raise DataError(f"a message about data, such as {canary}")

    ask = ask_for(tiny_contract, Phase.COLLECT)
    rows = make_rows(5, 1)
    with caplog.at_level(logging.ERROR):
        for load, code in ((broken, RefusalCode.INTERNAL), (unfit, RefusalCode.DATA)):
            answer = node_for(tiny_contract, rows, load_rows=load).answer(ask)
            assert refused(answer) is code
            assert canary not in repr(answer)
    assert canary in caplog.text  # the owner's own log does say what happened


def test_too_many_rows_are_refused_before_anything_is_sent(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    node = node_for(tiny_contract, make_rows(tiny_contract.rows.row_cap + 1, 1))
    assert refused(node.answer(ask_for(tiny_contract, Phase.COLLECT))) is RefusalCode.DATA


def test_a_party_without_rows_still_sends_noise(tiny_contract: Contract, make_rows: MakeRows) -> None:
    sent = payload(node_for(tiny_contract, make_rows(0, 1)).answer(ask_for(tiny_contract, Phase.COLLECT)))
    assert np.count_nonzero(np.frombuffer(sent, dtype="<i8"))
