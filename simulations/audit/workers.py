"""Many small jobs on a few processes, in order; a result never depends on how many there are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

__all__ = ["spread"]

_Result = TypeVar("_Result")

_PARTS = 16
"""Each process comes back so often, so that progress can be told."""


def spread(
    do: Callable[[int], _Result],
    numbers: Sequence[int],
    *,
    processes: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[_Result]:
    """Does something for every number.

    Args:
        do: What is done; whatever it holds is inherited by forked processes and need not be sent.
        numbers: Of the jobs.
        processes: At most so many; with 1, everything happens in this one.
        progress: Is told how many are done.
    """
    results: list[_Result] = []
    for part in _parts(do, numbers, processes):
        results.extend(part)
        progress(len(results))
    return results


def _parts(do: Callable[[int], _Result], numbers: Sequence[int], processes: int) -> Iterator[list[_Result]]:
    size = max(1, -(-len(numbers) // (_PARTS * processes)))
    parts = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    if processes == 1 or len(parts) == 1:
        yield from ([do(number) for number in part] for part in parts)
        return
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_inherit,
        initargs=(do,),
    ) as pool:
        yield from pool.map(_do_part, parts)


_inherited: list[Callable[[int], Any]] = []


def _inherit(do: Callable[[int], object]) -> None:
    _inherited[:] = [do]


def _do_part(numbers: Sequence[int]) -> list[Any]:
    return [_inherited[0](number) for number in numbers]
