"""Encrypting and adding vectors of plaintexts: what every party and the committee do without any secret key.

A ciphertext of m is (1 + m n) h_s^a mod n^2, where h_s = h^n for the key's public base h, and a is fresh and
half as long as n (Damgård, Jurik and Nielsen 2010): an ordinary Paillier ciphertext with the root r = h^a.
What that rests on, what is kept and for how long, is written in docs/adr/0005-fast-encryption.md.

Each exponent comes from the system's randomness and serves one ciphertext. It is kept until the vector's one
proof is made, in this process only: a forked child has forgotten it.
"""

from __future__ import annotations

import functools
import os
import secrets
import weakref
from collections.abc import Sequence
from typing import NoReturn, final

import gmpy2

from fedscore.errors import CiphertextRefused, EncryptionError, LayoutError
from privacy.paillier.fixed_base import FixedBase, window_for
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import SplitUnits, join, multiply
from privacy.paillier.proofs import PlaintextProof, prove_plaintexts, randomness_base

__all__ = ["FreshVector", "add", "encrypt"]

_KEYS_REMEMBERED = 4
"""Keys whose tables are kept: a process serves one run under one key; a change of key overlaps briefly."""


@final
class FreshVector:
    """Ciphertexts that nobody has seen yet, and what it takes to prove once that their maker knows them.

    It is neither copied nor pickled, and shows no secret: only `ciphertexts` and the proof are for others.

    Attributes:
        ciphertexts: Canonical units modulo n^2, one per plaintext.
    """

    __slots__ = ("__weakref__", "_openings", "_public_key", "ciphertexts")

    def __init__(
        self,
        public_key: PublicKey,
        ciphertexts: tuple[int, ...],
        *,
        plaintexts: tuple[int, ...],
        exponents: tuple[int, ...],
    ) -> None:
        """Join what `encrypt` made."""
        self.ciphertexts = ciphertexts
        self._public_key = public_key
        # A list, because taking its one element is atomic: of two threads that prove, one is refused.
        self._openings = [(plaintexts, exponents)]
        _unproven.add(self)

    def prove(self, statement: bytes) -> PlaintextProof:
        """Prove knowledge of the plaintexts, once; the openings are forgotten with it.

        Args:
            statement: What the proof is bound to: it holds for no other contract, run, round, sender,
                transcript, request or layout than this names.

        Raises:
            EncryptionError: The proof was made before, or another process encrypted the vector.
        """
        try:
            plaintexts, exponents = self._openings.pop()
        except IndexError:
            raise EncryptionError(
                "the vector's openings are gone: a vector is proven once, by the process that encrypted it; "
                "encrypt afresh"
            ) from None
        _unproven.discard(self)
        return prove_plaintexts(
            self._public_key, self.ciphertexts, statement, plaintexts=plaintexts, exponents=exponents
        )

    def __repr__(self) -> str:
        state = "not yet proven" if self._openings else "proven or forgotten"
        return f"<FreshVector of {len(self.ciphertexts)} ciphertexts, {state}>"

    def __reduce__(self) -> NoReturn:
        raise EncryptionError(
            "a fresh vector is neither copied nor pickled, since its randomness serves once: pass its "
            "ciphertexts and its proof on"
        )


_unproven: weakref.WeakSet[FreshVector] = weakref.WeakSet()


def _forget_openings() -> None:
    """Forget every opening: what the parent holds, its child must not use a second time."""
    for vector in list(_unproven):
        vector._openings.clear()  # noqa: SLF001  # the vectors of this module
    _unproven.clear()


os.register_at_fork(after_in_child=_forget_openings)


class _Randomness:
    """The powers of one key's h_s: a public table that grows with use, and no secret."""

    __slots__ = ("_base", "_made", "_n", "_table")

    def __init__(self, public_key: PublicKey) -> None:
        self._n = public_key.n
        self._base = int(gmpy2.powmod(randomness_base(public_key), public_key.n, public_key.n_squared))
        self._made = 0
        self._table: FixedBase | None = None

    def table(self, count: int, expected: int) -> FixedBase:
        """Return a table, a larger one than before if that pays for what was made and is announced.

        Two threads that come here at once may both build one; either serves.
        """
        self._made += count
        exponent_bits = (self._n.bit_length() + 1) // 2
        window = window_for(exponent_bits=exponent_bits, powers=max(self._made, expected))
        table = self._table
        if table is None or table.window < window:
            table = FixedBase(self._base, self._n, exponent_bits=exponent_bits, window=window)
            self._table = table
        return table


@functools.lru_cache(maxsize=_KEYS_REMEMBERED)
def _randomness(public_key: PublicKey) -> _Randomness:
    return _Randomness(public_key)


def encrypt(public_key: PublicKey, plaintexts: Sequence[int], *, expected: int | None = None) -> FreshVector:
    """Encrypt signed plaintexts, each under fresh randomness.

    Args:
        public_key: The key.
        plaintexts: Signed integers of absolute value at most (n - 1)/2, as `pack` returns them.
        expected: How many ciphertexts this process will make under the key in all, if that is known: a larger
            table costs more to build and less to use. Without it, what was made so far decides.

    Returns:
        One ciphertext per plaintext, and the means to prove once that they are known.

    Raises:
        LayoutError: A plaintext lies outside the range.
    """
    n = public_key.n
    if any(abs(plaintext) > n // 2 for plaintext in plaintexts):
        raise LayoutError(
            f"a plaintext exceeds half of the {public_key.bits}-bit modulus: pack for this key's size, or "
            "use a larger key"
        )
    table = _randomness(public_key).table(len(plaintexts), expected or 0)
    exponents = tuple(secrets.randbits(table.exponent_bits) for _ in plaintexts)
    ciphertexts = tuple(
        int(join(n, table.power(exponent), plaintext))
        for plaintext, exponent in zip(plaintexts, exponents, strict=True)
    )
    return FreshVector(public_key, ciphertexts, plaintexts=tuple(plaintexts), exponents=exponents)


def add(public_key: PublicKey, columns: Sequence[SplitUnits]) -> tuple[int, ...]:
    """Add encrypted vectors: the product of their ciphertexts, place by place, modulo n squared.

    The result decrypts to the sum of the plaintexts, provided that the layout has headroom for so many
    vectors: `SlotLayout.require_summands` says so.

    Args:
        public_key: The key that all were encrypted to.
        columns: One vector of ciphertexts per party, all of one length, split when it was checked.

    Returns:
        The encrypted sum, a vector of that length of canonical ciphertexts.

    Raises:
        CiphertextRefused: There is no vector, or they differ in length, or one was split under another key.
    """
    if len({len(column) for column in columns}) != 1 or {column.n for column in columns} != {public_key.n}:
        raise CiphertextRefused(
            f"{len(columns)} vectors of ciphertexts do not add up: give at least one, all of one length and "
            "all under this key"
        )
    return tuple(map(int, multiply(public_key.n, columns)))
