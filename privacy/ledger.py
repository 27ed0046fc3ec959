"""What a source of data has spent, over all runs and all contracts, and whether it can afford another run.

Formal guarantee: for one record of the source, everything that was ever released from it together is
(epsilon, delta)-DP for the limit's pair. Runs are chosen adaptively, each after the results of those before
it. What a run costs at most is fixed before its first release, and no run begins that the rest of the limit
does not cover. That is a privacy filter. It promises the limit; what `Spending.guarantee` tells on the way is
what was charged, and a promise by itself only for a history that did not depend on results.

- A history of full-batch sums alone is priced exactly: Gaussian mechanisms compose under a filter as if all
  had been chosen beforehand, their mu² adding up (Smith and Thakurta 2022, "Fully adaptive composition for
  Gaussian differential privacy").
- A history with a sampled sum in it is priced by its Rényi curve, full-batch sums included. Within a run
  nothing is lost to adaptivity: the reservation bounds the charges at every order at once (Feldman and Zrnic
  2021, "Individual privacy accounting via a Rényi filter"; Lécuyer 2021, "Practical privacy filters and
  odometers with Rényi differential privacy").
- Sharp edge: over several runs such a filter is proven for one order, fixed beforehand, and the price is the
  least over all `renyi.ORDERS`. It is proven if which programs are run does not depend on earlier results:
  so a sampled run that is over counts as it was reserved, whatever its end and its spare rounds came to.
  Whoever picks *programs* (not queries) by results, so that another order or the exact price decides, may
  in theory reach a larger delta; by the union bound at most len(ORDERS) + 1 times as large.

The lattice's slack and redrawn tails add up as in `privacy.dp.accounting`.

A run *reserves* its whole price when it begins. While it is open its reservation counts; once another one has
begun, what it was charged counts, or the reservation if anything in it is sampled. A charge is never taken
back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fedscore.errors import AccountingError, BudgetExhausted, LedgerMismatch
from privacy.dp.accounting import Guarantee, covers, guarantee
from privacy.dp.events import (
    Composed,
    Disjoint,
    DistributedGaussian,
    Event,
    NonPrivate,
    PoissonSampledGaussian,
    aligned,
    leaves,
    on_part,
)

__all__ = ["Charge", "Limits", "RunSpending", "Spending", "event_fields", "event_of"]

_MOST_ALIKE = 10**6
"""More equal sums than this in a row are no history of a source."""

_MOST_PARTS = 1
"""Test rows are the only part that a run tells apart from all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the owner of a source lets be spent.

    Attributes:
        epsilon: Over the source's life.
        delta: Over the source's life: the delta at which `epsilon` is computed.
        run_epsilon: The most that one run may cost by itself, at its contract's own delta.
    """

    epsilon: float
    delta: float
    run_epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One release.

    Attributes:
        round: Its round, counted per key.
        name: The sum's name.
        event: What it costs.
    """

    round: int
    name: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpending:
    """One run.

    Attributes:
        run: Its id.
        contract: Hash of its contract.
        began: When it began here, UTC, as 2026-01-31T23:59:59Z.
        reserved: What it may cost at most.
        charges: What it was charged, by round.
    """

    run: str
    contract: str
    began: str
    reserved: Event
    charges: tuple[Charge, ...] = ()

    @property
    def charged(self) -> Event:
        """All charges together; a run divides the records in one way, so its parts compose each by itself."""
        return aligned(charge.event for charge in self.charges)

    @property
    def when_over(self) -> Event:
        """What counts once another run has begun."""
        is_sampled = any(isinstance(part, PoissonSampledGaussian) for part in leaves(self.reserved))
        return self.reserved if is_sampled else self.charged


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """A source's history; methods return the next one, and change nothing.

    Attributes:
        runs: In the order in which they began. The last one is open, all others are over.
        assumed: What else is taken as spent, because a record of it was lost.
    """

    runs: tuple[RunSpending, ...] = ()
    assumed: tuple[Event, ...] = ()

    @property
    def open_run(self) -> RunSpending | None:
        """The run whose reservation still counts."""
        return self.runs[-1] if self.runs else None

    @property
    def spent(self) -> Event:
        """What counts so far, and what is taken as spent."""
        return Composed(events=(*self._before, *(run.charged for run in self.runs[-1:])))

    @property
    def committed(self) -> Event:
        """What was spent, and what the open run may still cost."""
        return Composed(events=(*self._before, *(run.reserved for run in self.runs[-1:])))

    @property
    def _before(self) -> tuple[Event, ...]:
        return (*self.assumed, *(run.when_over for run in self.runs[:-1]))

    def guarantee(self, *, delta: float, group: int = 1) -> Guarantee:
        """What counts so far, priced for one record, or for `group` of them together."""
        return guarantee(self.spent, delta=delta, group=group)

    def begin(self, run: RunSpending, limits: Limits) -> Spending:
        """A new run, if it can be afforded as a whole; the one before it is over.

        Args:
            run: Without charges.
            limits: The owner's.

        Raises:
            BudgetExhausted: With it, the source could spend more than its owner lets it.
            LedgerMismatch: The run is not new.
        """
        if any(run.run == known.run for known in self.runs):
            raise LedgerMismatch(f"run {run.run} has begun before: a run begins once")
        return _within(replace(self, runs=(*self.runs, run)), limits)

    def charge(self, run: str, charge: Charge, limits: Limits) -> Spending:
        """One more release of the open run.

        Args:
            run: Its id.
            charge: The release.
            limits: The owner's, which may have been lowered since the run began.

        Raises:
            LedgerMismatch: The run is not open, or the round not after its others.
            BudgetExhausted: The run has not reserved that much, or the source could spend more than allowed.
        """
        current = self.open_run
        if current is None or current.run != run:
            raise LedgerMismatch(f"run {run} is not the one that began last here: it is over")
        if current.charges and charge.round <= current.charges[-1].round:
            raise LedgerMismatch(f"round {charge.round} is not after those that run {run} was charged for")
        charged = replace(current, charges=(*current.charges, charge))
        if not covers(current.reserved, charged.charged):
            raise BudgetExhausted(
                f"round {charge.round} would cost more than run {run} reserved when it began: nothing was "
                "computed; begin a new run"
            )
        return _within(replace(self, runs=(*self.runs[:-1], charged)), limits)


def event_fields(event: Event) -> list[dict[str, int]]:
    """Writes what a release, or a program of them, costs, as whole numbers.

    Returns:
        One entry per leaf: the fields of its sum, if it is sampled `one_in` and `repetitions`, and, if it is
        about one part of the records alone, the number of that `part`, from 1; sorted as evidence is. Equal
        leaves in a row are one entry with their number, `times`: a line of evidence has a limit.

    Raises:
        LedgerMismatch: A part of it is unprotected: that has no place in a ledger.
    """
    fields: list[dict[str, int]] = []
    for (place, part), alike in itertools.groupby(_placed(event)):
        if isinstance(part, NonPrivate):
            raise LedgerMismatch("a release without noise cannot be charged: use noise, or a simulation")
        if isinstance(part, PoissonSampledGaussian):
            entry = _sum_fields(part.sum) | {"one_in": part.one_in, "repetitions": part.repetitions}
        else:
            entry = _sum_fields(part)
        if place:
            entry |= {"part": place}
        times = sum(1 for _ in alike)
        fields.append(dict(sorted((entry | ({"times": times} if times > 1 else {})).items())))
    return fields


def event_of(fields: Sequence[Mapping[str, int]]) -> Event:
    """Reads what `event_fields` wrote, and nothing else.

    Raises:
        KeyError, TypeError, AccountingError: A field is missing, unknown or outside its limits.
    """
    return aligned(on_part(leaf, place) for part in fields for place, leaf in _leaves_of(part))


def _placed(
    event: Event,
) -> Iterator[tuple[int, DistributedGaussian | PoissonSampledGaussian | NonPrivate]]:
    """Leaves with the number of their part; parts within a composition are laid together, which is dearer."""
    for place, part in enumerate(event.parts if isinstance(event, Disjoint) else (event,)):
        yield from ((place, leaf) for leaf in leaves(part))


def _sum_fields(event: DistributedGaussian) -> dict[str, int]:
    return {
        "dimension": event.dimension,
        "honest_shares": event.honest_shares,
        "sensitivity_squared": event.sensitivity_squared,
        "share_variance": event.share_variance,
        "total_shares": event.total_shares,
    }


def _leaves_of(fields: Mapping[str, int]) -> tuple[tuple[int, Event], ...]:
    rest = dict(fields)
    place = rest.pop("part") if "part" in rest else 0
    if not ("part" in fields) <= place <= _MOST_PARTS:
        raise AccountingError(f"part {place} of the records: parts are numbered from 1 to {_MOST_PARTS}")
    times = rest.pop("times") if "times" in rest else 1
    if not ("times" in fields) + 1 <= times <= _MOST_ALIKE:
        raise AccountingError(f"{times} equal sums in a row: 2 to {_MOST_ALIKE} can be written together")
    if "one_in" not in rest:
        return ((place, DistributedGaussian(**rest)),) * times
    one_in, repetitions = rest.pop("one_in"), rest.pop("repetitions")
    total = DistributedGaussian(**rest)
    return ((place, PoissonSampledGaussian(sum=total, one_in=one_in, repetitions=repetitions)),) * times


def _within(spending: Spending, limits: Limits) -> Spending:
    """A history that its owner's limits cover, with what its open run may still cost."""
    after = guarantee(spending.committed, delta=limits.delta)
    if not after.epsilon <= limits.epsilon:
        spent = spending.guarantee(delta=limits.delta)
        raise BudgetExhausted(
            f"the run could bring what this source of data has spent from epsilon {spent.epsilon:.4f} to "
            f"{after.epsilon:.4f} at delta {limits.delta:g}; its owner allows {limits.epsilon:g} over its "
            "life: nothing was computed; ask for a cheaper program, or let the owner raise epsilon in "
            "policy.toml"
        )
    return spending
