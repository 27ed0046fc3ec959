"""The sum of clipped gradients: its sensitivity, and that it does not matter who has which rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, Encoding
from fedscore.data import Rows
from fedscore.errors import MissingExtra
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.gradients import GradientQuery, OutcomeCounts
from fedscore.learners.neural.inputs import grid_inputs
from fedscore.sums import PlannedSum, SumRequest, derive_request, noised_total
from simulations.randomness import SeededRandomness

SCALE = 100_000


def query_of(contract: Contract, *, hidden: tuple[int, ...] = (5,), limit: float = 1.0) -> GradientQuery:
    inputs = grid_inputs(contract.tables, Encoding.STANDARDISED)
    architecture = Architecture(inputs=len(inputs), hidden=hidden)
    return GradientQuery(
        architecture=architecture,
        inputs=inputs,
        parameters=architecture.initial(-1.0),
        max_grad_norm=limit,
    )


def request_of(contract: Contract, query: GradientQuery) -> SumRequest:
    planned = PlannedSum(
        name="gradient",
        share=1,  # type: ignore[arg-type]  # an integer is a fraction
        sensitivity_squared=1,  # type: ignore[arg-type]
        largest=1,  # type: ignore[arg-type]
        integral=False,
        dimension_limit=query.dimension,
    )
    return derive_request(planned, dimension=query.dimension, mu=float("inf"), contract=contract)


def total(query: GradientQuery, parts: Sequence[Rows], request: SumRequest) -> npt.NDArray[np.int64]:
    sums = [
        noised_total(query, part, request, row_cap=5000, randomness=SeededRandomness(0)) for part in parts
    ]
    return np.asarray(np.sum(sums, axis=0, dtype=np.int64))


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
def test_the_sum_is_the_same_however_rows_are_spread_and_ordered(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], hidden: tuple[int, ...]
) -> None:
    query = query_of(tiny_contract, hidden=hidden)
    request = request_of(tiny_contract, query)
    rows = make_rows(500, 1)
    together = total(query, [rows], request)
    assert np.count_nonzero(together) > 5
    shuffled = rows.select(np.random.default_rng(2).permutation(500))
    for cuts in ([250], [1, 2, 3], [0, 0, 499], list(range(25, 500, 25))):
        bounds = [0, *cuts, 500]
        parts = [shuffled.select(slice(low, high)) for low, high in pairwise(bounds)]
        assert total(query, parts, request).tobytes() == together.tobytes()


@pytest.mark.parametrize("values", [1, 1000, 2**23])
def test_the_sum_is_the_same_whatever_fits_into_memory(
    tiny_contract: Contract,
    make_rows: Callable[[int, int], Rows],
    monkeypatch: pytest.MonkeyPatch,
    values: int,
) -> None:
    query = query_of(tiny_contract)
    request = request_of(tiny_contract, query)
    rows = make_rows(60, 1)
    whole = total(query, [rows], request)
    monkeypatch.setattr("fedscore.sums.share.BATCH_VALUES", values)
    assert total(query, [rows], request).tobytes() == whole.tobytes()


def test_another_record_moves_the_sum_by_its_own_vector_and_nothing_else(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    """The sensitivity, measured: neighbours differ in one record, wherever it stands."""
    query = query_of(tiny_contract, hidden=(6, 4))
    request = request_of(tiny_contract, query)
    rows = make_rows(80, 4)
    everybody = total(query, [rows], request)
    for place in (0, 1, 40, 79):
        mask = np.arange(80) != place
        difference = everybody - total(query, [rows.select(mask)], request)
        alone = total(query, [rows.select(~mask)], request)
        assert difference.tobytes() == alone.tobytes()
        assert sum(int(step) ** 2 for step in difference) <= request.sensitivity_squared
        assert difference.any()


@pytest.mark.parametrize("limit", [0.01, 0.3, 50.0])
def test_a_contribution_is_within_the_limit_on_the_lattice_without_being_cut(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], limit: float
) -> None:
    query = query_of(tiny_contract, limit=limit)
    values = query.contributions(make_rows(200, 2)).values
    steps = np.trunc(values * SCALE).astype(np.int64)
    squares = [sum(int(step) ** 2 for step in row) for row in steps]
    assert max(squares) <= int((limit * SCALE) ** 2)
    assert np.linalg.norm(values, axis=1).max() <= limit * (1 + 1e-9)


def test_no_rows_add_nothing_and_do_not_need_torch(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = query_of(tiny_contract)
    nobody = make_rows(5, 1).select(slice(0, 0))
    monkeypatch.setitem(sys.modules, "opacus", None)
    assert query.contributions(nobody).values.shape == (0, query.dimension)


def test_without_torch_or_opacus_it_is_said_what_to_install(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "opacus" else object())
    with pytest.raises(MissingExtra, match=r"and opacus cannot be found: install fedscore\[neural\]"):
        query_of(tiny_contract).contributions(make_rows(5, 1))


def test_outcomes_are_counted_bad_first(make_rows: Callable[[int, int], Rows]) -> None:
    rows = make_rows(300, 3)
    counted = OutcomeCounts().contributions(rows)
    found = counted.lattice_total(scale=3, limit_squared=9, dimension=OutcomeCounts().dimension)
    bad = int(rows.outcome.sum())
    assert found.tolist() == [3 * bad, 3 * (300 - bad)]
    assert 150 < bad < 300
