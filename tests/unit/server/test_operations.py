"""What the operator sees of a run in every state of its folder, and what may follow from there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fedscore.errors import NodeConfigError
from fedscore.messages import Head
from fedscore.sums.series import KeySeries
from server.checkpoint import Checkpoint, FileCheckpoints, Stage
from server.chronicle import Standing
from server.operations import admitted, open_run, request_stop, require_startable, status_of
from server.record import RunRecord, RunStatus, read_record, write_record
from server.workplace import Workplace

SERIES = KeySeries(
    genesis=Head.genesis("5e" * 32, "6f" * 32), member_names={}, member_keys={}, colluding_members=0
)
CHECKPOINT = Checkpoint(
    run="1" * 32,
    contract_hash="4" * 64,
    standing=Standing(round=1, head=SERIES.genesis),
    round=1,
    stage=Stage.COLLECT,
    parties=frozenset({"north"}),
)
RECORD = RunRecord(
    run="1" * 32, status=RunStatus.RUNNING, contract_hash="4" * 64, rounds_opened=3, noticed=("one", "two")
)
DIED = "its process ended without a word: it was killed, or the machine stopped"


def left(folder: Path, status: RunStatus | None, *, checkpoint: bool, reason: str = "") -> None:
    """What some process left in a folder."""
    if status is not None:
        write_record(replace(RECORD, status=status, reason=reason), folder)
    if checkpoint:
        FileCheckpoints(folder, SERIES).store(CHECKPOINT)


@contextmanager
def at_work(folder: Path) -> Iterator[int]:
    """Another process, which works in the folder."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with Workplace(folder).taken():
            os.write(tell, b"!")
            signal.pause()
    os.read(ready, 1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)


@pytest.mark.parametrize(
    ("status", "checkpoint", "seen"),
    [
        (None, False, None),
        (None, True, RunStatus.INTERRUPTED),
        (RunStatus.RUNNING, False, RunStatus.FAILED),
        (RunStatus.RUNNING, True, RunStatus.INTERRUPTED),
        (RunStatus.INTERRUPTED, True, RunStatus.INTERRUPTED),
        # The process died, or was still clearing up, after the end was written.
        (RunStatus.FINISHED, True, RunStatus.FINISHED),
        (RunStatus.STOPPED, True, RunStatus.STOPPED),
        (RunStatus.FAILED, True, RunStatus.FAILED),
        (RunStatus.FINISHED, False, RunStatus.FINISHED),
    ],
)
def test_a_folder_where_nobody_is_at_work_says_how_its_run_stands(
    tmp_path: Path, status: RunStatus | None, seen: RunStatus | None, *, checkpoint: bool
) -> None:
    left(tmp_path, status, checkpoint=checkpoint)

    report = status_of(tmp_path)

    assert (report.record.status if report.record is not None else None) is seen
    is_open = seen is RunStatus.INTERRUPTED
    assert (report.at_work, report.stopping, report.resumable) == (False, False, is_open)
    # What may follow agrees with it.
    for resume in (False, True):
        if resume is is_open:
            require_startable(tmp_path, resume=resume)
        else:
            with pytest.raises(NodeConfigError, match="`fedscore server"):
                require_startable(tmp_path, resume=resume)


def test_before_the_first_run_there_is_nothing_to_see_and_nothing_is_made(tmp_path: Path) -> None:
    state = tmp_path / "state"

    assert status_of(state).record is None
    require_startable(state, resume=False)
    with pytest.raises(NodeConfigError, match=r"no run is going on in .*state, and none was interrupted"):
        request_stop(state)

    assert not state.exists()


def test_a_death_without_a_word_is_told_as_one(tmp_path: Path) -> None:
    left(tmp_path, RunStatus.RUNNING, checkpoint=False)
    report = status_of(tmp_path)
    assert report.record == replace(
        RECORD, status=RunStatus.FAILED, reason=f"{DIED}; nothing was asked for yet"
    )

    left(tmp_path, None, checkpoint=True)
    report = status_of(tmp_path)
    assert report.record == replace(RECORD, status=RunStatus.INTERRUPTED, reason=DIED)
    # Looking changes nothing.
    assert read_record(tmp_path) == RECORD


def test_an_interruption_keeps_its_reason(tmp_path: Path) -> None:
    left(tmp_path, RunStatus.INTERRUPTED, checkpoint=True, reason="two of three answered")

    interrupted = open_run(tmp_path)

    assert interrupted is not None
    assert interrupted.reason == "two of three answered"
    assert admitted(tmp_path, resume=True) == interrupted


def test_a_damaged_checkpoint_is_an_interruption_that_cannot_be_resumed(tmp_path: Path) -> None:
    left(tmp_path, RunStatus.INTERRUPTED, checkpoint=True)
    (tmp_path / "checkpoint.json").write_text("?", encoding="utf-8")

    report = status_of(tmp_path)

    assert report.record is not None
    assert (report.record.status, report.resumable) == (RunStatus.INTERRUPTED, False)
    with pytest.raises(NodeConfigError, match=f"run {'1' * 32} was interrupted"):
        require_startable(tmp_path, resume=False)


def test_while_a_process_is_at_work_the_run_is_running_and_told_to_stop(tmp_path: Path) -> None:
    left(tmp_path, RunStatus.RUNNING, checkpoint=True)

    with at_work(tmp_path) as child:
        report = status_of(tmp_path)
        assert (report.record, report.at_work, report.resumable) == (RECORD, True, False)
        assert not report.stopping
        for resume in (False, True):
            with pytest.raises(NodeConfigError, match=r"another process is at work in .*one run at a time"):
                require_startable(tmp_path, resume=resume)
        assert request_stop(tmp_path).stopping
        assert Workplace(tmp_path).must_stop()
        assert read_record(tmp_path) == RECORD
        assert child

    # It was killed before it saw the sign: the run is interrupted, and a second stop ends it.
    assert status_of(tmp_path).resumable
    stopped = request_stop(tmp_path)
    assert stopped.record is not None
    assert stopped.record.status is RunStatus.STOPPED


def test_an_interrupted_run_is_ended_where_nobody_is_at_work(tmp_path: Path) -> None:
    left(tmp_path, RunStatus.INTERRUPTED, checkpoint=True, reason="two of three answered")

    report = request_stop(tmp_path)

    ended = replace(
        RECORD,
        status=RunStatus.STOPPED,
        reason="the operator ended it after it was interrupted (two of three answered)",
    )
    assert report.record == read_record(tmp_path) == ended
    assert not report.resumable
    require_startable(tmp_path, resume=False)
    with pytest.raises(NodeConfigError, match="nothing was ended"):
        request_stop(tmp_path)


def test_one_process_at_a_time_and_the_dead_let_go(tmp_path: Path) -> None:
    place = Workplace(tmp_path)

    with at_work(tmp_path):
        assert place.is_taken()
        with pytest.raises(NodeConfigError, match="another process is at work"), place.taken():
            pytest.fail("two at work")
    assert not place.is_taken()
    with place.taken():
        assert place.is_taken()
    assert not place.is_taken()


def test_who_only_looks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking holds the lock for a moment; whoever comes then tries again."""
    import fcntl  # noqa: PLC0415 - its own function is called below

    tries = []
    flock = fcntl.flock

    def busy(descriptor: int, operation: int) -> None:
        tries.append(operation)
        if len(tries) < 3:
            raise BlockingIOError
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", busy)

    with Workplace(tmp_path).taken():
        assert len(tries) == 3
