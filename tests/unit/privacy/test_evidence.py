"""A record of evidence: what it holds, and what is found when it was touched."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fedscore.errors import EvidenceDamaged
from privacy.evidence import (
    BEGINNING,
    EVIDENCE_DOMAIN,
    MAXIMUM_LINE,
    Entry,
    read_entry,
    read_evidence,
    write_entry,
)
from privacy.identities import Identity
from simulations.keys import simulated_identity

OWNER = simulated_identity("north")
KEY = OWNER.public.signing_key
TIME = "2026-01-31T23:59:59Z"
HUGE = 10**5000
BODIES: tuple[Mapping[str, object], ...] = (
    {"party": "north", "source": "warehouse"},
    {"nested": {"list": [1, 2, {"deep": None}], "yes": True}, "text": 'quotes " and \\ and \n breaks'},
    {"large": 2**200, "negative": -(2**64), "zero": 0},
    {"unicode": "süd 北", "separator": "\u2028", "empty": ""},
    {},
)


def record_of(*bodies: Mapping[str, object], signer: Identity = OWNER) -> tuple[list[Entry], list[bytes]]:
    """The entries of a record, and its lines."""
    entries: list[Entry] = []
    lines: list[bytes] = []
    for body in bodies:
        entry, line = write_entry(
            after=entries[-1] if entries else None, time=TIME, kind="some-kind", body=body, signer=signer
        )
        entries.append(entry)
        lines.append(line)
    return entries, lines


def holding(data: bytes, signing_key: bytes = KEY) -> tuple[list[Entry], str]:
    """The entries that hold, and what is said of the first that does not."""
    held: list[Entry] = []
    try:
        held.extend(read_evidence(data, signing_key=signing_key))
    except EvidenceDamaged as damage:
        return held, str(damage)
    return held, ""


def test_what_is_written_is_read_back_entry_by_entry() -> None:
    entries, lines = record_of(*BODIES)
    assert holding(b"".join(lines)) == (entries, "")
    assert [entry.body for entry in entries] == list(BODIES)
    assert [entry.sequence for entry in entries] == list(range(len(BODIES)))
    assert entries[0].previous == BEGINNING
    for entry, line in zip(entries, lines, strict=True):
        assert entry.hash == hashlib.sha256(line[:-1]).hexdigest()
        assert entry.length == len(line)
        assert (entry.time, entry.kind) == (TIME, "some-kind")
        assert line.isascii()
        assert line.count(b"\n") == 1
    for before, after in itertools.pairwise(entries):
        assert after.previous == before.hash


def test_reading_goes_on_where_it_stopped() -> None:
    entries, lines = record_of(*BODIES)
    rest = list(read_evidence(b"".join(lines[3:]), signing_key=KEY, after=entries[2]))
    assert rest == entries[3:]
    with pytest.raises(EvidenceDamaged, match="line 2 is not"):
        list(read_evidence(b"".join(lines[3:]), signing_key=KEY, after=entries[0]))


@pytest.mark.parametrize(
    "body",
    [
        {"a": 1.0},
        {"a": [float("nan")]},
        {"a": float("inf")},
        {"a": -0.0},
        {"a": (1, 2)},
        {1: "a"},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": "x" * MAXIMUM_LINE},
        {"a": HUGE},
        {"a": {None: 1}},
        {"a": 1, None: 2},
    ],
    ids=lambda body: str(body)[:20] if body.get("a") != HUGE else "a huge number",
)
def test_what_could_not_be_read_back_is_not_written(body: Any) -> None:  # noqa: ANN401 - what types forbid
    with pytest.raises(EvidenceDamaged, match="kind 'some-kind' has no canonical form: nothing was written"):
        write_entry(after=None, time=TIME, kind="some-kind", body=body, signer=OWNER)


def test_a_body_that_goes_too_deep_is_not_written() -> None:
    body: dict[str, object] = {}
    for _ in range(100_000):
        body = {"a": body}
    with pytest.raises(EvidenceDamaged, match="no canonical form"):
        write_entry(after=None, time=TIME, kind="some-kind", body=body, signer=OWNER)


@pytest.mark.parametrize("kind", ["", "Kind", "-kind", "kind\n", "kind_", "k" * 41, "kind1", "süd"])
def test_a_kind_of_another_form_is_not_written(kind: str) -> None:
    with pytest.raises(EvidenceDamaged, match="nothing was written"):
        write_entry(after=None, time=TIME, kind=kind, body={}, signer=OWNER)


@pytest.mark.parametrize(
    "time", ["", "2026-01-31", "2026-01-31T23:59:59", "2026-01-31T23:59:59+00:00", f"{TIME}\n", f" {TIME}"]
)
def test_a_time_of_another_form_is_not_written(time: str) -> None:
    with pytest.raises(EvidenceDamaged, match="nothing was written"):
        write_entry(after=None, time=time, kind="kind", body={}, signer=OWNER)


def resigned(fields: dict[str, Any], signer: Identity = OWNER) -> dict[str, Any]:
    """The fields with a true signature under what they say now."""
    said = {name: value for name, value in fields.items() if name != "signature"}
    message = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return {**said, "signature": signer.sign(EVIDENCE_DOMAIN, message).hex()}


def canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def test_the_one_who_signs_here_would_be_believed() -> None:
    """Else the refusals below would say nothing about form."""
    _, (line,) = record_of({"a": 1})
    assert canonical(resigned(json.loads(line))) == line[:-1]


OTHER_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "a blank": lambda line: line.replace(b'":', b'": ', 1),
    "a blank before": lambda line: b" " + line,
    "a blank behind": lambda line: line + b" ",
    "a carriage return": lambda line: line + b"\r",
    "another order of keys": lambda line: json.dumps(
        dict(reversed(json.loads(line).items())), separators=(",", ":")
    ).encode(),
    "a letter as an escape": lambda line: line.replace(b'"kind"', b'"\\u006bind"', 1),
    "a letter that is not escaped": lambda line: line.replace(b"\\u00fc", "ü".encode(), 1),
    "an escape in capitals": lambda line: line.replace(b"\\u00fc", b"\\u00FC", 1),
    "a slash that is escaped": lambda line: line.replace(b"/", b"\\/", 1),
    "a float": lambda line: line.replace(b'"count":1', b'"count":1.0', 1),
    "an exponent": lambda line: line.replace(b'"count":1', b'"count":1e0', 1),
    "a negative nothing": lambda line: line.replace(b'"none":0', b'"none":-0', 1),
    "a number with a plus": lambda line: line.replace(b'"count":1', b'"count":+1', 1),
    "not a number": lambda line: line.replace(b'"count":1', b'"count":NaN', 1),
    "a key twice": lambda line: line.replace(b'"count":1', b'"count":1,"count":1', 1),
    "a field twice": lambda line: line.replace(b'"kind":', b'"kind":"other","kind":', 1),
    "a field more": lambda line: line.replace(b'"kind":', b'"extra":1,"kind":', 1),
    "a number of five thousand digits": lambda line: line.replace(b'"count":1', b'"count":' + b"1" * 5000, 1),
    "a signature in capitals": lambda line: (
        line[: line.index(b'"signature":"') + 13]
        + json.loads(line)["signature"].upper().encode()
        + line[line.index(b'","time"') :]
    ),
    "UTF-16": lambda line: line.decode().encode("utf-16"),
    "a byte order mark": lambda line: b"\xef\xbb\xbf" + line,
    "no text": lambda _line: b"\xff\xfe\xfd",
    "nothing": lambda _line: b"",
    "a list": lambda line: b"[" + line + b"]",
    "brackets without end": lambda _line: b"[" * 100_000,
    "too long a line": lambda line: line.replace(b'"text":"', b'"text":"' + b"x" * MAXIMUM_LINE, 1),
}


@pytest.mark.parametrize("change", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_a_line_in_another_form_is_refused_though_it_says_the_same(change: Callable[[bytes], bytes]) -> None:
    body = {"count": 1, "none": 0, "text": "süd/north"}
    (entry, _), (first, second) = record_of({}, body)
    line = change(second[:-1])
    assert line != second[:-1]
    assert read_entry(second[:-1], after=entry, signing_key=KEY) is not None
    assert read_entry(line, after=entry, signing_key=KEY) is None
    assert holding(first + line + b"\n")[0] == [entry]


WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "a float": {"body": {"a": 0.5}},
    "no body": {"body": []},
    "a number as text": {"sequence": "1"},
    "a number that is true": {"sequence": True},
    "a negative number": {"sequence": -1},
    "the next number": {"sequence": 2},
    "another line before": {"previous": "0" * 64},
    "the hash before in capitals": {"previous": "AB" * 32},
    "nothing before": {"previous": None},
    "a kind that is no text": {"kind": 5},
    "a kind of another form": {"kind": "Kind"},
    "a time that is no text": {"time": 5},
    "a time of another form": {"time": "yesterday"},
}


@pytest.mark.parametrize("change", WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_what_even_its_signer_may_not_write_is_refused(change: dict[str, Any]) -> None:
    (entry, _), (_, second) = record_of({}, {"a": 1})
    line = canonical(resigned({**json.loads(second), **change}))
    assert read_entry(line, after=entry, signing_key=KEY) is None


def test_a_signature_for_another_purpose_is_none_here() -> None:
    _, (line,) = record_of({})
    fields = json.loads(line)
    said = {name: value for name, value in fields.items() if name != "signature"}
    forged = OWNER.sign(b"fedscore ask 1", canonical(said)).hex()
    assert read_entry(canonical({**fields, "signature": forged}), after=None, signing_key=KEY) is None


def test_a_line_of_another_signer_is_named() -> None:
    entries, lines = record_of(*BODIES)
    other = simulated_identity("south")
    _, theirs = write_entry(after=entries[1], time=TIME, kind="some-kind", body=BODIES[2], signer=other)
    held, said = holding(b"".join([*lines[:2], theirs, *lines[3:]]))
    assert held == entries[:2]
    assert "line 3 is not what its signer wrote there" in said
    assert holding(b"".join(lines), other.public.signing_key)[0] == []


MOVED: dict[str, tuple[list[int], int]] = {
    "the first is gone": ([1, 2, 3, 4], 1),
    "one is gone": ([0, 1, 3, 4], 3),
    "two are swapped": ([0, 2, 1, 3, 4], 2),
    "one is there twice": ([0, 1, 1, 2, 3, 4], 3),
    "the last is there twice": ([0, 1, 2, 3, 4, 4], 6),
    "the record is there twice": ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], 6),
    "the other way round": ([4, 3, 2, 1, 0], 1),
}


@pytest.mark.parametrize(("order", "line"), MOVED.values(), ids=MOVED.keys())
def test_lines_that_were_moved_are_found(order: list[int], line: int) -> None:
    entries, lines = record_of(*BODIES)
    held, said = holding(b"".join(lines[number] for number in order))
    assert f"line {line} is not what its signer wrote there" in said
    assert held == entries[: line - 1]


def test_a_line_of_another_record_of_the_same_signer_does_not_fit() -> None:
    entries, lines = record_of(*BODIES)
    _, others = record_of({"another": "history"}, *BODIES[1:])
    held, said = holding(b"".join([*lines[:2], others[2], *lines[3:]]))
    assert (held, "line 3 is not" in said) == (entries[:2], True)


def test_an_empty_line_is_found() -> None:
    entries, lines = record_of(*BODIES)
    held, said = holding(b"".join([*lines[:2], b"\n", *lines[2:]]))
    assert (held, "line 3 is not" in said) == (entries[:2], True)


def test_a_cut_within_a_line_is_named_and_one_at_a_lines_end_holds() -> None:
    """The latter is why the newest hash is to be given away."""
    entries, lines = record_of(*BODIES[:3])
    data = b"".join(lines)
    ends = {sum(map(len, lines[:number])): number for number in range(4)}
    for cut in range(len(data)):
        held, said = holding(data[:cut])
        whole = max(number for end, number in ends.items() if end <= cut)
        assert held == entries[:whole]
        assert said.startswith(f"line {whole + 1} has no end") is (cut not in ends)
        assert bool(said) is (cut not in ends)
