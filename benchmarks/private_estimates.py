"""What a private evaluation leaves open, for several ways of asking for the same rows.

    python -m benchmarks.private_estimates --rows 9000 --bad-rate 0.22 --unit-noise 5

Nothing is drawn: scores are two normal distributions (1.1 standard deviations apart), counts are expected
ones, and errors are computed from each way's matrix. Every way gets the same budget: the noise that a sum of
sensitivity 1 would have.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from fedscore.estimates import Bands, Measured, PointsToOdds, Reference, Strategy, auc, ks
from fedscore.estimates.plan import outcome_strategy
from fedscore.estimates.strategy import running_counts

__all__ = ["Way", "main", "ways"]

_APART = 1.1
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of asking, and what it leaves open.

    Attributes:
        name: In words.
        bands: Of equal mass.
        sensitivity_squared: Of the sum.
        answer_noise: Of each released value, in counts.
        auc_noise: Standard deviation of the noise in the AUC.
        auc_reach: Half the width of the AUC's interval at 99 %: noise, and what bands hide.
        ks_reach: Half the width of KS's.
        count_noise: Largest deviation of the noise among the numbers of bad rows below a cut-off.
    """

    name: str
    bands: int
    sensitivity_squared: float
    answer_noise: float
    auc_noise: float
    auc_reach: float
    ks_reach: float
    count_noise: float


def ways(*, rows: int, bad_rate: float, unit_noise: float) -> list[Way]:
    """Compares separate counts, running counts, and running counts with ranking answers."""
    found = []
    for bands in (20, 256):
        reference, bad, good = _expected(bands, bad_rate)
        separate = Strategy(patterns=np.eye(2 * bands))
        found.append(_way("separate counts", separate, reference, bad * rows, good * rows, unit_noise))
    for bands, ranking, number in (
        (256, 0.0, 0.0),
        (256, 1.0, 1.0),
        (64, 2.0, 1.0),
        (256, 2.0, 1.0),
        (256, 4.0, 1.0),
    ):
        reference, bad, good = _expected(bands, bad_rate)
        if ranking:
            strategy = outcome_strategy(bad, good, ranking_weight=ranking, number_weight=number)
            name = f"running counts, ranking x {ranking:g}"
        else:
            half = running_counts(bands).patterns
            strategy = Strategy(patterns=np.asarray(np.kron(np.eye(2), half), dtype=np.float64))
            name = "running counts"
        found.append(_way(name, strategy, reference, bad * rows, good * rows, unit_noise))
    return found


def _expected(bands: int, bad_rate: float) -> tuple[Reference, _Floats, _Floats]:
    """Bands of equal mass, and the shares of rows that are bad and good in each."""
    places = np.linspace(-7.0, 6.0, 20001)
    bad = np.diff(bad_rate * _cumulative(places + _APART))
    good = np.diff((1.0 - bad_rate) * _cumulative(places))
    band = np.minimum((np.cumsum(bad + good) * bands).astype(np.int64), bands - 1)
    bad, good = (np.bincount(band, part, bands).astype(np.float64) for part in (bad, good))
    edges = places[1:][np.flatnonzero(np.diff(band))]
    probability = bad / (bad + good)
    points = PointsToOdds(offset=0.0, factor=1.0)
    ends = points.probability(np.concatenate([[-30.0], _APART * edges + 2.0, [30.0]]))
    reference = Reference(
        edges=edges,
        shares=bad + good,
        probabilities=probability,
        least_probabilities=np.minimum(ends[1:], probability),
        greatest_probabilities=np.maximum(ends[:-1], probability),
    )
    return reference, bad, good


def _cumulative(places: _Floats) -> _Floats:
    normal = NormalDist()
    return np.array([normal.cdf(place) for place in places.tolist()])


def _way(
    name: str, strategy: Strategy, reference: Reference, bad: _Floats, good: _Floats, unit_noise: float
) -> Way:
    sensitivity = float(strategy.bound.sensitivity_squared)
    noise = unit_noise * float(np.sqrt(sensitivity))
    values = strategy.patterns.T @ np.concatenate([bad, good])
    bands = Bands(reference=reference, measured=Measured(strategy=strategy, values=values, deviation=noise))
    ranking, distance = auc(bands), ks(bands)
    below = np.tri(reference.bands)
    return Way(
        name=name,
        bands=reference.bands,
        sensitivity_squared=sensitivity,
        answer_noise=noise,
        auc_noise=ranking.noise_error or 0.0,
        auc_reach=(ranking.high - ranking.low) / 2,
        ks_reach=(distance.high - distance.low) / 2,
        count_noise=float(bands.deviations(below, np.zeros_like(below)).max()),
    )


def main(
    *,
    rows: Annotated[int, typer.Option(help="Test rows.")] = 9000,
    bad_rate: Annotated[float, typer.Option(help="Share of bad ones.")] = 0.22,
    unit_noise: Annotated[float, typer.Option(help="Noise of a sum of sensitivity 1, in counts.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Prints what each way leaves open."""
    found = ways(rows=rows, bad_rate=bad_rate, unit_noise=unit_noise)
    if as_json:
        typer.echo(json.dumps([asdict(way) for way in found], indent=2))
        return
    typer.echo(
        f"{'':32}{'bands':>6}{'S':>7}{'noise':>8}{'AUC sd':>9}{'AUC 99%':>10}{'KS 99%':>9}{'count':>7}"
    )
    for way in found:
        typer.echo(
            f"{way.name:32}{way.bands:6}{way.sensitivity_squared:7.2f}{way.answer_noise:8.1f}{way.auc_noise:9.4f}"
            f"{'±':>3}{way.auc_reach:.4f}{'±':>3}{way.ks_reach:.4f}{way.count_noise:7.1f}"
        )


if __name__ == "__main__":
    typer.run(main)
