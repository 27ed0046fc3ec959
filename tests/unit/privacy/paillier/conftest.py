"""Toy keys from committed primes: seconds instead of minutes, and the primes are at hand for oracles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes

VECTORS = Path(__file__).parents[3] / "vectors"

Vectors = Callable[[str], Any]
Primes = Callable[[int], tuple[int, int]]


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    return lambda name: json.loads((VECTORS / f"paillier_{name}.json").read_text())


@pytest.fixture(scope="session")
def primes(vectors: Vectors) -> Primes:
    def of_bits(bits: int) -> tuple[int, int]:
        p, q = (int(prime, 16) for prime in vectors("safe_primes")[str(bits)])
        return p, q

    return of_bits


@pytest.fixture(scope="session")
def toy(primes: Primes) -> Ceremony:
    """A 512-bit key shared by 2 of 3."""
    p, q = primes(256)
    return unsafe_deal_from_primes(p, q, members=3, threshold=2)
