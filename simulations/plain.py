"""Sums without encryption, for simulations alone: the same integers, in clear.

No node of a deployment can be built with these: they live here, above the packages that nodes import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fedscore.errors import CiphertextRefused, OpeningError
from fedscore.messages import Head
from fedscore.sums import Envelope, OpenedSum, SumShape
from fedscore.sums.series import KeySeries
from privacy.identities import PublicIdentity

__all__ = ["COMMITTEE", "PlainCombiner", "PlainMember", "PlainSealer", "plain_series"]

COMMITTEE = "plain-committee"
"""Who stands where a committee stands. It is no party, so that no party's absence is the committee's."""

_LITTLE_ENDIAN = np.dtype("<i8")
_NOTHING = "0" * 64


def plain_series(member: PublicIdentity) -> KeySeries:
    """The series of no key, whose committee is one member."""
    return KeySeries(
        genesis=Head.genesis(_NOTHING, _NOTHING),
        member_names={PlainMember.index: member.name},
        member_keys={PlainMember.index: member.signing_key},
        colluding_members=0,
    )


def _vector(sealed: bytes, shape: SumShape, sender: str) -> npt.NDArray[np.int64]:
    if len(sealed) != shape.dimension * _LITTLE_ENDIAN.itemsize:
        raise CiphertextRefused(f"{sender}: a vector of another length than was asked for")
    return np.frombuffer(sealed, dtype=_LITTLE_ENDIAN)


def _total(submissions: Mapping[str, bytes], envelope: Envelope) -> npt.NDArray[np.int64]:
    total = np.zeros(envelope.request.dimension, dtype=np.int64)
    for party, sealed in submissions.items():
        total += _vector(sealed, envelope.shape, party)
    return total


class PlainSealer:
    """Writes the integers down, after the check that packing would make."""

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """See `Sealer.seal`; refuses values that would not fit into a slot."""
        vector = np.asarray(values, dtype=_LITTLE_ENDIAN)
        if len(vector) and int(np.abs(vector).max()) > envelope.request.layout.max_abs:
            raise CiphertextRefused("a value lies outside its slot: this is a defect; nothing was sent")
        return vector.tobytes()


class PlainMember:
    """Stands where a committee member stands, and has nothing to open."""

    index = 1

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """Adds the vectors, after the check of their lengths."""
        return _total(submissions, envelope).tobytes()

    def partial(self, product: bytes) -> bytes:
        """Says that there was something to open."""
        return b"plain" if product else b""

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        """See `Member.prove`: never asked for, because plain sums always combine."""
        raise NotImplementedError

    def reopen(self, opening: bytes, shape: SumShape) -> tuple[bytes, npt.NDArray[np.int64]]:
        """See `Member.reopen`: a plain sum is its own opening."""
        try:
            return opening, _vector(opening, shape, "the opening").astype(np.int64)
        except CiphertextRefused as error:
            raise OpeningError(str(error)) from None


class PlainCombiner:
    """Adds the vectors."""

    threshold = 1

    def refused(self, submissions: Mapping[str, bytes], envelope: Envelope) -> Mapping[str, str]:
        """See `Combiner.refused`."""
        reasons = {}
        for party, sealed in submissions.items():
            try:
                _vector(sealed, envelope.shape, party)
            except CiphertextRefused as error:
                reasons[party] = str(error)
        return reasons

    def combine(
        self,
        submissions: Mapping[str, bytes],
        partials: Mapping[int, bytes],  # noqa: ARG002 - nothing was opened
        envelope: Envelope,
    ) -> OpenedSum:
        """See `Combiner.combine`."""
        total = _total(submissions, envelope)
        return OpenedSum(values=total, opening=total.tobytes())

    def proven(
        self,
        submissions: Mapping[str, bytes],  # noqa: ARG002 - there is nothing to prove
        proofs: Mapping[int, bytes],
        envelope: Envelope,  # noqa: ARG002 - there is nothing to prove
    ) -> Mapping[int, bytes]:
        """See `Combiner.proven`."""
        return proofs
