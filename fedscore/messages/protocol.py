"""What may be said between the server and a node.

A conversation is a sequence of asks by the server; each node that is asked answers with a reply or a refusal.
An ask is only a hint: a node derives the request itself, from its own contract and from the transcript, and
refuses one whose hash differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Ask", "Phase", "Refusal", "RefusalCode", "Reply"]


class Phase(StrEnum):
    """The three things that a server may ask a node for."""

    HELLO = "hello"
    """Who are you, and which contract did your owner accept?"""

    COLLECT = "collect"
    """Your vector of this round: clipped, noised and sealed."""

    OPEN = "open"
    """Your partial opening of the sum of all sealed vectors (members of the committee only)."""


class RefusalCode(StrEnum):
    """Why a node did not do what it was asked. A code and never a text: an exception's text may hold data."""

    CONTRACT = "contract-mismatch"
    """The node's owner accepted another contract."""

    REQUEST = "request-mismatch"
    """The node derived another request from the contract and the transcript than the server did."""

    DATA = "data-refused"
    """The node's table does not fit the contract."""

    ROUND = "round-refused"
    """The round was answered before with other content, or the transcript does not lead to it."""

    COHORT = "cohort-refused"
    """The submissions are not those of an admissible cohort."""

    CIPHERTEXT = "ciphertext-refused"
    """A submission is no canonical vector of ciphertexts."""

    VERSION = "version-mismatch"
    """The ask is none of the version of these messages that the node speaks."""

    INTERNAL = "internal-error"
    """Something went wrong inside the node; its own log says what."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """One question of the server to one node. Compared by identity, because it holds arrays.

    Attributes:
        phase: What is asked for.
        run: The run, as 32 hexadecimal digits.
        round: Counted from 0; 0 in a hello.
        contract_hash: Hash of the contract that the server follows, as 64 hexadecimal digits.
        request_hash: Hash of the request that the server derived; empty in a hello.
        openings: The transcript: the vectors that rounds 0, 1, … round - 1 opened, so `round` of them.
        submissions: In `Phase.OPEN` the sealed vector of every party, in full and by party name; else empty.
    """

    phase: Phase
    run: str
    round: int
    contract_hash: str
    request_hash: str = ""
    openings: tuple[npt.NDArray[np.int64], ...] = ()
    submissions: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a node answers when it does what it was asked.

    Attributes:
        party: Name of the party, as in the contract's roster.
        role: Role of the party in the contract.
        version: Version of fedscore on the node.
        committee_member: Number of the node's key share, or None if it holds none.
        phase: Phase of the ask.
        run: Run of the ask.
        round: Round of the ask.
        request_hash: Hash of the request that the node derived itself; empty for a hello.
        payload: The sealed vector, or the partial opening; empty for a hello.
    """

    party: str
    role: str
    version: str
    committee_member: int | None
    phase: Phase
    run: str
    round: int
    request_hash: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a node answers when it does not do what it was asked.

    Attributes:
        party: Name of the party; empty if the node could not even read its own configuration.
        phase: Phase of the ask.
        round: Round of the ask.
        code: Why, and nothing more.
    """

    party: str
    phase: Phase
    round: int
    code: RefusalCode
