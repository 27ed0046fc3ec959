from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import combinations

import pytest

from fedscore.errors import KeyRefused, OpeningError
from privacy.paillier import ceremony
from privacy.paillier.ceremony import CeremonyStep, deal, unsafe_deal_from_primes
from privacy.paillier.encryption import encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import Opening, combine, partial_opening

Primes = Callable[[int], tuple[int, int]]


@pytest.fixture
def known_primes(monkeypatch: pytest.MonkeyPatch, primes: Primes) -> tuple[int, int]:
    """Let the ceremony find the committed primes of a 2048-bit key."""
    pair = primes(1024)

    def find(*, bits: int, count: int, found: Callable[[], None]) -> tuple[int, ...]:
        assert (bits, count) == (1024, 2)
        found()
        found()
        return pair

    monkeypatch.setattr(ceremony, "safe_primes", find)
    return pair


def test_a_dealt_committee_opens_and_every_step_is_told(known_primes: tuple[int, int]) -> None:
    steps: list[CeremonyStep] = []
    dealt = deal(bits=2048, members=3, threshold=2, progress=steps.append)
    assert steps == list(CeremonyStep)
    key = dealt.public_key
    assert key == PublicKey(known_primes[0] * known_primes[1])
    assert [share.index for share in dealt.shares] == [1, 2, 3]
    for share in dealt.shares:
        dealt.committee.require_share(share)
    (ciphertext,) = encrypt(key, [-5]).ciphertexts
    parts = {share.index: partial_opening(share, ciphertext) for share in dealt.shares[1:]}
    assert combine(dealt.committee, ciphertext, parts).plaintext == -5


def test_one_holder_has_the_whole_exponent(primes: Primes) -> None:
    p, q = primes(128)
    dealt = unsafe_deal_from_primes(p, q, members=1, threshold=1)
    order = (p // 2) * (q // 2)
    assert dealt.shares[0].value == pow(p * q, -1, order)


def test_fewer_shares_than_the_threshold_fit_any_secret(primes: Primes) -> None:
    # Two ceremonies over the same primes share the same secret by unrelated polynomials.
    first, second = (unsafe_deal_from_primes(*primes(128), members=3, threshold=2) for _ in range(2))
    assert not {share.value for share in first.shares} & {share.value for share in second.shares}


def test_shares_interpolate_to_the_secret_and_nothing_of_lower_degree_does(primes: Primes) -> None:
    p, q = primes(128)
    order = (p // 2) * (q // 2)
    secret = pow(p * q, -1, order)
    shares = unsafe_deal_from_primes(p, q, members=5, threshold=3).shares

    def at_zero(chosen: tuple[KeyShare, ...]) -> int:
        total = 0
        for share in chosen:
            term = share.value
            for other in chosen:
                if other is not share:
                    term = term * other.index * pow(other.index - share.index, -1, order) % order
            total += term
        return total % order

    assert {at_zero(chosen) for chosen in combinations(shares, 3)} == {secret}
    assert secret not in {at_zero(chosen) for chosen in combinations(shares, 2)}


@pytest.mark.parametrize("bits", [256, 1024, 2046, 2047, 2049, 8194, 0, -2048])
def test_sizes_that_are_not_allowed_are_refused_before_the_search(
    monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    monkeypatch.delattr(ceremony, "safe_primes")
    with pytest.raises(KeyRefused, match=f"a key of {bits} bits is refused: choose an even size from 2048"):
        deal(bits=bits, members=1, threshold=1)


@pytest.mark.parametrize(("members", "threshold"), [(0, 0), (0, 1), (3, 0), (3, 4), (33, 17), (-1, -1)])
def test_committees_that_cannot_be_are_refused_before_the_search(
    monkeypatch: pytest.MonkeyPatch, members: int, threshold: int
) -> None:
    monkeypatch.delattr(ceremony, "safe_primes")
    with pytest.raises(KeyRefused):
        deal(bits=2048, members=members, threshold=threshold)


def test_primes_that_make_no_key_are_refused(primes: Primes) -> None:
    p, q = primes(128)
    longer, _ = primes(256)
    for pair in ((p, p), (p, longer), (p, q + 2), (p, (1 << 127) + 29)):
        with pytest.raises(KeyRefused, match="two different safe primes of one length"):
            unsafe_deal_from_primes(*pair, members=1, threshold=1)


def test_a_committee_that_cannot_open_is_never_handed_out(
    monkeypatch: pytest.MonkeyPatch, primes: Primes
) -> None:
    def wrong(*_args: object, **_kwargs: object) -> Opening:
        return Opening(plaintext=0, root=1)

    monkeypatch.setattr(ceremony, "combine", wrong)
    with pytest.raises(OpeningError, match="do not use this key"):
        unsafe_deal_from_primes(*primes(128), members=3, threshold=2)


def test_every_member_takes_part_in_a_test_opening(monkeypatch: pytest.MonkeyPatch, primes: Primes) -> None:
    asked: list[int] = []

    def recorded(share: KeyShare, ciphertext: int) -> int:
        asked.append(share.index)
        return partial_opening(share, ciphertext)

    monkeypatch.setattr(ceremony, "partial_opening", recorded)
    unsafe_deal_from_primes(*primes(128), members=4, threshold=2)
    assert asked == [1, 2, 2, 3, 3, 4, 4, 1]


def test_no_object_that_outlives_the_call_holds_a_prime(known_primes: tuple[int, int]) -> None:
    dealt = deal(bits=2048, members=3, threshold=2)
    p, q = known_primes
    secrets = {p, q, p >> 1, q >> 1, (p >> 1) * (q >> 1), (p - 1) * (q - 1)}
    seen: set[int] = set()
    waiting: list[object] = [dealt]
    numbers: set[int] = set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        if isinstance(item, int):
            numbers.add(item)
        waiting.extend(gc.get_referents(item))
    assert len(numbers) > 6
    assert not numbers & secrets


@pytest.mark.slow
def test_the_whole_at_full_size() -> None:
    dealt = deal(bits=3072, members=3, threshold=2)
    key = dealt.public_key
    assert key.bits == 3072
    plaintexts = [0, -1, key.n // 2, -(key.n // 2)]
    ciphertexts = [*encrypt(key, plaintexts).ciphertexts, key.as_phe().raw_encrypt(5)]
    for plaintext, ciphertext in zip([*plaintexts, 5], ciphertexts, strict=True):
        for chosen in combinations(dealt.shares, 2):
            parts = {share.index: partial_opening(share, ciphertext) for share in chosen}
            assert combine(dealt.committee, ciphertext, parts).plaintext == plaintext
