"""Powers of many bases with one public exponent, on every core."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import gmpy2
from gmpy2 import mpz

__all__ = ["powers"]


def powers(bases: Sequence[int], exponent: int, modulus: int) -> list[mpz]:
    """Raise every base to one power.

    The list is split over the cores: `gmpy2` lets go of the interpreter's lock while it works on a list. Only
    for public exponents: the running time depends on them.

    Args:
        bases: Integers, any number of them.
        exponent: 0 or more: GMP ends the whole process where it cannot invert.
        modulus: Positive.

    Returns:
        One residue in [0, modulus) for each base, in their order.
    """
    workers = min(os.cpu_count() or 1, len(bases))
    power, divisor = mpz(exponent), mpz(modulus)
    if workers <= 1:
        return list(gmpy2.powmod_base_list(list(bases), power, divisor))
    size = -(-len(bases) // workers)
    parts = [list(bases[start : start + size]) for start in range(0, len(bases), size)]
    with ThreadPoolExecutor(workers) as pool:
        raised = pool.map(gmpy2.powmod_base_list, parts, itertools.repeat(power), itertools.repeat(divisor))
        return list(itertools.chain.from_iterable(raised))
