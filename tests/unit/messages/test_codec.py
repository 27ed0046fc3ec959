"""Messages survive the wire unchanged, and anything that is no message is refused without being quoted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import ProtocolError
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
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
from privacy.identities import SIGNATURE_BYTES
from privacy.paillier.committee_rules import MAXIMUM_MEMBERS

Message = TypeVar("Message", Ask, Reply | Refusal)

RUN = "0123456789abcdef" * 2
HASH = "ab" * 32
MARKER = "marker-49152"
FLOATS: Any = np.zeros(2)
SIGNED = bytes(range(SIGNATURE_BYTES))

GENESIS = Head.genesis(HASH, "12" * 32)
HEAD = Head(
    key_id=HASH,
    round=6,
    run=RUN,
    step=2,
    request="cd" * 32,
    opening="67" * 32,
    openings="ef" * 32,
    submissions={"shop-a": "01" * 32, "shop-b": "23" * 32},
    previous=GENESIS.hash,
)
COLLECT = Ask(
    phase=Phase.COLLECT,
    run=RUN,
    round=8,
    contract_hash=HASH,
    head=HEAD,
    opening=b"\x00opened",
    head_signatures={3: SIGNED, 1: SIGNED[::-1]},
    request_hash="cd" * 32,
    openings=(np.array([1, -2, 3]), np.array([2**62])),
)
OPEN = replace(COLLECT, phase=Phase.OPEN, submissions={"shop-b": b"\x01\x02", "shop-a": b"\x00"})
PROVE = replace(OPEN, phase=Phase.PROVE)
HELLO = Ask(phase=Phase.HELLO, run=RUN, round=0, contract_hash=HASH, head=GENESIS)
REPLY = Reply(
    party="shop-a",
    role="platform",
    version="0.1.0",
    committee_member=3,
    phase=Phase.COLLECT,
    run=RUN,
    round=8,
    request_hash="cd" * 32,
    last_round=7,
    head_signature=SIGNED,
    signature=b"",
    payload=b"\x00sealed",
)
GREETING = replace(
    REPLY, phase=Phase.HELLO, round=0, request_hash="", signature=SIGNED, payload=HEAD.to_bytes()
)
REFUSAL = Refusal(
    version=version("fedscore"), party="shop-a", phase=Phase.OPEN, round=2, code=RefusalCode.COHORT
)


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=40).filter(
    str.isprintable
)
vectors = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20).map(
    lambda values: np.array(values, dtype=np.int64)
)


rounds = st.integers(1, MAXIMUM_ROUND)
signatures = st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    key_id = draw(hexadecimal(64))
    if draw(st.booleans()):
        return Head.genesis(key_id, draw(hexadecimal(64)))
    number = draw(rounds)
    return Head(
        key_id=key_id,
        round=number,
        run=draw(hexadecimal(32)),
        step=draw(st.integers(0, number)),
        request=draw(hexadecimal(64)),
        opening=draw(hexadecimal(64)),
        openings=draw(hexadecimal(64)),
        submissions=draw(st.dictionaries(names, hexadecimal(64), max_size=4)),
        previous=draw(hexadecimal(64)),
    )


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    phase = draw(st.sampled_from(Phase))
    hello = phase is Phase.HELLO
    openings = [] if hello else draw(st.lists(vectors, max_size=4))
    submissions = st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=5)
    return Ask(
        phase=phase,
        run=draw(hexadecimal(32)),
        round=0 if hello else draw(st.integers(len(openings) + 1, MAXIMUM_ROUND)),
        contract_hash=draw(hexadecimal(64)),
        head=draw(heads()),
        opening=draw(st.binary(max_size=50)),
        head_signatures=draw(st.dictionaries(st.integers(0, MAXIMUM_MEMBERS), signatures, max_size=4)),
        request_hash="" if hello else draw(hexadecimal(64)),
        openings=tuple(openings),
        submissions=draw(submissions) if phase in (Phase.OPEN, Phase.PROVE) else {},
    )


@st.composite
def answers(draw: st.DrawFn) -> Reply | Refusal:
    phase = draw(st.sampled_from(Phase))
    hello = phase is Phase.HELLO
    number = 0 if hello else draw(rounds)
    if draw(st.booleans()):
        code = draw(st.sampled_from(RefusalCode))
        return Refusal(
            version=version("fedscore"), party=draw(names | st.just("")), phase=phase, round=number, code=code
        )
    return Reply(
        party=draw(names),
        role=draw(names),
        version=draw(names),
        committee_member=draw(st.none() | st.integers(0, MAXIMUM_MEMBERS)),
        phase=phase,
        run=draw(hexadecimal(32)),
        round=number,
        request_hash="" if hello else draw(hexadecimal(64)),
        last_round=draw(st.integers(0, MAXIMUM_ROUND)),
        head_signature=draw(signatures | st.just(b"")),
        signature=draw(signatures) if hello else b"",
        payload=draw(st.binary(min_size=0 if hello else 1, max_size=50)),
    )


def carried(records: RecordDict) -> RecordDict:
    """The records as they come out of Flower's own wire objects."""
    children = {
        child_id: type(child).inflate(child.deflate()) for child_id, child in records.children.items()
    }
    return RecordDict.inflate(records.deflate(), children)


def same(left: Ask, right: Ask) -> bool:
    scalars = ("phase", "run", "round", "contract_hash", "head", "opening", "request_hash")
    return (
        all(getattr(left, name) == getattr(right, name) for name in scalars)
        and dict(left.head_signatures) == dict(right.head_signatures)
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
    "the version before": {"version": VERSION - 1},
    "the version after": {"version": VERSION + 1},
    "a version that is no integer": {"version": float(VERSION)},
    "a version that is a truth value": {"version": True},
    "no version": {"version": ...},
    "another kind": {"kind": MARKER},
    "the other side's kind": {"kind": "reply"},
    "a kind that is no text": {"kind": 1},
    "one field too many": {"extra": MARKER},
    "one field too few": {"run": ...},
    "no head": {"head": ...},
    "an unknown phase": {"phase": MARKER},
    "a phase that is no text": {"phase": 1},
    "a run with capital letters": {"run": RUN.upper()},
    "a short run": {"run": RUN[:-1]},
    "a run with a line feed": {"run": RUN + "\n"},
    "a negative round": {"round": -1},
    "no round": {"round": 0, "openings": []},
    "a round that is too large": {"round": MAXIMUM_ROUND + 1},
    "a round that is a truth value": {"round": True, "openings": []},
    "a round that is no integer": {"round": 8.0},
    "as many openings as rounds": {"round": 2},
    "an opening of 9 bytes": {"openings": [bytes(9), bytes(8)]},
    "an empty opening": {"openings": [b"", bytes(8)]},
    "openings as text": {"openings": [MARKER, MARKER]},
    "openings outside a list": {"openings": bytes(16)},
    "another contract's hash that is none": {"contract-hash": MARKER},
    "a request without a hash": {"request-hash": ""},
    "a head that is text": {"head": HEAD.to_bytes().decode()},
    "a head that is none": {"head": MARKER.encode()},
    "a head with a blank": {"head": HEAD.to_bytes() + b" "},
    "a head of no bytes": {"head": b""},
    "an opening's proof as text": {"opening": MARKER},
    "a signature without its member": {"signers": [1]},
    "a member without a signature": {"signers": [1, 2, 3]},
    "a member twice": {"signers": [1, 1]},
    "members out of order": {"signers": [3, 1]},
    "a member below 0": {"signers": [-1, 3]},
    "a member of a larger committee": {"signers": [1, MAXIMUM_MEMBERS + 1]},
    "a member that is a truth value": {"signers": [True, True]},
    "members as text": {"signers": [MARKER, MARKER + "0"]},
    "a short signature": {"head-signatures": [SIGNED[:-1], SIGNED]},
    "a long signature": {"head-signatures": [SIGNED, SIGNED + b"\0"]},
    "an empty signature": {"head-signatures": [SIGNED, b""]},
    "signatures as text": {"head-signatures": [MARKER, MARKER]},
    "a submission without a name": {"submissions": [b"1", b"2", b"3"]},
    "a name without a submission": {"parties": ["shop-a", "shop-b", "shop-c"]},
    "a party twice": {"parties": ["shop-a", "shop-a"]},
    "parties out of order": {"parties": ["shop-b", "shop-a"]},
    "an empty party": {"parties": ["", "shop-b"]},
    "a party with a line feed": {"parties": ["shop-a\n", "shop-b"]},
    "a party with a very long name": {"parties": ["a" * (MAXIMUM_TEXT + 1), "shop-b"]},
    "submissions as text": {"submissions": [MARKER, MARKER]},
    "an ask to open nothing": {"parties": [], "submissions": []},
    "an ask to prove nothing": {"phase": "prove", "parties": [], "submissions": []},
    "a collection with submissions": {"phase": "collect"},
    "a hello with submissions": {"phase": "hello", "round": 0, "request-hash": "", "openings": []},
    "a hello with openings": {
        "phase": "hello",
        "round": 0,
        "request-hash": "",
        "parties": [],
        "submissions": [],
    },
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
    "a member of a larger committee": {"committee-member": MAXIMUM_MEMBERS + 1},
    "a member beyond 64 bits": {"committee-member": 2**64 - 1},
    "a member that is a truth value": {"committee-member": True},
    "an unknown phase": {"phase": MARKER},
    "a hello that nobody signed": {"phase": "hello", "round": 0, "request-hash": ""},
    "a hello about a request": {"phase": "hello", "round": 0, "signature": SIGNED},
    "a signed reply that is no hello": {"signature": SIGNED},
    "a signature of another length": {"head-signature": SIGNED[1:]},
    "a signature as text": {"head-signature": MARKER},
    "no payload": {"payload": b""},
    "a payload as text": {"payload": MARKER},
    "a round that is too large": {"round": MAXIMUM_ROUND + 1},
    "a hash of another length": {"request-hash": HASH[:-2]},
    "a run with capital letters": {"run": RUN.upper()},
    "a last round below 0": {"last-round": -1},
    "a last round that is too large": {"last-round": MAXIMUM_ROUND + 1},
    "a last round that is a truth value": {"last-round": True},
}

BAD_REFUSALS = {
    "an unknown code": {"code": MARKER},
    "a code that is no text": {"code": 7},
    "a text beside the code": {"reason": MARKER},
    "a very long party": {"party": "a" * (MAXIMUM_TEXT + 1)},
    "a party that is not printable": {"party": "shop\u202e"},
    "a round below 0": {"round": -1},
    "a round that is too large": {"round": MAXIMUM_ROUND + 1},
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
        (replace(COLLECT, round=2), "more openings than rounds before"),
        (replace(COLLECT, openings=(FLOATS, FLOATS)), "64-bit integers"),
        (replace(COLLECT, openings=(np.zeros((2, 2), np.int64), np.zeros(2, np.int64))), "64-bit integers"),
        (replace(COLLECT, submissions={"shop-a": b"1"}), "to open and to prove carry submissions"),
        (replace(OPEN, submissions={}), "to open and to prove carry submissions"),
        (replace(PROVE, submissions={}), "to open and to prove carry submissions"),
        (replace(COLLECT, head_signatures={MAXIMUM_MEMBERS + 1: SIGNED}), "out of range"),
        (replace(COLLECT, head_signatures={1: SIGNED[1:]}), "does not have 64 bytes"),
        (replace(HELLO, round=1), "not 0 in a hello"),
        (replace(HELLO, openings=(np.zeros(2, np.int64),)), "a hello carries openings"),
        (replace(HELLO, submissions={"shop-a": b"1"}), "to open and to prove carry submissions"),
        (replace(HELLO, request_hash=HASH), "not empty in a hello"),
    ],
)
def test_an_ask_that_no_node_would_accept_is_not_sent(ask: Ask, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        encode_ask(ask)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (replace(REPLY, payload=b""), "no payload"),
        (replace(REPLY, signature=SIGNED), "introduces the node"),
        (replace(REPLY, last_round=MAXIMUM_ROUND + 1), "last round"),
        (replace(GREETING, signature=b""), "does not have 64 bytes"),
        (replace(REFUSAL, round=-1), "outside 0 to"),
    ],
)
def test_an_answer_that_no_server_would_accept_is_not_sent(answer: Reply | Refusal, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        encode_answer(answer)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("number", [0, 1, MAXIMUM_ROUND])
def test_whoever_could_not_read_an_ask_can_say_so(phase: Phase, number: int) -> None:
    refusal = replace(REFUSAL, party="", phase=phase, round=number)

    assert decode_answer(encode_answer(refusal)) == refusal


def test_a_member_that_is_no_party_may_greet_without_a_head() -> None:
    auditor = replace(GREETING, role="auditor", head_signature=b"", payload=b"")

    assert decode_answer(encode_answer(auditor)) == auditor


ELSEWHERE: dict[str, Any] = {
    "run": "cd" * 16,
    "contract_hash": "cd" * 32,
    "party": "shop-b",
    "role": "collector",
    "version": "0.2.0",
    "committee_member": 2,
    "last_round": 8,
    "payload": GENESIS.to_bytes(),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_introduction_is_about_everything_that_a_hello_says(name: str) -> None:
    said = GREETING.introduction(HASH)

    if name == "contract_hash":
        assert GREETING.introduction(ELSEWHERE[name]) != said
    else:
        assert replace(GREETING, **{name: ELSEWHERE[name]}).introduction(HASH) != said


def test_an_introduction_tells_no_member_from_member_0() -> None:
    said = [replace(GREETING, committee_member=member).introduction(HASH) for member in (None, 0)]

    assert said[0] != said[1]


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


@pytest.mark.parametrize("original", [encode_ask(ask) for ask in (OPEN, PROVE, COLLECT, HELLO)])
def test_a_mutated_ask_is_an_ask_or_refused(original: RecordDict) -> None:
    refused = _survey(original, decode_ask, encode_ask)

    assert refused > 500


@pytest.mark.parametrize("original", [encode_answer(answer) for answer in (REPLY, GREETING, REFUSAL)])
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

    assert {type(value) for value in encode_ask(ask)["fedscore"].values()} == {str, int, bytes, list}
