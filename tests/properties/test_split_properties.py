"""Multiplying in halves gives, for any units, the very numbers that multiplying them whole gives."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from privacy.paillier.encryption import add
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import SplitUnits, join, product_of_powers, split

# Safe primes of 128 bits: a key that is quick and hides nothing.
P, Q = 0xD8F9B4601E85AB36FD2B049B637673CF, 0xDA900883B09A5B6977B86622369C50D3
KEY = PublicKey(P * Q, unsafe_minimum_bits=256)
N = KEY.n

units = st.one_of(
    st.integers(1, N * N - 1),
    st.builds(
        lambda near, offset: near + offset, st.sampled_from([N, 2 * N, N * N // 2]), st.integers(-3, 3)
    ),
    st.sampled_from([1, 2, N - 1, N + 1, N * N - 1, N * N - N + 1, N * N - N - 1]),
).filter(lambda unit: math.gcd(unit, N) == 1)


@st.composite
def tables(draw: st.DrawFn) -> list[list[int]]:
    """Up to twelve vectors of one length."""
    length = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(units, min_size=length, max_size=length), min_size=1, max_size=12))


@given(tables())
def test_adding_in_halves_is_the_product_modulo_n_squared(table: list[list[int]]) -> None:
    total = add(KEY, [split(N, row) for row in table])
    assert total == tuple(math.prod(place) % (N * N) for place in zip(*table, strict=True))
    assert all(type(ciphertext) is int and KEY.why_no_ciphertext(ciphertext) is None for ciphertext in total)


@given(tables(), st.data())
def test_the_order_of_the_vectors_does_not_matter(table: list[list[int]], data: st.DataObject) -> None:
    halves = [split(N, row) for row in table]
    assert add(KEY, halves) == add(KEY, data.draw(st.permutations(halves)))


@given(st.lists(units, min_size=1, max_size=8))
def test_a_unit_has_one_split(chosen: list[int]) -> None:
    halves = split(N, chosen)
    pairs = list(zip(halves.heads, halves.tails, strict=True))
    assert all(1 <= head < N and 0 <= tail < N for head, tail in pairs)
    assert [join(N, head, tail) for head, tail in pairs] == chosen
    assert SplitUnits(n=N, heads=halves.heads, tails=halves.tails) == split(N, chosen)


@given(st.lists(st.tuples(units, st.integers(0, (1 << 128) - 1)), max_size=8))
def test_powers_in_halves_are_pythons(powers: list[tuple[int, int]]) -> None:
    expected = math.prod(pow(unit, exponent, N * N) for unit, exponent in powers) % (N * N)
    halves = split(N, [unit for unit, _ in powers])
    assert product_of_powers(halves, [exponent for _, exponent in powers]) == expected
