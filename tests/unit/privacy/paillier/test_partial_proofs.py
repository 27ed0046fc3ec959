from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

import gmpy2
import pytest

from fedscore.errors import CiphertextRefused, ProofRefused
from privacy.paillier import partial_proofs
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.encryption import encrypt
from privacy.paillier.partial_proofs import PartialProof, prove_partials, verify_partials
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import combine, partial_opening

Primes = Callable[[int], tuple[int, int]]
Answer = tuple[tuple[int, ...], PartialProof]
STATEMENT = b"round 7"


@pytest.fixture(scope="module")
def products(toy: Ceremony) -> tuple[int, ...]:
    return encrypt(toy.public_key, [5, -700, 20, 0]).ciphertexts


@pytest.fixture(scope="module")
def answer(toy: Ceremony, products: tuple[int, ...]) -> Answer:
    return prove_partials(toy.shares[1], products, STATEMENT)


def refuse(
    toy: Ceremony,
    products: tuple[int, ...],
    partials: tuple[int, ...],
    proof: PartialProof,
    *,
    statement: bytes = STATEMENT,
    index: int = 2,
    match: str = "the proof does not hold",
) -> None:
    with pytest.raises(ProofRefused, match=f"openings of member {index} are refused: {match}") as refusal:
        verify_partials(toy.committee, index, products, partials, statement, proof)
    assert str(toy.public_key.n)[:12] not in str(refusal.value)


def test_every_member_proves_its_own_partials(toy: Ceremony, products: tuple[int, ...]) -> None:
    for share in toy.shares:
        for count in (1, len(products)):
            partials, proof = prove_partials(share, products[:count], STATEMENT)
            assert partials == tuple(partial_opening(share, product) for product in products[:count])
            verify_partials(toy.committee, share.index, products[:count], partials, STATEMENT, proof)


def hashed(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def test_the_equations_are_shoups(toy: Ceremony, products: tuple[int, ...], answer: Answer) -> None:
    """The proof written out once more: v^2 and X^4 to the power of w = N! s, hashed with all of the claim."""
    partials, proof = answer
    share, n, width = toy.shares[1], toy.public_key.n, 128
    base, key = share.verification_base, share.verification_key

    def numbers(*values: int) -> bytes:
        return len(values).to_bytes(8, "little") + b"".join(
            value.to_bytes(width, "little") for value in values
        )

    def framed(part: bytes) -> bytes:
        return len(part).to_bytes(8, "little") + part

    claim = hashed(
        framed(b"fedscore-partial-openings-1"),
        framed(STATEMENT),
        numbers(n, 2, 3, 2, base, key),
        numbers(*products),
        numbers(*partials),
    )
    drawn = hashlib.shake_256(b"fedscore-partial-coefficients-1" + claim).digest(16 * len(products))
    x = y = 1
    for position, (product, partial) in enumerate(zip(products, partials, strict=True)):
        coefficient = int.from_bytes(drawn[16 * position : 16 * position + 16], "little")
        x = x * pow(product, coefficient, n) % n
        y = y * pow(partial, coefficient, n) % n
    commitments = b"".join(
        (pow(base, proof.response, n) * pow(power, -proof.challenge, n) % n).to_bytes(64, "little")
        for base, power in ((base**2, key**2), (x**4, y**2))
    )
    challenge = hashed(b"fedscore-partial-challenge-1", claim, commitments)
    assert proof.challenge == int.from_bytes(challenge[:16], "little")
    secret = math.factorial(3) * share.value
    assert pow(base, secret, n) == key
    assert pow(x, 2 * secret, n) == y
    mask = proof.response - proof.challenge * secret
    assert 0 < mask <= 1 << (512 + 118 + 128 + 128)


def test_another_partial_in_any_place_is_refused(
    toy: Ceremony, products: tuple[int, ...], answer: Answer
) -> None:
    partials, proof = answer
    n = toy.public_key.n
    for position, partial in enumerate(partials):
        for wrong in (partial * 4 % n, pow(partial, 2, n), 1, products[position] % n):
            spoiled = (*partials[:position], wrong, *partials[position + 1 :])
            refuse(toy, products, spoiled, proof)


def test_swapped_products_or_partials_are_refused(
    toy: Ceremony, products: tuple[int, ...], answer: Answer
) -> None:
    partials, proof = answer
    refuse(toy, products, (partials[1], partials[0], *partials[2:]), proof)
    refuse(toy, (products[1], products[0], *products[2:]), partials, proof)
    # Swapping both is another claim, though a true one.
    refuse(
        toy,
        (products[1], products[0], *products[2:]),
        (partials[1], partials[0], *partials[2:]),
        proof,
    )


def test_a_proof_holds_for_its_member_its_statement_and_its_products_alone(
    toy: Ceremony, products: tuple[int, ...], answer: Answer
) -> None:
    partials, proof = answer
    refuse(toy, products, partials, proof, index=1)
    refuse(toy, products, partials, proof, index=3)
    for statement in (b"round 8", b"round 7 ", b"", b"round 70"):
        refuse(toy, products, partials, proof, statement=statement)
    refuse(toy, products[:-1], partials[:-1], proof)
    (other,) = encrypt(toy.public_key, [20]).ciphertexts
    refuse(toy, (*products[:2], other, products[3]), partials, proof)
    # The same residue modulo n, so the same partial opening, but another product.
    shifted = (products[0] + toy.public_key.n) % toy.public_key.n_squared
    refuse(toy, (shifted, *products[1:]), partials, proof)


def test_another_members_partials_are_refused_under_any_name(
    toy: Ceremony, products: tuple[int, ...]
) -> None:
    partials, proof = prove_partials(toy.shares[0], products, STATEMENT)
    refuse(toy, products, partials, proof, index=2)


def test_members_with_equal_shares_do_not_prove_for_each_other(
    primes: Primes, products: tuple[int, ...]
) -> None:
    """Where one member opens alone, all have one share and one verification key."""
    ceremony = unsafe_deal_from_primes(*primes(256), members=3, threshold=1)
    assert len(set(ceremony.committee.verification_keys)) == 1
    partials, proof = prove_partials(ceremony.shares[0], products, STATEMENT)
    verify_partials(ceremony.committee, 1, products, partials, STATEMENT, proof)
    refuse(ceremony, products, partials, proof)


def test_a_share_of_another_ceremony_for_the_same_key_proves_nothing(
    toy: Ceremony, products: tuple[int, ...], primes: Primes
) -> None:
    again = unsafe_deal_from_primes(*primes(256), members=3, threshold=2)
    partials, proof = prove_partials(again.shares[1], products, STATEMENT)
    verify_partials(again.committee, 2, products, partials, STATEMENT, proof)
    refuse(toy, products, partials, proof)


def lying(share: KeyShare, value: int) -> KeyShare:
    """A share that answers with another secret under the member's own verification key."""
    liar = object.__new__(KeyShare)
    for name in ("public_key", "index", "members", "threshold", "verification_base", "verification_key"):
        object.__setattr__(liar, name, getattr(share, name))
    object.__setattr__(liar, "value", value)
    return liar


def test_a_wrong_share_is_refused(toy: Ceremony, products: tuple[int, ...]) -> None:
    share = toy.shares[1]
    for value in (share.value + 1, share.value - 1, 2 * share.value, toy.shares[0].value, 1):
        refuse(toy, products, *prove_partials(lying(share, value), products, STATEMENT))


def test_the_secret_modulo_the_groups_order_is_what_counts(
    toy: Ceremony, products: tuple[int, ...], primes: Primes
) -> None:
    p, q = primes(256)
    share = toy.shares[1]
    longer = lying(share, share.value + (p >> 1) * (q >> 1))
    partials, proof = prove_partials(longer, products, STATEMENT)
    verify_partials(toy.committee, 2, products, partials, STATEMENT, proof)
    assert partials == tuple(partial_opening(share, product) for product in products)


def test_a_member_that_answers_with_the_negative_is_harmless(
    monkeypatch: pytest.MonkeyPatch, toy: Ceremony, products: tuple[int, ...]
) -> None:
    """Its proof holds, as it is about squares; the opening is the same, as it is made of squares."""
    n = toy.public_key.n
    honest = prove_partials(toy.shares[1], products, STATEMENT)[0]
    monkeypatch.setattr(
        partial_proofs, "partial_opening", lambda share, product: n - partial_opening(share, product)
    )
    partials, proof = prove_partials(toy.shares[1], products, STATEMENT)
    assert partials == tuple(n - partial for partial in honest)
    verify_partials(toy.committee, 2, products, partials, STATEMENT, proof)
    for product, negative, partial in zip(products, partials, honest, strict=True):
        first = partial_opening(toy.shares[0], product)
        assert combine(toy.committee, product, {1: first, 2: negative}) == combine(
            toy.committee, product, {1: first, 2: partial}
        )


def test_a_sign_that_somebody_else_flips_is_refused(
    toy: Ceremony, products: tuple[int, ...], answer: Answer
) -> None:
    partials, proof = answer
    n = toy.public_key.n
    refuse(toy, products, (n - partials[0], *partials[1:]), proof)
    refuse(toy, products, tuple(n - partial for partial in partials), proof)


def test_two_lies_that_cancel_need_the_coefficients_beforehand(
    monkeypatch: pytest.MonkeyPatch, toy: Ceremony, products: tuple[int, ...]
) -> None:
    """Coefficients known before the partials let two wrong ones cancel; hashed from them, they do not."""
    share, n = toy.shares[1], toy.public_key.n
    honest = tuple(partial_opening(share, product) for product in products)

    def cancelling(first: int, second: int) -> tuple[int, ...]:
        shift = share.verification_base
        return (
            honest[0] * pow(shift, second, n) % n,
            honest[1] * pow(shift, -first, n) % n,
            *honest[2:],
        )

    def lie(partials: tuple[int, ...]) -> Answer:
        answers = iter(partials)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(partial_proofs, "partial_opening", lambda _share, _product: next(answers))
            return prove_partials(share, products, STATEMENT)

    def known(_bound: bytes, count: int) -> list[int]:
        return list(range(3, 3 + count))

    with monkeypatch.context() as undefended:
        undefended.setattr(partial_proofs, "_coefficients", known)
        partials, proof = lie(cancelling(3, 4))
        verify_partials(toy.committee, 2, products, partials, STATEMENT, proof)
    bound = partial_proofs._bound(
        toy.public_key,
        member=(2, 3, 2, share.verification_base, share.verification_key),
        statement=STATEMENT,
        values=(products, honest),
    )
    refuse(toy, products, *lie(cancelling(*partial_proofs._coefficients(bound, len(products))[:2])))


def test_a_challenge_that_is_not_the_hash_of_the_commitments_is_refused(
    toy: Ceremony, products: tuple[int, ...], answer: Answer
) -> None:
    partials, proof = answer
    for wrong in (0, proof.challenge ^ 1, (1 << 128) - 1 - proof.challenge):
        refuse(toy, products, partials, replace(proof, challenge=wrong))
    for wrong in (1, proof.response - 1, proof.response + 1, proof.response ^ (1 << 800)):
        refuse(toy, products, partials, replace(proof, response=wrong))


def test_a_simulated_transcript_needs_its_challenge_beforehand(
    toy: Ceremony, products: tuple[int, ...]
) -> None:
    """Anybody can make commitments for a challenge that they chose; the hash chooses another."""
    partials = tuple(product % toy.public_key.n for product in products)
    for challenge in range(20):
        refuse(toy, products, partials, PartialProof(challenge=challenge, response=12345))


def test_numbers_out_of_range_are_refused(
    toy: Ceremony, products: tuple[int, ...], answer: Answer, primes: Primes
) -> None:
    partials, proof = answer
    n = toy.public_key.n
    for bad in (0, -1, n, n + partials[0], partials[0] - n, primes(256)[0]):
        refuse(toy, products, (bad, *partials[1:]), proof, match="one is no unit modulo n")
    for challenge, response in (
        (-1, proof.response),
        (1 << 128, proof.response),
        (proof.challenge, 0),
        (proof.challenge, -proof.response),
        (proof.challenge, 1 << 888),
    ):
        wrong = PartialProof(challenge=challenge, response=response)
        refuse(toy, products, partials, wrong, match="the proof has a number out of range")
    refuse(toy, products, partials[:-1], proof, match="there are 3 for 4 ciphertexts")
    refuse(toy, (), (), proof, match="there are 0 for 0 ciphertexts")
    for index in (0, 4, -1):
        refuse(toy, products, partials, proof, index=index, match="the committee has members 1 to 3")


def test_only_canonical_ciphertexts_are_touched_by_a_share(toy: Ceremony) -> None:
    n = toy.public_key.n
    for bad in (0, n, n * n + 1):
        with pytest.raises(CiphertextRefused):
            prove_partials(toy.shares[0], [1, bad], STATEMENT)
    with pytest.raises(CiphertextRefused, match="no ciphertexts"):
        prove_partials(toy.shares[0], [], STATEMENT)


def test_a_proof_has_one_encoding(toy: Ceremony, products: tuple[int, ...], answer: Answer) -> None:
    partials, proof = answer
    data = proof.to_bytes()
    assert PartialProof.from_bytes(data) == proof
    assert len(data) == 16 + (proof.response.bit_length() + 7) // 8
    for bad in (b"", data[:16], data + b"\0", data + b"\1" * 2000):
        with pytest.raises(ProofRefused, match=f"{len(bad)} bytes are no proof"):
            PartialProof.from_bytes(bad)
    for position in range(len(data)):
        flipped = data[:position] + bytes([data[position] ^ 128]) + data[position + 1 :]
        with pytest.raises(ProofRefused):
            verify_partials(toy.committee, 2, products, partials, STATEMENT, PartialProof.from_bytes(flipped))


def test_the_longest_proof_of_the_largest_key_has_an_encoding() -> None:
    proof = PartialProof(challenge=(1 << 128) - 1, response=(1 << 8568) - 1)
    assert PartialProof.from_bytes(proof.to_bytes()) == proof
    with pytest.raises(ProofRefused, match="are no proof"):
        PartialProof.from_bytes(replace(proof, response=1 << 8568).to_bytes())


def test_responses_hide_the_secret(toy: Ceremony, products: tuple[int, ...]) -> None:
    """Were the mask short, response // challenge would be the secret; it is far off, and never the same."""
    secret = math.factorial(3) * toy.shares[0].value
    proofs = [prove_partials(toy.shares[0], products[:1], STATEMENT)[1] for _ in range(20)]
    for proof in proofs:
        assert abs(proof.response // proof.challenge - secret) >> 600
    assert len({proof.response for proof in proofs}) == 20


def test_every_power_of_a_secret_is_made_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, toy: Ceremony, products: tuple[int, ...]
) -> None:
    guarded: list[int] = []
    open_exponents: list[int] = []
    constant, plain = gmpy2.powmod_sec, gmpy2.powmod

    def recorded(base: int, exponent: int, modulus: int) -> int:
        guarded.append(exponent)
        return int(constant(base, exponent, modulus))

    def public(base: int, exponent: int, modulus: int) -> int:
        open_exponents.append(exponent)
        return int(plain(base, exponent, modulus))

    monkeypatch.setattr(gmpy2, "powmod_sec", recorded)
    monkeypatch.setattr(gmpy2, "powmod", public)
    share = toy.shares[0]
    _, proof = prove_partials(share, products, STATEMENT)
    mask = proof.response - proof.challenge * 6 * share.value
    assert guarded == [12 * share.value] * len(products) + [mask] * 2
    assert all(exponent < 1 << 128 for exponent in open_exponents)
