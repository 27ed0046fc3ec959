"""What must hold of any one characteristic: its name, its subject, its grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from fedscore.contract.characteristics import Characteristic, Derived
from fedscore.contract.denylist import FAIR_LENDING, REFUSED, subjects_in
from fedscore.contract.findings import Path, Problem, error, plain, warning

__all__ = ["edge_problems", "name_problems", "number_grid_problems", "repeated", "subject_problems"]


def name_problems(path: Path, name: str, seen: set[str]) -> Iterator[Problem]:
    """A name that is taken; notes the name as seen."""
    if name in seen:
        yield error((*path, "name"), f"the name {name} is taken further up: every characteristic has its own")
    seen.add(name)


def subject_problems(path: Path, names: Sequence[str], item: Characteristic | Derived) -> Iterator[Problem]:
    """A subject that is refused, or that fair-lending law restricts."""
    for subject, phrase in subjects_in(REFUSED, names=names, description=item.description):
        yield error(
            path,
            f'{item.name} seems to be about {subject.name} ("{phrase}"), which a score must not use (data '
            "minimisation, special categories): take it out; if the words mislead, say in name, column and "
            "description what it really is",
        )
    for subject, phrase in subjects_in(FAIR_LENDING, names=names, description=item.description):
        yield warning(
            path,
            f'{item.name} seems to be about {subject.name} ("{phrase}"), which fair-lending law forbids or '
            "restricts in many countries: ask counsel, or take it out",
        )


def number_grid_problems(
    path: Path, edges: Sequence[float], item: Characteristic | Derived
) -> Iterator[Problem]:
    """A public grid that is absent, needless or not increasing."""
    yield from edge_problems(path, edges)
    if not edges and not item.input_only:
        yield error(
            (*path, "edges"), f"{item.name} has no edges: give its public grid, or set input_only = true"
        )
    if item.input_only and edges:
        yield error((*path, "edges"), f"{item.name} is input_only, so it has no cells: remove one of the two")
    if item.input_only and item.monotone is not None:
        yield error(
            (*path, "monotone"), f"{item.name} is input_only, so it has no cells: remove one of the two"
        )


def edge_problems(path: Path, edges: Sequence[float]) -> Iterator[Problem]:
    """Edges that do not increase strictly."""
    for place, (low, high) in enumerate(pairwise(edges), start=1):
        if low >= high:
            yield error(
                (*path, "edges", place),
                f"edges must increase strictly, but {plain(high)} follows {plain(low)}: sort them, each once",
            )


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, in the order of their first occurrence."""
    return [name for name, count in Counter(names).items() if count > 1]
