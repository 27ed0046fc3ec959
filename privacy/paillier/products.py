"""Products modulo n squared at half their price.

Every unit y modulo n^2 is head * (1 + tail n) for one head in [1, n) and one tail in [0, n): head = y mod n
and tail = (y // n) / head mod n. Since (1 + a n)(1 + b n) = 1 + (a + b) n modulo n^2, the tails of a product
add up, and only the heads are multiplied, which are half as long as the units. Splitting costs more than one
multiplication saves: whoever multiplies a unit twice, as checking a proof and adding do, splits it once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import gmpy2
from gmpy2 import mpz

__all__ = [
    "SplitUnits",
    "concatenate",
    "join",
    "multiply",
    "product_of_powers",
    "product_of_residue_powers",
    "split",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitUnits:
    """A vector of units modulo n^2 in halves: unit i is heads[i] * (1 + tails[i] n) modulo n^2.

    Attributes:
        n: The modulus's root.
        heads: One in [1, n) for each unit.
        tails: One in [0, n) for each unit.
    """

    n: int
    heads: tuple[mpz, ...] = field(repr=False)
    tails: tuple[mpz, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.heads)


def split(n: int, units: Sequence[int]) -> SplitUnits:
    """Split units modulo n^2 into heads and tails.

    One inversion serves them all (Cohen 1993, algorithm 10.3.4).

    Args:
        n: The modulus's root, odd.
        units: Units modulo n^2 in [1, n^2); the caller has checked that they are.

    Returns:
        The units in halves, in their order.
    """
    modulus = mpz(n)
    quotients, heads = [], []
    partial_products = [mpz(1)]
    for unit in units:
        quotient, head = gmpy2.f_divmod(unit, modulus)
        quotients.append(quotient)
        heads.append(head)
        partial_products.append(partial_products[-1] * head % modulus)
    inverse = gmpy2.invert(partial_products.pop(), modulus)
    tails = []
    for quotient, head, before in zip(
        reversed(quotients), reversed(heads), reversed(partial_products), strict=True
    ):
        tails.append(quotient * (inverse * before % modulus) % modulus)
        inverse = inverse * head % modulus
    return SplitUnits(n=n, heads=tuple(heads), tails=tuple(reversed(tails)))


def join(n: int, product: mpz, tail: mpz) -> mpz:
    """Return product * (1 + tail n) modulo n^2.

    Args:
        n: The modulus's root.
        product: Any integer, such as a product of heads, reduced or not.
        tail: Any integer, such as a sum of tails.
    """
    root = mpz(n)
    quotient, head = gmpy2.f_divmod(product, root)
    return head + root * ((quotient + head * tail) % root)


def concatenate(vectors: Sequence[SplitUnits]) -> SplitUnits:
    """Return the units of some vectors, one at least and all under one n, as one vector."""
    return SplitUnits(
        n=vectors[0].n,
        heads=tuple(itertools.chain.from_iterable(vector.heads for vector in vectors)),
        tails=tuple(itertools.chain.from_iterable(vector.tails for vector in vectors)),
    )


def multiply(n: int, vectors: Sequence[SplitUnits]) -> list[mpz]:
    """Multiply vectors place by place modulo n^2.

    Args:
        n: The modulus's root.
        vectors: Vectors under n, all of one length.

    Returns:
        The products, each in [1, n^2), whole.
    """
    root = mpz(n)
    modulus = root * root
    products = []
    for heads, tails in zip(
        zip(*(vector.heads for vector in vectors), strict=True),
        zip(*(vector.tails for vector in vectors), strict=True),
        strict=True,
    ):
        product = mpz(1)
        # Two heads together are as long as a unit: one reduction serves both, and `join` reduces the last.
        for one, other in itertools.zip_longest(heads[::2], heads[1::2], fillvalue=1):
            product = product % modulus * (one * other)
        products.append(join(root, product, sum(tails)))
    return products


def product_of_powers(units: SplitUnits, exponents: Sequence[int]) -> mpz:
    """Return the product of units[i] ** exponents[i] modulo n^2.

    The tails cost one short multiplication each, beside the heads' `product_of_residue_powers`. Only for
    public exponents: the running time depends on them.

    Args:
        units: The units.
        exponents: One non-negative integer for each, of about the same lengths.
    """
    product = product_of_residue_powers(units.heads, exponents, mpz(units.n) * units.n)
    weighted = sum((tail * exponent for tail, exponent in zip(units.tails, exponents, strict=True)), mpz(0))
    return join(units.n, product, weighted)


def product_of_residue_powers(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> mpz:
    """Return the product of bases[i] ** exponents[i].

    Pippenger's buckets (Bernstein, Doumen, Lange and Oosterwijk, "Faster batch forgery identification",
    2012). Only for public exponents.

    Args:
        bases: Residues.
        exponents: One non-negative integer for each, of about the same lengths.
        modulus: Positive.
    """
    divisor = mpz(modulus)
    bits = max((exponent.bit_length() for exponent in exponents), default=0)
    window = _window(bits=bits, count=len(bases))
    product = mpz(1)
    for shift in reversed(range(0, bits, window)):
        product = gmpy2.powmod(product, 1 << window, divisor)
        buckets = [mpz(1)] * (1 << window)
        for base, exponent in zip(bases, exponents, strict=True):
            digit = exponent >> shift & (1 << window) - 1
            if digit:
                buckets[digit] = buckets[digit] * base % divisor
        # Bucket d enters d of the running products, so their product holds it d times.
        running = mpz(1)
        for bucket in reversed(buckets[1:]):
            running = running * bucket % divisor
            product = product * running % divisor
    return product


def _window(*, bits: int, count: int) -> int:
    """Choose the bucket width with the least work: two multiplications per bucket, half of one per base."""
    return min(range(1, 17), key=lambda width: -(-bits // width) * (count / 2 + (2 << width)))
