"""Which rows share an identifier? Told from digests of a few bytes, so that texts need not be kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.data.growing import GrowingArray

__all__ = ["DIGEST", "Digests", "Repeats", "digests_of", "grouped"]

DIGEST = np.dtype([("head", np.uint64), ("tail", np.uint64)])
"""128 bits of an identifier."""

Digests = npt.NDArray[np.void]
"""[n] of `DIGEST`."""


def digests_of(texts: npt.NDArray[Any]) -> Digests:
    """Digests of identifiers: equal texts have equal ones, and different texts different ones.

    They are Python's own hashes (SipHash under a key that every process draws for itself) of the text, and of
    the text behind a prefix. So nobody can choose texts that collide, and that any two of 10 million do has a
    chance of 2⁻⁸². They mean nothing to another process.

    Args:
        texts: [n] texts.

    Returns:
        [n] of `DIGEST`.
    """
    names = texts.tolist()
    digests = np.empty(len(names), dtype=DIGEST)
    digests["head"] = _hashes(names)
    digests["tail"] = _hashes(["\0" + name for name in names])
    return digests


def _hashes(texts: list[str]) -> npt.NDArray[np.uint64]:
    return np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts)).view(np.uint64)


def grouped(digests: Digests) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Brings together what has the same digest.

    Args:
        digests: [n].

    Returns:
        Positions [n], group by group and ascending within each; and where each group starts among them.
    """
    heads = digests["head"]
    order = np.argsort(heads, kind="stable")
    same = heads[order[1:]] == heads[order[:-1]]
    pairs = np.flatnonzero(same)
    if len(pairs) and not np.array_equal(digests["tail"][order[pairs]], digests["tail"][order[pairs + 1]]):
        order = np.lexsort((digests["tail"], heads))
        same = digests[order[1:]] == digests[order[:-1]]
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(order), 1), dtype=np.bool_), ~same]))
    return order, starts


class Repeats:
    """Counts identifiers that were there before, over any number of batches."""

    def __init__(self) -> None:
        """Start without any."""
        self._digests = GrowingArray(DIGEST)

    def add(self, texts: npt.NDArray[Any], digests: Digests) -> None:
        """Note the identifiers of a batch; a row without one repeats nothing.

        Args:
            texts: [n] texts, empty where a row has no identifier.
            digests: [n] digests of them.
        """
        given = texts != ""
        self._digests.append(digests if given.all() else digests[given])

    def count(self) -> int:
        """How many of them are that of an earlier row; starts anew."""
        digests = self._digests.take()
        heads = np.sort(digests["head"])
        if not (heads[1:] == heads[:-1]).any():
            return 0
        return len(digests) - len(grouped(digests)[1])
