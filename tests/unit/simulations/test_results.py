from __future__ import annotations

import csv
import io
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from fedscore.contract import NoiseMode, Role
from fedscore.errors import ScenarioError
from simulations.files import result_folder, write_whole
from simulations.results import Failure, Origin, PartyRun, Results, Run, summarise
from simulations.scenario import Baseline

RUN = Run(
    learner="scorecard",
    baseline=None,
    private=True,
    epsilon=1.0,
    epsilon_spent=0.999,
    epsilon_person=2.5,
    delta=1e-5,
    noise=NoiseMode.SHARED,
    encrypted=True,
    parties=20,
    seed=1,
    auc=0.77,
    gini=0.54,
    ks=0.42,
    brier=0.13,
    calibration_error=0.01,
    rounds=9,
    values_per_party=2000,
    bytes_per_party=16000,
)
CEILING = replace(
    RUN,
    learner="lightgbm",
    baseline=Baseline.POOLED_LIGHTGBM,
    private=False,
    epsilon=None,
    epsilon_spent=None,
    epsilon_person=None,
    noise=NoiseMode.NONE,
    auc=0.785,
)
PARTY = PartyRun(
    baseline=None,
    epsilon=1.0,
    seed=1,
    party="north",
    role=Role.PLATFORM,
    training_rows=700,
    test_rows=300,
    auc=0.75,
)
KEYS = {
    *(
        "learner",
        "baseline",
        "private",
        "epsilon",
        "epsilon_spent",
        "epsilon_person",
        "delta",
        "noise",
        "encrypted",
    ),
    *("parties", "seed", "auc", "gini", "ks", "brier", "calibration_error", "rounds", "values_per_party"),
    *("bytes_per_party", "openings_sha256", "epsilon_reported", "epsilon_prv", "absent"),
}
SUMMARY_KEYS = {
    *("learner", "baseline", "noise", "epsilon", "n", "auc_mean", "auc_sd", "ks_mean", "gap_to_lightgbm"),
    *("epsilon_spent", "epsilon_reported", "epsilon_prv", "auc_gap", "auc_gap_margin", "failed"),
}
PARTY_KEYS = {
    *("baseline", "epsilon", "seed", "party", "role", "training_rows", "test_rows", "auc"),
}


def results(*runs: Run) -> Results:
    return Results(
        versions={"fedscore": "0"},
        code_sha256="cd" * 32,
        origins=(Origin(contract_hash="ab" * 32, data_sha256="ef" * 32),),
        scenario={"name": "x"},
        runs=runs,
        parties=(PARTY, replace(PARTY, baseline=Baseline.LOCAL_ONLY, epsilon=None, auc=None)),
    )


def refuse_constant(constant: str) -> float:
    pytest.fail(f"{constant} is no JSON")


def test_results_json_holds_exactly_what_is_documented() -> None:
    document = json.loads(results(RUN, CEILING).to_json(), parse_constant=refuse_constant)
    assert set(document) == {
        *("versions", "code_sha256", "origins", "scenario", "runs", "summary", "parties", "audits"),
        "failures",
    }
    assert [set(run) for run in document["runs"]] == [{*KEYS, "variation"}] * 2
    assert [set(entry) for entry in document["summary"]] == [{*SUMMARY_KEYS, "variation"}] * 2
    assert [set(party) for party in document["parties"]] == [{*PARTY_KEYS, "variation"}] * 2
    assert document["parties"][0]["role"] == "platform"
    assert document["origins"] == [{"variation": {}, "contract_hash": "ab" * 32, "data_sha256": "ef" * 32}]
    own, ceiling = document["runs"]
    assert (own["baseline"], own["noise"], own["epsilon"]) == (None, "shared", 1.0)
    assert (ceiling["baseline"], ceiling["epsilon"]) == ("pooled-lightgbm", None)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_infinite_number_never_gets_into_a_run(value: float) -> None:
    with pytest.raises(ScenarioError, match="epsilon_spent is not finite"):
        replace(RUN, epsilon_spent=value)


def test_the_csv_has_the_same_runs_with_empty_fields_for_null() -> None:
    away = replace(RUN, absent=("north", "south"))
    rows = list(csv.DictReader(io.StringIO(results(away, CEILING).to_csv())))
    assert set(rows[0]) == KEYS
    assert (rows[0]["absent"], rows[1]["absent"]) == ("north south", "")
    assert rows[0]["auc"] == "0.77"
    assert rows[0]["noise"] == "shared"
    assert rows[0]["private"] == "true"
    assert rows[1]["epsilon"] == ""
    assert rows[1]["baseline"] == "pooled-lightgbm"


def test_the_parties_csv_has_a_line_for_each_party() -> None:
    rows = list(csv.DictReader(io.StringIO(results(RUN).parties_csv())))
    assert set(rows[0]) == PARTY_KEYS
    assert [(row["party"], row["baseline"], row["auc"]) for row in rows] == [
        ("north", "", "0.75"),
        ("north", "local-only", ""),
    ]


FAILURE = Failure(
    learner="scorecard",
    baseline=None,
    noise=NoiseMode.SHARED,
    epsilon=1.0,
    parties=20,
    seed=2,
    reason="too few parties were left",
)


def test_runs_that_could_not_end_are_counted_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "failures.csv").write_text("of an earlier experiment")
    found = replace(results(RUN, replace(RUN, seed=3), CEILING), failures=(FAILURE,))
    own, ceiling = found.summary
    assert (own.n, own.failed, ceiling.failed) == (2, 1, 0)
    assert own.auc_mean == pytest.approx(RUN.auc)
    assert json.loads(found.to_json())["failures"][0]["reason"] == "too few parties were left"
    found.write(tmp_path)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "failures.csv").read_text()))
    assert (row["seed"], row["reason"]) == ("2", "too few parties were left")
    replace(found, failures=()).write(tmp_path)
    assert not (tmp_path / "failures.csv").exists()


def in_variation(run: Run, count: int) -> Run:
    return replace(run, variation={"parties.count": str(count), "learner.recipe": '"plain"'})


def test_swept_keys_are_columns_and_variations_are_never_compared() -> None:
    runs = [
        replace(in_variation(run, count), seed=seed, auc=run.auc + shift)
        for count, shift in ((5, 0.0), (20, 0.01))
        for run in (RUN, CEILING)
        for seed in (1, 2)
    ]
    rows = list(csv.reader(io.StringIO(results(*runs).to_csv())))
    assert rows[0][:3] == ["parties.count", "learner.recipe", "learner"]
    assert rows[1][:2] == ["5", '"plain"']
    assert len(rows) == 9
    summary = summarise([*runs, replace(CEILING, auc=0.99)])
    assert [entry.variation for entry in summary] == [
        *[runs[0].variation] * 2,
        *[runs[4].variation] * 2,
        {},
    ]
    assert [entry.n for entry in summary] == [2, 2, 2, 2, 1]
    assert [entry.gap_to_lightgbm for entry in summary] == pytest.approx([0.015, 0, 0.015, 0, 0])
    assert summary[1].auc_gap == pytest.approx(-0.015)
    assert summary[4].auc_gap is None


def test_a_summary_is_over_seeds_and_its_gap_is_paired() -> None:
    aucs = {1: 0.77, 2: 0.78, 3: 0.76}
    ceilings = {1: 0.79, 2: 0.785}
    runs = [replace(RUN, seed=seed, auc=auc, ks=auc / 2) for seed, auc in aucs.items()]
    runs += [replace(RUN, epsilon=2.0, auc=0.9)]
    runs += [replace(CEILING, seed=seed, auc=auc) for seed, auc in ceilings.items()]
    own, other, ceiling = summarise(runs)
    assert (own.n, own.epsilon) == (3, 1.0)
    assert own.auc_mean == pytest.approx(0.77)
    assert own.auc_sd == pytest.approx(statistics.stdev(aucs.values()))
    assert own.ks_mean == pytest.approx(0.385)
    assert own.gap_to_lightgbm == pytest.approx((0.02 + 0.005) / 2)
    assert (other.n, other.epsilon, other.auc_sd) == (1, 2.0, None)
    assert ceiling.gap_to_lightgbm == 0.0


NAIVE = replace(
    RUN,
    learner="neural",
    baseline=Baseline.NAIVE_FLOWER_OPACUS,
    noise=NoiseMode.LOCAL,
    epsilon_spent=5.5,
    epsilon_reported=0.99,
)


def test_the_own_runs_lead_is_paired_by_seed_and_epsilon() -> None:
    runs = [replace(RUN, seed=seed, auc=auc) for seed, auc in {1: 0.77, 2: 0.78, 3: 0.79}.items()]
    runs += [replace(RUN, epsilon=2.0, seed=seed, auc=0.9) for seed in (1, 2)]
    runs += [replace(NAIVE, seed=seed, auc=auc) for seed, auc in {2: 0.76, 3: 0.75, 4: 0.1}.items()]
    runs += [replace(NAIVE, epsilon=2.0, seed=1, auc=0.95), replace(NAIVE, epsilon=4.0, auc=0.7)]
    own, _, naive, dearer, alone = summarise(runs)
    assert (own.auc_gap, own.auc_gap_margin) == (None, None)
    assert naive.auc_gap == pytest.approx((0.02 + 0.04) / 2)
    # Of two differences: 12.706 standard errors.
    assert naive.auc_gap_margin == pytest.approx(12.7062 * 0.01, rel=1e-4)
    assert dearer.auc_gap == pytest.approx(-0.05)
    assert dearer.auc_gap_margin is None
    assert alone.auc_gap is None


def test_a_baseline_without_epsilon_is_compared_where_the_own_runs_have_one_alone() -> None:
    _, ceiling = summarise([RUN, CEILING])
    assert ceiling.auc_gap == pytest.approx(-0.015)
    *_, ceiling = summarise([RUN, replace(RUN, epsilon=2.0), CEILING])
    assert ceiling.auc_gap is None


def test_a_summary_tells_the_largest_true_epsilon_and_what_was_reported() -> None:
    (naive,) = summarise([NAIVE, replace(NAIVE, seed=2, epsilon_spent=5.75, epsilon_reported=0.98)])
    assert (naive.epsilon, naive.epsilon_spent, naive.epsilon_reported) == (1.0, 5.75, 0.99)
    (own,) = summarise([replace(RUN, epsilon_prv=0.9)])
    assert (own.epsilon_spent, own.epsilon_reported, own.epsilon_prv) == (0.999, None, 0.9)
    (unbounded,) = summarise([NAIVE, replace(NAIVE, seed=2, epsilon_spent=None)])
    assert unbounded.epsilon_spent is None


def test_without_the_ceiling_there_is_no_gap() -> None:
    (own,) = summarise([RUN])
    assert own.gap_to_lightgbm is None


def test_noise_and_baseline_keep_methods_apart() -> None:
    runs = [RUN, replace(RUN, noise=NoiseMode.LOCAL), replace(RUN, baseline=Baseline.LOCAL_NOISE)]
    assert [entry.n for entry in summarise(runs)] == [1, 1, 1]


def test_writing_replaces_what_fedscore_writes_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    results(RUN).write(result_folder(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("notes.txt", "parties.csv", "results.csv", "results.json")
    ]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "results.json").read_text())["runs"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    target.mkdir()
    (target / "in the way").touch()
    with pytest.raises(ScenarioError, match="cannot be written"):
        write_whole(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScenarioError, match="--out"):
        result_folder(tmp_path / "file" / "folder")
