"""What a committee opens is what stock `phe` decrypts with the key put together from its primes."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.committee_rules import require_committee_rules
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.partial_proofs import prove_partials, verify_partials
from privacy.paillier.products import split
from privacy.paillier.threshold import check_opening, combine, partial_opening

VECTORS = Path(__file__).parents[1] / "vectors" / "paillier_safe_primes.json"

# Members, threshold, colluding members and absences: the least threshold by the rule for each.
COMMITTEES = [
    (members, (members + colluding) // 2 + 1 if absences else colluding + 1, colluding, absences)
    for members in range(1, 10)
    for colluding in range(min(3, members))
    for absences in (False, True)
]


@functools.cache
def primes(bits: int) -> tuple[int, int]:
    p, q = (int(prime, 16) for prime in json.loads(VECTORS.read_text())[str(bits)])
    return p, q


@functools.cache
def dealt(bits: int, members: int, threshold: int) -> Ceremony:
    return unsafe_deal_from_primes(*primes(bits), members=members, threshold=threshold)


def decrypted(key: PublicKey, ciphertext: int, bits: int) -> int:
    """The plaintext by stock phe."""
    return key.centred(phe.PaillierPrivateKey(key.as_phe(), *primes(bits)).raw_decrypt(ciphertext))


def vectors(key: PublicKey, *, parties: int, length: int) -> st.SearchStrategy[list[list[int]]]:
    """Signed plaintexts, often at the ends of their range; sums wrap around at n as Paillier's do."""
    half = key.n // 2
    value = st.one_of(st.sampled_from([0, 1, -1, half, -half]), st.integers(-half, half))
    row = st.lists(value, min_size=length, max_size=length)
    return st.lists(row, min_size=1, max_size=parties)


def require_openings_to_be_phes(
    data: st.DataObject, bits: int, committee: tuple[int, int, int, bool], *, length: int
) -> None:
    members, threshold, colluding, absences = committee
    require_committee_rules(
        members=members, threshold=threshold, colluding_members=colluding, absences=absences
    )
    ceremony = dealt(bits, members, threshold)
    key = ceremony.public_key
    columns = data.draw(vectors(key, parties=3, length=length))
    products = add(key, [split(key.n, encrypt(key, column).ciphertexts) for column in columns])
    order = data.draw(st.permutations(ceremony.shares))
    present = order[: data.draw(st.integers(threshold, members))]
    for position, product in enumerate(products):
        parts = {share.index: partial_opening(share, product) for share in present}
        opening = combine(ceremony.committee, product, parts)
        check_opening(key, product, opening)
        assert opening.plaintext == key.centred(sum(column[position] for column in columns))
        assert opening.plaintext == decrypted(key, product, bits)
        assert key.as_phe().raw_encrypt(opening.plaintext % key.n, r_value=opening.root) == product
    partials, proof = prove_partials(present[0], products, b"round")
    verify_partials(ceremony.committee, present[0].index, products, partials, b"round", proof)


def test_the_committees_are_those_of_up_to_nine_members_and_two_colluders() -> None:
    assert len(COMMITTEES) == 2 * (1 + 2 + 7 * 3)
    assert (7, 5, 1, True) in COMMITTEES
    assert (3, 2, 1, False) in COMMITTEES


@pytest.mark.parametrize("committee", COMMITTEES, ids=str)
@settings(max_examples=6)
@given(data=st.data())
def test_openings_are_what_phe_decrypts(committee: tuple[int, int, int, bool], data: st.DataObject) -> None:
    require_openings_to_be_phes(data, 128, committee, length=2)


@settings(max_examples=2)
@given(data=st.data())
def test_openings_are_what_phe_decrypts_at_full_size(data: st.DataObject) -> None:
    require_openings_to_be_phes(data, 1536, (5, 4, 1, True), length=1)
