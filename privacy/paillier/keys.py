"""The public key: what every party encrypts to.

The key is an ordinary Paillier key with g = n + 1 (Paillier 1999; Damgård-Jurik 2001, section 3), so the
`phe` package encrypts to it and adds under it. Nobody holds the matching private key as such: see `shares`.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Self

import gmpy2
import phe

from fedscore.errors import KeyRefused
from privacy.paillier.hexjson import read_numbers, write_numbers

__all__ = ["MAXIMUM_BITS", "MINIMUM_BITS", "PublicKey"]

MINIMUM_BITS = 2048
"""The smallest modulus accepted: about 112 bits of security (NIST SP 800-57 part 1, table 2)."""

MAXIMUM_BITS = 8192
"""The largest modulus accepted, so that a hostile key cannot keep its reader busy."""

_SMALL_FACTORS_BELOW = 1 << 16
_KIND = "fedscore-paillier-public-key-1"


@functools.cache
def _small_primorial() -> int:
    """The product of all primes below 2^16: one gcd with it finds any small factor."""
    return int(gmpy2.primorial(_SMALL_FACTORS_BELOW))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A Paillier public key (n, g = n + 1).

    Attributes:
        n: The modulus. Its factorisation cannot be checked from outside; what is obviously no product of two
            large primes (even, a small factor, a square, a prime) is refused.
        unsafe_minimum_bits: For tests with toy keys only: accept a modulus from this many bits on.

    Raises:
        KeyRefused: The modulus is too small, too large, or obviously malformed.
    """

    n: int
    unsafe_minimum_bits: InitVar[int] = MINIMUM_BITS

    def __post_init__(self, unsafe_minimum_bits: int) -> None:
        bits = self.n.bit_length()
        if self.n < 0 or not unsafe_minimum_bits <= bits <= MAXIMUM_BITS:
            raise KeyRefused(
                f"a public key of {bits} bits is refused: {unsafe_minimum_bits} to {MAXIMUM_BITS} bits are "
                "accepted; run a key ceremony with a size in between"
            )
        if math.gcd(self.n, _small_primorial()) != 1:
            raise KeyRefused(
                "the modulus has a small prime factor and protects nothing: run a new key ceremony"
            )
        if gmpy2.is_square(self.n) or gmpy2.is_prime(self.n):
            raise KeyRefused(
                "the modulus is no product of two different primes and protects nothing: run a new key "
                "ceremony"
            )

    @property
    def bits(self) -> int:
        """Length of the modulus in bits."""
        return self.n.bit_length()

    @property
    def residue_bytes(self) -> int:
        """Bytes that any residue modulo n fits into."""
        return (self.bits + 7) // 8

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes that any ciphertext, a residue modulo n squared, fits into."""
        return (self.n_squared.bit_length() + 7) // 8

    @property
    def n_squared(self) -> int:
        """The square of n: ciphertexts are units modulo this."""
        return self.n * self.n

    @property
    def g(self) -> int:
        """The generator n + 1, for which g^m = 1 + m n modulo n squared."""
        return self.n + 1

    @property
    def key_id(self) -> str:
        """SHA-256 of n in little-endian bytes without padding, as 64 hexadecimal digits."""
        return hashlib.sha256(self.n.to_bytes(self.residue_bytes, "little")).hexdigest()

    def as_phe(self) -> phe.PaillierPublicKey:
        """The same key as a `phe` object."""
        return phe.PaillierPublicKey(self.n)

    def centred(self, residue: int) -> int:
        """The representative of a residue modulo n that is nearest to zero, in [-(n-1)/2, (n-1)/2].

        Plaintexts are written this way throughout: it is unique because n is odd, and a packed sum of
        signed values is its own representative.
        """
        residue %= self.n
        return residue - self.n if residue > self.n // 2 else residue

    def why_no_ciphertext(self, value: int) -> str | None:
        """Say why a number is no ciphertext under this key, or None if it is one.

        Ciphertexts are the canonical units modulo n squared: 1 <= value < n^2 and gcd(value, n) = 1. The
        reason quotes no number, since a common factor with n would be a factor of n.
        """
        if not 1 <= value < self.n_squared:
            return "lies outside [1, n^2)"
        if math.gcd(value % self.n, self.n) != 1:
            return "is no unit modulo n^2"
        return None

    def are_ciphertexts(self, values: Sequence[int]) -> bool:
        """Tell whether `why_no_ciphertext` has nothing to say of any of them; one gcd serves them all."""
        n, n_squared = gmpy2.mpz(self.n), self.n_squared
        product = gmpy2.mpz(1)
        for value in values:
            if not 1 <= value < n_squared:
                return False
            product = product * value % n
        return bool(gmpy2.gcd(product, n) == 1)

    def to_json(self) -> str:
        """The key as JSON text; the same key always gives the same text."""
        return write_numbers(_KIND, {"n": self.n})

    @classmethod
    def from_json(cls, text: str, *, unsafe_minimum_bits: int = MINIMUM_BITS) -> Self:
        """Read a key from what `to_json` wrote.

        Args:
            text: The JSON text.
            unsafe_minimum_bits: For tests with toy keys only, as in the constructor.

        Raises:
            KeyRefused: The text is malformed, or the key is refused.
        """
        return cls(read_numbers(_KIND, text, ["n"])["n"], unsafe_minimum_bits=unsafe_minimum_bits)
