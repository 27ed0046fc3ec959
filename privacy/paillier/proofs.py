"""Proofs of plaintext knowledge: whoever sends a vector of ciphertexts knows what is in it.

Whoever copies a submission, or raises one to a power, cannot make such a proof. One proof serves a whole
vector: a sigma protocol on a random linear combination of its ciphertexts, made non-interactive by Fiat and
Shamir. With e_1 .. e_L hashed from everything public,

    commitment  u = (1 + m_0 n) r_0^n mod n^2,   m_0 uniform modulo n, r_0 uniform in the units modulo n
    responses   z = m_0 + sum e_i m_i mod n,     s = r_0 prod r_i^(e_i) mod n
    check       (1 + z n) s^n = u prod c_i^(e_i) mod n^2,   0 <= z < n,  0 < s < n,  u and s units

For given c, u and e exactly one pair (z, s) passes, and it reveals nothing. What soundness rests on (L + 1
transcripts, not two) is written in docs/adr/0006-proof-of-plaintext-knowledge.md. The proof does not say how
large a plaintext is.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

import gmpy2
from gmpy2 import mpz

from fedscore.errors import ProofRefused
from privacy.paillier.keys import PublicKey
from privacy.paillier.powers import powers
from privacy.paillier.products import SplitUnits, concatenate, product_of_powers, split

__all__ = [
    "Claim",
    "PlaintextProof",
    "proof_bytes",
    "prove_plaintexts",
    "randomness_base",
    "verify_plaintexts",
    "why_refused",
]

COEFFICIENT_BYTES = 16
"""Length of a coefficient e_i: 128 bits, which bounds the chance of a false proof."""

_BASE_LABEL = b"fedscore paillier randomness base 1"
_CHALLENGE_LABEL = b"fedscore paillier plaintext knowledge 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaintextProof:
    """A proof that its maker knows the plaintexts of a vector of ciphertexts.

    Attributes:
        commitment: u, a canonical unit modulo n^2.
        plaintext_response: z, in [0, n).
        root_response: s, a unit modulo n, in [1, n).
    """

    commitment: int
    plaintext_response: int
    root_response: int

    def to_bytes(self, public_key: PublicKey) -> bytes:
        """The proof's one encoding: u, z and s, little-endian, as wide as n^2, n and n are.

        Raises:
            ProofRefused: The proof is none under this key.
        """
        _require(_why_malformed(public_key, self))
        wide, narrow = public_key.ciphertext_bytes, public_key.residue_bytes
        return (
            self.commitment.to_bytes(wide, "little")
            + self.plaintext_response.to_bytes(narrow, "little")
            + self.root_response.to_bytes(narrow, "little")
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, public_key: PublicKey) -> Self:
        """Read a proof from what `to_bytes` wrote; whether it holds is another question.

        Raises:
            ProofRefused: The bytes are no proof's encoding under this key.
        """
        if len(data) != proof_bytes(public_key):
            raise ProofRefused(
                f"a proof of {len(data)} bytes is refused: one under this key has {proof_bytes(public_key)}; "
                "send it as it was made"
            )
        wide, narrow = public_key.ciphertext_bytes, public_key.residue_bytes
        proof = cls(
            commitment=int.from_bytes(data[:wide], "little"),
            plaintext_response=int.from_bytes(data[wide : wide + narrow], "little"),
            root_response=int.from_bytes(data[wide + narrow :], "little"),
        )
        _require(_why_malformed(public_key, proof))
        return proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody's claim to know what is in a vector of ciphertexts.

    Attributes:
        ciphertexts: The vector.
        statement: What else the proof is bound to: contract, run, round, sender, transcript, request, layout.
        proof: The proof.
    """

    ciphertexts: tuple[int, ...] = field(repr=False)
    statement: bytes
    proof: PlaintextProof = field(repr=False)
    _halves: SplitUnits | None = field(default=None, init=False, repr=False, compare=False)

    def halves(self, public_key: PublicKey) -> SplitUnits:
        """The vector as its proof and its sum multiply it; split once, since both need it.

        Args:
            public_key: The key under which all ciphertexts are canonical units.
        """
        if self._halves is None or self._halves.n != public_key.n:
            object.__setattr__(self, "_halves", split(public_key.n, self.ciphertexts))
        return cast("SplitUnits", self._halves)


def proof_bytes(public_key: PublicKey) -> int:
    """Length of a proof's encoding under a key."""
    wide, narrow = public_key.ciphertext_bytes, public_key.residue_bytes
    return wide + 2 * narrow


def randomness_base(public_key: PublicKey) -> int:
    """The base h = -x^2 mod n of a key's randomness, with x hashed from n (Damgård-Jurik-Nielsen 2010).

    Nobody chooses h, so nobody needs to be trusted with the choice. Modulo a product of safe primes it
    generates the units of Jacobi symbol 1, but for a negligible chance.
    """
    width = public_key.residue_bytes
    seed = _BASE_LABEL + public_key.n.to_bytes(width, "little")
    # 16 bytes more than n has make the remainder uniform to within 2^-128.
    x = int.from_bytes(hashlib.shake_256(seed).digest(width + 16), "little") % public_key.n
    return -x * x % public_key.n


def prove_plaintexts(
    public_key: PublicKey,
    ciphertexts: Sequence[int],
    statement: bytes,
    *,
    plaintexts: Sequence[int],
    exponents: Sequence[int],
) -> PlaintextProof:
    """Prove knowledge of a vector's plaintexts; `FreshVector.prove` calls this once and forgets the openings.

    Args:
        public_key: The key.
        ciphertexts: The vector, c_i = (1 + m_i n) h^(n a_i) mod n^2.
        statement: What the proof is bound to.
        plaintexts: The m_i.
        exponents: The a_i. Their weighted sum takes one exponentiation, modulo n, where the roots h^(a_i)
            would take one each; it is the same s.

    Raises:
        ProofRefused: There is no ciphertext.
    """
    if not ciphertexts:
        raise ProofRefused("an empty vector has no plaintexts to prove: encrypt one value at least")
    n = public_key.n
    mask = secrets.randbelow(n)
    mask_root = _random_unit(n)
    n_squared = mpz(public_key.n_squared)
    commitment = int((1 + mask * n) * gmpy2.powmod(mask_root, n, n_squared) % n_squared)
    coefficients = _coefficients(public_key, ciphertexts, statement, commitment)
    exponent = _weighted_sum(coefficients, exponents)
    return PlaintextProof(
        commitment=commitment,
        plaintext_response=(mask + _weighted_sum(coefficients, plaintexts)) % n,
        root_response=int(mask_root * gmpy2.powmod_sec(randomness_base(public_key), exponent, n) % n),
    )


def verify_plaintexts(
    public_key: PublicKey, ciphertexts: Sequence[int], statement: bytes, proof: PlaintextProof
) -> None:
    """Check one proof of plaintext knowledge.

    Raises:
        ProofRefused: It does not hold.
    """
    claim = Claim(ciphertexts=tuple(ciphertexts), statement=statement, proof=proof)
    (reason,) = why_refused(public_key, [claim])
    _require(reason)


def why_refused(public_key: PublicKey, claims: Sequence[Claim]) -> tuple[str | None, ...]:
    """Check many proofs of plaintext knowledge, at a fraction of the price of one after the other.

    First all at once, by a random linear combination of their equations, which costs one n-th power; only
    if that fails one by one, on every core, to tell which of them do not hold.

    Args:
        public_key: The key that all are under.
        claims: The claims, of any lengths.

    Returns:
        For each claim why it is refused, or None if it holds. Several claims of one call may hold up to the
        signs of their root responses, an even number of which may be wrong: that proves as much (ADR 6).
    """
    reasons = [
        _why_no_vector(public_key, claim.ciphertexts) or _why_malformed(public_key, claim.proof)
        for claim in claims
    ]
    sound = [index for index, reason in enumerate(reasons) if reason is None]
    if len(sound) > 1 and _balance_together(public_key, [claims[index] for index in sound]):
        return tuple(reasons)
    responses = [claims[index].proof.root_response for index in sound]
    raised = powers(responses, public_key.n, public_key.n_squared)
    for index, power in zip(sound, raised, strict=True):
        if not _balances(public_key, claims[index], power):
            reasons[index] = (
                "the proof of plaintext knowledge does not hold for these ciphertexts and this statement: "
                "the sender must encrypt and prove this round's vector itself"
            )
    return tuple(reasons)


def _balance_together(public_key: PublicKey, claims: Sequence[Claim]) -> bool:
    """Tell whether all equations hold, with a chance of 2^-127 to be wrong in one of them but for a sign.

    The weights are odd: then an element of order 2 in one equation is found with certainty, instead of with
    a probability of one half, and all who check the same claims come to the same result.
    """
    n, n_squared = public_key.n, public_key.n_squared
    weights = [secrets.randbits(8 * COEFFICIENT_BYTES) | 1 for _ in claims]
    exponents: list[int] = []
    response, root = 0, mpz(1)
    for claim, weight in zip(claims, weights, strict=True):
        proof = claim.proof
        coefficients = _coefficients(public_key, claim.ciphertexts, claim.statement, proof.commitment)
        exponents += (weight * coefficient for coefficient in coefficients)
        response += weight * proof.plaintext_response
        root = root * gmpy2.powmod(proof.root_response, weight, n) % n
    left = (1 + response % n * n) * gmpy2.powmod(root, n, n_squared) % n_squared
    commitments = split(n, [claim.proof.commitment for claim in claims])
    units = concatenate([*(claim.halves(public_key) for claim in claims), commitments])
    return bool(left == product_of_powers(units, exponents + weights))


def _balances(public_key: PublicKey, claim: Claim, power: mpz) -> bool:
    """Tell whether (1 + z n) s^n = u prod c_i^(e_i) modulo n^2, s^n being given."""
    n, n_squared = public_key.n, public_key.n_squared
    proof = claim.proof
    coefficients = _coefficients(public_key, claim.ciphertexts, claim.statement, proof.commitment)
    combined = product_of_powers(claim.halves(public_key), coefficients)
    left = (1 + proof.plaintext_response * n) * power % n_squared
    return bool(left == proof.commitment * combined % n_squared)


def _why_no_vector(public_key: PublicKey, ciphertexts: Sequence[int]) -> str | None:
    """Say why numbers are no vector of canonical ciphertexts."""
    if not ciphertexts:
        return "no ciphertext comes with the proof: the sender must encrypt this round's vector"
    if public_key.are_ciphertexts(ciphertexts):
        return None
    n_squared = public_key.n_squared
    if not all(1 <= ciphertext < n_squared for ciphertext in ciphertexts):
        return "a ciphertext lies outside [1, n^2): the sender must encode it canonically"
    return "a ciphertext is no unit modulo n^2: the sender must encrypt under this key"


def _why_malformed(public_key: PublicKey, proof: PlaintextProof) -> str | None:
    """Say why a proof's numbers are out of their ranges; none is quoted, as it might hold a factor of n."""
    n = public_key.n
    if reason := public_key.why_no_ciphertext(proof.commitment):
        return f"the proof's commitment {reason}: the sender must make the proof anew"
    if not 0 <= proof.plaintext_response < n:
        return "the proof's plaintext response lies outside [0, n): the sender must reduce it"
    if not 0 < proof.root_response < n:
        return "the proof's root response lies outside [1, n): the sender must reduce it"
    if math.gcd(proof.root_response, n) != 1:
        return "the proof's root response is no unit modulo n: the sender must make the proof anew"
    return None


def _require(reason: str | None) -> None:
    """Raise the reason, if there is one."""
    if reason is not None:
        raise ProofRefused(reason)


def _coefficients(
    public_key: PublicKey, ciphertexts: Sequence[int], statement: bytes, commitment: int
) -> list[int]:
    """Hash everything public to the coefficients e_i; what has no fixed width has its length before it."""
    wide, narrow = public_key.ciphertext_bytes, public_key.residue_bytes
    digest = hashlib.shake_256(_CHALLENGE_LABEL)
    digest.update(len(statement).to_bytes(8, "little") + statement)
    digest.update(narrow.to_bytes(4, "little") + public_key.n.to_bytes(narrow, "little"))
    digest.update(randomness_base(public_key).to_bytes(narrow, "little"))
    digest.update(len(ciphertexts).to_bytes(4, "little"))
    for number in (*ciphertexts, commitment):
        digest.update(number.to_bytes(wide, "little"))
    stream = digest.digest(COEFFICIENT_BYTES * len(ciphertexts))
    return [
        int.from_bytes(stream[start : start + COEFFICIENT_BYTES], "little")
        for start in range(0, len(stream), COEFFICIENT_BYTES)
    ]


def _weighted_sum(weights: Sequence[int], values: Sequence[int]) -> int:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _random_unit(n: int) -> int:
    """Draw uniformly from the units modulo n."""
    while True:
        candidate = secrets.randbelow(n)
        if math.gcd(candidate, n) == 1:
            return candidate
