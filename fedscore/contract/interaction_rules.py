"""What must hold of interactions: sides that exist, coarse grids of the right kind, pairs named once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fedscore.contract.characteristics import Characteristic, Derived, InteractionSide, ValueType
from fedscore.contract.common_rules import edge_problems, repeated
from fedscore.contract.draft import Draft
from fedscore.contract.findings import Path, Problem, closest, error

__all__ = ["interaction_problems", "side_problems"]


def interaction_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of interactions: sides that exist, coarse grids that fit their kind, pairs named once."""
    known, held = draft.by_name(), draft.holders()
    pairs: set[frozenset[str]] = set()
    for index, item in draft.interactions.items():
        path = ("interactions", index)
        yield from side_problems((*path, "first"), item.first, known, draft.unreadable)
        yield from side_problems((*path, "second"), item.second, known, draft.unreadable)
        pair = frozenset({item.first.of, item.second.of})
        if len(pair) == 1:
            yield error((*path, "second", "of"), f"{item.second.of} is crossed with itself: name another")
        elif pair in pairs:
            yield error(path, f"{item.first.of} and {item.second.of} are crossed twice: keep one of them")
        elif pair <= held.keys() and not held[item.first.of] & held[item.second.of]:
            yield error(
                path,
                f"no role holds both {item.first.of} and {item.second.of}: cross characteristics that one "
                "organisation can have together",
            )
        pairs.add(pair)


def side_problems(
    path: Path,
    side: InteractionSide,
    known: Mapping[str, Characteristic | Derived],
    unreadable: frozenset[str],
) -> Iterator[Problem]:
    """Problems of one coarse grid: a name that is unknown, a grid of the wrong kind."""
    yield from edge_problems(path, side.edges)
    if side.of not in known:
        if side.of not in unreadable:
            yield error(
                (*path, "of"), f"{side.of} is no characteristic of this contract{closest(side.of, known)}"
            )
        return
    item = known[side.of]
    if isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
        yield from _category_side_problems(path, side, item)
    elif side.levels:
        yield error((*path, "levels"), f"{side.of} is a number: give edges instead of levels")
    elif not side.edges:
        yield error(path, f"{side.of} is a number: give its coarse grid, as edges = [...]")


def _category_side_problems(path: Path, side: InteractionSide, item: Characteristic) -> Iterator[Problem]:
    if side.edges:
        yield error((*path, "edges"), f"{side.of} is a category: name levels instead of edges")
    elif not side.levels:
        yield error(path, f"{side.of} is a category: name the levels that matter, as levels = [...]")
    for level in side.levels:
        if item.levels and level not in item.levels:
            yield error((*path, "levels"), f"{level} is no level of {side.of}{closest(level, item.levels)}")
    for level in repeated(side.levels):
        yield error((*path, "levels"), f"level {level} is named twice: keep one of them")
