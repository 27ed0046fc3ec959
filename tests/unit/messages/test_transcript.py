"""One history has one head, two histories have two, and what is no head is refused without being quoted."""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import ProtocolError
from fedscore.messages import Head
from fedscore.messages.transcript import (
    MAXIMUM_HEAD_BYTES,
    NO_OPENINGS,
    NO_RUN,
    chain_openings,
    extend_openings,
    read_head,
    submission_digest,
)

MARKER = "marker-49152"
KEY = "ab" * 32
RUN = "0123456789abcdef" * 2

GENESIS = Head.genesis(KEY, "12" * 32)
HEAD = Head(
    key_id=KEY,
    round=6,
    run=RUN,
    step=2,
    request="cd" * 32,
    opening="89" * 32,
    openings="ef" * 32,
    submissions={"north": "01" * 32, "south": "23" * 32},
    previous=GENESIS.hash,
)
CANONICAL = (
    f'{{"key_id":"{KEY}","opening":"{"89" * 32}","openings":"{"ef" * 32}","previous":"{GENESIS.hash}",'
    f'"request":"{"cd" * 32}",'
    f'"round":6,"run":"{RUN}","step":2,"submissions":{{"north":"{"01" * 32}","south":"{"23" * 32}"}}}}'
)

Opening = npt.NDArray[np.int64]


def hashes() -> st.SearchStrategy[str]:
    return st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    number = draw(st.integers(0, (1 << 32) - 1))
    return Head(
        key_id=draw(hashes()),
        round=number,
        run=draw(st.binary(min_size=16, max_size=16)).hex(),
        step=draw(st.integers(0, number)),
        request=draw(hashes()),
        opening=draw(hashes()),
        openings=draw(hashes()),
        submissions=draw(st.dictionaries(st.text(max_size=20), hashes(), max_size=5)),
        previous=draw(hashes()),
    )


def test_a_heads_canonical_bytes_are_these() -> None:
    assert HEAD.to_bytes() == CANONICAL.encode("ascii")
    assert HEAD.hash == hashlib.sha256(CANONICAL.encode("ascii")).hexdigest()


def test_before_the_first_round_nothing_is_opened() -> None:
    assert (GENESIS.round, GENESIS.step, GENESIS.run, GENESIS.cohort) == (0, 0, NO_RUN, frozenset())
    assert (GENESIS.openings, GENESIS.opening, GENESIS.previous) == (NO_OPENINGS, "0" * 64, "12" * 32)
    assert read_head(GENESIS.to_bytes()) == GENESIS


def test_the_genesis_depends_on_key_and_nonces() -> None:
    heads = {Head.genesis(key, seed).hash for key in ("ab" * 32, "cd" * 32) for seed in ("0" * 64, "1" * 64)}

    assert len(heads) == 4


@given(heads())
def test_a_head_survives_its_canonical_form(head: Head) -> None:
    read = read_head(head.to_bytes())

    assert read == head
    assert (read.hash, read.to_bytes()) == (head.hash, head.to_bytes())
    assert head.to_bytes().isascii()


@given(heads(), st.randoms(use_true_random=False))
def test_the_order_in_which_submissions_came_is_irrelevant(head: Head, source: Any) -> None:  # noqa: ANN401 - hypothesis's own random
    shuffled = list(head.submissions.items())
    source.shuffle(shuffled)

    assert replace(head, submissions=dict(shuffled)).hash == head.hash


CHANGES: dict[str, dict[str, Any]] = {
    "key": {"key_id": "ac" * 32},
    "round": {"round": 7},
    "run": {"run": "0" * 32},
    "step": {"step": 3},
    "request": {"request": "ce" * 32},
    "openings": {"openings": "ee" * 32},
    "opening": {"opening": "88" * 32},
    "previous": {"previous": HEAD.hash},
    "a party less": {"submissions": {"north": "01" * 32}},
    "a party more": {"submissions": {**HEAD.submissions, "agency": "45" * 32}},
    "another party": {"submissions": {"north": "01" * 32, "agency": "23" * 32}},
    "parties exchanged": {"submissions": {"north": "23" * 32, "south": "01" * 32}},
    "another submission": {"submissions": {"north": "01" * 32, "south": "24" * 32}},
}


def test_two_histories_have_two_heads() -> None:
    changed = [replace(HEAD, **change).hash for change in CHANGES.values()]

    assert len({HEAD.hash, *changed}) == 1 + len(CHANGES)
    touched = {name for change in CHANGES.values() for name in change}
    assert touched == set(HEAD.__dataclass_fields__), "a field is missing in this test"


def test_a_heads_hash_reaches_back_to_the_first_round() -> None:
    def history(first: Head) -> str:
        head = first
        for number in range(1, 6):
            head = replace(HEAD, round=number, step=number, previous=head.hash)
        return head.hash

    assert history(GENESIS) == history(Head.genesis(KEY, "12" * 32))
    assert history(GENESIS) != history(Head.genesis(KEY, "13" * 32))


def test_the_cohort_is_who_submitted() -> None:
    assert HEAD.cohort == {"north", "south"}


def test_a_head_that_was_read_cannot_be_changed() -> None:
    read: Any = read_head(HEAD.to_bytes())

    with pytest.raises(TypeError):
        read.submissions["invented"] = "0" * 64
    with pytest.raises(AttributeError):
        read.round = 7


def spelled(**changes: object) -> bytes:
    """The head's fields with changes, or left out where the change is `...`, canonically spelled."""
    fields = {**json.loads(CANONICAL), **changes}
    kept = {name: value for name, value in fields.items() if value is not ...}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()


MALFORMED = {
    "nothing": b"",
    "no JSON": MARKER.encode(),
    "no text": b"\xff\xfe\x00",
    "a text": json.dumps(MARKER).encode(),
    "a number": b"6",
    "a list": json.dumps([MARKER]).encode(),
    "no value": b"null",
    "a deep list": b"[" * 100_000,
    "a number of 5,000 digits": spelled(round=0).replace(b'"round":0', b'"round":' + b"9" * 5_000),
    "a field less": spelled(step=...),
    "a field more": spelled(extra=MARKER),
    "no submissions": spelled(submissions=...),
    "submissions as a list": spelled(submissions=[MARKER]),
    "submissions as text": spelled(submissions=MARKER),
    "submissions as nothing": spelled(submissions=None),
    "a submission that is no hash": spelled(submissions={"north": MARKER}),
    "a submission that is no text": spelled(submissions={"north": 1}),
    "a submission's hash with a line feed": spelled(submissions={"north": "0" * 64 + "\n"}),
    "a negative round": spelled(round=-1, step=-1),
    "a round beyond 32 bits": spelled(round=1 << 32),
    "a round that is no integer": spelled(round=6.0),
    "a round that is a truth value": spelled(round=True, step=True),
    "a round that is text": spelled(round="6"),
    "a round that is no number": spelled(round=float("nan")),
    "a negative step": spelled(step=-1),
    "more steps than rounds": spelled(step=7),
    "a step that is a truth value": spelled(step=False),
    "a run with capital letters": spelled(run="AB" * 16),
    "a short run": spelled(run="ab" * 15),
    "a run that is no text": spelled(run=0),
    "a key that is none": spelled(key_id=MARKER),
    "a key that is no text": spelled(key_id=None),
    "a request that is no hash": spelled(request=""),
    "openings that are no hash": spelled(openings="EF" * 32),
    "an opening that is no hash": spelled(opening="8" * 63),
    "a link to nothing": spelled(previous="0" * 63),
}

OTHER_SPELLINGS = {
    "a blank at the end": CANONICAL.encode() + b" ",
    "a line feed at the end": CANONICAL.encode() + b"\n",
    "blanks between": json.dumps(json.loads(CANONICAL), sort_keys=True).encode(),
    "another order": json.dumps(
        dict(reversed(json.loads(CANONICAL).items())), separators=(",", ":")
    ).encode(),
    "a field twice": CANONICAL.replace('"round":6', '"round":6,"round":6').encode(),
    "a byte order mark": b"\xef\xbb\xbf" + CANONICAL.encode(),
    "UTF-16": CANONICAL.encode("utf-16-le"),
    "an escape that is not needed": CANONICAL.replace('"north"', '"\\u006eorth"').encode(),
    "a letter that must be escaped": CANONICAL.replace('"north"', '"nörth"').encode(),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_head_is_refused_without_being_quoted(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="a transcript head is malformed") as refused:
        read_head(data)

    assert MARKER not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("data", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS.keys())
def test_a_head_has_one_spelling(data: bytes) -> None:
    assert data != CANONICAL.encode()

    with pytest.raises(ProtocolError, match="a transcript head is malformed"):
        read_head(data)


def test_the_spellings_above_are_refused_for_what_they_change() -> None:
    assert read_head(spelled()) == HEAD
    assert read_head(CANONICAL.replace('"north"', '"n\\u00f6rth"').encode()).cohort == {"nörth", "south"}


def test_a_head_has_a_largest_size() -> None:
    submissions = {f"party-{number}": "0" * 64 for number in range(MAXIMUM_HEAD_BYTES // 64)}
    large = replace(HEAD, submissions=submissions).to_bytes()
    assert len(large) > MAXIMUM_HEAD_BYTES

    with pytest.raises(ProtocolError, match="more than 1048576 bytes"):
        read_head(large)

    fewer = {name: submissions[name] for name in itertools.islice(submissions, 10_000)}
    assert len(read_head(replace(HEAD, submissions=fewer).to_bytes()).cohort) == 10_000


@given(heads(), st.data())
def test_a_changed_byte_is_another_head_or_none(head: Head, data: st.DataObject) -> None:
    canonical = bytearray(head.to_bytes())
    place = data.draw(st.integers(0, len(canonical) - 1))
    canonical[place] ^= data.draw(st.integers(1, 255))

    try:
        read = read_head(bytes(canonical))
    except ProtocolError:
        return
    assert read.to_bytes() == bytes(canonical)
    assert read.hash != head.hash


def openings_of(*vectors: list[int]) -> tuple[Opening, ...]:
    return tuple(np.array(vector, dtype=np.int64) for vector in vectors)


def test_the_chain_of_openings_is_this() -> None:
    def linked(chain: bytes, values: list[int]) -> bytes:
        return hashlib.sha256(chain + struct.pack(f"<Q{len(values)}q", len(values), *values)).digest()

    expected = linked(linked(bytes(32), [1, -2, 3]), [2**62])

    assert chain_openings(openings_of([1, -2, 3], [2**62])) == expected.hex()
    assert chain_openings(()) == NO_OPENINGS


vectors = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)


@given(st.lists(vectors, max_size=4), st.lists(vectors, max_size=4))
def test_two_lists_of_openings_have_one_chain_only_if_they_are_one(
    one: list[list[int]], other: list[list[int]]
) -> None:
    assert (chain_openings(openings_of(*one)) == chain_openings(openings_of(*other))) == (one == other)


SPLITS: Mapping[str, tuple[list[int], ...]] = {
    "one": ([1, 2, 3],),
    "two": ([1], [2, 3]),
    "two others": ([1, 2], [3]),
    "three": ([1], [2], [3]),
    "with an empty one": ([], [1, 2, 3]),
    "with an empty one behind": ([1, 2, 3], []),
    "in another order": ([2, 3], [1]),
}


def test_where_one_opening_ends_and_the_next_begins_counts() -> None:
    assert len({chain_openings(openings_of(*vectors)) for vectors in SPLITS.values()}) == len(SPLITS)


@given(st.lists(vectors, min_size=1, max_size=4))
def test_a_chain_grows_by_one_opening_at_a_time(values: list[list[int]]) -> None:
    openings = openings_of(*values)

    assert chain_openings(openings) == extend_openings(chain_openings(openings[:-1]), openings[-1])


def test_the_chain_does_not_depend_on_how_numbers_lie_in_memory() -> None:
    values = np.arange(6, dtype=np.int64)
    strided = np.arange(12, dtype=np.int64)[::2] // 2

    assert chain_openings([values.astype(">i8")]) == chain_openings([values]) == chain_openings([strided])


def test_a_submission_is_kept_as_its_hash() -> None:
    assert submission_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
