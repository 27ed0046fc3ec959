from __future__ import annotations

import copy
import hashlib
import hmac
import json
import pickle
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedscore.errors import KeyRefused, SignatureRefused
from privacy.identities import Identity, PublicIdentity, verify_signature

NORTH = Identity.unsafe_from_seed("north", b"seed")
SOUTH = Identity.unsafe_from_seed("south", b"seed")

FIELD = 2**255 - 19
# y of the points of order 1, 2, 4 and 8 (Bernstein's list), and the same beyond the field's prime.
ORDER_8 = (
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)
SMALL_ORDER = [y | sign for y in (0, 1, FIELD - 1, FIELD, FIELD + 1, *ORDER_8) for sign in (0, 1 << 255)]


def changed(identity: PublicIdentity, **change: object) -> dict[str, object]:
    return identity.document() | change


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def test_a_signature_is_ed25519_over_framed_domain_and_message() -> None:
    signature = NORTH.sign(b"domain", b"message")
    key = Ed25519PublicKey.from_public_bytes(NORTH.public.signing_key)
    key.verify(signature, framed(b"fedscore-signature-1", b"domain", b"message"))
    verify_signature(NORTH.public.signing_key, b"domain", b"message", signature)


@pytest.mark.parametrize(
    ("domain", "message"),
    [(b"domain", b"message2"), (b"domaim", b"message"), (b"domainm", b"essage"), (b"", b"domainmessage")],
)
def test_a_signature_is_good_for_one_domain_and_message(domain: bytes, message: bytes) -> None:
    signature = NORTH.sign(b"domain", b"message")
    with pytest.raises(SignatureRefused, match="have it signed anew"):
        verify_signature(NORTH.public.signing_key, domain, message, signature)


def test_what_is_no_signature_of_the_key_is_refused_and_the_key_is_named() -> None:
    signature = NORTH.sign(b"d", b"m")
    refused = [
        (SOUTH.public.signing_key, signature),
        (NORTH.public.signing_key, b""),
        (NORTH.public.signing_key, signature[:-1]),
        (NORTH.public.signing_key, signature + b"\0"),
        (NORTH.public.signing_key, bytes(64)),
        (NORTH.public.signing_key, bytes([signature[0] ^ 1]) + signature[1:]),
        (NORTH.public.signing_key[:-1], signature),
        (b"", signature),
        (b"\xff" * 32, signature),
    ]
    for key, bad in refused:
        with pytest.raises(
            SignatureRefused, match=f"a signature for d is not that of the key {key.hex()[:16]}:"
        ):
            verify_signature(key, b"d", b"m", bad)


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    signature = NORTH.sign(b"d", b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(SignatureRefused):
        verify_signature(NORTH.public.signing_key, b"d", b"m", signature[:32] + scalar.to_bytes(32, "little"))


def test_keys_under_which_anybody_signs_are_refused() -> None:
    everybody = bytes([1]) + bytes(63)
    neutral = bytes([1]) + bytes(31)
    # The attack on the bare primitive: one signature for every message.
    Ed25519PublicKey.from_public_bytes(neutral).verify(everybody, b"anything")
    with pytest.raises(SignatureRefused):
        verify_signature(neutral, b"d", b"m", everybody)
    assert len(SMALL_ORDER) == 14
    for point in SMALL_ORDER:
        key = point.to_bytes(32, "little").hex()
        with pytest.raises(KeyRefused, match="a key of north protects nothing"):
            PublicIdentity.from_document(changed(NORTH.public, signing_key=key))


def test_the_points_of_small_order_are_that() -> None:
    """Under each of them the trivial signature holds for one message in eight at least."""
    everybody = bytes([1]) + bytes(63)
    for point in SMALL_ORDER:
        held = 0
        try:
            key = Ed25519PublicKey.from_public_bytes(point.to_bytes(32, "little"))
        except ValueError:
            continue
        for number in range(200):
            try:
                key.verify(everybody, number.to_bytes(2, "little"))
            except InvalidSignature:
                continue
            held += 1
        assert held > 0 or point % (1 << 255) >= FIELD


@pytest.mark.parametrize("point", [0, 1, FIELD - 1, FIELD, FIELD + 1])
def test_sealing_keys_that_seal_nothing_are_refused(point: int) -> None:
    key = point.to_bytes(32, "little").hex()
    with pytest.raises(KeyRefused, match="protects nothing"):
        PublicIdentity.from_document(changed(NORTH.public, sealing_key=key))


def test_what_is_sealed_opens_for_its_holder_and_purpose_alone() -> None:
    sealed = NORTH.public.seal(b"a share", b"purpose")
    assert NORTH.unseal(sealed, b"purpose") == b"a share"
    assert NORTH.unseal(NORTH.public.seal(b"", b""), b"") == b""
    assert len(sealed) == len(b"a share") + 48
    assert sealed != NORTH.public.seal(b"a share", b"purpose")
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for bad in (*flipped, b"", sealed[:-1], sealed[1:], sealed + b"\0", bytes(len(sealed))):
        with pytest.raises(KeyRefused, match="does not open for north") as refusal:
            NORTH.unseal(bad, b"purpose")
        assert refusal.value.__context__ is None
    for identity, context in ((NORTH, b"purposf"), (NORTH, b""), (SOUTH, b"purpose")):
        with pytest.raises(KeyRefused, match=f"does not open for {identity.name}"):
            identity.unseal(sealed, context)


def test_sealing_is_the_rfc_s_base_mode() -> None:
    """RFC 9180 written out once more: DHKEM(X25519), HKDF-SHA256, ChaCha20-Poly1305."""
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x03"

    def extract(owner: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + owner + label + material, "sha256")

    def expand(owner: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
        data = length.to_bytes(2, "big") + b"HPKE-v1" + owner + label + info
        return hmac.digest(key, data + b"\x01", "sha256")[:length]

    sealed = NORTH.public.seal(b"plaintext", b"info")
    sent, ciphertext = sealed[:32], sealed[32:]
    secret = X25519PrivateKey.from_private_bytes(
        bytes.fromhex(json.loads(NORTH.to_json())["sealing_key"])
    ).exchange(X25519PublicKey.from_public_bytes(sent))
    shared = expand(
        kem,
        extract(kem, b"", b"eae_prk", secret),
        b"shared_secret",
        sent + NORTH.public.sealing_key,
        32,
    )
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", b"info")
    final = extract(suite, shared, b"secret", b"")
    key = expand(suite, final, b"key", context, 32)
    nonce = expand(suite, final, b"base_nonce", context, 12)
    assert ChaCha20Poly1305(key).decrypt(nonce, ciphertext, b"") == b"plaintext"


def test_the_text_forms_round_trip() -> None:
    again = Identity.from_json(NORTH.to_json())
    assert again.public == NORTH.public
    assert again.to_json() == NORTH.to_json()
    assert again.unseal(NORTH.public.seal(b"x", b"c"), b"c") == b"x"
    assert PublicIdentity.from_json(NORTH.public.to_json()) == NORTH.public
    assert json.loads(NORTH.public.to_json()) == NORTH.public.document()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "south"},
        {"sealing_key": SOUTH.public.sealing_key.hex()},
        {"nonce": SOUTH.public.nonce.hex()},
        {"signing_key": SOUTH.public.signing_key.hex()},
        {"signature": SOUTH.public.signature.hex()},
        {"signature": "0" * 128},
    ],
)
def test_no_part_of_a_public_identity_can_be_exchanged(change: dict[str, object]) -> None:
    with pytest.raises(SignatureRefused):
        PublicIdentity.from_document(changed(NORTH.public, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "fedscore-identity-1"}, "is no fedscore-public-identity-1"),
        ({"more": 1}, "holds exactly"),
        ({"name": 5}, "holds exactly"),
        ({"name": ""}, "name of an identity"),
        ({"nonce": 5}, "nonce of a .* must be 64 lower-case"),
        ({"nonce": "0" * 63}, "nonce of a .* must be 64 lower-case"),
        ({"nonce": NORTH.public.nonce.hex().upper()}, "nonce of a .* must be 64 lower-case"),
        ({"nonce": NORTH.public.nonce.hex() + "\n"}, "nonce of a .* must be 64 lower-case"),
        ({"signature": ""}, "signature of a .* must be 128 lower-case"),
    ],
)
def test_malformed_public_identities_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(KeyRefused, match=message):
        PublicIdentity.from_json(json.dumps(changed(NORTH.public, **change)))


def test_byte_strings_of_another_length_are_refused() -> None:
    for part in ("signing_key", "sealing_key", "nonce"):
        parts: dict[str, Any] = {
            name: getattr(NORTH.public, name)
            for name in ("name", "signing_key", "sealing_key", "nonce", "signature")
        }
        with pytest.raises(KeyRefused, match="must have 32 bytes each"):
            PublicIdentity(**parts | {part: parts[part] + b"\0"})


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a/b", "../a", ".a", "-a", "a\n", "ä", "a\0"])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(KeyRefused, match="use 1 to 64 letters"):
        Identity.generate(name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", "[" * 100_000, '{"kind": "x"}', "\ufffd"])
def test_texts_that_are_no_identity_are_refused(text: str) -> None:
    with pytest.raises(KeyRefused, match="is no fedscore-identity-1"):
        Identity.from_json(text)
    with pytest.raises(KeyRefused, match="is no fedscore-public-identity-1"):
        PublicIdentity.from_json(text)


def test_a_broken_secret_is_in_no_error() -> None:
    document = json.loads(NORTH.to_json())
    secret = document["signing_key"]
    for text in (
        NORTH.to_json()[:-1],
        json.dumps(document | {"signing_key": secret + "0"}),
        json.dumps(document | {"more": 1}),
    ):
        with pytest.raises(KeyRefused) as refusal:
            Identity.from_json(text)
        assert refusal.value.__context__ is None
        assert secret[:16] not in str(refusal.value)


def test_the_secret_is_in_no_representation() -> None:
    document = json.loads(NORTH.to_json())
    assert set(document) == {"kind", "name", "signing_key", "sealing_key", "nonce"}
    for text in (repr(NORTH), str(NORTH), f"{[NORTH]}", repr(NORTH.public), NORTH.public.to_json()):
        for part in ("signing_key", "sealing_key"):
            assert document[part][:12] not in text
            assert repr(bytes.fromhex(document[part]))[2:12] not in text
    assert "north" in repr(NORTH)
    assert "<secret>" in repr(NORTH)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_identities_are_not_pickled_or_copied(leak: Any) -> None:  # noqa: ANN401  # any function
    with pytest.raises(KeyRefused, match="not pickled"):
        leak(NORTH)


def test_generated_identities_share_nothing() -> None:
    first, second = Identity.generate("x").public, Identity.generate("x").public
    for part in ("signing_key", "sealing_key", "nonce", "fingerprint"):
        assert getattr(first, part) != getattr(second, part)


def test_a_seed_gives_one_identity_for_each_name() -> None:
    assert Identity.unsafe_from_seed("north", b"seed").to_json() == NORTH.to_json()
    assert Identity.unsafe_from_seed("north", b"seee").public.signing_key != NORTH.public.signing_key
    assert SOUTH.public.signing_key != NORTH.public.signing_key


def test_the_fingerprint_covers_every_part() -> None:
    claim = {name: value for name, value in NORTH.public.document().items() if name != "signature"}
    text = json.dumps(claim, sort_keys=True, separators=(",", ":"))
    assert NORTH.public.fingerprint == hashlib.sha256(text.encode()).hexdigest()
    assert set(claim) == {"kind", "name", "signing_key", "sealing_key", "nonce"}
