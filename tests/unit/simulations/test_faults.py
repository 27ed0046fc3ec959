"""Absent parties, drop-outs and lost replies: whom they befall, and what a run makes of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.contract import Contract
from fedscore.errors import RunFailed, ScenarioError
from fedscore.learners.agenda import Agenda
from simulations.dealing import Ground, deal_rows, read_ground
from simulations.engines import Engine
from simulations.fault_terms import FaultTerms
from simulations.faults import silent_from, wire_of
from simulations.federation import EncryptionMode, FederationResult, train_federation
from simulations.keys import SimulatedKeys
from simulations.lookup import find_contract, find_data
from simulations.outcomes import Outcome
from simulations.results import Failure
from simulations.runner import Job, Task, attempt, perform
from simulations.scenario import Baseline, load_scenario, parse_scenario
from simulations.simulate import run_scenario
from tests.unit.simulations.conftest import SCENARIO

SEEDS = st.integers(0, 2**32 - 1)
NEVER = 10**9
TEN = "parties={roles={platform=8, collector=2}}"
BEARS_TWO = (
    TEN,
    "privacy.absent=2",
    "encryption.committee={members=3, threshold=3, colluding_members=1}",
    "learner.recipe='plain'",
    "baselines=['pooled-no-noise', 'local-noise']",
)


def terms_of(**fields: object) -> FaultTerms:
    return FaultTerms.model_validate(fields)


@pytest.fixture(scope="module")
def ground(small_experiment: Path) -> Ground:
    loaded = load_scenario(small_experiment, BEARS_TWO)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


def with_faults(ground: Ground, **fields: object) -> Ground:
    terms = ground.terms.model_copy(update={"faults": terms_of(**fields)})
    return Ground(terms=terms, contract=ground.contract, path=ground.path, rows=ground.rows)


def trained(ground: Ground, *, seed: int = 1, spare_rounds: int = 0, **fields: object) -> FederationResult:
    dealt = deal_rows(ground, seed=seed)
    contract = ground.contract.with_privacy(epsilon=8.0, spare_rounds=spare_rounds)
    wire = wire_of(terms_of(**fields), len(contract.parties), seed=seed)
    return train_federation(contract, dealt.training, seed=seed, wire=wire)


def gone(first: Sequence[int], by: int) -> set[int]:
    return {party for party, number in enumerate(first) if number <= by}


@given(SEEDS, st.integers(1, 30), st.data())
def test_as_many_as_asked_never_come_or_drop_out_when_asked(
    seed: int, parties: int, data: st.DataObject
) -> None:
    absent = data.draw(st.integers(0, parties))
    later = data.draw(st.integers(0, parties - absent))
    drop_outs = [{"round": 4, "parties": later}] if later else []
    terms = terms_of(absent=absent, drop_outs=drop_outs)
    first = silent_from(terms, parties, seed=seed)
    assert len(gone(first, 0)) == len(gone(first, 3)) == absent
    assert len(gone(first, 4)) == len(gone(first, NEVER)) == absent + later
    assert first == silent_from(terms, parties, seed=seed)


@given(SEEDS, st.floats(0.01, 0.4), st.floats(1.0, 2.0))
def test_more_of_the_same_befalls_the_same_and_others(seed: int, chance: float, factor: float) -> None:
    few, more = (silent_from(terms_of(absent=number), 12, seed=seed) for number in (2, 5))
    assert gone(few, 0) < gone(more, 0)
    less, often = (
        silent_from(terms_of(drop_out_chance=one), 12, seed=seed) for one in (chance, chance * factor)
    )
    assert all(soon <= late for soon, late in zip(often, less, strict=True))


def test_the_order_in_which_drop_outs_are_written_is_none() -> None:
    two = [{"round": 2, "parties": 1}, {"round": 7, "parties": 2}]
    assert silent_from(terms_of(drop_outs=two), 9, seed=3) == silent_from(
        terms_of(drop_outs=two[::-1]), 9, seed=3
    )


@pytest.mark.parametrize("chance", [0.05, 0.3])
def test_parties_drop_out_with_the_chance_that_was_asked_for(chance: float) -> None:
    first = np.array(silent_from(terms_of(drop_out_chance=chance), 20_000, seed=5))
    left = [int((first >= number).sum()) for number in range(1, 7)]
    assert left[0] == 20_000
    for before, after in pairwise(left):
        # Five deviations of a share of so many.
        assert abs((before - after) / before - chance) < 5 * np.sqrt(chance * (1 - chance) / before)


def test_the_run_goes_on_without_as_many_as_the_noise_may_lack(ground: Ground) -> None:
    whole, without = trained(ground), trained(ground, absent=2)
    assert whole.absent == ()
    roster = [party.name for party in ground.contract.parties]
    expected = gone(silent_from(terms_of(absent=2), 10, seed=1), 0)
    assert without.absent == tuple(roster[place] for place in sorted(expected))
    assert without.rounds == whole.rounds
    # The noise that is left is what the promise counts on: the shares of those who came, less one colluder.
    agenda = Agenda(ground.contract.with_privacy(epsilon=8.0), run="0" * 32)
    for request in agenda.requests:
        assert request.honest_shares == 10 - 2 - 1
        assert len(roster) - len(without.absent) - 1 >= request.honest_shares
    assert without.guarantee == whole.guarantee
    assert without.guarantee is not None
    assert without.guarantee.epsilon <= 8.0


def test_what_is_opened_is_the_sum_of_those_who_came(ground: Ground) -> None:
    """Without noise, the first sum of a run that some never came to is that of a smaller federation."""
    terms = {"noise": "none", "epsilon": 8.0}
    contract = ground.contract.with_privacy(**terms)
    dealt = deal_rows(ground, seed=1)
    wire = wire_of(terms_of(absent=2), 10, seed=1)
    without = train_federation(contract, dealt.training, seed=1, wire=wire)
    nobody = next(iter(dealt.training.values())).select(slice(0, 0))
    there = {name: nobody if name in without.absent else rows for name, rows in dealt.training.items()}
    assert sum(map(len, there.values())) < sum(map(len, dealt.training.values()))
    emptied = train_federation(contract, there, seed=1)
    assert all(map(np.array_equal, without.openings, emptied.openings))


def test_who_drops_out_is_in_the_sums_before_and_in_none_after(ground: Ground) -> None:
    whole, without = trained(ground), trained(ground, drop_outs=[{"round": 4, "parties": 1}])
    same = [np.array_equal(one, other) for one, other in zip(whole.openings, without.openings, strict=False)]
    assert same[:4] == [True, True, True, False]
    (name,) = without.absent
    roster = [party.name for party in ground.contract.parties]
    assert silent_from(terms_of(drop_outs=[{"round": 4, "parties": 1}]), 10, seed=1)[roster.index(name)] == 4


def test_who_is_not_heard_once_stays_out_of_the_run(ground: Ground) -> None:
    # 90 answers of a run, each lost with 1 %: in most runs one or two are, and the same every time.
    ending = [seed for seed in range(1, 6) if not fails(ground, seed=seed, lost_reply_chance=0.01)]
    results = [trained(ground, seed=seed, lost_reply_chance=0.01) for seed in ending]
    assert {len(result.absent) for result in results} & {1, 2}
    again = trained(ground, seed=ending[0], lost_reply_chance=0.01)
    assert again.absent == results[0].absent
    assert all(map(np.array_equal, again.openings, results[0].openings))


def test_a_round_that_too_many_are_missing_from_is_asked_again_if_that_is_paid_for(ground: Ground) -> None:
    """Unheard parties are asked again for a sum that nobody opened; those who are gone are not there."""
    seed = next(seed for seed in range(1, 40) if fails(ground, seed=seed, lost_reply_chance=0.08))
    paid = trained(ground, seed=seed, spare_rounds=30, lost_reply_chance=0.08)
    assert paid.rounds == trained(ground).rounds
    with pytest.raises(RunFailed, match="7 parties answered, 8 are needed"):
        trained(ground, spare_rounds=30, drop_outs=[{"round": 3, "parties": 3}])


def fails(ground: Ground, *, seed: int, lost_reply_chance: float) -> bool:
    try:
        trained(ground, seed=seed, lost_reply_chance=lost_reply_chance)
    except RunFailed:
        return True
    return False


def test_beyond_what_the_noise_may_lack_the_run_fails_as_a_deployment_does(ground: Ground) -> None:
    with pytest.raises(RunFailed, match=r"hello: 7 parties answered, 8 are needed; without an answer: .*"):
        trained(ground, absent=3)
    gone_later = r"histogram: 7 parties answered, 8 are needed; .* pays for 0 spare rounds: the run is interr"
    with pytest.raises(RunFailed, match=gone_later):
        trained(ground, drop_outs=[{"round": 1, "parties": 3}])


def test_a_run_that_cannot_end_is_a_failure_with_its_reason_and_no_other_job_knows(ground: Ground) -> None:
    unlucky = with_faults(ground, absent=3)
    found = attempt(Job(seed=1, baseline=None, epsilon=8.0), unlucky, None)
    assert isinstance(found, Failure)
    assert (found.seed, found.epsilon, found.parties, found.learner) == (1, 8.0, 10, "scorecard")
    assert found.reason.startswith("hello: 7 parties answered, 8 are needed; without an answer: ")
    assert "\n" not in found.reason
    assert attempt(Job(seed=1, baseline=None, epsilon=8.0), unlucky, None) == found
    # Local noise is federated too; what is trained in one place is not.
    local = attempt(Job(seed=1, baseline=Baseline.LOCAL_NOISE, epsilon=8.0), unlucky, None)
    assert isinstance(local, Failure)
    assert local.baseline is Baseline.LOCAL_NOISE
    pooled = attempt(Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None), unlucky, None)
    assert isinstance(pooled, Outcome)
    assert pooled.run.absent == ()
    with pytest.raises(RunFailed, match="hello: 7 parties answered"):
        perform(Job(seed=1, baseline=None, epsilon=8.0), unlucky, None)


def test_a_run_tells_who_was_out_of_it(ground: Ground) -> None:
    found = attempt(Job(seed=1, baseline=None, epsilon=8.0), with_faults(ground, absent=1), None)
    assert isinstance(found, Outcome)
    assert len(found.run.absent) == 1
    assert found.run.parties == 10
    # What everybody's rows are worth is measured on the rows of all, also of those who never came.
    assert {party.party for party in found.parties} == {party.name for party in ground.contract.parties}


def test_encrypted_whoever_is_gone_is_gone_from_the_committee_too(
    ground: Ground, known_keys: Callable[[Contract], SimulatedKeys]
) -> None:
    """Its three members are the first three parties, and all three are needed."""
    contract = ground.contract.with_encryption(key_bits=2048)
    dealt = deal_rows(ground, seed=1)
    seeds = {
        bool(gone(silent_from(terms_of(absent=1), 10, seed=seed), 0) & {0, 1, 2}): seed for seed in range(20)
    }
    with pytest.raises(RunFailed, match="2 committee members are present, 3 are needed to open a sum"):
        train_federation(
            contract,
            dealt.training,
            seed=1,
            encryption=EncryptionMode.PAILLIER,
            keys=known_keys(contract),
            wire=wire_of(terms_of(absent=1), 10, seed=seeds[True]),
        )
    # In plain, nobody's absence is the committee's.
    wire = wire_of(terms_of(absent=1), 10, seed=seeds[True])
    assert len(train_federation(contract, dealt.training, seed=1, wire=wire).absent) == 1


@dataclass
class Silent:
    """Watches an experiment and says nothing; remembers how many jobs were found done."""

    found: list[int] = field(default_factory=list)

    def stage(self, text: str) -> None:
        assert text

    def started(self, jobs: int, found: int) -> None:
        assert jobs >= found
        self.found.append(found)

    def finished(self, job: Task) -> None:
        assert isinstance(job, Job)

    def noticed(self, what: str) -> None:
        pytest.fail(what)


def test_a_sweep_with_runs_that_cannot_end_has_all_others(small_experiment: Path, tmp_path: Path) -> None:
    settings = (TEN, "privacy.absent=1", "privacy.epsilon=8", "split.seeds=[1]", "baselines=['local-only']")
    loaded = load_scenario(small_experiment, [*settings, "sweep.faults.absent=[0, 1, 2]"])
    watcher = Silent()
    once, again = (run_scenario(loaded, tmp_path, watcher=watcher, workers=1) for _ in range(2))
    own = {run.variation["faults.absent"]: run for run in once.results.runs if run.baseline is None}
    assert {absent: len(run.absent) for absent, run in own.items()} == {"0": 0, "1": 1}
    # Who trains alone is not befallen, and trained once for all variations.
    alone = [run for run in once.results.runs if run.baseline is Baseline.LOCAL_ONLY]
    assert len(alone) == 3
    assert len({run.auc for run in alone}) == 1
    assert watcher.found == [0, 4]
    (failure,) = once.results.failures
    assert failure.variation == {"faults.absent": "2"}
    assert failure.reason.startswith("hello: 8 parties answered, 9 are needed; without an answer: ")
    assert again.results == once.results
    (told,) = csv.DictReader((tmp_path / "failures.csv").read_text(encoding="utf-8").splitlines())
    assert told["reason"] == failure.reason
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert own["1"].absent[0] in {row["absent"] for row in rows}


def test_without_faults_nothing_is_waited_for_and_a_failed_run_is_a_defect(ground: Ground) -> None:
    assert wire_of(FaultTerms(), 10, seed=1).fault is None
    assert not with_faults(ground).terms.faults.happen


def test_faults_need_the_engine_that_has_them() -> None:
    with pytest.raises(ScenarioError, match=r"\[faults\] .* --engine flower loses no messages"):
        wire_of(terms_of(absent=1), 10, seed=1, engine=Engine.FLOWER)
    assert wire_of(FaultTerms(), 10, seed=1, engine=Engine.FLOWER).fault is None


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ("absent = 4", "befall 4 parties, and there are 3"),
        ("absent = 1\ndrop_outs = [{ round = 2, parties = 3 }]", "befall 4 parties, and there are 3"),
        ("absent = -1", "greater than or equal to 0"),
        ("absent = 0.5", "faults.absent"),
        ("drop_outs = [{ round = 0, parties = 1 }]", "greater than or equal to 1"),
        ("drop_outs = [{ round = 1 }]", "faults.drop_outs.0.parties is missing"),
        ("drop_out_chance = 1.0", "less than 1"),
        ("lost_reply_chance = -0.1", "greater than or equal to 0"),
        ("lost_replies = 0.1", "did you mean 'lost_reply_chance'?"),
    ],
)
def test_faults_that_cannot_be_are_told(faults: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(f"{SCENARIO}\n[faults]\n{faults}\n")
    assert expected in str(caught.value)
