from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Callable

import phe
import pytest

from fedscore.errors import CiphertextRefused, LayoutError
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey

Primes = Callable[[int], tuple[int, int]]


@pytest.fixture(scope="module")
def oracle(toy: Ceremony, primes: Primes) -> phe.PaillierPrivateKey:
    return phe.PaillierPrivateKey(toy.public_key.as_phe(), *primes(256))


def extremes(key: PublicKey) -> list[int]:
    return [0, 1, -1, key.n // 2, -(key.n // 2), 12345678901234567890]


def test_phe_decrypts_what_we_encrypt(toy: Ceremony, oracle: phe.PaillierPrivateKey) -> None:
    key = toy.public_key
    for plaintext, ciphertext in zip(extremes(key), encrypt(key, extremes(key)), strict=True):
        assert key.why_no_ciphertext(ciphertext) is None
        assert key.centred(oracle.raw_decrypt(ciphertext)) == plaintext


def test_phe_decrypts_the_sum_of_what_we_add(toy: Ceremony, oracle: phe.PaillierPrivateKey) -> None:
    key = toy.public_key
    plain = [[1, -2, 3], [10, 20, -30], [-100, 0, 300], [0, 0, 0]]
    total = add(key, [encrypt(key, row) for row in plain])
    assert [key.centred(oracle.raw_decrypt(c)) for c in total] == [
        sum(row) for row in zip(*plain, strict=True)
    ]


def test_our_sum_of_phes_ciphertexts_is_phes_own(toy: Ceremony) -> None:
    key, other = toy.public_key, toy.public_key.as_phe()
    rows = [[other.raw_encrypt(secrets.randbelow(key.n)) for _ in range(3)] for _ in range(4)]
    expected = [math.prod(column) % key.n_squared for column in zip(*rows, strict=True)]
    assert list(add(key, rows)) == expected


def test_one_vector_is_its_own_sum(toy: Ceremony) -> None:
    row = encrypt(toy.public_key, [1, 2])
    assert add(toy.public_key, [row]) == row


def test_the_ciphertext_is_the_formula_of_the_source_of_r(toy: Ceremony) -> None:
    key = toy.public_key
    roots = [12345, 67891, 2]
    supply = iter(roots)
    ciphertexts = encrypt(key, [5, -6, 7], randbelow=lambda _bound: next(supply))
    expected = [
        (1 + m * key.n) * pow(r, key.n, key.n_squared) % key.n_squared
        for m, r in zip([5, -6, 7], roots, strict=True)
    ]
    assert list(ciphertexts) == expected


def test_only_units_serve_as_r(toy: Ceremony, primes: Primes) -> None:
    p, q = primes(256)
    supply = iter([0, p, 5 * q, 77])
    bounds: list[int] = []

    def randbelow(bound: int) -> int:
        bounds.append(bound)
        return next(supply)

    (ciphertext,) = encrypt(toy.public_key, [0], randbelow=randbelow)
    n = toy.public_key.n
    assert ciphertext == pow(77, n, n * n)
    assert bounds == [n] * 4


def test_no_r_is_used_twice(toy: Ceremony) -> None:
    drawn: list[int] = []

    def randbelow(bound: int) -> int:
        drawn.append(secrets.randbelow(bound))
        return drawn[-1]

    first = encrypt(toy.public_key, [4] * 50, randbelow=randbelow)
    second = encrypt(toy.public_key, [4] * 50, randbelow=randbelow)
    assert len(set(drawn)) == len(drawn) >= 100
    assert len({*first, *second}) == 100
    # Equal plaintexts under one r would agree modulo n as well.
    assert len({ciphertext % toy.public_key.n for ciphertext in (*first, *second)}) == 100


def test_the_default_source_is_the_systems(toy: Ceremony) -> None:
    assert encrypt.__kwdefaults__ == {"randbelow": secrets.randbelow}
    assert encrypt(toy.public_key, [1]) != encrypt(toy.public_key, [1])


def counting_from_two() -> Callable[[int], int]:
    numbers = itertools.count(2)
    return lambda _bound: next(numbers)


@pytest.mark.parametrize("cores", [None, 1, 2, 7])
def test_the_order_is_kept_on_any_number_of_cores(
    toy: Ceremony, monkeypatch: pytest.MonkeyPatch, cores: int | None
) -> None:
    monkeypatch.setattr("privacy.paillier.encryption.os.cpu_count", lambda: cores)
    key = toy.public_key
    for length in range(10):
        ciphertexts = encrypt(key, range(length), randbelow=counting_from_two())
        assert list(ciphertexts) == [
            (1 + m * key.n) * pow(m + 2, key.n, key.n_squared) % key.n_squared for m in range(length)
        ]


def test_a_plaintext_beyond_half_the_modulus_is_refused_unnamed(toy: Ceremony) -> None:
    key = toy.public_key
    for plaintext in (key.n // 2 + 1, -(key.n // 2) - 1, key.n, 1 << 5000):
        with pytest.raises(LayoutError, match="exceeds half of the 512-bit modulus") as refusal:
            encrypt(key, [0, plaintext])
        assert str(plaintext) not in str(refusal.value)


@pytest.mark.parametrize("columns", [[], [[1], [1, 2]], [[], [1]]])
def test_vectors_that_do_not_match_are_refused(toy: Ceremony, columns: list[list[int]]) -> None:
    with pytest.raises(CiphertextRefused, match="do not add up"):
        add(toy.public_key, columns)
