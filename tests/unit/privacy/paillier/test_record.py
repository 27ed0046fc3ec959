from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from fedscore.errors import KeyRefused, SignatureRefused
from privacy.identities import Identity, PublicIdentity
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.record import CeremonyRecord, seal_share, sign_record, unseal_share
from privacy.paillier.shares import KeyShare

Primes = Callable[[int], tuple[int, int]]
NAMES = ("north", "south", "agency")
MEMBERS = tuple(Identity.unsafe_from_seed(name, b"seed") for name in NAMES)
DEALER = Identity.unsafe_from_seed("dealer", b"seed")


def signed(ceremony: Ceremony, **change: Any) -> CeremonyRecord:  # noqa: ANN401  # any field, of any type
    fields: dict[str, Any] = {
        "committee": ceremony.committee,
        "members": [member.public for member in MEMBERS],
        "colluding_members": 0,
        "absences": True,
        "created": date(2025, 3, 1),
        "dealer": DEALER,
    }
    return sign_record(**fields | change)


def read(document: dict[str, Any]) -> CeremonyRecord:
    return CeremonyRecord.from_json(json.dumps(document), unsafe_minimum_bits=512)


@pytest.fixture(scope="module")
def record(toy: Ceremony) -> CeremonyRecord:
    return signed(toy)


@pytest.fixture
def document(record: CeremonyRecord) -> dict[str, Any]:
    parsed = json.loads(record.to_json())
    assert isinstance(parsed, dict)
    return parsed


def test_the_text_form_round_trips(record: CeremonyRecord, toy: Ceremony) -> None:
    for one in (record, signed(toy, previous=record.hash(), colluding_members=1, absences=False)):
        again = CeremonyRecord.from_json(one.to_json(), unsafe_minimum_bits=512)
        assert again == one
        assert again.hash() == one.hash()
        assert again.to_json() == one.to_json()
    with pytest.raises(KeyRefused, match="512 bits is refused"):
        CeremonyRecord.from_json(record.to_json())


def test_the_hash_is_over_the_canonical_text_of_all_but_the_signature(
    record: CeremonyRecord, document: dict[str, Any]
) -> None:
    del document["signature"]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert record.hash() == hashlib.sha256(text.encode()).hexdigest()
    compact = CeremonyRecord.from_json(
        json.dumps(json.loads(record.to_json()), separators=(",", ":")), unsafe_minimum_bits=512
    )
    assert compact.hash() == record.hash()


def test_every_field_is_in_the_hash(record: CeremonyRecord, toy: Ceremony, primes: Primes) -> None:
    again = unsafe_deal_from_primes(*primes(256), members=3, threshold=2)
    others = [
        signed(again),
        signed(toy, members=[member.public for member in reversed(MEMBERS)]),
        signed(toy, colluding_members=1, absences=False),
        signed(toy, absences=False),
        signed(toy, created=date(2025, 3, 2)),
        signed(toy, previous=record.hash()),
        signed(toy, dealer=Identity.unsafe_from_seed("dealer", b"other")),
    ]
    assert len({record.hash(), *(other.hash() for other in others)}) == 8


def test_the_genesis_covers_the_key_and_every_nonce_in_order(record: CeremonyRecord, toy: Ceremony) -> None:
    data = b"fedscore-genesis-1" + bytes.fromhex(toy.public_key.key_id)
    for member in MEMBERS:
        data += member.public.nonce
    assert record.genesis() == hashlib.sha256(data).digest()
    swapped = signed(toy, members=[MEMBERS[position].public for position in (1, 0, 2)])
    assert swapped.genesis() != record.genesis()
    assert signed(toy, created=date(2024, 1, 1)).genesis() == record.genesis()


def test_members_are_found_by_name(record: CeremonyRecord) -> None:
    assert [record.index_of(name) for name in NAMES] == [1, 2, 3]
    assert record.index_of("dealer") is None
    assert record.public_key == record.committee.public_key


@pytest.mark.parametrize(
    "change",
    [
        {"colluding_members": 1, "absences": False},
        {"absences": False},
        {"created": "2025-03-02"},
        {"previous": "0" * 64},
        {"dealer": MEMBERS[0].public.document()},
        {"signature": "0" * 128},
    ],
)
def test_what_the_dealer_did_not_sign_is_refused(document: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused, match="fedscore-ceremony-record-1"):
        read(document | change)


def test_members_cannot_be_exchanged_in_a_signed_record(document: dict[str, Any]) -> None:
    other = Identity.unsafe_from_seed("south", b"other").public.document()
    first, second, third = document["members"]
    for members in ([first, other, third], [second, first, third]):
        with pytest.raises(SignatureRefused):
            read(document | {"members": members})
    with pytest.raises(SignatureRefused, match="fedscore-public-identity-1"):
        read(document | {"members": [first, second | {"sealing_key": other["sealing_key"]}, third]})


def test_the_key_cannot_be_exchanged_in_a_signed_record(document: dict[str, Any], primes: Primes) -> None:
    other = unsafe_deal_from_primes(*primes(256), members=3, threshold=2)
    with pytest.raises(SignatureRefused):
        read(document | {"committee": other.committee.document()})
    with pytest.raises(KeyRefused, match="not those of 3 shares"):
        read(document | {"committee": document["committee"] | {"threshold": 3}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colluding_members": 1}, "2 of 3 open and 1 may collude .* choose 3 or more"),
        ({"colluding_members": 2}, "2 of 3 open is refused where 2 may collude"),
        ({"colluding_members": 2, "absences": False}, "must be above 2, so 3 or more"),
        ({"colluding_members": 3}, "3 colluding members of 3"),
        ({"colluding_members": -1}, "-1 colluding members of 3"),
        ({"members": [member.public for member in MEMBERS[:2]]}, "2 members for 3 shares"),
        ({"members": [MEMBERS[0].public] * 3}, "two of the 3 members have one name"),
        ({"previous": "0" * 63}, "named by 64 hexadecimal digits"),
        ({"previous": ""}, "named by 64 hexadecimal digits"),
    ],
)
def test_committees_that_break_the_rules_are_neither_signed_nor_read(
    toy: Ceremony, document: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(KeyRefused, match=message):
        signed(toy, **change)
    if "members" in change:
        change = {"members": [member.document() for member in change["members"]]}
    with pytest.raises(KeyRefused, match=message):
        read(document | change)


def renamed(identity: PublicIdentity, name: str) -> PublicIdentity:
    """The same keys under another name."""
    secret = next(member for member in MEMBERS if member.public == identity)
    return Identity.from_json(json.dumps(json.loads(secret.to_json()) | {"name": name})).public


def test_nobody_is_a_member_twice(toy: Ceremony) -> None:
    north, south, agency = (member.public for member in MEMBERS)
    cases = [
        ((north, south, Identity.generate("North").public), "one name"),
        ((north, south, renamed(north, "west")), "one signing key"),
    ]
    sealing = json.loads(MEMBERS[0].to_json())["sealing_key"]
    borrowed = Identity.from_json(json.dumps(json.loads(MEMBERS[2].to_json()) | {"sealing_key": sealing}))
    cases.append(((north, south, borrowed.public), "one sealing key"))
    for members, message in cases:
        with pytest.raises(KeyRefused, match=message):
            signed(toy, members=members)
    assert signed(toy, members=(north, south, agency)).members == (north, south, agency)


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"members": {}},
        {"members": None},
        {"colluding_members": "0"},
        {"colluding_members": False},
        {"colluding_members": 0.0},
        {"absences": 1},
        {"absences": None},
        {"created": "1.3.2025"},
        {"created": 5},
        {"created": "2025-03-01T00:00"},
        {"created": "\uff12025-03-01"},
        {"previous": 5},
        {"signature": "0"},
        {"signature": None},
    ],
)
def test_fields_of_another_type_are_refused(document: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(KeyRefused, match="holds other fields than this text"):
        read(document | change)


def test_days_that_do_not_exist_are_refused(document: dict[str, Any]) -> None:
    for day in ("2025-02-30", "2025-13-01", "0000-01-01"):
        with pytest.raises(KeyRefused, match="created on a day"):
            read(document | {"created": day})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"kind": "other"}'])
def test_texts_that_are_no_record_are_refused(text: str) -> None:
    with pytest.raises(KeyRefused, match="is no fedscore-ceremony-1"):
        CeremonyRecord.from_json(text)


def test_every_missing_field_is_noticed(document: dict[str, Any]) -> None:
    for name in document:
        with pytest.raises(KeyRefused):
            read({key: value for key, value in document.items() if key != name})


def test_every_member_opens_its_own_share_alone(record: CeremonyRecord, toy: Ceremony) -> None:
    for share, member in zip(toy.shares, MEMBERS, strict=True):
        sealed = seal_share(record, share)
        assert f"{share.value:x}".encode() not in sealed
        opened = unseal_share(record, member, sealed)
        assert opened.to_json() == share.to_json()
        for other in MEMBERS:
            if other is not member:
                with pytest.raises(KeyRefused, match=f"does not open for {other.name}"):
                    unseal_share(record, other, sealed)


def test_a_sealed_share_opens_under_its_own_record_alone(record: CeremonyRecord, toy: Ceremony) -> None:
    later = signed(toy, created=date(2025, 3, 2))
    sealed = seal_share(record, toy.shares[0])
    with pytest.raises(KeyRefused, match="does not open for north"):
        unseal_share(later, MEMBERS[0], sealed)


def test_a_sealed_share_opens_at_its_own_place_alone(record: CeremonyRecord, toy: Ceremony) -> None:
    """The member's number is in the seal: a member listed second opens nothing made for the first."""
    swapped = signed(toy, members=[MEMBERS[position].public for position in (1, 0, 2)])
    forged = MEMBERS[0].public.seal(
        toy.shares[0].to_json().encode(),
        b"fedscore-sealed-share-1" + bytes.fromhex(swapped.hash()) + (1).to_bytes(2, "little"),
    )
    with pytest.raises(KeyRefused, match="does not open for north"):
        unseal_share(swapped, MEMBERS[0], forged)
    assert record.index_of("north") == 1


def test_identities_that_are_no_members_open_nothing(record: CeremonyRecord, toy: Ceremony) -> None:
    sealed = seal_share(record, toy.shares[0])
    for stranger in (DEALER, Identity.unsafe_from_seed("north", b"other")):
        with pytest.raises(KeyRefused, match="is not one of this ceremony's members"):
            unseal_share(record, stranger, sealed)


def test_shares_of_another_ceremony_are_not_sealed(record: CeremonyRecord, primes: Primes) -> None:
    other = unsafe_deal_from_primes(*primes(256), members=3, threshold=2)
    with pytest.raises(KeyRefused, match="is of another ceremony"):
        seal_share(record, other.shares[0])


def context_of(record: CeremonyRecord, index: int) -> bytes:
    return b"fedscore-sealed-share-1" + bytes.fromhex(record.hash()) + index.to_bytes(2, "little")


def test_a_dealer_who_seals_the_wrong_share_is_caught(
    record: CeremonyRecord, toy: Ceremony, primes: Primes
) -> None:
    def sealed(text: str) -> bytes:
        return MEMBERS[0].public.seal(text.encode(), context_of(record, 1))

    with pytest.raises(KeyRefused, match="is the share of member 2: the dealer made a mistake"):
        unseal_share(record, MEMBERS[0], sealed(toy.shares[1].to_json()))
    other = unsafe_deal_from_primes(*primes(256), members=3, threshold=2)
    with pytest.raises(KeyRefused, match="is of another ceremony"):
        unseal_share(record, MEMBERS[0], sealed(other.shares[0].to_json()))
    smaller = unsafe_deal_from_primes(*primes(128), members=3, threshold=2)
    with pytest.raises(KeyRefused, match="256 bits is refused"):
        unseal_share(record, MEMBERS[0], sealed(smaller.shares[0].to_json()))
    with pytest.raises(KeyRefused, match="is no fedscore-paillier-key-share-1"):
        unseal_share(record, MEMBERS[0], sealed("{}"))
    with pytest.raises(KeyRefused, match="is no fedscore-paillier-key-share-1") as refusal:
        unseal_share(record, MEMBERS[0], MEMBERS[0].public.seal(b"\xff\xfe", context_of(record, 1)))
    assert refusal.value.__context__ is None


def test_a_share_that_fits_its_own_verification_key_but_not_the_records_is_refused(
    record: CeremonyRecord, toy: Ceremony
) -> None:
    """A dealer who gives one member a share off the polynomial, with a verification key to match."""
    share = toy.shares[0]
    n = share.public_key.n
    step = pow(share.verification_base, share.delta, n)
    off = KeyShare(
        public_key=share.public_key,
        index=1,
        members=3,
        threshold=2,
        value=share.value + 1,
        verification_base=share.verification_base,
        verification_key=share.verification_key * step % n,
    )
    sealed = MEMBERS[0].public.seal(off.to_json().encode(), context_of(record, 1))
    with pytest.raises(KeyRefused, match="share of member 1 is of another ceremony"):
        unseal_share(record, MEMBERS[0], sealed)
