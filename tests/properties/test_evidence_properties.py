"""One flipped byte anywhere in a record of evidence is found, and its line is named."""

from __future__ import annotations

import functools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.errors import EvidenceDamaged
from privacy.evidence import Entry, read_evidence, write_entry
from simulations.keys import simulated_identity

OWNER = simulated_identity("north")
KEY = OWNER.public.signing_key
TIME = "2026-01-31T23:59:59Z"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(max_size=5), JSON, max_size=3)


@functools.cache
def record() -> tuple[tuple[Entry, ...], bytes]:
    """Several lines such as a node writes."""
    entries: list[Entry] = []
    data = b""
    for kind, body in (
        ("began", {"party": "north", "source": "warehouse", "signing_key": KEY.hex()}),
        ("run", {"run": "ab" * 16, "reserved": [{"dimension": 54, "share_variance": 374}]}),
        ("charge", {"round": 1, "sum": "histogram", "text": "süd"}),
        ("release", {"round": 1, "submission": "cd" * 32}),
    ):
        entry, line = write_entry(
            after=entries[-1] if entries else None, time=TIME, kind=kind, body=body, signer=OWNER
        )
        entries.append(entry)
        data += line
    return tuple(entries), data


def found(data: bytes) -> tuple[int, str]:
    """How many lines hold, and what is said of the next."""
    held = 0
    try:
        for _ in read_evidence(data, signing_key=KEY):
            held += 1
    except EvidenceDamaged as damage:
        return held, str(damage)
    return held, ""


def line_at(position: int) -> int:
    """The number, from 1, of the line that holds a position."""
    return record()[1][:position].count(b"\n") + 1


def require_found(position: int, flip: int) -> None:
    _, data = record()
    changed = bytearray(data)
    changed[position] ^= flip
    held, said = found(bytes(changed))
    line = line_at(position)
    assert said, f"byte {position} changed by {flip:#x} went unnoticed"
    assert held == line - 1, (position, flip, held)
    told = re.match(r"line (\d+) ", said)
    assert told is not None
    assert int(told[1]) == line, (position, flip, said)


def test_the_record_holds_as_it_is() -> None:
    entries, data = record()
    assert found(data) == (len(entries), "")
    assert len(data) > 1000


def test_one_flipped_byte_is_found_and_located_at_every_position() -> None:
    for position in range(len(record()[1])):
        require_found(position, 1 << (position % 8))


def test_every_bit_of_a_sample_of_positions_is_found_and_located() -> None:
    for position in range(0, len(record()[1]), 23):
        for bit in range(8):
            require_found(position, 1 << bit)


@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
@settings(max_examples=150)
def test_any_other_byte_at_any_position_is_found_and_located(position: int, flip: int) -> None:
    require_found(position % len(record()[1]), flip)


@given(
    start=st.integers(0, 10**6),
    length=st.sampled_from([0, 1, 5, 400]) | st.integers(0, 2000),
    inserted=st.binary(max_size=4),
)
@settings(max_examples=300)
def test_lines_hold_as_far_as_nothing_was_put_in_or_taken_out(
    start: int, length: int, inserted: bytes
) -> None:
    _, data = record()
    begin = start % (len(data) + 1)
    changed = data[:begin] + inserted + data[begin + length :]
    pairs = enumerate(zip(data, changed, strict=False))
    same = next((place for place, (old, new) in pairs if old != new), min(len(data), len(changed)))
    held, said = found(changed)
    assert held == data[:same].count(b"\n")
    # What is a true record's beginning, up to the end of a line, holds: its end is known elsewhere, or not.
    assert bool(said) is not (changed == data[:same] and (not changed or changed.endswith(b"\n")))


@given(bodies=st.lists(BODIES, min_size=1, max_size=4))
def test_whatever_is_written_is_read_back(bodies: list[dict[str, object]]) -> None:
    entries: list[Entry] = []
    data = b""
    for body in bodies:
        entry, line = write_entry(
            after=entries[-1] if entries else None, time=TIME, kind="any", body=body, signer=OWNER
        )
        entries.append(entry)
        data += line
    assert list(read_evidence(data, signing_key=KEY)) == entries
    assert [entry.body for entry in entries] == bodies
