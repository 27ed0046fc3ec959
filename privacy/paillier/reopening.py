"""Checking published openings: whether a vector of them opens the very product that a member made.

Encrypting each plaintext under its root takes a power modulo n^2. Here the publisher adds a third number, the
quotient q = c // n, and nearly all of the work is done modulo n. With c = (r^n mod n) + q n, the number
c (1 + M n)^-1 r^-n modulo n^2 is 1 + d n for some d, and the opening is that of c if d = 0. All d are tested
together: the sum of w_i d_i must be 0 modulo n for random weights w_i of 128 bits. If some d_i is not 0, it
is not 0 modulo p or modulo q, and as both are above 2^128, at most one value of w_i lets the sum pass. So a
wrong plaintext passes with a chance of 2^-128 at most. Roots are not left to chance: modulo n, a unit has
one.

The caller compares the product that comes out with the one that it made itself, so a wrong quotient only
makes the publisher look like a liar.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import gmpy2

from fedscore.errors import OpeningError
from privacy.paillier.keys import PublicKey
from privacy.paillier.powers import powers
from privacy.paillier.products import product_of_powers, product_of_residue_powers, split
from privacy.paillier.threshold import Opening, require_canonical

__all__ = ["reproduce_all"]

_WEIGHT_BITS = 128


def reproduce_all(
    public_key: PublicKey, openings: Sequence[Opening], quotients: Sequence[int]
) -> tuple[int, ...]:
    """Returns the ciphertexts that published openings open; as `reproduce` for each, for less work.

    Args:
        public_key: The key; its prime factors must be longer than 128 bits.
        openings: Claimed plaintexts and roots, one at least.
        quotients: Of each ciphertext divided by n, rounded down, as claimed.

    Returns:
        Canonical units modulo n^2. Up to a chance of 2^-128, each is (1 + M n) r^n for its opening.

    Raises:
        OpeningError: An opening or a quotient is not canonical, or some ciphertexts are not what their
            openings open.
    """
    n, n_squared = public_key.n, public_key.n_squared
    require_canonical(public_key, openings)
    if len(quotients) != len(openings) or not all(0 <= quotient < n for quotient in quotients):
        raise OpeningError("the opening is refused: a quotient is missing or not in [0, n); open anew")
    roots = [opening.root for opening in openings]
    heads = powers(roots, n, n)
    ciphertexts = tuple(int(head + quotient * n) for head, quotient in zip(heads, quotients, strict=True))
    weights = [secrets.randbits(_WEIGHT_BITS) for _ in openings]
    plaintext = sum(weight * opening.plaintext for weight, opening in zip(weights, openings, strict=True))
    root = product_of_residue_powers(roots, weights, n)
    encrypted = (1 + plaintext % n * n) * gmpy2.powmod(root, n, n_squared) % n_squared
    if product_of_powers(split(n, ciphertexts), weights) != encrypted:
        raise OpeningError("the opening is refused: it does not reproduce its ciphertexts; open anew")
    return ciphertexts
