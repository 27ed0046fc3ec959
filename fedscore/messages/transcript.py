"""The transcript of a key: what was opened under it, as one chain of hashes over all its runs.

A *head* is the newest link. It names the round that was opened last, who took part, and the link before it,
so two histories have two heads. Submissions are signed for one head; whoever is shown another history
produces nothing that a committee member opens.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt

from fedscore.errors import ProtocolError

__all__ = [
    "MAXIMUM_LEAD",
    "NO_OPENINGS",
    "NO_RUN",
    "Head",
    "chain_openings",
    "extend_openings",
    "is_hash",
    "is_run",
    "read_head",
    "submission_digest",
    "submission_digests",
]

NO_OPENINGS = "0" * 64
"""The chain of a run's openings before the first."""

NO_RUN = "0" * 32
"""Stands for the run where nothing was opened yet."""

MAXIMUM_LEAD = 100_000
"""Most rounds that one side may be ahead of the other, so that nobody uses up the counter at once."""

MAXIMUM_HEAD_BYTES = 1 << 20
"""Largest encoded head: room for some thousand parties."""

_RUN = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_HASHES = ("key_id", "request", "openings", "opening", "previous")


@dataclass(frozen=True, kw_only=True)  # no slots: the hash is kept once it is known
class Head:
    """The newest link of a key's transcript.

    Attributes:
        key_id: The public key's.
        round: The round that was opened last, counted per key from 1; 0 before the first.
        run: The run that it belonged to, 32 hexadecimal digits.
        step: Sums of that run that are opened, this one included.
        request: Hash of the request that it answered.
        openings: `chain_openings` of that run's openings.
        opening: SHA-256 of what proves the round's opening, its roots included: nobody foresees it.
        submissions: SHA-256 of the submission of every party of the cohort, by name.
        previous: Hash of the head before; before the first round, the key's genesis.
    """

    key_id: str
    round: int
    run: str
    step: int
    request: str
    openings: str
    opening: str
    submissions: Mapping[str, str]
    previous: str

    @classmethod
    def genesis(cls, key_id: str, seed: str) -> Self:
        """The head before the first round.

        Args:
            key_id: The public key's.
            seed: Hash that all members' nonces went into, 64 hexadecimal digits.
        """
        return cls(
            key_id=key_id,
            round=0,
            run=NO_RUN,
            step=0,
            request=NO_OPENINGS,
            openings=NO_OPENINGS,
            opening=NO_OPENINGS,
            submissions=MappingProxyType({}),
            previous=seed,
        )

    @property
    def cohort(self) -> frozenset[str]:
        """Who took part in the round."""
        return frozenset(self.submissions)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical bytes, 64 hexadecimal digits."""
        return hashlib.sha256(self._canonical).hexdigest()

    def successor(
        self,
        *,
        round_number: int,
        run: str,
        step: int,
        request: str,
        submissions: Mapping[str, str],
        values: npt.NDArray[np.int64],
        opening: bytes,
    ) -> Head:
        """The head after this one, once a round chained to it is opened.

        Args:
            round_number: The round's, counted per key.
            run: Its run.
            step: Sums of that run that were opened before.
            request: Hash of the request that it answered.
            submissions: `submission_digests` of its cohort.
            values: The opened sum.
            opening: What proves it.
        """
        return Head(
            key_id=self.key_id,
            round=round_number,
            run=run,
            step=step + 1,
            request=request,
            openings=extend_openings(self.openings if step else NO_OPENINGS, values),
            opening=hashlib.sha256(opening).hexdigest(),
            submissions=submissions,
            previous=self.hash,
        )

    def to_bytes(self) -> bytes:
        """The canonical form: JSON, keys sorted, no blanks, ASCII."""
        return self._canonical

    @functools.cached_property
    def _canonical(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["submissions"] = dict(self.submissions)
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def chain_openings(openings: Iterable[npt.NDArray[np.int64]]) -> str:
    """Chains a run's openings, so that two histories of one run differ."""
    chain = NO_OPENINGS
    for opening in openings:
        chain = extend_openings(chain, opening)
    return chain


def extend_openings(chain: str, opening: npt.NDArray[np.int64]) -> str:
    """Adds one opening to the chain of those before it."""
    body = struct.pack("<Q", opening.size) + np.ascontiguousarray(opening, dtype="<i8").tobytes()
    return hashlib.sha256(bytes.fromhex(chain) + body).hexdigest()


def submission_digest(submission: bytes) -> str:
    """What a head keeps of a submission: its SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(submission).hexdigest()


def submission_digests(submissions: Mapping[str, bytes]) -> dict[str, str]:
    """What a head keeps of a cohort's submissions, by party."""
    return {party: submission_digest(submission) for party, submission in sorted(submissions.items())}


def is_run(text: str) -> bool:
    """Whether a text is a run's id: 32 lower-case hexadecimal digits."""
    return _RUN.fullmatch(text) is not None


def is_hash(text: str) -> bool:
    """Whether a text is a SHA-256 digest as it is written here: 64 lower-case hexadecimal digits."""
    return _HASH.fullmatch(text) is not None


@functools.lru_cache(maxsize=8)  # in one process, all parties of a simulation read the same head
def read_head(data: bytes) -> Head:
    """Reads the canonical form of a head and no other.

    Raises:
        ProtocolError: The bytes are no head; the message holds nothing of them.
    """
    if len(data) > MAXIMUM_HEAD_BYTES:
        raise ProtocolError(f"a transcript head of more than {MAXIMUM_HEAD_BYTES} bytes is refused")
    try:
        fields = json.loads(data)
        head = Head(**{**fields, "submissions": MappingProxyType(fields["submissions"])})
        _check(head)
        canonical = head.to_bytes() == data
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        raise _malformed() from None
    if not canonical:
        raise _malformed()
    return head


def _check(head: Head) -> None:
    whole = type(head.round) is int and type(head.step) is int and 0 <= head.step <= head.round < 1 << 32
    hashes = [*(getattr(head, name) for name in _HASHES), *head.submissions.values()]
    # A pattern refuses what is no text with a TypeError.
    if not (whole and is_run(head.run) and all(map(is_hash, hashes))):
        raise _malformed()


def _malformed() -> ProtocolError:
    return ProtocolError(
        "a transcript head is malformed: the two sides do not run the same version of fedscore, or one lies"
    )
