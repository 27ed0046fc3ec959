"""Proofs of plaintext knowledge for any vector: complete, bound to what is said, sound as ADR 6 argues."""

from __future__ import annotations

import dataclasses
import math
from itertools import permutations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fedscore.errors import ProofRefused
from privacy.paillier.encryption import encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.proofs import Claim, PlaintextProof, proof_bytes, randomness_base, why_refused

# Safe primes of 128 bits: a key that is quick and hides nothing.
P, Q = 0xD8F9B4601E85AB36FD2B049B637673CF, 0xDA900883B09A5B6977B86622369C50D3
KEY = PublicKey(P * Q, unsafe_minimum_bits=256)
N = KEY.n

plaintexts = st.one_of(st.integers(-(N // 2), N // 2), st.sampled_from([0, 1, -1, N // 2, -(N // 2)]))
vectors = st.lists(plaintexts, min_size=1, max_size=12)


def claimed(values: list[int], statement: bytes) -> Claim:
    fresh = encrypt(KEY, values)
    return Claim(ciphertexts=fresh.ciphertexts, statement=statement, proof=fresh.prove(statement))


@given(vectors, st.binary(max_size=80))
def test_every_vector_can_be_proven(values: list[int], statement: bytes) -> None:
    claim = claimed(values, statement)
    assert why_refused(KEY, [claim]) == (None,)
    assert PlaintextProof.from_bytes(claim.proof.to_bytes(KEY), public_key=KEY) == claim.proof


@given(vectors, st.binary(max_size=8), st.binary(max_size=8))
def test_a_proof_holds_for_its_statement_alone(values: list[int], one: bytes, other: bytes) -> None:
    assume(one != other)
    assert why_refused(KEY, [dataclasses.replace(claimed(values, one), statement=other)]) != (None,)


@given(vectors, st.data())
def test_a_proof_holds_for_its_ciphertexts_alone(values: list[int], data: st.DataObject) -> None:
    claim = claimed(values, b"")
    index = data.draw(st.integers(0, len(values) - 1))
    factor = data.draw(st.sampled_from([N + 1, N * N - 1, pow(2, N, N * N), randomness_base(KEY)]))
    changed = list(claim.ciphertexts)
    changed[index] = changed[index] * factor % (N * N)
    assert why_refused(KEY, [dataclasses.replace(claim, ciphertexts=tuple(changed))]) != (None,)


@given(vectors, st.integers(0, 8 * 128 - 1))
def test_no_bit_of_a_proof_can_be_flipped(values: list[int], bit: int) -> None:
    claim = claimed(values, b"")
    data = bytearray(claim.proof.to_bytes(KEY))
    data[bit // 8] ^= 1 << bit % 8
    try:
        proof = PlaintextProof.from_bytes(bytes(data), public_key=KEY)
    except ProofRefused:
        return
    assert why_refused(KEY, [dataclasses.replace(claim, proof=proof)]) != (None,)


@given(st.one_of(st.binary(max_size=300), st.binary(min_size=128, max_size=128)))
def test_bytes_are_refused_or_are_the_one_encoding_of_a_proof(data: bytes) -> None:
    try:
        proof = PlaintextProof.from_bytes(data, public_key=KEY)
    except ProofRefused:
        return
    assert len(data) == proof_bytes(KEY)
    assert proof.to_bytes(KEY) == data


def determinant(rows: list[list[int]]) -> int:
    """Leibniz' formula, exact."""
    size = len(rows)
    total = 0
    for order in permutations(range(size)):
        inversions = sum(order[i] > order[j] for i in range(size) for j in range(i + 1, size))
        total += (-1) ** inversions * math.prod(rows[i][order[i]] for i in range(size))
    return total


def minor(rows: list[list[int]], row: int, column: int) -> int:
    return determinant([[*r[:column], *r[column + 1 :]] for i, r in enumerate(rows) if i != row])


coefficients = st.integers(0, (1 << 128) - 1)


@settings(max_examples=25)
@given(
    st.integers(1, 3).flatmap(
        lambda length: st.tuples(
            st.lists(plaintexts, min_size=length, max_size=length),
            st.lists(
                st.lists(coefficients, min_size=length, max_size=length),
                min_size=length + 1,
                max_size=length + 1,
            ),
        )
    )
)
def test_transcripts_with_a_determinant_coprime_to_n_give_plaintexts_and_roots_away(
    case: tuple[list[int], list[list[int]]],
) -> None:
    """The extractor of ADR 6: from L + 1 answers to one commitment, without any key."""
    values, challenges = case
    n_squared = N * N
    fresh = encrypt(KEY, values)
    exponents = fresh._openings[0][1]
    base = randomness_base(KEY)
    # The prover's side: one commitment, answered L + 1 times.
    answers = [
        (
            (99 + sum(e * m for e, m in zip(row, values, strict=True))) % N,
            77 * pow(base, sum(e * a for e, a in zip(row, exponents, strict=True)), N) % N,
        )
        for row in challenges
    ]
    # The extractor's side.
    rows = [[1, *row] for row in challenges]
    scale = determinant(rows)
    assume(math.gcd(scale, N) == 1)
    inverse = pow(scale, -1, N)
    turns = (1 - inverse * scale) // N
    for index, ciphertext in enumerate(fresh.ciphertexts, start=1):
        weights = [(-1) ** (row + index) * minor(rows, row, index) for row in range(len(rows))]
        # ciphertext^scale has a known opening, ciphertext^n has (0, ciphertext mod n); Bezout joins the two.
        plaintext = inverse * sum(w * z for w, (z, _) in zip(weights, answers, strict=True)) % N
        root = pow(ciphertext, turns, N)
        for weight, (_, s) in zip(weights, answers, strict=True):
            root = root * pow(s, weight * inverse, N) % N
        assert KEY.centred(plaintext) == values[index - 1]
        assert (1 + plaintext * N) * pow(root, N, n_squared) % n_squared == ciphertext
