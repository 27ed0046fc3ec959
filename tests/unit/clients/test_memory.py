"""What a node knows survives whatever kills it, and what it does not know any more it does not pretend to."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.memory import Collected, FileMemory, Mark, Memory, MemoryOnly, NodeState, Release
from fedscore.errors import NodeConfigError
from fedscore.messages import Head
from fedscore.sums import SumShape
from fedscore.sums.series import KeySeries
from privacy.paillier.packing import SlotLayout

KEY_ID = "5" * 64
RUN = "ab" * 16


def series_of(key_id: str) -> KeySeries:
    genesis = Head.genesis(key_id, "12" * 32)
    return KeySeries(genesis=genesis, member_names={}, member_keys={}, colluding_members=0)


SERIES = series_of(KEY_ID)

HEAD = Head(
    key_id=KEY_ID,
    round=7,
    run=RUN,
    step=2,
    request="cd" * 32,
    opening="0" * 64,
    openings="ef" * 32,
    submissions={"north": "01" * 32, "süd": "23" * 32},
    previous=SERIES.genesis.hash,
)
COLLECTED = Collected(
    round=9,
    run=RUN,
    step=2,
    openings="ef" * 32,
    request="45" * 32,
    head_round=7,
    repeats=1,
    submission=bytes(range(256)),
)
RELEASED = Release(
    round=8,
    run=RUN,
    step=2,
    request="67" * 32,
    head=HEAD.hash,
    submissions={"north": "89" * 32, "south": "ab" * 32},
    product="cd" * 32,
    shape=SumShape(
        layout=SlotLayout(width=48, max_abs=2**40, max_summands=3, slots=12),
        dimension=54,
    ),
)
STATES = {
    "nothing yet": NodeState(head=SERIES.genesis),
    "a transcript": NodeState(head=HEAD),
    "an answer": NodeState(head=HEAD, collected=COLLECTED),
    "an answer without bytes": NodeState(head=HEAD, collected=replace(COLLECTED, submission=b"")),
    "a release": NodeState(head=HEAD, released=RELEASED),
    "books": NodeState(head=HEAD, books=Mark(sequence=7, hash="9e" * 32)),
    "runs that ended": NodeState(head=HEAD, ended=("cd" * 16, "ef" * 16)),
    "abstaining": NodeState(head=SERIES.genesis, abstains=True),
    "abstaining with submissions": NodeState(
        head=SERIES.genesis, collected=COLLECTED, abstains=True, made_since=("01" * 32, "23" * 32)
    ),
    "everything": NodeState(
        head=HEAD, collected=COLLECTED, released=RELEASED, ended=("ef" * 16,), made_since=("45" * 32,)
    ),
}


def memory_file(folder: Path) -> Path:
    return folder / f"memory-{KEY_ID[:16]}.json"


def fresh(folder: Path) -> FileMemory:
    return FileMemory.create(folder, SERIES, abstains=False)


@pytest.fixture(params=["memory", "file"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Memory:
    return MemoryOnly(SERIES) if request.param == "memory" else fresh(tmp_path)


def test_every_field_of_a_state_is_in_one_of_the_cases() -> None:
    fresh = NodeState(head=SERIES.genesis)
    for name in NodeState.__dataclass_fields__:
        assert any(getattr(state, name) != getattr(fresh, name) for state in STATES.values()), name


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_every_state_is_recalled_as_it_was(memory: Memory, state: NodeState) -> None:
    assert memory.load() == NodeState(head=SERIES.genesis)
    with memory.locked():
        memory.store(state)
    assert memory.load() == state
    assert memory.load().head.hash == state.head.hash


def test_a_node_knows_the_newest_round_of_all_that_it_did(memory: Memory) -> None:
    assert memory.load().last_round == 0
    for state, newest in (("a transcript", 7), ("a release", 8), ("an answer", 9), ("everything", 9)):
        memory.store(STATES[state])
        assert memory.load().last_round == newest


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_a_new_process_remembers(tmp_path: Path, state: NodeState) -> None:
    fresh(tmp_path).store(state)
    assert FileMemory(tmp_path, SERIES).load() == state


HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
RUNS = st.text("0123456789abcdef", min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**32 - 1)
TEXTS = st.text(max_size=40)
LAYOUTS = st.builds(
    lambda bound, summands, spare, slots: SlotLayout(
        width=(bound * summands).bit_length() + 1 + spare, max_abs=bound, max_summands=summands, slots=slots
    ),
    st.integers(1, 2**48),
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 50),
)
ANY_STATE = st.builds(
    NodeState,
    head=st.builds(
        Head,
        key_id=st.just(KEY_ID),
        round=st.integers(2**16, 2**32 - 1),
        run=RUNS,
        step=st.integers(0, 2**16),
        request=HASHES,
        openings=HASHES,
        opening=HASHES,
        submissions=st.dictionaries(TEXTS, HASHES, max_size=4),
        previous=HASHES,
    ),
    collected=st.none()
    | st.builds(
        Collected,
        round=NUMBERS,
        run=RUNS,
        step=NUMBERS,
        openings=HASHES,
        request=HASHES,
        head_round=NUMBERS,
        repeats=NUMBERS,
        submission=st.binary(max_size=200),
    ),
    released=st.none()
    | st.builds(
        Release,
        round=NUMBERS,
        run=RUNS,
        step=NUMBERS,
        request=HASHES,
        head=HASHES,
        submissions=st.dictionaries(TEXTS, HASHES, max_size=4),
        product=HASHES,
        shape=st.builds(SumShape, layout=LAYOUTS, dimension=st.integers(1, 10**6)),
    ),
    ended=st.lists(RUNS, max_size=3).map(tuple),
    abstains=st.booleans(),
    made_since=st.lists(HASHES, max_size=3).map(tuple),
)


@settings(max_examples=25)
@given(state=ANY_STATE)
def test_any_state_survives_the_disk(tmp_path_factory: pytest.TempPathFactory, state: NodeState) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-state"
    memory = fresh(folder) if not memory_file(folder).exists() else FileMemory(folder, SERIES)
    memory.store(state)
    assert FileMemory(folder, SERIES).load() == state


def test_every_changed_byte_is_noticed_and_the_file_is_named(tmp_path: Path) -> None:
    memory = fresh(tmp_path)
    memory.store(STATES["everything"])
    file = memory_file(tmp_path)
    whole = file.read_bytes()
    for position in [*range(0, 100, 3), *range(100, len(whole), 29), len(whole) - 1]:
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(NodeConfigError, match=rf"^{file.name} is damaged: .* move the file away"):
            memory.load()
    file.write_bytes(whole)
    assert memory.load() == STATES["everything"]


def sealed(body: str) -> str:
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n"


def changed(fields: dict[str, object], *path: str, to: object) -> str:
    inner = json.loads(json.dumps(fields))
    place = inner
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return sealed(json.dumps(inner))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text, _: text[: len(text) // 2],
        lambda text, _: text[:-1],
        lambda text, _: text + text,
        lambda text, _: text.split("\n")[1],
        lambda _text, _: "",
        lambda _text, _: "\udcff",
        lambda _text, _: sealed("{}"),
        lambda _text, _: sealed("[]"),
        lambda _text, _: sealed("not JSON"),
        lambda _, fields: changed(fields, "head", to="{}"),
        lambda _, fields: changed(fields, "head", to=1),
        lambda _, fields: changed(fields, "collected", "submission", to="not base64!"),
        lambda _, fields: changed(fields, "collected", "another", to=1),
        lambda _, fields: changed(fields, "released", "shape", "layout", "width", to=2),
        lambda _, fields: changed(fields, "released", to={}),
        lambda _, fields: changed(fields, "made_since", to=None),
    ],
)
def test_a_damaged_file_is_refused_and_stays_as_it_is(
    tmp_path: Path, damage: Callable[[str, dict[str, object]], str]
) -> None:
    """A node that began anew in silence would answer again what it answered before."""
    fresh(tmp_path).store(STATES["everything"])
    file = memory_file(tmp_path)
    text = file.read_text(encoding="utf-8")
    damaged = damage(text, json.loads(text.split("\n")[1])).encode(errors="surrogateescape")
    file.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(
            NodeConfigError, match="is damaged: the node does not know what it answered"
        ) as told:
            FileMemory(tmp_path, SERIES)
    assert file.read_bytes() == damaged
    assert RUN not in str(told.value)
    assert told.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    memory_file(tmp_path).mkdir()
    with pytest.raises(NodeConfigError, match="is damaged"):
        FileMemory(tmp_path, SERIES)


def test_the_memory_of_another_key_is_refused(tmp_path: Path) -> None:
    """The file's name has a part of the key's id; the whole id is inside."""
    similar = series_of(KEY_ID[:16] + "6" * 48)
    fresh(tmp_path).store(STATES["everything"])
    with pytest.raises(NodeConfigError, match="memory of another key: give each key a folder"):
        FileMemory(tmp_path, similar)
    assert FileMemory(tmp_path, SERIES).load() == STATES["everything"]


def test_keys_have_memories_of_their_own(tmp_path: Path) -> None:
    other = series_of("6" * 64)
    fresh(tmp_path).store(STATES["everything"])
    assert FileMemory.create(tmp_path, other, abstains=False).load() == NodeState(head=other.genesis)
    assert FileMemory(tmp_path, SERIES).load() == STATES["everything"]


def test_a_node_without_a_memory_does_not_begin_one_by_itself(tmp_path: Path) -> None:
    """It would not know that it had forgotten something."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NodeConfigError, match=r"holds no memory of this key: .* fedscore node begin"):
            FileMemory(folder, SERIES)
    assert list(tmp_path.iterdir()) == []


def test_a_node_whose_memory_is_lost_does_not_begin_another_by_itself(tmp_path: Path) -> None:
    memory = FileMemory.create(tmp_path, SERIES, abstains=False)
    memory_file(tmp_path).unlink()
    with pytest.raises(NodeConfigError, match=r"if the memory was lost, wait until the run .* has ended"):
        FileMemory(tmp_path, SERIES)
    with pytest.raises(NodeConfigError, match="is damaged"):
        memory.load()


@pytest.mark.parametrize("abstains", [False, True])
def test_whoever_begins_a_memory_says_whether_something_may_be_forgotten(
    tmp_path: Path, *, abstains: bool
) -> None:
    begun = NodeState(head=SERIES.genesis, abstains=abstains)
    assert FileMemory.create(tmp_path, SERIES, abstains=abstains).load() == begun
    assert FileMemory(tmp_path, SERIES).load() == begun


@pytest.mark.parametrize("abstains", [False, True])
@pytest.mark.parametrize("held", sorted(STATES.keys() - {"nothing yet", "abstaining"}))
def test_a_memory_that_was_used_is_never_begun_anew(tmp_path: Path, held: str, *, abstains: bool) -> None:
    fresh(tmp_path).store(STATES[held])
    with pytest.raises(NodeConfigError, match="holds a memory of this key already: keep it"):
        FileMemory.create(tmp_path, SERIES, abstains=abstains)
    assert FileMemory(tmp_path, SERIES).load() == STATES[held]


def test_a_memory_that_was_never_used_serves_again(tmp_path: Path) -> None:
    """A crash may have come before the share was written; whoever accepts it then repeats all of it."""
    for abstains in (False, False, True, True):
        memory = FileMemory.create(tmp_path, SERIES, abstains=abstains)
        assert memory.load() == NodeState(head=SERIES.genesis, abstains=abstains)


def test_a_member_that_abstains_is_not_talked_out_of_it(tmp_path: Path) -> None:
    FileMemory.create(tmp_path, SERIES, abstains=True)
    with pytest.raises(NodeConfigError, match="accept a share only once"):
        FileMemory.create(tmp_path, SERIES, abstains=False)
    assert FileMemory(tmp_path, SERIES).load().abstains


def test_a_damaged_memory_is_not_created_anew(tmp_path: Path) -> None:
    fresh(tmp_path)
    memory_file(tmp_path).write_text("")
    with pytest.raises(NodeConfigError, match="is damaged"):
        fresh(tmp_path)
    assert memory_file(tmp_path).read_text() == ""


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    fresh(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "lock").stat().st_mode & 0o077 == 0


def test_a_memory_of_the_process_needs_no_lock() -> None:
    with MemoryOnly(SERIES).locked():
        pass
    assert isinstance(MemoryOnly(SERIES).locked(), nullcontext)


PREAMBLE = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
from clients.memory import Collected, FileMemory, NodeState
from fedscore.messages import Head
from fedscore.sums.series import KeySeries

genesis = Head.genesis("5" * 64, "12" * 32)
series = KeySeries(genesis=genesis, member_names={}, member_keys={}, colluding_members=0)
folder = Path(sys.argv[1])

def state(number):
    return NodeState(head=genesis, collected=Collected(
        round=number, run="ab" * 16, step=0, openings="0" * 64, request="0" * 64, head_round=0, repeats=0,
        submission=bytes([number % 251]) * 300_000))
"""

KILLED = (
    PREAMBLE
    + """
luck = random.Random(3)
memory = FileMemory.create(folder, series, abstains=False)
memory.store(state(0))
drafts = 0
least, most = map(int, sys.argv[2:])
for attempt in range(most):
    # Where in a store a kill falls is chance: it goes on until one has fallen in the middle.
    if drafts and attempt >= least:
        break
    begun = memory.load().collected.round
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        number = begun
        while True:
            number += 1
            with memory.locked():
                memory.store(state(number))
            os.write(writer, b".")
    os.close(writer)
    os.read(reader, 1)
    time.sleep(luck.random() * 0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    stored = 1
    while told := os.read(reader, 4096):
        stored += len(told)
    os.close(reader)
    again = FileMemory(folder, series)
    with again.locked():
        found = again.load()
    assert found == state(found.collected.round), "half a state"
    assert found.collected.round - begun in (stored, stored + 1), (found.collected.round, begun, stored)
    left = list(folder.glob(".memory-*"))
    drafts += bool(left)
    for draft in left:
        draft.unlink()
print(drafts)
"""
)


def run(script: str, *arguments: object) -> str:
    words = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kill_9_in_the_middle_of_a_store_leaves_the_old_state_or_the_new_one_whole(tmp_path: Path) -> None:
    """What `store` returned for is never lost; the one that was under way is there whole, or not at all."""
    interrupted = int(run(KILLED, tmp_path, 15, 500))
    assert interrupted > 0, "no kill came in the middle of a store: the test shows nothing"


COUNTING = (
    PREAMBLE
    + """
for _ in range(int(sys.argv[2])):
    memory = FileMemory(folder, series)
    with memory.locked():
        held = memory.load()
        number = held.collected.round if held.collected is not None else 0
        after = state(number + 1)
        memory.store(replace(after, collected=replace(after.collected, submission=b"")))
"""
)


def test_two_processes_that_share_a_memory_take_turns(tmp_path: Path) -> None:
    """Read, decide, write: without the lock, one would write over what the other has just promised."""
    fresh(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run(COUNTING, tmp_path, 15), range(2)))
    collected = FileMemory(tmp_path, SERIES).load().collected
    assert collected is not None
    assert collected.round == 30


def test_threads_that_share_a_memory_take_turns(tmp_path: Path) -> None:
    """Threads have one process id, as containers that share a folder may have."""
    memory = fresh(tmp_path)
    memory.store(NodeState(head=SERIES.genesis, collected=replace(COLLECTED, round=0)))
    barrier = threading.Barrier(4)

    def count(_: int) -> None:
        barrier.wait()
        for _turn in range(8):
            with memory.locked():
                held = memory.load().collected
                assert held is not None
                time.sleep(0.0005)
                memory.store(NodeState(head=SERIES.genesis, collected=replace(held, round=held.round + 1)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert memory.load().last_round == 32


HOLDING = (
    PREAMBLE
    + """
with FileMemory(folder, series).locked():
    print("held", flush=True)
    time.sleep(60)
"""
)


def test_a_process_that_dies_lets_go(tmp_path: Path) -> None:
    memory = fresh(tmp_path)
    freed = threading.Event()

    def wait() -> None:
        with memory.locked():
            freed.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not freed.wait(0.2), "the lock keeps nobody out"
        holder.kill()
        assert freed.wait(10)
        waiting.join()
