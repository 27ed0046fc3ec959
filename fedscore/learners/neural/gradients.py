"""The bounded function of a record that shared training sums: its clipped gradient.

Formal guarantee: a record adds a vector of norm C at most (`max_grad_norm`), which depends on that record and
on public parameters alone, bit by bit (`fixed_point`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.extra import require_neural_extra
from fedscore.learners.neural.inputs import Inputs
from fedscore.sums import CellContributions, DenseContributions, Query

__all__ = ["GradientQuery", "OutcomeCounts"]


@dataclass(frozen=True, slots=True)
class OutcomeCounts(Query):
    """Bad and good records: one count per record, squared norm 1."""

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed
        """Bad, then good."""
        return 2

    def contributions(self, rows: Rows) -> CellContributions:
        """One count per record."""
        cells = np.where(rows.outcome == 1, 0, 1)[:, None]
        return CellContributions(cells=cells.astype(np.int64), values=np.ones(len(rows)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GradientQuery(Query):
    """Gradient of the cross-entropy at public parameters, clipped per record as Opacus clips.

    Attributes:
        architecture: The model's.
        inputs: What it sees of a row.
        parameters: [parameters], where the gradient is taken.
        max_grad_norm: C.
    """

    architecture: Architecture
    inputs: Inputs
    parameters: npt.NDArray[np.float64]
    max_grad_norm: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the architecture
        """Number of parameters."""
        return self.architecture.parameters

    def contributions(self, rows: Rows) -> DenseContributions:
        """Clipped gradients, one per record.

        Raises:
            MissingExtra: torch or Opacus is not installed.
        """
        if len(rows) == 0:
            return DenseContributions(values=np.zeros((0, self.dimension)))
        require_neural_extra()
        # torch and Opacus take seconds to import: only those who compute gradients wait for them.
        from opacus import GradSampleModule  # noqa: PLC0415

        from fedscore.learners.neural import network  # noqa: PLC0415

        with network.one_thread():
            model = network.network_with(self.architecture, self.parameters)
            network.backward(
                GradSampleModule(model, loss_reduction="sum"), self.inputs.of(rows.cells), rows.outcome
            )
            return DenseContributions(values=network.clipped_gradients(model, self.max_grad_norm))
