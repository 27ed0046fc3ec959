"""Noise and encryption randomness serve once: not again in a repeated round, a fork or a restarted node."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from clients.memory import FileMemory, NodeState
from clients.node import Node
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import EncryptionError
from fedscore.learners.agenda import Turn
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.sums import Query
from privacy.dp.randomness import RandomSource, SystemRandomness
from privacy.paillier.encryption import encrypt
from privacy.paillier.proofs import verify_plaintexts
from simulations.randomness import SeededRandomness

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Reader, Server

Vector = npt.NDArray[np.int64]


@pytest.fixture
def server(make_federation: Callable[..., Nodes], serve: type[Server], tiny_contract: Contract) -> Server:
    """One spare round is paid for, and north draws its noise as a deployed node does."""
    server = serve(make_federation(tiny_contract.with_privacy(spare_rounds=1)))
    draws_from(server, SystemRandomness())
    return server


@pytest.fixture
def table(server: Server, make_rows: Callable[[int, int], Rows]) -> Vector:
    """What north's first vector is without noise."""
    query, request = server.agenda().next_sum(())
    assert isinstance(query, Query)
    return query.contributions(make_rows(200, 0)).lattice_total(
        scale=request.scale, limit_squared=request.sensitivity_squared, dimension=request.dimension
    )


def draws_from(server: Server, randomness: RandomSource) -> None:
    node = server.nodes.nodes["north"]
    assert node._submitter is not None
    node._submitter = replace(node._submitter, randomness=randomness)


def payload(node: Node, ask: Ask) -> bytes:
    answer = node.answer(ask)
    assert isinstance(answer, Reply)
    return answer.payload


def in_a_fork(work: Callable[[], bytes]) -> bytes:
    """What a forked copy of this process makes."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writes, work())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        made = pipe.read()
    os.waitpid(child, 0)
    return made


def noises(reader: Reader, turns: list[tuple[bytes, Turn]], table: Vector) -> list[Vector]:
    return [np.array(reader.values(sent, turn.envelope)) - table for sent, turn in turns]


def require_unrelated(reader: Reader, turns: list[tuple[bytes, Turn]], table: Vector) -> None:
    """No two have noise or roots in common, and each carries the whole share."""
    drawn = noises(reader, turns, table)
    roots = [root for sent, turn in turns for root in reader.roots(sent, turn.envelope)]
    assert len(set(roots)) == len(roots)
    share = turns[0][1].envelope.request.share_variance
    for noise in drawn:
        assert 0.25 < float(np.mean(noise**2)) / share < 3
    for number, one in enumerate(drawn):
        for other in drawn[:number]:
            # Independent draws with this deviation agree in one of some fifty places.
            assert np.mean(one == other) < 0.2
            # Neither is one the other's negative, nor nearly so.
            assert 0.5 < float(np.mean((one - other) ** 2)) / share < 6
            assert 0.5 < float(np.mean((one + other) ** 2)) / share < 6


def test_a_repeated_round_has_fresh_noise_and_fresh_randomness(
    server: Server, reader: Reader, table: Vector
) -> None:
    """The first round was abandoned, and may have been opened in secret."""
    first, second = server.turn(1), server.turn(2)
    turns = [(server.collect(turn, ["north"])["north"], turn) for turn in (first, second)]
    require_unrelated(reader, turns, table)
    ciphertexts = [server.ciphertexts_in(sent, turn.envelope) for sent, turn in turns]
    assert not set(ciphertexts[0]) & set(ciphertexts[1])


def test_within_a_round_a_node_sends_the_same_bytes_and_nothing_else(server: Server) -> None:
    turn = server.turn(1)
    assert len({server.collect(turn, ["north"])["north"] for _ in range(3)}) == 1


def test_forked_workers_repeat_neither_noise_nor_randomness(
    server: Server, reader: Reader, table: Vector
) -> None:
    """Two copies of one process, its tables built and its memory loaded, answer the same ask as it does."""
    warm = server.turn(1)
    first = server.collect(warm, ["north"])["north"]
    turn = server.turn(2)
    ask = server.ask(Phase.COLLECT, turn)
    node = server.nodes.nodes["north"]
    made = [in_a_fork(lambda: payload(node, ask)) for _ in range(2)]
    made.append(payload(node, ask))
    require_unrelated(reader, [(first, warm), *((sent, turn) for sent in made)], table)


def test_a_seeded_source_would_repeat_its_noise(server: Server, reader: Reader, table: Vector) -> None:
    """That is why the product has none; and it shows that the test above can fail."""
    draws_from(server, SeededRandomness(7))
    turn = server.turn(1)
    ask = server.ask(Phase.COLLECT, turn)
    node = server.nodes.nodes["north"]
    turns = [(in_a_fork(lambda: payload(node, ask)), turn) for _ in range(2)]
    one, other = noises(reader, turns, table)
    assert one.tolist() == other.tolist()
    with pytest.raises(AssertionError):
        require_unrelated(reader, turns, table)
    # The encryption's own randomness is not among what a simulation may seed.
    roots = {root for sent, at in turns for root in reader.roots(sent, at.envelope)}
    assert len(roots) == 2


def test_what_was_encrypted_before_a_fork_is_not_proven_after_it(reader: Reader) -> None:
    fresh = encrypt(reader.key, [5])

    def prove() -> bytes:
        try:
            fresh.prove(b"a statement")
        except EncryptionError as error:
            return str(error).encode()
        return b"proven twice"

    assert in_a_fork(prove).startswith(b"the vector's openings are gone")
    verify_plaintexts(reader.key, fresh.ciphertexts, b"a statement", fresh.prove(b"a statement"))
    assert in_a_fork(prove).startswith(b"the vector's openings are gone")
    with pytest.raises(EncryptionError, match="the vector's openings are gone"):
        fresh.prove(b"another statement")


def restarted(server: Server, folder: Path) -> Node:
    """North's node in another process: nothing is left of it but its folder."""
    node = server.nodes.nodes["north"]
    node._memory = FileMemory(folder, server.nodes.series)
    return node


def test_a_restarted_node_repeats_its_answer_or_draws_anew(
    server: Server, reader: Reader, table: Vector, tmp_path: Path
) -> None:
    FileMemory.create(tmp_path, server.nodes.series, abstains=True)
    first, second = server.turn(1), server.turn(2)
    ask = server.ask(Phase.COLLECT, first)
    sent = payload(restarted(server, tmp_path), ask)
    assert payload(restarted(server, tmp_path), ask) == sent
    later = payload(restarted(server, tmp_path), server.ask(Phase.COLLECT, second))
    require_unrelated(reader, [(sent, first), (later, second)], table)
    # What came before is over: it is not drawn for a second time.
    answer = restarted(server, tmp_path).answer(ask)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.ROUND


def test_what_was_not_written_down_never_leaves(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A node that sent first and wrote afterwards would send a second vector after a crash."""
    memory = server.nodes.memories["north"]
    made: list[bytes] = []

    def full(state: NodeState) -> None:
        assert state.collected is not None
        made.append(state.collected.submission)
        raise OSError("no space left on device")

    turn = server.turn(1)
    ask = server.ask(Phase.COLLECT, turn)
    with monkeypatch.context() as patched:
        patched.setattr(memory, "store", full)
        answer = server.nodes.nodes["north"].answer(ask)
    assert answer == Refusal(
        version=version("fedscore"), party="north", phase=Phase.COLLECT, round=1, code=RefusalCode.INTERNAL
    )
    assert "no space left" in caplog.text
    sent = server.collect(turn, ["north"])["north"]
    assert made
    assert sent not in made
