"""Messages as Flower records, and back.

The wire form is one `RecordDict` with one `ConfigRecord` of scalars, byte strings and lists of them. Its keys
are exactly those written here: a record with one more or one less, with another type, or with a number out of
range is refused as a whole. What decodes, encodes to the same record again.

Nothing that a record holds appears in an error: it may have been written by anyone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
from flwr.app import ConfigRecord, RecordDict

from fedscore.errors import ProtocolError
from fedscore.messages.protocol import Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import is_hash, is_run, read_head
from privacy.identities import SIGNATURE_BYTES
from privacy.paillier.committee_rules import MAXIMUM_MEMBERS

__all__ = [
    "MAXIMUM_ROUND",
    "MAXIMUM_TEXT",
    "MESSAGE_TYPES",
    "VERSION",
    "decode_answer",
    "decode_ask",
    "encode_answer",
    "encode_ask",
    "software_of",
]

VERSION: Final = 3
"""Version of the wire form; the two sides of a conversation must have the same."""

MAXIMUM_ROUND: Final = (1 << 32) - 1
"""Largest round number, as in the wire form of vectors."""

MAXIMUM_TEXT: Final = 200
"""Largest length of a name or version, in characters."""

MESSAGE_TYPES: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.HELLO: "query.hello",
        Phase.COLLECT: "train.collect",
        Phase.OPEN: "train.open",
        Phase.PROVE: "query.prove",
    }
)
"""Flower's message type of each phase, by which it picks the handler."""

_SOFTWARE: Final = re.compile(r"[0-9A-Za-z.+!-]{1,40}")
_ABOUT_A_SUM: Final = frozenset({Phase.OPEN, Phase.PROVE})
_RECORD: Final = "fedscore"
_NO_MEMBER: Final = -1
_OPENING_TYPE: Final = np.dtype("<i8")

_ASK_KEYS: Final = frozenset(
    {
        "kind",
        "version",
        "software",
        "signature",
        "phase",
        "run",
        "round",
        "contract-hash",
        "head",
        "opening",
        "signers",
        "head-signatures",
        "request-hash",
        "openings",
        "parties",
        "submissions",
    }
)
_REPLY_KEYS: Final = frozenset(
    {
        "kind",
        "version",
        "party",
        "role",
        "software",
        "committee-member",
        "phase",
        "run",
        "round",
        "request-hash",
        "last-round",
        "head-signature",
        "signature",
        "payload",
    }
)
_REFUSAL_KEYS: Final = frozenset({"kind", "version", "software", "party", "phase", "round", "code"})

_T = TypeVar("_T")


def encode_ask(ask: Ask) -> RecordDict:
    """Write an ask as a record.

    Raises:
        ProtocolError: The ask breaks a rule of `Ask`, so that no node would accept it.
    """
    _check_ask(ask)
    names = sorted(ask.submissions)
    signers = sorted(ask.head_signatures)
    return _record(
        "ask",
        {
            "software": ask.version,
            "signature": ask.signature,
            "phase": str(ask.phase),
            "run": str(ask.run),
            "round": ask.round,
            "contract-hash": str(ask.contract_hash),
            "head": ask.head.to_bytes(),
            "opening": ask.opening,
            "signers": signers,
            "head-signatures": [ask.head_signatures[signer] for signer in signers],
            "request-hash": str(ask.request_hash),
            "openings": [opening.astype(_OPENING_TYPE).tobytes() for opening in ask.openings],
            "parties": names,
            "submissions": [ask.submissions[name] for name in names],
        },
    )


def decode_ask(records: RecordDict) -> Ask:
    """Read an ask from a record; its openings are read-only.

    Raises:
        ProtocolError: The record is no ask of this version.
    """
    fields = _fields(records, {"ask": _ASK_KEYS})
    names = _list(fields, "parties", str)
    submissions = _list(fields, "submissions", bytes)
    if names != sorted(set(names)) or len(names) != len(submissions):
        raise ProtocolError("the ask's submissions are not one for each party, in the order of their names")
    signers = _list(fields, "signers", int)
    signatures = _list(fields, "head-signatures", bytes)
    if signers != sorted(set(signers)) or len(signers) != len(signatures):
        raise ProtocolError(
            "the head's signatures are not one for each member, in the order of their numbers"
        )
    ask = Ask(
        phase=_member(fields, "phase", Phase),
        run=_value(fields, "run", str),
        round=_value(fields, "round", int),
        contract_hash=_value(fields, "contract-hash", str),
        head=read_head(_value(fields, "head", bytes)),
        opening=_value(fields, "opening", bytes),
        head_signatures=MappingProxyType(dict(zip(signers, signatures, strict=True))),
        request_hash=_value(fields, "request-hash", str),
        openings=tuple(_opening(content) for content in _list(fields, "openings", bytes)),
        submissions=MappingProxyType(dict(zip(names, submissions, strict=True))),
        version=_value(fields, "software", str),
        signature=_value(fields, "signature", bytes),
    )
    _check_ask(ask)
    return ask


def encode_answer(answer: Reply | Refusal) -> RecordDict:
    """Write a reply or a refusal as a record.

    Raises:
        ProtocolError: The answer breaks a rule of its class, so that the server would not accept it.
    """
    _check_answer(answer)
    if isinstance(answer, Refusal):
        return _record(
            "refusal",
            {
                "party": str(answer.party),
                "software": str(answer.version),
                "phase": str(answer.phase),
                "round": answer.round,
                "code": str(answer.code),
            },
        )
    return _record(
        "reply",
        {
            "party": str(answer.party),
            "role": str(answer.role),
            "software": str(answer.version),
            "committee-member": _NO_MEMBER if answer.committee_member is None else answer.committee_member,
            "phase": str(answer.phase),
            "run": str(answer.run),
            "round": answer.round,
            "request-hash": str(answer.request_hash),
            "last-round": answer.last_round,
            "head-signature": answer.head_signature,
            "signature": answer.signature,
            "payload": answer.payload,
        },
    )


def decode_answer(records: RecordDict) -> Reply | Refusal:
    """Read a reply or a refusal from a record.

    Raises:
        ProtocolError: The record is neither a reply nor a refusal of this version.
    """
    fields = _fields(records, {"reply": _REPLY_KEYS, "refusal": _REFUSAL_KEYS})
    answer: Reply | Refusal
    if fields["kind"] == "refusal":
        answer = Refusal(
            party=_value(fields, "party", str),
            version=_value(fields, "software", str),
            phase=_member(fields, "phase", Phase),
            round=_value(fields, "round", int),
            code=_member(fields, "code", RefusalCode),
        )
    else:
        member = _value(fields, "committee-member", int)
        answer = Reply(
            party=_value(fields, "party", str),
            role=_value(fields, "role", str),
            version=_value(fields, "software", str),
            committee_member=None if member == _NO_MEMBER else member,
            phase=_member(fields, "phase", Phase),
            run=_value(fields, "run", str),
            round=_value(fields, "round", int),
            request_hash=_value(fields, "request-hash", str),
            last_round=_value(fields, "last-round", int),
            head_signature=_value(fields, "head-signature", bytes),
            signature=_value(fields, "signature", bytes),
            payload=_value(fields, "payload", bytes),
        )
    _check_answer(answer)
    return answer


def software_of(records: RecordDict) -> str | None:
    """The version of fedscore that a message says its sender runs, whatever the message's own version is.

    Returns:
        A version of at most 40 letters, digits and the signs of versions; None if the message has none.
    """
    record = records.get(_RECORD)
    software = record.get("software") if isinstance(record, ConfigRecord) else None
    return software if isinstance(software, str) and _SOFTWARE.fullmatch(software) else None


def _check_ask(ask: Ask) -> None:
    hello = ask.phase is Phase.HELLO
    _demand(is_run(ask.run), "the run is not written as 32 hexadecimal digits")
    _demand(is_hash(ask.contract_hash), "the contract's hash is not 64 hexadecimal digits")
    _check_round(ask.round, ask.phase)
    _check_request_hash(ask.request_hash, ask.phase)
    _demand(hello or len(ask.openings) < ask.round, "the transcript holds more openings than rounds before")
    _demand(
        all(_is_vector(opening) for opening in ask.openings), "an opening is no vector of 64-bit integers"
    )
    _demand(
        bool(ask.submissions) == (ask.phase in _ABOUT_A_SUM),
        "the asks to open and to prove carry submissions, and no others do",
    )
    _demand(not (hello and ask.openings), "a hello carries openings")
    _check_text(ask.version, "the operator's version", empty=True)
    _check_signature(ask.signature, empty=True)
    for party in ask.submissions:
        _check_text(party, "a party's name")
    for signer, signature in ask.head_signatures.items():
        _demand(0 <= signer <= MAXIMUM_MEMBERS, "the number of the committee's member is out of range")
        _check_signature(signature)


def _check_answer(answer: Reply | Refusal) -> None:
    if isinstance(answer, Refusal):
        # Whoever could not read an ask, or got that of another phase, must be able to say so.
        _demand(0 <= answer.round <= MAXIMUM_ROUND, f"the round of a refusal is outside 0 to {MAXIMUM_ROUND}")
        _check_text(answer.party, "the party's name", empty=True)
        _check_text(answer.version, "the node's version")
        return
    _check_round(answer.round, answer.phase)
    _check_text(answer.party, "the party's name")
    _check_text(answer.role, "the party's role")
    _check_text(answer.version, "the node's version")
    _check_request_hash(answer.request_hash, answer.phase)
    _demand(is_run(answer.run), "the run is not written as 32 hexadecimal digits")
    _demand(
        answer.committee_member is None or 0 <= answer.committee_member <= MAXIMUM_MEMBERS,
        "the number of the committee's member is out of range",
    )
    hello = answer.phase is Phase.HELLO
    _demand(0 <= answer.last_round <= MAXIMUM_ROUND, f"the last round is outside 0 to {MAXIMUM_ROUND}")
    _check_signature(answer.head_signature, empty=True)
    _check_signature(answer.signature, empty=not hello)
    _demand(hello or not answer.signature, "a reply other than a hello introduces the node")
    _demand(hello or bool(answer.payload), "a reply other than a hello has no payload")


def _check_round(number: int, phase: Phase) -> None:
    fits = number == 0 if phase is Phase.HELLO else 1 <= number <= MAXIMUM_ROUND
    _demand(fits, f"the round is outside 1 to {MAXIMUM_ROUND}, or not 0 in a hello")


def _check_signature(signature: bytes, *, empty: bool = False) -> None:
    _demand(
        len(signature) == SIGNATURE_BYTES or (empty and not signature),
        f"a signature does not have {SIGNATURE_BYTES} bytes",
    )


def _check_request_hash(request_hash: str, phase: Phase) -> None:
    fits = request_hash == "" if phase is Phase.HELLO else is_hash(request_hash)
    _demand(fits, "the request's hash is not 64 hexadecimal digits, or not empty in a hello")


def _check_text(text: str, what: str, *, empty: bool = False) -> None:
    fits = len(text) <= MAXIMUM_TEXT and (empty or bool(text)) and text.isprintable()
    _demand(fits, f"{what} is empty, longer than {MAXIMUM_TEXT} characters or not printable")


def _is_vector(opening: npt.NDArray[np.int64]) -> bool:
    return opening.ndim == 1 and opening.size > 0 and opening.dtype == np.int64


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the condition is the subject
    if not holds:
        raise ProtocolError(
            f"{otherwise}: the two sides do not run the same version of fedscore, or one lies"
        )


def _record(
    kind: str, fields: dict[str, str | int | float | bytes | list[int] | list[str] | list[bytes]]
) -> RecordDict:
    content = {"kind": kind, "version": VERSION, **fields}
    return RecordDict({_RECORD: ConfigRecord(content)})  # type: ignore[arg-type]  # dict is invariant in its values


def _fields(records: RecordDict, kinds: Mapping[str, frozenset[str]]) -> Mapping[str, object]:
    record = records.get(_RECORD)
    if set(records) != {_RECORD} or not isinstance(record, ConfigRecord):
        raise ProtocolError(f"the message is not one record named {_RECORD}: it comes from another program")
    fields = cast("Mapping[str, object]", record)
    version = fields.get("version")
    if type(version) is not int or version != VERSION:
        raise ProtocolError(
            f"the message is not of version {VERSION} of the protocol: install the same fedscore everywhere"
        )
    kind = fields.get("kind")
    _demand(isinstance(kind, str) and kind in kinds, f"the message is not a {' or '.join(sorted(kinds))}")
    _demand(set(fields) == kinds[cast("str", kind)], "the message has fields too many or too few")
    return fields


def _value(fields: Mapping[str, object], key: str, kind: type[_T]) -> _T:
    value = fields[key]
    # Exact types, because a bool is an int to isinstance.
    if type(value) is not kind:
        raise ProtocolError(f"field {key} of the message is not of type {kind.__name__}")
    return value


def _list(fields: Mapping[str, object], key: str, kind: type[_T]) -> list[_T]:
    values = _value(fields, key, list)
    if not all(type(value) is kind for value in values):
        raise ProtocolError(f"field {key} of the message is not a list of {kind.__name__}")
    return cast("list[_T]", values)


def _member(fields: Mapping[str, object], key: str, kind: Callable[[str], _T]) -> _T:
    text = _value(fields, key, str)
    try:
        return kind(text)
    except ValueError:
        # Not chained: the enum's error repeats what the sender wrote.
        raise ProtocolError(f"field {key} of the message is none of its known values") from None


def _opening(content: bytes) -> npt.NDArray[np.int64]:
    if len(content) % _OPENING_TYPE.itemsize:
        raise ProtocolError("an opening is not a whole number of 64-bit integers")
    opening = np.frombuffer(content, dtype=_OPENING_TYPE).astype(np.int64)
    opening.setflags(write=False)
    return opening
