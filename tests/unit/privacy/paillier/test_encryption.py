from __future__ import annotations

import copy
import math
import multiprocessing
import os
import pickle
import secrets
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import gmpy2
import phe
import pytest

from fedscore.errors import CiphertextRefused, EncryptionError, LayoutError
from privacy.paillier import encryption
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.encryption import FreshVector, add, encrypt
from privacy.paillier.fixed_base import window_for
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import split
from privacy.paillier.proofs import randomness_base, verify_plaintexts

Primes = Callable[[int], tuple[int, int]]

forks = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def new_tables() -> Iterator[None]:
    encryption._randomness.cache_clear()
    yield
    encryption._randomness.cache_clear()


@pytest.fixture(scope="module")
def oracle(toy: Ceremony, primes: Primes) -> phe.PaillierPrivateKey:
    return phe.PaillierPrivateKey(toy.public_key.as_phe(), *primes(256))


def extremes(key: PublicKey) -> list[int]:
    return [0, 1, -1, key.n // 2, -(key.n // 2), 12345678901234567890]


def root_exponents(vector: FreshVector) -> tuple[int, ...]:
    return vector._openings[0][1]


def test_phe_decrypts_what_we_encrypt(toy: Ceremony, oracle: phe.PaillierPrivateKey) -> None:
    key = toy.public_key
    ciphertexts = encrypt(key, extremes(key)).ciphertexts
    for plaintext, ciphertext in zip(extremes(key), ciphertexts, strict=True):
        assert type(ciphertext) is int
        assert key.why_no_ciphertext(ciphertext) is None
        assert key.centred(oracle.raw_decrypt(ciphertext)) == plaintext


@pytest.mark.parametrize("bits", [256, 2048, 3072])
def test_phe_decrypts_under_keys_of_any_size(primes: Primes, bits: int) -> None:
    p, q = primes(bits // 2)
    key = PublicKey(p * q, unsafe_minimum_bits=256)
    private = phe.PaillierPrivateKey(key.as_phe(), p, q)
    plaintexts = extremes(key)[:4]
    assert [key.centred(private.raw_decrypt(c)) for c in encrypt(key, plaintexts).ciphertexts] == plaintexts


def test_phe_decrypts_the_sum_of_what_we_add(toy: Ceremony, oracle: phe.PaillierPrivateKey) -> None:
    key = toy.public_key
    plain = [[1, -2, 3], [10, 20, -30], [-100, 0, 300], [0, 0, 0]]
    total = add(key, [split(key.n, encrypt(key, row).ciphertexts) for row in plain])
    assert [key.centred(oracle.raw_decrypt(c)) for c in total] == [
        sum(row) for row in zip(*plain, strict=True)
    ]


def test_our_sum_of_phes_ciphertexts_is_phes_own(toy: Ceremony) -> None:
    key, other = toy.public_key, toy.public_key.as_phe()
    rows = [[other.raw_encrypt(secrets.randbelow(key.n)) for _ in range(3)] for _ in range(4)]
    expected = [math.prod(column) % key.n_squared for column in zip(*rows, strict=True)]
    assert list(add(key, [split(key.n, row) for row in rows])) == expected


def test_one_vector_is_its_own_sum(toy: Ceremony) -> None:
    row = encrypt(toy.public_key, [1, 2]).ciphertexts
    assert add(toy.public_key, [split(toy.public_key.n, row)]) == row


@pytest.mark.parametrize("expected", [None, 1, 300, 100_000])
def test_the_ciphertext_is_the_formula_of_plaintext_and_exponent(toy: Ceremony, expected: int | None) -> None:
    key = toy.public_key
    vector = encrypt(key, [5, -6, 7], expected=expected)
    base = randomness_base(key)
    assert list(vector.ciphertexts) == [
        (1 + m * key.n) * pow(base, key.n * a, key.n_squared) % key.n_squared
        for m, a in zip([5, -6, 7], root_exponents(vector), strict=True)
    ]


def test_exponents_are_fresh_half_as_long_as_n_and_from_the_system(
    toy: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def randbits(bits: int) -> int:
        asked.append(bits)
        return len(asked)

    monkeypatch.setattr(secrets, "randbits", randbits)
    key = toy.public_key
    vectors = [encrypt(key, [4] * 5) for _ in range(2)]
    assert asked == [key.bits // 2] * 10
    assert [a for vector in vectors for a in root_exponents(vector)] == list(range(1, 11))


def test_an_odd_length_is_rounded_up(primes: Primes, monkeypatch: pytest.MonkeyPatch) -> None:
    key = PublicKey(primes(128)[0] * int(gmpy2.next_prime(3 << 127)), unsafe_minimum_bits=256)
    assert key.bits == 257
    monkeypatch.setattr(secrets, "randbits", lambda bits: bits)
    assert root_exponents(encrypt(key, [0])) == (129,)


def test_no_randomness_is_used_twice(toy: Ceremony) -> None:
    key = toy.public_key
    vectors = [encrypt(key, [4] * 50) for _ in range(2)]
    ciphertexts = [c for vector in vectors for c in vector.ciphertexts]
    assert len(set(ciphertexts)) == 100
    # Equal plaintexts under one root would agree modulo n as well.
    assert len({ciphertext % key.n for ciphertext in ciphertexts}) == 100
    drawn = [a for vector in vectors for a in root_exponents(vector)]
    assert len(set(drawn)) == 100
    # Of 100 exponents of 256 bits some have the top bit set, and none is short.
    assert 224 < min(a.bit_length() for a in drawn) < max(a.bit_length() for a in drawn) == 256


def test_a_plaintext_beyond_half_the_modulus_is_refused_unnamed(toy: Ceremony) -> None:
    key = toy.public_key
    for plaintext in (key.n // 2 + 1, -(key.n // 2) - 1, key.n, 1 << 5000):
        with pytest.raises(LayoutError, match="exceeds half of the 512-bit modulus") as refusal:
            encrypt(key, [0, plaintext])
        assert str(plaintext) not in str(refusal.value)


@pytest.mark.parametrize("columns", [[], [[1], [1, 2]], [[1, 2], [1]], [[], [1]]])
def test_vectors_that_do_not_match_are_refused(toy: Ceremony, columns: list[list[int]]) -> None:
    with pytest.raises(CiphertextRefused, match="do not add up"):
        add(toy.public_key, [split(toy.public_key.n, column) for column in columns])


def test_vectors_split_under_another_key_are_refused(toy: Ceremony) -> None:
    n = toy.public_key.n
    for columns in ([split(n + 2, [1])], [split(n, [1]), split(n + 2, [1])]):
        with pytest.raises(CiphertextRefused, match=r"do not add up: .* all under this key"):
            add(toy.public_key, columns)


# The table, which is public and kept.


def test_one_table_serves_a_process_and_key(toy: Ceremony) -> None:
    encrypt(toy.public_key, [1], expected=1000)
    table = encryption._randomness(toy.public_key)._table
    encrypt(toy.public_key, [1] * 3, expected=1000)
    encrypt(toy.public_key, [1], expected=1)
    encrypt(toy.public_key, [1])
    assert encryption._randomness(toy.public_key)._table is table


def test_what_is_expected_decides_on_the_window(toy: Ceremony) -> None:
    for expected in (8, 79, 5000):
        encryption._randomness.cache_clear()
        encrypt(toy.public_key, [1], expected=expected)
        table = encryption._randomness(toy.public_key)._table
        assert table is not None
        assert table.window == window_for(exponent_bits=256, powers=expected)


def test_a_process_that_goes_on_encrypting_gets_a_larger_table(toy: Ceremony) -> None:
    windows = []
    for _ in range(8):
        encrypt(toy.public_key, [0] * 50)
        table = encryption._randomness(toy.public_key)._table
        assert table is not None
        windows.append(table.window)
    assert windows == [window_for(exponent_bits=256, powers=50 * step) for step in range(1, 9)]
    assert windows[0] < windows[-1]


def test_only_a_few_keys_are_remembered(primes: Primes) -> None:
    parts = [*primes(128), *primes(256), *primes(1024)]
    keys = [PublicKey(p * parts[-1], unsafe_minimum_bits=256) for p in parts[:-1]]
    for key in keys:
        encrypt(key, [1])
    assert encryption._randomness.cache_info().currsize == encryption._KEYS_REMEMBERED < len(keys)


# Single use.


def test_a_vector_is_proven_once(toy: Ceremony) -> None:
    key = toy.public_key
    vector = encrypt(key, [1, 2, 3])
    proof = vector.prove(b"this round")
    verify_plaintexts(key, vector.ciphertexts, b"this round", proof)
    for statement in (b"this round", b"another"):
        with pytest.raises(EncryptionError, match="a vector is proven once"):
            vector.prove(statement)
    assert vector._openings == []


def test_of_threads_that_prove_at_once_one_succeeds(toy: Ceremony) -> None:
    vector = encrypt(toy.public_key, [1, 2, 3])
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def prove() -> None:
        start.wait()
        try:
            vector.prove(b"")
            outcomes.append("proven")
        except EncryptionError:
            outcomes.append("refused")

    threads = [threading.Thread(target=prove) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["proven"] + ["refused"] * 7


def test_an_empty_vector_has_nothing_to_prove(toy: Ceremony) -> None:
    vector = encrypt(toy.public_key, [])
    assert vector.ciphertexts == ()
    with pytest.raises(EncryptionError, match="encrypt one value at least"):
        vector.prove(b"")


def test_a_vector_shows_no_secret(toy: Ceremony) -> None:
    vector = encrypt(toy.public_key, [123456789])
    shown = f"{vector} {vector!r}"
    assert "1 ciphertexts, not yet proven" in shown
    for secret in (123456789, *root_exponents(vector)):
        assert str(secret) not in shown
        assert f"{secret:x}" not in shown
    vector.prove(b"")
    assert "proven or forgotten" in repr(vector)
    assert not hasattr(vector, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_vector_cannot_be_pickled(toy: Ceremony, protocol: int) -> None:
    with pytest.raises(EncryptionError, match="neither copied nor pickled"):
        pickle.dumps(encrypt(toy.public_key, [1]), protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_vector_cannot_be_copied(toy: Ceremony, duplicate: Callable[[FreshVector], FreshVector]) -> None:
    with pytest.raises(EncryptionError, match="neither copied nor pickled"):
        duplicate(encrypt(toy.public_key, [1]))


# Forks.


def encrypt_into(pipe: Connection, key: PublicKey) -> None:
    vector = encrypt(key, [7] * 4)
    pipe.send((vector.ciphertexts, vector.prove(b"").commitment))


def prove_into(pipe: Connection, vector: FreshVector) -> None:
    try:
        vector.prove(b"")
        pipe.send("proven")
    except EncryptionError as refusal:
        pipe.send(f"{refusal} {vector._openings} {len(encryption._unproven)}")


def answers_of_children(count: int, target: Callable[..., None], argument: object) -> list[Any]:
    answers = []
    for _ in range(count):
        ours, theirs = forks.Pipe()
        child = forks.Process(target=target, args=(theirs, argument))
        child.start()
        assert ours.poll(20)
        answers.append(ours.recv())
        child.join(20)
        assert child.exitcode == 0
    return answers


def test_forked_workers_encrypt_under_different_randomness(toy: Ceremony) -> None:
    key = toy.public_key
    encrypt(key, [7])
    answers = answers_of_children(3, encrypt_into, key)
    here = encrypt(key, [7] * 4)
    vectors = [*answers, (here.ciphertexts, here.prove(b"").commitment)]
    seen: list[int] = []
    for ciphertexts, commitment in vectors:
        seen += [c % key.n for c in (*ciphertexts, commitment)]
    assert len(set(seen)) == len(seen) == 20


def test_a_vector_carried_into_a_forked_child_is_not_proven_there(toy: Ceremony) -> None:
    vector = encrypt(toy.public_key, [1, 2])
    (answer,) = answers_of_children(1, prove_into, vector)
    assert "by the process that encrypted it" in str(answer)
    assert str(answer).endswith("[] 0")
    # The parent's own is untouched.
    verify_plaintexts(toy.public_key, vector.ciphertexts, b"", vector.prove(b""))


def test_a_bare_fork_forgets_as_well(toy: Ceremony) -> None:
    vector = encrypt(toy.public_key, [1, 2])
    child = os.fork()
    if child == 0:
        os._exit(len(vector._openings))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(vector._openings) == 1


def test_vectors_that_are_dropped_or_proven_are_not_held(toy: Ceremony) -> None:
    before = len(encryption._unproven)
    kept, proven = encrypt(toy.public_key, [1]), encrypt(toy.public_key, [1])
    encrypt(toy.public_key, [1])
    proven.prove(b"")
    assert len(encryption._unproven) == before + 1
    assert kept in encryption._unproven
