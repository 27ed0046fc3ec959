from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

import pytest

from fedscore.errors import CiphertextRefused, KeyRefused, OpeningError
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import Opening, check_opening, combine, partial_opening

Primes = Callable[[int], tuple[int, int]]
Vectors = Callable[[str], Any]


def number(text: str) -> int:
    return int(text, 16)


@pytest.fixture(scope="module")
def key(vectors: Vectors) -> PublicKey:
    return PublicKey(number(vectors("openings")["n"]), unsafe_minimum_bits=256)


def test_the_vectors_shares_give_the_vectors_parts(vectors: Vectors, key: PublicKey) -> None:
    data = vectors("openings")
    assert len(data["shares"]) == 5
    for entry in data["shares"]:
        share = KeyShare(
            public_key=key,
            index=entry["index"],
            members=data["members"],
            threshold=data["threshold"],
            value=number(entry["value"]),
            verification_base=number(data["verification_base"]),
            verification_key=number(entry["verification_key"]),
        )
        for opened in data["opened"]:
            part = partial_opening(share, number(opened["ciphertext"]))
            assert part == number(opened["partials"][str(share.index)])


def test_every_subset_of_the_vectors_parts_gives_the_one_opening(vectors: Vectors, key: PublicKey) -> None:
    data = vectors("openings")
    assert len(data["opened"]) == 6
    for opened in data["opened"]:
        expected = Opening(plaintext=int(opened["plaintext"]), root=number(opened["root"]))
        ciphertext = number(opened["ciphertext"])
        check_opening(key, ciphertext, expected)
        for subset in data["subsets"]:
            partials = {index: number(opened["partials"][str(index)]) for index in subset}
            assert combine(key, ciphertext, partials, threshold=3, members=5) == expected


def test_wrong_parts_are_refused(vectors: Vectors, key: PublicKey) -> None:
    data = vectors("openings")
    assert len(data["refused"]) == 13
    for case in data["refused"]:
        partials = {int(index): number(part) for index, part in case["partials"].items()}
        with pytest.raises(OpeningError, match=case["message"]):
            combine(key, number(data["ciphertext"]), partials, threshold=3, members=5)


@pytest.mark.parametrize(("members", "threshold"), [(n, t) for n in range(1, 6) for t in range(1, n + 1)])
def test_any_t_members_open_and_fewer_do_not(primes: Primes, members: int, threshold: int) -> None:
    ceremony = unsafe_deal_from_primes(*primes(128), members=members, threshold=threshold)
    key = ceremony.public_key
    plaintext = key.centred(secrets.randbelow(key.n))
    (ciphertext,) = encrypt(key, [plaintext])
    parts = {share.index: partial_opening(share, ciphertext) for share in ceremony.shares}
    openings = set()
    for subset in combinations(parts, threshold):
        chosen = {index: parts[index] for index in subset}
        opening = combine(key, ciphertext, chosen, threshold=threshold, members=members)
        assert opening.plaintext == plaintext
        openings.add(opening)
    assert len(openings) == 1
    fewer = {index: parts[index] for index in list(parts)[: threshold - 1]}
    with pytest.raises(OpeningError, match=f"{threshold - 1} partial openings do not open"):
        combine(key, ciphertext, fewer, threshold=threshold, members=members)
    if fewer:
        # Whoever claims a lower threshold gets nothing either.
        with pytest.raises(OpeningError, match="does not reproduce"):
            combine(key, ciphertext, fewer, threshold=threshold - 1, members=members)


def test_the_committee_opens_what_phe_encrypted(toy: Ceremony) -> None:
    key = toy.public_key
    for plaintext in (0, 1, key.n - 1, secrets.randbelow(key.n)):
        ciphertext = key.as_phe().raw_encrypt(plaintext)
        parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares[1:]}
        opening = combine(key, ciphertext, parts, threshold=2, members=3)
        assert opening.plaintext % key.n == plaintext
        assert key.as_phe().raw_encrypt(plaintext, r_value=opening.root) == ciphertext


def test_the_committee_opens_a_sum(toy: Ceremony) -> None:
    key = toy.public_key
    (total,) = add(key, [encrypt(key, [value]) for value in (5, -700, 20)])
    parts = {share.index: partial_opening(share, total) for share in toy.shares}
    assert combine(key, total, parts, threshold=2, members=3).plaintext == -675


def test_the_order_of_the_parts_and_surplus_parts_do_not_matter(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [99])
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    openings = {
        combine(key, ciphertext, {i: parts[i] for i in order}, threshold=2, members=3)
        for size in (2, 3)
        for order in permutations(parts, size)
    }
    assert len(openings) == 1


def test_a_part_of_the_opposite_sign_changes_nothing(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [99])
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    honest = combine(key, ciphertext, parts, threshold=2, members=3)
    assert combine(key, ciphertext, parts | {1: key.n - parts[1]}, threshold=2, members=3) == honest


def test_a_lie_is_refused_without_quoting_anything(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [424242])
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares[:2]}
    parts[2] = parts[2] * 3 % key.n
    with pytest.raises(OpeningError, match="does not reproduce its ciphertext") as refusal:
        combine(key, ciphertext, parts, threshold=2, members=3)
    assert not any(character.isdigit() for character in str(refusal.value))


def test_shares_of_another_key_open_nothing(toy: Ceremony, primes: Primes) -> None:
    p, q = primes(256)
    again = unsafe_deal_from_primes(p, q, members=3, threshold=2)
    assert again.public_key == toy.public_key
    (ciphertext,) = encrypt(toy.public_key, [1])
    mixed = {1: partial_opening(toy.shares[0], ciphertext), 2: partial_opening(again.shares[1], ciphertext)}
    with pytest.raises(OpeningError, match="does not reproduce"):
        combine(toy.public_key, ciphertext, mixed, threshold=2, members=3)


def test_a_committee_that_cannot_be_is_refused(toy: Ceremony) -> None:
    (ciphertext,) = encrypt(toy.public_key, [1])
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    for members, threshold in ((3, 0), (3, 4), (0, 1), (1000, 2)):
        with pytest.raises(KeyRefused):
            combine(toy.public_key, ciphertext, parts, threshold=threshold, members=members)


def test_numbers_that_are_no_ciphertext_are_refused_before_any_secret_is_used(
    toy: Ceremony, primes: Primes
) -> None:
    key = toy.public_key
    p, q = primes(256)
    opening = Opening(plaintext=0, root=1)
    for bad in (0, -1, key.n, p, 3 * q, key.n_squared, key.n_squared + 1, 1 << 5000):
        with pytest.raises(CiphertextRefused):
            partial_opening(toy.shares[0], bad)
        with pytest.raises(CiphertextRefused):
            combine(key, bad, {1: 1, 2: 1}, threshold=2, members=3)
        with pytest.raises(CiphertextRefused):
            check_opening(key, bad, opening)


def test_the_unit_one_opens_to_zero(toy: Ceremony) -> None:
    parts = {share.index: partial_opening(share, 1) for share in toy.shares}
    assert combine(toy.public_key, 1, parts, threshold=2, members=3) == Opening(plaintext=0, root=1)


def test_only_the_one_opening_passes_the_check(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [77])
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    good = combine(key, ciphertext, parts, threshold=2, members=3)
    check_opening(key, ciphertext, good)
    (other,) = encrypt(key, [77])
    with pytest.raises(OpeningError, match="does not reproduce"):
        check_opening(key, other, good)
    for plaintext, root in ((78, good.root), (77, good.root + 1), (77, key.n - good.root), (-77, good.root)):
        with pytest.raises(OpeningError, match="does not reproduce"):
            check_opening(key, ciphertext, Opening(plaintext=plaintext, root=root))
    for plaintext, root in (
        (77 + key.n, good.root),
        (77 - key.n, good.root),
        (77, good.root + key.n),
        (77, good.root - key.n),
        (77, 0),
    ):
        with pytest.raises(OpeningError, match="not in canonical range"):
            check_opening(key, ciphertext, Opening(plaintext=plaintext, root=root))
