"""Metrics from private sums over test rows, against scikit-learn on the pooled rows; noise as it is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from fedscore import data
from fedscore.card import Card, Grade
from fedscore.contract import Contract, NoiseMode, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.learners.scorecard.evaluation import recall_name
from fedscore.learners.scorecard.groups import GroupSum, group_measures
from fedscore.sums import Released
from simulations.randomness import SeededRandomness
from tests.evaluations import (
    evaluation_requests,
    followed,
    open_all,
    product_contract,
    product_rows,
)

EXACT = 1e-9


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


@pytest.fixture(scope="module")
def judged(contract: Contract) -> Rows:
    return Rows.concatenate(
        [product_rows(contract, 1800, 10 + n, role=party.role) for n, party in enumerate(contract.parties)]
    )


@pytest.fixture(scope="module")
def card(contract: Contract, judged: Rows) -> Card:
    """Trained with noise, on rows of a platform, another one and an agency."""
    training = [product_rows(contract, 4000, n, role=party.role) for n, party in enumerate(contract.parties)]
    _, trained = open_all(
        contract, training, [judged.select(slice(n, None, 3)) for n in range(3)], SeededRandomness(5)
    )
    return trained.model_copy(update={"evaluation": None})


def exact(card: Card, rows: Rows, contract: Contract) -> dict[str, float]:
    """The metrics of these very rows; recall shares a tie out."""
    score, outcome = card.score(rows.cells), rows.outcome
    assert contract.evaluation is not None
    false_rate, true_rate, _ = roc_curve(outcome, -score, drop_intermediate=False)
    area = roc_auc_score(outcome, -score)
    found = {
        "auc": area,
        "gini": 2 * area - 1,
        "ks": max(float((true_rate - false_rate).max()), 0.0),
        "brier": brier_score_loss(outcome, card.probability(rows.cells)),
        "bad rate": float(outcome.mean()),
    }
    for rate in contract.evaluation.alert_rates:
        left, caught = rate * len(score), 0.0
        for value in np.unique(score):
            tied = score == value
            taken = min(left / tied.sum(), 1.0)
            caught, left = caught + taken * outcome[tied].sum(), left - taken * tied.sum()
            if left <= 0:
                break
        found[recall_name(rate)] = caught / outcome.sum()
    places = card.grade_places(card.hundredths(rows.cells))
    for place, grade in enumerate(card.grades):
        if (places == place).any():
            found[f"grade {grade.name}"] = float(outcome[places == place].mean())
    return found


def exact_groups(card: Card, rows: Rows, contract: Contract) -> dict[tuple[str, str, str], float]:
    places = card.grade_places(card.hundredths(rows.cells))
    found = {}
    for number, group in enumerate(contract.group_tables):
        for cell, named in enumerate(group.cells):
            own = rows.groups[:, number] == cell
            if not own.any():
                continue
            key = (group.name, named.label)
            found[*key, "share"] = float(own.mean())
            found[*key, "bad rate"] = float(rows.outcome[own].mean())
            found[*key, "predicted"] = float(card.probability(rows.cells)[own].mean())
            for place, grade in enumerate(card.grades):
                found[*key, f"share of grade {grade.name}"] = float((places[own] == place).mean())
    return found


def coverage(
    contract: Contract, card: Card, rows: Rows, runs: int
) -> tuple[Mapping[str, list[bool]], Mapping[str, float]]:
    """How often each interval holds the exact value, and its mean width, over fresh noise."""
    priced, wanted = evaluation_requests(contract), exact(card, rows, contract)
    of_groups = exact_groups(card, rows, contract)
    held: dict[str, list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    for run in range(runs):
        evaluation = followed(card, priced, rows, SeededRandomness(run)).evaluation
        assert evaluation is not None
        told = {one.name: (one, wanted[one.name]) for one in evaluation.measures if one.name in wanted}
        told |= {f"grade {one.name}": (one, wanted[f"grade {one.name}"]) for one in evaluation.grades}
        for name, (one, value) in told.items():
            held[name].append(one.low <= value <= one.high)
            widths[name].append(one.high - one.low)
        for group in evaluation.groups:
            for one in group.measures:
                value = of_groups[group.group, group.label, one.name]
                held[f"groups' {one.name}"].append(one.low <= value <= one.high)
                widths[f"groups' {one.name}"].append(one.high - one.low)
    mean_widths = {name: float(np.mean(found)) for name, found in widths.items()}
    for name, one_held in held.items():
        print(f"{name}: {sum(one_held)} of {len(one_held)}, mean width {mean_widths[name]:.4f}")  # noqa: T201 - the record that -s shows
    return held, mean_widths


MEASURED = ("auc", "gini", "ks", "recall at 5 %", "recall at 20 %", "brier", "bad rate")


def require_coverage(held: Mapping[str, list[bool]], runs: int, fewest: int) -> None:
    for name, one in held.items():
        assert sum(one) >= fewest / runs * len(one), f"{name}: {sum(one)} of {len(one)}"


def test_intervals_hold_the_exact_metrics(contract: Contract, card: Card, judged: Rows) -> None:
    """At 99 % they should in 39.6 of 40 runs; 36 or fewer would come once in five thousand."""
    held, widths = coverage(contract, card, judged, 40)
    assert set(MEASURED) <= held.keys()
    assert all(len(held[name]) == 40 for name in MEASURED)
    require_coverage(held, 40, 37)
    # And they say something: half a dozen thousand rows at epsilon 1.
    assert widths["auc"] < 0.04
    assert widths["ks"] < 0.12
    assert widths["recall at 5 %"] < 0.06


@pytest.mark.slow
def test_intervals_hold_the_exact_metrics_in_two_hundred_runs(
    contract: Contract, card: Card, judged: Rows
) -> None:
    held, _ = coverage(contract, card, judged, 200)
    assert all(len(held[name]) == 200 for name in MEASURED)
    require_coverage(held, 200, 190)


@pytest.mark.slow
def test_intervals_hold_the_exact_metrics_of_taiwan(shared_data: Path) -> None:
    """Thirty thousand customers of a bank, dealt to twenty parties."""
    file = shared_data / "taiwan_credit_card.parquet"
    if not file.is_file():
        pytest.skip("taiwan_credit_card.parquet is not among the shared data")
    text = (files("simulations") / "contracts" / "taiwan.toml").read_text()
    plain = parse_contract(text)
    more = "\n[grades]\nlargest_bad_rates = [0.1, 0.2, 0.4]\n\n[evaluation]\nalert_rates = [0.05, 0.2]\n"
    contract = parse_contract(text + more).with_parties(
        Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(20)
    )
    rules = plain.rows.model_copy(update={"row_cap": 30_000})
    rows = data.read_rows(file, plain.model_copy(update={"rows": rules}), role=Role.PLATFORM)
    split = contract.split.model_copy(update={"test_share": 0.3})
    whole = contract.model_copy(update={"rows": rules, "split": split})
    training, testing = data.training_rows(rows, whole), data.test_rows(rows, whole)
    parts = [training.select(slice(number, None, 20)) for number in range(20)]
    _, card = open_all(contract, parts, [testing.select(slice(0, 100))], SeededRandomness(1))
    held, widths = coverage(contract, card, testing, 200)
    assert all(len(held[name]) == 200 for name in MEASURED)
    require_coverage(held, 200, 190)
    assert widths["auc"] < 0.03


def test_without_noise_metrics_are_exact_but_for_bands(contract: Contract, card: Card, judged: Rows) -> None:
    silent = contract.with_privacy(noise=NoiseMode.NONE)
    evaluation = followed(card, evaluation_requests(silent), judged, SeededRandomness(1)).evaluation
    assert evaluation is not None
    wanted = exact(card, judged, contract)
    for one in evaluation.measures:
        if one.name in wanted:
            assert one.low - 2e-6 <= wanted[one.name] <= one.high + 2e-6, one.name
            assert one.value == pytest.approx(wanted[one.name], abs=0.01), one.name
    assert evaluation.records == len(judged)
    assert [one.name for one in evaluation.grades] == [grade.name for grade in card.grades]
    for one in evaluation.grades:
        assert one.value == pytest.approx(wanted[f"grade {one.name}"], abs=2e-6)
        assert one.total_low < one.low == pytest.approx(one.high)


def test_no_sum_costs_more_than_was_planned(contract: Contract, card: Card, judged: Rows) -> None:
    priced = evaluation_requests(contract)
    told = followed(card, priced, judged, SeededRandomness(2)).evaluation
    assert told is not None
    assert told.level == 0.99


# Grades in an evaluation


def with_cut_offs(card: Card, *begins: float | None) -> Card:
    terms = {"share": 0.0, "bad_rate": 0.0, "standard_error": 0.0}
    grades = tuple(
        Grade(name=name, lowest_score=begin, **terms) for name, begin in zip("ABCDEFG", begins, strict=False)
    )
    return Card.model_validate(card.model_copy(update={"grades": grades}).model_dump())


def cut_off_cases(card: Card) -> Iterator[tuple[float | None, ...]]:
    low, high = card.score_range
    middle = float(round((low + high) / 2))
    above, least = float(np.ceil(high)) + 1.0, float(np.floor(low))
    yield above, middle, least, None  # nobody in A, nor in D
    yield middle, middle, middle - 20.0, None  # B is empty
    yield above, above, above, None  # all in D
    yield least, least, least, None  # all in A
    yield high, middle, low, None
    yield middle + 1, middle, middle - 1, None


@pytest.mark.parametrize("case", range(6))
def test_each_grade_is_told_the_bad_rate_of_its_own_rows(
    contract: Contract, card: Card, judged: Rows, case: int
) -> None:
    graded = with_cut_offs(card, *list(cut_off_cases(card))[case])
    silent = contract.with_privacy(noise=NoiseMode.NONE)
    evaluation = followed(graded, evaluation_requests(silent), judged, SeededRandomness(1)).evaluation
    assert evaluation is not None
    places = graded.grade_places(graded.hundredths(judged.cells))
    expected = {
        grade.name: float(judged.outcome[places == place].mean())
        for place, grade in enumerate(graded.grades)
        if (places == place).sum() >= 10
    }
    told = {one.name: one.value for one in evaluation.grades}
    assert told == pytest.approx(expected, abs=2e-6)


def test_a_card_without_grades_is_evaluated_without_them(
    contract: Contract, card: Card, judged: Rows
) -> None:
    plain = card.model_copy(update={"grades": ()})
    silent = contract.with_privacy(noise=NoiseMode.NONE)
    graded, ungraded = (
        followed(one, evaluation_requests(silent), judged, SeededRandomness(1)).evaluation
        for one in (card, plain)
    )
    assert graded is not None
    assert ungraded is not None
    assert ungraded.grades == ()
    # Cut-offs are edges of bands, so without them the bands are others.
    told = [{one.name: one.value for one in each.measures} for each in (ungraded, graded)]
    assert told[0] == pytest.approx(told[1], abs=0.005)


# Groups


def test_without_noise_groups_are_told_exactly(contract: Contract, card: Card, judged: Rows) -> None:
    silent = contract.with_privacy(noise=NoiseMode.NONE)
    evaluation = followed(card, evaluation_requests(silent), judged, SeededRandomness(1)).evaluation
    assert evaluation is not None
    found = {
        (group.group, group.label, one.name): one.value
        for group in evaluation.groups
        for one in group.measures
    }
    assert found == pytest.approx(exact_groups(card, judged, contract), abs=2e-6)


def test_a_small_group_is_not_told(contract: Contract, card: Card, judged: Rows) -> None:
    sizes = [table.size for table in contract.group_tables]
    groups = np.full((len(judged), 2), [sizes[0] - 1, sizes[1] - 1], dtype=np.int32)
    groups[:49, 0] = 0  # too few, whatever the noise
    groups[:300, 1] = 0  # within the noise
    rows = Rows(cells=judged.cells, outcome=judged.outcome, ids=judged.ids, groups=groups)
    names = [group.name for group in contract.group_tables]
    for mode, told in ((NoiseMode.NONE, True), (NoiseMode.SHARED, False)):
        loud = contract.with_privacy(noise=mode, epsilon=0.3)
        evaluation = followed(card, evaluation_requests(loud), rows, SeededRandomness(1)).evaluation
        assert evaluation is not None
        found = [(group.group, group.label) for group in evaluation.groups]
        assert (names[0], contract.group_tables[0].cells[0].label) not in found
        assert ((names[1], contract.group_tables[1].cells[0].label) in found) == told
        assert (names[0], contract.group_tables[0].cells[-1].label) in found


def test_the_share_of_a_large_group_knows_the_noise_of_all_others(
    contract: Contract, card: Card, judged: Rows
) -> None:
    """Nine in ten rows are in one of four cells: what the other three add to everybody is noise as well."""
    groups = np.zeros((len(judged), 2), dtype=np.int32)
    groups[: len(judged) // 10, 1] = 1
    rows = Rows(cells=judged.cells, outcome=judged.outcome, ids=judged.ids, groups=groups)
    values = GroupSum(card, contract).contributions(rows).values.sum(axis=0)
    generator = np.random.default_rng(1)
    off, told = [], []
    for _ in range(400):
        noisy = Released(values=values + 20.0 * generator.standard_normal(values.shape), deviation=20.0)
        found = group_measures(card, contract, noisy)
        group = next(one for one in found if one.group == contract.group_tables[1].name)
        share = next(one for one in group.measures if one.name == "share")
        off.append(share.value - 0.9)
        told.append((share.high - share.low) / 2 / 2.5758)
    assert np.std(off) == pytest.approx(np.mean(told), rel=0.15)


# Noise that hides everything


@pytest.mark.parametrize("epsilon", [0.001, 0.01])
def test_what_noise_hides_is_not_told(contract: Contract, card: Card, judged: Rows, epsilon: float) -> None:
    loud = contract.with_privacy(epsilon=epsilon)
    evaluation = followed(card, evaluation_requests(loud), judged, SeededRandomness(3)).evaluation
    assert evaluation is not None
    assert {"auc", "gini", "ks"} <= set(evaluation.not_measured)
    assert evaluation.groups == ()
    told = card.model_copy(update={"evaluation": evaluation})
    assert Card.model_validate_json(told.to_json()) == told


def test_nobody_on_the_judged_gives_no_metrics(contract: Contract, card: Card, judged: Rows) -> None:
    nobody = judged.select(slice(0, 0))
    priced = evaluation_requests(contract)
    evaluation = followed(card, priced, nobody, SeededRandomness(3), row_cap=4000).evaluation
    assert evaluation is not None
    assert (evaluation.measures, evaluation.grades, evaluation.groups) == ((), (), ())
    assert EXACT < abs(evaluation.records) < 2000
