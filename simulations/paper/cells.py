"""What a cell of a table shows of the runs: a mean, a paired difference, a goal and whether it is reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Protocol

from fedscore.errors import ScenarioError
from simulations.paired import Gap, paired_gap
from simulations.paper.sources import Found, Method, Source

__all__ = [
    "Above",
    "Cell",
    "Difference",
    "Empty",
    "Given",
    "Mean",
    "Reached",
    "Reported",
    "Sent",
    "Spent",
    "Sums",
    "decimal",
]

_MINUS = "\N{MINUS SIGN}"


class Cell(Protocol):
    """Something that runs put a text to."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Whose runs it needs."""
        ...

    def text(self, found: Found) -> str:
        """What stands in the table."""
        ...


def decimal(value: float, *, signed: bool = False) -> str:
    """An AUC, or a difference of two, as the tables write it: four digits, nothing before the point.

    Args:
        value: Any number.
        signed: Whether its sign is told; zero has none of its own, and is told as positive.
    """
    digits = f"{abs(value):.4f}"
    digits = digits.removeprefix("0")
    if not signed:
        return f"{_MINUS}{digits}" if value < 0 and float(digits) else digits
    return f"{_MINUS if value < 0 and float(digits) else '+'}{digits}"


def _told(gap: Gap) -> str:
    margin = "" if gap.margin is None else f" ± {decimal(gap.margin)}"
    return decimal(gap.mean, signed=True) + margin


def _gap(minuend: Method, subtrahend: Method, found: Found) -> Gap:
    first, second = minuend.areas(found), subtrahend.areas(found)
    gap = paired_gap(first, second)
    if gap is None or first.keys() != second.keys():
        raise ScenarioError(
            f"{minuend.source.command} and {subtrahend.source.command} have not run the same seeds: what is "
            "not measured on the same splits is not compared"
        )
    return gap


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """None."""
        return ()

    def text(self, found: Found) -> str:  # noqa: ARG002 - as every cell
        """Nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Given:
    """A figure that no run gives: a goal, or what others have published.

    Attributes:
        value: The figure.
    """

    value: float

    @property
    def sources(self) -> tuple[Source, ...]:
        """None."""
        return ()

    def text(self, found: Found) -> str:  # noqa: ARG002 - as every cell
        """The figure."""
        return decimal(self.value)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean AUC over seeds.

    Attributes:
        method: Whose.
    """

    method: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """As `.7760`."""
        return decimal(statistics.fmean(self.method.areas(found).values()))


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one method is ahead of another on the same splits, with the 95 % interval of it.

    Attributes:
        minuend: The first method.
        subtrahend: The second.
    """

    minuend: Method
    subtrahend: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those of both."""
        return (self.minuend.source, self.subtrahend.source)

    def text(self, found: Found) -> str:
        """As `+.0091 ± .0037`."""
        return _told(_gap(self.minuend, self.subtrahend, found))


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether a method is as near to another as a goal asks.

    Attributes:
        goal: The largest difference that is wanted.
        minuend: What is to be reached.
        subtrahend: What should come near to it.
    """

    goal: float
    minuend: Method
    subtrahend: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those of both methods."""
        return (self.minuend.source, self.subtrahend.source)

    def text(self, found: Found) -> str:
        """`yes`, or by how much it is missed; and whether the interval leaves the answer open."""
        gap = _gap(self.minuend, self.subtrahend, found)
        # What is compared is what a reader sees: four digits.
        beyond = round(round(gap.mean, 4) - self.goal, 4)
        answer = "yes" if beyond <= 0 else f"missed by {decimal(beyond)}"
        is_open = gap.margin is not None and abs(beyond) < gap.margin
        return f"{answer} (open)" if is_open else answer


@dataclass(frozen=True, slots=True)
class Above:
    """A method's mean AUC less a published mean, with the 95 % interval of the method's own mean over splits.

    Nothing can be paired: what was published is a mean alone.

    Attributes:
        method: Whose AUC.
        published: The mean of others.
    """

    method: Method
    published: float

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """As `+.0083 ± .0021`."""
        areas = self.method.areas(found)
        gap = paired_gap(areas, dict.fromkeys(areas, self.published))
        if gap is None:
            raise ScenarioError(f"{self.method.source.command} gave no AUC to compare")
        return _told(gap)


@dataclass(frozen=True, slots=True)
class Sums:
    """How many sums leave a party in a run.

    Attributes:
        method: Whose.
    """

    method: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """The largest number over seeds."""
        return str(max(run.rounds for run in self.method.runs(found)))


@dataclass(frozen=True, slots=True)
class Sent:
    """How many numbers a party sends in a run.

    Attributes:
        method: Whose.
    """

    method: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """The largest number over seeds."""
        return f"{max(run.values_per_party for run in self.method.runs(found)):,}"


@dataclass(frozen=True, slots=True)
class Spent:
    """The true epsilon of a method's runs: that of everything they released, proven.

    Attributes:
        method: Whose.
    """

    method: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """The largest over seeds; infinity where a run promises nothing."""
        spent = [run.epsilon_spent for run in self.method.runs(found)]
        known = [epsilon for epsilon in spent if epsilon is not None]
        return _two_digits(max(known)) if len(known) == len(spent) else "\N{INFINITY}"


@dataclass(frozen=True, slots=True)
class Reported:
    """The epsilon that the tools of a method report of its runs, where it is not the true one.

    Attributes:
        method: Whose.
    """

    method: Method

    @property
    def sources(self) -> tuple[Source, ...]:
        """The method's."""
        return (self.method.source,)

    def text(self, found: Found) -> str:
        """The largest over seeds; nothing where nothing else is reported."""
        told = [run.epsilon_reported for run in self.method.runs(found) if run.epsilon_reported is not None]
        return _two_digits(max(told)) if told else ""


def _two_digits(epsilon: float) -> str:
    return f"{epsilon:.2f}".removeprefix("0")
