"""Encrypted sums are the plain ones, integer for integer; and what is malformed names its sender."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import Contract, Party, Role
from fedscore.data import Rows
from fedscore.errors import CiphertextRefused, KeyRefused, LayoutError, OpeningError
from fedscore.learners.agenda import Agenda
from fedscore.sums import Envelope
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from privacy.paillier.ceremony import Ceremony
from simulations.federation import EncryptionMode, train_federation
from simulations.plain import PlainCombiner, PlainSealer

RUN = "ab" * 16


@pytest.fixture(scope="module")
def envelope(tiny_contract: Contract) -> Envelope:
    contract = tiny_contract.with_encryption(key_bits=2048)
    return Agenda(contract, run=RUN).turn(()).envelope


def combiner_of(keys: Ceremony) -> PaillierCombiner:
    share = keys.shares[0]
    return PaillierCombiner(public_key=keys.public_key, members=share.members, threshold=share.threshold)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_openings_are_the_sums_of_the_vectors_up_to_the_largest_values(
    envelope: Envelope, small_ceremony: Ceremony, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    limit, size = envelope.layout.max_abs, envelope.request.dimension
    vectors = {name: generator.choice([-limit, -1, 0, 1, limit], size).tolist() for name in ("a", "b", "c")}
    sealer = PaillierSealer(small_ceremony.public_key)
    sealed = {name: sealer.seal(vector, envelope) for name, vector in vectors.items()}
    partial = PaillierMember(small_ceremony.shares[0]).partial(sealed, envelope)
    opened = combiner_of(small_ceremony).open(sealed, {1: partial}, envelope)

    plain = {name: PlainSealer().seal(vector, envelope) for name, vector in vectors.items()}
    assert opened.tolist() == PlainCombiner().open(plain, {1: b""}, envelope).tolist()
    assert opened.tolist() == np.sum(list(vectors.values()), axis=0).tolist()


def test_a_whole_run_opens_the_same_integers_encrypted_and_plain(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], small_ceremony: Ceremony
) -> None:
    contract = tiny_contract.with_encryption(key_bits=2048)
    rows = {party.name: make_rows(300, seed) for seed, party in enumerate(contract.parties)}
    plain = train_federation(contract, rows, seed=5)
    encrypted = train_federation(
        contract, rows, seed=5, encryption=EncryptionMode.PAILLIER, keys=small_ceremony, serialise=True
    )
    for one, other in zip(plain.openings, encrypted.openings, strict=True):
        assert one.tolist() == other.tolist()
    assert encrypted.card == plain.card
    another = train_federation(contract, rows, seed=6)
    assert another.openings[0].tolist() != plain.openings[0].tolist()


def test_sealing_twice_gives_different_bytes(envelope: Envelope, small_ceremony: Ceremony) -> None:
    sealer = PaillierSealer(small_ceremony.public_key)
    values = [0] * envelope.request.dimension
    assert sealer.seal(values, envelope) != sealer.seal(values, envelope)


def test_a_value_beyond_its_slot_is_not_sealed(envelope: Envelope, small_ceremony: Ceremony) -> None:
    values = [0] * envelope.request.dimension
    values[3] = envelope.layout.max_abs + 1
    with pytest.raises(LayoutError):
        PaillierSealer(small_ceremony.public_key).seal(values, envelope)
    with pytest.raises(CiphertextRefused, match="outside its slot"):
        PlainSealer().seal(values, envelope)


def test_a_malformed_submission_names_its_sender(envelope: Envelope, small_ceremony: Ceremony) -> None:
    sealer = PaillierSealer(small_ceremony.public_key)
    good = sealer.seal([0] * envelope.request.dimension, envelope)
    for bad in (good[:-1], good + b"\0", good[:-512] + bytes(512), b""):
        with pytest.raises(CiphertextRefused, match=r"^south: "):
            PaillierMember(small_ceremony.shares[0]).partial({"north": good, "south": bad}, envelope)
        with pytest.raises(CiphertextRefused, match=r"^south: "):
            combiner_of(small_ceremony).open({"north": good, "south": bad}, {1: b""}, envelope)


def test_a_vector_of_another_round_is_not_added(
    tiny_contract: Contract, envelope: Envelope, small_ceremony: Ceremony
) -> None:
    contract = tiny_contract.with_encryption(key_bits=2048)
    later = Agenda(contract, run="cd" * 16).turn(()).envelope
    sealer = PaillierSealer(small_ceremony.public_key)
    values = [0] * envelope.request.dimension
    sealed = {"north": sealer.seal(values, envelope), "south": sealer.seal(values, later)}
    with pytest.raises(CiphertextRefused, match=r"^south: "):
        PaillierMember(small_ceremony.shares[0]).partial(sealed, envelope)


def test_more_summands_than_the_slots_have_room_for_are_refused(
    envelope: Envelope, small_ceremony: Ceremony
) -> None:
    sealed = PaillierSealer(small_ceremony.public_key).seal([0] * envelope.request.dimension, envelope)
    crowd = {str(number): sealed for number in range(envelope.request.parties + 1)}
    with pytest.raises(LayoutError):
        PaillierMember(small_ceremony.shares[0]).partial(crowd, envelope)


def test_a_wrong_partial_opening_is_noticed(envelope: Envelope, small_ceremony: Ceremony) -> None:
    sealer = PaillierSealer(small_ceremony.public_key)
    sealed = {"north": sealer.seal([7] * envelope.request.dimension, envelope)}
    partial = bytearray(PaillierMember(small_ceremony.shares[0]).partial(sealed, envelope))
    with pytest.raises(OpeningError, match="member 1 sent"):
        combiner_of(small_ceremony).open(sealed, {1: bytes(partial[:-1])}, envelope)
    partial[0] ^= 1
    with pytest.raises(OpeningError):
        combiner_of(small_ceremony).open(sealed, {1: bytes(partial)}, envelope)


def test_a_layout_for_a_larger_key_does_not_fit_a_smaller_one(
    tiny_contract: Contract, small_ceremony: Ceremony
) -> None:
    wide = Agenda(tiny_contract, run=RUN).turn(()).envelope  # the contract says 3072 bits
    with pytest.raises((LayoutError, KeyRefused)):
        PaillierSealer(small_ceremony.public_key).seal([0] * wide.request.dimension, wide)


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
