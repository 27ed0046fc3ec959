"""The dealer's ceremony: a fresh key, shared among a committee, and nothing left behind.

The dealer sees p and q while the call lasts, so whoever runs it is trusted for that long. The numbers are
local to the call and go with it; Python cannot overwrite an integer in memory, so erasing them is best
effort: run the ceremony on a machine that does not swap, in a process of its own, and end that process.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import gmpy2

from fedscore.errors import KeyRefused, OpeningError
from privacy.paillier.committee import Committee
from privacy.paillier.committee_rules import require_threshold
from privacy.paillier.encryption import encrypt
from privacy.paillier.keys import MAXIMUM_BITS, MINIMUM_BITS, PublicKey
from privacy.paillier.primes import is_safe_prime, safe_primes
from privacy.paillier.shares import KeyShare, verification_key
from privacy.paillier.threshold import combine, partial_opening

__all__ = ["Ceremony", "CeremonyStep", "deal", "unsafe_deal_from_primes"]


class CeremonyStep(StrEnum):
    """What a ceremony has just finished."""

    FIRST_PRIME = "first prime found"
    SECOND_PRIME = "second prime found"
    SHARED = "private key shared"
    OPENED = "test ciphertexts opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """What a ceremony leaves: a key's committee and one share for each member.

    Attributes:
        committee: What everybody may know: the key, and how to check partial openings under it.
        shares: The members' shares by index, from 1; each goes to its member and is erased here.
    """

    committee: Committee
    shares: tuple[KeyShare, ...]

    @property
    def public_key(self) -> PublicKey:
        """The key."""
        return self.committee.public_key


def deal(
    *, bits: int, members: int, threshold: int, progress: Callable[[CeremonyStep], None] | None = None
) -> Ceremony:
    """Make a key of safe primes and share its private part.

    Takes as long as two safe primes take to find: seconds at 2048 bits, typically below 15 at 3072 on two
    cores.

    Args:
        bits: Length of n, even, `MINIMUM_BITS` to `MAXIMUM_BITS`.
        members: Number of members N.
        threshold: Number of members t who open together; t = N = 1 is one holder.
        progress: Told of each step as it is done, in the caller's thread.

    Returns:
        The key and the shares; subsets of t that cover every member have opened test ciphertexts.

    Raises:
        KeyRefused: The size or the committee is refused.
        OpeningError: A subset failed its test; do not use the key.
    """
    if bits % 2 or not MINIMUM_BITS <= bits <= MAXIMUM_BITS:
        raise KeyRefused(
            f"a key of {bits} bits is refused: choose an even size from {MINIMUM_BITS} to {MAXIMUM_BITS}"
        )
    require_threshold(members=members, threshold=threshold)
    report = progress or _ignore
    steps = iter((CeremonyStep.FIRST_PRIME, CeremonyStep.SECOND_PRIME))
    p, q = safe_primes(bits=bits // 2, count=2, found=lambda: report(next(steps)))
    return _share(p, q, PublicKey(p * q), members, threshold, report)


def unsafe_deal_from_primes(p: int, q: int, *, members: int, threshold: int) -> Ceremony:
    """Share a key whose primes somebody else knows: for tests only, where toy or fixed keys save minutes.

    Args:
        p: A safe prime, of any size.
        q: Another one, of the same length.
        members: Number of members N.
        threshold: Number of members t who open together.

    Raises:
        KeyRefused: The primes are no two different safe primes of one length, or the committee is refused.
    """
    require_threshold(members=members, threshold=threshold)
    if p == q or p.bit_length() != q.bit_length() or not (is_safe_prime(p) and is_safe_prime(q)):
        raise KeyRefused("a key needs two different safe primes of one length: find them with safe_primes")
    n = p * q
    public_key = PublicKey(n, unsafe_minimum_bits=n.bit_length())
    return _share(p, q, public_key, members, threshold, _ignore)


def _share(
    p: int,
    q: int,
    public_key: PublicKey,
    members: int,
    threshold: int,
    report: Callable[[CeremonyStep], None],
) -> Ceremony:
    n = public_key.n
    # p'q' is the order of the squares modulo n, and every exponent in an opening is even.
    order = (p >> 1) * (q >> 1)
    polynomial = [int(gmpy2.invert(n, order)), *(secrets.randbelow(order) for _ in range(threshold - 1))]
    base = _random_square(n)
    shares = []
    for index in range(1, members + 1):
        value = sum(coefficient * index**degree for degree, coefficient in enumerate(polynomial)) % order
        shares.append(
            KeyShare(
                public_key=public_key,
                index=index,
                members=members,
                threshold=threshold,
                value=value,
                verification_base=base,
                verification_key=verification_key(base, value, members, n),
            )
        )
    committee = Committee(
        public_key=public_key,
        threshold=threshold,
        verification_base=base,
        verification_keys=tuple(share.verification_key for share in shares),
    )
    report(CeremonyStep.SHARED)
    ceremony = Ceremony(committee=committee, shares=tuple(shares))
    _open_test_ciphertexts(ceremony)
    report(CeremonyStep.OPENED)
    return ceremony


def _random_square(n: int) -> int:
    """Draw a generator of the squares: one that is 1 modulo neither prime, as their orders are prime."""
    while True:
        candidate = secrets.randbelow(n)
        square = candidate * candidate % n
        if math.gcd(square * (square - 1), n) == 1:
            return square


def _open_test_ciphertexts(ceremony: Ceremony) -> None:
    """Open a fresh ciphertext with every run of t members around the table, so with every member."""
    shares, public_key = ceremony.shares, ceremony.public_key
    plaintexts = [public_key.centred(secrets.randbelow(public_key.n)) for _ in shares]
    ciphertexts = encrypt(public_key, plaintexts, expected=len(plaintexts)).ciphertexts
    for first, (plaintext, ciphertext) in enumerate(zip(plaintexts, ciphertexts, strict=True)):
        chosen = [shares[(first + step) % len(shares)] for step in range(ceremony.committee.threshold)]
        partials = {share.index: partial_opening(share, ciphertext) for share in chosen}
        opening = combine(ceremony.committee, ciphertext, partials)
        if opening.plaintext != plaintext:
            raise OpeningError(
                "a test ciphertext opened to another plaintext: do not use this key, deal again"
            )


def _ignore(_step: CeremonyStep) -> None:
    """Report nothing."""
