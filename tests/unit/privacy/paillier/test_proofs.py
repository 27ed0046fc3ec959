from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from fedscore.errors import ProofRefused
from privacy.paillier import proofs
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.encryption import FreshVector, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import SplitUnits, split
from privacy.paillier.proofs import (
    Claim,
    PlaintextProof,
    proof_bytes,
    randomness_base,
    verify_plaintexts,
    why_refused,
)

Vectors = Callable[[str], Any]
Primes = Callable[[int], tuple[int, int]]

STATEMENT = b"a contract, a run, a round, a node"
FAILS = "does not hold for these ciphertexts and this statement"


@pytest.fixture(scope="module")
def key(vectors: Vectors) -> PublicKey:
    """The 256-bit key of the vectors."""
    return PublicKey(int(vectors("proofs")["n"], 16), unsafe_minimum_bits=256)


def numbers(texts: list[str]) -> list[int]:
    return [int(text, 16) for text in texts]


def proof_of(transcript: list[str]) -> PlaintextProof:
    commitment, plaintext_response, root_response = numbers(transcript)
    return PlaintextProof(
        commitment=commitment, plaintext_response=plaintext_response, root_response=root_response
    )


def claim_of(vector: FreshVector, statement: bytes = STATEMENT) -> Claim:
    return Claim(ciphertexts=vector.ciphertexts, statement=statement, proof=vector.prove(statement))


def reasons(key: PublicKey, *claims: Claim) -> tuple[str | None, ...]:
    return why_refused(key, claims)


# Vectors, written by a second implementation.


def test_the_base_of_the_vectors(key: PublicKey, vectors: Vectors) -> None:
    assert f"{randomness_base(key):x}" == vectors("proofs")["h"]


def test_the_base_generates_the_units_of_jacobi_symbol_one(toy: Ceremony, primes: Primes) -> None:
    base, n = randomness_base(toy.public_key), toy.public_key.n
    p, q = primes(256)
    order = 2 * (p // 2) * (q // 2)
    assert pow(base, order, n) == 1
    assert all(pow(base, order // factor, n) != 1 for factor in (2, p // 2, q // 2))


def test_what_the_vectors_accept_is_accepted_and_written_alike(key: PublicKey, vectors: Vectors) -> None:
    for case in vectors("proofs")["accepted"]:
        proof, ciphertexts = proof_of(case["transcript"]), numbers(case["ciphertexts"])
        statement = bytes.fromhex(case["statement"])
        coefficients = proofs._coefficients(key, ciphertexts, statement, proof.commitment)
        assert coefficients == numbers(case["coefficients"]), case["name"]
        assert proof.to_bytes(key).hex() == case["data"]
        assert PlaintextProof.from_bytes(bytes.fromhex(case["data"]), public_key=key) == proof
        verify_plaintexts(key, ciphertexts, statement, proof)


def test_what_the_vectors_refuse_is_refused_for_its_own_reason(key: PublicKey, vectors: Vectors) -> None:
    for case in vectors("proofs")["refused"]:
        proof = proof_of(case["transcript"])
        ciphertexts, statement = numbers(case["ciphertexts"]), bytes.fromhex(case["statement"])
        with pytest.raises(ProofRefused) as refusal:
            verify_plaintexts(key, ciphertexts, statement, proof)
        assert case["message"] in str(refusal.value), case["name"]
        for number in (*ciphertexts, *numbers(case["transcript"])):
            assert number < 10**6 or str(number) not in str(refusal.value)


def test_encodings_that_the_vectors_refuse_are_refused(key: PublicKey, vectors: Vectors) -> None:
    for case in vectors("proofs")["refused_encodings"]:
        with pytest.raises(ProofRefused) as refusal:
            PlaintextProof.from_bytes(bytes.fromhex(case["data"]), public_key=key)
        assert case["message"] in str(refusal.value), case["name"]


# The prover.


def test_a_proof_is_the_formula_of_its_openings_and_masks(
    toy: Ceremony, primes: Primes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = toy.public_key
    n = key.n
    plaintexts = [5, -6, n // 2]
    vector = encrypt(key, plaintexts)
    roots = [pow(randomness_base(key), a, n) for a in vector._openings[0][1]]
    # Zero and multiples of a prime are no roots; they are drawn again.
    drawn = [1234, 0, primes(256)[0], 3 * primes(256)[1], 5678]
    supply = iter(drawn)
    bounds: list[int] = []

    def randbelow(bound: int) -> int:
        bounds.append(bound)
        return next(supply)

    monkeypatch.setattr(secrets, "randbelow", randbelow)
    proof = vector.prove(STATEMENT)
    assert bounds == [n] * len(drawn)
    assert proof.commitment == (1 + 1234 * n) * pow(5678, n, n * n) % (n * n)
    coefficients = proofs._coefficients(key, vector.ciphertexts, STATEMENT, proof.commitment)
    weighted = sum(e * m for e, m in zip(coefficients, plaintexts, strict=True))
    assert proof.plaintext_response == (1234 + weighted) % n
    product = math.prod(pow(r, e, n) for e, r in zip(coefficients, roots, strict=True))
    assert proof.root_response == 5678 * product % n


@pytest.mark.parametrize("length", [1, 2, 8, 40])
def test_what_is_proven_is_verified(toy: Ceremony, length: int) -> None:
    key = toy.public_key
    claim = claim_of(encrypt(key, [secrets.randbelow(key.n) - key.n // 2 for _ in range(length)]))
    verify_plaintexts(key, claim.ciphertexts, claim.statement, claim.proof)
    assert len(claim.proof.to_bytes(key)) == proof_bytes(key) == 256


def test_two_proofs_of_one_statement_share_nothing(toy: Ceremony) -> None:
    made = [claim_of(encrypt(toy.public_key, [3])).proof for _ in range(20)]
    for field in dataclasses.fields(PlaintextProof):
        assert len({getattr(proof, field.name) for proof in made}) == 20


@pytest.mark.parametrize("bits", [2048, 3072])
def test_full_sizes(primes: Primes, bits: int) -> None:
    p, q = primes(bits // 2)
    key = PublicKey(p * q)
    claim = claim_of(encrypt(key, [secrets.randbelow(key.n // 2) for _ in range(12)]))
    worse = dataclasses.replace(claim, ciphertexts=claim.ciphertexts[::-1])
    assert len(claim.proof.to_bytes(key)) == bits // 2
    assert [reason is None for reason in reasons(key, claim, worse)] == [True, False]


# The verifier.


def test_each_claim_has_its_own_verdict(toy: Ceremony, monkeypatch: pytest.MonkeyPatch) -> None:
    key = toy.public_key
    good = [claim_of(encrypt(key, [i] * (1 + i % 3)), bytes([i])) for i in range(7)]
    claims = list(good)
    claims[1] = dataclasses.replace(good[1], statement=b"another")
    claims[4] = dataclasses.replace(good[4], ciphertexts=(0,))
    claims[6] = dataclasses.replace(good[6], proof=dataclasses.replace(good[6].proof, root_response=key.n))
    for cores in (None, 1, 2, 5, 64):
        monkeypatch.setattr("privacy.paillier.powers.os.cpu_count", lambda cores=cores: cores)
        verdicts = why_refused(key, claims)
        assert [index for index, verdict in enumerate(verdicts) if verdict] == [1, 4, 6]
        assert FAILS in str(verdicts[1])
        assert "outside [1, n^2)" in str(verdicts[4])
        assert "outside [1, n)" in str(verdicts[6])
    assert why_refused(key, []) == ()
    assert why_refused(key, claims[4:5]) == (verdicts[4],)


def test_proofs_that_hold_are_checked_together(toy: Ceremony, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [claim_of(encrypt(toy.public_key, [i] * (1 + i % 3)), bytes([i])) for i in range(5)]
    monkeypatch.setattr(proofs, "_balances", lambda *_: pytest.fail("checked one by one"))
    assert reasons(toy.public_key, *claims) == (None,) * 5


@pytest.mark.parametrize("wrong", range(4))
@pytest.mark.parametrize("part", ["commitment", "plaintext_response", "root_response"])
def test_one_wrong_proof_among_many_is_the_one_that_is_named(toy: Ceremony, wrong: int, part: str) -> None:
    key = toy.public_key
    claims = [claim_of(encrypt(key, [i]), bytes([i])) for i in range(4)]
    proof = claims[wrong].proof
    modulus = key.n_squared if part == "commitment" else key.n
    changed = dataclasses.replace(proof, **{part: getattr(proof, part) * 2 % modulus})
    claims[wrong] = dataclasses.replace(claims[wrong], proof=changed)
    assert [reason is not None for reason in reasons(key, *claims)] == [i == wrong for i in range(4)]


def test_errors_of_two_proofs_do_not_cancel(toy: Ceremony) -> None:
    key = toy.public_key
    one, other = (claim_of(encrypt(key, [i]), bytes([i])) for i in range(2))

    def shifted(claim: Claim, by: int) -> Claim:
        response = (claim.proof.plaintext_response + by) % key.n
        return dataclasses.replace(claim, proof=dataclasses.replace(claim.proof, plaintext_response=response))

    assert all(reasons(key, shifted(one, 5), shifted(other, -5)))


def test_a_negated_root_is_found_alone_and_harmless_in_pairs(toy: Ceremony) -> None:
    """ADR 6: of the claims checked together, an even number may have the sign of their root wrong."""
    key = toy.public_key
    claims = [claim_of(encrypt(key, [i]), bytes([i])) for i in range(3)]

    def negated(claim: Claim) -> Claim:
        root = key.n - claim.proof.root_response
        return dataclasses.replace(claim, proof=dataclasses.replace(claim.proof, root_response=root))

    for _ in range(20):
        alone = reasons(key, negated(claims[0]), *claims[1:])
        assert [reason is not None for reason in alone] == [True, False, False]
        assert reasons(key, negated(claims[0]), negated(claims[1]), claims[2]) == (None,) * 3


def test_proofs_under_one_key_are_none_under_another(toy: Ceremony, key: PublicKey) -> None:
    claim = claim_of(encrypt(toy.public_key, [1]))
    with pytest.raises(ProofRefused, match="256 bytes is refused: one under this key has 128"):
        PlaintextProof.from_bytes(claim.proof.to_bytes(toy.public_key), public_key=key)
    with pytest.raises(ProofRefused, match="lies outside"):
        claim.proof.to_bytes(key)
    small = claim_of(encrypt(key, [1]))
    assert FAILS in str(reasons(toy.public_key, small)[0])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("commitment", lambda n: n * n),
        ("commitment", lambda n: -n * n),
        ("plaintext_response", lambda n: n),
        ("plaintext_response", lambda n: -n),
        ("root_response", lambda n: n),
        ("root_response", lambda n: -n),
    ],
)
def test_equal_residues_are_not_equal_proofs(toy: Ceremony, field: str, change: Callable[[int], int]) -> None:
    key = toy.public_key
    claim = claim_of(encrypt(key, [1, 2]))
    proof = dataclasses.replace(claim.proof, **{field: getattr(claim.proof, field) + change(key.n)})
    assert "lies outside" in str(reasons(key, dataclasses.replace(claim, proof=proof))[0])
    with pytest.raises(ProofRefused, match="lies outside"):
        proof.to_bytes(key)


def test_the_bounds_themselves(key: PublicKey, monkeypatch: pytest.MonkeyPatch) -> None:
    # With coefficients that are not hashed any pair of responses has its commitment.
    monkeypatch.setattr(proofs, "_coefficients", lambda *_: [1])
    n = key.n
    for z, s in ((0, 1), (n - 1, n - 1), (0, 2)):
        u = (1 + z * n) * pow(s, n, n * n) * pow(1 + n, -1, n * n) % (n * n)
        proof = PlaintextProof(commitment=u, plaintext_response=z, root_response=s)
        verify_plaintexts(key, [1 + n], b"", proof)
        assert PlaintextProof.from_bytes(proof.to_bytes(key), public_key=key) == proof


# Attacks.


def test_a_copy_from_another_party_or_an_earlier_round_is_refused(toy: Ceremony) -> None:
    key = toy.public_key
    victim = claim_of(encrypt(key, [7, 8, 9]), b"round 1 of the victim")
    for statement in (b"round 1 of the thief", b"round 2 of the victim", b"", b"round 1 of the victim "):
        stolen = dataclasses.replace(victim, statement=statement)
        assert FAILS in str(reasons(key, stolen)[0])


@pytest.mark.parametrize("power", [1 << 40, 2, 3, -1])
def test_a_multiple_of_anothers_vector_cannot_be_proven(
    toy: Ceremony, monkeypatch: pytest.MonkeyPatch, power: int
) -> None:
    key = toy.public_key
    n, n_squared = key.n, key.n_squared
    victim = claim_of(encrypt(key, [7, 8]))
    proof = PlaintextProof(
        commitment=pow(victim.proof.commitment, power, n_squared),
        plaintext_response=victim.proof.plaintext_response * power % n,
        root_response=pow(victim.proof.root_response, power, n),
    )
    mauled = Claim(
        ciphertexts=tuple(pow(c, power, n_squared) for c in victim.ciphertexts),
        statement=STATEMENT,
        proof=proof,
    )
    assert FAILS in str(reasons(key, mauled)[0])
    # Were the coefficients not bound to ciphertexts and commitment, this would be a proof.
    fixed = proofs._coefficients(key, victim.ciphertexts, STATEMENT, victim.proof.commitment)
    monkeypatch.setattr(proofs, "_coefficients", lambda *_: fixed)
    assert reasons(key, victim, mauled) == (None, None)


def test_a_transcript_can_be_made_backwards_for_coefficients_that_are_known(
    toy: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is why a proof reveals nothing, and why the coefficients are hashed last."""
    key = toy.public_key
    n, n_squared = key.n, key.n_squared
    others = tuple(key.as_phe().raw_encrypt(secrets.randbelow(n)) for _ in range(3))
    coefficients = [secrets.randbits(128) for _ in others]
    z, s = secrets.randbelow(n), secrets.randbelow(n)
    u = (1 + z * n) * pow(s, n, n_squared)
    for c, e in zip(others, coefficients, strict=True):
        u = u * pow(c, -e, n_squared) % n_squared
    proof = PlaintextProof(commitment=u, plaintext_response=z, root_response=s)
    claim = Claim(ciphertexts=others, statement=STATEMENT, proof=proof)
    assert FAILS in str(reasons(key, claim)[0])
    monkeypatch.setattr(proofs, "_coefficients", lambda *_: coefficients)
    assert reasons(key, claim) == (None,)


def test_one_unknown_plaintext_among_many_known_spoils_the_proof(toy: Ceremony) -> None:
    key = toy.public_key
    vector = encrypt(key, list(range(10)))
    stolen = encrypt(key, [3]).ciphertexts[0]
    assert len(set(vector.ciphertexts)) == 10
    vector.ciphertexts = (*vector.ciphertexts[:9], stolen)
    assert FAILS in str(reasons(key, claim_of(vector))[0])


def test_texts_shifted_between_fields_hash_differently(key: PublicKey) -> None:
    def hashed(statement: bytes, ciphertexts: list[int], commitment: int) -> tuple[int, ...]:
        return tuple(proofs._coefficients(key, ciphertexts, statement, commitment)[:1])

    n_in_bytes = (32).to_bytes(4, "little") + key.n.to_bytes(32, "little")
    seen = [
        hashed(b"", [5, 6], 7),
        hashed(b"", [5], 6),
        hashed(b"", [6, 5], 7),
        hashed(b"", [5, 6, 7], 7),
        hashed(b"\0", [5, 6], 7),
        hashed(n_in_bytes, [5, 6], 7),
    ]
    assert len(set(seen)) == len(seen)


def test_a_claim_splits_its_vector_once_under_a_key_and_anew_for_another_vector(
    toy: Ceremony, key: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claim_of(encrypt(key, [1, 2]))
    asked: list[tuple[int, tuple[int, ...]]] = []

    def counted(n: int, ciphertexts: tuple[int, ...]) -> SplitUnits:
        asked.append((n, ciphertexts))
        return split(n, ciphertexts)

    monkeypatch.setattr(proofs, "split", counted)
    assert reasons(key, claim) == (None,)
    assert claim.halves(key) is claim.halves(key)
    assert claim.halves(key) == split(key.n, claim.ciphertexts)
    assert claim.halves(toy.public_key).n == toy.public_key.n
    other = dataclasses.replace(claim, ciphertexts=claim.ciphertexts[::-1])
    assert other.halves(key) == split(key.n, other.ciphertexts)
    assert asked == [
        (key.n, claim.ciphertexts),
        (toy.public_key.n, claim.ciphertexts),
        (key.n, other.ciphertexts),
    ]


def test_a_claim_shows_what_it_is_for_and_no_numbers(toy: Ceremony) -> None:
    assert repr(claim_of(encrypt(toy.public_key, [1]), b"round 3")) == "Claim(statement=b'round 3')"
