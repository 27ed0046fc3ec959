"""Signed integers side by side in one plaintext, with room for a sum.

A vector v is packed as P(v) = sum_i v_i 2^(w i), with the signs kept. P is linear, so adding plaintexts adds
every slot, negative ones included, and no party's offset has to be counted.

Headroom. Let w be the width and T = max_summands * max_abs < 2^(w-1). A sum of at most max_summands vectors
has |v_i| <= T <= 2^(w-1) - 1 in every slot. Let B = sum_i 2^(w-1) 2^(w i) over the s slots. Then P(v) + B
has the digits v_i + 2^(w-1) in base 2^w, each in [1, 2^w - 1]: no digit borrows from or spills into its
neighbour, and digits in base 2^w are unique, so they give v back. Moreover
|P(v)| <= (2^(w-1) - 1)(2^(w s) - 1)/(2^w - 1) < 2^(w s - 1); with w s <= bits(n) - 1 this is
< 2^(bits(n) - 2) <= n/2, so the residue of P(v) modulo n nearest to zero is P(v) itself.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import gmpy2

from fedscore.errors import LayoutError

__all__ = ["MAXIMUM_WIDTH", "SlotLayout", "pack", "unpack"]

MAXIMUM_WIDTH = 63
"""The widest slot: a sum is below 2^62 in absolute value, so openings and differences of two fit int64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLayout:
    """Fixed-width slots, so that adding packed plaintexts adds every value in them.

    Invariant (checked once, here): `max_summands * max_abs < 2 ** (width - 1)`, so a sum of at most
    `max_summands` vectors cannot spill into its neighbour (proof in the module's docstring).

    Attributes:
        width: Bits per slot, sign included; at most `MAXIMUM_WIDTH`.
        max_abs: Largest absolute value accepted from one party, in lattice steps.
        max_summands: Largest number of parties in one sum.
        slots: Slots per plaintext.

    Raises:
        LayoutError: A number is not positive, the slots are too wide for int64, or the invariant does not
            hold.
    """

    width: int
    max_abs: int
    max_summands: int
    slots: int

    def __post_init__(self) -> None:
        if min(self.max_abs, self.max_summands, self.slots) < 1:
            raise LayoutError("max_abs, max_summands and slots must all be at least 1: correct the layout")
        if self.width > MAXIMUM_WIDTH:
            raise LayoutError(
                f"slots of {self.width} bits are refused: sums must fit int64, {MAXIMUM_WIDTH} bits at most; "
                "lower the bound of a value, the number of parties, or the resolution"
            )
        if self.max_sum >= 1 << max(0, self.width - 1):
            raise LayoutError(
                f"slots of {self.width} bits cannot hold a sum of {self.max_summands} values of up to "
                f"{self.max_abs}: {self.headroom_width} bits are needed"
            )

    @classmethod
    def for_sum(cls, *, max_abs: int, max_summands: int, modulus_bits: int) -> Self:
        """The layout with the narrowest slots for a sum, as many as fit below half the modulus.

        Args:
            max_abs: Largest absolute value of one party, in lattice steps.
            max_summands: Largest number of parties in one sum.
            modulus_bits: Bits of the public key's n.

        Raises:
            LayoutError: The slots would be wider than `MAXIMUM_WIDTH`, or not one fits below n/2.
        """
        width = (max_abs * max_summands).bit_length() + 1
        layout = cls(
            width=width, max_abs=max_abs, max_summands=max_summands, slots=max(1, (modulus_bits - 1) // width)
        )
        layout.require_fit(modulus_bits)
        return layout

    @property
    def headroom_width(self) -> int:
        """The least width for which the invariant holds."""
        return (self.max_summands * self.max_abs).bit_length() + 1

    @property
    def max_sum(self) -> int:
        """Largest absolute value that a slot of a sum can hold."""
        return self.max_summands * self.max_abs

    @property
    def offset(self) -> int:
        """B of the module's proof: half a slot in every slot."""
        ones = ((1 << (self.width * self.slots)) - 1) // ((1 << self.width) - 1)
        return ones << (self.width - 1)

    def plaintexts_for(self, length: int) -> int:
        """Number of plaintexts that a vector of this length takes."""
        return -(-length // self.slots)

    def require_fit(self, modulus_bits: int) -> None:
        """Refuse slots that do not lie below half of a modulus of so many bits.

        Raises:
            LayoutError: A packed sum could exceed n/2 and come back as another number.
        """
        if self.width * self.slots > modulus_bits - 1:
            raise LayoutError(
                f"{self.slots} slots of {self.width} bits do not fit below half of a {modulus_bits}-bit "
                f"modulus: use at most {max(0, modulus_bits - 1) // self.width} slots, or a larger key"
            )

    def require_summands(self, count: int) -> None:
        """Refuse a sum of more vectors than the slots have headroom for.

        Raises:
            LayoutError: The sum has no vector, or more than `max_summands`.
        """
        if not 1 <= count <= self.max_summands:
            raise LayoutError(
                f"a sum of {count} vectors is refused: this layout has headroom for 1 to "
                f"{self.max_summands}; build the layout for more parties"
            )


def pack(layout: SlotLayout, values: Sequence[int]) -> list[int]:
    """Pack a vector into signed plaintexts.

    Args:
        layout: The slots.
        values: The vector, any length; each value at most `layout.max_abs` in absolute value.

    Returns:
        `layout.plaintexts_for(len(values))` signed integers, each below 2^(width slots - 1) in absolute
        value. The first value is in the lowest slot of the first; unused slots of the last hold zero.

    Raises:
        LayoutError: A value exceeds `layout.max_abs`; the message does not say which or by how much.
    """
    # Numpy's integers pass, floats do not.
    integers = list(map(operator.index, values))
    if integers and not -layout.max_abs <= min(integers) <= max(integers) <= layout.max_abs:
        raise LayoutError(
            f"a value exceeds the layout's bound of {layout.max_abs}: bound the vector before packing, or "
            "build the layout for larger values"
        )
    half = 1 << (layout.width - 1)
    offset = layout.offset
    digits = [value + half for value in integers]
    digits += [half] * (-len(digits) % layout.slots)
    return [
        int(gmpy2.pack(digits[start : start + layout.slots], layout.width)) - offset
        for start in range(0, len(digits), layout.slots)
    ]


def unpack(layout: SlotLayout, plaintexts: Sequence[int], length: int) -> list[int]:
    """Read the vector back out of a sum of packed plaintexts.

    Args:
        layout: The slots that the summands were packed with.
        plaintexts: Signed plaintexts as in `Opening.plaintext`.
        length: Number of values in the vector.

    Returns:
        The sum vector.

    Raises:
        LayoutError: The number of plaintexts is not that of the length, or they are no sum of at most
            `max_summands` packed vectors: too large, a slot beyond `max_sum`, or unused slots in use.
    """
    if len(plaintexts) != layout.plaintexts_for(length):
        raise LayoutError(
            f"{len(plaintexts)} plaintexts do not hold {length} values: this layout needs "
            f"{layout.plaintexts_for(length)}"
        )
    half = 1 << (layout.width - 1)
    offset = layout.offset
    limit = 1 << (layout.width * layout.slots)
    values: list[int] = []
    for plaintext in plaintexts:
        shifted = plaintext + offset
        if not 0 <= shifted < limit:
            raise LayoutError(
                "a plaintext lies outside the layout's range, so it is no sum of packed vectors"
            )
        digits = gmpy2.unpack(shifted, layout.width)
        # gmpy2 leaves out leading zero digits.
        digits += [0] * (layout.slots - len(digits))
        values.extend(int(digit) - half for digit in digits)
    if values and not -layout.max_sum <= min(values) <= max(values) <= layout.max_sum:
        raise LayoutError(
            f"a slot exceeds {layout.max_sum}, the most that {layout.max_summands} honest parties can sum "
            "to: some party left its bounds"
        )
    if any(values[length:]):
        raise LayoutError(f"slots beyond the {length} values are in use: some party packed another vector")
    return values[:length]
