from __future__ import annotations

import math
import secrets
import sys

import pytest

from fedscore.errors import EncryptionError
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.fixed_base import FixedBase, window_for


@pytest.mark.parametrize("window", [1, 2, 3, 7, 8, 9])
@pytest.mark.parametrize("exponent_bits", [1, 7, 8, 63, 64, 65])
def test_a_power_is_pythons(toy: Ceremony, exponent_bits: int, window: int) -> None:
    n = toy.public_key.n
    base = secrets.randbelow(n * n)
    table = FixedBase(base, n, exponent_bits=exponent_bits, window=window)
    largest = (1 << exponent_bits) - 1
    for exponent in {0, 1, largest, largest // 2, *(secrets.randbits(exponent_bits) for _ in range(10))}:
        assert table.power(exponent) == pow(base, exponent, n * n)


def test_powers_multiply_as_exponents_add(toy: Ceremony) -> None:
    n = toy.public_key.n
    table = FixedBase(n * n - 2, n, exponent_bits=257, window=5)
    first, second = secrets.randbits(256), secrets.randbits(256)
    assert table.power(first) * table.power(second) % (n * n) == table.power(first + second)


@pytest.mark.parametrize("base", [1, -1, 2])
def test_bases_without_a_tail_or_with_a_small_order(toy: Ceremony, base: int) -> None:
    n = toy.public_key.n
    table = FixedBase(base % (n * n), n, exponent_bits=12, window=8)
    assert [table.power(exponent) for exponent in (0, 1, 2, 4095)] == [
        pow(base, exponent, n * n) for exponent in (0, 1, 2, 4095)
    ]


@pytest.mark.parametrize("window", [4, 8])
def test_an_exponent_out_of_range_is_refused_unnamed(toy: Ceremony, window: int) -> None:
    table = FixedBase(2, toy.public_key.n, exponent_bits=12, window=window)
    for exponent in (-1, 4096, 123_456_789):
        with pytest.raises(EncryptionError, match=r"outside \[0, 2\^12\)") as refusal:
            table.power(exponent)
        assert str(exponent) not in str(refusal.value)


def operations(table_window: int, exponent_bits: int, powers: int) -> int:
    """What the choice is about, counted anew: an entry costs as much as two look-ups."""
    digits = math.ceil(exponent_bits / table_window)
    return digits * ((2 << table_window) + powers)


@pytest.mark.parametrize("powers", [1, 8, 79, 170, 1000, 5000])
def test_the_window_is_the_cheapest_that_fits(powers: int) -> None:
    for exponent_bits in (1024, 1536):
        fitting = [w for w in range(1, 17) if math.ceil(exponent_bits / w) * 2**w <= 2**16]
        costs = {w: operations(w, exponent_bits, powers) for w in fitting}
        chosen = window_for(exponent_bits=exponent_bits, powers=powers)
        assert costs[chosen] == min(costs.values())


def test_few_powers_take_a_small_window_and_many_the_largest_allowed() -> None:
    chosen = [window_for(exponent_bits=1536, powers=powers) for powers in (0, 8, 79, 10**4, 10**9)]
    assert chosen == sorted(chosen)
    assert chosen[1] <= 3
    assert chosen[-2:] == [8, 8]


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_largest_table_stays_below_64_megabytes(bits: int) -> None:
    window = window_for(exponent_bits=bits // 2, powers=10**9)
    number = sys.getsizeof(1 << bits) + 24
    entries = math.ceil(bits / 2 / window) << window
    assert entries * 2 * number < 64e6


def test_a_table_of_any_length_can_be_had() -> None:
    assert window_for(exponent_bits=1 << 20, powers=10**9) == 1
