from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

import gmpy2
import pytest

from fedscore.errors import CiphertextRefused, OpeningError
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.committee import Committee
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import split
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import (
    Opening,
    check_opening,
    combine,
    combine_all,
    partial_opening,
    reproduce,
)

Primes = Callable[[int], tuple[int, int]]
Vectors = Callable[[str], Any]


def number(text: str) -> int:
    return int(text, 16)


@pytest.fixture(scope="module")
def key(vectors: Vectors) -> PublicKey:
    return PublicKey(number(vectors("openings")["n"]), unsafe_minimum_bits=256)


@pytest.fixture(scope="module")
def committee(vectors: Vectors, key: PublicKey) -> Committee:
    data = vectors("openings")
    return Committee(
        public_key=key,
        threshold=data["threshold"],
        verification_base=number(data["verification_base"]),
        verification_keys=tuple(number(share["verification_key"]) for share in data["shares"]),
    )


def claiming(committee: Committee, threshold: int) -> Committee:
    """A committee that says of itself that fewer open, past all checks."""
    claimed = object.__new__(Committee)
    for name in ("public_key", "verification_base", "verification_keys"):
        object.__setattr__(claimed, name, getattr(committee, name))
    object.__setattr__(claimed, "threshold", threshold)
    return claimed


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


def test_every_subset_of_the_vectors_parts_gives_the_one_opening(
    vectors: Vectors, committee: Committee
) -> None:
    data = vectors("openings")
    assert len(data["opened"]) == 6
    for opened in data["opened"]:
        expected = Opening(plaintext=int(opened["plaintext"]), root=number(opened["root"]))
        ciphertext = number(opened["ciphertext"])
        check_opening(committee.public_key, ciphertext, expected)
        assert reproduce(committee.public_key, expected) == ciphertext
        for subset in data["subsets"]:
            partials = {index: number(opened["partials"][str(index)]) for index in subset}
            assert combine(committee, ciphertext, partials) == expected


def test_wrong_parts_are_refused(vectors: Vectors, committee: Committee) -> None:
    data = vectors("openings")
    assert len(data["refused"]) == 13
    for case in data["refused"]:
        partials = {int(index): number(part) for index, part in case["partials"].items()}
        with pytest.raises(OpeningError, match=case["message"]):
            combine(committee, number(data["ciphertext"]), partials)


@pytest.mark.parametrize(("members", "threshold"), [(n, t) for n in range(1, 6) for t in range(1, n + 1)])
def test_any_t_members_open_and_fewer_do_not(primes: Primes, members: int, threshold: int) -> None:
    ceremony = unsafe_deal_from_primes(*primes(128), members=members, threshold=threshold)
    key = ceremony.public_key
    plaintext = key.centred(secrets.randbelow(key.n))
    (ciphertext,) = encrypt(key, [plaintext]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in ceremony.shares}
    openings = set()
    for subset in combinations(parts, threshold):
        chosen = {index: parts[index] for index in subset}
        opening = combine(ceremony.committee, ciphertext, chosen)
        assert opening.plaintext == plaintext
        openings.add(opening)
    assert len(openings) == 1
    fewer = {index: parts[index] for index in list(parts)[: threshold - 1]}
    with pytest.raises(OpeningError, match=f"{threshold - 1} partial openings do not open"):
        combine(ceremony.committee, ciphertext, fewer)
    if fewer:
        # Whoever claims a lower threshold, which no committee can be built with, gets nothing either.
        with pytest.raises(OpeningError, match="does not reproduce"):
            combine(claiming(ceremony.committee, threshold - 1), ciphertext, fewer)


def test_the_committee_opens_what_phe_encrypted(toy: Ceremony) -> None:
    key = toy.public_key
    for plaintext in (0, 1, key.n - 1, secrets.randbelow(key.n)):
        ciphertext = key.as_phe().raw_encrypt(plaintext)
        parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares[1:]}
        opening = combine(toy.committee, ciphertext, parts)
        assert opening.plaintext % key.n == plaintext
        assert key.as_phe().raw_encrypt(plaintext, r_value=opening.root) == ciphertext


def test_the_committee_opens_a_sum(toy: Ceremony) -> None:
    key = toy.public_key
    (total,) = add(key, [split(key.n, encrypt(key, [value]).ciphertexts) for value in (5, -700, 20)])
    parts = {share.index: partial_opening(share, total) for share in toy.shares}
    assert combine(toy.committee, total, parts).plaintext == -675


def test_the_order_of_the_parts_and_surplus_parts_do_not_matter(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [99]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    openings = {
        combine(toy.committee, ciphertext, {i: parts[i] for i in order})
        for size in (2, 3)
        for order in permutations(parts, size)
    }
    assert len(openings) == 1


def test_of_surplus_parts_those_of_the_lowest_members_count(toy: Ceremony) -> None:
    (ciphertext,) = encrypt(toy.public_key, [99]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in reversed(toy.shares)}
    assert combine(toy.committee, ciphertext, parts | {3: 2}).plaintext == 99
    with pytest.raises(OpeningError, match="does not reproduce"):
        combine(toy.committee, ciphertext, parts | {1: 2})


def test_a_part_of_the_opposite_sign_changes_nothing(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [99]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    honest = combine(toy.committee, ciphertext, parts)
    assert combine(toy.committee, ciphertext, parts | {1: key.n - parts[1]}) == honest


def test_a_lie_is_refused_without_quoting_anything(toy: Ceremony) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [424242]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares[:2]}
    parts[2] = parts[2] * 3 % key.n
    with pytest.raises(OpeningError, match="does not reproduce its ciphertext") as refusal:
        combine(toy.committee, ciphertext, parts)
    assert not any(character.isdigit() for character in str(refusal.value))


def test_shares_of_another_key_open_nothing(toy: Ceremony, primes: Primes) -> None:
    p, q = primes(256)
    again = unsafe_deal_from_primes(p, q, members=3, threshold=2)
    assert again.public_key == toy.public_key
    (ciphertext,) = encrypt(toy.public_key, [1]).ciphertexts
    mixed = {1: partial_opening(toy.shares[0], ciphertext), 2: partial_opening(again.shares[1], ciphertext)}
    with pytest.raises(OpeningError, match="does not reproduce"):
        combine(toy.committee, ciphertext, mixed)


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
            combine(toy.committee, bad, {1: 1, 2: 1})
        with pytest.raises(CiphertextRefused):
            check_opening(key, bad, opening)


def test_the_unit_one_opens_to_zero(toy: Ceremony) -> None:
    parts = {share.index: partial_opening(share, 1) for share in toy.shares}
    assert combine(toy.committee, 1, parts) == Opening(plaintext=0, root=1)


def test_only_the_one_opening_passes_the_check(toy: Ceremony, primes: Primes) -> None:
    key = toy.public_key
    (ciphertext,) = encrypt(key, [77]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares}
    good = combine(toy.committee, ciphertext, parts)
    check_opening(key, ciphertext, good)
    (other,) = encrypt(key, [77]).ciphertexts
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
        (77, primes(256)[0]),
    ):
        with pytest.raises(OpeningError, match="not in canonical range"):
            check_opening(key, ciphertext, Opening(plaintext=plaintext, root=root))
        with pytest.raises(OpeningError, match="not in canonical range"):
            reproduce(key, Opening(plaintext=plaintext, root=root))


@pytest.mark.parametrize(("p", "q", "unique"), [(7, 23, True), (11, 23, False)])
def test_every_unit_has_one_opening_if_n_is_coprime_to_its_totient(p: int, q: int, *, unique: bool) -> None:
    """All of them, under keys so small that they can be listed; 11 divides 23 - 1, so lengths must agree."""
    n = p * q
    assert (math.gcd(n, (p - 1) * (q - 1)) == 1) is unique
    key = object.__new__(PublicKey)
    object.__setattr__(key, "n", n)
    units = {unit for unit in range(1, n * n) if math.gcd(unit, n) == 1}
    openings = [
        Opening(plaintext=plaintext, root=root)
        for plaintext in range(-(n // 2), n // 2 + 1)
        for root in range(1, n)
        if math.gcd(root, n) == 1
    ]
    assert len(openings) == len(units)
    assert ({reproduce(key, opening) for opening in openings} == units) is unique


def test_partial_openings_are_made_in_constant_time(monkeypatch: pytest.MonkeyPatch, toy: Ceremony) -> None:
    monkeypatch.delattr(gmpy2, "powmod")
    share = toy.shares[0]
    n = toy.public_key.n
    assert partial_opening(share, 4 + n) == pow(4, 12 * share.value, n)


def test_a_vector_is_combined_as_each_ciphertext_is(vectors: Vectors, committee: Committee) -> None:
    opened = vectors("openings")["opened"]
    ciphertexts = [number(entry["ciphertext"]) for entry in opened]
    parts = {
        index: [number(entry["partials"][str(index)]) for entry in opened]
        for index in range(1, committee.members + 1)
    }
    assert len(ciphertexts) > 2
    for chosen in combinations(parts, committee.threshold):
        assert combine_all(committee, ciphertexts, {index: parts[index] for index in chosen}) == [
            combine(committee, ciphertext, {index: parts[index][place] for index in chosen})
            for place, ciphertext in enumerate(ciphertexts)
        ]
    assert combine_all(committee, [], dict.fromkeys(parts, ())) == []


def test_one_wrong_part_in_a_vector_is_noticed_and_so_is_one_too_few(
    vectors: Vectors, committee: Committee
) -> None:
    opened = vectors("openings")["opened"]
    ciphertexts = [number(entry["ciphertext"]) for entry in opened]
    parts = {
        index: [number(entry["partials"][str(index)]) for entry in opened]
        for index in range(1, committee.threshold + 1)
    }
    last = parts[2][-1]
    parts[2][-1] = last * 2 % committee.public_key.n
    with pytest.raises(OpeningError, match="does not reproduce its ciphertext"):
        combine_all(committee, ciphertexts, parts)
    parts[2][-1] = 0
    with pytest.raises(OpeningError, match="the partial opening of member 2 is no unit modulo n"):
        combine_all(committee, ciphertexts, parts)
    del parts[2][-1]
    with pytest.raises(OpeningError, match=f"member 2 sent {len(opened) - 1} partial openings for"):
        combine_all(committee, ciphertexts, parts)
    parts[2].append(last)
    with pytest.raises(CiphertextRefused):
        combine_all(committee, [*ciphertexts[:-1], 0], parts)
