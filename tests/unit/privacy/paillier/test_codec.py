from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from fedscore.errors import CiphertextRefused, KeyRefused, LayoutError
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.codec import VectorHeader, decode_ciphertexts, encode_ciphertexts
from privacy.paillier.encryption import encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import SlotLayout

Vectors = Callable[[str], Any]


@pytest.fixture(scope="module")
def data(vectors: Vectors) -> Any:  # noqa: ANN401  # parsed JSON
    return vectors("ciphertexts")


@pytest.fixture(scope="module")
def key(data: Any) -> PublicKey:  # noqa: ANN401  # parsed JSON
    return PublicKey(int(data["n"], 16), unsafe_minimum_bits=256)


@pytest.fixture(scope="module")
def header(data: Any, key: PublicKey) -> VectorHeader:  # noqa: ANN401  # parsed JSON
    return VectorHeader.of(
        key,
        SlotLayout(**data["layout"]),
        run=bytes.fromhex(data["run"]),
        round_number=data["round"],
        values=data["values"],
    )


@pytest.fixture(scope="module")
def units(data: Any) -> tuple[int, ...]:  # noqa: ANN401  # parsed JSON
    return tuple(int(number, 16) for number in data["ciphertexts"])


def test_the_bytes_are_those_of_the_vector(
    data: Any,  # noqa: ANN401  # parsed JSON
    key: PublicKey,
    header: VectorHeader,
    units: tuple[int, ...],
) -> None:
    encoded = encode_ciphertexts(key, header, units)
    assert encoded.hex() == data["data"]
    assert len(encoded) == 73 + 3 * 64
    assert decode_ciphertexts(encoded, public_key=key, expected=header) == units


def test_everything_else_is_refused_and_says_what_it_was(
    data: Any,  # noqa: ANN401  # parsed JSON
    key: PublicKey,
    header: VectorHeader,
) -> None:
    assert len(data["refused"]) == 32
    for case in data["refused"]:
        with pytest.raises(CiphertextRefused, match=re.escape(case["message"])):
            decode_ciphertexts(bytes.fromhex(case["data"]), public_key=key, expected=header)


def test_every_flipped_byte_of_the_header_is_refused(
    data: Any,  # noqa: ANN401  # parsed JSON
    key: PublicKey,
    header: VectorHeader,
) -> None:
    good = bytes.fromhex(data["data"])
    for position in range(73):
        bad = bytearray(good)
        bad[position] ^= 0x40
        with pytest.raises(CiphertextRefused):
            decode_ciphertexts(bytes(bad), public_key=key, expected=header)


def test_every_length_but_the_right_one_is_refused(
    data: Any,  # noqa: ANN401  # parsed JSON
    key: PublicKey,
    header: VectorHeader,
) -> None:
    good = bytes.fromhex(data["data"])
    for length in range(len(good)):
        with pytest.raises(CiphertextRefused, match=f"^{length} bytes"):
            decode_ciphertexts(good[:length], public_key=key, expected=header)


def test_refusals_name_no_factor_of_the_key(
    data: Any,  # noqa: ANN401  # parsed JSON
    vectors: Vectors,
    key: PublicKey,
    header: VectorHeader,
) -> None:
    factors = [int(prime, 16) for prime in vectors("safe_primes")["128"]]
    for case in data["refused"]:
        with pytest.raises(CiphertextRefused) as refusal:
            decode_ciphertexts(bytes.fromhex(case["data"]), public_key=key, expected=header)
        for factor in factors:
            assert str(factor) not in str(refusal.value)
            assert f"{factor:x}" not in str(refusal.value)


def test_what_is_no_ciphertext_is_not_sent(
    key: PublicKey, header: VectorHeader, units: tuple[int, ...]
) -> None:
    for bad in (0, -1, key.n, key.n_squared, 1 << 5000):
        with pytest.raises(CiphertextRefused, match="ciphertext 2 of 3"):
            encode_ciphertexts(key, header, (units[0], bad, units[2]))
    for wrong in ((), units[:2], (*units, units[0])):
        with pytest.raises(CiphertextRefused, match=f"^{len(wrong)} ciphertexts do not hold 25 values"):
            encode_ciphertexts(key, header, wrong)


def test_a_header_of_another_key_is_refused_on_both_ends(
    toy: Ceremony,
    data: Any,  # noqa: ANN401  # parsed JSON
    header: VectorHeader,
    units: tuple[int, ...],
) -> None:
    with pytest.raises(KeyRefused, match="another key"):
        encode_ciphertexts(toy.public_key, header, units)
    with pytest.raises(KeyRefused, match="another key"):
        decode_ciphertexts(bytes.fromhex(data["data"]), public_key=toy.public_key, expected=header)


def test_every_field_of_the_header_is_on_the_wire_and_compared(
    key: PublicKey, header: VectorHeader, units: tuple[int, ...]
) -> None:
    others = {"run": b"\xff" * 16, "round_number": 8, "width": 25, "slots": 11, "values": 26}
    assert {field.name for field in dataclasses.fields(VectorHeader)} == {"key_id", *others}
    encoded = encode_ciphertexts(key, header, units)
    for name, value in others.items():
        expected = VectorHeader(
            **{f.name: getattr(header, f.name) for f in dataclasses.fields(header)} | {name: value}
        )
        with pytest.raises(CiphertextRefused, match=f"{name} differs"):
            decode_ciphertexts(encoded, public_key=key, expected=expected)


def test_a_layout_that_does_not_fit_the_key_gets_no_header(key: PublicKey) -> None:
    layout = SlotLayout(width=16, max_abs=5, max_summands=3, slots=16)
    with pytest.raises(LayoutError, match="do not fit below half of a 256-bit modulus"):
        VectorHeader.of(key, layout, run=bytes(16), round_number=0, values=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": b""}, "run id has 16 bytes, not 0"),
        ({"run": bytes(17)}, "run id has 16 bytes, not 17"),
        ({"round_number": -1}, "must lie below"),
        ({"round_number": 1 << 32}, "must lie below"),
        ({"width": 0}, "slots have 1 to 63 bits"),
        ({"width": 64}, "slots have 1 to 63 bits"),
        ({"slots": 0}, "slots have 1 to 63 bits"),
        ({"slots": 1 << 32}, "slots have 1 to 63 bits"),
        ({"values": 0}, "must lie below"),
        ({"values": 1 << 32}, "must lie below"),
    ],
)
def test_fields_that_do_not_fit_the_wire_are_refused(
    header: VectorHeader, change: dict[str, Any], message: str
) -> None:
    fields = {field.name: getattr(header, field.name) for field in dataclasses.fields(header)}
    with pytest.raises(CiphertextRefused, match=message):
        VectorHeader(**(fields | change))


def test_an_encrypted_vector_survives_the_wire(toy: Ceremony) -> None:
    key = toy.public_key
    layout = SlotLayout.for_sum(max_abs=100, max_summands=3, modulus_bits=key.bits)
    header = VectorHeader.of(key, layout, run=bytes(16), round_number=(1 << 32) - 1, values=layout.slots + 1)
    ciphertexts = encrypt(key, [1, -1]).ciphertexts
    encoded = encode_ciphertexts(key, header, ciphertexts)
    assert decode_ciphertexts(encoded, public_key=key, expected=header) == ciphertexts
