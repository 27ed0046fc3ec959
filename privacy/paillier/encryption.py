"""Encrypting and adding vectors of plaintexts: what every party and the committee do without any secret key.

A ciphertext of m is (1 + m n) r^n modulo n^2 with r uniform in the units modulo n (Paillier 1999; g = n + 1).
Each r is drawn from the system's randomness, used once, and forgotten: a repeated r would show the difference
of two plaintexts.
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import gmpy2

from fedscore.errors import CiphertextRefused, LayoutError
from privacy.paillier.keys import PublicKey

__all__ = ["add", "encrypt"]


def encrypt(
    public_key: PublicKey, plaintexts: Sequence[int], *, randbelow: Callable[[int], int] = secrets.randbelow
) -> tuple[int, ...]:
    """Encrypt signed plaintexts, each under fresh randomness.

    Runs on every core; the exponentiations release the interpreter lock.

    Args:
        public_key: The key.
        plaintexts: Signed integers of absolute value at most (n - 1)/2, as `pack` returns them.
        randbelow: Uniform integers in [0, bound). Only tests pass anything but the system's randomness:
            whoever knows its output reads the plaintexts.

    Returns:
        One ciphertext per plaintext, each a canonical unit modulo n^2.

    Raises:
        LayoutError: A plaintext lies outside the range.
    """
    n = public_key.n
    if any(abs(plaintext) > n // 2 for plaintext in plaintexts):
        raise LayoutError(
            f"a plaintext exceeds half of the {public_key.bits}-bit modulus: pack for this key's size, or "
            "use a larger key"
        )
    modulus = gmpy2.mpz(public_key.n_squared)
    masks = _powers([_draw_unit(n, randbelow) for _ in plaintexts], n, modulus)
    return tuple(
        int((1 + plaintext * n) * mask % modulus) for plaintext, mask in zip(plaintexts, masks, strict=True)
    )


def add(public_key: PublicKey, columns: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Add encrypted vectors: the product of their ciphertexts, place by place, modulo n squared.

    The result decrypts to the sum of the plaintexts, provided that the layout has headroom for so many
    vectors: `SlotLayout.require_summands` says so.

    Args:
        public_key: The key that all were encrypted to.
        columns: One vector of canonical ciphertexts per party, all of one length.

    Returns:
        The encrypted sum, a vector of that length.

    Raises:
        CiphertextRefused: There is no vector, or they differ in length.
    """
    if len({len(column) for column in columns}) != 1:
        raise CiphertextRefused(
            f"{len(columns)} vectors of ciphertexts do not add up: give at least one, and all of one length"
        )
    modulus = gmpy2.mpz(public_key.n_squared)
    product = [gmpy2.mpz(ciphertext) for ciphertext in columns[0]]
    for column in columns[1:]:
        product = [total * ciphertext % modulus for total, ciphertext in zip(product, column, strict=True)]
    return tuple(map(int, product))


def _draw_unit(n: int, randbelow: Callable[[int], int]) -> int:
    """Draw r uniformly from the units modulo n."""
    while True:
        candidate = randbelow(n)
        if math.gcd(candidate, n) == 1:
            return candidate


def _powers(bases: Sequence[int], exponent: int, modulus: int) -> list[int]:
    """Raise many bases to one exponent, the list split evenly over the cores."""
    workers = min(os.cpu_count() or 1, len(bases))
    if workers <= 1:
        return list(gmpy2.powmod_base_list(list(bases), exponent, modulus))
    size = -(-len(bases) // workers)
    parts = [list(bases[start : start + size]) for start in range(0, len(bases), size)]
    with ThreadPoolExecutor(workers) as pool:
        powers = pool.map(
            gmpy2.powmod_base_list, parts, itertools.repeat(exponent), itertools.repeat(modulus)
        )
        return list(itertools.chain.from_iterable(powers))
