"""How much of epsilon can be seen from outside? Many trainings with and without a worst record.

The adversary is the one that the promise is against: it knows the program, all other records, the colluders'
shares of the noise, and everything that is opened; what it does not know is whether one record is there. From
every opening it subtracts what it knows. What is left is the honest parties' noise, with the record's part or
without. Along the direction of that part it measures

    z = <what is left, part> / (length of the part, times the promised deviation of the honest noise)

which is N(0, 1) without the record, and N(m, 1) with it, where m is the part's length over the deviation.
Queries depend on what was opened before, so directions differ from training to training; given the past, z is
normal all the same, and the best test of a program that keeps its promise is whether Σ(m z - m²/2) is
positive (Neyman and Pearson). Its *mean* would say nothing of noise that is too small; how often it is right
does.

Two bounds are made of it:

- By (epsilon, delta) alone: on the first half of the trainings, every sum is weighted by the variance that
  its
  noise really shows, and a threshold is chosen; on the other half, errors are counted. A sum whose noise is
  missing gets all the weight.
- As a Gaussian mechanism: the threshold is fixed beforehand (zero, above), so that all trainings count.

Trainings are real: the contract's whole program, every sum derived from all openings before, what each record
adds truncated and bounded by what nodes do, noise from the exact sampler. Four things make them cheap, and
take nothing from the adversary:

- The other records are few, each of them there many times. What a record adds does not depend on its
  neighbours
  (the audit of sensitivity looks at that), so the sum is the integer multiple.
- Colluders send no noise, and absent parties nothing: they may, and it is what they would subtract anyway.
- The honest shares are drawn as one, with their total variance. The law of their sum is that of the one
  within exp(±lambda) at every point (Kairouz, Liu and Steinke 2021; `privacy.dp.discrete_lemma.sum_slack`),
  and lambda is below 1e-400 for shares of requests, whose variance is 100 at least. Whether shares are what
  they should be, one by one, is what the noise check looks at.
- The card that follows from the last opening is not made: it is a function of the openings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.learners.agenda import Agenda
from fedscore.sums import Query, Side, SumRequest, noised_total
from privacy.dp.audit import (
    ErrorCounts,
    detectable_factor,
    epsilon_lower_bound,
    expected_bound,
    typical_counts,
)
from simulations.audit.findings import Finding, Verdict
from simulations.audit.promise import Promise
from simulations.audit.row import LowerBounds
from simulations.audit.sensitivity import Worst, part_of, random_records, variants_of
from simulations.audit.shares import Contribute, auditable_agenda, honest_parties
from simulations.audit.sources import Source
from simulations.audit.workers import spread

__all__ = [
    "NEEDED_FACTOR",
    "Attack",
    "Trainings",
    "attack",
    "lower_bound_finding",
    "lower_bounds",
    "trainings_of",
]

NEEDED_FACTOR = 5**0.5
"""A bound must find noise that is too small by so much, or it has no power."""

_STREAM = 1
_CHOICE = 101
_OTHERS = 200
_CANDIDATES = 24
_PILOT = 2**31
"""Number of a training that is made before all others."""

_Integers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trainings:
    """What the adversary measured.

    Attributes:
        inside: [trainings, sums], z with the record.
        outside: [trainings, sums], z without it.
        shift_inside: [trainings, sums], m of the trainings with the record; 0 for a sum over others' rows.
        shift_outside: [trainings, sums], m of those without.
    """

    inside: _Floats
    outside: _Floats
    shift_inside: _Floats
    shift_outside: _Floats

    @property
    def mu(self) -> float:
        """The record's Gaussian-DP parameter, where noise is as promised: the typical root of Σm²."""
        shifts = np.concatenate([self.shift_inside, self.shift_outside])
        return float(np.median(np.sqrt(np.square(shifts).sum(axis=1))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attack:
    """Everything that the adversary knows.

    Attributes:
        agenda: The program; one object follows all trainings of a process, one after the other.
        honest: Parties whose shares of the noise the adversary does not know.
        others: Records by side, each of them there `times` times.
        times: How often.
        record: The worst record, alone; a training record.
        contribute: What nodes do for a sum.
        source: Where noise comes from.
    """

    agenda: Agenda
    honest: int
    others: Mapping[Side, Rows]
    times: int
    record: Rows
    contribute: Contribute
    source: Source

    def training(self, number: int) -> tuple[_Floats, _Floats]:
        """Trains once: z and m of every sum. Trainings with odd numbers have the record."""
        seen, shifts = np.zeros(self.agenda.rounds), np.zeros(self.agenda.rounds)
        for place, (query, request, left) in enumerate(self.sums(number, with_record=number % 2 == 1)):
            if request.side is not Side.TRAINING:
                continue
            part = part_of(query, self.record, request, self.contribute).astype(np.float64)
            length = float(np.linalg.norm(part))
            deviation = np.sqrt(self.honest * request.share_variance)
            if length > 0.0:
                seen[place] = float(left @ part) / (length * deviation)
                shifts[place] = length / deviation
        return seen, shifts

    def sums(self, number: int, *, with_record: bool) -> Iterator[tuple[Query, SumRequest, _Integers]]:
        """The sums of a training, and what is left of each opening when all that is known is subtracted."""
        agenda, openings = self.agenda, list[_Integers]()
        nobody = self.record.select(slice(0, 0))
        # What follows from the last opening is of no interest.
        while len(openings) < agenda.rounds and not agenda.is_finished(openings):
            query, request = agenda.next_sum(openings)
            if not isinstance(query, Query):
                raise ScenarioError("an update has no sum over records: this is a defect")
            known = part_of(query, self.others[request.side], request, self.contribute) * self.times
            left = self.contribute(
                query,
                self.record if with_record and request.side is Side.TRAINING else nobody,
                replace(request, share_variance=request.share_variance * self.honest),
                row_cap=1,
                randomness=self.source(_STREAM, number, len(openings)),
            )
            openings.append(known + left)
            yield query, request, left


def attack(
    contract: Contract,
    training: Rows,
    test: Rows,
    worst: tuple[Worst, ...],
    *,
    seed: int,
    source: Source,
    contribute: Contribute = noised_total,
) -> Attack:
    """Chooses the other records and the one that moves all sums of a program the most.

    Args:
        contract: With its roster.
        training: All training rows; some of them are the other records.
        test: All test rows.
        worst: The worst record of each sum.
        seed: Of the choice, which is made on a training of its own.
        source: Where noise comes from.
        contribute: What nodes do for a sum.
    """
    generator = np.random.default_rng([seed, _CHOICE])
    others = {Side.TRAINING: _some(training, generator), Side.TEST: _some(test, generator)}
    first = Attack(
        agenda=auditable_agenda(contract, run="0" * 32),
        honest=honest_parties(contract),
        others=others,
        times=max(1, len(training) // max(1, len(others[Side.TRAINING]))),
        record=worst[0].record,
        contribute=contribute,
        source=source,
    )
    asked = [
        (query, request)
        for query, request, _ in first.sums(_PILOT, with_record=False)
        if request.side is Side.TRAINING
    ]

    def cost(record: Rows) -> float:
        """Σm² over the sums of the pilot."""
        total = 0.0
        for query, request in asked:
            part = part_of(query, record, request, noised_total).astype(np.float64)
            total += float(part @ part) / (first.honest * request.share_variance)
        return total

    drawn = random_records(contract, _CANDIDATES, generator)
    candidates = [one.record for one in worst]
    candidates += [drawn.select(np.array([place])) for place in range(len(drawn))]
    record = max(candidates, key=cost)
    dearest = cost(record)
    for table in range(len(contract.tables)):
        variants = variants_of(record, table, contract)
        each = [variants.select(np.array([place])) for place in range(len(variants))]
        best = max(each, key=cost)
        if cost(best) > dearest:
            record, dearest = best, cost(best)
    return replace(first, record=record)


def _some(rows: Rows, generator: np.random.Generator) -> Rows:
    return rows.select(np.sort(generator.permutation(len(rows))[:_OTHERS]))


def trainings_of(
    attacker: Attack,
    count: int,
    *,
    processes: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Trainings:
    """Trains so many times with the record, and as many without."""
    done = spread(attacker.training, range(2 * count), processes=processes, progress=progress)
    seen, shifts = np.stack([one for one, _ in done]), np.stack([one for _, one in done])
    return Trainings(
        outside=seen[0::2], inside=seen[1::2], shift_outside=shifts[0::2], shift_inside=shifts[1::2]
    )


def lower_bounds(found: Trainings, promise: Promise, *, confidence: float) -> LowerBounds:
    """Both bounds, and what they could have been.

    Args:
        found: What the adversary measured.
        promise: The contract's.
        confidence: Of each bound.
    """
    count, delta = len(found.inside), promise.delta
    weights = _weights(found)
    by_weight = epsilon_lower_bound(
        (found.inside * found.shift_inside @ weights).tolist(),
        (found.outside * found.shift_outside @ weights).tolist(),
        delta=delta,
        confidence=confidence,
    )
    counts = ErrorCounts(
        alarms=int((_log_likelihood(found.outside, found.shift_outside) > 0.0).sum()),
        outs=count,
        misses=int((_log_likelihood(found.inside, found.shift_inside) <= 0.0).sum()),
        ins=count,
    )
    never = ErrorCounts(alarms=0, outs=count, misses=0, ins=count)
    return LowerBounds(
        trainings=count,
        confidence=confidence,
        epsilon=by_weight.epsilon,
        most=by_weight.most,
        expected=expected_bound(promise.mu, by_weight.counts.ins, delta=delta, confidence=confidence),
        mu=counts.mu(confidence=confidence),
        gaussian_epsilon=counts.gaussian_epsilon(delta=delta, confidence=confidence),
        gaussian_most=never.gaussian_epsilon(delta=delta, confidence=confidence),
        gaussian_expected=typical_counts(promise.mu, count).gaussian_epsilon(
            delta=delta, confidence=confidence
        ),
        attained=found.mu / promise.mu,
        detectable=detectable_factor(found.mu, promise.mu, count, confidence=confidence),
    )


def lower_bound_finding(found: LowerBounds, promise: Promise) -> Finding:
    """What the bounds say of a promise.

    Args:
        found: The bounds.
        promise: The contract's.
    """
    if found.epsilon > promise.epsilon or found.mu > promise.mu:
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.PASSED if found.detectable <= NEEDED_FACTOR else Verdict.NO_POWER
    would = (
        f"would have found noise that is {found.detectable:.2f} times too small"
        if found.detectable < float("inf")
        else "would not have found any noise that is too small"
    )
    return Finding(
        name="lower bound of epsilon",
        verdict=verdict,
        told=f"epsilon is at least {found.epsilon:.3f} by (epsilon, delta) alone, and "
        f"{found.gaussian_epsilon:.3f} if all that is left to tell is a Gaussian mechanism's mu; "
        f"{promise.epsilon:g} is promised. A worst record with {found.attained:.2f} of the promised mu "
        f"was in {found.trainings:,} trainings, and not in as many",
        power=f"{would}; {found.expected:.3f} and {found.gaussian_expected:.3f} are typical where everything "
        f"that is promised is given away, {found.most:.2f} is the most that an attack without errors could "
        "have shown",
    )


def _weights(found: Trainings) -> _Floats:
    """Of the sums: one over the variance that their noise shows in the first half of the trainings."""
    half = len(found.inside) // 2
    noise = np.concatenate([found.outside[:half], (found.inside - found.shift_inside)[:half]])
    return np.asarray(1.0 / np.maximum(noise.var(axis=0), 1e-12))


def _log_likelihood(seen: _Floats, shifts: _Floats) -> _Floats:
    return np.asarray((seen * shifts - np.square(shifts) / 2.0).sum(axis=1))
