"""Watching a card through private sums: what it costs, what it says, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.contract import Contract, MonitoringTerms, NoiseMode, Recipe, Role
from fedscore.data import Rows
from fedscore.errors import CardError, ContractError, ProtocolError
from fedscore.estimates import AlarmReading, Shift
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.monitoring.card_file import watched_card
from fedscore.learners.monitoring.queries import GradeOutcomes, Histogram, Outcomes, Scores
from fedscore.learners.program import Trained
from fedscore.monitoring import Layout, MonitoringReport, Watch
from fedscore.sums import Query, noised_total
from simulations.federation import EncryptionMode, Wire, train_alone, train_federation
from simulations.keys import SimulatedKeys, keyed, record_of
from simulations.randomness import SeededRandomness
from tests.conftest import known_ceremony
from tests.watching import TRAINING, card_and_contract, customers, everybody

RUN = "0" * 32


@pytest.fixture(scope="module")
def card() -> Card:
    return card_and_contract()[0]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return card_and_contract()[1]


@pytest.fixture(scope="module")
def agenda(card: Card, contract: Contract) -> Agenda:
    return Agenda(contract, run=RUN, program=program_of(contract, card))


def watched(agenda: Agenda, rows: Mapping[str, Rows], seed: int) -> MonitoringReport:
    """The real program, noise and shares, without encryption: what `simulations.plain` opens."""
    openings: list[np.ndarray] = []
    randomness = {name: SeededRandomness([seed, place]) for place, name in enumerate(rows)}
    while not agenda.is_finished(openings):
        query, request = agenda.next_sum(openings)
        parts = [
            noised_total(query, own, request, row_cap=12_000, randomness=randomness[name])
            for name, own in rows.items()
        ]
        openings.append(np.sum(parts, axis=0))
    found = agenda.finish(openings)
    assert isinstance(found, MonitoringReport)
    return found


def readings(agenda: Agenda, *, bad_rate: float, runs: int) -> Counter[AlarmReading]:
    found: Counter[AlarmReading] = Counter()
    for seed in range(runs):
        report = watched(agenda, everybody(1000 + seed, bad_rate=bad_rate), seed)
        assert report.alarm is not None
        found[report.alarm.reading] += 1
    return found


def test_a_fifth_more_bad_customers_raise_the_alarm_and_as_many_as_ever_do_not(agenda: Agenda) -> None:
    assert readings(agenda, bad_rate=1.2, runs=12)[AlarmReading.ALARM] >= 11
    assert readings(agenda, bad_rate=1.0, runs=12)[AlarmReading.ALARM] <= 1


@pytest.mark.slow
def test_the_alarm_keeps_what_is_asked_of_it(agenda: Agenda) -> None:
    """Epsilon 1, 50,000 rows of five parties, base rate 3 %, 100 seeds each, one card."""
    assert agenda.contract.privacy.epsilon == 1.0
    rows = everybody(1)
    assert sum(map(len, rows.values())) == 50_000
    assert 0.025 < np.mean([own.outcome.mean() for own in rows.values()]) < 0.035
    assert readings(agenda, bad_rate=1.2, runs=100)[AlarmReading.ALARM] >= 95
    assert readings(agenda, bad_rate=1.0, runs=100)[AlarmReading.ALARM] <= 5


@pytest.mark.slow
def test_the_alarm_keeps_it_whatever_card_is_watched() -> None:
    """The same with a card of its own for every seed: its own errors are in the alarm's."""
    found: Counter[tuple[float, AlarmReading]] = Counter()
    for seed in range(100):
        card, contract = card_and_contract(seed=seed)
        fresh = Agenda(contract, run=RUN, program=program_of(contract, card))
        for bad_rate in (1.0, 1.2):
            report = watched(fresh, everybody(1000 + seed, bad_rate=bad_rate), seed)
            assert report.alarm is not None
            found[bad_rate, report.alarm.reading] += 1
    assert found[1.2, AlarmReading.ALARM] >= 95
    assert found[1.0, AlarmReading.ALARM] <= 5


@pytest.mark.parametrize("recipe", list(Recipe))
def test_a_card_tells_the_noise_of_its_own_counts(recipe: Recipe) -> None:
    """Forty histograms of the same records differ by as much as the card tells."""
    contract = TRAINING.with_recipe(recipe)
    rows = everybody(1, count=2000)
    agenda = Agenda(contract, run=RUN)
    totals = []
    for seed in range(40):
        openings: list[np.ndarray] = []
        query, request = agenda.next_sum(openings)
        parts = [
            noised_total(query, own, request, row_cap=12_000, randomness=SeededRandomness([seed, place]))
            for place, own in enumerate(rows.values())
        ]
        totals.append(np.sum(parts, axis=0))
    card = train_federation(contract, rows, seed=1).card
    cells = contract.tables[0].size
    released = np.array(totals, dtype=np.float64)[:, :cells] / request.scale
    # Characteristics may be counted with more weight: what a card tells is the noise of records.
    bad = sum(int(own.outcome.sum()) for own in rows.values())
    weight = round(float(released.sum(axis=1).mean()) / bad)
    assert card.characteristics[0].deviation == pytest.approx(
        float(released.std(axis=0).mean()) / weight, rel=0.15
    )


def test_nothing_moved_is_said_to_be_stable(agenda: Agenda) -> None:
    report = watched(agenda, everybody(2), 1)
    assert report.watch is Watch.CONSORTIUM
    assert {one.reading for one in (report.score, *report.tables)} == {Shift.STABLE}
    assert not report.moved
    assert report.calibration is not None
    assert report.calibration.in_the_large.total_low < 0.0 < report.calibration.in_the_large.total_high
    assert report.records == pytest.approx(50_000, rel=0.02)
    shares = [grade.now.value for grade in report.grades]
    assert sum(share for share in shares if share is not None) == pytest.approx(1.0, abs=0.01)


def test_a_shifted_characteristic_is_found_by_name(agenda: Agenda) -> None:
    report = watched(agenda, everybody(2, tilt=0.2), 1)
    assert report.moved
    assert report.moved[0].name.startswith("utilisation")
    assert {one.name: one.reading for one in report.tables}["segment"] is Shift.STABLE


def test_the_report_says_what_was_counted(agenda: Agenda, card: Card) -> None:
    """Every number against plain numpy over the pooled rows, within its interval."""
    rows = everybody(7, bad_rate=1.5)
    report = watched(agenda, rows, 2)
    cells = np.concatenate([own.cells for own in rows.values()])
    outcome = np.concatenate([own.outcome for own in rows.values()])
    probability, total = card.probability(cells), card.hundredths(cells)
    grade = card.grade_places(total)
    for place, found in enumerate(report.grades):
        inside = grade == place
        assert found.observed is not None
        assert found.expected is not None
        assert found.now.low <= inside.mean() <= found.now.high
        assert found.observed.low <= outcome[inside].mean() <= found.observed.high
        assert found.expected.low <= probability[inside].mean() <= found.expected.high
    assert report.alarm is not None
    assert report.alarm.observed.low <= outcome.mean() <= report.alarm.observed.high
    assert report.alarm.expected.low <= probability.mean() <= report.alarm.expected.high
    for column, (found_table, table) in enumerate(zip(report.tables, card.tables, strict=True)):
        counted = np.concatenate(
            [
                own.cells[:, column]
                for party, own in zip(TRAINING.parties, rows.values(), strict=True)
                if found_table.name != "segment" or party.role is Role.PLATFORM
            ]
        )
        by_label = {bin_.label: np.isin(counted, bin_.cells).mean() for bin_ in table.bins}
        for bin_ in found_table.bins:
            assert bin_.now == pytest.approx(by_label[bin_.label], abs=0.01)


def test_the_program_costs_the_contracts_epsilon_with_or_without_outcomes(contract: Contract) -> None:
    for terms in (contract, card_and_contract(outcomes=False)[1]):
        agenda = Agenda(terms, run=RUN)
        assert 0.99 < agenda.record.epsilon <= 1.0
        shares = {request.name for request in agenda.requests}
        assert ("outcomes" in shares) is terms.reads_outcomes
    by_name = {planned.name: planned.share for planned in program_of(contract).plan}
    assert by_name["outcomes"] >= 0.2


def test_without_outcomes_distributions_alone_are_compared() -> None:
    card, contract = card_and_contract(outcomes=False)
    agenda = Agenda(contract, run=RUN, program=program_of(contract, card))
    assert agenda.rounds == 2
    report = watched(agenda, everybody(2), 1)
    assert report.alarm is None
    assert report.calibration is None
    assert report.known == 0.0
    assert all(grade.observed is None for grade in report.grades)
    assert any("No outcome is known" in note for note in report.notes)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_record_can_move_a_sum_further_than_planned(seed: int) -> None:
    card, contract = card_and_contract()
    layout = Layout(card)
    queries: list[Query] = [Histogram(layout), Scores(layout), Outcomes(layout), GradeOutcomes(layout)]
    generator = np.random.default_rng(seed)
    cells = np.array([[generator.integers(0, table.size) for table in contract.tables]], dtype=np.int32)
    scale = 2**16
    for planned, query in zip(program_of(contract).plan, queries, strict=True):
        assert query.dimension <= planned.dimension_limit
        for outcome in (0, 1):
            row = Rows(cells=cells, outcome=np.array([outcome], dtype=np.int8), ids=np.array(["x"]))
            total = query.contributions(row).lattice_total(
                scale=scale, limit_squared=2**61, dimension=query.dimension
            )
            norm_squared = sum(int(step) ** 2 for step in total)
            assert norm_squared <= planned.sensitivity_squared * scale**2
            assert max(abs(int(step)) for step in total) <= planned.largest * scale


def test_nodes_and_server_agree_over_the_grid_with_encryption() -> None:
    """Two parties' worth of a key that is public: the same integers as in clear, and the same report."""
    card, contract = card_and_contract()
    committee = {"members": 5, "threshold": 3, "colluding_members": 1}
    contract = keyed(contract.with_encryption(key_bits=2048, committee=committee))
    keys: SimulatedKeys = record_of(contract, known_ceremony(members=5, threshold=3))
    rows = everybody(2, count=400)
    sealed = train_federation(
        contract,
        rows,
        seed=4,
        encryption=EncryptionMode.PAILLIER,
        keys=keys,
        wire=Wire(serialise=True),
        watched=card,
    )
    plain = train_federation(contract, rows, seed=4, watched=card)
    for one, other in zip(sealed.openings, plain.openings, strict=True):
        assert np.array_equal(one, other)
    assert sealed.report == plain.report
    assert sealed.report.privacy is not None
    assert sealed.report.privacy.epsilon == pytest.approx(1.0, abs=0.01)
    assert MonitoringReport.model_validate_json(sealed.report.to_json()) == sealed.report
    with pytest.raises(ProtocolError, match="watched a card"):
        _ = sealed.trained
    assert not isinstance(sealed.product, Trained)


def test_a_run_that_trained_has_no_report() -> None:
    trained = train_alone(TRAINING, customers(1, Role.PLATFORM, count=500))
    assert isinstance(trained.product, Trained)
    with pytest.raises(ProtocolError, match="read `trained`"):
        _ = trained.report


def test_without_a_card_a_program_has_a_price_and_no_sums(contract: Contract, card: Card) -> None:
    blind = Agenda(contract, run=RUN)
    assert blind.event == Agenda(contract, run=RUN, program=program_of(contract, card)).event
    with pytest.raises(CardError, match="it is not here"):
        blind.next_sum([])


def test_another_card_is_refused(contract: Contract, card: Card) -> None:
    other = card.model_copy(update={"purpose": "another"})
    with pytest.raises(CardError, match="this one is"):
        program_of(contract, other)


def test_a_contract_with_another_grid_or_outcome_is_refused(contract: Contract, card: Card) -> None:
    fewer = Contract.model_validate({**contract.model_dump(), "interactions": ()})
    with pytest.raises(CardError, match="other characteristics"):
        program_of(fewer, card)
    outcome = {**contract.outcome.model_dump(), "horizon_days": 30}
    with pytest.raises(CardError, match="another outcome"):
        program_of(Contract.model_validate({**contract.model_dump(), "outcome": outcome}), card)


def test_a_card_without_grades_cannot_be_watched() -> None:
    bare = train_alone(TRAINING.with_grades(None), customers(1, Role.PLATFORM, count=2000)).card
    contract = TRAINING.with_monitoring(MonitoringTerms(card=bare.fingerprint))
    with pytest.raises(CardError, match=r"add \[grades\]"):
        program_of(contract, bare)


def test_a_contract_that_trains_takes_no_card(card: Card) -> None:
    with pytest.raises(CardError, match="leave card out"):
        program_of(TRAINING, card)


def test_monitoring_keeps_no_rows_for_testing(contract: Contract) -> None:
    split = {"test_share": 0.3, "key": "x"}
    with pytest.raises(ValueError, match="watches all present rows"):
        Contract.model_validate({**contract.model_dump(), "split": split})
    with pytest.raises(ContractError, match="belong to learner"):
        contract.with_grades(TRAINING.grades)


def test_the_file_of_the_card_is_asked_for(contract: Contract, card: Card, tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    card.write(file)
    read = watched_card(contract, file)
    assert read is not None
    assert read.fingerprint == card.fingerprint
    assert watched_card(TRAINING, None) is None
    with pytest.raises(CardError, match=r'add card = "card\.json"'):
        watched_card(contract, None)
    with pytest.raises(CardError, match="leave card out"):
        watched_card(TRAINING, file)


def test_without_noise_there_is_no_noise_to_speak_of(card: Card, contract: Contract) -> None:
    silent = contract.with_privacy(noise=NoiseMode.NONE)
    report = train_federation(silent, everybody(2, count=2000), seed=1, watched=card).report
    assert report.records == 10_000.0
    assert all(grade.now.low == pytest.approx(grade.now.high) for grade in report.grades)
    assert report.privacy is not None
    assert report.privacy.epsilon is None
