from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fedscore.errors import LayoutError
from privacy.paillier.packing import SlotLayout, pack, unpack

Vectors = Callable[[str], Any]


def test_packed_vectors_agree_with_plain_arithmetic(vectors: Vectors) -> None:
    cases = vectors("packing")["packed"]
    assert len(cases) == 60
    for case in cases:
        layout = SlotLayout(**case["layout"])
        values = [int(value) for value in case["values"]]
        plaintexts = [int(plaintext) for plaintext in case["plaintexts"]]
        assert pack(layout, values) == plaintexts
        assert unpack(layout, plaintexts, len(values)) == values


def test_plaintexts_that_are_no_sum_are_refused(vectors: Vectors) -> None:
    for case in vectors("packing")["refused"]:
        layout = SlotLayout(**case["layout"])
        with pytest.raises(LayoutError, match=re.escape(case["message"])):
            unpack(layout, [int(case["plaintext"])], case["length"])


@pytest.mark.parametrize(
    ("width", "max_abs", "max_summands"),
    [(2, 1, 1), (8, 127, 1), (8, 1, 127), (8, 63, 2), (63, 2**62 - 1, 1), (24, 2**19, 15), (40, 2**30, 511)],
)
def test_the_headroom_is_exact(width: int, max_abs: int, max_summands: int) -> None:
    layout = SlotLayout(width=width, max_abs=max_abs, max_summands=max_summands, slots=3)
    assert SlotLayout.for_sum(max_abs=max_abs, max_summands=max_summands, modulus_bits=2048).width == width
    for extreme in (max_abs, -max_abs):
        (plaintext,) = pack(layout, [extreme, -extreme, extreme])
        total = max_summands * extreme
        assert unpack(layout, [max_summands * plaintext], 3) == [total, -total, total]
    with pytest.raises(LayoutError, match=f"slots of {width - 1} bits cannot hold a sum"):
        SlotLayout(width=width - 1, max_abs=max_abs, max_summands=max_summands, slots=3)


@pytest.mark.parametrize("width", range(2, 63))
def test_a_sum_of_exactly_half_a_slot_is_refused(width: int) -> None:
    half = 1 << (width - 1)
    with pytest.raises(LayoutError, match=f"{width + 1} bits are needed"):
        SlotLayout(width=width, max_abs=half, max_summands=1, slots=1)
    assert SlotLayout(width=width, max_abs=half - 1, max_summands=1, slots=1).max_sum == half - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_abs": 0}, "at least 1"),
        ({"max_summands": 0}, "at least 1"),
        ({"slots": 0}, "at least 1"),
        ({"max_abs": -5}, "at least 1"),
        ({"width": 64}, "slots of 64 bits are refused"),
        ({"width": 0}, "cannot hold"),
        ({"width": -3}, "cannot hold"),
    ],
)
def test_layouts_that_cannot_be_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        SlotLayout(**({"width": 8, "max_abs": 10, "max_summands": 3, "slots": 4} | change))


def test_as_many_slots_as_fit_below_half_the_modulus() -> None:
    layout = SlotLayout.for_sum(max_abs=2**19, max_summands=10, modulus_bits=3072)
    assert (layout.width, layout.slots, layout.plaintexts_for(10_000)) == (24, 127, 79)
    layout.require_fit(24 * 127 + 1)
    with pytest.raises(LayoutError, match="127 slots of 24 bits do not fit below half of a 3048-bit modulus"):
        layout.require_fit(24 * 127)
    # The largest packed sum is below half of the smallest modulus of that length.
    (largest,) = pack(SlotLayout(width=24, max_abs=2**23 - 1, max_summands=1, slots=127), [2**23 - 1] * 127)
    assert largest < (1 << (24 * 127)) // 2


def test_a_sum_too_wide_for_int64_or_for_the_modulus_is_refused() -> None:
    assert SlotLayout.for_sum(max_abs=2**61, max_summands=1, modulus_bits=2048).width == 63
    with pytest.raises(LayoutError, match="slots of 64 bits are refused"):
        SlotLayout.for_sum(max_abs=2**61, max_summands=2, modulus_bits=2048)
    with pytest.raises(LayoutError, match="do not fit below half of a 20-bit modulus"):
        SlotLayout.for_sum(max_abs=2**19, max_summands=1, modulus_bits=20)


@pytest.mark.parametrize("value", [101, -101, 2**80])
def test_a_value_beyond_the_bound_is_refused_unnamed(value: int) -> None:
    layout = SlotLayout.for_sum(max_abs=100, max_summands=3, modulus_bits=512)
    with pytest.raises(LayoutError, match="exceeds the layout's bound of 100") as refusal:
        pack(layout, [0, value, 1])
    assert str(abs(value)) not in str(refusal.value)


def test_more_vectors_than_the_headroom_allows_are_refused() -> None:
    layout = SlotLayout.for_sum(max_abs=100, max_summands=3, modulus_bits=512)
    layout.require_summands(3)
    for count in (0, 4):
        with pytest.raises(LayoutError, match=f"a sum of {count} vectors is refused"):
            layout.require_summands(count)


def test_a_sum_with_one_vector_too_many_does_not_come_back_unnoticed() -> None:
    layout = SlotLayout.for_sum(max_abs=100, max_summands=3, modulus_bits=512)
    (plaintext,) = pack(layout, [100] * layout.slots)
    with pytest.raises(LayoutError, match="a slot exceeds 300"):
        unpack(layout, [4 * plaintext], layout.slots)


def test_integers_of_numpy_are_packed_and_floats_are_not() -> None:
    layout = SlotLayout.for_sum(max_abs=100, max_summands=3, modulus_bits=512)
    values = np.array([5, -100, 100], dtype=np.int64)
    assert unpack(layout, pack(layout, values), 3) == [5, -100, 100]  # type: ignore[arg-type]  # a sequence in fact
    with pytest.raises(TypeError):
        pack(layout, [1.5])  # type: ignore[list-item]  # the very thing that must fail
