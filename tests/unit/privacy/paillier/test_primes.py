from __future__ import annotations

import threading
import time
from collections.abc import Callable

import gmpy2
import pytest

from fedscore.errors import KeyRefused
from privacy.paillier import primes


def test_safe_primes_are_safe_different_and_of_the_length_asked_for() -> None:
    found: list[None] = []
    result = primes.safe_primes(bits=96, count=3, found=lambda: found.append(None))
    assert len(set(result)) == len(found) == 3
    for prime in result:
        assert gmpy2.is_strong_bpsw_prp(prime)
        assert gmpy2.is_strong_bpsw_prp(prime // 2)
        assert prime >> 94 == 3


def test_the_product_of_two_has_exactly_twice_the_length() -> None:
    shortest = 3 << 94
    assert (shortest * shortest).bit_length() == 192


def test_two_searches_find_different_primes() -> None:
    assert not set(primes.safe_primes(bits=96, count=2)) & set(primes.safe_primes(bits=96, count=2))


@pytest.mark.parametrize(
    ("number", "safe"),
    [
        (5, True),
        (7, True),
        (11, True),
        (23, True),
        (13, False),
        (4, False),
        (2, False),
        (1, False),
        (0, False),
    ],
)
def test_small_safe_primes_are_told_apart(number: int, safe: bool) -> None:  # noqa: FBT001  # expected value
    assert primes.is_safe_prime(number) is safe


def test_a_prime_that_is_not_safe_and_a_composite_twice_a_prime_plus_one_are_refused() -> None:
    prime = int(gmpy2.next_prime(1 << 127))
    while primes.is_safe_prime(prime):
        prime = int(gmpy2.next_prime(prime))
    assert not primes.is_safe_prime(prime)
    half = int(gmpy2.next_prime(1 << 127))
    while gmpy2.is_prime(2 * half + 1):
        half = int(gmpy2.next_prime(half))
    assert not primes.is_safe_prime(2 * half + 1)


def test_the_sieve_strikes_exactly_the_candidates_with_a_small_factor() -> None:
    start = (3 << 125) + 12345
    start += (5 - start) % 6
    kept = set(primes._survivors(start))
    primorial = gmpy2.primorial(1 << 20)
    for position in range(3000):
        half = start + 6 * position
        has_factor = gmpy2.gcd(half * (2 * half + 1), primorial) != 1
        assert (position not in kept) is has_factor, position
    last = primes._WINDOW - 1
    for position in range(last - 500, last + 1):
        half = start + 6 * position
        assert (position in kept) is (gmpy2.gcd(half * (2 * half + 1), primorial) == 1)


def test_primes_too_short_for_the_sieve_are_refused() -> None:
    with pytest.raises(KeyRefused, match="63 bits are refused: ask for 64"):
        primes.safe_primes(bits=63, count=1)
    assert primes.safe_primes(bits=64, count=1)[0].bit_length() == 64


def test_an_interruption_ends_every_search_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = threading.Lock()
    told: list[bool] = []

    def search(_bits: int, stop: threading.Event) -> int | None:
        if first.acquire(blocking=False):
            return 23
        told.append(stop.wait(10))
        return None

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(primes, "_search", search)
    monkeypatch.setattr("privacy.paillier.primes.os.cpu_count", lambda: 3)
    with pytest.raises(KeyboardInterrupt):
        primes.safe_primes(bits=96, count=2, found=interrupt)
    assert told == [True, True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("safe-primes")]


def test_a_search_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    fermat: Callable[[int], bool] = lambda _number: False  # noqa: E731  # a test that never succeeds
    monkeypatch.setattr(primes, "_passes_fermat", fermat)
    threading.Timer(0.2, stop.set).start()
    start = time.monotonic()
    assert primes._search(96, stop) is None
    assert time.monotonic() - start < 10
