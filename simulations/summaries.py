"""Methods over their seeds: means, and differences that are paired by seed."""

from __future__ import annotations

import collections
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fedscore.contract import NoiseMode
from simulations.paired import paired_gap
from simulations.runs import Failure, Run
from simulations.scenario import Baseline

__all__ = ["Summary", "summarise"]

_Place = tuple[tuple[str, str], ...]
_Key = tuple[_Place, str, Baseline | None, NoiseMode, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A method at one epsilon in one variation, over its seeds.

    Attributes:
        variation: As in `Run`.
        learner: What was trained.
        baseline: What it is compared as, or None for the scenario's own run.
        noise: Who added noise.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        epsilon_spent: The largest true one of the runs; None where it is infinite.
        epsilon_reported: The largest that was reported instead, if one was.
        epsilon_prv: The largest PRV estimate, if there is one.
        n: Number of runs that ended.
        failed: Number of runs that could not end; the other figures know nothing of them.
        auc_mean: Mean AUC.
        auc_sd: Standard deviation of the AUC over seeds (n - 1 in the denominator); None for one run.
        ks_mean: Mean KS.
        gap_to_lightgbm: AUC of pooled LightGBM minus this method's, mean over the seeds that both have; None
            where there is none.
        auc_gap: AUC of the scenario's own run minus this baseline's, mean over the seeds that both have, at
            the same epsilon. None for own runs, and for a baseline without epsilon if own runs have several.
        auc_gap_margin: Half the width of the 95 % interval of `auc_gap` (Student's t over seeds); None for a
            single seed.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    epsilon_spent: float | None
    epsilon_reported: float | None
    epsilon_prv: float | None
    n: int
    failed: int = 0
    auc_mean: float
    auc_sd: float | None
    ks_mean: float
    gap_to_lightgbm: float | None
    auc_gap: float | None
    auc_gap_margin: float | None


def summarise(runs: Sequence[Run], failures: Sequence[Failure] = ()) -> tuple[Summary, ...]:
    """Bring runs together by variation, method and epsilon, in the order of their first runs.

    Differences are within one variation alone.

    Args:
        runs: Any runs; at most one of each variation, method, epsilon and seed.
        failures: Runs that could not end, which are counted beside the others.
    """
    groups: dict[_Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    failed = collections.Counter(_key(failure) for failure in failures)
    ceilings: dict[_Place, list[Run]] = {}
    own: dict[_Place, dict[float | None, Mapping[int, float]]] = {}
    for (place, _, baseline, _, epsilon), group in groups.items():
        if baseline is Baseline.POOLED_LIGHTGBM:
            ceilings.setdefault(place, []).extend(group)
        if baseline is None:
            own.setdefault(place, {})[epsilon] = _by_seed(group)
    return tuple(
        _summary(group, _by_seed(ceilings.get(key[0], ())), own.get(key[0], {}), failed=failed[key])
        for key, group in groups.items()
    )


def _key(run: Run | Failure) -> _Key:
    return (tuple(run.variation.items()), run.learner, run.baseline, run.noise, run.epsilon)


def _by_seed(runs: Iterable[Run]) -> dict[int, float]:
    return {run.seed: run.auc for run in runs}


def _summary(
    runs: Sequence[Run],
    ceiling: Mapping[int, float],
    own: Mapping[float | None, Mapping[int, float]],
    *,
    failed: int,
) -> Summary:
    first = runs[0]
    to_lightgbm = paired_gap(ceiling, _by_seed(runs))
    gap = None if first.baseline is None else paired_gap(_counterpart(first.epsilon, own), _by_seed(runs))
    return Summary(
        variation=first.variation,
        learner=first.learner,
        baseline=first.baseline,
        noise=first.noise,
        epsilon=first.epsilon,
        epsilon_spent=_largest(run.epsilon_spent for run in runs),
        epsilon_reported=_largest(run.epsilon_reported for run in runs),
        epsilon_prv=_largest(run.epsilon_prv for run in runs),
        n=len(runs),
        failed=failed,
        auc_mean=statistics.fmean(run.auc for run in runs),
        auc_sd=statistics.stdev(run.auc for run in runs) if len(runs) > 1 else None,
        ks_mean=statistics.fmean(run.ks for run in runs),
        gap_to_lightgbm=None if to_lightgbm is None else to_lightgbm.mean,
        auc_gap=None if gap is None else gap.mean,
        auc_gap_margin=None if gap is None else gap.margin,
    )


def _counterpart(
    epsilon: float | None, own: Mapping[float | None, Mapping[int, float]]
) -> Mapping[int, float]:
    """The own runs that a baseline is compared with: those of its epsilon; without one, the only ones."""
    if epsilon is None and len(own) == 1:
        return next(iter(own.values()))
    return own.get(epsilon, {})


def _largest(values: Iterable[float | None]) -> float | None:
    """None if one of the values is: there it stands for infinity, or for nothing at all."""
    known = [-math.inf if value is None else value for value in values]
    return None if -math.inf in known else max(known)
