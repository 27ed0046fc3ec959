"""What may be said between the server and a node.

A conversation is a sequence of asks by the server; each node that is asked answers with a reply or a refusal.
An ask is only a hint: a node derives the request itself, from its own contract and from the transcript, and
refuses one whose hash differs.

Two numbers tell where an ask stands. Its *round* counts everything that was ever asked under a key, over all
runs, and never repeats. Its *step* is the position in the run's program: the number of openings before it. A
round that could not be opened is asked again as a new round of the same step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from fedscore.messages.transcript import Head, chain_openings, submission_digests

__all__ = ["ASK_DOMAIN", "SOFTWARE", "Ask", "Phase", "Refusal", "RefusalCode", "Reply"]

SOFTWARE = version("fedscore")
"""Version of fedscore that is installed here; read once, for reading it takes time."""

ASK_DOMAIN = b"fedscore ask 1"
"""Tells the operator's signature under an ask from every other signature."""


class Phase(StrEnum):
    """The four things that a server may ask a node for."""

    HELLO = "hello"
    """Who are you, and which contract did your owner accept?"""

    COLLECT = "collect"
    """Your vector of this round: clipped, noised and sealed."""

    OPEN = "open"
    """Your partial opening of the sum of all sealed vectors (members of the committee only)."""

    PROVE = "prove"
    """A proof of your partial opening: asked for only when the partial openings did not combine."""


class RefusalCode(StrEnum):
    """Why a node did not do what it was asked. A code and never a text: an exception's text may hold data."""

    CONTRACT = "contract-mismatch"
    """The node's owner accepted another contract."""

    REQUEST = "request-mismatch"
    """The node derived another request from the contract and the transcript than the server did."""

    DATA = "data-refused"
    """The node's table does not fit the contract."""

    ROUND = "round-refused"
    """The round was answered before with other content, or is older than one that was."""

    TRANSCRIPT = "transcript-refused"
    """The history is another than the one known to the node, or nobody that it trusts vouches for it."""

    COHORT = "cohort-refused"
    """The submissions are not those of an admissible cohort."""

    SUBMISSION = "submission-refused"
    """A submission is malformed, unsigned or unproven."""

    BUDGET = "budget-refused"
    """It would cost more than the node's owner lets be spent, or more rounds than were paid for."""

    LEDGER = "ledger-refused"
    """The node's own record of what it spent does not agree with what it, or others, know of it."""

    POLICY = "policy-refused"
    """The node's owner does not allow it."""

    OPERATOR = "operator-refused"
    """The ask is not signed by the operator that the node's owner named."""

    VERSION = "version-mismatch"
    """The operator runs another version of fedscore, or of these messages, than the node."""

    INTERNAL = "internal-error"
    """Something went wrong inside the node; its own log says what."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """One question of the server to one node. Compared by identity, because it holds arrays.

    Attributes:
        phase: What is asked for.
        run: The run, as 32 hexadecimal digits.
        round: The round, counted per key from 1; 0 in a hello.
        contract_hash: Hash of the contract that the server follows, as 64 hexadecimal digits.
        head: The newest link of the key's transcript, as the server knows it.
        opening: What proves the head's round to those who helped to open it; empty before the first.
        head_signatures: Signatures of committee members under the head, by member.
        request_hash: Hash of the request that the server derived; empty in a hello.
        openings: The vectors that the run's steps have opened so far.
        submissions: In `Phase.OPEN` and `Phase.PROVE` the submission of every party of the cohort, in full
            and by name; else empty.
        version: Version of fedscore at the operator.
        signature: The operator's, under `statement`.
    """

    phase: Phase
    run: str
    round: int
    contract_hash: str
    head: Head
    opening: bytes = b""
    head_signatures: Mapping[int, bytes] = field(default_factory=dict)
    request_hash: str = ""
    openings: tuple[npt.NDArray[np.int64], ...] = ()
    submissions: Mapping[str, bytes] = field(default_factory=dict)
    version: str = ""
    signature: bytes = b""

    def statement(self) -> bytes:
        """What the operator signs: every field but the signature, the large ones by their hashes."""
        fields = [
            self.version,
            self.phase,
            self.run,
            self.round,
            self.contract_hash,
            self.head.hash,
            hashlib.sha256(self.opening).hexdigest(),
            {str(member): signature.hex() for member, signature in self.head_signatures.items()},
            self.request_hash,
            chain_openings(self.openings),
            submission_digests(self.submissions),
        ]
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a node answers when it does what it was asked.

    Attributes:
        party: Name of the organisation, as in the contract's roster or the ceremony's record.
        role: Role of the party in the contract, or `auditor` for a member that is no party.
        version: Version of fedscore on the node.
        committee_member: Number of the node's key share, or None if it holds none.
        phase: Phase of the ask.
        run: Run of the ask.
        round: Round of the ask.
        request_hash: Hash of the request that the node derived itself; empty for a hello.
        last_round: The newest round that the node has answered or knows of.
        head_signature: A member's signature under the ask's head, if it knows the head to be true.
        signature: In a hello, the node's signature under who it says it is; else empty.
        payload: The submission, the partial opening or its proof; in a hello, a member's own head.
    """

    party: str
    role: str
    version: str
    committee_member: int | None
    phase: Phase
    run: str
    round: int
    request_hash: str
    last_round: int
    head_signature: bytes
    signature: bytes
    payload: bytes

    def introduction(self, contract_hash: str) -> bytes:
        """What a node signs in a hello: that it is this party, in this run and under this contract.

        Args:
            contract_hash: Of the ask.
        """
        said = [self.run, contract_hash, self.party, self.role, self.version, self.committee_member]
        return json.dumps([*said, self.last_round, self.payload.hex()], separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a node answers when it does not do what it was asked.

    Attributes:
        party: Name of the party; empty if the node could not even read its own configuration.
        version: Version of fedscore on the node.
        phase: Phase of the ask.
        round: Round of the ask; 0 if the node could not read it.
        code: Why, and nothing more.
    """

    party: str
    version: str
    phase: Phase
    round: int
    code: RefusalCode
