"""Proofs that a member's partial openings were made with its share: what tells a liar from the others.

Nobody needs them as long as openings check out, since an opening proves itself. When one does not, each
member proves its own partials, and whoever cannot is left out.

The proof is Shoup's for equality of discrete logarithms (Practical Threshold Signatures, 2000, section 3.1),
once for all products of a round. With w = N! s, the member's verification key is v_i = v^w, and its partial
opening of a product c is y = x^(2 w) for x = c mod n. After coefficients have been hashed from all products
and partials, X is the product of the x under them and Y that of the y, and the member proves that

    log of v_i^2 to base v^2  =  log of Y^2 to base X^4  =  w.

Everything is in the squares modulo n, a cyclic group whose order p'q' has no factor below 2^128. So one
wrong partial passes the coefficients with probability 2^-128, and a false statement the challenge likewise,
for every hash that the prover tries. The challenge has 128 bits and not more: 2^64 hashes leave a liar a
chance of 2^-64 to remain unnamed, which is all that it could gain, and the check costs half.

A partial and its negative have one square. `combine` squares partials as well, so a member that answers with
the negative changes no opening and is no liar; a sign that somebody else flips changes the coefficients, and
the proof no longer holds.

The proof shows nothing of the share: the mask is longer than challenge times w by 128 bits, so responses for
any two shares are within 2^-128 of each other in distribution.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import gmpy2

from fedscore.errors import CiphertextRefused, ProofRefused
from privacy.paillier.committee import Committee
from privacy.paillier.committee_rules import MAXIMUM_MEMBERS
from privacy.paillier.keys import MAXIMUM_BITS, PublicKey
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import partial_opening

__all__ = ["PartialProof", "prove_partials", "verify_partials"]

_CHALLENGE_BYTES = 16
_HIDING_BITS = 128
_DELTA_BITS = math.factorial(MAXIMUM_MEMBERS).bit_length()
_COEFFICIENT_DOMAIN = b"fedscore-partial-coefficients-1"
_CHALLENGE_DOMAIN = b"fedscore-partial-challenge-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialProof:
    """A member's proof for all its partial openings of one round.

    Attributes:
        challenge: e, below 2^128.
        response: z = k + e w for the member's mask k, positive.
    """

    challenge: int
    response: int

    def to_bytes(self) -> bytes:
        """The proof in its only encoding, little-endian: the challenge in 16 bytes, the response unpadded."""
        width = (self.response.bit_length() + 7) // 8
        return self.challenge.to_bytes(_CHALLENGE_BYTES, "little") + self.response.to_bytes(width, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ProofRefused: The length is out of range, or the response is padded.
        """
        longest = _CHALLENGE_BYTES + _response_bits(MAXIMUM_BITS) // 8
        if not _CHALLENGE_BYTES < len(data) <= longest or data[-1] == 0:
            raise ProofRefused(
                f"{len(data)} bytes are no proof of partial openings: it has {_CHALLENGE_BYTES + 1} to "
                f"{longest}, and no padding; send it as it was made"
            )
        return cls(
            challenge=int.from_bytes(data[:_CHALLENGE_BYTES], "little"),
            response=int.from_bytes(data[_CHALLENGE_BYTES:], "little"),
        )


def prove_partials(
    share: KeyShare, ciphertexts: Sequence[int], statement: bytes
) -> tuple[tuple[int, ...], PartialProof]:
    """Make partial openings, and prove that they are the share's.

    Args:
        share: The member's share.
        ciphertexts: The products of a round, as the member multiplied them itself.
        statement: What round this is for; the proof holds for no other.

    Returns:
        The partial openings, as `partial_opening` makes them, and one proof for all.

    Raises:
        CiphertextRefused: There is no ciphertext, or one is not canonical.
    """
    if not ciphertexts:
        raise CiphertextRefused("no ciphertexts are refused: prove partial openings of one at least")
    public_key, n = share.public_key, share.public_key.n
    partials = tuple(partial_opening(share, ciphertext) for ciphertext in ciphertexts)
    bound = _bound(
        public_key,
        member=(share.index, share.members, share.threshold, share.verification_base, share.verification_key),
        statement=statement,
        values=(ciphertexts, partials),
    )
    product = _product(bound, n, [ciphertext % n for ciphertext in ciphertexts])
    mask = 1 + secrets.randbelow(1 << _mask_bits(public_key.bits))
    challenge = _challenge(
        bound,
        public_key,
        gmpy2.powmod_sec(pow(share.verification_base, 2, n), mask, n),
        gmpy2.powmod_sec(pow(product, 4, n), mask, n),
    )
    response = mask + challenge * share.delta * share.value
    return partials, PartialProof(challenge=challenge, response=response)


def verify_partials(
    committee: Committee,
    index: int,
    ciphertexts: Sequence[int],
    partials: Sequence[int],
    statement: bytes,
    proof: PartialProof,
) -> None:
    """Check a member's proof for all its partial openings of a round.

    Args:
        committee: The key's committee.
        index: The member's number.
        ciphertexts: The products of the round, canonical.
        partials: What the member answered, one for each.
        statement: What round this is for.
        proof: The member's proof.

    Raises:
        ProofRefused: There is no such member, a number is out of range, or the partial openings were not made
            with the member's share, for these ciphertexts and this statement. Leave the member out.
    """
    public_key, n = committee.public_key, committee.public_key.n
    reason = _why_malformed(committee, index, len(ciphertexts), partials, proof)
    if reason is not None:
        raise ProofRefused(f"the partial openings of member {index} are refused: {reason}; leave it out")
    base, key = committee.verification_base, committee.verification_keys[index - 1]
    bound = _bound(
        public_key,
        member=(index, committee.members, committee.threshold, base, key),
        statement=statement,
        values=(ciphertexts, partials),
    )
    x = pow(_product(bound, n, [ciphertext % n for ciphertext in ciphertexts]), 4, n)
    y = pow(_product(bound, n, partials), 2, n)
    expected = _challenge(
        bound,
        public_key,
        gmpy2.powmod(base**2, proof.response, n) * gmpy2.powmod(key**2, -proof.challenge, n) % n,
        gmpy2.powmod(x, proof.response, n) * gmpy2.powmod(y, -proof.challenge, n) % n,
    )
    if proof.challenge != expected:
        raise ProofRefused(
            f"the partial openings of member {index} are refused: the proof does not hold for its share, "
            "these ciphertexts and this round; leave it out"
        )


def _why_malformed(
    committee: Committee, index: int, ciphertexts: int, partials: Sequence[int], proof: PartialProof
) -> str | None:
    n = committee.public_key.n
    if not 1 <= index <= committee.members:
        return f"the committee has members 1 to {committee.members}"
    if len(partials) != ciphertexts or not partials:
        return f"there are {len(partials)} for {ciphertexts} ciphertexts"
    if not all(1 <= partial < n and math.gcd(partial, n) == 1 for partial in partials):
        return "one is no unit modulo n"
    longest = _response_bits(committee.public_key.bits)
    if not 0 <= proof.challenge < 1 << 8 * _CHALLENGE_BYTES or not 0 < proof.response < 1 << longest:
        return "the proof has a number out of range"
    return None


def _mask_bits(modulus_bits: int) -> int:
    """Bits of a mask: those of challenge times w, and 128 more; the same for every committee of a key."""
    return modulus_bits + _DELTA_BITS + 8 * _CHALLENGE_BYTES + _HIDING_BITS


def _response_bits(modulus_bits: int) -> int:
    """Bits of the longest response, in whole bytes."""
    return -(-(_mask_bits(modulus_bits) + 1) // 8) * 8


def _bound(
    public_key: PublicKey,
    *,
    member: tuple[int, ...],
    statement: bytes,
    values: tuple[Sequence[int], Sequence[int]],
) -> bytes:
    """One hash of everything that a proof is about, fixed before its coefficients and its commitment."""
    width = public_key.ciphertext_bytes
    digest = hashlib.sha256()
    for part in (b"fedscore-partial-openings-1", statement):
        digest.update(len(part).to_bytes(8, "little") + part)
    for numbers in ((public_key.n, *member), *values):
        digest.update(len(numbers).to_bytes(8, "little"))
        for number in numbers:
            digest.update(number.to_bytes(width, "little"))
    return digest.digest()


def _coefficients(bound: bytes, count: int) -> list[int]:
    """Numbers below 2^128 that are known only once all products and all partials are."""
    size = _CHALLENGE_BYTES
    drawn = hashlib.shake_256(_COEFFICIENT_DOMAIN + bound).digest(size * count)
    return [int.from_bytes(drawn[start : start + size], "little") for start in range(0, len(drawn), size)]


def _product(bound: bytes, n: int, factors: Sequence[int]) -> int:
    """The product of all factors, each to the power of its coefficient."""
    product = gmpy2.mpz(1)
    for factor, coefficient in zip(factors, _coefficients(bound, len(factors)), strict=True):
        product = product * gmpy2.powmod(factor, coefficient, n) % n
    return int(product)


def _challenge(bound: bytes, public_key: PublicKey, *commitments: int) -> int:
    width = public_key.residue_bytes
    data = b"".join(int(commitment).to_bytes(width, "little") for commitment in commitments)
    return int.from_bytes(
        hashlib.sha256(_CHALLENGE_DOMAIN + bound + data).digest()[:_CHALLENGE_BYTES], "little"
    )
