"""How do batches become one array without ever being in memory twice? In one piece that grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GrowingArray"]

_FIRST = 1024
_GROWTH = 1.25


class GrowingArray:
    """An array to which parts are appended.

    Parts that are joined at the end stand in memory beside the result, and what they leave behind is often
    too scattered to be given back. Large pieces grow in place.
    """

    def __init__(self, kind: np.dtype[Any], shape: tuple[int, ...] = ()) -> None:
        """Start without entries.

        Args:
            kind: The type of the entries.
            shape: The shape of each.
        """
        self._shape = shape
        self._array: npt.NDArray[Any] = np.empty((0, *shape), dtype=kind)
        self._used = 0

    def append(self, part: npt.NDArray[Any]) -> None:
        """Put entries behind those that are there.

        Args:
            part: [m, *shape], of a type that the array's holds.
        """
        end = self._used + len(part)
        if end > len(self._array):
            # Nobody else has seen the array yet.
            larger = max(end, _FIRST, int(len(self._array) * _GROWTH))
            self._array.resize((larger, *self._shape), refcheck=False)
        self._array[self._used : end] = part
        self._used = end

    def take(self) -> npt.NDArray[Any]:
        """All entries; afterwards there are none."""
        taken, self._array = self._array, np.empty((0, *self._shape), dtype=self._array.dtype)
        taken.resize((self._used, *self._shape), refcheck=False)
        self._used = 0
        return taken
