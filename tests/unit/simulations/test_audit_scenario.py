"""A scenario's audit: rows of results, what a scenario may ask for, and the benchmark of injected bugs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import audit_power
from fedscore.contract import Contract, Recipe
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.learners.agenda import Agenda
from fedscore.learners.scorecard.queries import Gradient
from fedscore.sums import noised_total
from simulations.audit.findings import Finding, Verdict
from simulations.audit.row import AuditRow, LowerBounds
from simulations.audit.run import audit, audit_scenario
from simulations.audit.terms import AuditTerms
from simulations.dealing import Ground, read_ground
from simulations.lookup import find_contract, find_data
from simulations.randomness import SeededRandomness
from simulations.scenario import load_scenario


@pytest.fixture(scope="module")
def ground(small_experiment: Path) -> Ground:
    loaded = load_scenario(small_experiment)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded, None))


def test_a_row_is_a_function_of_scenario_and_data(ground: Ground) -> None:
    terms = AuditTerms(runs=1, trainings=0, shadows=32, records=100, outliers=20)
    rows = [
        audit_scenario(ground, epsilon=8.0, terms=terms, processes=processes).to_document()
        for processes in (1, 2)
    ]
    assert rows[0] == rows[1]
    assert rows[0]["seeded"]
    assert [one["of"] for one in rows[0]["membership"]] == ["ordinary", "outliers"]
    json.dumps(rows[0], allow_nan=False)


def test_rows_come_back_from_documents() -> None:
    bounds = LowerBounds(
        trainings=100,
        confidence=0.999,
        epsilon=0.0,
        most=2.0,
        expected=0.1,
        mu=0.0,
        gaussian_epsilon=0.0,
        gaussian_most=9.0,
        gaussian_expected=0.2,
        attained=0.97,
        detectable=float("inf"),
    )
    finding = Finding(name="a", verdict=Verdict.MEASURED, told="b", power="c", p_value=0.5)
    row = AuditRow(
        variation={"parties.count": "20"},
        epsilon=1.0,
        delta=1e-5,
        verdict=Verdict.NO_POWER,
        findings=(finding, replace(finding, p_value=None)),
        lower=bounds,
    )
    document = json.loads(json.dumps(row.to_document(), allow_nan=False))
    assert document["lower"]["detectable"] is None
    assert AuditRow.from_document(document) == row
    assert AuditRow.from_document(replace(row, lower=None).to_document()) == replace(row, lower=None)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("audit.trainings=50", "trainings = 50 is too few to bound epsilon: at least 100, or 0"),
        ("audit.shadows=8", "shadows = 8 is too few for an attack: at least 32, or 0"),
        ("audit.level=0.5", "audit.level"),
        ("audit.shadow=8", "audit.shadow is not a key of a scenario: did you mean 'shadows'"),
    ],
)
def test_what_cannot_be_audited_is_refused(small_experiment: Path, setting: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load_scenario(small_experiment, [setting])


def test_a_scenario_without_noise_has_nothing_to_audit(ground: Ground) -> None:
    silent = load_scenario("taiwan", ['privacy.noise="none"', 'baselines=["pooled-no-noise"]']).terms.privacy
    contract = ground.contract.with_privacy(noise=silent.noise)
    with pytest.raises(ScenarioError, match="no noise to audit"):
        audit_scenario(replace(ground, contract=contract), epsilon=1.0, terms=AuditTerms())


def test_a_sweep_is_not_audited_by_its_first_variation(small_experiment: Path) -> None:
    sweep = ["sweep.split.test=[0.3, 0.4]"]
    with pytest.raises(ScenarioError, match="has a sweep of 2 variations"):
        audit(str(small_experiment), data=None, overrides=sweep)


@pytest.mark.parametrize("code", ["right", "quiet", "forked"])
def test_the_benchmark_counts_what_is_caught(ground: Ground, code: str) -> None:
    terms = AuditTerms(trainings=0, shadows=0, level=1e-6)
    found = audit_power.counted(code, ground, epsilon=8.0, repetitions=1, terms=terms, processes=2)
    assert found.audits == found.failed + found.passed + found.no_power == 1
    if code == "right":
        assert found.failed == 0
    else:
        assert found.is_as_it_must_be
        assert "independence of shares" in found.found_by or code == "quiet"


def test_no_power_is_no_pass() -> None:
    blind = audit_power.Counted(
        code="right", audits=2, failed=0, passed=1, no_power=1, found_by={}, smallest=0.5
    )
    assert not blind.is_as_it_must_be
    assert replace(blind, passed=2, no_power=0).is_as_it_must_be
    assert not replace(blind, code="quiet", passed=2, no_power=0).is_as_it_must_be


def test_the_benchmarks_command_ends_with_one_where_a_bug_is_missed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right code in the place of a bug."""
    monkeypatch.setattr(audit_power, "CODES", {"quiet": audit_power.CODES["right"]})
    monkeypatch.setattr(audit_power, "_ground", lambda _data, **_how: ground)
    done = CliRunner().invoke(audit_power.app, ["--repetitions", "1", "--processes", "1"])
    assert done.exit_code == 1, done.output
    assert "NOT as it must be" in done.stdout


def test_the_unclipped_gradient_is_the_gradient_without_its_clip(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = make_rows(300, 1)
    agenda = Agenda(tiny_contract.with_recipe(Recipe.PLAIN), run="0" * 32)
    openings: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    while True:
        query, request = agenda.next_sum(openings)
        if isinstance(query, Gradient):
            break
        openings.append(noised_total(query, rows, request, row_cap=len(rows), randomness=SeededRandomness(1)))
    query = replace(query, slopes=np.full_like(query.slopes, 6.0))
    clipped = query.contributions(rows).values
    free = audit_power.Unclipped(query.model, query.slopes, query.offsets).contributions(rows).values
    lengths = np.linalg.norm(free, axis=1)
    assert lengths.max() > 1.0 > lengths.min()
    np.testing.assert_allclose(clipped, free / np.maximum(lengths, 1.0)[:, None])
