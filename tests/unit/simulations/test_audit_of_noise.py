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
from fedscore.contract import Contract, EvaluationTerms, GradeTerms, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.sums import Query, SumRequest, Update, noised_total
from privacy.dp.randomness import RandomSource
from simulations.audit.findings import Finding, Verdict, verdict_of
from simulations.audit.noise import noise_findings
from simulations.audit.sensitivity import sensitivity_findings
from simulations.audit.shares import Contribute, DrawnRun, draw_run
from simulations.randomness import SeededRandomness

LEVEL = 1e-7
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
    return tiny_contract.with_grades(terms).with_evaluation(EvaluationTerms())


Draw = Callable[[Contribute, int], list[DrawnRun]]


@pytest.fixture(scope="module")
def draw(contract: Contract, make_rows: Callable[[int, int], Rows]) -> Draw:
    training = {party.name: make_rows(150, seed) for seed, party in enumerate(contract.parties)}
    test = {party.name: make_rows(60, 10 + seed) for seed, party in enumerate(contract.parties)}

    def drawn(contribute: Contribute, runs: int) -> list[DrawnRun]:
        return [
            draw_run(contract, training, test, run=f"{number:032x}", contribute=contribute)
            for number in range(runs)
        ]

    return drawn


def test_the_code_as_it_is_passes(draw: Draw, contract: Contract) -> None:
    runs = draw(noised_total, 3)
    findings = noise_findings(runs, level=LEVEL)
    assert [one.verdict for one in findings] == [Verdict.PASSED] * len(findings)
    assert len(findings) == 12 + 1
    found = sensitivity_findings(runs[0], contract, seed=1)
    assert Verdict.FAILED not in {one.verdict for one in found}
    verdicts = {one.name: one.verdict for one in found}
    assert verdicts["sensitivity of histogram"] is verdicts["sensitivity of gradient 1"] is Verdict.PASSED


def failed(findings: tuple[Finding, ...]) -> set[str]:
    return {one.name for one in findings if one.verdict is Verdict.FAILED}


def test_noise_with_a_fifth_of_its_variance_is_caught(draw: Draw) -> None:
    names = failed(noise_findings(draw(too_quiet, 3), level=LEVEL))
    assert {"noise of histogram", "noise of residuals 3", "noise of scores"} <= names


def test_a_round_without_noise_is_caught_by_name(draw: Draw) -> None:
    assert failed(noise_findings(draw(silent_once, 3), level=LEVEL)) == {"noise of residuals 2"}


def test_noise_that_two_workers_share_is_caught(draw: Draw) -> None:
    assert "independence of shares" in failed(noise_findings(draw(forked, 3), level=LEVEL))


def test_a_missing_clip_is_caught(draw: Draw, contract: Contract) -> None:
    (run,) = draw(noised_total, 1)
    names = failed(sensitivity_findings(run, contract, seed=1, contribute=unclipped))
    assert names == {f"sensitivity of gradient {number}" for number in range(1, 5)}


def test_a_contract_without_noise_is_refused(contract: Contract) -> None:
    with pytest.raises(ScenarioError, match="no noise to audit"):
        draw_run(contract.with_privacy(noise=NoiseMode.NONE), {}, {}, run="0" * 32)


def test_an_audit_without_power_is_not_called_passed() -> None:
    fine = Finding(name="a", verdict=Verdict.PASSED, told="", power="")
    blind = Finding(name="b", verdict=Verdict.NO_POWER, told="", power="")
    broken = Finding(name="c", verdict=Verdict.FAILED, told="", power="")
    assert verdict_of([fine]) is Verdict.PASSED
    assert verdict_of([fine, blind]) is Verdict.NO_POWER
    assert verdict_of([blind, broken, fine]) is Verdict.FAILED


def test_the_command_tells_every_finding(small_experiment: str) -> None:
    arguments = ["audit", str(small_experiment), "--runs", "3", "--level", "0.0000001", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["runs"] == 3
    assert document["verdict"] in ("passed", "no power")
    assert {"noise of histogram", "independence of shares"} <= {one["name"] for one in document["findings"]}
