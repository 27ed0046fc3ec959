"""Safe primes: p = 2 p' + 1 with p' prime.

A window of candidates p' = 5 modulo 6 (the others make p' or p divisible by 2 or 3) starts at a place drawn
from `secrets`. A sieve strikes out every candidate for which p' **or** p has a small prime factor; what is
left meets a Fermat test to base 2, which releases the interpreter lock, and only its survivors are tested in
earnest. Threads search independently, so no prime ever crosses a process boundary. Starting a window at
random favours primes after long gaps; the loss of entropy is known to be negligible (Brandt and Damgård
1993).
"""

from __future__ import annotations

import functools
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import gmpy2
import numpy as np
import numpy.typing as npt

from fedscore.errors import KeyRefused

__all__ = ["SMALLEST_BITS", "is_safe_prime", "safe_primes"]

SMALLEST_BITS = 64
"""Below this, candidates would be as small as the sieve's own primes."""

_SIEVE_BELOW = 1 << 20
_WINDOW = 1 << 18
# One strided store per prime is faster below this, one indexed store for all primes above.
_STRIDED_BELOW = 1 << 13
# GMP runs a Baillie-PSW test and then Miller-Rabin rounds to random bases.
_ROUNDS = 64


def is_safe_prime(number: int) -> bool:
    """Whether both the number and (number - 1) / 2 are prime, up to an error probability below 2^-80."""
    return bool(number % 2 and gmpy2.is_prime(number >> 1, _ROUNDS) and gmpy2.is_prime(number, _ROUNDS))


def safe_primes(*, bits: int, count: int, found: Callable[[], None] | None = None) -> tuple[int, ...]:
    """Find different safe primes, searching on every core.

    Args:
        bits: Length of each prime; its two highest bits are set, so that the product of two has exactly twice
            as many bits.
        count: How many.
        found: Called in the caller's thread after each prime.

    Returns:
        `count` different safe primes, in the order in which they were found.

    Raises:
        KeyRefused: `bits` is below `SMALLEST_BITS`.
    """
    if bits < SMALLEST_BITS:
        raise KeyRefused(f"safe primes of {bits} bits are refused: ask for {SMALLEST_BITS} or more")
    workers = os.cpu_count() or 1
    stop = threading.Event()
    primes: list[int] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="safe-primes") as pool:
        # Leaving this block for any reason, an interruption included, ends the searches within one test.
        try:
            searches = {pool.submit(_search, bits, stop) for _ in range(workers)}
            while len(primes) < count:
                done, searches = wait(searches, return_when=FIRST_COMPLETED)
                for search in done:
                    prime = search.result()
                    if prime is not None and prime not in primes and len(primes) < count:
                        primes.append(prime)
                        if found is not None:
                            found()
                    searches.add(pool.submit(_search, bits, stop))
        finally:
            stop.set()
    return tuple(primes)


def _search(bits: int, stop: threading.Event) -> int | None:
    """Search window after window for one safe prime; None when told to stop."""
    lowest = 3 << (bits - 3)
    starts = (1 << (bits - 1)) - lowest - 6 * _WINDOW
    while True:
        start = gmpy2.mpz(lowest + secrets.randbelow(starts))
        start += (5 - start) % 6
        for position in _survivors(start):
            if stop.is_set():
                return None
            half = start + 6 * position
            prime = 2 * half + 1
            if _passes_fermat(half) and _passes_fermat(prime) and is_safe_prime(prime):
                return int(prime)


def _passes_fermat(number: int) -> bool:
    # The list form is the one that always releases the interpreter lock.
    return bool(gmpy2.powmod_base_list([2], number - 1, number)[0] == 1)


def _survivors(start: int) -> Iterator[int]:
    """Positions k in the window where neither start + 6k nor 2(start + 6k) + 1 has a small prime factor."""
    primes = _sieve_primes()
    residues = np.fromiter((start % prime for prime in primes.tolist()), np.int64, len(primes))
    # 1/6 modulo l in closed form: (l + 1)/6 or (5 l + 1)/6, whichever is whole; and 1/2 is (l + 1)/2.
    sixth = np.where(primes % 6 == 5, primes + 1, 5 * primes + 1) // 6
    twelfth = sixth * ((primes + 1) // 2) % primes
    struck = np.zeros(_WINDOW, np.bool_)
    _strike(struck, primes, -residues * sixth % primes)
    _strike(struck, primes, -(2 * residues + 1) * twelfth % primes)
    return iter(np.flatnonzero(~struck).tolist())


def _strike(
    struck: npt.NDArray[np.bool_], primes: npt.NDArray[np.int64], first: npt.NDArray[np.int64]
) -> None:
    """Strike out first, first + l, first + 2l, ... for every prime l."""
    few = int(np.searchsorted(primes, _STRIDED_BELOW))
    for prime, position in zip(primes[:few].tolist(), first[:few].tolist(), strict=True):
        struck[position::prime] = True
    positions, steps = first[few:], primes[few:]
    while len(positions):
        inside = positions < len(struck)
        positions, steps = positions[inside], steps[inside]
        struck[positions] = True
        positions = positions + steps


@functools.cache
def _sieve_primes() -> npt.NDArray[np.int64]:
    """The primes from 5 up to the sieve's bound (2 and 3 are met by the choice of candidates)."""
    prime = np.ones(_SIEVE_BELOW, np.bool_)
    prime[:5] = False
    prime[4::2] = False
    prime[9::3] = False
    for divisor in range(5, int(_SIEVE_BELOW**0.5) + 1, 2):
        if prime[divisor]:
            prime[divisor * divisor :: divisor] = False
    return np.flatnonzero(prime).astype(np.int64)
