"""A committee member's share of the private key, which is never printed, compared or pickled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NoReturn, Self

import gmpy2

from fedscore.errors import KeyRefused
from privacy.paillier.committee_rules import require_threshold
from privacy.paillier.hexjson import read_numbers, write_numbers
from privacy.paillier.keys import MINIMUM_BITS, PublicKey

__all__ = ["KeyShare", "verification_key"]

_KIND = "fedscore-paillier-key-share-1"
_NUMBERS = ("n", "index", "members", "threshold", "value", "verification_base", "verification_key")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class KeyShare:
    """One member's point of the polynomial that shares 1/n modulo p'q'.

    The sharing is Shoup's (2000, section 3.1) with exponent e = n.
    Any `threshold` shares open ciphertexts together; fewer learn nothing about the private key. Building a
    share checks it against its own verification key, so a damaged share never gets as far as an opening;
    `Committee.require_share` says whether it is one of a ceremony's.

    Two shares compare by identity, the representation leaves the secret out, and pickling is refused: a share
    travels as its `to_json` text and in no other way.

    Attributes:
        public_key: The key whose private part is shared.
        index: The member's number, from 1.
        members: Number of members N.
        threshold: Number of members t who open together.
        value: The secret.
        verification_base: v, a generator of the squares modulo n, the same for all members.
        verification_key: v^(N! value) modulo n; public.

    Raises:
        KeyRefused: A number is out of range, or the verification key does not belong to the value.
    """

    public_key: PublicKey
    index: int
    members: int
    threshold: int
    value: int = field(repr=False)
    verification_base: int
    verification_key: int

    def __post_init__(self) -> None:
        require_threshold(members=self.members, threshold=self.threshold)
        if not 1 <= self.index <= self.members:
            raise KeyRefused(
                f"a share of member {self.index} of {self.members} is refused: members count from 1"
            )
        n = self.public_key.n
        if not 1 <= self.value < n or not 1 < self.verification_base < n:
            raise KeyRefused(
                f"the share of member {self.index} has a number out of range: ask the dealer again"
            )
        if verification_key(self.verification_base, self.value, self.members, n) != self.verification_key:
            raise KeyRefused(
                f"the share of member {self.index} does not match its verification key: ask the dealer again"
            )

    def __repr__(self) -> str:
        return (
            f"KeyShare(key_id={self.public_key.key_id[:16]!r}, index={self.index}, members={self.members}, "
            f"threshold={self.threshold}, value=<secret>)"
        )

    def __reduce__(self) -> NoReturn:
        raise KeyRefused("a key share is not pickled or copied: pass its to_json() text to its one holder")

    @property
    def delta(self) -> int:
        """N!, which clears the denominators of every Lagrange coefficient."""
        return math.factorial(self.members)

    def to_json(self) -> str:
        """The share as JSON text, **secret included**: for its holder's own disk, readable by nobody else."""
        return write_numbers(
            _KIND,
            {
                "n": self.public_key.n,
                "index": self.index,
                "members": self.members,
                "threshold": self.threshold,
                "value": self.value,
                "verification_base": self.verification_base,
                "verification_key": self.verification_key,
            },
        )

    @classmethod
    def from_json(cls, text: str, *, unsafe_minimum_bits: int = MINIMUM_BITS) -> Self:
        """Read a share from what `to_json` wrote, and check it.

        Args:
            text: The JSON text.
            unsafe_minimum_bits: For tests with toy keys only, as in `PublicKey`.

        Raises:
            KeyRefused: The text is malformed, the key is refused, or the share does not verify. The message
                holds nothing of the text.
        """
        numbers = read_numbers(_KIND, text, _NUMBERS)
        if any(numbers[name] >= 1 << 16 for name in ("index", "members", "threshold")):
            raise KeyRefused("the share is of no committee: its small numbers are huge; ask the dealer again")
        public_key = PublicKey(numbers.pop("n"), unsafe_minimum_bits=unsafe_minimum_bits)
        return cls(public_key=public_key, **numbers)


def verification_key(base: int, value: int, members: int, n: int) -> int:
    """What everyone may know of a share: v^(N! s) modulo n, in constant time.

    Args:
        base: v, the verification base.
        value: s, the secret of the share.
        members: Number of members N.
        n: The modulus.
    """
    return int(gmpy2.powmod_sec(base, math.factorial(members) * value, n))
