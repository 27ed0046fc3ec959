"""Encrypted sums are the plain ones, integer for integer; and whatever does not hold names its sender."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import Contract, Party, Role
from fedscore.data import Rows
from fedscore.errors import (
    CiphertextRefused,
    EncryptionError,
    KeyRefused,
    LayoutError,
    OpeningError,
    ProofRefused,
    SignatureRefused,
)
from fedscore.learners.agenda import Agenda
from fedscore.sums import Envelope
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.stages import Stage
from fedscore.sums.submission import SIGNATURE_DOMAIN, statement_of
from privacy.paillier.keys import PublicKey
from privacy.paillier.threshold import Opening, reproduce
from simulations.federation import EncryptionMode, Wire, train_federation
from simulations.keys import SimulatedKeys, simulated_identity
from simulations.plain import PlainCombiner, PlainSealer

RUN = "ab" * 16

Members = Mapping[int, PaillierMember]
Sealed = Mapping[str, bytes]


@pytest.fixture(scope="module")
def partials(members: Members, submissions: Sealed, envelope: Envelope) -> Mapping[int, bytes]:
    """What all three members answer."""
    return {index: member.partial(member.product(submissions, envelope)) for index, member in members.items()}


@pytest.fixture(scope="module")
def proofs(members: Members, submissions: Sealed, envelope: Envelope) -> Mapping[int, bytes]:
    """What all three members answer when they are asked to prove it."""
    return {
        index: member.prove(member.product(submissions, envelope), envelope)
        for index, member in members.items()
    }


@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), pair=st.sampled_from([(1, 2), (1, 3), (2, 3)]))
def test_openings_are_the_sums_of_the_vectors_up_to_the_largest_values(
    envelope: Envelope,
    sealers: Mapping[str, PaillierSealer],
    members: Members,
    combiner: PaillierCombiner,
    seed: int,
    pair: tuple[int, int],
) -> None:
    generator = np.random.default_rng(seed)
    limit, size = envelope.request.max_abs, envelope.request.dimension
    vectors = {name: generator.choice([-limit, -1, 0, 1, limit], size).tolist() for name in sealers}
    sealed = {name: sealers[name].seal(vector, envelope) for name, vector in vectors.items()}
    product = members[1].product(sealed, envelope)
    opened = combiner.combine(sealed, {index: members[index].partial(product) for index in pair}, envelope)

    plain = {name: PlainSealer().seal(vector, envelope) for name, vector in vectors.items()}
    assert opened.values.tolist() == PlainCombiner().combine(plain, {1: b""}, envelope).values.tolist()
    assert opened.values.tolist() == np.sum(list(vectors.values()), axis=0).tolist()


def test_a_whole_run_opens_the_same_integers_encrypted_and_plain(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], small_keys: SimulatedKeys
) -> None:
    rows = {party.name: make_rows(300, seed) for seed, party in enumerate(tiny_contract.parties)}
    plain = train_federation(tiny_contract, rows, seed=5)
    encrypted = train_federation(
        tiny_contract,
        rows,
        seed=5,
        encryption=EncryptionMode.PAILLIER,
        keys=small_keys,
        wire=Wire(serialise=True),
    )
    for one, other in zip(plain.openings, encrypted.openings, strict=True):
        assert one.tolist() == other.tolist()
    assert encrypted.card == plain.card
    assert encrypted.stages.keys() == set(Stage)
    assert all(seconds > 0 for seconds in encrypted.stages.values())
    assert plain.stages == {}
    another = train_federation(tiny_contract, rows, seed=6)
    assert another.openings[0].tolist() != plain.openings[0].tolist()


def test_sealing_twice_gives_different_bytes(
    envelope: Envelope, sealers: Mapping[str, PaillierSealer]
) -> None:
    values = [0] * envelope.request.dimension
    assert sealers["south"].seal(values, envelope) != sealers["south"].seal(values, envelope)


def test_a_value_beyond_its_slot_is_not_sealed(
    envelope: Envelope, sealers: Mapping[str, PaillierSealer]
) -> None:
    for beyond in (envelope.request.max_abs + 1, -envelope.request.max_abs - 1):
        values = [0] * envelope.request.dimension
        values[3] = beyond
        with pytest.raises(LayoutError):
            sealers["south"].seal(values, envelope)
        with pytest.raises(CiphertextRefused, match="outside its slot"):
            PlainSealer().seal(values, envelope)


def test_the_order_in_which_submissions_came_is_irrelevant(
    members: Members,
    combiner: PaillierCombiner,
    submissions: Sealed,
    partials: Mapping[int, bytes],
    envelope: Envelope,
) -> None:
    product = members[1].product(submissions, envelope)
    for names in itertools.permutations(submissions):
        shuffled = {name: submissions[name] for name in names}
        assert members[2].product(shuffled, envelope) == product
    opened = [
        combiner.combine(
            {name: submissions[name] for name in sorted(submissions)},
            {member: partials[member] for member in (3, 1, 2)},
            envelope,
        ),
        combiner.combine(submissions, partials, envelope),
    ]
    assert opened[0].opening == opened[1].opening


def test_a_member_answers_the_same_again(
    members: Members, submissions: Sealed, partials: Mapping[int, bytes], envelope: Envelope
) -> None:
    """So that releasing again after a crash shows nothing new."""
    assert members[2].partial(members[2].product(submissions, envelope)) == partials[2]


REFUSED: Mapping[str, tuple[Callable[[bytes], bytes], type[EncryptionError]]] = {
    "too short": (lambda sealed: sealed[:-1], CiphertextRefused),
    "too long": (lambda sealed: sealed + b"\0", CiphertextRefused),
    "nothing": (lambda _: b"", CiphertextRefused),
    "not signed": (lambda sealed: sealed[:-64] + bytes(64), SignatureRefused),
    "changed": (lambda sealed: sealed[:-300] + bytes(1) + sealed[-299:], SignatureRefused),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_submission_that_does_not_hold_names_its_sender_and_adds_nothing(
    what: str, members: Members, combiner: PaillierCombiner, submissions: Sealed, envelope: Envelope
) -> None:
    spoil, kind = REFUSED[what]
    received = {**submissions, "south": spoil(submissions["south"])}

    with pytest.raises(kind, match=r"^south: "):
        members[1].product(received, envelope)
    refused = combiner.refused(received, envelope)
    assert refused.keys() == {"south"}
    assert refused["south"].startswith("south: ")


def test_an_unproven_submission_names_its_sender(
    members: Members, combiner: PaillierCombiner, submissions: Sealed, envelope: Envelope
) -> None:
    """South takes north's vector and proof, and signs them as its own."""
    body = submissions["north"][:-64]
    statement = statement_of(members[1].share.public_key, envelope, "south")
    stolen = body + simulated_identity("south").sign(SIGNATURE_DOMAIN, statement + body)
    received = {**submissions, "south": stolen}

    with pytest.raises(ProofRefused, match=r"^south: "):
        members[1].product(received, envelope)
    assert combiner.refused(received, envelope).keys() == {"south"}


def test_nothing_is_refused_of_what_is_honest(
    combiner: PaillierCombiner, submissions: Sealed, envelope: Envelope
) -> None:
    assert combiner.refused(submissions, envelope) == {}


def test_a_vector_of_another_round_is_not_added(
    members: Members, submissions: Sealed, sealers: Mapping[str, PaillierSealer], envelope: Envelope
) -> None:
    later = sealers["south"].seal([0] * envelope.request.dimension, replace(envelope, round=4))
    with pytest.raises(SignatureRefused, match=r"^south: "):
        members[1].product({**submissions, "south": later}, envelope)


def test_more_summands_than_the_slots_have_room_for_are_refused(
    members: Members, combiner: PaillierCombiner, submissions: Sealed, envelope: Envelope
) -> None:
    crowd = {str(number): submissions["south"] for number in range(envelope.request.parties + 1)}
    with pytest.raises(LayoutError):
        members[1].product(crowd, envelope)
    with pytest.raises(LayoutError):
        combiner.combine(crowd, {}, envelope)


def test_a_wrong_partial_opening_is_noticed_and_its_member_found(
    combiner: PaillierCombiner,
    submissions: Sealed,
    partials: Mapping[int, bytes],
    proofs: Mapping[int, bytes],
    envelope: Envelope,
) -> None:
    lie = partials[1][:100] + bytes([partials[1][100] ^ 1]) + partials[1][101:]
    with pytest.raises(OpeningError, match="does not reproduce its ciphertext"):
        combiner.combine(submissions, {1: lie, 2: partials[2]}, envelope)

    forged = {**proofs, 1: lie + proofs[1][len(lie) :]}
    assert combiner.proven(submissions, forged, envelope) == {2: partials[2], 3: partials[3]}
    assert combiner.proven(submissions, proofs, envelope) == partials
    opened = combiner.combine(submissions, {2: partials[2], 3: partials[3]}, envelope)
    assert opened.opening == combiner.combine(submissions, partials, envelope).opening


def test_partial_openings_of_another_length_are_refused(
    combiner: PaillierCombiner, submissions: Sealed, partials: Mapping[int, bytes], envelope: Envelope
) -> None:
    for wrong in (partials[2][:-1], partials[2] + b"\0", b"", partials[2][:256]):
        with pytest.raises(OpeningError, match=r"^member 2: "):
            combiner.combine(submissions, {1: partials[1], 2: wrong}, envelope)


def test_one_member_alone_opens_nothing(
    combiner: PaillierCombiner, submissions: Sealed, partials: Mapping[int, bytes], envelope: Envelope
) -> None:
    assert combiner.threshold == 2
    with pytest.raises(OpeningError, match="1 partial openings do not open"):
        combiner.combine(submissions, {3: partials[3]}, envelope)


PROOF_LENGTH = 16 + 1


def test_a_proof_of_partial_openings_holds_for_its_member_and_round_alone(
    combiner: PaillierCombiner,
    submissions: Sealed,
    proofs: Mapping[int, bytes],
    members: Members,
    envelope: Envelope,
) -> None:
    elsewhere = {
        "another round": replace(envelope, round=4),
        "another run": replace(envelope, run="cd" * 16),
        "another head": replace(envelope, head="ef" * 32),
        "another request": replace(envelope, digest="ef" * 32),
        "another contract": replace(envelope, contract_hash="ef" * 32),
    }
    product = members[1].product(submissions, envelope)
    for what, place in elsewhere.items():
        moved = members[1].prove(product, place)
        assert combiner.proven(submissions, {1: moved}, envelope) == {}, what
    for what, wrong in {
        "another member's": proofs[2],
        "truncated": proofs[1][:-1],
        "no proof": proofs[1][: 3 * 256],
        "no partial openings": b"",
        "padded": proofs[1] + b"\0",
        "extended": proofs[1] + b"\1",
        "of other openings": proofs[2][: 3 * 256] + proofs[1][3 * 256 :],
        "too short for one number": proofs[1][:PROOF_LENGTH],
    }.items():
        assert combiner.proven(submissions, {1: wrong}, envelope) == {}, what
    assert combiner.proven(submissions, {1: proofs[1]}, envelope).keys() == {1}
    assert combiner.proven(submissions, {9: proofs[1], 0: proofs[1]}, envelope) == {}


def test_a_published_opening_reproduces_the_product_and_nothing_else(
    combiner: PaillierCombiner,
    members: Members,
    submissions: Sealed,
    partials: Mapping[int, bytes],
    vectors: Mapping[str, list[int]],
    envelope: Envelope,
    small_keys: SimulatedKeys,
) -> None:
    opened = combiner.combine(submissions, partials, envelope)
    product = members[3].product(submissions, envelope)

    again, values = members[3].reopen(opened.opening, envelope.shape)

    assert again == product
    assert values.tolist() == opened.values.tolist() == np.sum(list(vectors.values()), axis=0).tolist()
    key, width = small_keys.record.public_key, 256
    less, root = (int.from_bytes(opened.opening[at : at + width], "little") for at in (0, width))
    less -= 1
    with pytest.raises(OpeningError, match="does not reproduce its ciphertexts"):
        members[3].reopen(less.to_bytes(width, "little") + opened.opening[width:], envelope.shape)
    quotient = reproduce(key, Opening(plaintext=key.centred(less), root=root)) // key.n
    claimed = b"".join(number.to_bytes(width, "little") for number in (less, root, quotient))
    other, _ = members[3].reopen(claimed + opened.opening[3 * width :], envelope.shape)
    assert other != product
    assert other[2 * width :] == product[2 * width :]


def test_what_is_no_canonical_opening_is_refused(
    combiner: PaillierCombiner,
    members: Members,
    submissions: Sealed,
    partials: Mapping[int, bytes],
    envelope: Envelope,
    small_keys: SimulatedKeys,
) -> None:
    honest = combiner.combine(submissions, partials, envelope).opening
    n = small_keys.record.public_key.n.to_bytes(256, "little")
    for wrong in (
        b"",
        honest[:-1],
        honest + b"\0",
        honest * 2,
        honest[:256] + bytes(256) + honest[512:],
        honest[:256] + n + honest[512:],
        honest[:256] + b"\xff" * 256 + honest[512:],
        honest[:512] + bytes(256) + honest[768:],
        honest[:512] + n + honest[768:],
    ):
        with pytest.raises(OpeningError):
            members[1].reopen(wrong, envelope.shape)


def test_a_published_opening_has_one_encoding(
    combiner: PaillierCombiner,
    members: Members,
    submissions: Sealed,
    partials: Mapping[int, bytes],
    envelope: Envelope,
    small_keys: SimulatedKeys,
) -> None:
    """A plaintext that is not reduced modulo n stands for the same values."""
    honest = combiner.combine(submissions, partials, envelope).opening
    tried = 0
    for start in range(0, len(honest), 768):
        larger = int.from_bytes(honest[start : start + 256], "little") + small_keys.record.public_key.n
        if larger < 1 << 2048:
            unreduced = honest[:start] + larger.to_bytes(256, "little") + honest[start + 256 :]
            with pytest.raises(OpeningError, match="a plaintext of n or more"):
                members[1].reopen(unreduced, envelope.shape)
            tried += 1
    assert tried


def test_a_layout_for_a_larger_key_does_not_fit_a_smaller_one(
    tiny_contract: Contract, sealers: Mapping[str, PaillierSealer]
) -> None:
    larger = tiny_contract.with_encryption(key_bits=3072)
    wide = Agenda(larger, run=RUN).turn((), round_number=1, head="0" * 64).envelope
    with pytest.raises((LayoutError, KeyRefused)):
        sealers["south"].seal([0] * wide.request.dimension, wide)


def test_time_is_told_by_stage(
    tiny_contract: Contract, small_keys: SimulatedKeys, vectors: Mapping[str, list[int]], envelope: Envelope
) -> None:
    public_key: PublicKey = small_keys.record.public_key
    sealer = PaillierSealer(public_key=public_key, party="south", signer=simulated_identity("south"))
    member = PaillierMember(share=small_keys.shares[0], signing_keys=tiny_contract.signing_keys)
    sealed = {"south": sealer.seal(vectors["south"], envelope)}
    member.partial(member.product(sealed, envelope))

    assert {stage for stage, spent in sealer.stages.seconds.items() if spent} == {Stage.ENCRYPT, Stage.PROVE}
    assert {stage for stage, spent in member.stages.seconds.items() if spent} == {Stage.VERIFY, Stage.OPEN}


@pytest.mark.parametrize("parties", [2, 3, 20, 50])
def test_slots_have_room_for_every_party_at_its_largest(tiny_contract: Contract, parties: int) -> None:
    contract = tiny_contract.with_parties(
        [Party(name=f"p{number}", role=Role.PLATFORM) for number in range(parties)]
    )
    for request in Agenda(contract, run=RUN).requests:
        everything = parties * (
            contract.rows.row_cap * request.scale * 3 + 12 * int(request.share_variance**0.5)
        )
        assert everything // 3 < 2 ** (request.width - 1)
