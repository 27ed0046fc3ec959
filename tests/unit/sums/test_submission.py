"""A submission is good in one place and from one party; whatever it was not made for refuses it, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import Contract
from fedscore.errors import CiphertextRefused, EncryptionError, LayoutError, ProofRefused, SignatureRefused
from fedscore.sums import Envelope
from fedscore.sums.submission import (
    SIGNATURE_DOMAIN,
    check_submissions,
    read_vectors,
    statement_of,
    vector_header,
    write_submission,
)
from privacy.identities import verify_signature
from privacy.paillier.codec import VectorHeader, encode_ciphertexts, vector_bytes
from privacy.paillier.encryption import FreshVector, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import pack
from privacy.paillier.products import split
from privacy.paillier.proofs import PlaintextProof, proof_bytes, verify_plaintexts
from simulations.keys import SimulatedKeys, simulated_identity

SIGNATURE_BYTES = 64

Refusal = type[EncryptionError]


@pytest.fixture(scope="module")
def public_key(small_keys: SimulatedKeys) -> PublicKey:
    return small_keys.record.public_key


@pytest.fixture(scope="module")
def other_key() -> PublicKey:
    """A modulus of the same size; who knows its primes is of no interest here."""
    return PublicKey(int(gmpy2.next_prime(2**1024)) * int(gmpy2.next_prime(2**1023 + 2**1022)))


@pytest.fixture(scope="module")
def check(
    tiny_contract: Contract, public_key: PublicKey, envelope: Envelope
) -> Callable[..., EncryptionError | None]:
    """Tells why one submission is refused in the round, or in another place."""

    def refusal(
        submission: bytes, party: str = "south", envelope: Envelope = envelope
    ) -> EncryptionError | None:
        checked = check_submissions(
            public_key, {party: submission}, envelope, signing_keys=tiny_contract.signing_keys
        )
        assert checked.refused.keys() ^ checked.vectors.keys() == {party}
        return checked.refused.get(party)

    return refusal


Check = Callable[..., EncryptionError | None]


class Parts:
    """A submission taken apart, to be put together wrongly."""

    def __init__(self, submission: bytes, public_key: PublicKey, envelope: Envelope) -> None:
        ends_vector = vector_bytes(public_key, vector_header(public_key, envelope))
        ends_proof = ends_vector + proof_bytes(public_key)
        self.vector = submission[:ends_vector]
        self.proof = submission[ends_vector:ends_proof]
        self.signature = submission[ends_proof:]

    def signed(self, statement: bytes, party: str, domain: bytes = SIGNATURE_DOMAIN) -> bytes:
        """The same vector and proof, signed anew by a party."""
        body = self.vector + self.proof
        return body + simulated_identity(party).sign(domain, statement + body)


@pytest.fixture
def parts(submissions: Mapping[str, bytes], public_key: PublicKey, envelope: Envelope) -> Parts:
    return Parts(submissions["south"], public_key, envelope)


def refused_with(check: Check, kind: Refusal, words: str, submission: bytes, **place: Envelope | str) -> None:
    error = check(submission, **place)
    assert type(error) is kind
    assert re.match(rf"{place.get('party', 'south')}: .*{words}", str(error))


ELSEWHERE: Mapping[str, Callable[[Envelope], Envelope]] = {
    "another contract": lambda place: replace(place, contract_hash="01" * 32),
    "another run": lambda place: replace(place, run="cd" * 16),
    "a later round": lambda place: replace(place, round=place.round + 1),
    "another head": lambda place: replace(place, head="ce" * 32),
    "another request": lambda place: replace(place, digest="02" * 32),
    "wider slots": lambda place: replace(
        place, request=replace(place.request, width=place.request.width + 1)
    ),
    "fewer slots": lambda place: replace(
        place, request=replace(place.request, slots=place.request.slots - 1)
    ),
    "a value less": lambda place: replace(
        place, request=replace(place.request, dimension=place.request.dimension - 1)
    ),
}
IN_THE_HEADER = {"another run", "a later round", "wider slots", "fewer slots", "a value less"}


def test_what_honest_parties_submit_is_read_back(
    tiny_contract: Contract, public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope
) -> None:
    checked = check_submissions(public_key, submissions, envelope, signing_keys=tiny_contract.signing_keys)

    assert checked.refused == {}
    assert list(checked.vectors) == list(submissions)
    assert list(checked.vectors.values()) == [
        split(public_key.n, vector) for vector in read_vectors(public_key, submissions, envelope)
    ]
    assert {len(vector) for vector in checked.vectors.values()} == {
        vector_header(public_key, envelope).ciphertexts
    }


def test_a_submission_is_vector_proof_and_signature(
    submissions: Mapping[str, bytes], public_key: PublicKey, envelope: Envelope
) -> None:
    ciphertexts = vector_header(public_key, envelope).ciphertexts
    length = 73 + ciphertexts * 512 + (512 + 256 + 256) + 64

    assert ciphertexts == 3
    assert {len(submission) for submission in submissions.values()} == {length}


def test_a_statement_is_these_bytes(public_key: PublicKey, envelope: Envelope) -> None:
    parts = [
        b"fedscore statement 1",
        public_key.n.to_bytes(256, "little"),
        bytes.fromhex(envelope.contract_hash),
        bytes.fromhex(envelope.run),
        (3).to_bytes(8, "little"),
        b"south",
        bytes.fromhex(envelope.head),
        bytes.fromhex(envelope.digest),
        envelope.request.width.to_bytes(8, "little"),
        envelope.request.slots.to_bytes(8, "little"),
        envelope.request.dimension.to_bytes(8, "little"),
    ]
    expected = b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    assert statement_of(public_key, envelope, "south") == expected


@given(st.text(max_size=8), st.text(max_size=8), st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
@settings(max_examples=100)
def test_two_places_have_one_statement_only_if_they_are_one(
    public_key: PublicKey, envelope: Envelope, one: str, other: str, first: int, second: int
) -> None:
    statements = [
        statement_of(public_key, replace(envelope, round=number), party)
        for party, number in ((one, first), (other, second))
    ]
    assert (statements[0] == statements[1]) == ((one, first) == (other, second))


def changed_statements(public_key: PublicKey, other_key: PublicKey, envelope: Envelope) -> dict[str, bytes]:
    changed = {what: statement_of(public_key, move(envelope), "south") for what, move in ELSEWHERE.items()}
    changed["another key"] = statement_of(other_key, envelope, "south")
    changed["another party"] = statement_of(public_key, envelope, "north")
    return changed


def test_proof_and_signature_each_hold_for_one_statement_alone(
    public_key: PublicKey,
    other_key: PublicKey,
    envelope: Envelope,
    parts: Parts,
    submissions: Mapping[str, bytes],
) -> None:
    """Each of the two would do alone: no part of the statement is bound by only one of them."""
    (ciphertexts,) = read_vectors(public_key, {"south": submissions["south"]}, envelope)
    proof = PlaintextProof.from_bytes(parts.proof, public_key=public_key)
    key = simulated_identity("south").public.signing_key
    honest = statement_of(public_key, envelope, "south")
    body = parts.vector + parts.proof
    verify_signature(key, SIGNATURE_DOMAIN, honest + body, parts.signature)
    verify_plaintexts(public_key, ciphertexts, honest, proof)

    changed = changed_statements(public_key, other_key, envelope)
    assert len({honest, *changed.values()}) == 1 + len(changed)
    for what, statement in changed.items():
        with pytest.raises(SignatureRefused):
            verify_signature(key, SIGNATURE_DOMAIN, statement + body, parts.signature)
        with pytest.raises(ProofRefused):
            verify_plaintexts(public_key, ciphertexts, statement, proof)
        assert what


def moved_header(submission_parts: Parts, public_key: PublicKey, place: Envelope) -> bytes:
    """The vector's bytes with the header of another place, where that has as many ciphertexts."""
    header = vector_header(public_key, place)
    size = (public_key.n_squared.bit_length() + 7) // 8
    residues = submission_parts.vector[-header.ciphertexts * size :]
    ciphertexts = tuple(
        int.from_bytes(residues[start : start + size], "little") for start in range(0, len(residues), size)
    )
    return encode_ciphertexts(public_key, header, ciphertexts)


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_submission_is_worth_nothing_in_another_place(
    what: str, check: Check, submissions: Mapping[str, bytes], envelope: Envelope
) -> None:
    place = ELSEWHERE[what](envelope)

    refused_with(check, SignatureRefused, "is not that of the key", submissions["south"], envelope=place)


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_new_signature_does_not_move_a_proof(
    what: str, check: Check, parts: Parts, public_key: PublicKey, envelope: Envelope
) -> None:
    """Whoever replays its own old vector, or one that it was given, in another round."""
    place = ELSEWHERE[what](envelope)
    statement = statement_of(public_key, place, "south")
    if what in IN_THE_HEADER:
        refused_with(
            check, CiphertextRefused, "differs from", parts.signed(statement, "south"), envelope=place
        )
        parts.vector = moved_header(parts, public_key, place)

    refused_with(check, ProofRefused, "does not hold", parts.signed(statement, "south"), envelope=place)


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_new_proof_does_not_move_a_signature(
    what: str, check: Check, parts: Parts, public_key: PublicKey, envelope: Envelope
) -> None:
    place = ELSEWHERE[what](envelope)
    fresh = fresh_vector(public_key, place)
    parts.vector = encode_ciphertexts(public_key, vector_header(public_key, place), fresh.ciphertexts)
    parts.proof = fresh.prove(statement_of(public_key, place, "south")).to_bytes(public_key)
    submission = parts.signed(statement_of(public_key, envelope, "south"), "south")

    refused_with(check, SignatureRefused, "is not that of the key", submission, envelope=place)
    honest = parts.signed(statement_of(public_key, place, "south"), "south")
    assert check(honest, envelope=place) is None


def fresh_vector(public_key: PublicKey, place: Envelope, value: int = 5) -> FreshVector:
    request = place.request
    return encrypt(public_key, pack(request.layout, [value] * request.dimension))


def test_a_submission_of_another_party_is_worth_nothing(
    check: Check, submissions: Mapping[str, bytes], parts: Parts, public_key: PublicKey, envelope: Envelope
) -> None:
    refused_with(check, SignatureRefused, "is not that of", submissions["south"], party="north")
    copied = parts.signed(statement_of(public_key, envelope, "north"), "north")
    refused_with(check, ProofRefused, "does not hold", copied, party="north")


@pytest.mark.parametrize("factor", [2, 3, 2**20, -1])
def test_a_multiple_of_anothers_vector_is_worth_nothing(
    check: Check, public_key: PublicKey, envelope: Envelope, submissions: Mapping[str, bytes], factor: int
) -> None:
    """Encrypted values can be multiplied by anybody; the sum would then show whose they were."""
    (stolen,) = read_vectors(public_key, {"south": submissions["south"]}, envelope)
    mauled = tuple(pow(ciphertext, factor, public_key.n_squared) for ciphertext in stolen)
    parts = Parts(submissions["south"], public_key, envelope)
    parts.vector = encode_ciphertexts(public_key, vector_header(public_key, envelope), mauled)
    statement = statement_of(public_key, envelope, "north")

    refused_with(check, ProofRefused, "does not hold", parts.signed(statement, "north"), party="north")


def test_what_is_signed_but_not_proven_is_refused(
    check: Check, parts: Parts, public_key: PublicKey, envelope: Envelope, submissions: Mapping[str, bytes]
) -> None:
    statement = statement_of(public_key, envelope, "south")
    proof = parts.proof
    swapped = Parts(submissions["north"], public_key, envelope).proof
    narrow = (public_key.bits + 7) // 8
    late = fresh_vector(public_key, envelope).prove(statement).to_bytes(public_key)
    for forged, words in (
        (bytes(len(proof)), "commitment"),
        (b"\xff" * len(proof), "commitment"),
        (proof[: -2 * narrow] + b"\xff" * narrow + proof[-narrow:], "plaintext response"),
        (proof[:-narrow] + bytes(narrow), "root response"),
        (swapped, "does not hold"),
        (late, "does not hold"),
    ):
        parts.proof = forged
        refused_with(check, ProofRefused, words, parts.signed(statement, "south"))
    parts.proof = proof
    assert check(parts.signed(statement, "south")) is None


def test_what_is_proven_but_not_signed_is_refused(
    check: Check, parts: Parts, public_key: PublicKey, envelope: Envelope
) -> None:
    statement = statement_of(public_key, envelope, "south")
    body = parts.vector + parts.proof
    key = simulated_identity("south")
    for submission in (
        body + bytes(SIGNATURE_BYTES),
        body + parts.signature[::-1],
        parts.signed(statement, "north"),
        parts.signed(statement, "south", domain=b"fedscore hello 1"),
        parts.signed(b"", "south"),
        # a signature under the vector alone, or under the statement alone
        body + key.sign(SIGNATURE_DOMAIN, statement + parts.vector),
        body + key.sign(SIGNATURE_DOMAIN, statement),
    ):
        refused_with(check, SignatureRefused, "is not that of the key", submission)


def test_what_is_too_short_or_too_long_is_refused(check: Check, submissions: Mapping[str, bytes]) -> None:
    honest = submissions["south"]
    for submission in (
        b"",
        honest[:1],
        honest[:-1],
        honest[1:],
        honest[:73],
        honest[:-SIGNATURE_BYTES],
        honest[SIGNATURE_BYTES:],
        honest + b"\0",
        b"\0" + honest,
        honest * 2,
        honest + honest[-SIGNATURE_BYTES:],
    ):
        words = f"{len(submission)} bytes are refused: .* make {len(honest)}"
        refused_with(check, CiphertextRefused, words, submission)


@pytest.mark.parametrize("kind", ["zero", "n", "n squared", "a multiple of n", "all bits"])
def test_numbers_that_are_no_ciphertexts_are_refused_though_signed(
    check: Check, parts: Parts, public_key: PublicKey, envelope: Envelope, kind: str
) -> None:
    size = (public_key.n_squared.bit_length() + 7) // 8
    number = {
        "zero": 0,
        "n": public_key.n,
        "n squared": public_key.n_squared,
        "a multiple of n": 12_345 * public_key.n,
        "all bits": (1 << 8 * size) - 1,
    }[kind]
    parts.vector = parts.vector[:-size] + number.to_bytes(size, "little")
    submission = parts.signed(statement_of(public_key, envelope, "south"), "south")

    refused_with(check, CiphertextRefused, r"ciphertext (\d+) of \1 ", submission)


def test_a_header_of_another_key_is_refused_though_signed(
    check: Check, parts: Parts, public_key: PublicKey, other_key: PublicKey, envelope: Envelope
) -> None:
    wrong = parts.vector.replace(bytes.fromhex(public_key.key_id), bytes.fromhex(other_key.key_id))
    assert wrong != parts.vector
    parts.vector = wrong

    submission = parts.signed(statement_of(public_key, envelope, "south"), "south")
    refused_with(check, CiphertextRefused, "key_id differs", submission)


def test_a_party_without_a_key_submits_nothing(
    tiny_contract: Contract, public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope
) -> None:
    keys = {name: key for name, key in tiny_contract.signing_keys.items() if name != "south"}
    checked = check_submissions(public_key, submissions, envelope, signing_keys=keys)

    assert checked.refused.keys() == {"south"}
    assert type(checked.refused["south"]) is SignatureRefused
    assert "south: the contract's roster has no key of this party" in str(checked.refused["south"])


def test_one_bad_submission_does_not_spoil_the_others(
    tiny_contract: Contract, public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope
) -> None:
    parts = Parts(submissions["north"], public_key, envelope)
    parts.proof = Parts(submissions["agency"], public_key, envelope).proof
    unproven = parts.signed(statement_of(public_key, envelope, "north"), "north")
    received = {"south": submissions["south"][:-1], "north": unproven, "agency": submissions["agency"]}

    checked = check_submissions(public_key, received, envelope, signing_keys=tiny_contract.signing_keys)

    assert {party: type(error) for party, error in checked.refused.items()} == {
        "south": CiphertextRefused,
        "north": ProofRefused,
    }
    (vector,) = read_vectors(public_key, {"agency": submissions["agency"]}, envelope)
    assert checked.vectors == {"agency": split(public_key.n, vector)}


@given(st.data())
@settings(max_examples=150)
def test_no_bit_of_a_submission_may_change(
    check: Check, submissions: Mapping[str, bytes], data: st.DataObject
) -> None:
    changed = bytearray(submissions["south"])
    place = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[place // 8] ^= 1 << place % 8

    refused_with(check, SignatureRefused, "is not that of the key", bytes(changed))


def test_vectors_that_were_checked_are_read_without_checking_again(
    public_key: PublicKey, submissions: Mapping[str, bytes], parts: Parts, envelope: Envelope
) -> None:
    bare = {"south": parts.vector}
    whole = {"south": submissions["south"]}
    assert read_vectors(public_key, bare, envelope) == read_vectors(public_key, whole, envelope)

    with pytest.raises(CiphertextRefused, match=r"^south: .*round_number differs"):
        read_vectors(public_key, whole, replace(envelope, round=4))
    with pytest.raises(CiphertextRefused, match=r"^south: "):
        read_vectors(public_key, {"south": parts.vector[:-1]}, envelope)


def test_a_vector_is_proven_and_signed_once(public_key: PublicKey, envelope: Envelope) -> None:
    fresh = fresh_vector(public_key, envelope)
    signer = simulated_identity("south")
    write_submission(public_key, fresh, envelope, party="south", signer=signer)

    with pytest.raises(EncryptionError, match="proven once"):
        write_submission(public_key, fresh, envelope, party="south", signer=signer)


def test_a_vector_of_another_length_is_not_proven(public_key: PublicKey, envelope: Envelope) -> None:
    fresh = encrypt(public_key, [1])
    many = replace(envelope, request=replace(envelope.request, dimension=40_000))

    with pytest.raises(CiphertextRefused, match="1 ciphertexts do not hold 40000 values"):
        write_submission(public_key, fresh, many, party="south", signer=simulated_identity("south"))


def test_the_header_is_every_partys(public_key: PublicKey, envelope: Envelope) -> None:
    request = envelope.request

    assert vector_header(public_key, envelope) == VectorHeader(
        key_id=public_key.key_id,
        run=bytes.fromhex(envelope.run),
        round_number=3,
        width=request.width,
        slots=request.slots,
        values=request.dimension,
    )
    tight = replace(envelope, request=replace(request, slots=128))
    with pytest.raises(LayoutError):
        vector_header(public_key, tight)
