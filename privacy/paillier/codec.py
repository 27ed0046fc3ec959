"""The canonical wire form of a vector of ciphertexts.

All integers are little-endian and unsigned. The header (73 bytes) is followed by the ciphertexts as residues
of fixed width, the bytes of n^2:

    magic "fedsum" | version 2 | key id 32 | run 16 | round 4 | width 1 | slots 4 | values 4 | ciphertexts 4

The receiver derives the whole header itself and compares, so lengths from the wire decide nothing. One vector
has one encoding. Decoding lets only canonical units modulo n^2 through: nothing else is ever multiplied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from fedscore.errors import CiphertextRefused, KeyRefused
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import MAXIMUM_WIDTH, SlotLayout

__all__ = ["RUN_ID_BYTES", "VectorHeader", "decode_ciphertexts", "encode_ciphertexts", "vector_bytes"]

RUN_ID_BYTES = 16

_MAGIC = b"fedsum"
_VERSION = 1
_HEADER = struct.Struct("<6sH32s16sIBIII")
_FIELDS = ("key_id", "run", "round_number", "width", "slots", "values", "ciphertexts")
_LARGEST = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorHeader:
    """What both ends know of a vector before it is sent; the same for every party in a round.

    Attributes:
        key_id: The public key's id.
        run: The run's id, 16 bytes.
        round_number: The round's number under the key.
        width: Bits per slot.
        slots: Slots per ciphertext.
        values: Number of values in the vector, at least 1.

    Raises:
        CiphertextRefused: A field does not fit its place on the wire.
    """

    key_id: str
    run: bytes
    round_number: int
    width: int
    slots: int
    values: int

    def __post_init__(self) -> None:
        if len(self.run) != RUN_ID_BYTES:
            raise CiphertextRefused(f"a run id has {RUN_ID_BYTES} bytes, not {len(self.run)}: draw a new one")
        if not 0 <= self.round_number <= _LARGEST or not 1 <= self.values <= _LARGEST:
            raise CiphertextRefused(
                f"round numbers and lengths must lie below {_LARGEST + 1}: split the vector"
            )
        if not 1 <= self.width <= MAXIMUM_WIDTH or not 1 <= self.slots <= _LARGEST:
            raise CiphertextRefused(
                f"slots have 1 to {MAXIMUM_WIDTH} bits, and one at least is needed: take a layout's header"
            )

    @classmethod
    def of(
        cls, public_key: PublicKey, layout: SlotLayout, *, run: bytes, round_number: int, values: int
    ) -> Self:
        """The header for vectors of `values` integers in a layout under a key.

        Raises:
            LayoutError: The layout does not fit below half of the key's modulus.
            CiphertextRefused: A field does not fit its place on the wire.
        """
        layout.require_fit(public_key.bits)
        return cls(
            key_id=public_key.key_id,
            run=run,
            round_number=round_number,
            width=layout.width,
            slots=layout.slots,
            values=values,
        )

    @property
    def ciphertexts(self) -> int:
        """Number of ciphertexts."""
        return -(-self.values // self.slots)


def encode_ciphertexts(public_key: PublicKey, header: VectorHeader, ciphertexts: tuple[int, ...]) -> bytes:
    """Write a vector of ciphertexts.

    Args:
        public_key: The key.
        header: What the receiver expects.
        ciphertexts: As `encrypt` or `add` returned them.

    Returns:
        The canonical bytes: 73 + header.ciphertexts * bytes(n^2).

    Raises:
        KeyRefused: The header is for another key.
        CiphertextRefused: The number of ciphertexts is not the header's, or one is not canonical.
    """
    _require_key(public_key, header)
    if len(ciphertexts) != header.ciphertexts:
        raise CiphertextRefused(
            f"{len(ciphertexts)} ciphertexts do not hold {header.values} values: {header.ciphertexts} are "
            "needed"
        )
    _require_canonical(public_key, ciphertexts)
    size = public_key.ciphertext_bytes
    head = _HEADER.pack(_MAGIC, _VERSION, *_on_the_wire(header))
    return head + b"".join(ciphertext.to_bytes(size, "little") for ciphertext in ciphertexts)


def decode_ciphertexts(data: bytes, *, public_key: PublicKey, expected: VectorHeader) -> tuple[int, ...]:
    """Read a vector of ciphertexts, letting nothing through but canonical units of the expected vector.

    Args:
        data: What came over the wire.
        public_key: The key.
        expected: The header that the receiver derived itself.

    Returns:
        The ciphertexts, `expected.ciphertexts` of them.

    Raises:
        KeyRefused: The expected header is for another key.
        CiphertextRefused: The bytes differ from the expected header in any field, are too short or too long,
            or hold a number that is no canonical ciphertext. The caller adds who sent them.
    """
    _require_key(public_key, expected)
    if len(data) < _HEADER.size:
        raise CiphertextRefused(
            f"{len(data)} bytes hold no header of {_HEADER.size} bytes: send the vector whole"
        )
    magic, version, *sent = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise CiphertextRefused("the bytes are no vector of ciphertexts: they do not begin with its mark")
    if version != _VERSION:
        raise CiphertextRefused(
            f"version {version} of the wire form is refused: version {_VERSION} is understood; update the "
            "older side"
        )
    for name, value, wanted in zip(_FIELDS, sent, _on_the_wire(expected), strict=True):
        if value != wanted:
            raise CiphertextRefused(
                f"the vector's {name} differs from what was asked for: answer the request"
            )
    size = public_key.ciphertext_bytes
    if len(data) != vector_bytes(public_key, expected):
        raise CiphertextRefused(
            f"{len(data)} bytes are refused: {expected.ciphertexts} ciphertexts of {size} bytes and the "
            f"header make {vector_bytes(public_key, expected)}"
        )
    residues = tuple(
        int.from_bytes(data[start : start + size], "little") for start in range(_HEADER.size, len(data), size)
    )
    _require_canonical(public_key, residues)
    return residues


def vector_bytes(public_key: PublicKey, header: VectorHeader) -> int:
    """Length of a vector's encoding."""
    return _HEADER.size + header.ciphertexts * public_key.ciphertext_bytes


def _on_the_wire(header: VectorHeader) -> tuple[bytes | int, ...]:
    """The header's fields in the order of `_FIELDS`."""
    key_id = bytes.fromhex(header.key_id)
    return (
        key_id,
        header.run,
        header.round_number,
        header.width,
        header.slots,
        header.values,
        header.ciphertexts,
    )


def _require_key(public_key: PublicKey, header: VectorHeader) -> None:
    if header.key_id != public_key.key_id:
        raise KeyRefused("the header is for another key: derive it from the key in use")


def _require_canonical(public_key: PublicKey, ciphertexts: tuple[int, ...]) -> None:
    if public_key.are_ciphertexts(ciphertexts):
        return
    for position, ciphertext in enumerate(ciphertexts, start=1):
        reason = public_key.why_no_ciphertext(ciphertext)
        if reason is not None:
            raise CiphertextRefused(
                f"ciphertext {position} of {len(ciphertexts)} {reason}: encrypt the vector anew under this "
                "key"
            )
