"""What a model sees of a row follows from its cells and the public tables, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fedscore.contract import Cell, CellKind, Contract, Encoding, Table
from fedscore.data import Rows
from fedscore.errors import ContractError, DataError
from fedscore.learners.neural.fixed_point import INPUT_STEP
from fedscore.learners.neural.inputs import Inputs, evidence_inputs, grid_inputs
from fedscore.learners.scorecard.axes import Axes


def singles(contract: Contract) -> list[Table]:
    return [table for table in contract.tables if not table.parents]


def named(inputs: Inputs, name: str) -> np.ndarray:
    return inputs.values[inputs.names.index(name)]


def test_places_along_a_grid_have_mean_0_and_variance_1_over_cells(tiny_contract: Contract) -> None:
    inputs = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED)
    for table in singles(tiny_contract)[:2]:
        places = named(inputs, f"{table.name}: place along the grid") * np.sqrt(3.0)
        along = places[: table.ordered]
        assert abs(along.mean()) < 1e-4
        assert along.var() == pytest.approx(1.0, abs=1e-3)
        assert np.ptp(np.diff(along)) < 3e-4
        assert (np.diff(along) > 0).all()
        assert (places[table.ordered :] == 0).all()


def test_every_cell_beside_the_grid_has_an_indicator(tiny_contract: Contract) -> None:
    inputs = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED)
    assert inputs.names == (
        "utilisation: place along the grid",
        "utilisation: missing",
        "late_payments: place along the grid",
        "late_payments: not reported",
        "late_payments: missing",
        "segment: card",
        "segment: loan",
        "segment: other",
        "segment: missing",
        "segment: not held",
    )
    assert inputs.tables == (0, 0, 1, 1, 1, 2, 2, 2, 2, 2)
    for name, table, values in zip(inputs.names, inputs.tables, inputs.values, strict=True):
        if "place along" in name:
            continue
        cells = tiny_contract.tables[table].cells
        [place] = np.flatnonzero(values)
        assert cells[place].label == name.split(": ")[1]
        assert values[place] == pytest.approx(1 / np.sqrt(3.0), abs=INPUT_STEP)


def test_a_row_that_is_not_held_is_told_from_one_that_is_missing(tiny_contract: Contract) -> None:
    segment = tiny_contract.tables[2]
    kinds = [cell.kind for cell in segment.cells]
    rows = np.zeros((2, len(tiny_contract.tables)), dtype=np.int32)
    rows[:, 2] = kinds.index(CellKind.MISSING), kinds.index(CellKind.NOT_HELD)
    seen = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED).of(rows)
    assert (seen[0] != seen[1]).sum() == 2


def test_one_hot_rows_have_one_indicator_per_characteristic(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    inputs = grid_inputs(tiny_contract.tables, Encoding.ONE_HOT)
    rows = make_rows(300, 1)
    seen = inputs.of(rows.cells)
    assert seen.shape == (300, sum(table.size for table in singles(tiny_contract)))
    assert len(np.unique(seen)) == 2
    tables = np.array(inputs.tables)
    for table in range(3):
        of_table = seen[:, tables == table] > 0
        assert (of_table.sum(axis=1) == 1).all()
        assert (of_table.argmax(axis=1) == rows.cells[:, table]).all()
    assert np.square(seen).sum(axis=1) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("encoding", [Encoding.STANDARDISED, Encoding.ONE_HOT])
def test_interactions_are_left_to_the_model(tiny_contract: Contract, encoding: Encoding) -> None:
    assert 3 not in grid_inputs(tiny_contract.tables, encoding).tables


def test_a_category_is_never_ordered(tiny_contract: Contract) -> None:
    names = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED).names
    assert "segment: place along the grid" not in names


def test_a_grid_of_one_cell_has_an_indicator_and_no_place() -> None:
    table = Table(
        name="any",
        cells=(Cell(label="any value", kind=CellKind.VALUE), Cell(label="missing", kind=CellKind.MISSING)),
        ordered=1,
        monotone=None,
    )
    inputs = grid_inputs([table], Encoding.STANDARDISED)
    assert inputs.names == ("any: any value", "any: missing")
    assert np.isfinite(np.array(inputs.values)).all()


def test_evidence_has_one_value_per_cell_and_indicators_of_what_is_unknown(tiny_contract: Contract) -> None:
    cells = Axes.of(tiny_contract).cells
    evidence = np.random.default_rng(0).normal(size=cells)
    inputs = evidence_inputs(tiny_contract.tables, evidence)
    assert [name for name in inputs.names if "weight of evidence" in name] == [
        f"{table.name}: weight of evidence" for table in tiny_contract.tables
    ]
    assert [name.split(": ", 1)[1] for name in inputs.names if "weight" not in name] == [
        "missing",
        "missing",
        "missing",
        "not held",
    ]
    start = 0
    for table in tiny_contract.tables:
        values = named(inputs, f"{table.name}: weight of evidence")
        # four tables, so the root is 2
        assert values == pytest.approx(evidence[start : start + table.size] / 2, abs=INPUT_STEP)
        start += table.size
    assert start == cells


def test_as_many_inputs_whatever_the_evidence_says(tiny_contract: Contract) -> None:
    cells = Axes.of(tiny_contract).cells
    one = evidence_inputs(tiny_contract.tables, np.zeros(cells))
    other = evidence_inputs(tiny_contract.tables, np.full(cells, 1e9))
    assert one.names == other.names
    assert max(np.abs(values).max() for values in other.values) < 8.0


def test_all_values_are_on_the_grid(tiny_contract: Contract) -> None:
    evidence = np.random.default_rng(1).normal(size=Axes.of(tiny_contract).cells)
    for inputs in (
        grid_inputs(tiny_contract.tables, Encoding.STANDARDISED),
        grid_inputs(tiny_contract.tables, Encoding.ONE_HOT),
        evidence_inputs(tiny_contract.tables, evidence),
    ):
        for values in inputs.values:
            assert (values / INPUT_STEP == np.rint(values / INPUT_STEP)).all()


@pytest.mark.parametrize("encoding", [Encoding.STANDARDISED, Encoding.ONE_HOT])
def test_rows_of_other_tables_are_refused(tiny_contract: Contract, encoding: Encoding) -> None:
    inputs = grid_inputs(tiny_contract.tables, encoding)
    fitting = np.zeros((4, len(tiny_contract.tables)), dtype=np.int32)
    inputs.of(fitting)
    for table in range(len(tiny_contract.tables)):
        for cell in (tiny_contract.tables[table].size, -1):
            foreign = fitting.copy()
            foreign[2, table] = cell
            with pytest.raises(DataError, match="rows have cells that the model's tables do not have"):
                inputs.of(foreign)
    with pytest.raises(DataError, match="bin them by its contract"):
        inputs.of(fitting[:, :-1])
    with pytest.raises(DataError, match="bin them by its contract"):
        inputs.of(fitting[:, 0])


def test_no_rows_have_no_inputs_but_as_many_columns(tiny_contract: Contract) -> None:
    inputs = grid_inputs(tiny_contract.tables, Encoding.ONE_HOT)
    empty = np.zeros((0, len(tiny_contract.tables)), dtype=np.int32)
    assert inputs.of(empty).shape == (0, len(inputs))


def wide(cells: int) -> Table:
    values = tuple(Cell(label=str(number), kind=CellKind.VALUE) for number in range(cells))
    return Table(name="wide", cells=values, ordered=cells, monotone=None)


def test_more_than_a_thousand_inputs_are_refused_with_a_way_out() -> None:
    assert len(grid_inputs([wide(1000)], Encoding.ONE_HOT)) == 1000
    with pytest.raises(ContractError, match=r"would see 1001 inputs; 1 to 1000 are possible: use encoding"):
        grid_inputs([wide(1001)], Encoding.ONE_HOT)
    assert len(grid_inputs([wide(1001)], Encoding.STANDARDISED)) == 1


def test_a_model_that_would_see_nothing_is_refused() -> None:
    with pytest.raises(ContractError, match="would see 0 inputs"):
        grid_inputs([], Encoding.ONE_HOT)
