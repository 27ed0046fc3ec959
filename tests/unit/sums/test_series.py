"""Who may vouch for a transcript's head: members of this key's committee, for this very head, once each."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError, replace

import pytest

from fedscore.messages import Head
from fedscore.sums.series import HEAD_DOMAIN, HELLO_DOMAIN, KeySeries
from fedscore.sums.submission import SIGNATURE_DOMAIN
from privacy.identities import Identity
from privacy.paillier.record import sign_record
from simulations.keys import SimulatedKeys, simulated_identity


@pytest.fixture(scope="module")
def series(small_keys: SimulatedKeys) -> KeySeries:
    return KeySeries.of(small_keys.record)


@pytest.fixture(scope="module")
def head(series: KeySeries) -> Head:
    return replace(series.genesis, round=4, step=1, run="ab" * 16, previous=series.genesis.hash)


def signed(head: Head, name: str, domain: bytes = HEAD_DOMAIN) -> bytes:
    return simulated_identity(name).sign(domain, head.to_bytes())


def test_a_series_is_what_the_ceremonys_record_says(series: KeySeries, small_keys: SimulatedKeys) -> None:
    record = small_keys.record

    assert series.member_names == {1: "north", 2: "south", 3: "agency"}
    assert series.member_keys == {
        number: simulated_identity(name).public.signing_key for number, name in series.member_names.items()
    }
    assert series.colluding_members == record.colluding_members == 1
    assert series.genesis == Head.genesis(record.public_key.key_id, record.genesis().hex())


def test_another_ceremony_has_another_genesis(series: KeySeries, small_keys: SimulatedKeys) -> None:
    """A key of the same primes, whose members drew other nonces."""
    members = [
        Identity.unsafe_from_seed(name, b"another ceremony").public for name in series.member_names.values()
    ]
    record = small_keys.record
    other = sign_record(
        committee=record.committee,
        members=members,
        colluding_members=record.colluding_members,
        absences=record.absences,
        created=record.created,
        dealer=simulated_identity("dealer"),
    )

    assert KeySeries.of(other).genesis.hash != series.genesis.hash


def test_one_more_voucher_is_needed_than_members_collude(series: KeySeries) -> None:
    for colluding in range(4):
        assert replace(series, colluding_members=colluding).vouchers_needed == colluding + 1


def test_members_vouch_for_a_head(series: KeySeries, head: Head) -> None:
    signatures = {number: signed(head, name) for number, name in series.member_names.items()}

    assert series.vouchers(head, signatures) == signatures
    assert series.vouchers(head, {}) == {}
    some = {number: signatures[number] for number in (3, 1)}
    assert series.vouchers(head, some) == some


def test_a_signature_counts_for_the_member_that_made_it_alone(series: KeySeries, head: Head) -> None:
    """Otherwise one colluding member would vouch for as many as it likes."""
    agency = signed(head, "agency")

    assert series.vouchers(head, dict.fromkeys((1, 2, 3), agency)) == {3: agency}
    for number, (member, name) in itertools.product((0, 4, -1, 32), series.member_names.items()):
        assert series.vouchers(head, {number: signed(head, name)}) == {}, member


def test_strangers_do_not_vouch(series: KeySeries, head: Head) -> None:
    signatures = {number: signed(head, "stranger") for number in series.member_names}
    # the name is right, the key is not
    namesake = Identity.unsafe_from_seed("north", b"another seed").sign(HEAD_DOMAIN, head.to_bytes())

    assert series.vouchers(head, signatures) == {}
    assert series.vouchers(head, {1: namesake}) == {}


@pytest.mark.parametrize("domain", [HELLO_DOMAIN, SIGNATURE_DOMAIN, b"", HEAD_DOMAIN + b" "])
def test_a_signature_for_another_purpose_does_not_vouch(series: KeySeries, head: Head, domain: bytes) -> None:
    assert series.vouchers(head, {1: signed(head, "north", domain)}) == {}
    assert series.vouchers(head, {1: signed(head, "north")}) != {}


def test_purposes_differ() -> None:
    assert len({HEAD_DOMAIN, HELLO_DOMAIN, SIGNATURE_DOMAIN}) == 3


def test_a_signature_under_another_head_does_not_vouch(series: KeySeries, head: Head) -> None:
    others = [
        series.genesis,
        replace(head, round=5),
        replace(head, step=2),
        replace(head, submissions={"north": "0" * 64}),
        replace(head, key_id="0" * 64),
        replace(head, previous=head.hash),
    ]
    for other in others:
        assert series.vouchers(head, {1: signed(other, "north")}) == {}
        assert series.vouchers(other, {1: signed(head, "north")}) == {}


@pytest.mark.parametrize("wrong", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_what_is_no_signature_does_not_vouch(series: KeySeries, head: Head, wrong: bytes) -> None:
    honest = signed(head, "south")

    assert series.vouchers(head, {1: wrong, 2: honest}) == {2: honest}


def test_a_series_is_not_changed(series: KeySeries, head: Head) -> None:
    with pytest.raises(FrozenInstanceError):
        series.genesis = head  # type: ignore[misc]  # the point of the test
