"""A hundred thousand messages of a hostile server open nothing that is not the sum of one honest cohort.

A script is a string of bytes that hypothesis draws; every decision consumes one. It picks a moment of a true
history, puts a committee member's memory back to it, and sends it messages: true ones, spoiled by mutators
that know what a message is made of. The server is as strong as the threat model makes it: it knows every
message that was ever sent, and has the keys of a colluding organisation, which is a party and a member and
may sign anything. It derives requests like everybody else, so most spoiled messages get a matching hash.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.memory import NodeState
from fedscore.errors import EncryptionError, FedscoreError, ProtocolError, SignatureRefused
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import decode_answer, decode_ask, encode_answer, encode_ask
from fedscore.messages.transcript import chain_openings, read_head, submission_digest
from fedscore.sums.paillier import PaillierCombiner, PaillierMember
from fedscore.sums.series import HEAD_DOMAIN
from fedscore.sums.submission import SIGNATURE_DOMAIN, check_submissions, read_vectors, statement_of
from privacy.identities import verify_signature
from simulations.keys import SimulatedKeys, simulated_identity

if TYPE_CHECKING:
    from tests.properties.conftest import World

MESSAGES = 16
"""Messages of one script."""

SIGNATURE_BYTES = 64

Fields = dict[str, Any]
T = TypeVar("T")

identity_of = functools.cache(simulated_identity)


class Script:
    """Decisions, one byte each; when the bytes are used up, every decision is the first."""

    def __init__(self, decisions: bytes) -> None:
        self._decisions = decisions
        self._used = 0

    def below(self, limit: int) -> int:
        """A number from 0 on."""
        number = 0
        for _ in range((limit - 1).bit_length() // 8 + 1):
            number = number << 8 | (self._decisions[self._used] if self._used < len(self._decisions) else 0)
            self._used += 1
        return number % limit

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def one_in(self, count: int) -> bool:
        """True once in so many times, and never when the bytes are used up."""
        return self.below(count) == count - 1


ODD_VALUES: Sequence[Any] = [
    0,
    1,
    -1,
    2**32,
    2**63 - 1,
    -(2**63),
    True,
    0.5,
    float("nan"),
    "",
    "\n",
    "marker",
    b"",
    bytes(64),
    [],
    [0],
    [1, 2],
    [2**40],
    [0.5],
    [True],
    ["", ""],
    ["agency", "north", "south"],
    [b""],
    [b"", b"", b""],
]

GROUPS: Sequence[Sequence[str]] = [
    ("run",),
    ("round",),
    ("contract-hash",),
    ("head",),
    ("opening",),
    ("signers", "head-signatures"),
    ("request-hash",),
    ("openings",),
    ("parties", "submissions"),
    ("parties", "submissions"),
    ("head", "opening", "signers", "head-signatures"),
    ("run", "openings"),
    ("round", "head"),
    ("phase",),
    ("phase", "run", "round", "head", "request-hash", "openings"),
]
"""What is grafted from one message into another: fields that belong together, and fields that do not."""

Mutator = Callable[[Fields, Script, "World"], None]


def fields_of(ask: Ask) -> Fields:
    return dict(encode_ask(ask)["fedscore"])


def damaged(value: Any, script: Script) -> Any:  # noqa: ANN401 - whatever a record can hold
    if isinstance(value, bytes) and value:
        return damaged_bytes(value, script)
    if isinstance(value, str) and value:
        place = script.below(len(value))
        return value[:place] + script.pick(["", "0", "f", "F", "\n", "\u202e", "00"]) + value[place + 1 :]
    if isinstance(value, list) and value:
        place = script.below(len(value))
        lists = [value[:place] + value[place + 1 :], [*value, value[place]], value[::-1]]
        lists += [[*value[:place], damaged(value[place], script), *value[place + 1 :]]] * 2
        return script.pick(lists)
    return script.pick(ODD_VALUES)


def damaged_bytes(value: bytes, script: Script) -> bytes:
    place = script.below(len(value))
    flipped = value[:place] + bytes([value[place] ^ 1 << script.below(8)]) + value[place + 1 :]
    return script.pick([value[:place], value + value[place:], flipped, flipped])


def damage(fields: Fields, script: Script, _: World) -> None:
    name = script.pick(sorted(fields))
    fields[name] = damaged(fields[name], script)


def change_type(fields: Fields, script: Script, _: World) -> None:
    fields[script.pick(sorted(fields))] = script.pick(ODD_VALUES)


def change_fields(fields: Fields, script: Script, _: World) -> None:
    if script.below(2):
        fields[script.pick(["extra", "", "Round", "kind"])] = script.pick(ODD_VALUES)
    else:
        del fields[script.pick(sorted(fields))]


def graft(fields: Fields, script: Script, world: World) -> None:
    other = fields_of(script.pick(world.asks))
    for name in script.pick(GROUPS):
        fields[name] = other[name]


def move_round(fields: Fields, script: Script, _: World) -> None:
    fields["round"] = script.pick([fields["round"] + 1, fields["round"] - 1, 1, 50, 2**32 - 1])


def move_run(fields: Fields, script: Script, world: World) -> None:
    fields["run"] = script.pick(world.runs)


def change_phase(fields: Fields, script: Script, world: World) -> None:
    phase = script.pick([Phase.PROVE, Phase.PROVE, Phase.OPEN, Phase.COLLECT, Phase.HELLO])
    if phase in (Phase.OPEN, Phase.PROVE) and submissions_of(fields, script, world):
        fields["phase"] = str(phase)
    if phase in (Phase.COLLECT, Phase.HELLO):
        fields["phase"], fields["parties"], fields["submissions"] = str(phase), [], []
    if phase is Phase.HELLO:
        fields["round"], fields["request-hash"], fields["openings"] = 0, "", []


def submissions_of(fields: Fields, script: Script, world: World) -> dict[str, bytes]:
    """What the message brings, by party; where it asks for a vector, it asks for the sum from here on."""
    if fields["phase"] == Phase.COLLECT and fields["request-hash"] in world.made:
        fields["phase"] = str(Phase.OPEN)
        put_submissions(fields, some_cohort(fields["request-hash"], script, world))
    return dict(zip(fields["parties"], fields["submissions"], strict=False))


def put_submissions(fields: Fields, submissions: Mapping[str, bytes]) -> None:
    fields["parties"] = sorted(submissions)
    fields["submissions"] = [submissions[name] for name in fields["parties"]]


def some_cohort(digest: str, script: Script, world: World) -> dict[str, bytes]:
    """A valid submission of every party, which may be others than those that were opened."""
    return {party: script.pick(sorted(made)) for party, made in sorted(world.made[digest].items())}


def another_cohort(fields: Fields, script: Script, world: World) -> None:
    if submissions_of(fields, script, world) and fields["request-hash"] in world.made:
        put_submissions(fields, some_cohort(fields["request-hash"], script, world))


def drop_party(fields: Fields, script: Script, world: World) -> None:
    held = submissions_of(fields, script, world)
    for _ in range(1 + script.one_in(4)):
        if len(held) > 1:
            del held[script.pick(sorted(held))]
    put_submissions(fields, held)


def add_party(fields: Fields, script: Script, world: World) -> None:
    held = submissions_of(fields, script, world)
    if held:
        name = script.pick(["invented", "auditor", *world.contract.parties_by_name])
        put_submissions(fields, {**held, name: held[script.pick(sorted(held))]})


def rename_party(fields: Fields, script: Script, world: World) -> None:
    held = submissions_of(fields, script, world)
    if held:
        sent = held.pop(script.pick(sorted(held)))
        put_submissions(fields, {**held, script.pick(["invented", *world.contract.parties_by_name]): sent})


def exchange_submissions(fields: Fields, script: Script, world: World) -> None:
    held = submissions_of(fields, script, world)
    if held:
        one, other = script.pick(sorted(held)), script.pick(sorted(held))
        put_submissions(fields, {**held, one: held[other]})


def borrow_submission(fields: Fields, script: Script, world: World) -> None:
    """Takes a valid submission of this round or of another one."""
    held = submissions_of(fields, script, world)
    if held:
        party = script.pick(sorted(held))
        known = world.made[script.pick(sorted(world.made))]
        put_submissions(fields, {**held, party: script.pick(sorted(known.get(party, {b""})))})


def damage_submission(fields: Fields, script: Script, world: World) -> None:
    held = submissions_of(fields, script, world)
    if held:
        party = script.pick(sorted(held))
        sent = held[party]
        end = script.pick([len(sent), SIGNATURE_BYTES, SIGNATURE_BYTES + 100, 0])
        put_submissions(
            fields, {**held, party: damaged(sent[: len(sent) - end], script) + sent[len(sent) - end :]}
        )


def sign_as_colluder(fields: Fields, script: Script, world: World) -> None:
    """Steals a vector with its proof, of any party and round, and signs it as the colluder's for this one."""
    held = submissions_of(fields, script, world)
    envelope = world.envelopes.get(fields["request-hash"])
    if not held or envelope is None:
        return
    known = world.made[fields["request-hash"] if script.below(2) else script.pick(sorted(world.made))]
    body = script.pick(sorted(known[script.pick(sorted(known))]))[:-SIGNATURE_BYTES]
    if script.one_in(3):
        body = damaged(body, script)
    signature = identity_of(world.colluder).sign(
        SIGNATURE_DOMAIN, world.statement(envelope, world.colluder) + body
    )
    put_submissions(fields, {**held, world.colluder: body + signature})


def change_openings(fields: Fields, script: Script, _: World) -> None:
    openings = list(fields["openings"])
    match script.below(4):
        case 0:
            openings = openings[:-1]
        case 1 if openings:
            openings[-1] = bytes(8) + openings[-1][8:]
        case 2 if openings:
            openings = openings[::-1]
        case _ if len(openings) + 1 < fields["round"]:
            openings = [*openings, bytes(8 * 54)]
    fields["openings"] = openings


def forge_head(fields: Fields, script: Script, world: World) -> None:
    """Writes a history that suits the server, and has the colluding member vouch for it."""
    head = read_or_genesis(fields, world)
    openings = tuple(np.frombuffer(opening, dtype="<i8").astype(np.int64) for opening in fields["openings"])
    everyone = dict.fromkeys(world.contract.parties_by_name, "0" * 64)
    changes: Sequence[dict[str, Any]] = [
        {"round": head.round + 1},
        {"round": max(0, fields["round"] - 1), "step": min(head.step, max(0, fields["round"] - 1))},
        {"submissions": {**everyone, **head.submissions}},
        {"submissions": everyone},
        {"run": fields["run"]},
        {"openings": chain_openings(openings), "step": len(openings), "run": fields["run"]},
        {"openings": chain_openings(openings), "step": len(openings), "round": max(1, fields["round"] - 1)},
        {"previous": head.hash, "round": head.round + 1},
        {"request": fields["request-hash"]},
        {"opening": "0" * 64},
        {"key_id": "0" * 64},
    ]
    fields["head"] = replace(head, **script.pick(changes)).to_bytes()
    if script.below(4):
        vouch_as_colluder(fields, script, world)


def read_or_genesis(fields: Fields, world: World) -> Head:
    try:
        return read_head(fields["head"])
    except ProtocolError:
        return world.series.genesis


def forge_opening(fields: Fields, script: Script, world: World) -> None:
    """Publishes another opening of the last sum, in a history that is consistent with it."""
    if not fields["openings"] or not fields["opening"]:
        return
    *earlier, last = fields["openings"]
    forged = damaged_bytes(fields["opening"], script)
    if fields["opening"] == last:
        forged = last = bytes([last[0] ^ 1]) + last[1:]
    fields["openings"], fields["opening"] = [*earlier, last], forged
    openings = [np.frombuffer(opening, dtype="<i8") for opening in fields["openings"]]
    opening = hashlib.sha256(forged).hexdigest()
    head = replace(read_or_genesis(fields, world), openings=chain_openings(openings), opening=opening)
    fields["head"] = head.to_bytes()
    vouch_as_colluder(fields, script, world)


def ask_of_a_sibling(fields: Fields, script: Script, world: World) -> None:
    """Asks for the sum of another round that is chained to the same head."""
    siblings = [turn for turn in world.turns.values() if turn.head.to_bytes() == fields["head"]]
    if siblings and fields["phase"] != Phase.HELLO:
        other = fields_of(script.pick(siblings))
        for name in ("run", "round", "request-hash", "openings"):
            fields[name] = other[name]
        fields["phase"] = str(Phase.OPEN)
        put_submissions(fields, some_cohort(fields["request-hash"], script, world))


def vouch_as_colluder(fields: Fields, script: Script, world: World) -> None:
    signature = identity_of(world.colluder).sign(HEAD_DOMAIN, fields["head"])
    held = dict(zip(fields["signers"], fields["head-signatures"], strict=False))
    match script.below(3):
        case 0:
            held = {3: signature}
        case 1:
            held = {**held, 3: signature}
        case _:
            held = dict.fromkeys((1, 2, 3, 4), signature)
    fields["signers"] = sorted(held)
    fields["head-signatures"] = [held[number] for number in fields["signers"]]


def drop_vouchers(fields: Fields, script: Script, _: World) -> None:
    kept = script.below(2)
    fields["signers"], fields["head-signatures"] = fields["signers"][:kept], fields["head-signatures"][:kept]


def begin_again(fields: Fields, script: Script, world: World) -> None:
    """Asks for a run's first sum once more, or for another run's."""
    fields["phase"], fields["parties"], fields["submissions"] = str(Phase.COLLECT), [], []
    fields["run"], fields["openings"] = script.pick(world.runs), []
    fields["round"] = max(fields["round"] + script.below(3), 1)


def drop_opening(fields: Fields, _: Script, __: World) -> None:
    fields["opening"] = b""


KNOWING: Sequence[Mutator] = [
    graft,
    graft,
    move_round,
    move_run,
    change_phase,
    drop_party,
    add_party,
    rename_party,
    exchange_submissions,
    borrow_submission,
    borrow_submission,
    another_cohort,
    another_cohort,
    damage_submission,
    sign_as_colluder,
    sign_as_colluder,
    change_openings,
    forge_head,
    forge_head,
    forge_opening,
    ask_of_a_sibling,
    vouch_as_colluder,
    drop_vouchers,
    drop_opening,
    begin_again,
]
"""Mutators that leave an ask an ask."""

BLIND: Sequence[Mutator] = [damage, damage, change_type, change_fields]
"""Mutators that seldom do."""


def repaired(records: RecordDict, world: World) -> RecordDict:
    """Derives the request's hash anew, as a server can that follows the protocol in all but one point."""
    try:
        ask = decode_ask(records)
        turn = world.agenda_of(world.contract, ask.run).turn(
            ask.openings, round_number=ask.round, head=ask.head.hash
        )
    except FedscoreError:
        return records
    if ask.phase is Phase.HELLO:
        return records
    return encode_ask(replace(ask, request_hash=turn.envelope.digest))


def records_of(fields: Fields, script: Script) -> RecordDict:
    if not script.one_in(40):
        return RecordDict({"fedscore": ConfigRecord(fields)})
    return script.pick(
        [
            RecordDict(),
            RecordDict({"": ConfigRecord(fields)}),
            RecordDict({"fedscore": ConfigRecord(fields), "more": ConfigRecord({})}),
            RecordDict({"fedscore": ArrayRecord([np.zeros(2)])}),
            RecordDict({"fedscore": MetricRecord({"round": 1})}),
        ]
    )


def message(script: Script, world: World, ask: Ask) -> RecordDict:
    """One message: a true ask, spoiled in none to three ways."""
    if ask.phase is Phase.OPEN and script.one_in(3):
        ask = replace(ask, phase=Phase.PROVE)
    fields = fields_of(ask)
    try:
        for _ in range(script.pick([0, 1, 1, 1, 1, 2, 2, 3])):
            mutator = script.pick(BLIND) if script.one_in(12) else script.pick(KNOWING)
            mutator(fields, script, world)
        records = records_of(fields, script)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError):
        # A mutator cannot read what another one left, or Flower cannot carry it: the message stays as it was.
        return encode_ask(ask)
    return repaired(records, world) if script.below(4) else records


REASONS: Mapping[str, tuple[RefusalCode, str]] = {
    "another contract": (RefusalCode.CONTRACT, "another contract"),
    "another key": (RefusalCode.TRANSCRIPT, "transcript is of another key"),
    "other openings": (RefusalCode.TRANSCRIPT, "openings are not those that the transcript's head"),
    "not after the head": (RefusalCode.ROUND, "is not after the transcript's head"),
    "another request": (RefusalCode.REQUEST, "derived another request"),
    "openings of another length": (RefusalCode.REQUEST, "were asked for"),
    "an older question": (RefusalCode.ROUND, "this node answered round"),
    "an older history": (RefusalCode.TRANSCRIPT, "an older history is refused"),
    "a fork": (RefusalCode.TRANSCRIPT, ": a fork$"),
    "the middle of a run": (RefusalCode.ROUND, "did not answer the run's earlier sums"),
    "a run that is over": (RefusalCode.ROUND, "another run has followed this one"),
    "too many runs": (RefusalCode.ROUND, "the key has served"),
    "too many repeats": (RefusalCode.BUDGET, "asks for a sum once more"),
}
"""What a node refuses before its gate has a word."""

GATE: Mapping[str, tuple[RefusalCode, str]] = {
    "a forked or older head": (RefusalCode.TRANSCRIPT, "forked or older history"),
    "abstains": (RefusalCode.TRANSCRIPT, "this member abstains"),
    "nobody vouches": (RefusalCode.TRANSCRIPT, "nothing proves the server's transcript"),
    "an older round": (RefusalCode.ROUND, "which this member has released"),
    "another cohort": (RefusalCode.ROUND, "was released for another cohort"),
    "strangers": (RefusalCode.COHORT, "of nobody on the contract's roster"),
    "too few": (RefusalCode.COHORT, "a cohort of"),
    "malformed": (
        RefusalCode.SUBMISSION,
        r"another length|bytes are refused|differs from|ciphertext \d",
    ),
    "unsigned": (RefusalCode.SUBMISSION, "is not that of the key"),
    "unproven": (RefusalCode.SUBMISSION, "vector is not its own|does not hold|the proof's"),
}
"""What a gate refuses. That a round is after its own head it checks once more, and never refuses here."""

RETURNED = {"came back": (RefusalCode.COHORT, "missing from a sum of this run")}
"""What it refuses where parties may be absent."""


@dataclass
class Survey:
    """What became of the messages."""

    sent: int = 0
    no_ask: int = 0
    released: int = 0
    proven: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    codes: Counter[RefusalCode] = field(default_factory=Counter)
    reasons: list[tuple[RefusalCode, str]] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)

    def sort_reasons(self, known: Mapping[str, tuple[RefusalCode, str]]) -> None:
        for code, text in self.reasons:
            names = [name for name, (of, words) in known.items() if of is code and re.search(words, text)]
            self.checks[names[0] if names else f"{code}: {text}"] += 1
        self.reasons.clear()


class _Listener(logging.Handler):
    """Reads a node's log, which says why it refused."""

    def __init__(self, survey: Survey) -> None:
        super().__init__()
        self._survey = survey

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None:
            raise AssertionError("the node failed inside") from record.exc_info[1]
        assert isinstance(record.args, tuple)
        _, _, code, reason = record.args
        assert isinstance(code, RefusalCode)
        self._survey.reasons.append((code, str(reason)))


@contextmanager
def listening(survey: Survey) -> Iterator[None]:
    logger = logging.getLogger("clients.node")
    listener = _Listener(survey)
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(listener)


def vouchers_of(world: World, ask: Ask) -> int:
    """Members whose signature under the head is with the ask."""
    count = 0
    for number, signature in ask.head_signatures.items():
        try:
            verify_signature(world.series.member_keys[number], HEAD_DOMAIN, ask.head.to_bytes(), signature)
        except (KeyError, SignatureRefused):
            continue
        count += 1
    return count


def opened_by(state: NodeState, head: Head) -> bool:
    """Whether the head is of the sum that the member helped to open last."""
    released = state.released
    return released is not None and (released.request, released.submissions) == (
        head.request,
        head.submissions,
    )


class Judge:
    """Knows what the member may do, from the true history alone."""

    def __init__(self, world: World, state: NodeState, survey: Survey) -> None:
        self._world = world
        self._survey = survey
        self._own = set(state.made_since)
        self._sent: dict[int, bytes] = {}
        self._released: dict[int, tuple[str, dict[str, str]]] = {}
        if state.collected is not None:
            self._sent[state.collected.round] = state.collected.submission
        if state.released is not None:
            self._released[state.released.round] = (state.released.request, dict(state.released.submissions))

    def judge(self, ask: Ask, answer: Reply | Refusal, before: NodeState, after: NodeState) -> None:
        assert (answer.party, answer.phase, answer.round) == (self._world.target, ask.phase, ask.round)
        assert after.last_round >= before.last_round
        assert before.abstains or not after.abstains
        if after.head != before.head:
            self._judge_step(ask, before, after)
        if isinstance(answer, Refusal):
            assert answer.code not in (RefusalCode.INTERNAL, RefusalCode.VERSION, RefusalCode.DATA)
            assert (after.collected, after.released) == (before.collected, before.released)
            return
        if answer.head_signature:
            self._judge_voucher(ask, answer, after)
        if ask.phase is Phase.COLLECT:
            if ask.round not in self._sent:
                self._own.add(submission_digest(answer.payload))
            assert self._sent.setdefault(ask.round, answer.payload) == answer.payload, (
                "two vectors of a round"
            )
        if ask.phase in (Phase.OPEN, Phase.PROVE):
            assert ask.head == after.head, "a round of a history that the member does not know to be true"
            assert not after.abstains
            self._judge_release(ask)

    def _judge_step(self, ask: Ask, before: NodeState, after: NodeState) -> None:
        """The member moved along the transcript."""
        assert after.head == ask.head
        assert after.head.hash in self._world.heads, "the member follows a false history"
        assert after.head.round > before.head.round
        assert not after.abstains
        if not before.abstains and opened_by(before, after.head):
            self._survey.steps["opened"] += 1
        else:
            vouchers = vouchers_of(self._world, ask)
            assert vouchers > self._world.series.colluding_members, "nothing proves this history"
            if before.abstains or before.head.round == 0:
                assert after.head.submissions.get(self._world.target) in self._own, "it may have forgotten"
            self._survey.steps["freed" if before.abstains else "vouched"] += 1
        self._own.clear()

    def _judge_voucher(self, ask: Ask, reply: Reply, after: NodeState) -> None:
        head = read_head(reply.payload) if ask.phase is Phase.HELLO else ask.head
        assert head == after.head, "the member vouches for what it does not know"
        assert not after.abstains
        key = identity_of(self._world.target).public.signing_key
        verify_signature(key, HEAD_DOMAIN, head.to_bytes(), reply.head_signature)
        self._survey.steps["vouches"] += 1

    def _judge_release(self, ask: Ask) -> None:
        world = self._world
        true = world.turns.get(ask.request_hash)
        assert true is not None, "a sum that was never asked for"
        assert (ask.run, ask.round, ask.head) == (true.run, true.round, true.head)
        assert ask.contract_hash == world.contract.hash()
        assert chain_openings(ask.openings) == chain_openings(true.openings)
        assert len(ask.submissions) >= world.contract.smallest_cohort
        made = world.made[ask.request_hash]
        assert all(sent in made.get(party, ()) for party, sent in ask.submissions.items())
        if ask.openings:
            assert ask.submissions.keys() <= true.head.cohort
        cohort = {party: submission_digest(sent) for party, sent in ask.submissions.items()}
        released = self._released.setdefault(ask.round, (ask.request_hash, cohort))
        assert released == (ask.request_hash, cohort), "two cohorts of a round"
        assert ask.round == max(self._released), "a round before one that was released"
        for request, earlier in self._released.values():
            if world.turns[request].run == ask.run:
                assert cohort.keys() <= earlier.keys(), "somebody came back into a run"


def survey_of(world: World, *, scripts: int) -> Survey:
    """Runs so many scripts and judges every answer."""
    survey = Survey()

    @settings(
        max_examples=scripts,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=40 * MESSAGES, max_size=40 * MESSAGES))
    def attack(decisions: bytes) -> None:
        script = Script(decisions)
        asks = world.asks
        moment = script.below(len(world.moments) if script.one_in(3) else len(asks))
        state, now = world.moments[moment]
        place = asks.index(now)
        world.memory.store(state)
        judge = Judge(world, state, survey)
        for _ in range(MESSAGES):
            survey.sent += 1
            near = place + script.pick([0, 0, 0, 0, 0, 0, 1, 1, -1, 2])
            chosen = script.below(len(asks)) if script.one_in(12) else max(0, min(near, len(asks) - 1))
            records = message(script, world, asks[chosen])
            try:
                ask = decode_ask(records)
            except FedscoreError:
                survey.no_ask += 1
                continue
            assert dict(encode_ask(ask)["fedscore"]) == dict(records["fedscore"])
            before = world.memory.load()
            answer = world.node.answer(ask)
            assert decode_answer(encode_answer(answer)) == answer
            judge.judge(ask, answer, before, world.memory.load())
            if isinstance(answer, Refusal):
                survey.codes[answer.code] += 1
            else:
                # What was answered is over for the most part: the server goes on.
                place = max(place, min(chosen + script.below(2), len(asks) - 1))
                survey.released += ask.phase is Phase.OPEN
                survey.proven += ask.phase is Phase.PROVE

    with listening(survey):
        attack()
    survey.sort_reasons({**REASONS, **GATE, **RETURNED})
    return survey


def require_known(survey: Survey, *, messages: int) -> None:
    assert survey.sent == messages
    assert set(survey.checks) <= {*REASONS, *GATE, *RETURNED}, "a refusal that this test does not know"
    assert survey.released, "not even what is honest was released"


def require_depth(survey: Survey, *, messages: int, checks: Mapping[str, object]) -> None:
    """The attack was one: it reached the gate, was let through where it was honest, and met every check."""
    require_known(survey, messages=messages)
    assert {name for name in checks if not survey.checks[name]} == set()
    assert survey.proven
    assert all(survey.steps[step] for step in ("opened", "vouched", "freed", "vouches"))
    decided = sum(survey.checks[name] for name in {**GATE, **RETURNED})
    assert survey.released + survey.proven + decided > 0.3 * messages
    assert survey.no_ask < 0.3 * messages


GATE_CODES = {RefusalCode.TRANSCRIPT, RefusalCode.ROUND, RefusalCode.COHORT, RefusalCode.SUBMISSION}


@pytest.mark.parametrize("absences", ["strict", "lenient"])
def test_a_few_messages_open_nothing_but_honest_sums(absences: str, request: pytest.FixtureRequest) -> None:
    survey = survey_of(request.getfixturevalue(absences), scripts=13)

    require_known(survey, messages=13 * MESSAGES)
    assert set(survey.codes) >= GATE_CODES


def test_a_few_messages_open_nothing_of_the_real_member_either(real: World) -> None:
    survey = survey_of(real, scripts=5)

    require_known(survey, messages=5 * MESSAGES)


@pytest.mark.slow
@pytest.mark.parametrize("absences", ["strict", "lenient"])
def test_seventy_two_thousand_messages_open_nothing_but_honest_sums(
    absences: str, request: pytest.FixtureRequest
) -> None:
    survey = survey_of(request.getfixturevalue(absences), scripts=2_250)

    # Only who may be absent can come back.
    checks = {**REASONS, **GATE, **(RETURNED if absences == "lenient" else {})}
    del checks["openings of another length"]  # mostly, another check is first
    require_depth(survey, messages=36_000, checks=checks)
    assert set(survey.codes) == {
        *GATE_CODES,
        RefusalCode.CONTRACT,
        RefusalCode.REQUEST,
        RefusalCode.BUDGET,
    }


@pytest.mark.slow
def test_ten_thousand_messages_open_nothing_of_the_real_member(real: World) -> None:
    survey = survey_of(real, scripts=625)

    require_depth(survey, messages=10_000, checks=GATE)


def answers_of(world: World) -> list[RecordDict]:
    """An answer of each kind, as records."""
    hello = next(ask for ask in world.asks if ask.phase is Phase.HELLO)
    answers: list[Reply | Refusal] = []
    for state, ask in world.moments[: world.first_moments]:
        world.memory.store(state)
        answers.append(world.node.answer(ask))
    answers.append(world.node.answer(replace(hello, contract_hash="0" * 64)))
    return [encode_answer(answer) for answer in answers]


def survey_answers(world: World, *, scripts: int) -> Counter[str]:
    """What becomes of spoiled answers at the server's codec."""
    honest = answers_of(world)
    seen: Counter[str] = Counter()

    @settings(
        max_examples=scripts,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=20 * MESSAGES, max_size=20 * MESSAGES))
    def attack(decisions: bytes) -> None:
        script = Script(decisions)
        for _ in range(MESSAGES):
            fields: Fields = dict(script.pick(honest)["fedscore"])
            for _spoil in range(script.below(3)):
                script.pick([damage, damage, change_type, change_fields])(fields, script, world)
            try:
                records = records_of(fields, script)
            except (TypeError, ValueError):
                records = script.pick(honest)
            try:
                answer = decode_answer(records)
            except FedscoreError:
                seen["refused"] += 1
                continue
            assert dict(encode_answer(answer)["fedscore"]) == dict(records["fedscore"])
            seen[type(answer).__name__] += 1

    attack()
    return seen


def test_a_few_answers_are_answers_or_refused(strict: World) -> None:
    seen = survey_answers(strict, scripts=5)

    assert seen.total() == 5 * MESSAGES
    assert all(seen[kind] for kind in ("refused", "Reply"))


@pytest.mark.slow
def test_fourteen_thousand_answers_are_answers_or_refused(strict: World) -> None:
    seen = survey_answers(strict, scripts=875)

    assert seen.total() == 14_000
    assert all(seen[kind] > 1_000 for kind in ("refused", "Reply"))
    assert seen["Refusal"] > 100


def survey_submissions(world: World, keys: SimulatedKeys, *, scripts: int) -> Counter[str]:
    """What becomes of spoiled submissions, proofs and openings where they are read."""
    public_key = keys.record.public_key
    signing_keys = world.contract.signing_keys
    combiner = PaillierCombiner(committee=keys.record.committee, signing_keys=signing_keys)
    members = [PaillierMember(share=share, signing_keys=signing_keys) for share in keys.shares]
    ask = next(ask for ask in world.asks if ask.phase is Phase.OPEN)
    envelope = world.envelopes[ask.request_hash]
    honest = dict(ask.submissions)
    product = members[0].product(honest, envelope)
    proof = members[0].prove(product, envelope)
    opened = combiner.combine(honest, {member.index: member.partial(product) for member in members}, envelope)
    vectors = read_vectors(public_key, honest, envelope)
    seen: Counter[str] = Counter()

    def submission(script: Script) -> str:
        party = script.pick(sorted(honest))
        body = honest[party][:-SIGNATURE_BYTES]
        spoiled = damaged(body, script)
        if script.below(4):
            # of the right length, so that it is read to its end
            spoiled = (spoiled + body[len(spoiled) :])[: len(body)]
        signature = identity_of(party).sign(
            SIGNATURE_DOMAIN, statement_of(public_key, envelope, party) + spoiled
        )
        sent = {**honest, party: spoiled + (signature if script.below(8) else honest[party][-64:])}
        checked = check_submissions(public_key, sent, envelope, signing_keys=signing_keys)
        assert checked.refused.keys() == ({party} if spoiled != body else set())
        try:
            read = read_vectors(public_key, sent, envelope)
        except EncryptionError:
            read = ()
        assert spoiled == body or read != vectors or spoiled[: len(body) - 1024] == body[: len(body) - 1024]
        return "".join(type(error).__name__ for error in checked.refused.values()) or "accepted"

    def partial_proof(script: Script) -> str:
        spoiled = damaged(proof, script)
        shown = combiner.proven(honest, {1: spoiled}, envelope)
        assert not shown or spoiled == proof
        return "proven" if shown else "not proven"

    def opening(script: Script) -> str:
        spoiled = damaged(opened.opening, script)
        try:
            again, _ = members[1].reopen(spoiled, envelope.shape)
        except EncryptionError as error:
            return type(error).__name__
        assert (again == product) == (spoiled == opened.opening)
        return "opened"

    @settings(
        max_examples=scripts,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=10 * MESSAGES, max_size=10 * MESSAGES))
    def attack(decisions: bytes) -> None:
        script = Script(decisions)
        for _ in range(MESSAGES):
            seen[script.pick([submission, submission, partial_proof, opening])(script)] += 1

    attack()
    return seen


def test_a_few_submissions_are_refused_for_a_reason(real: World, small_keys: SimulatedKeys) -> None:
    assert survey_submissions(real, small_keys, scripts=1).total() == MESSAGES


@pytest.mark.slow
def test_four_thousand_submissions_are_refused_for_a_reason(real: World, small_keys: SimulatedKeys) -> None:
    seen = survey_submissions(real, small_keys, scripts=250)

    assert seen.total() == 4_000
    kinds = {"CiphertextRefused", "SignatureRefused", "ProofRefused", "not proven", "OpeningError", "opened"}
    assert {kind for kind in kinds if seen[kind] < 10} == set()
