"""Grades and metrics, like points, do not depend on how rows are spread over the parties."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import NoiseMode
from fedscore.data import Rows
from simulations.randomness import SeededRandomness
from tests.evaluations import open_all, product_contract, product_rows

ROWS = 600


def dealt(rows: Rows, parties: int, seed: int, data: st.DataObject) -> list[Rows]:
    """Rows in any order, in so many parts, empty ones among them."""
    shuffled = rows.select(np.random.default_rng(seed).permutation(len(rows)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=parties - 1, max_size=parties - 1)))
    bounds = [0, *cuts, len(rows)]
    return [shuffled.select(slice(bounds[i], bounds[i + 1])) for i in range(parties)]


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 2), parties=st.integers(2, 7), data=st.data())
def test_grades_and_metrics_do_not_depend_on_who_holds_which_rows(
    tiny_text: str, seed: int, parties: int, data: st.DataObject
) -> None:
    contract = product_contract(tiny_text, noise=NoiseMode.NONE)
    training, testing = product_rows(contract, ROWS, seed), product_rows(contract, ROWS, seed + 1)

    together, card = open_all(contract, [training], [testing], SeededRandomness(1))
    apart, card_apart = open_all(
        contract,
        dealt(training, parties, seed, data),
        dealt(testing, parties, seed, data),
        SeededRandomness(2),
    )

    assert len(together) == len(apart) == 13
    for one, other in zip(together, apart, strict=True):
        assert one.tolist() == other.tolist()
    assert card.to_json() == card_apart.to_json()
    assert card.evaluation is not None
