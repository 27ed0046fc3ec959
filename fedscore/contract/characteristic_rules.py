"""What must hold of the characteristics that come from columns."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.characteristics import Characteristic, ValueType
from fedscore.contract.common_rules import name_problems, number_grid_problems, repeated, subject_problems
from fedscore.contract.draft import Draft
from fedscore.contract.findings import Path, Problem, error, plain, warning

__all__ = ["characteristic_problems"]


def characteristic_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of single characteristics, of their names, and of their number."""
    used = draft.used_names()
    seen: set[str] = set()
    for index, item in draft.characteristics.items():
        path = ("characteristics", index)
        yield from name_problems(path, item.name, seen)
        yield from subject_problems(path, (item.name, item.column), item)
        yield from _grid_problems(path, item)
        yield from _special_problems(path, item)
        if not item.roles or len(set(item.roles)) < len(item.roles):
            yield error((*path, "roles"), 'name "platform", "collector", or both, each once')
        if item.input_only and item.name not in used and not draft.unreadable:
            yield warning(
                (*path, "input_only"),
                f"nothing uses {item.name}: take it out, for a contract names no more than it uses",
            )
    modelled = [item for item in draft.by_name().values() if not item.input_only]
    if not modelled and not draft.unreadable:
        yield error(("characteristics",), "no characteristic has cells: a score needs at least one")


def _grid_problems(path: Path, item: Characteristic) -> Iterator[Problem]:
    if item.type is ValueType.NUMBER:
        yield from number_grid_problems(path, item.edges, item)
        if item.levels:
            yield error(
                (*path, "levels"), "a number has edges, not levels: remove levels, or make it a category"
            )
        return
    if item.edges:
        yield error((*path, "edges"), "a category has levels, not edges: remove edges, or make it a number")
    if item.monotone is not None:
        yield error(
            (*path, "monotone"), "levels have no order, so nothing can be monotone over them: remove it"
        )
    if not item.levels and not item.input_only:
        yield error(
            (*path, "levels"),
            f'category {item.name} has no levels: name its public levels, as levels = ["a", "b"]',
        )
    for level in repeated(item.levels):
        yield error((*path, "levels"), f"level {level} is named twice: keep one of them")


def _special_problems(path: Path, item: Characteristic) -> Iterator[Problem]:
    is_number = item.type is ValueType.NUMBER
    seen: set[str] = set()
    meanings: set[str] = set()
    for place, special in enumerate(item.special):
        where = (*path, "special", place)
        code = special.code if isinstance(special.code, str) else plain(special.code)
        if is_number and isinstance(special.code, str):
            yield error(
                (*where, "code"),
                f'the code of a number is a number, not the text "{code}": remove the quotes',
            )
        if code in seen:
            yield error((*where, "code"), f"special code {code} is named twice: keep one of them")
        if code in item.levels:
            yield error((*where, "code"), f"{code} is a special code and a level: keep one of the two")
        if special.meaning in meanings:
            yield error(
                (*where, "meaning"), f'two codes mean "{special.meaning}": cells need labels of their own'
            )
        seen.add(code)
        meanings.add(special.meaning)
