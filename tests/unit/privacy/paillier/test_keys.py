from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import phe
import pytest

from fedscore.errors import KeyRefused
from privacy.paillier.keys import MAXIMUM_BITS, MINIMUM_BITS, PublicKey

Primes = Callable[[int], tuple[int, int]]


def modulus(primes: Primes, bits: int) -> int:
    p, q = primes(bits // 2)
    return p * q


def test_a_key_of_the_smallest_size_is_accepted(primes: Primes) -> None:
    key = PublicKey(modulus(primes, 2048))
    assert key.bits == MINIMUM_BITS == 2048
    assert key.n_squared == key.n**2
    assert key.g == key.n + 1


def test_a_smaller_key_is_refused_unless_called_unsafe(primes: Primes) -> None:
    n = modulus(primes, 512)
    with pytest.raises(KeyRefused, match="512 bits is refused: 2048 to 8192"):
        PublicKey(n)
    assert PublicKey(n, unsafe_minimum_bits=512).bits == 512
    with pytest.raises(KeyRefused, match="512 bits is refused: 513 to"):
        PublicKey(n, unsafe_minimum_bits=513)


def test_one_bit_below_the_smallest_size_is_refused(primes: Primes) -> None:
    with pytest.raises(KeyRefused, match="2047 bits"):
        PublicKey(modulus(primes, 2048) >> 1 | 1)


def test_a_key_beyond_the_largest_size_is_refused() -> None:
    with pytest.raises(KeyRefused, match="8193 bits"):
        PublicKey((1 << MAXIMUM_BITS) + 1)


@pytest.mark.parametrize("factor", [2, 3, 7, 65521])
def test_a_small_factor_is_refused(primes: Primes, factor: int) -> None:
    with pytest.raises(KeyRefused, match="small prime factor"):
        PublicKey(modulus(primes, 2048) * factor)


@pytest.mark.parametrize("n_of", [lambda p: p, lambda p: p * p], ids=["prime", "square"])
def test_a_prime_and_a_square_are_refused(primes: Primes, n_of: Callable[[int], int]) -> None:
    with pytest.raises(KeyRefused, match="no product of two different primes"):
        PublicKey(n_of(primes(1536)[0]), unsafe_minimum_bits=1024)


@pytest.mark.parametrize("n", [0, 1, -(1 << 2050) - 1])
def test_numbers_that_are_no_modulus_are_refused(n: int) -> None:
    with pytest.raises(KeyRefused):
        PublicKey(n)


def test_the_key_id_is_a_hash_of_the_canonical_modulus(primes: Primes) -> None:
    n = modulus(primes, 2048)
    assert PublicKey(n).key_id == hashlib.sha256(n.to_bytes(256, "little")).hexdigest()
    assert PublicKey(n).key_id != PublicKey(modulus(primes, 3072)).key_id


def test_a_key_is_frozen(primes: Primes) -> None:
    key = PublicKey(modulus(primes, 2048))
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.n = 5  # type: ignore[misc]  # the very thing that must fail


def test_the_phe_key_is_the_same_key(primes: Primes) -> None:
    key = PublicKey(modulus(primes, 2048))
    other = key.as_phe()
    assert isinstance(other, phe.PaillierPublicKey)
    assert (other.n, other.g, other.nsquare) == (key.n, key.g, key.n_squared)


def test_centred_residues_are_nearest_to_zero(primes: Primes) -> None:
    key = PublicKey(modulus(primes, 256), unsafe_minimum_bits=256)
    half = key.n // 2
    assert [key.centred(m % key.n) for m in (0, 1, -1, half, -half)] == [0, 1, -1, half, -half]
    assert key.centred(half + 1) == -half


def test_the_text_form_round_trips_and_is_the_only_one(primes: Primes) -> None:
    key = PublicKey(modulus(primes, 2048))
    assert PublicKey.from_json(key.to_json()) == key
    assert PublicKey.from_json(key.to_json()).to_json() == key.to_json()
    assert json.loads(key.to_json())["n"] == f"{key.n:x}"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "fedscore-paillier-public-key-2"},
        {"extra": "1"},
        {"n": 5},
        {"n": None},
        {"n": ""},
        {"n": "-5"},
        {"n": "0x1f"},
        {"n": "1_f"},
        {"n": " 1f"},
        {"n": "1F"},
        {"n": "01f"},
        {"n": "٣"},
        {"n": "f" * 10_000},
    ],
)
def test_texts_that_are_no_key_are_refused(primes: Primes, change: dict[str, Any]) -> None:
    document = json.loads(PublicKey(modulus(primes, 2048)).to_json()) | change
    with pytest.raises(KeyRefused, match=r"fedscore-paillier-public-key-1"):
        PublicKey.from_json(json.dumps(document), unsafe_minimum_bits=1)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "{", "5", "[" * 100_000, '"n"'])
def test_texts_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(KeyRefused, match="the text is no fedscore-paillier-public-key-1"):
        PublicKey.from_json(text)


def test_a_small_key_is_refused_from_text_too(primes: Primes) -> None:
    text = PublicKey(modulus(primes, 512), unsafe_minimum_bits=512).to_json()
    with pytest.raises(KeyRefused, match="512 bits is refused"):
        PublicKey.from_json(text)
    assert PublicKey.from_json(text, unsafe_minimum_bits=512).bits == 512


def test_many_numbers_are_ciphertexts_if_each_is_one(primes: Primes) -> None:
    p, q = primes(256)
    key = PublicKey(p * q, unsafe_minimum_bits=512)
    good = [1, 2, key.n + 1, key.n_squared - 1]
    assert key.are_ciphertexts(good)
    assert key.are_ciphertexts([])
    for bad in (0, -1, key.n_squared, key.n_squared + 1, p, q * 3, key.n, p * key.n):
        assert key.why_no_ciphertext(bad) is not None
        for place in range(len(good) + 1):
            assert not key.are_ciphertexts([*good[:place], bad, *good[place:]])
    # One factor each: their product is no unit either.
    assert not key.are_ciphertexts([p, q])
