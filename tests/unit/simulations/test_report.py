from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fedscore.card import Evaluation, Grade, Measure
from fedscore.contract import Contract, Encoding, NeuralModelKind, NeuralTerms, NoiseMode, Training
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.inputs import grid_inputs
from fedscore.learners.neural.model import NeuralModel, model_of
from simulations.report import ReportContent, render
from simulations.report.neural import described
from simulations.results import Origin, Results, Run
from simulations.scenario import Baseline
from simulations.timings import Timing, Timings
from tests.cards import plain_card, table
from tests.pages import Page

RUN = Run(
    learner="scorecard",
    baseline=None,
    private=True,
    epsilon=1.0,
    epsilon_spent=0.9991,
    epsilon_person=0.9991,
    delta=1e-5,
    noise=NoiseMode.SHARED,
    encrypted=True,
    parties=20,
    seed=1,
    auc=0.7712,
    gini=0.5424,
    ks=0.42,
    brier=0.13,
    calibration_error=0.01,
    rounds=9,
    values_per_party=2000,
    bytes_per_party=1_234_567,
)
POOLED = replace(
    RUN,
    baseline=Baseline.POOLED_NO_NOISE,
    private=False,
    epsilon=None,
    epsilon_spent=None,
    epsilon_person=None,
    noise=NoiseMode.NONE,
    rounds=0,
    bytes_per_party=0,
    auc=0.7791,
)
TIMING = Timing(
    learner="scorecard", baseline=None, noise=NoiseMode.SHARED, epsilon=1.0, seed=1, seconds=1.5, phases=20
)


def timings(*runs: Timing) -> Timings:
    return Timings(created=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), processors=2, runs=runs)


@pytest.fixture
def content(tiny_contract: Contract) -> ReportContent:
    card = plain_card(
        table("utilisation", [10.0, -0.01, -20.0]),
        table("late_payments", [1.0, -1.0]),
        contract_hash="cd" * 32,
    )
    return ReportContent(
        title="A <title> & more",
        introduction=("First <b>paragraph</b>.",),
        results=Results(
            versions={"fedscore": "9.9"},
            code_sha256="12" * 32,
            origins=(Origin(contract_hash="ab" * 32, data_sha256="34" * 32),),
            scenario={"name": "x", "note": "</pre><script>alert(1)</script>"},
            runs=(RUN, POOLED),
        ),
        timings=timings(TIMING, replace(TIMING, baseline=POOLED.baseline)),
        trained=card,
        contract=tiny_contract,
    )


def with_runs(content: ReportContent, *runs: Run) -> ReportContent:
    return replace(
        content,
        results=replace(content.results, runs=runs),
        timings=timings(*[TIMING] * len(runs)),
    )


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(content: ReportContent) -> None:
    text = render(content)
    page = Page(text)
    # Drawings refer to their own parts, and sentences to sections.
    assert all(load.startswith("#") for load in page.loaded)
    assert {"script", "link", "iframe", "object", "img", "image"}.isdisjoint(page.tags)
    assert page.tags.count("svg") > 1
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert "http://" not in text
    assert "https://" not in text


def test_the_page_tells_what_how_well_at_what_cost_and_with_which_promise(content: ReportContent) -> None:
    text = Page(render(content)).text
    for told in (
        "0.7712",
        "0.7791",
        "30 days past due",
        "1.2 MB",
        "ε = 0.9991 at δ = 1e-05",
        "one record",
        "one person",
        "Nothing is promised to an organisation as a whole",
        "outside the budget",
        "fedscore 9.9",
        "ab" * 32,
        "cd" * 32,
        "2025-01-02T03:04:05+00:00",
    ):
        assert told in text, told


def test_text_is_text_whatever_it_holds(content: ReportContent) -> None:
    text = render(content)
    assert "<script" not in text
    assert "&lt;title&gt; &amp; more" in text
    assert "First &lt;b&gt;paragraph" in text


def test_the_page_fits_a_phone(content: ReportContent) -> None:
    text = render(content)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    # What is wider than a phone is scrolled by itself, or set in rows.
    scrolled = len(re.findall(r'<div class="wide">\s*<table', text))
    in_rows = len(re.findall(r'<table class="(?:bins|plain words)', text))
    assert Page(text).tags.count("table") == scrolled + in_rows


def test_what_was_not_measured_is_not_in_the_page(content: ReportContent) -> None:
    text = Page(render(content)).text
    assert "below LightGBM" not in text
    assert "It was not measured what each party's own card is worth" in text
    assert "No attack was tried" in text
    assert "key ceremony" not in text


def test_the_ceremony_is_told_where_there_was_one(content: ReportContent) -> None:
    assert "12.3 seconds more, once" in Page(render(replace(content, ceremony_seconds=12.34))).text


def test_an_encrypted_run_tells_who_opens_and_where_its_time_went(content: ReportContent) -> None:
    timed = replace(
        TIMING, seconds=9.5, encrypt_seconds=1.25, prove_seconds=2.31, verify_seconds=3.42, open_seconds=0.63
    )
    text = Page(render(replace(with_runs(content, RUN), timings=timings(timed)))).text
    assert "of the 3 members of the committee, 2 of whom open a sum together, at most 1 collude" in text
    # All, and of it computing, encryption, proofs, verification and openings.
    assert "1.2 MB 9.5 1.9 1.2 2.3 3.4 0.63" in text
    plain = replace(RUN, encrypted=False)
    text = Page(render(with_runs(content, plain))).text
    assert "2 of whom open a sum together" not in text
    assert "all members of the committee and the server" not in text
    assert "These sums were not encrypted" in text


def test_several_epsilons_are_drawn_as_a_curve(content: ReportContent) -> None:
    runs = [replace(RUN, epsilon=epsilon, seed=seed) for epsilon in (0.5, 1.0, 2.0) for seed in (1, 2)]
    text = Page(render(with_runs(content, *runs, POOLED))).text
    assert "on a logarithmic axis" in text
    assert "At ε = 1 the federated card reaches" in text
    assert "mean of 2 seeds" in text


def test_without_noise_the_page_promises_nothing(content: ReportContent) -> None:
    own = replace(POOLED, baseline=None, rounds=9)
    text = Page(render(with_runs(content, own))).text
    assert "promise nothing about anybody" in text
    assert "Promised to one record" not in text


def test_the_same_results_give_the_same_page(content: ReportContent) -> None:
    assert render(content) == render(content)


def model(contract: Contract, terms: NeuralTerms | None = None, rounds: int | None = None) -> NeuralModel:
    terms = NeuralTerms(rounds=40) if terms is None else terms
    inputs = grid_inputs(contract.tables, Encoding.STANDARDISED)
    parameters = Architecture.of(terms, len(inputs)).initial(-1.0)
    return model_of(contract, terms, inputs, parameters, rounds=terms.rounds if rounds is None else rounds)


NEURAL = replace(RUN, learner="neural")
CARD = replace(RUN, baseline=Baseline.SCORECARD, auc=0.78)
NAIVE = replace(
    NEURAL,
    baseline=Baseline.NAIVE_FLOWER_OPACUS,
    noise=NoiseMode.LOCAL,
    epsilon_spent=5.537,
    epsilon_reported=0.9971,
    encrypted=False,
    auc=0.7412,
)


@pytest.fixture
def neural(content: ReportContent) -> ReportContent:
    """The report of a neural run beside a card and the recipe."""
    runs = [replace(run, seed=seed, auc=run.auc + seed / 1000) for run in (NEURAL, CARD) for seed in (1, 2)]
    runs += [NAIVE, replace(NAIVE, seed=2, auc=0.7452)]
    return replace(with_runs(content, *runs), trained=model(content.contract))


def test_a_neural_run_tells_what_the_model_is_and_draws_no_points(neural: ReportContent) -> None:
    page = Page(render(neural))
    inputs = len(grid_inputs(neural.contract.tables, Encoding.STANDARDISED))
    parameters = Architecture.of(NeuralTerms(), inputs).parameters
    for told in (
        "At ε = 1 the federated model reaches an AUC of 0.7727 on test rows (mean of 2 seeds)",
        "What the model is",
        "mlp: hidden layer of 16 rectified units",
        f"{inputs} numbers of",
        f"{parameters} weights and biases",
        "encoding standardised:",
        "rounds 40; the model is the mean",
        "training shared: every round is one step",
        "so this holds for the model",
        "keep a model from telling",
        "The first run's model is in model.json",
        model(neural.contract).contract_hash,
    ):
        assert told in page.text, told
    for card in ("What the card looks at", "card.json", "Every record starts with", "double the odds"):
        assert card not in page.text
    # A card is spoken of where one was trained: as a baseline, and where a model is compared with it.
    beside = render(with_runs(neural, NEURAL))
    assert re.findall(r"\bcards?\b", Page(beside).text) == []


def test_the_recipe_stands_with_its_true_epsilon_and_what_it_reports(neural: ReportContent) -> None:
    text = Page(render(neural)).text
    assert "naive Flower + Opacus 5.537 reports 1.00 2 0.7432" in text
    assert "the recipe reports ε = 1.00, and its true ε is at most 5.54" in text
    assert "naive Flower + Opacus: 0.7432 (at a true ε of 5.537)" in text
    assert "averages of models in clear" in text


def test_leads_are_told_with_their_interval(neural: ReportContent) -> None:
    text = Page(render(neural)).text
    assert "own run \N{MINUS SIGN} this" in text
    # Differences of .031 and .028, of which half the range times 12.706.
    assert "+0.0295 ± 0.0191" in text
    assert "paired by seed" in text
    single = with_runs(neural, NEURAL, NAIVE)
    text = Page(render(single)).text
    assert "There is one seed, so there are no intervals" in text
    assert "±" not in text


def test_a_report_without_baselines_has_no_leads_and_no_recipe(content: ReportContent) -> None:
    text = Page(render(with_runs(content, RUN))).text
    assert "own run \N{MINUS SIGN} this" not in text
    assert "recipe" not in text


@pytest.mark.parametrize(
    ("terms", "rounds", "told"),
    [
        (NeuralTerms(hidden=(8, 4)), None, "mlp: hidden layers of 8 and 4 rectified units"),
        (NeuralTerms(model=NeuralModelKind.LOGISTIC), None, "logistic: one weight per input"),
        (NeuralTerms(training=Training.LOCAL), None, "local: in every round each organisation takes 4 steps"),
        (NeuralTerms(one_in=8), None, "a record takes part in a step with a chance of 1 in 8"),
        (
            NeuralTerms(rounds=40, patience=3),
            12,
            "12 of 40: the sums had shown nothing but noise for 3 rounds",
        ),
    ],
)
def test_a_model_is_described_as_it_was_trained(
    tiny_contract: Contract, terms: NeuralTerms, rounds: int | None, told: str
) -> None:
    assert told in " ".join(text for _, text in described(model(tiny_contract, terms, rounds)))


def test_grades_and_private_metrics_are_told(content: ReportContent) -> None:
    plain = " ".join(Page(render(content)).text.split())
    assert "Grades" not in plain
    assert "What a deployment would know" not in plain
    measure = {"low": 0.7012, "high": 0.7345, "total_low": 0.6901, "total_high": 0.7456}
    card = plain_card(
        table("utilisation", [10.0, -0.01, -20.0]),
        table("late_payments", [1.0, -1.0]),
        grades=(
            Grade(name="good", lowest_score=512.0, share=0.75, bad_rate=0.0123, standard_error=0.001),
            Grade(name="poor", lowest_score=None, share=0.25, bad_rate=0.2345, standard_error=0.01),
        ),
        evaluation=Evaluation(
            level=0.99,
            records=1234.5,
            measures=(Measure(name="auc", value=0.7188, **measure),),
            not_measured=("ks",),
            grades=(Measure(name="good", value=0.72, **measure),),
        ),
    )
    told = " ".join(Page(render(replace(content, trained=card))).text.split())
    assert "good 512 75.0 % 1.23 % 70.12 to 73.45 %" in told
    assert "poor \N{EN DASH} 25.0 % 23.45 % \N{EN DASH}" in told
    assert "auc 0.7188 0.7012 to 0.7345 0.6901 to 0.7456" in told
    assert "Hidden by noise: ks." in told
