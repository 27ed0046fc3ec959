"""A report can be defended: its figures are the results', and the experiment can be run again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fedscore.contract import Contract, NoiseMode
from simulations.audit.findings import Verdict
from simulations.deployment import DeploymentTerms
from simulations.report import ReportContent, render
from simulations.report.costs import costs_of
from simulations.report.frontier import frontier
from simulations.report.methods import explained
from simulations.report.provenance import scenario_in_words
from simulations.results import Failure
from simulations.scenario import Baseline, load_scenario, parse_scenario, shipped_scenarios
from simulations.wall_time import formula
from tests.pages import Page
from tests.reports import audits, experiment, party_runs, runs


@pytest.fixture(scope="module")
def whole(tiny_contract: Contract) -> ReportContent:
    return experiment(tiny_contract, runs=runs(), parties=party_runs(20), audits=audits())


@pytest.fixture(scope="module")
def page(whole: ReportContent) -> str:
    return render(whole)


def test_every_point_of_the_frontier_is_in_the_table(whole: ReportContent, page: str) -> None:
    text = Page(page).text
    for point in frontier(whole.results.runs):
        assert point.auc.margin is not None
        assert point.ks.margin is not None
        told = f"{point.auc.mean:.4f} ± {point.auc.margin:.4f} {point.ks.mean:.3f} ± {point.ks.margin:.3f} "
        if point.below_ceiling is None:
            told += "\N{EN DASH}"
        else:
            assert point.below_ceiling.margin is not None
            told += f"{point.below_ceiling.mean:+.4f} ± {point.below_ceiling.margin:.4f}"
        assert told.replace("-", "\N{MINUS SIGN}") in text, told


def test_every_method_is_explained_once(page: str) -> None:
    text = Page(page).text
    for sentence in explained(frontier(runs())):
        assert text.count(sentence) == 1
    assert "that once more" not in text
    assert text.count("the recipe reports ε =") == 1


def test_what_intervals_are_of_is_said(page: str) -> None:
    text = Page(page).text
    assert (
        "95 % intervals (Student's t over seeds) of the distance to pooled LightGBM, paired by seed" in text
    )
    assert (
        "They are for other splits of these rows and other noise, and say nothing about other people." in text
    )


def test_nothing_is_told_that_is_no_number(page: str) -> None:
    words = re.findall(r"[A-Za-z]+", Page(page).text)
    assert not {"nan", "NaN", "None", "Infinity", "inf", "Undefined"} & set(words)


def test_the_attack_stands_beside_the_promise(whole: ReportContent, page: str) -> None:
    text = Page(page).text
    row = next(row for row in audits() if row.epsilon == 1.0)
    assert row.lower is not None
    assert "1 passed 0.31 0.62 0.45 0.80, Gaussian 5.43 7.65, Gaussian \N{MULTIPLICATION SIGN} 1.37" in text
    assert (
        "1 ordinary 0.503 0.493 to 0.513 0.731 0.250 0.13 % 0.07 to 0.23 %, at 0.1 % false alarms 0.27 %"
        in text
    )
    assert "0.1 passed 0.00 0.06" in text
    assert "7.65, Gaussian nothing 2 \N{MULTIPLICATION SIGN} 1,234" in text
    assert (
        "0.31 ε that the attack proves where 1 is promised (0.62 if the noise is Gaussian); audit: passed"
        in text
    )
    assert "drawn from a seed, like all noise of a simulation, so that these figures" not in text
    seeded = [replace(row, seeded=True) for row in audits()]
    again = Page(render(replace(whole, results=replace(whole.results, audits=seeded)))).text
    assert "drawn from a seed, like all noise of a simulation, so that these figures" in again
    assert "No attack was tried" not in text
    assert "As promised &lt;b&gt;." in page
    assert len(whole.results.audits) == text.count("An ε of 0.31.")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.NO_POWER, "at least one test could hardly have found anything, so this is no pass"),
        (Verdict.FAILED, "the promise is broken, or something very unlikely has happened"),
    ],
)
def test_an_audit_that_did_not_pass_is_told_before_its_figures(
    whole: ReportContent, verdict: Verdict, told: str
) -> None:
    rows = audits(epsilons=(1.0,), verdict=verdict)
    text = Page(render(replace(whole, results=replace(whole.results, audits=rows)))).text
    assert f"At ε = 1 the audit's verdict is {verdict.value} : " in text
    assert text.index(told) < text.index("Lower bounds of ε")
    assert f"audit: {verdict.value}" in text


def test_without_an_audit_the_page_says_that_no_attack_was_tried(whole: ReportContent) -> None:
    text = Page(render(replace(whole, results=replace(whole.results, audits=())))).text
    assert "No attack was tried: the scenario has no [audit] section" in text
    assert "not tried attack" in text
    for gone in ("Lower bounds of ε", "Membership inference", "AUC of membership inference"):
        assert gone not in text


def test_an_audit_without_bounds_or_attacks_tells_its_findings_alone(whole: ReportContent) -> None:
    rows = [replace(row, lower=None, membership=()) for row in audits(epsilons=(1.0, 2.0))]
    text = Page(render(replace(whole, results=replace(whole.results, audits=rows)))).text
    assert "What was asked, and what would have been found" in text
    assert "Lower bounds of ε" not in text
    assert "Membership inference" not in text
    assert "passed audit at ε = 1" in text


def test_twenty_four_variations_are_told_one_by_one(tiny_contract: Contract) -> None:
    places = [{"parties.count": str(count), "learner.recipe": '"<plain>"'} for count in range(1, 25)]
    content = experiment(
        tiny_contract,
        runs=[run for place in places for run in runs(place, epsilons=(0.5, 2.0), seeds=(1, 2))],
        audits=[row for place in places for row in audits(place, epsilons=(0.5, 2.0))],
    )
    page = render(content)
    text = Page(page).text
    for place in places:
        assert text.count(f"parties.count = {place['parties.count']}, learner.recipe = ") >= 2
    assert page.count('<figure class="picture"><figcaption>') == 24
    assert "<plain>" not in page
    assert len(page) < 4_000_000


def test_the_same_results_give_the_same_page(whole: ReportContent, page: str) -> None:
    assert render(whole) == page


@pytest.mark.parametrize("name", shipped_scenarios())
def test_the_scenario_in_the_page_is_the_scenario(name: str) -> None:
    terms = load_scenario(name).terms
    text = scenario_in_words({"name": name, **terms.model_dump(mode="json")})
    assert parse_scenario(text) == terms
    assert text.startswith(f"# {name}\n")


def test_a_scenario_with_a_sweep_can_be_run_again_too() -> None:
    setting = "sweep={'parties.roles.platform'=[5, 20], 'learner.recipe'=['plain', 'filtered']}"
    loaded = load_scenario("taiwan", [setting])
    text = scenario_in_words({"name": "taiwan", **loaded.terms.model_dump(mode="json")})
    assert parse_scenario(text) == loaded.terms


def test_the_page_says_what_everything_comes_from(page: str) -> None:
    text = Page(page).text
    for told in ("fedscore 9.9", "numpy 2.0", "12" * 32, "ab" * 32, "34" * 32, "cd" * 32, "ab" * 8 + "…"):
        assert told in text, told


def test_the_estimate_is_that_of_the_formula_and_says_so(whole: ReportContent, page: str) -> None:
    text = Page(page).text
    terms = DeploymentTerms()
    costs = costs_of(whole.results.runs, whole.timings.runs, members=7, terms=terms)
    assert [(cost.method, cost.epsilon) for cost in costs] == [
        ("federated, shared noise", 1.0),
        ("federated, local noise", 1.0),
        ("naive, tuned, true ε", 1.0),
    ]
    shared, _, recipe = costs
    assert recipe.estimate is None
    assert shared.estimate is not None
    # Nineteen phases of 3.5 to 6 s with five round trips of .05 s; 4.2 s of computing for twenty parties.
    assert shared.estimate.phases.low == pytest.approx(71.25)
    assert shared.estimate.phases.high == pytest.approx(118.75)
    assert shared.estimate.computing.low == pytest.approx(0.21)
    assert shared.estimate.computing.high == pytest.approx(4.2)
    assert "Nobody has measured this" in text
    assert "these sums were not encrypted" in text.lower()
    assert " ".join(formula().split()) in text


def test_costs_are_of_the_epsilon_nearest_to_one_and_means_over_seeds(tiny_contract: Contract) -> None:
    content = experiment(tiny_contract, runs=runs(epsilons=(0.5, 4.0), seeds=(1, 2)))
    timings = [replace(timing, seconds=float(timing.seed)) for timing in content.timings.runs]
    own, *_ = costs_of(content.results.runs, timings, members=1, terms=DeploymentTerms())
    assert (own.epsilon, own.seconds) == (0.5, 1.5)


def test_a_baseline_that_sends_nothing_costs_nothing(whole: ReportContent) -> None:
    kept = [
        (run, timing)
        for run, timing in zip(whole.results.runs, whole.timings.runs, strict=True)
        if run.baseline in {Baseline.POOLED_LIGHTGBM, Baseline.LOCAL_ONLY}
    ]
    assert (
        costs_of([run for run, _ in kept], [timing for _, timing in kept], members=1, terms=DeploymentTerms())
        == ()
    )


def test_trainings_that_could_not_end_and_who_was_absent_are_told(whole: ReportContent) -> None:
    failures = [
        Failure(
            learner="scorecard",
            baseline=baseline,
            noise=NoiseMode.SHARED,
            epsilon=0.5,
            parties=20,
            seed=7,
            reason="too <few> answered",
        )
        for baseline in (None, Baseline.LOCAL_NOISE)
    ]
    gone = [replace(run, absent=("shop-1", "shop-2")) if run.seed == 4 else run for run in runs()]
    results = replace(whole.results, failures=failures, runs=gone)
    page = render(replace(whole, results=results))
    text = Page(page).text
    total = len(gone) + 2
    assert f"2 of {total} trainings could not end" in text
    assert "the scenario's own 0.5 7 too <few> answered" in text
    assert "local-noise 0.5 7" in text
    assert "too <few>" not in page
    assert "In 6 of 30 federated trainings parties were out of the sums by the end, up to 2 of 20" in text


def test_nobody_absent_and_nothing_failed_is_not_told(page: str) -> None:
    assert "could not end" not in Page(page).text
    assert "out of the sums" not in Page(page).text
