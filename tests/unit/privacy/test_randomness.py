from __future__ import annotations

import multiprocessing
import os
import secrets
from multiprocessing.connection import Connection

import numpy as np
import pytest
from scipy import stats

from fedscore.errors import NoiseError
from privacy.dp.discrete_gaussian import discrete_gaussian
from privacy.dp.randomness import LARGEST_BOUND, RandomSource, SystemRandomness
from simulations.randomness import SeededRandomness

SOURCES = [SystemRandomness(), SeededRandomness(5)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("bound", [1, 2, 3, 255, 256, 257, 65537, 2**32, 2**32 + 1, 2**61 + 1, LARGEST_BOUND])
def test_integers_lie_below_their_bound_and_reach_both_halves(source: RandomSource, bound: int) -> None:
    drawn = source.integers_below(bound, 400)
    assert drawn.dtype == np.int64
    assert drawn.shape == (400,)
    assert drawn.min() >= 0
    assert drawn.max() < bound
    if bound > 1:
        assert (drawn < bound // 2).any()
        assert (drawn >= bound // 2).any()


@pytest.mark.parametrize("bound", [2, 3, 5, 129, 256, 300])
def test_masked_and_rejected_words_are_uniform(bound: int) -> None:
    drawn = SystemRandomness().integers_below(bound, 100_000)
    counts = np.bincount(drawn, minlength=bound)
    # Fresh randomness: a threshold that a right sampler passes but for one run in ten million.
    assert stats.chisquare(counts).pvalue > 1e-7


def test_words_at_or_above_the_bound_are_rejected_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda size: bytes([7, 6, 5, 4, 3, 2, 1, 0] * size)[:size])
    assert SystemRandomness().integers_below(6, 7).tolist() == [5, 4, 3, 2, 1, 0, 5]


@pytest.mark.parametrize("source", SOURCES)
def test_refuses_what_it_cannot_draw(source: RandomSource) -> None:
    for bound in (0, -1, LARGEST_BOUND + 1):
        with pytest.raises(NoiseError, match="1 to 2\\*\\*62: compose larger integers"):
            source.integers_below(bound, 1)
    with pytest.raises(NoiseError, match="ask for none or more"):
        source.integers_below(2, -1)
    assert source.integers_below(2, 0).size == 0


def test_every_draw_reads_fresh_bytes_and_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    fresh = secrets.token_bytes

    def counted(size: int) -> bytes:
        reads.append(size)
        return fresh(size)

    monkeypatch.setattr(secrets, "token_bytes", counted)
    source = SystemRandomness()
    for _ in range(5):
        source.integers_below(2, 1)
    assert len(reads) == 5
    assert not hasattr(source, "__dict__")


def _draw_and_send(source: RandomSource, pipe: Connection) -> None:
    pipe.send(discrete_gaussian(2**40, 20, source).tolist())
    pipe.close()


def _noise_of_forked_workers(source: RandomSource) -> list[list[int]]:
    context = multiprocessing.get_context("fork")
    noise = []
    for _ in range(2):
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_draw_and_send, args=(source, theirs))
        worker.start()
        noise.append(ours.recv())
        worker.join()
        assert worker.exitcode == 0
    return noise


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads are idle here
def test_forked_workers_draw_different_noise() -> None:
    source = SystemRandomness()
    source.integers_below(10, 10)
    first, second = _noise_of_forked_workers(source)
    assert first != second
    # The same check finds a source that does keep state, so it can fail.
    first, second = _noise_of_forked_workers(SeededRandomness(1))
    assert first == second


def test_seeded_streams_repeat_and_differ_by_seed() -> None:
    first, again = (SeededRandomness((7, 1)).integers_below(1000, 50) for _ in range(2))
    other = SeededRandomness((7, 2)).integers_below(1000, 50)
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
