"""Sums without encryption, for simulations alone: the same integers, in clear.

No node of a deployment can be built with these: they live here, above the packages that nodes import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fedscore.errors import CiphertextRefused
from fedscore.sums import Envelope

__all__ = ["PlainCombiner", "PlainMember", "PlainSealer"]

_LITTLE_ENDIAN = np.dtype("<i8")


def _vector(sealed: bytes, envelope: Envelope, sender: str) -> npt.NDArray[np.int64]:
    if len(sealed) != envelope.request.dimension * _LITTLE_ENDIAN.itemsize:
        raise CiphertextRefused(f"{sender}: a vector of another length than was asked for")
    return np.frombuffer(sealed, dtype=_LITTLE_ENDIAN)


class PlainSealer:
    """Writes the integers down, after the check that packing would make."""

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """See `Sealer.seal`; refuses values that would not fit into a slot."""
        vector = np.asarray(values, dtype=_LITTLE_ENDIAN)
        if len(vector) and int(np.abs(vector).max()) > envelope.layout.max_abs:
            raise CiphertextRefused("a value lies outside its slot: this is a defect; nothing was sent")
        return vector.tobytes()


class PlainMember:
    """Stands where a committee member stands, and has nothing to open."""

    index = 1

    def partial(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """Checks the submissions as a member would."""
        for party, sealed in submissions.items():
            _vector(sealed, envelope, party)
        return b"plain"


class PlainCombiner:
    """Adds the vectors."""

    threshold = 1

    def open(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> npt.NDArray[np.int64]:
        """See `Combiner.open`."""
        if not partials:
            raise CiphertextRefused("no committee member answered")
        total = np.zeros(envelope.request.dimension, dtype=np.int64)
        for party, sealed in submissions.items():
            total += _vector(sealed, envelope, party)
        return total
