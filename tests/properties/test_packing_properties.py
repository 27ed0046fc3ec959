from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.errors import LayoutError
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.packing import MAXIMUM_WIDTH, SlotLayout, pack, unpack
from privacy.paillier.products import split
from privacy.paillier.threshold import combine, partial_opening


@st.composite
def layouts(draw: st.DrawFn) -> SlotLayout:
    """Layouts from the tightest to roomy ones, of any width."""
    max_summands = draw(st.integers(1, 40))
    max_abs = draw(st.integers(1, (2 ** (MAXIMUM_WIDTH - 1) - 1) // max_summands))
    least = (max_abs * max_summands).bit_length() + 1
    width = draw(st.one_of(st.just(least), st.integers(least, MAXIMUM_WIDTH)))
    return SlotLayout(width=width, max_abs=max_abs, max_summands=max_summands, slots=draw(st.integers(1, 50)))


@st.composite
def parties(draw: st.DrawFn, layout: SlotLayout) -> list[list[int]]:
    """As many vectors as the layout allows at most, their values often at the bounds."""
    length = draw(st.integers(0, 3 * layout.slots))
    count = draw(st.one_of(st.just(layout.max_summands), st.integers(1, layout.max_summands)))
    value = st.one_of(
        st.sampled_from([-layout.max_abs, layout.max_abs]), st.integers(-layout.max_abs, layout.max_abs)
    )
    pattern = draw(st.lists(value, min_size=1, max_size=7))
    rotate = draw(st.integers(0, 6))
    return [[pattern[(i + k * rotate) % len(pattern)] for i in range(length)] for k in range(count)]


def summed(vectors: list[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*vectors, strict=True)]


@given(st.data())
def test_unpacking_a_sum_of_packed_vectors_is_the_sum_of_the_vectors(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    vectors = data.draw(parties(layout))
    total = summed([pack(layout, vector) for vector in vectors])
    assert unpack(layout, total, len(vectors[0])) == summed(vectors)


@given(layouts(), st.sampled_from([-1, 1]), st.integers(1, 120))
def test_every_party_at_its_bound_still_fits_and_fits_int64(
    layout: SlotLayout, sign: int, length: int
) -> None:
    vector = [sign * layout.max_abs] * length
    total = [layout.max_summands * plaintext for plaintext in pack(layout, vector)]
    assert unpack(layout, total, length) == [sign * layout.max_sum] * length
    assert layout.max_sum < 2**62


@given(layouts(), st.integers(1, 5), st.sampled_from([-1, 1]), st.integers(0, 100))
def test_values_beyond_the_bound_never_enter_a_slot(
    layout: SlotLayout, excess: int, sign: int, at: int
) -> None:
    vector = [0] * 101
    vector[at] = sign * (layout.max_abs + excess)
    with pytest.raises(LayoutError, match="exceeds the layout's bound"):
        pack(layout, vector)


@given(st.integers(1, 2**70), st.integers(1, 2**10), st.integers(64, 4096))
def test_the_chosen_layout_is_the_least_and_lies_below_half_of_every_modulus(
    max_abs: int, max_summands: int, bits: int
) -> None:
    if max_abs * max_summands >= 2**62:
        with pytest.raises(LayoutError):
            SlotLayout.for_sum(max_abs=max_abs, max_summands=max_summands, modulus_bits=bits)
        return
    layout = SlotLayout.for_sum(max_abs=max_abs, max_summands=max_summands, modulus_bits=bits)
    assert layout.max_sum < 2 ** (layout.width - 1)
    assert layout.max_sum >= 2 ** (layout.width - 2)
    (packed,) = pack(layout, [max_abs] * layout.slots)
    smallest_modulus = (1 << (bits - 1)) + 1
    assert max_summands * packed <= smallest_modulus // 2
    with pytest.raises(LayoutError):
        SlotLayout(
            width=layout.width, max_abs=max_abs, max_summands=max_summands, slots=layout.slots + 1
        ).require_fit(bits)


@pytest.fixture(scope="module")
def toy() -> Ceremony:
    path = Path(__file__).parents[1] / "vectors" / "paillier_safe_primes.json"
    p, q = (int(prime, 16) for prime in json.loads(path.read_text())["128"])
    return unsafe_deal_from_primes(p, q, members=3, threshold=2)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_opened_sum_of_encrypted_vectors_is_the_sum_of_the_vectors(
    toy: Ceremony, data: st.DataObject
) -> None:
    key = toy.public_key
    max_summands = data.draw(st.integers(1, 6))
    max_abs = data.draw(st.integers(1, 2**40))
    layout = SlotLayout.for_sum(max_abs=max_abs, max_summands=max_summands, modulus_bits=key.bits)
    vectors = data.draw(parties(layout))
    sealed = [split(key.n, encrypt(key, pack(layout, vector)).ciphertexts) for vector in vectors]
    plaintexts = []
    for ciphertext in add(key, sealed):
        parts = {share.index: partial_opening(share, ciphertext) for share in toy.shares[:2]}
        plaintexts.append(combine(toy.committee, ciphertext, parts).plaintext)
    assert unpack(layout, plaintexts, len(vectors[0])) == summed(vectors)
