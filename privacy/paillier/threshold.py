"""Opening a ciphertext together: partial openings, their combination, and the check that anyone can repeat.

Instead of decrypting with a power of the ciphertext modulo n^2, the committee extracts r, the n-th root of
c modulo n (Shoup, Practical Threshold Signatures, 2000, with exponent e = n). Every unit c modulo n^2 is
(1 + M n) r^n for exactly one M modulo n and one unit r modulo n (Paillier 1999, lemma 1), so the pair (M, r)
proves itself: anyone encrypts M under r and compares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gmpy2

from fedscore.errors import CiphertextRefused, OpeningError
from privacy.paillier.committee import Committee, lagrange_at_zero
from privacy.paillier.keys import PublicKey
from privacy.paillier.powers import powers
from privacy.paillier.shares import KeyShare

__all__ = [
    "Opening",
    "check_opening",
    "combine",
    "combine_all",
    "partial_opening",
    "reproduce",
    "require_canonical",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a ciphertext holds, with its proof.

    Attributes:
        plaintext: M, the representative nearest to zero, in [-(n-1)/2, (n-1)/2].
        root: r, in [1, n), with ciphertext = (1 + M n) r^n modulo n^2.
    """

    plaintext: int
    root: int


def partial_opening(share: KeyShare, ciphertext: int) -> int:
    """One member's part of an opening: (c mod n)^(2 N! s) modulo n, in constant time.

    A member computes this only for a product that it multiplied itself from verified submissions: the
    function cannot tell a sum from one party's ciphertext.

    Args:
        share: The member's share.
        ciphertext: A canonical ciphertext under the share's public key.

    Returns:
        The partial opening, in [1, n).

    Raises:
        CiphertextRefused: The number is no canonical ciphertext.
    """
    _require_ciphertext(share.public_key, ciphertext)
    n = share.public_key.n
    return int(gmpy2.powmod_sec(ciphertext % n, 2 * share.delta * share.value, n))


def combine(committee: Committee, ciphertext: int, partials: Mapping[int, int]) -> Opening:
    """Combine partial openings and check the result against the ciphertext.

    With d = 1/n modulo p'q', partial openings of t members interpolate in the exponent to
    w = (c mod n)^(4 (N!)^2 d), so w^n = (c mod n)^(4 (N!)^2). As gcd(4 (N!)^2, n) = 1, integers a, b with
    4 (N!)^2 a + n b = 1 give the root r = w^a (c mod n)^b (Shoup 2000, section 3.1).

    Partial openings count up to their signs, as they enter squared. Nothing here tells who lied when the
    check fails: ask for proofs (`verify_partials`), leave out whom they name, and combine again.

    Args:
        committee: The key's committee.
        ciphertext: A canonical ciphertext under its key.
        partials: Partial openings by member index; of more than the threshold the lowest indices are used.

    Returns:
        The checked opening.

    Raises:
        CiphertextRefused: The number is no canonical ciphertext.
        OpeningError: Too few partial openings, one from outside the committee or no unit modulo n, or the
            result does not reproduce the ciphertext.
    """
    alone = {index: (partial,) for index, partial in partials.items()}
    (opening,) = combine_all(committee, (ciphertext,), alone)
    return opening


def combine_all(
    committee: Committee, ciphertexts: Sequence[int], partials: Mapping[int, Sequence[int]]
) -> list[Opening]:
    """Combine the partial openings of a vector; as `combine` for each place, on every core.

    Args:
        committee: The key's committee.
        ciphertexts: Canonical ciphertexts under its key.
        partials: By member index, one partial opening for each ciphertext.

    Returns:
        The checked openings, in the ciphertexts' order.

    Raises:
        CiphertextRefused: As for `combine`, and so is the next.
        OpeningError: Too few partial openings, a wrong one, or another number of them than of ciphertexts.
    """
    public_key, members, threshold = committee.public_key, committee.members, committee.threshold
    for ciphertext in ciphertexts:
        _require_ciphertext(public_key, ciphertext)
    n, n_squared = public_key.n, public_key.n_squared
    for index, residues in partials.items():
        if not 1 <= index <= members:
            raise OpeningError(
                f"a partial opening of member {index} is refused: the committee has 1 to {members}"
            )
        if len(residues) != len(ciphertexts):
            raise OpeningError(
                f"member {index} sent {len(residues)} partial openings for {len(ciphertexts)} ciphertexts: "
                "ask the member again"
            )
        if not all(1 <= partial < n and math.gcd(partial, n) == 1 for partial in residues):
            raise OpeningError(
                f"the partial opening of member {index} is no unit modulo n: ask the member again"
            )
    if len(partials) < threshold:
        raise OpeningError(
            f"{len(partials)} partial openings do not open a ciphertext: {threshold} of {members} members "
            "are needed; ask more"
        )
    chosen = {index: partials[index] for index in sorted(partials)[:threshold]}
    roots = _roots(n, [ciphertext % n for ciphertext in ciphertexts], chosen, committee.delta)
    openings = []
    for ciphertext, root, mask in zip(ciphertexts, roots, powers(roots, n, n_squared), strict=True):
        quotient = ciphertext * gmpy2.invert(mask, n_squared) % n_squared
        opening = Opening(plaintext=public_key.centred(int((quotient - 1) // n)), root=root)
        _require_match(ciphertext, _encrypted(public_key, opening.plaintext, mask))
        openings.append(opening)
    return openings


def check_opening(public_key: PublicKey, ciphertext: int, opening: Opening) -> None:
    """Check that an opening is the one and only opening of a ciphertext; needs no secret.

    Args:
        public_key: The key.
        ciphertext: A canonical ciphertext under it.
        opening: The claimed plaintext and root.

    Raises:
        CiphertextRefused: The number is no canonical ciphertext.
        OpeningError: The opening is not canonical, or encrypting its plaintext under its root gives something
            else.
    """
    _require_ciphertext(public_key, ciphertext)
    _require_match(ciphertext, reproduce(public_key, opening))


def reproduce(public_key: PublicKey, opening: Opening) -> int:
    """The one ciphertext that an opening opens: its plaintext, encrypted under its root.

    Args:
        public_key: The key.
        opening: A claimed plaintext and root.

    Returns:
        (1 + M n) r^n modulo n^2, a canonical unit.

    Raises:
        OpeningError: The opening is not canonical. Different canonical openings reproduce different
            ciphertexts.
    """
    require_canonical(public_key, [opening])
    mask = gmpy2.powmod(opening.root, public_key.n, public_key.n_squared)
    return _encrypted(public_key, opening.plaintext, mask)


def require_canonical(public_key: PublicKey, openings: Sequence[Opening]) -> None:
    """Refuse openings that no ciphertext has.

    Raises:
        OpeningError: A plaintext is not the one nearest to zero, or a root is no unit in [1, n).
    """
    n = public_key.n
    product = gmpy2.mpz(1)
    for opening in openings:
        inside = abs(opening.plaintext) <= n // 2 and 1 <= opening.root < n
        product = product * opening.root % n if inside else gmpy2.mpz(0)
    if gmpy2.gcd(product, n) != 1:
        raise OpeningError(
            "the opening is refused: its plaintext or root is not in canonical range; open anew"
        )


def _require_ciphertext(public_key: PublicKey, ciphertext: int) -> None:
    reason = public_key.why_no_ciphertext(ciphertext)
    if reason is not None:
        raise CiphertextRefused(f"the ciphertext {reason}: take only what the codec has decoded")


def _encrypted(public_key: PublicKey, plaintext: int, mask: int) -> int:
    """(1 + M n) r^n modulo n^2; `mask` is r^n, the costly part."""
    return int((1 + plaintext * public_key.n) * mask % public_key.n_squared)


def _require_match(ciphertext: int, reproduced: int) -> None:
    if reproduced != ciphertext:
        raise OpeningError(
            "the opening does not reproduce its ciphertext: a partial opening is wrong, or belongs to "
            "another ciphertext or key; combine other members' parts"
        )


def _roots(n: int, residues: Sequence[int], partials: Mapping[int, Sequence[int]], delta: int) -> list[int]:
    """The n-th roots of residues from exactly as many members' partial openings as the threshold."""
    interpolated = [gmpy2.mpz(1)] * len(residues)
    for index, members_part in partials.items():
        exponent = 2 * lagrange_at_zero(index, list(partials), delta)
        interpolated = [
            power * gmpy2.powmod(partial, exponent, n) % n
            for power, partial in zip(interpolated, members_part, strict=True)
        ]
    by_power = gmpy2.invert(4 * delta * delta, n)
    by_residue = (1 - 4 * delta * delta * by_power) // n
    return [
        int(power * gmpy2.powmod(residue, by_residue, n) % n)
        for power, residue in zip(powers(interpolated, int(by_power), n), residues, strict=True)
    ]
