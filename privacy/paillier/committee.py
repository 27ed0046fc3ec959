"""What everybody may know of a committee: how many members there are, how many open, how to check each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import gmpy2

from fedscore.errors import KeyRefused
from privacy.paillier.committee_rules import require_threshold
from privacy.paillier.keys import MINIMUM_BITS, PublicKey
from privacy.paillier.shares import KeyShare

__all__ = ["Committee", "lagrange_at_zero"]

# Twice the longest modulus: enough for everything, and quick to parse.
_CANONICAL = re.compile(r"[1-9a-f][0-9a-f]{0,4095}")
_NAMES = ("n", "threshold", "verification_base", "verification_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Committee:
    """A key's committee, with which every partial opening can be checked.

    The verification keys are v_i = v^(N! s_i) for the shares s_i of one polynomial of degree below t whose
    value at zero is 1/n. Building a committee checks just that, in the exponents and up to signs: so any t
    members whose shares fit their verification keys do open ciphertexts, and fewer do not.

    Attributes:
        public_key: The key whose private part is shared.
        threshold: Number of members t who open together.
        verification_base: v, a generator of the squares modulo n.
        verification_keys: v_i by member, the first of member 1; as many as there are members.

    Raises:
        KeyRefused: There is no such committee, or the verification keys are not those of shares of 1/n.
    """

    public_key: PublicKey
    threshold: int
    verification_base: int
    verification_keys: tuple[int, ...]

    def __post_init__(self) -> None:
        require_threshold(members=self.members, threshold=self.threshold)
        n, base = self.public_key.n, self.verification_base
        if not 1 < base < n or math.gcd(base * (base * base - 1), n) != 1 or gmpy2.jacobi(base, n) != 1:
            raise KeyRefused("the verification base generates no squares modulo n: deal the key again")
        if not all(0 < key < n and math.gcd(key, n) == 1 for key in self.verification_keys):
            raise KeyRefused("a verification key is no unit modulo n: deal the key again")
        if not self._shares_the_private_key():
            raise KeyRefused(
                f"the verification keys are not those of {self.members} shares of which any "
                f"{self.threshold} and no fewer open: fetch the record anew, or deal the key again"
            )

    @property
    def members(self) -> int:
        """Number of members N."""
        return len(self.verification_keys)

    @property
    def delta(self) -> int:
        """N!, which clears the denominators of every Lagrange coefficient."""
        return math.factorial(self.members)

    def require_share(self, share: KeyShare) -> None:
        """Refuse a share that is not one of this committee's.

        Raises:
            KeyRefused: It belongs to another key, another committee, or another ceremony for the same key.
        """
        ours = (self.public_key, self.members, self.threshold, self.verification_base)
        theirs = (share.public_key, share.members, share.threshold, share.verification_base)
        if theirs != ours or share.verification_key != self.verification_keys[share.index - 1]:
            raise KeyRefused(
                f"the share of member {share.index} is of another ceremony than this committee: use the "
                "share and the record of one ceremony"
            )

    def document(self) -> dict[str, object]:
        """The committee as a JSON object of hexadecimal numbers, for the ceremony's record."""
        return {
            "n": f"{self.public_key.n:x}",
            "threshold": self.threshold,
            "verification_base": f"{self.verification_base:x}",
            "verification_keys": [f"{key:x}" for key in self.verification_keys],
        }

    @classmethod
    def from_document(cls, document: object, *, unsafe_minimum_bits: int = MINIMUM_BITS) -> Self:
        """Read a committee from what `document` returned.

        Args:
            document: The JSON object.
            unsafe_minimum_bits: For tests with toy keys only, as in `PublicKey`.

        Raises:
            KeyRefused: The object is malformed, or key or committee are refused.
        """
        if not isinstance(document, Mapping) or set(document) != set(_NAMES):
            raise KeyRefused(f"a committee holds exactly {', '.join(_NAMES)}: fetch the record anew")
        threshold, keys = document["threshold"], document["verification_keys"]
        if type(threshold) is not int or not isinstance(keys, list):
            raise KeyRefused("a committee has a whole threshold and a list of keys: fetch the record anew")
        return cls(
            public_key=PublicKey(_number(document["n"]), unsafe_minimum_bits=unsafe_minimum_bits),
            threshold=threshold,
            verification_base=_number(document["verification_base"]),
            verification_keys=tuple(_number(key) for key in keys),
        )

    def _shares_the_private_key(self) -> bool:
        """Whether every run of t neighbours interpolates to 1/n at zero, in the exponents, and no fewer do.

        Two neighbouring runs have t - 1 members in common, and zero: their polynomials of degree below t are
        one. With w = v^(2 (N!)^2 d) from the first run, w^n = v^(2 (N!)^2) says that d is 1/n. If the degree
        were below t - 1, the first t - 1 members would give the same w. Everything is squared, so that signs
        do not matter and every element lies in a group without small orders.
        """
        n, size = self.public_key.n, self.threshold
        value = self._interpolated(range(1, size + 1))
        if gmpy2.powmod(value, n, n) != gmpy2.powmod(self.verification_base, 2 * self.delta**2, n):
            return False
        runs = (range(first, first + size) for first in range(2, self.members - size + 2))
        return self._interpolated(range(1, size)) != value and all(
            self._interpolated(run) == value for run in runs
        )

    def _interpolated(self, indices: Sequence[int]) -> gmpy2.mpz:
        n, power = self.public_key.n, gmpy2.mpz(1)
        for index in indices:
            exponent = 2 * lagrange_at_zero(index, indices, self.delta)
            power = power * gmpy2.powmod(self.verification_keys[index - 1], exponent, n) % n
        return power


def lagrange_at_zero(index: int, indices: Sequence[int], delta: int) -> int:
    """N! times the Lagrange coefficient of one member at zero, a whole number (Shoup 2000, equation 1).

    Args:
        index: The member's number.
        indices: The numbers of all members who open together, `index` included.
        delta: N!.
    """
    others = [other for other in indices if other != index]
    numerator = delta * math.prod(-other for other in others)
    return numerator // math.prod(index - other for other in others)


def _number(digits: object) -> int:
    if not isinstance(digits, str) or not _CANONICAL.fullmatch(digits):
        raise KeyRefused(
            "a committee's numbers are at most 4096 lower-case hexadecimal digits: fetch the record anew"
        )
    return int(digits, 16)
