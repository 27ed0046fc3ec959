"""One question, one answer: also across processes and crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.rounds import FileRounds, MemoryRounds, Rounds
from fedscore.errors import ProtocolError

Open = Callable[[], Rounds]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Rounds:
    return MemoryRounds() if request.param == "memory" else FileRounds(tmp_path / "rounds")


def test_an_answer_is_recalled_byte_for_byte(store: Rounds) -> None:
    assert store.recall("run-0-collect", "question") is None
    store.keep("run-0-collect", "question", b"answer")
    assert store.recall("run-0-collect", "question") == b"answer"


def test_another_question_about_the_same_round_is_refused(store: Rounds) -> None:
    store.keep("run-0-collect", "question", b"answer")
    with pytest.raises(ProtocolError, match="answered before, for another question"):
        store.recall("run-0-collect", "another")
    with pytest.raises(ProtocolError, match="answered before"):
        store.keep("run-0-collect", "another", b"second")
    assert store.recall("run-0-collect", "question") == b"answer"


def test_a_new_process_remembers(tmp_path: Path) -> None:
    FileRounds(tmp_path).keep("run-0-open", "question", b"answer")
    assert FileRounds(tmp_path).recall("run-0-open", "question") == b"answer"


@pytest.mark.parametrize("position", [0, 31, 32, 63, 64, 69])
def test_a_flipped_byte_is_noticed(tmp_path: Path, position: int) -> None:
    FileRounds(tmp_path).keep("run-0-open", "question", b"answer")
    file = tmp_path / "run-0-open"
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    with pytest.raises(ProtocolError, match=r"damaged|another question"):
        FileRounds(tmp_path).recall("run-0-open", "question")


def test_what_others_may_read_is_nothing(tmp_path: Path) -> None:
    FileRounds(tmp_path / "rounds").keep("run-0-open", "question", b"answer")
    assert (tmp_path / "rounds").stat().st_mode & 0o077 == 0
    assert (tmp_path / "rounds" / "run-0-open").stat().st_mode & 0o077 == 0


def test_of_two_who_answer_at_once_one_is_refused_and_the_other_is_kept(tmp_path: Path) -> None:
    """Threads have one process id, as containers that share a folder may have."""
    rounds = FileRounds(tmp_path)
    for number in range(60):
        key, barrier = f"run-{number}-collect", threading.Barrier(2)

        def answer(content: bytes, key: str = key, barrier: threading.Barrier = barrier) -> bytes | None:
            barrier.wait()
            try:
                rounds.keep(key, "question", content)
            except ProtocolError:
                return None
            return content

        with ThreadPoolExecutor(2) as pool:
            sent = [one for one in pool.map(answer, [b"one" * 9999, b"two" * 9999]) if one is not None]
        assert sent == [rounds.recall(key, "question")]
    assert not list(tmp_path.glob(".*")), "a draft was left behind"


WRITER = """
import sys
from pathlib import Path
from clients.rounds import FileRounds
rounds = FileRounds(Path(sys.argv[1]))
for number in range(10**6):
    rounds.keep(f"run-{number}-collect", "question", bytes(200_000))
    print(number, flush=True)
"""


def test_kill_9_leaves_every_answer_that_was_given_and_no_half_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(5):
            last = int(writer.stdout.readline())
        time.sleep(0.003)
        os.kill(writer.pid, signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split())])
    rounds = FileRounds(tmp_path)
    for number in range(last + 1):
        assert rounds.recall(f"run-{number}-collect", "question") == bytes(200_000)
    # the one that was under way is there whole, or not at all; either way it can be dealt with
    assert rounds.recall(f"run-{last + 1}-collect", "question") in (None, bytes(200_000))
