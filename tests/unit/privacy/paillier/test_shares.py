from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest

from fedscore.errors import KeyRefused
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.shares import KeyShare


def changed(share: KeyShare, **change: Any) -> KeyShare:  # noqa: ANN401  # any field, of any type
    values = {field.name: getattr(share, field.name) for field in dataclasses.fields(share)}
    return KeyShare(**(values | change))


def test_the_secret_is_in_no_representation(toy: Ceremony) -> None:
    share = toy.shares[0]
    for text in (repr(share), str(share), f"{share}", repr(toy), repr([share])):
        assert "<secret>" in text
        for spelling in (
            str(share.value),
            f"{share.value:x}",
            str(share.value)[:20],
            f"{share.value:x}"[:20],
        ):
            assert spelling not in text


def test_shares_compare_by_identity_alone(toy: Ceremony) -> None:
    share = toy.shares[0]
    twin = KeyShare.from_json(share.to_json(), unsafe_minimum_bits=512)
    assert twin.value == share.value
    assert twin != share
    assert share == share  # noqa: PLR0124  # identity is what is left of equality


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_shares_are_not_pickled_or_copied(toy: Ceremony, leak: Any) -> None:  # noqa: ANN401  # any function
    with pytest.raises(KeyRefused, match="not pickled"):
        leak(toy.shares[0])


def test_the_text_form_round_trips(toy: Ceremony) -> None:
    for share in toy.shares:
        again = KeyShare.from_json(share.to_json(), unsafe_minimum_bits=512)
        assert again.to_json() == share.to_json()
        assert again.public_key == share.public_key


def test_a_share_of_a_small_key_is_refused(toy: Ceremony) -> None:
    with pytest.raises(KeyRefused, match="512 bits is refused"):
        KeyShare.from_json(toy.shares[0].to_json())


@pytest.mark.parametrize("name", ["value", "verification_base", "verification_key"])
def test_a_damaged_share_is_refused_without_quoting_it(toy: Ceremony, name: str) -> None:
    share = toy.shares[1]
    document = json.loads(share.to_json())
    document[name] = f"{getattr(share, name) ^ 4:x}"
    with pytest.raises(KeyRefused, match="share of member 2 does not match its verification key") as refusal:
        KeyShare.from_json(json.dumps(document), unsafe_minimum_bits=512)
    assert document[name] not in str(refusal.value)


@pytest.mark.parametrize("name", ["index", "members", "threshold"])
@pytest.mark.parametrize("bits", [16, 64, 32_000])
def test_a_share_of_an_absurd_committee_is_refused_at_once(toy: Ceremony, name: str, bits: int) -> None:
    """Before anything is computed with the number, or said of it."""
    document = json.loads(toy.shares[0].to_json()) | {name: f"{1 << bits:x}"}
    with pytest.raises(KeyRefused, match="its small numbers are huge") as refusal:
        KeyShare.from_json(json.dumps(document), unsafe_minimum_bits=512)
    assert len(str(refusal.value)) < 200


def test_a_broken_text_is_refused_without_its_secret_anywhere_in_the_error(toy: Ceremony) -> None:
    share = toy.shares[0]
    for text in (share.to_json()[:-1], share.to_json().replace('"index": "1"', '"index": 1')):
        with pytest.raises(KeyRefused) as refusal:
            KeyShare.from_json(text, unsafe_minimum_bits=512)
        assert refusal.value.__context__ is None
        assert f"{share.value:x}"[:16] not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": 0}, "member 0 of 3"),
        ({"index": 4}, "member 4 of 3"),
        ({"members": 0}, "committee of 0"),
        ({"members": 33}, "committee of 33"),
        ({"threshold": 0}, "threshold of 0 of 3"),
        ({"threshold": 4}, "threshold of 4 of 3"),
        ({"value": 0}, "number out of range"),
        ({"value": -1}, "number out of range"),
        ({"verification_base": 1}, "number out of range"),
        ({"members": 4}, "does not match its verification key"),
        ({"verification_key": 1}, "does not match its verification key"),
    ],
)
def test_shares_that_cannot_be_are_refused(toy: Ceremony, change: dict[str, int], message: str) -> None:
    with pytest.raises(KeyRefused, match=message):
        changed(toy.shares[0], **change)


def test_a_share_of_another_member_is_refused_under_the_wrong_verification_key(toy: Ceremony) -> None:
    with pytest.raises(KeyRefused, match="does not match"):
        changed(toy.shares[0], value=toy.shares[1].value)
