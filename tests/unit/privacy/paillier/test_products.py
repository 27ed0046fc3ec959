from __future__ import annotations

import math
import secrets
from collections.abc import Callable

import gmpy2
import pytest

from privacy.paillier import products
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.products import (
    concatenate,
    join,
    multiply,
    product_of_powers,
    product_of_residue_powers,
    split,
)

Primes = Callable[[int], tuple[int, int]]


def units(n: int, count: int) -> list[int]:
    drawn = [secrets.randbelow(n * n) for _ in range(2 * count)]
    return [unit for unit in drawn if math.gcd(unit, n) == 1][:count]


def test_head_and_tail_are_the_unit(toy: Ceremony) -> None:
    n = toy.public_key.n
    for count in (0, 1, 2, 9):
        chosen = units(n, count)
        halves = split(n, chosen)
        pairs = list(zip(halves.heads, halves.tails, strict=True))
        assert len(halves) == count
        assert all(0 < head < n and 0 <= tail < n for head, tail in pairs)
        assert [head * (1 + tail * n) % n**2 for head, tail in pairs] == chosen


def test_the_extreme_units_split_too(toy: Ceremony) -> None:
    n = toy.public_key.n
    halves = split(n, [1, n - 1, n + 1, n * n - 1])
    assert halves.heads == (1, n - 1, 1, n - 1)
    assert halves.tails[:3] == (0, 0, 1)
    assert (n - 1) * (1 + halves.tails[3] * n) % n**2 == n * n - 1


def test_join_undoes_split_for_any_representative(toy: Ceremony) -> None:
    n = toy.public_key.n
    (unit,) = units(n, 1)
    halves = split(n, [unit])
    for turns in (0, 1, -3):
        assert join(n, halves.heads[0], halves.tails[0] + turns * n) == unit


def test_a_join_is_canonical_for_any_product_and_any_tail(toy: Ceremony) -> None:
    n = toy.public_key.n
    for product in (1, n - 1, n + 1, n * n - 1, n * n + 1, n**4 - 1, -1, *units(n, 5)):
        for tail in (0, 1, n - 1, n * n, 10 * n - 1, -1):
            assert join(n, gmpy2.mpz(product), gmpy2.mpz(tail)) == product * (1 + tail * n) % (n * n)


@pytest.mark.parametrize("length", [0, 1, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 10])
def test_vectors_are_multiplied_place_by_place(toy: Ceremony, count: int, length: int) -> None:
    n = toy.public_key.n
    rows = [units(n, length) for _ in range(count)]
    expected = [math.prod(place) % n**2 for place in zip(*rows, strict=True)]
    assert multiply(n, [split(n, row) for row in rows]) == expected


def test_vectors_split_apart_are_the_vector_split_whole(toy: Ceremony) -> None:
    n = toy.public_key.n
    whole = units(n, 4)
    parts = [split(n, part) for part in (whole[:3], [], whole[3:])]
    assert concatenate(parts) == split(n, whole)


@pytest.mark.parametrize("bits", [1, 7, 8, 128])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 33, 170])
def test_the_product_is_that_of_pythons_powers(toy: Ceremony, count: int, bits: int) -> None:
    n = toy.public_key.n
    chosen = units(n, count)
    for exponents in ([secrets.randbits(bits) for _ in chosen], [2**bits - 1 for _ in chosen]):
        expected = math.prod(pow(c, e, n * n) for c, e in zip(chosen, exponents, strict=True)) % (n * n)
        assert product_of_powers(split(n, chosen), exponents) == expected


@pytest.mark.parametrize("exponents", [[0, 0, 0], [0, 1, 0], [1 << 127, 0, 1], [1, 2, 3]])
def test_exponents_with_few_bits_are_no_exception(toy: Ceremony, exponents: list[int]) -> None:
    n = toy.public_key.n
    chosen = units(n, 3)
    expected = math.prod(pow(c, e, n * n) for c, e in zip(chosen, exponents, strict=True)) % (n * n)
    assert product_of_powers(split(n, chosen), exponents) == expected


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_the_window_does_not_change_the_product(
    toy: Ceremony, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    n = toy.public_key.n
    chosen = units(n, 6)
    exponents = [secrets.randbits(128) for _ in chosen]
    expected = product_of_powers(split(n, chosen), exponents)
    monkeypatch.setattr(products, "_window", lambda **_: window)
    assert product_of_powers(split(n, chosen), exponents) == expected


def test_more_factors_make_wider_windows() -> None:
    windows = [products._window(bits=128, count=count) for count in (1, 8, 170, 5000)]
    assert windows == sorted(windows)
    assert windows[0] <= 2
    assert windows[2] in {4, 5}
    assert windows[3] > windows[2]


def test_lengths_that_differ_are_an_error(toy: Ceremony) -> None:
    n = toy.public_key.n
    with pytest.raises(ValueError, match="zip"):
        product_of_powers(split(n, units(n, 2)), [1])


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_residues_have_powers_under_any_modulus(count: int) -> None:
    for modulus in (97, 10**40 + 1):
        bases = [secrets.randbelow(modulus) for _ in range(count)]
        exponents = [secrets.randbits(70) for _ in bases]
        expected = math.prod(map(pow, bases, exponents, [modulus] * count)) % modulus
        assert product_of_residue_powers(bases, exponents, modulus) == expected
