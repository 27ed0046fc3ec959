"""Which rows share an identifier: digests beside plain sets and dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedscore.data.identity import DIGEST, Digests, Repeats, digests_of, grouped

NAMES = st.lists(st.text("ab\0", max_size=3), max_size=30)


def digests(*pairs: tuple[int, int]) -> Digests:
    return np.array(list(pairs), dtype=DIGEST)


def groups_of(found: Digests) -> list[list[int]]:
    order, starts = grouped(found)
    return [part.tolist() for part in np.split(order, starts[1:])] if len(found) else []


@given(NAMES)
def test_texts_are_the_same_where_their_digests_are(names: list[str]) -> None:
    found = digests_of(np.array(names, dtype=object)).tolist()
    assert len(set(found)) == len(set(names))
    assert all(
        (one == other) == (a == b)
        for one, a in zip(found, names, strict=True)
        for other, b in zip(found, names, strict=True)
    )


def test_a_digest_does_not_depend_on_the_kind_of_array() -> None:
    texts = ["a", "b", "\N{GREEK SMALL LETTER OMEGA}" * 40]
    np.testing.assert_array_equal(digests_of(np.array(texts)), digests_of(np.array(texts, dtype=object)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_groups_are_those_of_a_dictionary(pairs: list[tuple[int, int]]) -> None:
    """Also where two digests share one half, which those of texts never do."""
    expected: dict[tuple[int, int], list[int]] = {}
    for place, pair in enumerate(pairs):
        expected.setdefault(pair, []).append(place)
    assert sorted(groups_of(digests(*pairs))) == sorted(expected.values())


@given(st.lists(NAMES, max_size=4))
def test_repeats_are_counted_over_batches(batches: list[list[str]]) -> None:
    repeats = Repeats()
    for names in batches:
        texts = np.array(names, dtype=object)
        repeats.add(texts, digests_of(texts))
    counts = Counter(name for names in batches for name in names if name)
    assert repeats.count() == sum(count - 1 for count in counts.values())


def test_half_a_digest_alone_is_no_repetition() -> None:
    repeats = Repeats()
    repeats.add(np.array(["x", "y", "z"]), digests((1, 1), (1, 2), (2, 1)))
    assert repeats.count() == 0
