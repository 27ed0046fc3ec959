"""The opened sums, and so the card, do not depend on how rows are spread over the parties."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode, Recipe
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.sums import noised_total
from simulations.randomness import SeededRandomness

ROWS = 600


def open_all(contract: Contract, parts: Sequence[Rows]) -> tuple[list[npt.NDArray[np.int64]], str]:
    agenda = Agenda(contract.with_privacy(noise=NoiseMode.NONE), run="0" * 32)
    openings: list[npt.NDArray[np.int64]] = []
    for _ in range(agenda.rounds):
        query, request = agenda.next_sum(openings)
        openings.append(
            sum(
                (
                    noised_total(
                        query,
                        part,
                        request,
                        row_cap=contract.rows.row_cap,
                        randomness=SeededRandomness(1),
                    )
                    for part in parts
                ),
                np.zeros(request.dimension, dtype=np.int64),
            )
        )
    card = agenda.finish(openings)
    assert isinstance(card, Card)
    return openings, card.to_json()


@pytest.mark.parametrize("recipe", list(Recipe))
@given(seed=st.integers(0, 2**32 - 1), parties=st.integers(1, 7), data=st.data())
def test_any_partition_in_any_order_opens_the_same_integers(
    tiny_contract: Contract,
    make_rows: Callable[[int, int], Rows],
    recipe: Recipe,
    seed: int,
    parties: int,
    data: st.DataObject,
) -> None:
    contract = tiny_contract.with_recipe(recipe)
    rows = make_rows(ROWS, seed)
    shuffled = rows.select(np.random.default_rng(seed).permutation(ROWS))
    cuts = sorted(data.draw(st.lists(st.integers(0, ROWS), min_size=parties - 1, max_size=parties - 1)))
    bounds = [0, *cuts, ROWS]
    parts = [shuffled.select(slice(bounds[i], bounds[i + 1])) for i in range(parties)]

    together, card = open_all(contract, [rows])
    apart, card_apart = open_all(contract, parts)

    for one, other in zip(together, apart, strict=True):
        assert one.tolist() == other.tolist()
    assert card == card_apart
