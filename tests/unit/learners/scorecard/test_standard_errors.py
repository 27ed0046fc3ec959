"""Standard errors of points against how much points differ when the card is trained again and again."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode, Party, Recipe, Role, parse_contract
from fedscore.data import Rows, read_rows
from simulations.randomness import SeededRandomness
from tests.evaluations import open_all, product_contract, product_rows

Floats = npt.NDArray[np.float64]

REPLICATES = 60


@pytest.fixture(scope="module", params=list(Recipe))
def contract(tiny_text: str, request: pytest.FixtureRequest) -> Contract:
    contract = product_contract(tiny_text).with_recipe(request.param)
    return contract.model_copy(update={"evaluation": None, "groups": ()})


def points_and_errors(card: Card) -> tuple[Floats, Floats]:
    """By cell of every table; an error that is not told is NaN."""
    points, errors = [], []
    for table in card.tables:
        for cell in range(table.size):
            own = next(one for one in table.bins if cell in one.cells)
            points.append(own.points)
            errors.append(np.nan if own.standard_error is None else own.standard_error)
    return np.array(points), np.array(errors)


def replicated(contract: Contract) -> tuple[Floats, Floats]:
    """The same for the small contract's customers."""
    rows = Rows.concatenate(
        [product_rows(contract, 1500, n, role=party.role) for n, party in enumerate(contract.parties)]
    )
    return trained_again(contract, rows, REPLICATES)


def trained_again(contract: Contract, rows: Rows, times: int) -> tuple[Floats, Floats]:
    """How much points differ over trainings on other rows with other noise, and what was told."""
    parties = len(contract.parties)
    points, errors = [], []
    for seed in range(times):
        generator = np.random.default_rng(seed)
        drawn = rows.select(generator.integers(0, len(rows), len(rows)))
        parts = [drawn.select(slice(number, None, parties)) for number in range(parties)]
        _, card = open_all(contract, parts, [], SeededRandomness(1000 + seed))
        one, told = points_and_errors(card)
        points.append(one)
        errors.append(told)
    assert all((np.isnan(one) == np.isnan(errors[0])).all() for one in errors)
    return np.std(points, axis=0, ddof=1), np.sqrt(np.mean(np.square(errors), axis=0))


def judge(deviations: Floats, told: Floats) -> tuple[float, float]:
    known = ~np.isnan(told)
    assert known.sum() >= 25
    ratios = told[known] / deviations[known]
    return float(np.median(ratios)), float(np.corrcoef(told[known], deviations[known])[0, 1])


def test_points_differ_from_training_to_training_as_much_as_is_told(contract: Contract) -> None:
    median, correlation = judge(*replicated(contract.model_copy(update={"grades": None})))
    assert 0.75 < median < 1.3
    assert correlation > 0.75


def test_calibrated_points_too(contract: Contract) -> None:
    median, correlation = judge(*replicated(contract))
    assert 0.6 < median < 1.6
    assert correlation > 0.6


def test_without_noise_the_choice_of_customers_is_left(contract: Contract) -> None:
    silent = contract.model_copy(update={"grades": None}).with_privacy(noise=NoiseMode.NONE)
    median, correlation = judge(*replicated(silent))
    assert 0.75 < median < 1.3
    assert correlation > 0.6


@pytest.mark.slow
def test_of_many_correlated_characteristics_shrinkage_is_known(shared_data: Path) -> None:
    """Thirty thousand customers of a bank: bins by themselves would be told thrice the error."""
    file = shared_data / "taiwan_credit_card.parquet"
    if not file.is_file():
        pytest.skip("taiwan_credit_card.parquet is not among the shared data")
    contract = parse_contract((files("simulations") / "contracts" / "taiwan.toml").read_text()).with_parties(
        Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(6)
    )
    rows = read_rows(file, contract, role=Role.PLATFORM)
    deviations, told = trained_again(contract, rows, 30)
    median, correlation = judge(deviations, told)
    assert 0.7 < median < 1.4
    assert correlation > 0.75
    ratios = told / deviations
    assert 0.5 < np.nanquantile(ratios, 0.1) < np.nanquantile(ratios, 0.9) < 2.0


def test_more_noise_and_fewer_customers_make_larger_errors(contract: Contract) -> None:
    def told(epsilon: float, count: int) -> float:
        terms = contract.with_privacy(epsilon=epsilon)
        parts = [
            product_rows(contract, count, n, role=party.role) for n, party in enumerate(contract.parties)
        ]
        _, card = open_all(terms, parts, [], SeededRandomness(1))
        return float(np.nanmean(points_and_errors(card)[1]))

    assert told(8.0, 3000) < told(1.0, 3000) < told(0.3, 3000)
    assert told(1.0, 3000) < told(1.0, 1000)


def test_nothing_is_told_of_the_points_of_rows_that_do_not_hold_a_table(contract: Contract) -> None:
    parts = [product_rows(contract, 500, n, role=party.role) for n, party in enumerate(contract.parties)]
    _, card = open_all(contract, parts, [], SeededRandomness(1))
    segment = card.tables[2]
    assert segment.name == "segment"
    assert [one.standard_error is None for one in segment.bins] == [
        one.cells == (segment.size - 1,) for one in segment.bins
    ]
    assert all(one.standard_error is not None for table in card.tables[:2] for one in table.bins)
