"""Invented people: what makes them pay or not, at every organisation alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from simulations.synthetic.timeline import MONTHS

__all__ = ["People", "draw_people", "logistic"]

_Floats = npt.NDArray[np.float64]

_STRESS_MEMORY = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Latent traits of n people, which no organisation sees.

    Attributes:
        names: [n] ids, the same at all organisations.
        risk: [n] lasting lack of payment discipline, about N(0, 1).
        stress: [n, months] how tight money is in a month: N(0, 1), remembered from month to month. This is
            why the last months say more than the year before.
        income: [n] per month, in the consortium's currency.
        appetite: [n] orders per month at a platform.
        credit_taste: [n] inclination to buy on credit, about N(0, 1).
    """

    names: pa.Array
    risk: _Floats
    stress: npt.NDArray[np.float32]
    income: _Floats
    appetite: _Floats
    credit_taste: _Floats

    def __len__(self) -> int:
        return len(self.risk)


def draw_people(size: int, generator: np.random.Generator) -> People:
    """Draws `size` people.

    Risk, income, taste for credit and appetite are mildly dependent, as in any trade; stress is an
    autoregressive process of order one with unit variance.
    """
    risk = generator.standard_normal(size)
    shocks = generator.standard_normal((size, MONTHS), dtype=np.float32)
    stress = np.empty_like(shocks)
    stress[:, 0] = shocks[:, 0]
    for month in range(1, MONTHS):
        stress[:, month] = (
            _STRESS_MEMORY * stress[:, month - 1] + np.sqrt(1 - _STRESS_MEMORY**2) * shocks[:, month]
        )
    taste = 0.55 * risk + np.sqrt(1 - 0.55**2) * generator.standard_normal(size)
    return People(
        names=pa.array([f"person-{number:06d}" for number in range(size)]),
        risk=risk,
        stress=stress,
        income=np.exp(8.0 + 0.45 * generator.standard_normal(size) - 0.12 * risk),
        appetite=np.exp(0.05 + 0.6 * generator.standard_normal(size)),
        credit_taste=taste,
    )


def logistic(x: npt.NDArray[np.floating]) -> _Floats:
    """1 / (1 + e^-x): a probability from log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)
