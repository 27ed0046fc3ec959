"""A card that is not what the expected key signed is refused, however it was changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import example, given
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.card.parts import PrivacyRecord
from fedscore.card.signing import SIGNER_FILE, read_card, signed, verify
from fedscore.contract import NoiseMode
from fedscore.errors import CardError
from privacy.identities import Identity
from tests.cards import plain_card, table

SIGNER = Identity.generate("operator")
KEY = SIGNER.public.signing_key.hex()
PRIVACY = PrivacyRecord(
    noise=NoiseMode.SHARED,
    epsilon=0.1 + 0.2,
    person_epsilon=None,
    delta=1e-05,
    mu=0.25,
    absent=0,
    colluding_parties=1,
    events=({"kind": "sum", "sensitivity": 3},),
)
CARD = plain_card(table("use", [1.25, -2.5, 0.0]), table("size", [1.0, 2.0, 3.0])).with_privacy(PRIVACY)
SIGNED = signed(CARD, SIGNER)
BYTES = SIGNED.to_json().encode()


def read(content: bytes, folder: Path) -> Card:
    (folder / "card.json").write_bytes(content)
    return read_card(folder / "card.json", signer=KEY)


def test_what_was_signed_is_read_back(tmp_path: Path) -> None:
    assert read(BYTES, tmp_path) == SIGNED


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_accepted(tmp_path: Path, place: int, bit: int) -> None:
    changed = bytearray(BYTES)
    changed[place] ^= 1 << bit
    refused_or_the_same(bytes(changed), tmp_path)


@given(st.integers(0, len(BYTES) - 1), st.binary(max_size=3), st.integers(0, 3))
@example(place=BYTES.index(b'"operator"') + 1, put=b"O", over=1)
def test_no_changed_byte_is_accepted(tmp_path: Path, place: int, put: bytes, over: int) -> None:
    refused_or_the_same(BYTES[:place] + put + BYTES[place + over :], tmp_path)


def refused_or_the_same(content: bytes, folder: Path) -> None:
    """White space, or another spelling of a number, makes another file and the same card."""
    try:
        card = read(content, folder)
    except CardError:
        return
    assert card == SIGNED
    assert json.loads(content) == json.loads(BYTES)


@pytest.mark.parametrize("place", range(0, len(BYTES) - 1, 37))
def test_a_part_of_a_card_is_refused(tmp_path: Path, place: int) -> None:
    with pytest.raises(CardError, match="not a card of schema 2"):
        read(BYTES[:place], tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"\x00" * 64, b"[" * 100_000, b'{"schema_version": 1}'],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CardError, match="not a card of schema 2"):
        read(content, tmp_path)


def test_every_value_is_under_the_signature(tmp_path: Path) -> None:
    """Entries are changed one by one, as somebody would who means it."""
    for path in paths(json.loads(BYTES)):
        document = json.loads(BYTES)
        *outer, last = path
        holder = document
        for step in outer:
            holder = holder[step]
        holder[last] = changed(holder[last])
        with pytest.raises(CardError):
            read(json.dumps(document).encode(), tmp_path)


def changed(value: object) -> object:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def paths(value: object) -> list[tuple[str | int, ...]]:
    entries: list[tuple[str | int, object]] = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    if not entries:
        return [()] if not isinstance(value, (dict, list)) and value is not None else []
    return [(step, *rest) for step, inner in entries for rest in paths(inner)]


def test_all_places_are_tried() -> None:
    assert {
        ("signature", "signer"),
        ("scale", "reference_odds"),
        ("grid", "characteristics", 0, "edges", 0),
    } <= set(paths(json.loads(BYTES)))


def test_an_unsigned_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="the card of tiny is not signed"):
        read(CARD.to_json().encode(), tmp_path)


def test_a_card_that_somebody_else_signed_is_refused(tmp_path: Path) -> None:
    foreign = signed(CARD, Identity.generate("operator"))
    with pytest.raises(CardError, match="another consortium's, or the operator has a new key"):
        read(foreign.to_json().encode(), tmp_path)


def test_a_signature_for_another_purpose_is_refused() -> None:
    assert SIGNED.signature is not None
    borrowed = SIGNER.sign(b"fedscore-other", CARD.claim()).hex()
    with pytest.raises(CardError, match="is not what operator signed"):
        verify(SIGNED.with_signature(SIGNED.signature.model_copy(update={"signature": borrowed})), KEY)


def test_the_signature_is_the_one_that_the_document_describes() -> None:
    """docs/card-format.md, step by step, from the file alone."""
    document = json.loads(BYTES)
    signature = document.pop("signature")
    claim = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    assert hashlib.sha256(claim).hexdigest() == SIGNED.fingerprint

    def frame(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    message = frame(signature["signer"].encode(), claim)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["key"])).verify(
        bytes.fromhex(signature["signature"]), frame(b"fedscore-signature-1", b"fedscore-card-2", message)
    )


def test_the_key_is_taken_from_beside_the_card_or_from_a_file(tmp_path: Path) -> None:
    SIGNED.write(tmp_path / "card.json")
    with pytest.raises(CardError, match="name the operator's with --signer"):
        read_card(tmp_path / "card.json", signer=None)
    (tmp_path / SIGNER_FILE).write_text(SIGNER.public.to_json())
    assert read_card(tmp_path / "card.json", signer=None) == SIGNED
    assert read_card(tmp_path / "card.json", signer=str(tmp_path / SIGNER_FILE)) == SIGNED


@pytest.mark.parametrize("content", ["", "[]", '{"signing_key": 1}', '{"signing_key": "AB"}', "\0"])
def test_what_is_no_public_identity_is_refused(tmp_path: Path, content: str) -> None:
    SIGNED.write(tmp_path / "card.json")
    (tmp_path / SIGNER_FILE).write_text(content)
    with pytest.raises(CardError, match="is no public identity"):
        read_card(tmp_path / "card.json", signer=None)
