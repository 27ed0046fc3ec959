"""What the filtered card promises: bounds of its sums, and that filtering finds what there is to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from benchmarks import filtered_card
from fedscore.contract import Contract, Recipe, Role
from fedscore.data import Rows
from fedscore.errors import AccountingError, DataError
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.filtered.contributions import MixedContributions, WeightedCells
from fedscore.learners.filtered.filtering import Filter
from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.level import SQUARED_BOUND, Level, corrected, correction_of
from fedscore.learners.filtered.marginals import Marginals, read_histogram
from fedscore.learners.filtered.program import Filtered
from fedscore.learners.filtered.queries import Columns, Curvature, Gradient, Histogram, Model, Moments
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.filtered.smoothing import smooth_log_odds, smoothing_precision
from fedscore.learners.scorecard.program import Scorecard
from fedscore.metrics import auc
from fedscore.sums import NOT_COUNTED, Query, Released
from privacy.paillier.ceremony import unsafe_deal_from_primes
from simulations.federation import EncryptionMode, train_alone, train_federation
from simulations.keys import record_of

VECTORS = Path(__file__).parents[2] / "vectors" / "paillier_safe_primes.json"


@pytest.fixture(scope="module")
def contract(tiny_contract: Contract) -> Contract:
    return tiny_contract.with_recipe(Recipe.FILTERED)


@pytest.fixture(scope="module")
def layout(contract: Contract) -> Layout:
    return Layout.of(contract, characteristic_weight=Settings().characteristic_weight)


def one_of_each(contract: Contract, seed: int) -> dict[str, Query]:
    """Queries at parameters far from anything sensible."""
    generator = np.random.default_rng(seed)
    settings = Settings()
    layout = Layout.of(contract, characteristic_weight=settings.characteristic_weight)
    columns = Columns(layout, generator.uniform(-4, 4, layout.axes.cells))
    plan = {planned.name: planned for planned in Filtered(contract).plan}
    model = Model(
        columns=columns,
        intercept=float(generator.normal(0, 5)),
        cells=generator.normal(0, 5, layout.axes.cells),
        column_share=float(settings.column_share),
        usual_norm=float(generator.uniform(1, 20)),
    )
    return {
        "histogram": Histogram(layout),
        "covariance": Moments(columns, float(plan["covariance"].largest) ** 0.5),
        "curvature": Curvature(model, float(plan["curvature"].largest)),
        "gradient 1": Gradient(model),
        "level": Level(model, float(generator.uniform(-3, 3)), float(generator.uniform(0.1, 2))),
    }


def test_the_contract_chooses_the_program(contract: Contract, tiny_contract: Contract) -> None:
    plain = contract.with_recipe(Recipe.PLAIN)
    assert isinstance(program_of(contract), Filtered)
    assert isinstance(program_of(plain), Scorecard)
    assert contract.hash() != plain.hash()
    # Who names no recipe gets the filtered card.
    assert tiny_contract.scorecard is None
    assert isinstance(program_of(tiny_contract), Filtered)


def test_shares_add_up_and_the_price_is_the_contracts(contract: Contract) -> None:
    plan = Filtered(contract).plan
    assert len(plan) == 9
    assert len(Filtered(contract.with_privacy(epsilon=0.1)).plan) == 7
    assert sum(planned.share for planned in plan) == 1
    assert 0.99 * contract.privacy.epsilon < Agenda(contract, run="0" * 32).record.epsilon <= 1.0


@given(seed=st.integers(0, 2**32 - 1))
def test_no_record_can_move_a_sum_further_than_planned(
    contract: Contract, make_rows: Callable[[int, int], Rows], seed: int
) -> None:
    """Real contributions stay within the plan before any correction, at any parameters and cells."""
    plan = {planned.name: planned for planned in Filtered(contract).plan}
    rows = make_rows(5, seed)
    scale = 2**16
    for name, query in one_of_each(contract, seed).items():
        assert query.dimension == plan[name].dimension_limit
        for record in range(len(rows)):
            total = query.contributions(rows.select([record])).lattice_total(  # type: ignore[arg-type]  # a list indexes as an array
                scale=scale, limit_squared=2**61, dimension=query.dimension
            )
            norm_squared = sum(int(step) ** 2 for step in total)
            assert norm_squared <= plan[name].sensitivity_squared * scale**2 * (1 + 1e-9)
            assert max(abs(int(step)) for step in total) <= plan[name].largest * scale * (1 + 1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_rarer_outcome_adds_a_vector_of_length_one(
    contract: Contract, make_rows: Callable[[int, int], Rows], seed: int
) -> None:
    """What a bound allows is used, and a record of a role that holds less uses it too."""
    rows = make_rows(40, seed)
    query = one_of_each(contract, seed)["gradient 1"]
    assert isinstance(query, Gradient)
    log_odds = query.model.log_odds(rows.cells)
    for record in range(len(rows)):
        one = query.contributions(rows.select(slice(record, record + 1)))
        squared_weights = (one.cells.cells != NOT_COUNTED) @ np.square(np.array(one.cells.weights))
        length = np.sqrt(np.square(one.columns).sum() + squared_weights[0] * one.cells.values[0] ** 2)
        is_rarer = (rows.outcome[record] == 1) == (log_odds[record] <= 0)
        expected = 1.0 if is_rarer else np.exp(-min(abs(log_odds[record]), 30.0))
        assert length == pytest.approx(expected, rel=1e-6)


_STEPS = st.integers(-(2**20), 2**20)


@given(
    dense=st.lists(_STEPS, min_size=1, max_size=6),
    value=_STEPS,
    counted=st.lists(st.booleans(), min_size=1, max_size=5),
    limit=st.integers(1, 2**40),
)
def test_on_the_lattice_no_record_is_longer_than_the_limit(
    dense: list[int], value: int, counted: list[bool], limit: int
) -> None:
    weights = tuple(1 + number % 2 for number in range(len(counted)))
    cells = np.array([[2 * n if here else NOT_COUNTED for n, here in enumerate(counted)]], dtype=np.int64)
    in_cells = WeightedCells(cells=cells, values=np.array([value / 7]), weights=weights)
    mixed = MixedContributions(columns=np.array([dense]) / 7, cells=in_cells)
    dimension = 2 * len(counted)
    for contributions, length in ((in_cells, dimension), (mixed, dimension + len(dense))):
        total = contributions.lattice_total(scale=7, limit_squared=limit, dimension=length)
        assert sum(int(step) ** 2 for step in total) <= limit
    free = mixed.lattice_total(scale=7, limit_squared=2**62, dimension=dimension + len(dense))
    expected = [weight * value if here else 0 for here, weight in zip(counted, weights, strict=True)]
    # A seventh times seven may fall a hair below a whole number, and truncation then takes one step.
    assert np.abs(free[: len(dense)] - dense).max() <= 1
    assert np.abs(free[len(dense) :: 2] - expected).max() <= 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    cells = np.zeros((1, 1), dtype=np.int64)
    broken = WeightedCells(cells=cells, values=np.array([bad]), weights=(1,))
    dense = MixedContributions(
        columns=np.array([[bad]]), cells=WeightedCells(cells=cells, values=np.ones(1), weights=(1,))
    )
    for contributions in (broken, dense):
        with pytest.raises(AccountingError, match="not finite"):
            contributions.lattice_total(scale=1, limit_squared=4, dimension=2)


def test_cells_that_a_table_does_not_have_are_refused(contract: Contract) -> None:
    beyond = np.array([[table.size for table in contract.tables]], dtype=np.int32)
    rows = Rows(cells=beyond, outcome=np.ones(1, np.int8), ids=np.array(["x"], dtype=object))
    for name in ("histogram", "gradient 1"):
        with pytest.raises((DataError, IndexError)):
            one_of_each(contract, 1)[name].contributions(rows)


def test_a_record_is_counted_only_where_its_role_holds_something(contract: Contract) -> None:
    layout = Layout.of(contract, characteristic_weight=2)
    assert layout.weights == (2, 2, 2, 1)
    assert layout.squared_weight == 3 * 4 + 1  # a platform's; a collector holds no segment
    assert list(layout.carriers) == [Role.COLLECTOR]
    alone = Contract.model_validate({**contract.model_dump(), "interactions": ()})
    assert Layout.of(alone, characteristic_weight=2).weights == (1, 1, 1)


def test_cells_fall_onto_the_sides_of_an_interaction_as_rows_do(layout: Layout) -> None:
    """Utilisation is cut at .5, late payments between none and one; what is no value is other."""
    (first, of_first), (second, of_second) = layout.sides(0)
    assert (first, second) == (0, 1)
    assert of_first.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert of_second.tolist() == [0, 1, 1, 1, 2, 2]


@given(probability=st.floats(0.001, 0.999))
def test_the_gradients_expectation_vanishes_at_the_right_odds_and_changes_by_the_rarer_probability(
    probability: float,
) -> None:
    """The claim of ADR 14, by the numbers: slope min(p, 1-p), against p(1-p) of the usual residual."""

    def expected(log_odds: float) -> float:
        odds = np.exp(-abs(log_odds))
        of_bad, of_good = (odds, 1.0) if log_odds > 0 else (1.0, odds)
        return float(probability * of_bad - (1.0 - probability) * of_good)

    right = float(np.log(probability / (1.0 - probability)))
    assert expected(right) == pytest.approx(0.0, abs=1e-12)
    # On either side of the kink at even odds the slope is the same in the limit; between, one step sees both.
    step = 1e-7 if abs(right) > 1e-6 else -1e-7
    slope = (expected(right - step) - expected(right)) / step
    assert slope == pytest.approx(min(probability, 1.0 - probability), rel=1e-4, abs=1e-6)


def test_smoothing_keeps_what_many_records_say_and_drops_what_noise_says(contract: Contract) -> None:
    table, settings = contract.tables[0], Settings()
    true = np.array([-1.0, -0.5, 0.0, 0.4, 0.8, 1.0, 0.3])
    rate = 1 / (1 + np.exp(2.0 - true))
    precision = smoothing_precision(table, settings)
    many, _ = smooth_log_odds(1e7 * rate, 1e7 * (1 - rate), 0.0, precision, -2.0, 3.5)
    np.testing.assert_allclose(many, true, atol=1e-3)
    drowned, _ = smooth_log_odds(100 * rate, 100 * (1 - rate), 1e5, precision, -2.0, 3.5)
    assert np.abs(drowned).max() < 1e-3


def gaussian_problem(seed: int, *, rounds: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where the filter ends on a quadratic objective with noisy gradients, and where Bayes' rule does."""
    generator = np.random.default_rng(seed)
    size = 5
    root = generator.normal(size=(size, size))
    curvature, prior = root @ root.T + np.eye(size), np.diag(generator.uniform(0.5, 2, size))
    mapping = generator.normal(size=(3, size))
    penalised = curvature + np.linalg.inv(prior)
    optimum = generator.multivariate_normal(np.zeros(size), prior)
    settings = replace(Settings(), forget=1.0, largest_move=1e9)
    one = Filter(curvature=curvature, prior=prior, mapping=mapping, records=0.0, settings=settings)
    at = np.zeros(size)
    precision, weighted = np.linalg.inv(prior), np.zeros(size)
    for _ in range(rounds):
        variances = generator.uniform(0.1, 1, 3)
        noise = generator.normal(0, np.sqrt(variances))
        # The unpenalised gradient is the penalised one plus the pull of the prior.
        gradient = penalised @ (optimum - at) + np.linalg.inv(prior) @ at
        response = mapping @ penalised
        precision = precision + (response.T / variances) @ response
        weighted = weighted + (response.T / variances) @ (response @ optimum + noise)
        at = at + one.move(at, mapping @ gradient + noise, variances)
    return at, np.linalg.solve(precision, weighted)


@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_the_filter_is_bayes_rule_where_all_is_gaussian(rounds: int) -> None:
    for seed in range(5):
        filtered, by_bayes = gaussian_problem(seed, rounds=rounds)
        np.testing.assert_allclose(filtered, by_bayes, atol=1e-8)


def independent_rows(contract: Contract, count: int, seed: int) -> Rows:
    """Platform rows whose log-odds are a sum of cells' effects; the interaction is what its parents say."""
    generator = np.random.default_rng(seed)
    layout = Layout.of(contract, characteristic_weight=2)
    parts = [generator.integers(0, size - 1, count) for size in layout.singles.sizes]
    effects = [np.linspace(-1.2, 1.2, size) for size in layout.singles.sizes]
    log_odds = -1.5 + sum(effect[part] for effect, part in zip(effects, parts, strict=True))
    (_, of_first), (_, of_second) = layout.sides(0)
    crossed = of_first[parts[0]] * 3 + of_second[parts[1]]
    outcome = generator.random(count) < 1 / (1 + np.exp(-log_odds))
    return Rows(
        cells=np.column_stack([*parts, crossed]).astype(np.int32),
        outcome=outcome.astype(np.int8),
        ids=np.array([str(number) for number in range(count)], dtype=object),
    )


def test_without_noise_the_card_ranks_like_logistic_regression(contract: Contract) -> None:
    training, test = independent_rows(contract, 20_000, 1), independent_rows(contract, 20_000, 2)
    card = train_alone(contract, training).card

    def one_hot(rows: Rows) -> npt.NDArray[np.float64]:
        sizes = [table.size for table in contract.tables]
        return np.concatenate([np.eye(size)[rows.cells[:, n]] for n, size in enumerate(sizes)], axis=1)

    oracle = LogisticRegression(max_iter=1000).fit(one_hot(training), training.outcome)
    expected = auc(test.outcome, oracle.predict_proba(one_hot(test))[:, 1])
    assert expected > 0.75
    assert auc(test.outcome, card.probability(test.cells)) == pytest.approx(expected, abs=0.001)
    assert card.probability(test.cells).mean() == pytest.approx(test.outcome.mean(), abs=0.02)


@pytest.mark.parametrize("records", [0, 20, 300])
@pytest.mark.parametrize("epsilon", [0.01, 1.0])
def test_whatever_the_noise_says_points_stay_within_reason(
    contract: Contract, make_rows: Callable[[int, int], Rows], records: int, epsilon: float
) -> None:
    contract = contract.with_privacy(epsilon=epsilon)
    for seed in range(5):
        rows = {
            party.name: make_rows(records, seed + number) for number, party in enumerate(contract.parties)
        }
        card = train_federation(contract, rows, seed=seed).card
        for table in card.tables:
            assert np.all(np.abs(table.hundredths_of_cells()) <= 400.0 * card.scale.factor + 1)
            assert all(one.standard_error is None or one.standard_error < 1e4 for one in table.bins)


@pytest.mark.parametrize("epsilon", [0.05, 1.0])
def test_a_direction_is_kept_whatever_the_noise_says(
    contract: Contract, make_rows: Callable[[int, int], Rows], epsilon: float
) -> None:
    contract = contract.with_privacy(epsilon=epsilon)
    for seed in range(5):
        rows = {party.name: make_rows(200, seed + n) for n, party in enumerate(contract.parties)}
        [table] = [one for one in train_federation(contract, rows, seed=seed).card.tables if one.monotone]
        # The bad rate rises with the value, so points fall; the last cell is "missing".
        assert np.all(np.diff(table.hundredths_of_cells()[:-1]) <= 0)


def test_roles_are_told_apart_by_what_they_do_not_hold(
    contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    """Collectors' bad rate is another one; the card is right on average for each role."""
    rows = make_rows(4000, 3)
    collector = rows.cells[:, 2] == contract.tables[2].size - 1
    outcome = np.where(collector, 1 - rows.outcome, rows.outcome).astype(np.int8)
    mixed = Rows(cells=rows.cells, outcome=outcome, ids=rows.ids)
    card = train_alone(contract, mixed).card
    for part in (collector, ~collector):
        expected, happened = card.probability(rows.cells[part]).mean(), outcome[part].mean()
        assert abs(expected - happened) < 0.02


@pytest.mark.parametrize("copies", [2, 12])
def test_tables_that_say_the_same_do_not_make_the_card_overshoot(
    contract: Contract, make_rows: Callable[[int, int], Rows], copies: int
) -> None:
    first = contract.characteristics[1]
    names = [f"copy_{number}" for number in range(copies)]
    characteristics = [first.model_copy(update={"name": name, "column": name}) for name in names]
    alike = Contract.model_validate(
        {**contract.model_dump(), "characteristics": characteristics, "interactions": ()}
    )
    one = make_rows(3000, 5)
    rows = Rows(cells=np.repeat(one.cells[:, 1:2], copies, axis=1), outcome=one.outcome, ids=one.ids)
    card = train_alone(alike, rows).card
    for cell in range(contract.tables[1].size):
        inside = rows.cells[:, 0] == cell
        assert abs(card.probability(rows.cells[inside])[0] - rows.outcome[inside].mean()) < 0.05


def test_standard_errors_are_those_that_points_show(contract: Contract) -> None:
    """Cards of other customers and other noise differ by about what the errors say."""
    contract = contract.with_privacy(epsilon=2.0)
    points, errors = [], []
    for seed in range(20):
        rows = independent_rows(contract, 3000, seed)
        parts = {
            party.name: rows.select(slice(1000 * number, 1000 * (number + 1)))
            for number, party in enumerate(contract.parties)
        }
        table = train_federation(contract, parts, seed=seed).card.characteristics[1]
        values = table.hundredths_of_cells()[:5] / 100  # the sixth cell, "missing", is empty
        points.append(values - values.mean())
        errors.append([one.standard_error or 0.0 for one in table.bins if max(one.cells) < 5])
    told = np.sqrt(np.mean(np.square([np.mean(one) for one in errors])))
    seen = np.sqrt(np.mean(np.var(points, axis=0, ddof=1)))
    assert 0.7 * seen < told < 1.5 * seen


def test_an_encrypted_run_is_its_plain_twin(
    contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    p, q = (int(prime, 16) for prime in json.loads(VECTORS.read_text())["1024"])
    keys = record_of(contract, unsafe_deal_from_primes(p, q, members=3, threshold=2))
    rows = {party.name: make_rows(50, number) for number, party in enumerate(contract.parties)}
    plain = train_federation(contract, rows, seed=3)
    encrypted = train_federation(contract, rows, seed=3, encryption=EncryptionMode.PAILLIER, keys=keys)
    assert all(map(np.array_equal, encrypted.openings, plain.openings))
    assert encrypted.card == plain.card


def test_the_quick_look_trains_what_a_federation_trains(
    contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    """With hardly any noise the benchmark's card is nearly that of a run with its real parties."""
    contract = contract.with_privacy(epsilon=90.0)
    rows = {party.name: make_rows(1000, number) for number, party in enumerate(contract.parties)}
    pooled = Rows.concatenate(list(rows.values()))
    quick = filtered_card.train(contract, pooled, Filtered(contract), seed=1)
    federated = train_federation(contract, rows, seed=1).card
    np.testing.assert_allclose(
        quick.probability(pooled.cells), federated.probability(pooled.cells), atol=0.03
    )


def test_interactions_can_be_left_out(contract: Contract, make_rows: Callable[[int, int], Rows]) -> None:
    alone = Contract.model_validate({**contract.model_dump(), "interactions": ()})
    rows = make_rows(2000, 1)
    without = Rows(cells=rows.cells[:, :3], outcome=rows.outcome, ids=rows.ids)
    card = train_alone(alone, without).card
    assert not card.interactions
    assert auc(rows.outcome, card.probability(without.cells)) > 0.7


@given(residual=st.floats(-1, 1), place=st.floats(-1, 1))
def test_the_longest_last_contribution_is_the_one_of_a_surprise_at_the_end(
    residual: float, place: float
) -> None:
    variance = abs(residual) * (1 - abs(residual))
    once = np.array([residual, variance * place])
    record = np.concatenate([once, once, [residual * place, variance * place**2]])
    assert record @ record <= SQUARED_BOUND + 1e-12


def _counted(layout: Layout, rows: Rows) -> Marginals:
    counts = np.zeros(2 * layout.axes.cells)
    contributions = Histogram(layout).contributions(rows)
    for table, weight in enumerate(layout.weights):
        np.add.at(counts, contributions.cells[:, table], weight)
    return read_histogram(counts, 1e-9, layout, Settings())


@pytest.mark.parametrize("too_small", [0.7, 1.0, 1.3])
def test_scores_that_lie_too_close_or_too_far_apart_are_moved_to_where_outcomes_say(
    contract: Contract, layout: Layout, too_small: float
) -> None:
    rows = independent_rows(contract, 40_000, 5)
    marginals = _counted(layout, rows)
    true = np.concatenate([[-1.5], *(np.linspace(-1.2, 1.2, size) for size in layout.singles.sizes)])
    parameters = np.zeros(1 + layout.axes.cells)
    parameters[: len(true)] = true * too_small
    carriers = layout.carriers
    columns = Columns(layout, marginals.columns)
    spread = 1.1 * too_small
    for _ in range(6):
        model = Model(
            columns=columns, intercept=parameters[0], cells=parameters[1:], column_share=0.5, usual_norm=3.0
        )
        level = Level(model, float(parameters[0]), spread)
        values = level.contributions(rows).values.sum(axis=0)
        correction = correction_of(level, Released(values=values, deviation=1e-6), marginals, freedom=0.0)
        parameters = corrected(parameters, correction, carriers)
        spread *= correction.slope
    ends = np.array([table[-1] - table[0] for table in np.split(parameters[1:], layout.axes.offsets[1:])])
    # The third table's last cell is that of a role, of which nobody is here.
    np.testing.assert_allclose(ends[:2], 2.4, rtol=0.05)
    drowned = correction_of(level, Released(values=values, deviation=1e6), marginals, freedom=0.0)
    assert drowned.slope == pytest.approx(1.0, abs=1e-3)
    fitted = correction_of(level, Released(values=values, deviation=1e-6), marginals, freedom=500.0)
    assert fitted.slope < correction.slope


def test_a_filter_that_has_seen_everything_is_as_free_as_ridge_regression() -> None:
    generator = np.random.default_rng(3)
    root = generator.normal(size=(4, 4))
    curvature, prior = root @ root.T + np.eye(4), np.diag([0.5, 1.0, 2.0, 4.0])
    one = Filter(curvature=curvature, prior=prior, mapping=np.eye(4), records=0.0, settings=Settings())
    assert one.freedom(np.zeros((4, 4))) == pytest.approx(0.0)
    one.move(np.zeros(4), np.ones(4), np.full(4, 1e-12))
    expected = np.trace(np.linalg.inv(curvature + np.linalg.inv(prior)) @ curvature)
    assert one.freedom(np.zeros((4, 4))) == pytest.approx(expected)


def test_fractions_of_settings_leave_a_share_for_the_rounds() -> None:
    settings = Settings()
    left = 1 - settings.histogram_share - settings.covariance_share - settings.curvature_share
    left -= settings.level_share
    assert Fraction(1, 4) < left < 1
