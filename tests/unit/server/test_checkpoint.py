"""Where a run stands survives any death of its writer, and damage is never taken for a checkpoint."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fedscore.errors import NodeConfigError
from fedscore.messages import Head
from fedscore.sums.series import HEAD_DOMAIN, KeySeries
from server.checkpoint import Checkpoint, FileCheckpoints, NoCheckpoints, Stage, checkpointed_run
from server.chronicle import Standing
from simulations.keys import simulated_identity

GENESIS = Head.genesis("5e" * 32, "6f" * 32)
MEMBER = simulated_identity("north")
SERIES = KeySeries(
    genesis=GENESIS,
    member_names={1: "north"},
    member_keys={1: MEMBER.public.signing_key},
    colluding_members=0,
)
OPENINGS = (np.array([1, -2, 2**62], dtype=np.int64), np.array([0], dtype=np.int64))
HEAD = GENESIS.successor(
    round_number=4,
    run="1" * 32,
    step=0,
    request="2" * 64,
    submissions={"north": "3" * 64},
    values=OPENINGS[0],
    opening=b"proof",
)
COLLECT = Checkpoint(
    run="1" * 32,
    contract_hash="4" * 64,
    standing=Standing(
        round=6,
        head=HEAD,
        opening=b"proof\x00",
        signatures={1: MEMBER.sign(HEAD_DOMAIN, HEAD.to_bytes())},
    ),
    round=5,
    stage=Stage.COLLECT,
    parties=frozenset({"north", "south"}),
    openings=OPENINGS,
    values=12,
    sent=345,
    abandoned=1,
    liars=(1,),
)
OPEN = replace(COLLECT, stage=Stage.OPEN, submissions={"north": b"\x00" * 5000, "south": b"sealed"})
OPENED = replace(COLLECT, stage=Stage.OPENED)


def same(one: Checkpoint | None, other: Checkpoint) -> bool:
    """Whether two checkpoints agree in all fields."""
    assert one is not None
    for field in fields(Checkpoint):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name == "openings":
            if len(left) != len(right) or not all(map(np.array_equal, left, right)):
                return False
            assert all(opening.dtype == np.int64 for opening in left)
        elif left != right:
            return False
    return True


@pytest.mark.parametrize("checkpoint", [COLLECT, OPEN, OPENED], ids=lambda one: str(one.stage))
def test_a_checkpoint_reads_back(tmp_path: Path, checkpoint: Checkpoint) -> None:
    FileCheckpoints(tmp_path, SERIES).store(checkpoint)

    assert same(FileCheckpoints(tmp_path, SERIES).load(), checkpoint)
    assert checkpointed_run(tmp_path) == checkpoint.run


def test_where_no_run_is_open_there_is_none(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path, SERIES)
    assert checkpoints.load() is None
    assert checkpointed_run(tmp_path) is None

    checkpoints.store(OPEN)
    checkpoints.clear()

    assert checkpoints.load() is None
    assert list(tmp_path.iterdir()) == []
    checkpoints.clear()


def test_a_cohort_is_kept_only_as_long_as_it_is_needed(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path, SERIES)
    checkpoints.store(COLLECT)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]

    checkpoints.store(OPEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "submissions-5.json"]
    # The large part is not in the file that is written at every step.
    assert (tmp_path / "checkpoint.json").stat().st_size < 5000

    checkpoints.store(OPENED)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


def test_a_cohort_without_its_checkpoint_counts_for_nothing(tmp_path: Path) -> None:
    """The writer died between the two files: members were not asked, so another cohort may be collected."""
    checkpoints = FileCheckpoints(tmp_path, SERIES)
    checkpoints.store(OPEN)
    orphan = (tmp_path / "submissions-5.json").read_bytes()
    checkpoints.store(COLLECT)
    (tmp_path / "submissions-5.json").write_bytes(orphan)

    assert same(checkpoints.load(), COLLECT)
    other = replace(OPEN, submissions={"south": b"other"})
    checkpoints.store(other)
    assert same(checkpoints.load(), other)


@pytest.mark.parametrize("name", ["checkpoint.json", "submissions-5.json"])
def test_damage_anywhere_is_refused_with_the_next_step(tmp_path: Path, name: str) -> None:
    checkpoints = FileCheckpoints(tmp_path, SERIES)
    checkpoints.store(replace(OPEN, submissions={"north": b"\x01" * 30, "south": b"sealed"}))
    content = (tmp_path / name).read_bytes()
    damages = [
        content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for place in range(0, len(content), 5)
    ]
    damages += [b"", content[:-1], content[: len(content) // 2], content + b"\n", b"\xff\xfe", b"0\n{}\n"]

    for damage in damages:
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(NodeConfigError) as refused:
            checkpoints.load()
        assert str(refused.value) == (
            f"{name} is damaged, or of another key: the interrupted run cannot be resumed; end it with "
            "`fedscore server stop`, what it opened stays spent"
        )
        if name == "checkpoint.json":
            assert checkpointed_run(tmp_path) == ""


def test_another_cohort_than_the_checkpoints_is_damage(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path, SERIES)
    checkpoints.store(replace(OPEN, submissions={"north": b"other"}))
    other = (tmp_path / "submissions-5.json").read_bytes()
    checkpoints.store(OPEN)
    (tmp_path / "submissions-5.json").write_bytes(other)

    with pytest.raises(NodeConfigError, match=r"submissions-5\.json is damaged"):
        checkpoints.load()

    (tmp_path / "submissions-5.json").unlink()
    with pytest.raises(NodeConfigError, match=r"submissions-5\.json is damaged"):
        checkpoints.load()


def test_a_checkpoint_of_another_key_is_refused(tmp_path: Path) -> None:
    FileCheckpoints(tmp_path, SERIES).store(COLLECT)
    other = replace(SERIES, genesis=Head.genesis("7a" * 32, "6f" * 32))

    with pytest.raises(NodeConfigError, match="of another key"):
        FileCheckpoints(tmp_path, other).load()


def test_simulations_keep_nothing() -> None:
    NoCheckpoints().store(COLLECT)


# Killed for real.


def killed_at(call: int, write: Callable[[], None]) -> bool:
    """Runs a write in a process of its own that kills itself at its n-th call into the file system.

    Returns whether it got that far.
    """
    child = os.fork()
    if child == 0:
        calls = 0

        def deadly(function: Callable[..., object]) -> Callable[..., object]:
            def called(*arguments: object, **named: object) -> object:
                nonlocal calls
                calls += 1
                if calls == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return called

        for name in ("open", "fsync", "replace", "unlink", "close"):
            setattr(os, name, deadly(getattr(os, name)))
        write()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("before", "after"), [(COLLECT, OPEN), (OPEN, OPENED), (OPENED, COLLECT)], ids=["open", "opened", "next"]
)
def test_a_writer_that_is_killed_leaves_the_old_checkpoint_or_the_new_one(
    tmp_path: Path, before: Checkpoint, after: Checkpoint
) -> None:
    outcomes = []
    for call in range(1, 100):
        folder = tmp_path / str(call)
        folder.mkdir()
        checkpoints = FileCheckpoints(folder, SERIES)
        checkpoints.store(before)
        was_killed = killed_at(call, lambda checkpoints=checkpoints: checkpoints.store(after))  # type: ignore[misc]  # binds this turn's
        left = checkpoints.load()
        outcomes.append(same(left, after))
        assert outcomes[-1] or same(left, before)
        # The next writer clears up what the dead one left.
        checkpoints.store(OPENED)
        assert [path.name for path in folder.iterdir()] == ["checkpoint.json"]
        if not was_killed:
            break
    # Old ones first, then new ones; both were seen, and the last was not killed at all.
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}
    assert len(outcomes) > 5
