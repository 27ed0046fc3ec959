"""What was done to the records, stated completely enough to be priced.

An event is a fact about a mechanism, not an opinion about its cost: the accountant (`privacy.dp.accounting`)
prices it, and another accountant can price it again from the event alone. Neighbouring relation of all
events: one record of one organisation is added or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

from fedscore.errors import AccountingError

__all__ = [
    "Composed",
    "Disjoint",
    "DistributedGaussian",
    "Event",
    "NonPrivate",
    "PoissonSampledGaussian",
    "aligned",
    "leaves",
    "on_part",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedGaussian:
    """One opened sum of integer vectors in which every party has put a share of discrete Gaussian noise.

    The opened vector is the sum of the records' integer contributions and of `total_shares` independent
    shares, each with `dimension` independent coordinates drawn by
    `privacy.dp.discrete_gaussian.bounded_discrete_gaussian(share_variance)`, afresh for this sum. Adding or
    removing one record changes the sum of the contributions by an integer vector whose squared Euclidean
    norm is at most `sensitivity_squared`. At least `honest_shares` of the shares are in the sum and unknown
    to everyone whom the guarantee is against; the others count for nothing.

    Attributes:
        sensitivity_squared: In lattice steps squared; 1 or more.
        share_variance: Parameter of each share, in lattice steps squared; 1 or more.
        honest_shares: Shares that the guarantee counts on; 1 to `total_shares`.
        dimension: Length of the opened vector; 1 or more.
        total_shares: Shares in the opened sum when every party is present: what its accuracy depends on.

    Raises:
        AccountingError: An attribute is no integer or outside its limits.
    """

    sensitivity_squared: int
    share_variance: int
    honest_shares: int
    dimension: int
    total_shares: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise AccountingError(f"{field.name} of a sum is {value}; it must be a positive int")
        if self.honest_shares > self.total_shares:
            raise AccountingError(
                f"{self.honest_shares} honest shares of {self.total_shares} in all: "
                "a guarantee cannot count on more shares than there are"
            )

    @property
    def honest_variance(self) -> int:
        """Parameter of the noise that the guarantee counts on, lattice steps squared."""
        return self.honest_shares * self.share_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonSampledGaussian:
    """`repetitions` opened sums, each over a fresh Poisson sample of the records, with fresh noise.

    Every record takes part in a repetition with chance 1 / one_in, by a coin of its own that its holder draws
    from a secret source and tells nobody.

    Attributes:
        sum: What is done to the records that take part.
        one_in: 2 or more.
        repetitions: 1 or more.

    Raises:
        AccountingError: An attribute is no integer or outside its limits, or `sum` is another kind of event.
    """

    sum: DistributedGaussian
    one_in: int
    repetitions: int = 1

    def __post_init__(self) -> None:
        summed: object = self.sum
        if not isinstance(summed, DistributedGaussian):
            raise AccountingError(
                "what is done to a sample must be a DistributedGaussian; nothing else has a price"
            )
        for name, least in (("one_in", 2), ("repetitions", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise AccountingError(
                    f"{name} of a sampled sum is {value}; it must be an int from {least} on"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """Several events on the same records, each of which may be chosen after the results of those before it.

    What may depend on earlier results is the query; the events themselves (sensitivity, noise, shares,
    dimension) are fixed before the first.

    Attributes:
        events: The parts, in any order; none at all costs nothing.

    Raises:
        AccountingError: `events` is no tuple of events.
    """

    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        events: object = self.events
        if not isinstance(events, tuple) or not all(isinstance(event, Event) for event in events):
            raise AccountingError(
                "a composition must be a tuple of events (DistributedGaussian, PoissonSampledGaussian, "
                "Composed, Disjoint, NonPrivate); anything else has no price"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disjoint:
    """Events on parts of the records that have no record in common, such as training and test rows.

    Which part a record belongs to depends on the record alone, and was fixed before the first event. Queries
    on one part may be chosen after results of the others.

    Attributes:
        parts: What was done to each part; two or more.

    Raises:
        AccountingError: `parts` is no tuple of two events or more.
    """

    parts: tuple[Event, ...]

    def __post_init__(self) -> None:
        parts: object = self.parts
        if (
            not isinstance(parts, tuple)
            or len(parts) < 2
            or not all(isinstance(event, Event) for event in parts)
        ):
            raise AccountingError("disjoint parts must be a tuple of two events or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class NonPrivate:
    """Something was released without protection: its epsilon, and that of what contains it, is infinite."""


Event: TypeAlias = DistributedGaussian | PoissonSampledGaussian | Composed | Disjoint | NonPrivate
"""Everything that an accountant can be asked to price."""


def leaves(event: Event) -> Iterator[DistributedGaussian | PoissonSampledGaussian | NonPrivate]:
    """Yields the events that `event` is made of, in order: compositions and disjoint parts taken apart.

    All of them together cost at least what `event` costs.
    """
    if isinstance(event, Composed | Disjoint):
        for part in event.events if isinstance(event, Composed) else event.parts:
            yield from leaves(part)
    else:
        yield event


def on_part(event: Event, part: int) -> Event:
    """An event on the records of one part alone; part 0 is whatever is not divided.

    Args:
        event: What is done to the part.
        part: Its number, from 0.
    """
    return event if part == 0 else Disjoint(parts=(*(Composed(events=()),) * part, event))


def aligned(events: Iterable[Event]) -> Event:
    """Composes events part by part, where all of them divide the records in the same way.

    A composition of them costs more: it takes the dearest part of each, as if each had divided the records
    differently.

    Args:
        events: Each as `on_part` makes it, or aligned so before.

    Raises:
        AccountingError: Something that is divided lies within an event: which of its parts are which is not
            known, and laid into one part it would be priced too low.
    """
    parts: list[list[Event]] = [[]]
    for event in events:
        own = event.parts if isinstance(event, Disjoint) else (event,)
        if any(_is_divided(part) for part in own):
            raise AccountingError(
                "disjoint parts within an event cannot be aligned with those of others: compose the events "
                "instead, which counts the dearest part of each"
            )
        parts.extend([] for _ in range(len(own) - len(parts)))
        for held, part in zip(parts, own, strict=False):
            held.append(part)
    composed = tuple(Composed(events=tuple(held)) for held in parts)
    return composed[0] if len(composed) == 1 else Disjoint(parts=composed)


def _is_divided(event: Event) -> bool:
    return isinstance(event, Disjoint) or (
        isinstance(event, Composed) and any(_is_divided(part) for part in event.events)
    )
