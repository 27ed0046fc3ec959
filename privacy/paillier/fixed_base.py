"""Powers of one base, by tables.

An exponent is cut into digits of w bits. With a table of base^(d 2^(w i)) for every digit d and place i, a
power is one multiplication per digit and no squaring (Brickell, Gordon, McCurley and Wilson 1992). Entries
are kept in the split form of `products`, which halves the price of each multiplication.

Which entries are read depends on the exponent: whoever watches this process's cache may learn about it.
"""

from __future__ import annotations

from collections.abc import Sequence

import gmpy2
from gmpy2 import mpz

from fedscore.errors import EncryptionError
from privacy.paillier.products import join, split

__all__ = ["FixedBase", "window_for"]

_MAXIMUM_ENTRIES = 1 << 16
"""Bounds a table's memory: 48 MiB of entries for a 3072-bit key, whose exponents have half of its length."""

_BYTE = 8


class FixedBase:
    """The powers of one unit modulo n^2, for exponents below a bound.

    Attributes:
        window: Bits per digit, w.
        exponent_bits: Exponents lie in [0, 2^exponent_bits).
    """

    __slots__ = ("_heads", "_n", "_n_squared", "_tails", "exponent_bits", "window")

    def __init__(self, base: int, n: int, *, exponent_bits: int, window: int) -> None:
        """Build the table: three multiplications modulo n for each of 2^w entries per digit.

        Args:
            base: A unit modulo n^2, in [1, n^2).
            n: The modulus's root.
            exponent_bits: The largest length of an exponent, at least 1.
            window: Bits per digit, at least 1; see `window_for`.
        """
        self.exponent_bits, self.window = exponent_bits, window
        self._n = mpz(n)
        self._n_squared = self._n * self._n
        self._heads: list[list[mpz]] = []
        self._tails: list[list[mpz]] = []
        halves = split(n, [base])
        (head,), (tail,) = halves.heads, halves.tails
        inverse = gmpy2.invert(head, self._n)
        for _ in range(0, exponent_bits, window):
            heads, tails, inverse_head = [mpz(1)], [mpz(0)], mpz(1)
            for _ in range(1 << window):
                # head * head' = carry n + rest = rest * (1 + carry / rest * n) modulo n^2.
                carry, rest = gmpy2.f_divmod(heads[-1] * head, self._n)
                inverse_head = inverse_head * inverse % self._n
                heads.append(rest)
                tails.append((tails[-1] + tail + carry * inverse_head) % self._n)
            # The power that is one digit too large is the base of the next place.
            head, tail, inverse = heads.pop(), tails.pop(), inverse_head
            self._heads.append(heads)
            self._tails.append(tails)

    def power(self, exponent: int) -> mpz:
        """Return base ** exponent modulo n^2.

        Args:
            exponent: An integer in [0, 2^exponent_bits).

        Raises:
            EncryptionError: The exponent lies outside.
        """
        if exponent < 0 or exponent.bit_length() > self.exponent_bits:
            raise EncryptionError(
                f"an exponent lies outside [0, 2^{self.exponent_bits}), for which the table was built: build "
                "one for longer exponents"
            )
        product, tail = mpz(1), mpz(0)
        for digit, heads, tails in zip(self._digits(exponent), self._heads, self._tails, strict=True):
            product = product * heads[digit] % self._n_squared
            tail += tails[digit]
        return join(self._n, product, tail)

    def _digits(self, exponent: int) -> Sequence[int]:
        """Cut an exponent into digits, the lowest first."""
        if self.window == _BYTE:
            return exponent.to_bytes(len(self._heads), "little")
        mask = (1 << self.window) - 1
        return [exponent >> shift & mask for shift in range(0, self.exponent_bits, self.window)]


def window_for(*, exponent_bits: int, powers: int) -> int:
    """Choose the window that makes building a table and raising to so many powers cheapest.

    Args:
        exponent_bits: Length of the exponents.
        powers: Number of powers that the table will serve.

    Returns:
        Bits per digit, such that the table stays below 64 MB for the exponents of a 3072-bit key.
    """

    def places(window: int) -> int:
        return -(-exponent_bits // window)

    def cost(window: int) -> int:
        # An entry costs about as much to make as two are to use.
        return places(window) * ((2 << window) + powers)

    allowed = [window for window in range(2, 17) if places(window) << window <= _MAXIMUM_ENTRIES]
    return min([1, *allowed], key=cost)
