"""What the program's public computations promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.contract import Contract, Direction, Recipe, Role
from fedscore.data import Rows
from fedscore.errors import DataError
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import weigh
from fedscore.learners.scorecard.program import Scorecard
from fedscore.learners.scorecard.queries import Covariance, Gradient, Histogram, LinearModel, Residuals
from fedscore.learners.scorecard.settings import Settings
from fedscore.metrics import auc
from fedscore.sums import Query
from simulations.federation import train_alone, train_federation


@pytest.fixture(scope="session")
def tiny_contract(tiny_contract: Contract) -> Contract:
    return tiny_contract.with_recipe(Recipe.PLAIN)


def one_of_each(contract: Contract, seed: int) -> dict[str, Query]:
    """Queries at parameters far from anything sensible."""
    generator = np.random.default_rng(seed)
    axes = Axes.of(contract)
    model = LinearModel(
        axes=axes, columns=generator.uniform(-4, 4, axes.cells), constant=float(generator.uniform(0.1, 4))
    )
    return {
        "histogram": Histogram(axes),
        "covariance": Covariance(model, float(Settings().covariance_radius)),
        "gradient 1": Gradient(model, generator.normal(0, 10, len(axes) + 1), np.zeros(axes.cells)),
        "residuals 1": Residuals(
            axes, np.arange(axes.cells), generator.normal(0, 10, axes.cells), float(generator.normal())
        ),
    }


@given(seed=st.integers(0, 2**32 - 1))
def test_no_record_can_move_a_sum_further_than_planned(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], seed: int
) -> None:
    """Real contributions stay within the plan before any correction, at any parameters and cells."""
    plan = {planned.name: planned for planned in Scorecard(tiny_contract).plan}
    rows = make_rows(5, seed)
    scale = 2**16
    for name, query in one_of_each(tiny_contract, seed).items():
        for record in range(len(rows)):
            total = query.contributions(rows.select([record])).lattice_total(  # type: ignore[arg-type]  # a list indexes as an array
                scale=scale, limit_squared=2**61, dimension=query.dimension
            )
            norm_squared = sum(int(step) ** 2 for step in total)
            # 1e-9: the float clip may overshoot in its last bits; the lattice total then cuts exactly
            assert norm_squared <= plan[name].sensitivity_squared * scale**2 * (1 + 1e-9)
            assert max(abs(int(step)) for step in total) <= plan[name].largest * scale * (1 + 1e-9)


def test_the_gradient_is_that_of_the_log_likelihood(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = make_rows(300, 1)
    generator = np.random.default_rng(2)
    axes = Axes.of(tiny_contract)
    # columns small enough for no record to be clipped
    model = LinearModel(axes=axes, columns=generator.uniform(-0.2, 0.2, axes.cells), constant=0.4)
    slopes = generator.normal(0, 1, len(axes) + 1)

    def log_likelihood(at: np.ndarray) -> float:
        log_odds = model.design(rows) @ at
        return float(np.sum(rows.outcome * log_odds - np.logaddexp(0, log_odds)))

    steps = 1e-6 * np.eye(len(slopes))
    numerical = [(log_likelihood(slopes + h) - log_likelihood(slopes - h)) / 2e-6 for h in steps]
    scale = 2**30
    total = (
        Gradient(model, slopes, np.zeros(axes.cells))
        .contributions(rows)
        .lattice_total(scale=scale, limit_squared=2**60, dimension=len(slopes))
    )
    np.testing.assert_allclose(total / scale, numerical, rtol=1e-5, atol=1e-4)


def test_the_covariance_comes_back_as_the_matrix_it_was(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = make_rows(300, 1)
    axes = Axes.of(tiny_contract)
    model = LinearModel(
        axes=axes, columns=np.random.default_rng(2).uniform(-0.2, 0.2, axes.cells), constant=0.4
    )
    query = Covariance(model, 1.5)
    scale = 2**30
    total = query.contributions(rows).lattice_total(
        scale=scale, limit_squared=2**62 - 1, dimension=query.dimension
    )
    design = model.design(rows)
    np.testing.assert_allclose(query.matrix(total / scale), design.T @ design, atol=1e-5)


def histogram_of(contract: Contract, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    axes = Axes.of(contract)
    total = (
        Histogram(axes)
        .contributions(rows)
        .lattice_total(scale=1, limit_squared=len(axes), dimension=2 * axes.cells)
    )
    return total[: axes.cells].astype(float), total[axes.cells :].astype(float)


def test_the_histogram_counts_bad_and_good_records_of_every_cell(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = make_rows(500, 1)
    bad, good = histogram_of(tiny_contract, rows)
    axes = Axes.of(tiny_contract)
    for table, (_, cells) in enumerate(axes.slices()):
        for outcome, counts in ((1, bad), (0, good)):
            chosen = rows.cells[rows.outcome == outcome, table]
            expected = np.bincount(chosen, minlength=cells.stop - cells.start)
            if axes.missing_roles[table] is not None:
                expected[-1] = 0  # rows of a role that does not hold the table are not counted in it
            assert counts[cells].tolist() == expected.tolist()


def test_a_record_is_counted_only_where_its_role_holds_something(tiny_contract: Contract) -> None:
    """Contracts of both roles cost a record no more than its own role's tables."""
    axes = Axes.of(tiny_contract)
    assert axes.tables_of_a_record == 4  # a platform's
    exclusive = [
        characteristic.model_copy(update={"roles": (Role.COLLECTOR,)}) if number == 0 else characteristic
        for number, characteristic in enumerate(tiny_contract.characteristics)
    ]
    split = Contract.model_validate(
        {**tiny_contract.model_dump(), "characteristics": exclusive, "interactions": ()}
    )
    assert len(split.tables) == 3
    assert Axes.of(split).tables_of_a_record == 2
    plan = {planned.name: planned for planned in Scorecard(split).plan}
    assert plan["histogram"].sensitivity_squared == plan["residuals 1"].sensitivity_squared == 2


def test_cells_that_a_table_does_not_have_are_refused(tiny_contract: Contract) -> None:
    """Two cells of a row must never fall on one coordinate: that would add up beyond the bound."""
    axes = Axes.of(tiny_contract)
    beyond = np.array([[table.size for table in tiny_contract.tables]], dtype=np.int32)
    rows = Rows(cells=beyond, outcome=np.ones(1, np.int8), ids=np.array(["x"], dtype=object))
    for query in one_of_each(tiny_contract, 1).values():
        if isinstance(query, Histogram | Residuals):
            with pytest.raises(DataError, match="cells that their tables do not have"):
                query.contributions(rows)
    assert axes.counted(beyond - 1).max() < axes.cells


@pytest.mark.parametrize("records", [20, 300])
@pytest.mark.parametrize("epsilon", [0.01, 1.0])
def test_whatever_the_noise_says_points_stay_within_reason(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], records: int, epsilon: float
) -> None:
    contract = tiny_contract.with_privacy(epsilon=epsilon)
    for seed in range(5):
        rows = {
            party.name: make_rows(records, seed + number) for number, party in enumerate(contract.parties)
        }
        card = train_federation(contract, rows, seed=seed).card
        for table in card.tables:
            assert np.all(np.abs(table.hundredths_of_cells()) <= 400.0 * card.scale.factor + 1)


def test_roles_are_told_apart_by_what_they_do_not_hold(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    """Collectors' bad rate is another one; the card is right on average for each role."""
    rows = make_rows(4000, 3)
    collector = rows.cells[:, 2] == tiny_contract.tables[2].size - 1
    outcome = np.where(collector, 1 - rows.outcome, rows.outcome).astype(np.int8)
    mixed = Rows(cells=rows.cells, outcome=outcome, ids=rows.ids)
    card = train_alone(tiny_contract, mixed).card
    for part in (collector, ~collector):
        expected, happened = card.probability(rows.cells[part]).mean(), outcome[part].mean()
        assert abs(expected - happened) < 0.02


@pytest.mark.parametrize("copies", [2, 12])
def test_tables_that_say_the_same_do_not_make_the_card_overshoot(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], copies: int
) -> None:
    first = tiny_contract.characteristics[0]
    contract = Contract.model_validate(
        {
            **tiny_contract.model_dump(),
            "characteristics": [
                first.model_copy(update={"name": f"copy_{number}", "column": f"copy_{number}"})
                for number in range(copies)
            ],
            "interactions": (),
        }
    )
    one = make_rows(3000, 5)
    rows = Rows(cells=np.repeat(one.cells[:, :1], copies, axis=1), outcome=one.outcome, ids=one.ids)
    card = train_alone(contract, rows).card
    for cell in range(first_size := tiny_contract.tables[0].size):
        inside = rows.cells[:, 0] == cell
        happened = rows.outcome[inside].mean()
        assert abs(card.probability(rows.cells[inside])[0] - happened) < 0.08, (cell, first_size)


@given(
    seed=st.integers(0, 2**32 - 1),
    deviation=st.sampled_from([0.0, 3.0, 30.0, 1000.0]),
)
def test_weights_of_evidence_are_finite_bounded_and_monotone_where_asked_for(
    tiny_contract: Contract,
    make_rows: Callable[[int, int], Rows],
    seed: int,
    deviation: float,
) -> None:
    settings = Settings(smooth_variance=1e9)  # the raw log-odds, without the pull toward a line
    bad, good = histogram_of(tiny_contract, make_rows(400, seed))
    generator = np.random.default_rng(seed)
    bad, good = (
        bad + deviation * generator.normal(size=bad.size),
        good + deviation * generator.normal(size=good.size),
    )
    axes = Axes.of(tiny_contract)
    evidence = weigh(axes, bad, good, deviation, settings)
    assert np.all(np.isfinite(evidence.weights))
    assert np.all(np.abs(evidence.weights) <= settings.largest_evidence)
    for table, cells in axes.slices():
        for number in np.unique(evidence.bin_of_cell[cells]):
            members = np.flatnonzero(evidence.bin_of_cell == number)
            assert np.all((members >= cells.start) & (members < cells.stop)), "a bin spans two tables"
            assert np.unique(evidence.weights[members]).size == 1
        if table.monotone is not None and deviation == 0.0:
            ordered = evidence.weights[cells][: table.ordered]
            assert np.all(np.diff(ordered) >= -1e-6)


def test_a_card_learns_what_there_is_to_learn(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    training, test = make_rows(3000, 10), make_rows(3000, 11)
    card = train_alone(tiny_contract, training).card
    risk = 0.5 * test.cells[:, 0] + 0.4 * test.cells[:, 1]
    best = auc(test.outcome, risk)
    assert auc(test.outcome, card.probability(test.cells)) > best - 0.01
    assert abs(card.probability(test.cells).mean() - test.outcome.mean()) < 0.02


def test_points_fall_as_risk_rises_where_the_contract_asks_for_it(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    for seed in range(6):
        card = train_alone(tiny_contract, make_rows(400, seed)).card
        utilisation = card.characteristics[0]
        assert utilisation.monotone is Direction.INCREASING
        assert np.all(np.diff(utilisation.hundredths_of_cells()[:6]) <= 0)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_hardly_any_rows_still_give_a_card(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], count: int
) -> None:
    card = train_alone(tiny_contract, make_rows(count, 1)).card
    assert np.all(np.isfinite(card.score(make_rows(10, 2).cells)))
