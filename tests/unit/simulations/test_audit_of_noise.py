"""The audit passes the code as it is, and catches what would break its promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.contract import Contract, EvaluationTerms, GradeTerms, NoiseMode, Recipe
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.sums import Query, SumRequest, Update, noised_total
from privacy.dp.randomness import RandomSource
from simulations.audit.findings import Finding, Verdict, verdict_of
from simulations.audit.noise import noise_findings
from simulations.audit.sensitivity import Worst, part_of, sensitivity_findings, worst_records
from simulations.audit.shares import Contribute, DrawnRun, draw_run
from simulations.audit.sources import SeededSource
from simulations.randomness import SeededRandomness

LEVEL = 0.001
"""Draws are from a seed, so no test is left to chance."""
_FORKED = SeededRandomness(1)

_Integers = npt.NDArray[np.int64]


def too_quiet(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """Noise with a fifth of its variance, as if five parties had drawn one share together."""
    quiet = replace(request, share_variance=request.share_variance // 5)
    return noised_total(query, rows, quiet, row_cap=row_cap, randomness=randomness)


def silent_once(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """One round's noise is missing."""
    if request.name == "residuals 2":
        request = replace(request, share_variance=0)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


def forked(
    query: Query | Update,
    rows: Rows,
    request: SumRequest,
    *,
    row_cap: int,
    randomness: RandomSource,  # noqa: ARG001 - it does not use it: that is the bug
) -> _Integers:
    """A generator whose state two worker processes have inherited."""
    return noised_total(query, rows, request, row_cap=row_cap, randomness=_FORKED)


def unclipped(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """Nothing bounds what a record adds."""
    loose = replace(request, sensitivity_squared=request.sensitivity_squared * 10**4)
    if isinstance(query, Query) and request.name.startswith("gradient"):
        query = Unclipped(query)
    return noised_total(query, rows, loose, row_cap=row_cap, randomness=randomness)


def forgetful(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """A query that does not clip, in a node that bounds what it is given."""
    if isinstance(query, Query) and request.name.startswith("gradient"):
        query = Unclipped(query)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


def averaging(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """Whoever has many records sends less of each."""
    total = noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)
    return total // len(rows) if len(rows) > 1 else total


def cancelled(run: DrawnRun) -> DrawnRun:
    """What the first party adds, the second takes away."""
    return DrawnRun(
        sums=tuple(
            replace(one, shares=np.stack([one.shares[0], -one.shares[0], one.shares[0]])) for one in run.sums
        )
    )


def reseeded(run: DrawnRun) -> DrawnRun:
    """Every gradient's noise is the first one's."""
    first = next(one for one in run.sums if one.request.name == "gradient 1")
    return DrawnRun(
        sums=tuple(
            replace(one, shares=first.shares) if one.request.name.startswith("gradient") else one
            for one in run.sums
        )
    )


def orthogonal(run: DrawnRun, worst: tuple[Worst, ...]) -> DrawnRun:
    """The same noise, but for what lies along the worst records."""
    sums = []
    for one, found in zip(run.sums, worst, strict=True):
        part = part_of(one.query, found.record, one.request, noised_total).astype(np.float64)
        along = part / max(float(np.linalg.norm(part)), 1e-300)
        sums.append(replace(one, shares=one.shares - np.outer(one.shares @ along, along)))
    return DrawnRun(sums=tuple(sums))


class Unclipped(Query):
    """A query that forgot to clip."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.dimension = query.dimension

    def contributions(self, rows: Rows) -> object:  # type: ignore[override]  # as the other query's
        found = self._query.contributions(rows)
        return replace(found, values=found.values * 3)  # type: ignore[type-var, attr-defined]  # of dense ones


@pytest.fixture(scope="module")
def contract(tiny_contract: Contract) -> Contract:
    terms = GradeTerms(names=("A", "B"), shares=(0.5,))
    # The bugs below are those of the plain recipe's dense sums, and are called by their names.
    plain = tiny_contract.with_recipe(Recipe.PLAIN)
    return plain.with_grades(terms).with_evaluation(EvaluationTerms())


Draw = Callable[[Contribute, int], list[DrawnRun]]


@pytest.fixture(scope="module")
def draw(contract: Contract, make_rows: Callable[[int, int], Rows]) -> Draw:
    training = {party.name: make_rows(150, seed) for seed, party in enumerate(contract.parties)}
    test = {party.name: make_rows(60, 10 + seed) for seed, party in enumerate(contract.parties)}

    known: dict[Contribute, list[DrawnRun]] = {}

    def drawn(contribute: Contribute, runs: int) -> list[DrawnRun]:
        done = known.setdefault(contribute, [])
        for number in range(len(done), runs):
            source = SeededSource(7)
            done.append(
                draw_run(contract, training, test, number=number, contribute=contribute, source=source)
            )
        return done[:runs]

    return drawn


def test_the_code_as_it_is_passes(draw: Draw, contract: Contract) -> None:
    runs = draw(noised_total, 5)
    worst = worst_records(runs[0], contract, seed=1)
    findings = noise_findings(runs, contract, level=LEVEL, worst=worst)
    assert {one.name: one.verdict for one in findings if one.verdict is not Verdict.PASSED} == {}
    names = {one.name for one in findings}
    assert {f"noise of {one.request.name}" for one in runs[0].sums} <= names
    assert {"noise left to colluders in histogram", "noise left to colluders in short sums"} <= names
    assert {"noise left to colluders along the worst records", "independence of shares"} <= names
    assert "price of the noise" in names
    found = sensitivity_findings(worst)
    assert {one.name: one.verdict for one in found if one.verdict is not Verdict.PASSED} == {}
    assert len(found) == 12


def test_every_test_has_its_part_of_the_level(draw: Draw, contract: Contract) -> None:
    """A p-value just below the whole level is no finding: one of a dozen tests was bound to be low."""
    (run,) = draw(noised_total, 1)
    by_chance = [one.p_value for one in noise_findings([run], contract, level=1.0)]
    smallest = min(one for one in by_chance if one is not None)
    tests = sum(one is not None for one in by_chance)
    each = noise_findings([run], contract, level=smallest * tests * 0.999)
    assert Verdict.FAILED not in {one.verdict for one in each}
    each = noise_findings([run], contract, level=smallest * tests * 1.001)
    assert [one.p_value for one in each if one.verdict is Verdict.FAILED] == [smallest]


def failed(findings: tuple[Finding, ...]) -> set[str]:
    return {one.name for one in findings if one.verdict is Verdict.FAILED}


def test_noise_with_a_fifth_of_its_variance_is_caught(draw: Draw, contract: Contract) -> None:
    names = failed(noise_findings(draw(too_quiet, 3), contract, level=LEVEL))
    assert {"noise of histogram", "noise of residuals 3", "noise of scores"} <= names


def test_a_round_without_noise_is_caught_by_name(draw: Draw, contract: Contract) -> None:
    assert failed(noise_findings(draw(silent_once, 3), contract, level=LEVEL)) == {
        "noise of residuals 2",
        "noise left to colluders in residuals 2",
    }


def test_noise_that_two_workers_share_is_caught(draw: Draw, contract: Contract) -> None:
    assert "independence of shares" in failed(noise_findings(draw(forked, 3), contract, level=LEVEL))


def test_a_missing_clip_is_caught(draw: Draw, contract: Contract) -> None:
    (run,) = draw(noised_total, 1)
    found = sensitivity_findings(worst_records(run, contract, seed=1, contribute=unclipped))
    verdicts = {one.name: one.verdict for one in found}
    assert all(verdicts[f"sensitivity of gradient {number}"] is Verdict.FAILED for number in range(1, 5))
    # Where queries clip, what would have been too long shows that nothing else bounds them.
    assert verdicts["sensitivity of covariance"] is Verdict.FAILED


def test_a_query_without_a_clip_is_bounded_by_what_nodes_do(draw: Draw, contract: Contract) -> None:
    (run,) = draw(noised_total, 1)
    found = sensitivity_findings(worst_records(run, contract, seed=1, contribute=forgetful))
    assert Verdict.FAILED not in {one.verdict for one in found}


def test_records_that_depend_on_each_other_are_caught(draw: Draw, contract: Contract) -> None:
    (run,) = draw(noised_total, 1)
    found = sensitivity_findings(worst_records(run, contract, seed=1, contribute=averaging))
    assert {one.verdict for one in found} == {Verdict.FAILED}
    assert "depends on the records beside it" in found[0].told


def test_shares_that_cancel_between_parties_are_caught(draw: Draw, contract: Contract) -> None:
    runs = draw(noised_total, 4)
    names = failed(noise_findings([cancelled(run) for run in runs], contract, level=LEVEL))
    assert {"noise left to colluders in scores", "independence of shares"} <= names


def test_noise_that_sums_of_a_run_share_is_caught(draw: Draw, contract: Contract) -> None:
    """A generator that is seeded anew in every round: the difference of two gradients is free of noise."""
    runs = draw(noised_total, 3)
    names = failed(noise_findings([reseeded(run) for run in runs], contract, level=LEVEL))
    assert "independence of shares" in names


def test_shares_for_more_honest_parties_than_there_are_are_caught(
    contract: Contract, make_rows: Callable[[int, int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What requests say of honest shares is not believed."""
    monkeypatch.setattr("fedscore.sums.request._honest_shares", lambda contract: len(contract.parties))
    rows = {party.name: make_rows(60, seed) for seed, party in enumerate(contract.parties)}
    run = draw_run(contract, rows, rows, number=0, source=SeededSource(7), processes=1)
    findings = {one.name: one for one in noise_findings([run], contract, level=LEVEL)}
    assert findings["price of the noise"].verdict is Verdict.FAILED
    assert "of 2 honest parties of 3" in findings["price of the noise"].told


def test_figures_count_neither_for_nor_against() -> None:
    fine = Finding(name="a", verdict=Verdict.PASSED, told="", power="")
    figure = Finding(name="b", verdict=Verdict.MEASURED, told="", power="")
    assert verdict_of([fine, figure]) is Verdict.PASSED
    assert verdict_of([figure]) is Verdict.NO_POWER


def test_coordinates_that_hide_nothing_along_a_record_are_caught(draw: Draw, contract: Contract) -> None:
    """Noise with the right variance in every coordinate and none along the worst records."""
    runs = draw(noised_total, 5)
    worst = worst_records(runs[0], contract, seed=1)
    blind = [orthogonal(run, worst) for run in runs]
    assert failed(noise_findings(blind, contract, level=LEVEL, worst=worst)) == {
        "noise left to colluders along the worst records"
    }


def test_a_contract_without_noise_is_refused(contract: Contract) -> None:
    with pytest.raises(ScenarioError, match="no noise to audit"):
        draw_run(contract.with_privacy(noise=NoiseMode.NONE), {}, {}, number=0)


def test_an_audit_of_too_little_has_no_power(draw: Draw, contract: Contract) -> None:
    (run,) = draw(noised_total, 1)
    short = DrawnRun(sums=tuple(one for one in run.sums if one.request.name == "gradient 1"))
    verdicts = {one.name: one.verdict for one in noise_findings([short], contract, level=LEVEL)}
    assert verdicts.pop("price of the noise") is Verdict.PASSED
    assert set(verdicts.values()) == {Verdict.NO_POWER}


def test_an_audit_without_power_is_not_called_passed() -> None:
    fine = Finding(name="a", verdict=Verdict.PASSED, told="", power="")
    blind = Finding(name="b", verdict=Verdict.NO_POWER, told="", power="")
    broken = Finding(name="c", verdict=Verdict.FAILED, told="", power="")
    assert verdict_of([fine]) is Verdict.PASSED
    assert verdict_of([fine, blind]) is Verdict.NO_POWER
    assert verdict_of([blind, broken, fine]) is Verdict.FAILED


def test_the_command_tells_every_finding(small_experiment: str) -> None:
    arguments = ["audit", str(small_experiment), "--epsilon", "8", "--runs", "2", "--trainings", "100"]
    done = CliRunner().invoke(app, [*arguments, "--shadows", "32", "--level", "0.000001", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["terms"]["runs"] == 2
    (row,) = document["audits"]
    assert row["epsilon"] == 8
    assert not row["seeded"]
    assert document["verdict"] == row["verdict"] in ("passed", "no power")
    names = {one["name"] for one in row["findings"]}
    assert {"noise of histogram", "independence of shares", "lower bound of epsilon"} <= names
    assert {"membership of ordinary records", "membership of outliers records"} <= names


def test_the_command_prints_measured_beside_promised(small_experiment: str) -> None:
    arguments = ["audit", str(small_experiment), "--runs", "1", "--trainings", "0", "--shadows", "0"]
    done = CliRunner().invoke(app, [*arguments, "--level", "0.000001"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    budgets = [line.split() for line in lines if line.endswith(("passed", "no power"))]
    assert [line[0] for line in budgets if line[1] == "-"] == ["2", "8"]
    assert "The lower bound was left out: the verdict says nothing of it." in lines
