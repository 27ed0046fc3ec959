"""Messages survive the wire unchanged, and anything that is no message is refused without being quoted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import ProtocolError
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import (
    MAXIMUM_ROUND,
    MAXIMUM_TEXT,
    MESSAGE_TYPES,
    VERSION,
    decode_answer,
    decode_ask,
    encode_answer,
    encode_ask,
)

Message = TypeVar("Message", Ask, Reply | Refusal)

RUN = "0123456789abcdef" * 2
HASH = "ab" * 32
MARKER = "marker-49152"
FLOATS: Any = np.zeros(2)

COLLECT = Ask(
    phase=Phase.COLLECT,
    run=RUN,
    round=2,
    contract_hash=HASH,
    request_hash="cd" * 32,
    openings=(np.array([1, -2, 3]), np.array([2**62])),
)
OPEN = replace(COLLECT, phase=Phase.OPEN, submissions={"shop-b": b"\x01\x02", "shop-a": b"\x00"})
HELLO = Ask(phase=Phase.HELLO, run=RUN, round=0, contract_hash=HASH)
REPLY = Reply(
    party="shop-a",
    role="platform",
    version="0.1.0",
    committee_member=3,
    phase=Phase.COLLECT,
    run=RUN,
    round=2,
    request_hash="cd" * 32,
    payload=b"\x00sealed",
)
REFUSAL = Refusal(party="shop-a", phase=Phase.OPEN, round=2, code=RefusalCode.COHORT)


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=40).filter(
    str.isprintable
)
vectors = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20).map(
    lambda values: np.array(values, dtype=np.int64)
)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    phase = draw(st.sampled_from(Phase))
    openings = draw(st.lists(vectors, max_size=4)) if phase is not Phase.HELLO else []
    submissions = st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=5)
    return Ask(
        phase=phase,
        run=draw(hexadecimal(32)),
        round=len(openings),
        contract_hash=draw(hexadecimal(64)),
        request_hash="" if phase is Phase.HELLO else draw(hexadecimal(64)),
        openings=tuple(openings),
        submissions=draw(submissions) if phase is Phase.OPEN else {},
    )


@st.composite
def answers(draw: st.DrawFn) -> Reply | Refusal:
    phase = draw(st.sampled_from(Phase))
    number = 0 if phase is Phase.HELLO else draw(st.integers(0, MAXIMUM_ROUND))
    if draw(st.booleans()):
        code = draw(st.sampled_from(RefusalCode))
        return Refusal(party=draw(names | st.just("")), phase=phase, round=number, code=code)
    return Reply(
        party=draw(names),
        role=draw(names),
        version=draw(names),
        committee_member=draw(st.none() | st.integers(0, 1000)),
        phase=phase,
        run=draw(hexadecimal(32)),
        round=number,
        request_hash="" if phase is Phase.HELLO else draw(hexadecimal(64)),
        payload=b"" if phase is Phase.HELLO else draw(st.binary(min_size=1, max_size=50)),
    )


def carried(records: RecordDict) -> RecordDict:
    """The records as they come out of Flower's own wire objects."""
    children = {
        child_id: type(child).inflate(child.deflate()) for child_id, child in records.children.items()
    }
    return RecordDict.inflate(records.deflate(), children)


def same(left: Ask, right: Ask) -> bool:
    scalars = ("phase", "run", "round", "contract_hash", "request_hash")
    return (
        all(getattr(left, name) == getattr(right, name) for name in scalars)
        and dict(left.submissions) == dict(right.submissions)
        and len(left.openings) == len(right.openings)
        and all(
            one.dtype == other.dtype and np.array_equal(one, other)
            for one, other in zip(left.openings, right.openings, strict=True)
        )
    )


@given(asks())
def test_an_ask_survives_the_wire(ask: Ask) -> None:
    assert same(decode_ask(carried(encode_ask(ask))), ask)


@given(answers())
def test_an_answer_survives_the_wire(answer: Reply | Refusal) -> None:
    assert decode_answer(carried(encode_answer(answer))) == answer


@given(asks())
def test_the_wire_form_is_canonical(ask: Ask) -> None:
    assert encode_ask(decode_ask(encode_ask(ask))).deflate() == encode_ask(ask).deflate()


def test_decoded_openings_cannot_be_changed() -> None:
    opening = decode_ask(encode_ask(COLLECT)).openings[0]

    with pytest.raises(ValueError, match="read-only"):
        opening[0] = 7


def test_openings_travel_as_little_endian_integers() -> None:
    big_endian = replace(COLLECT, openings=(np.array([1], dtype=">i8").astype(np.int64), np.array([2])))

    assert encode_ask(big_endian)["fedscore"]["openings"][0] == b"\x01" + bytes(7)  # type: ignore[index]


def test_each_phase_has_its_own_message_type() -> None:
    assert set(MESSAGE_TYPES) == set(Phase)
    assert len(set(MESSAGE_TYPES.values())) == len(Phase)


def altered(records: RecordDict, **changes: object) -> RecordDict:
    """The records with fields changed, or left out where the change is `...`."""
    fields = dict(records["fedscore"])
    for name, value in changes.items():
        if value is ...:
            del fields[name.replace("_", "-")]
        else:
            fields[name.replace("_", "-")] = value  # type: ignore[assignment]
    return RecordDict({"fedscore": ConfigRecord(fields)})  # type: ignore[arg-type]


BAD_ASKS = {
    "another version": {"version": VERSION + 1},
    "a version that is no integer": {"version": True},
    "no version": {"version": ...},
    "another kind": {"kind": MARKER},
    "the other side's kind": {"kind": "reply"},
    "one field too many": {"extra": MARKER},
    "one field too few": {"run": ...},
    "an unknown phase": {"phase": MARKER},
    "a phase that is no text": {"phase": 1},
    "a run with capital letters": {"run": RUN.upper()},
    "a short run": {"run": RUN[:-1]},
    "a run with a line feed": {"run": RUN + "\n"},
    "a negative round": {"round": -1, "openings": []},
    "a round that is a truth value": {"round": True, "openings": [bytes(8)]},
    "a round that is no integer": {"round": 2.0},
    "a transcript that is too short": {"openings": [bytes(8)]},
    "a transcript that is too long": {"openings": [bytes(8)] * 3},
    "an opening of 9 bytes": {"openings": [bytes(9), bytes(8)]},
    "an empty opening": {"openings": [b"", bytes(8)]},
    "openings as text": {"openings": [MARKER, MARKER]},
    "openings outside a list": {"openings": bytes(16)},
    "another contract's hash that is none": {"contract-hash": MARKER},
    "a request without a hash": {"request-hash": ""},
    "a submission without a name": {"submissions": [b"1", b"2", b"3"]},
    "a name without a submission": {"parties": ["shop-a", "shop-b", "shop-c"]},
    "a party twice": {"parties": ["shop-a", "shop-a"]},
    "parties out of order": {"parties": ["shop-b", "shop-a"]},
    "an empty party": {"parties": ["", "shop-b"]},
    "a party with a line feed": {"parties": ["shop-a\n", "shop-b"]},
    "a party with a very long name": {"parties": ["a" * (MAXIMUM_TEXT + 1), "shop-b"]},
    "submissions as text": {"submissions": [MARKER, MARKER]},
    "an ask to open nothing": {"parties": [], "submissions": []},
    "a collection with submissions": {"phase": "collect"},
    "a hello with a transcript": {"phase": "hello"},
}

BAD_ANSWERS = {
    "another version": {"version": VERSION - 1},
    "an unknown kind": {"kind": MARKER},
    "the other side's kind": {"kind": "ask"},
    "another kind's fields": {"kind": "refusal"},
    "one field too many": {"text": MARKER},
    "one field too few": {"role": ...},
    "no party": {"party": ""},
    "a party that is no text": {"party": b"shop-a"},
    "a role with a control character": {"role": "\x1b[2J"},
    "a very long version": {"software": "1" * (MAXIMUM_TEXT + 1)},
    "a negative member": {"committee-member": -2},
    "a member beyond 64 bits": {"committee-member": 2**64 - 1},
    "a member that is a truth value": {"committee-member": True},
    "an unknown phase": {"phase": MARKER},
    "a hello with a payload": {"phase": "hello", "round": 0, "request-hash": ""},
    "no payload": {"payload": b""},
    "a payload as text": {"payload": MARKER},
    "a round that is too large": {"round": MAXIMUM_ROUND + 1},
    "a hash of another length": {"request-hash": HASH[:-2]},
}

BAD_REFUSALS = {
    "an unknown code": {"code": MARKER},
    "a text beside the code": {"reason": MARKER},
    "a very long party": {"party": "a" * (MAXIMUM_TEXT + 1)},
    "a hello of a later round": {"phase": "hello"},
}


@pytest.mark.parametrize("changes", BAD_ASKS.values(), ids=BAD_ASKS.keys())
def test_a_malformed_ask_is_refused_without_being_quoted(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode_ask(altered(encode_ask(OPEN), **changes))

    assert MARKER not in str(refused.value)


@pytest.mark.parametrize("changes", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_malformed_reply_is_refused_without_being_quoted(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode_answer(altered(encode_answer(REPLY), **changes))

    assert MARKER not in str(refused.value)


@pytest.mark.parametrize("changes", BAD_REFUSALS.values(), ids=BAD_REFUSALS.keys())
def test_a_malformed_refusal_is_refused_without_being_quoted(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode_answer(altered(encode_answer(REFUSAL), **changes))

    assert MARKER not in str(refused.value)


@pytest.mark.parametrize("decode", [decode_ask, decode_answer])
@pytest.mark.parametrize(
    "records",
    [
        RecordDict(),
        RecordDict({"other": ConfigRecord({"version": VERSION})}),
        RecordDict({"fedscore": ArrayRecord([np.zeros(2)])}),
        RecordDict({"fedscore": MetricRecord({"version": VERSION})}),
        RecordDict({"fedscore": ConfigRecord()}),
        RecordDict({**encode_ask(OPEN), "more": ConfigRecord({"a": MARKER})}),
        RecordDict({**encode_answer(REPLY), "more": ConfigRecord({"a": MARKER})}),
    ],
    ids=["nothing", "another name", "arrays", "metrics", "no fields", "an ask and more", "a reply and more"],
)
def test_records_of_another_shape_are_refused(
    decode: Callable[[RecordDict], object], records: RecordDict
) -> None:
    with pytest.raises(ProtocolError):
        decode(records)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (replace(COLLECT, run="run"), "32 hexadecimal digits"),
        (replace(COLLECT, contract_hash=""), "contract's hash"),
        (replace(COLLECT, openings=()), "one opening for each earlier round"),
        (replace(COLLECT, openings=(FLOATS, FLOATS)), "64-bit integers"),
        (replace(COLLECT, openings=(np.zeros((2, 2), np.int64), np.zeros(2, np.int64))), "64-bit integers"),
        (replace(COLLECT, submissions={"shop-a": b"1"}), "carries submissions"),
        (replace(HELLO, round=1), "outside 0 to 0"),
        (replace(HELLO, submissions={"shop-a": b"1"}), "carries submissions"),
        (replace(HELLO, request_hash=HASH), "not empty in a hello"),
    ],
)
def test_an_ask_that_no_node_would_accept_is_not_sent(ask: Ask, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        encode_ask(ask)


def test_an_answer_that_no_server_would_accept_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="payload"):
        encode_answer(replace(REPLY, payload=b""))


def mutated(records: RecordDict, source: random.Random) -> RecordDict:
    """The records with one to three random changes of the kind that Flower can carry."""
    fields = dict(records["fedscore"])
    for _ in range(source.randint(1, 3)):
        name = source.choice([*fields, MARKER]) if fields else MARKER
        fields[name] = source.choice(_MUTATIONS)(fields.get(name, 0), source)  # type: ignore[assignment]
        if source.random() < 0.2:
            del fields[name]
    name = "fedscore" if source.random() < 0.95 else MARKER
    return carried(RecordDict({name: ConfigRecord(fields)}))  # type: ignore[arg-type]


def _flipped(value: object, source: random.Random) -> object:
    if isinstance(value, bytes) and value:
        place = source.randrange(len(value))
        return value[:place] + bytes([value[place] ^ 1 << source.randrange(8)]) + value[place + 1 :]
    if isinstance(value, str) and value:
        place = source.randrange(len(value))
        return value[:place] + chr(source.choice([0, 10, 32, 65, 0x7F, 0x202E])) + value[place + 1 :]
    if isinstance(value, list) and value:
        return [_flipped(item, source) for item in value] if source.random() < 0.5 else value[1:]
    return MARKER


_MUTATIONS: list[Callable[[object, random.Random], object]] = [
    _flipped,
    _flipped,
    lambda _, source: source.choice([-1, 0, 1, 2**63 - 1, 2**64 - 1, -(2**63)]),
    lambda _, source: source.choice([0.0, -0.0, float("nan"), float("inf"), 1e300]),
    lambda _, source: source.choice([True, False]),
    lambda _, source: source.choice(["", MARKER, "\n", "collect", "ask", "reply"]),
    lambda _, source: source.randbytes(source.choice([0, 1, 8, 9])),
    lambda _, source: source.choice([[], [1, 2], [0.5], [True], ["", ""], [b"", b""], [bytes(8)] * 2]),
    lambda value, _: [value, value] if not isinstance(value, list) else value * 2,
]


@pytest.mark.parametrize("original", [encode_ask(OPEN), encode_ask(COLLECT), encode_ask(HELLO)])
def test_a_mutated_ask_is_an_ask_or_refused(original: RecordDict) -> None:
    refused = _survey(original, decode_ask, encode_ask)

    assert refused > 500


@pytest.mark.parametrize("original", [encode_answer(REPLY), encode_answer(REFUSAL)])
def test_a_mutated_answer_is_an_answer_or_refused(original: RecordDict) -> None:
    refused = _survey(original, decode_answer, encode_answer)

    assert refused > 500


def _survey(
    original: RecordDict, decode: Callable[[RecordDict], Message], encode: Callable[[Message], RecordDict]
) -> int:
    source = random.Random(7)  # noqa: S311 - chooses mutations, reproducibly
    refused = accepted = 0
    for _ in range(1000):
        records = mutated(original, source)
        try:
            message = decode(records)
        except ProtocolError as refusal:
            refused += MARKER not in str(refusal)
        else:
            assert dict(encode(message)["fedscore"]) == dict(records["fedscore"])
            accepted += 1
    assert refused + accepted == 1000
    return refused


def test_numpy_is_not_what_travels() -> None:
    counts: npt.NDArray[np.int64] = np.arange(3)
    ask = replace(COLLECT, openings=(counts, counts))

    assert {type(value) for value in encode_ask(ask)["fedscore"].values()} == {str, int, list}
