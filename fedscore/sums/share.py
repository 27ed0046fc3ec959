"""What one node puts into a private sum: its lattice total and its share of the noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.errors import DataError
from fedscore.sums.query import Query
from fedscore.sums.request import SumRequest
from privacy.dp.discrete_gaussian import bounded_discrete_gaussian
from privacy.dp.randomness import RandomSource

__all__ = ["noised_total"]

BATCH = 16_384
"""Records whose contributions are in memory at once."""


def noised_total(
    query: Query, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> npt.NDArray[np.int64]:
    """Sums the rows' contributions on the lattice and adds this party's share of the noise.

    A party without rows still sends noise.

    Args:
        query: The bounded function of a record.
        rows: The party's training rows.
        request: The derived request.
        row_cap: Largest number of rows that the slots have room for.
        randomness: Where the noise comes from: the system's, outside simulations.

    Returns:
        [dimension], each value within ± `request.max_abs`.

    Raises:
        DataError: More rows than the cap.
    """
    if len(rows) > row_cap:
        raise DataError(
            f"more training rows than the contract's row_cap of {row_cap}: "
            "nothing was sent; agree on a larger cap"
        )
    total = np.zeros(request.dimension, dtype=np.int64)
    for start in range(0, len(rows), BATCH):
        batch = rows.select(np.arange(start, min(start + BATCH, len(rows))))
        total += query.contributions(batch).lattice_total(
            scale=request.scale,
            limit_squared=request.sensitivity_squared,
            dimension=request.dimension,
        )
    if request.share_variance:
        total += bounded_discrete_gaussian(request.share_variance, request.dimension, randomness)
    return total
