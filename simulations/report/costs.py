"""What each way costs: what is sent, where the time goes, and how long a deployment would take."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from simulations.deployment import DeploymentTerms
from simulations.report.frontier import Variation
from simulations.report.gains import nearest_to_one
from simulations.results import Run
from simulations.scenario import NAIVE
from simulations.timings import Timing
from simulations.wall_time import WallTime, Work, estimated_wall_time
from simulations.wording import method_in_words

__all__ = ["Cost", "costs_of", "work_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One method of one variation at one epsilon; seconds are means over its seeds.

    Attributes:
        variation: Where it is in the sweep.
        method: What was done, in words.
        epsilon: The one asked for.
        parties: Parties that trained.
        encrypted: Whether sums were added under encryption.
        is_of_sums: Whether sums were what left the parties, and not models in clear.
        rounds: Sums, or averages of models.
        phases: How often the server asked and waited.
        values_per_party: Numbers that each party sent.
        bytes_per_party: Bytes of them.
        seconds: Of a whole training in this simulation.
        encrypt_seconds: Of it, encryption of all parties.
        prove_seconds: Proofs and signatures.
        verify_seconds: Their verification, by the server and all members.
        open_seconds: Openings.
        computing_seconds: Everything else.
        estimate: Of a deployment's wall time; none where no sums are made.
    """

    variation: Variation
    method: str
    epsilon: float | None
    parties: int
    encrypted: bool
    is_of_sums: bool
    rounds: int
    phases: int
    values_per_party: int
    bytes_per_party: int
    seconds: float
    encrypt_seconds: float
    prove_seconds: float
    verify_seconds: float
    open_seconds: float
    computing_seconds: float
    estimate: WallTime | None


def costs_of(
    runs: Sequence[Run], timings: Sequence[Timing], *, members: int, terms: DeploymentTerms
) -> tuple[Cost, ...]:
    """The costs of every method that sends something, at its epsilon that is nearest to 1.

    Args:
        runs: All of them.
        timings: Of the same runs, in the same order.
        members: Of the committee.
        terms: What a deployment is assumed to be.
    """
    groups: dict[tuple[Variation, str], list[tuple[Run, Timing]]] = {}
    for run, timing in zip(runs, timings, strict=True):
        if run.rounds:
            key = (tuple(run.variation.items()), method_in_words(run))
            groups.setdefault(key, []).append((run, timing))
    found = []
    for (variation, method), group in groups.items():
        epsilon = nearest_to_one(run.epsilon for run, _ in group)
        here = [(run, timing) for run, timing in group if run.epsilon == epsilon]
        found.append(_cost(variation, method, here, members=members, terms=terms))
    return tuple(found)


def _cost(
    variation: Variation,
    method: str,
    here: Sequence[tuple[Run, Timing]],
    *,
    members: int,
    terms: DeploymentTerms,
) -> Cost:
    first, timing = here[0]
    timings = [one for _, one in here]
    work = work_of(first, timings, members=members)
    is_of_sums = first.baseline not in NAIVE
    return Cost(
        variation=variation,
        method=method,
        epsilon=first.epsilon,
        parties=first.parties,
        encrypted=first.encrypted,
        is_of_sums=is_of_sums,
        rounds=first.rounds,
        phases=timing.phases,
        values_per_party=first.values_per_party,
        bytes_per_party=first.bytes_per_party,
        seconds=_mean(timings, "seconds"),
        encrypt_seconds=work.encrypt_seconds,
        prove_seconds=work.prove_seconds,
        verify_seconds=work.verify_seconds,
        open_seconds=work.open_seconds,
        computing_seconds=work.other_seconds,
        estimate=estimated_wall_time(work, terms) if is_of_sums else None,
    )


def work_of(run: Run, timings: Sequence[Timing], *, members: int) -> Work:
    """What a run did, as the estimate of a deployment's time wants it.

    Args:
        run: A run of sums.
        timings: Of it, and of its like with other seeds; their means are taken.
        members: Of the committee.
    """
    stages = {
        f"{stage}_seconds": _mean(timings, f"{stage}_seconds")
        for stage in ("encrypt", "prove", "verify", "open")
    }
    return Work(
        parties=run.parties,
        members=members if run.encrypted else 1,
        rounds=run.rounds,
        values_per_party=run.values_per_party,
        bytes_per_party=run.bytes_per_party,
        other_seconds=max(_mean(timings, "seconds") - sum(stages.values()), 0.0),
        encrypted=run.encrypted,
        **stages,
    )


def _mean(timings: Sequence[Timing], name: str) -> float:
    return statistics.fmean(getattr(timing, name) for timing in timings)
