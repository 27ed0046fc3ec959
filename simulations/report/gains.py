"""What federation is worth to each party: its own card against the federated one, on its own test rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedscore.contract import Role
from simulations.paired import Gap, paired_gap
from simulations.report.frontier import Variation
from simulations.results import PartyRun
from simulations.scenario import Baseline

__all__ = ["GainSummary", "PartyGain", "SizeGroup", "by_size", "nearest_to_one", "party_gains", "summary_of"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyGain:
    """One party at one epsilon, over the seeds.

    Attributes:
        party: Its name.
        role: Its role.
        training_rows: Mean number of its training rows.
        local: Mean AUC of its own card over the seeds that have both; None where there is no such seed.
        federated: Mean AUC of the federated card, over the same seeds; over all that have it where none has
            both.
        gain: Federated minus local, paired by seed; None where there is no pair.
    """

    party: str
    role: Role
    training_rows: float
    local: float | None
    federated: float | None
    gain: Gap | None

    @property
    def is_sure(self) -> bool:
        """Whether the interval of its gain leaves out zero."""
        return (
            self.gain is not None and self.gain.margin is not None and self.gain.margin < abs(self.gain.mean)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GainSummary:
    """All parties at one epsilon.

    Attributes:
        epsilon: The one asked for; None without noise.
        parties: How many there are.
        measured: How many of them have a gain.
        gain: How many gain, in the mean over seeds.
        surely_gain: How many of those have an interval above zero.
        lose: How many lose.
        surely_lose: How many of those have an interval below zero.
        quantiles: The 5th, 25th, 50th, 75th and 95th percentiles of the gains; empty where nobody has one.
    """

    epsilon: float | None
    parties: int
    measured: int
    gain: int
    surely_gain: int
    lose: int
    surely_lose: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeGroup:
    """Parties of about the same size.

    Attributes:
        smallest: Fewest training rows among them.
        largest: Most training rows among them.
        summary: Of them.
    """

    smallest: float
    largest: float
    summary: GainSummary


def nearest_to_one(epsilons: Iterable[float | None]) -> float | None:
    """The epsilon that a reader is most likely to ask for; None if there is none.

    Args:
        epsilons: Those asked for.
    """
    known = [epsilon for epsilon in epsilons if epsilon is not None]
    return min(known, key=lambda epsilon: (abs(math.log(epsilon)), epsilon), default=None)


def party_gains(
    parties: Sequence[PartyRun], *, variation: Variation, epsilon: float | None
) -> tuple[PartyGain, ...]:
    """All parties of a variation, who gains most first, and who has no gain to tell last.

    Args:
        parties: Of all variations, of the scenario's own runs and of local training.
        variation: Of which.
        epsilon: At which.
    """
    here = [run for run in parties if tuple(run.variation.items()) == variation]
    local: dict[str, dict[int, PartyRun]] = {}
    federated: dict[str, dict[int, PartyRun]] = {}
    for run in here:
        if run.baseline is Baseline.LOCAL_ONLY:
            local.setdefault(run.party, {})[run.seed] = run
        elif run.baseline is None and run.epsilon == epsilon:
            federated.setdefault(run.party, {})[run.seed] = run
    gains = [_gain(runs, local.get(party, {})) for party, runs in federated.items()]
    return tuple(
        sorted(gains, key=lambda one: (one.gain is None, -(one.gain.mean if one.gain else 0.0), one.party))
    )


def _gain(federated: Mapping[int, PartyRun], local: Mapping[int, PartyRun]) -> PartyGain:
    first = next(iter(federated.values()))
    reached = {seed: run.auc for seed, run in federated.items() if run.auc is not None}
    alone = {seed: run.auc for seed, run in local.items() if run.auc is not None and seed in reached}
    compared = {seed: reached[seed] for seed in alone} or reached
    return PartyGain(
        party=first.party,
        role=first.role,
        training_rows=statistics.fmean(run.training_rows for run in federated.values()),
        local=statistics.fmean(alone.values()) if alone else None,
        federated=statistics.fmean(compared.values()) if compared else None,
        gain=paired_gap(reached, alone),
    )


def summary_of(gains: Sequence[PartyGain], *, epsilon: float | None) -> GainSummary:
    """Count who gains and who loses.

    Args:
        gains: Any parties.
        epsilon: Theirs.
    """
    told = [(one.gain.mean, one.is_sure) for one in gains if one.gain is not None]
    means = [mean for mean, _ in told]
    return GainSummary(
        epsilon=epsilon,
        parties=len(gains),
        measured=len(told),
        gain=sum(mean > 0 for mean in means),
        surely_gain=sum(mean > 0 and sure for mean, sure in told),
        lose=sum(mean < 0 for mean in means),
        surely_lose=sum(mean < 0 and sure for mean, sure in told),
        quantiles=tuple(float(value) for value in np.quantile(means, _QUANTILES)) if means else (),
    )


def by_size(gains: Sequence[PartyGain], *, epsilon: float | None, groups: int = 4) -> tuple[SizeGroup, ...]:
    """Put parties of about the same size together, as many in each group as can be; the smallest first.

    Args:
        gains: Any parties.
        epsilon: Theirs.
        groups: How many groups there are, if there are as many parties.
    """
    ordered = sorted(gains, key=lambda one: (one.training_rows, one.party))
    parts = [part for part in np.array_split(np.arange(len(ordered)), groups) if len(part)]
    return tuple(
        SizeGroup(
            smallest=ordered[part[0]].training_rows,
            largest=ordered[part[-1]].training_rows,
            summary=summary_of([ordered[index] for index in part], epsilon=epsilon),
        )
        for part in parts
    )
