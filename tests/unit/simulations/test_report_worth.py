"""Who gains and who loses is counted from the results, for a few parties and for a thousand."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fedscore.contract import Contract, Role
from simulations.report import render
from simulations.report.gains import by_size, nearest_to_one, party_gains, summary_of
from simulations.report.worth import worth_of
from simulations.results import PartyRun
from simulations.scenario import Baseline
from tests.pages import Page
from tests.reports import EPSILONS, SEEDS, experiment, party_runs, runs

PARTIES = party_runs(20)
GAINS = party_gains(PARTIES, variation=(), epsilon=1.0)


def one(party: str, seed: int, auc: float | None, baseline: Baseline | None = None) -> PartyRun:
    return PartyRun(
        baseline=baseline,
        epsilon=1.0 if baseline is None else None,
        seed=seed,
        party=party,
        role=Role.PLATFORM,
        training_rows=100,
        test_rows=30,
        auc=auc,
    )


def test_gains_and_their_intervals_are_those_of_scipy() -> None:
    for found in GAINS:
        mine = [run for run in PARTIES if run.party == found.party]
        alone = [run.auc for run in mine if run.baseline is not None and run.auc is not None]
        together = [run.auc for run in mine if run.epsilon == 1.0 and run.auc is not None]
        if not alone:
            assert found.gain is None
            assert found.local is None
            assert found.federated == pytest.approx(statistics.fmean(together))
            continue
        interval = stats.ttest_rel(together, alone).confidence_interval(0.95)
        assert found.gain is not None
        assert found.gain.margin is not None
        assert found.gain.mean == pytest.approx(statistics.fmean(together) - statistics.fmean(alone))
        assert found.gain.mean - found.gain.margin == pytest.approx(interval.low, rel=1e-7)
        assert found.is_sure == (interval.low > 0 or interval.high < 0)


def test_who_gains_most_comes_first_and_who_has_no_gain_last() -> None:
    means = [found.gain.mean for found in GAINS if found.gain is not None]
    assert means == sorted(means, reverse=True)
    assert [found.gain is None for found in GAINS] == sorted(found.gain is None for found in GAINS)
    assert GAINS[-1].gain is None


def test_only_seeds_that_have_both_are_compared() -> None:
    own = Baseline.LOCAL_ONLY
    cells = [one("a", 1, 0.8), one("a", 2, 0.9), one("a", 1, 0.7, own), one("a", 2, None, own)]
    (found,) = party_gains(cells, variation=(), epsilon=1.0)
    assert found.gain is not None
    assert found.gain.mean == pytest.approx(0.1)
    assert found.gain.margin is None
    assert (found.local, found.federated) == (0.7, 0.8)
    assert not found.is_sure


def test_counts_add_up() -> None:
    whole = summary_of(GAINS, epsilon=1.0)
    assert whole.parties == 20
    assert whole.measured == whole.gain + whole.lose == 20 - sum(found.gain is None for found in GAINS)
    sure = [found.gain.mean for found in GAINS if found.gain is not None and found.is_sure]
    assert (whole.surely_gain, whole.surely_lose) == (
        sum(mean > 0 for mean in sure),
        sum(mean < 0 for mean in sure),
    )
    assert 0 < whole.surely_gain < whole.gain
    means = [found.gain.mean for found in GAINS if found.gain is not None]
    assert whole.quantiles == pytest.approx(np.percentile(means, [5, 25, 50, 75, 95]))


def test_parties_are_grouped_by_size() -> None:
    groups = by_size(GAINS, epsilon=1.0)
    assert [group.summary.parties for group in groups] == [5, 5, 5, 5]
    for smaller, larger in itertools.pairwise(groups):
        assert smaller.largest <= larger.smallest
    assert groups[0].summary.quantiles[2] > groups[-1].summary.quantiles[2]


def test_nobody_without_a_card_of_its_own_is_asked(tiny_contract: Contract) -> None:
    content = experiment(tiny_contract, runs=runs(epsilons=(1.0,)))
    assert worth_of(content.results) is None
    alone = [replace(run, auc=None) if run.baseline is not None else run for run in party_runs(3)]
    assert worth_of(replace(content.results, parties=alone)) is None
    assert 'add "local-only" to the scenario' in Page(render(content)).text


@pytest.mark.parametrize(
    ("epsilons", "nearest"),
    [((0.1, 0.5, 2.0, 8.0), 0.5), ((0.1, 4.0), 4.0), ((1.0, None), 1.0), ((None,), None), ((), None)],
)
def test_the_epsilon_nearest_to_one_by_ratio(
    epsilons: tuple[float | None, ...], nearest: float | None
) -> None:
    assert nearest_to_one(epsilons) == nearest


def test_every_party_of_twenty_is_in_the_page_with_its_gain(tiny_contract: Contract) -> None:
    text = Page(render(experiment(tiny_contract, runs=runs(), parties=PARTIES))).text
    for found in GAINS:
        assert found.gain is None or found.gain.margin is not None
        told = (
            f"{found.party} {found.role} "
            + (
                "\N{EN DASH}"
                if found.gain is None
                else f"{found.gain.mean:+.4f} ± {found.gain.margin:.4f}".replace("-", "\N{MINUS SIGN}")
            )
            + f" {found.training_rows:,.0f}"
        )
        assert told in text, told
    assert "parties between" not in text
    whole = summary_of(GAINS, epsilon=1.0)
    assert f"At ε = 1, {whole.gain} of {whole.measured} parties rank their own customers better" in text
    assert f"{whole.surely_gain} of them with an interval above zero; {whole.lose} do worse" in text


def test_of_a_thousand_parties_the_extremes_and_the_percentiles_are_told(tiny_contract: Contract) -> None:
    many = party_runs(1000, epsilons=(0.5, 1.0), seeds=(1, 2))
    page = render(experiment(tiny_contract, runs=runs(epsilons=(0.5, 1.0), seeds=(1, 2)), parties=many))
    text = Page(page).text
    gains = party_gains(many, variation=(), epsilon=1.0)
    told = [found.party for found in gains if found.gain is not None]
    for party in (*told[:8], *told[-8:]):
        assert f"{party} " in text, party
    assert f"{told[8]} " not in text
    assert f"… {len(told) - 16} parties between …" in text
    assert "By size" in text
    whole = summary_of(gains, epsilon=1.0)
    assert f"{whole.quantiles[2]:+.4f}".replace("-", "\N{MINUS SIGN}") in text
    assert len(page) < 300_000


def test_a_party_is_a_name_and_a_size_only_where_rows_are_dealt_anew(tiny_contract: Contract) -> None:
    content = experiment(tiny_contract, runs=runs(), parties=PARTIES)
    assert "deals the rows to the parties anew" in Page(render(content)).text
    scenario = {**content.results.scenario, "parties": {"kind": "column", "column": "shop", "count": 20}}
    natural = replace(content, results=replace(content.results, scenario=scenario))
    assert "deals the rows to the parties anew" not in Page(render(natural)).text


def test_one_party_and_one_seed(tiny_contract: Contract) -> None:
    content = experiment(
        tiny_contract,
        runs=runs(epsilons=(1.0,), seeds=(1,)),
        parties=[one("only", 1, 0.8), one("only", 1, 0.7, Baseline.LOCAL_ONLY)],
    )
    text = Page(render(content)).text
    assert "only platform +0.1000 100 0.7000 → 0.8000" in text
    assert "One seed: no intervals." in text


def test_the_variations_are_told_one_by_one(tiny_contract: Contract) -> None:
    places = [{"parties.count": count} for count in ("5", "20")]
    content = experiment(
        tiny_contract,
        runs=[run for place in places for run in runs(place)],
        parties=[run for place in places for run in party_runs(6, place)],
    )
    found = worth_of(content.results)
    assert found is not None
    assert found.variation == "parties.count = 5"
    assert [(place, line.epsilon) for place, line in found.lines] == [
        (f"parties.count = {count}", epsilon) for count in (5, 20) for epsilon in EPSILONS
    ]
    assert len(SEEDS) == 5
