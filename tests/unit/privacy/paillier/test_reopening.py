"""Published openings are let through if each is the one opening of its ciphertext, and only then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fedscore.errors import OpeningError
from privacy.paillier import reopening
from privacy.paillier.keys import PublicKey
from privacy.paillier.reopening import reproduce_all
from privacy.paillier.threshold import Opening, reproduce

Primes = Callable[[int], tuple[int, int]]

WRONG = "does not reproduce its ciphertexts"


@pytest.fixture(scope="module")
def factors(primes: Primes) -> tuple[int, int]:
    return primes(256)


@pytest.fixture(scope="module")
def key(factors: tuple[int, int]) -> PublicKey:
    p, q = factors
    return PublicKey(p * q, unsafe_minimum_bits=512)


@pytest.fixture
def openings(key: PublicKey) -> list[Opening]:
    plaintexts = [0, 1, -1, key.n // 2, -(key.n // 2), 12_345]
    return [Opening(plaintext=plaintext, root=1 + 17 * place) for place, plaintext in enumerate(plaintexts)]


def quotients(key: PublicKey, openings: list[Opening]) -> list[int]:
    return [reproduce(key, opening) // key.n for opening in openings]


def test_honest_openings_give_the_ciphertexts_that_each_alone_gives(
    key: PublicKey, openings: list[Opening]
) -> None:
    assert reproduce_all(key, openings, quotients(key, openings)) == tuple(
        reproduce(key, opening) for opening in openings
    )
    assert reproduce_all(key, openings[:1], quotients(key, openings[:1])) == (reproduce(key, openings[0]),)


@pytest.mark.parametrize("place", range(6))
def test_one_wrong_number_anywhere_is_refused(key: PublicKey, openings: list[Opening], place: int) -> None:
    true = quotients(key, openings)
    opening = openings[place]
    for wrong in (
        replace(opening, plaintext=opening.plaintext // 2 + 7),
        replace(opening, root=opening.root + 1),
        replace(opening, root=key.n - opening.root),
    ):
        with pytest.raises(OpeningError, match=WRONG):
            reproduce_all(key, [*openings[:place], wrong, *openings[place + 1 :]], true)
    for quotient in {0, 1, key.n - 1, (true[place] + 1) % key.n} - {true[place]}:
        with pytest.raises(OpeningError, match=WRONG):
            reproduce_all(key, openings, [*true[:place], quotient, *true[place + 1 :]])


def test_errors_that_cancel_each_other_are_refused(key: PublicKey, openings: list[Opening]) -> None:
    """Without weights the first would pass, and without the roots' own check the second, half of the time."""
    true = quotients(key, openings)
    shifted = [
        replace(openings[0], plaintext=openings[0].plaintext + 5),
        replace(openings[1], plaintext=openings[1].plaintext - 5),
        *openings[2:],
    ]
    negated = [replace(opening, root=key.n - opening.root) for opening in openings[:2]] + openings[2:]
    exchanged = [openings[1], openings[0], *openings[2:]]
    for wrong in (shifted, negated, exchanged):
        for _ in range(20):
            with pytest.raises(OpeningError, match=WRONG):
                reproduce_all(key, wrong, true)


def test_an_error_that_is_zero_modulo_one_prime_is_refused(
    key: PublicKey, openings: list[Opening], factors: tuple[int, int]
) -> None:
    for factor in factors:
        wrong = [replace(openings[0], plaintext=factor), *openings[1:]]
        with pytest.raises(OpeningError, match=WRONG):
            reproduce_all(key, wrong, quotients(key, openings))


def test_openings_of_other_ciphertexts_are_openings(key: PublicKey, openings: list[Opening]) -> None:
    """The caller compares: what is not its own product moves it nowhere."""
    others = [replace(opening, root=key.n - opening.root) for opening in openings]
    assert reproduce_all(key, others, quotients(key, others)) == tuple(
        reproduce(key, opening) for opening in others
    )


@pytest.mark.parametrize(
    "change",
    [
        {"root": 0},
        {"root": "n"},
        {"root": "p"},
        {"plaintext": "above"},
        {"plaintext": "below"},
    ],
)
def test_what_is_not_canonical_is_refused_before_anything_is_computed(
    key: PublicKey,
    openings: list[Opening],
    factors: tuple[int, int],
    change: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"n": key.n, "p": factors[0], "above": key.n // 2 + 1, "below": -(key.n // 2) - 1}
    true = quotients(key, openings)
    monkeypatch.setattr(reopening, "powers", lambda *_: pytest.fail("computed"))
    wrong = replace(openings[3], **{name: known.get(value, value) for name, value in change.items()})
    with pytest.raises(OpeningError, match="not in canonical range"):
        reproduce_all(key, [*openings[:3], wrong, *openings[4:]], true)


def test_quotients_that_are_missing_or_too_large_are_refused(key: PublicKey, openings: list[Opening]) -> None:
    true = quotients(key, openings)
    for wrong in (true[:-1], [*true, 0], [], [*true[:-1], true[-1] + key.n], [*true[:-1], -1]):
        with pytest.raises(OpeningError, match="a quotient is missing or not in"):
            reproduce_all(key, openings, wrong)


def test_weights_are_fresh_and_as_long_as_promised(
    key: PublicKey, openings: list[Opening], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def randbits(bits: int) -> int:
        asked.append(bits)
        return len(asked)

    monkeypatch.setattr("privacy.paillier.reopening.secrets.randbits", randbits)
    reproduce_all(key, openings, quotients(key, openings))
    assert asked == [128] * len(openings)
    # Whoever knew the weights 7 .. 12 could make errors cancel.
    known = [
        replace(openings[0], plaintext=openings[0].plaintext + 8),
        replace(openings[1], plaintext=openings[1].plaintext - 7),
        *openings[2:],
    ]
    assert len(reproduce_all(key, known, quotients(key, openings))) == len(openings)


def test_the_power_of_each_root_is_taken_modulo_n(
    key: PublicKey, openings: list[Opening], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this is for: modulo n^2 there is one power, whatever the length of the vector."""
    moduli: list[int] = []

    def counted(bases: list[int], exponent: int, modulus: int) -> list[int]:
        moduli.append(modulus)
        return [pow(base, exponent, modulus) for base in bases]

    monkeypatch.setattr(reopening, "powers", counted)
    reproduce_all(key, openings, quotients(key, openings))
    assert moduli == [key.n]
