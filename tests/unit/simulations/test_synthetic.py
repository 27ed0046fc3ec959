from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from clients import collector, platform
from clients.operational import read_tables
from fedscore import data
from fedscore.contract import Contract, FindingLevel, Role, check, load_contract
from fedscore.data import Rows, rows_from_table, training_rows
from fedscore.errors import ScenarioError
from simulations import synthetic
from simulations.synthetic import AS_OF, HORIZON_DAYS, SyntheticConsortium, make_consortium, write

CONTRACT = Path(synthetic.__file__).parents[1] / "contracts" / "consortium.toml"
SCHEMAS = {Role.PLATFORM: platform.TABLES, Role.COLLECTOR: collector.TABLES}
COLUMNS = {Role.PLATFORM: platform.COLUMNS, Role.COLLECTOR: collector.COLUMNS}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(CONTRACT)


@pytest.fixture(scope="module")
def consortium() -> SyntheticConsortium:
    return make_consortium(seed=2)


@pytest.fixture(scope="module")
def rows(consortium: SyntheticConsortium) -> dict[str, pa.Table]:
    return {party.name: party.rows() for party in consortium.parties}


@pytest.fixture(scope="module")
def binned(consortium: SyntheticConsortium, rows: dict[str, pa.Table], contract: Contract) -> dict[str, Rows]:
    return {
        party.name: rows_from_table(rows[party.name], contract, role=party.role)
        for party in consortium.parties
    }


def test_the_contract_has_no_findings_and_names_the_parties(
    contract: Contract, consortium: SyntheticConsortium
) -> None:
    errors = [finding for finding in check(CONTRACT.read_text()) if finding.level is FindingLevel.ERROR]
    assert errors == []
    assert [(p.name, p.role) for p in contract.parties] == [(p.name, p.role) for p in consortium.parties]
    assert contract.outcome.horizon_days == HORIZON_DAYS


@pytest.mark.parametrize("role", Role)
def test_every_column_of_the_contract_is_made_by_the_role_that_holds_it(
    contract: Contract, role: Role
) -> None:
    assert set(contract.source_columns(role)) <= set(COLUMNS[role])


def test_the_same_seed_gives_the_same_consortium_and_another_seed_another() -> None:
    first, again, other = (make_consortium(people=300, seed=seed) for seed in (7, 7, 8))
    for left, right, different in zip(first.parties, again.parties, other.parties, strict=True):
        assert left.tables == right.tables
        assert left.tables != different.tables


def test_written_tables_are_read_back_to_the_same_rows(tmp_path: Path) -> None:
    small = make_consortium(people=300, platforms=2, collectors=1, seed=1)
    write(small, tmp_path)
    as_of_rows = {Role.PLATFORM: platform.rows_as_of, Role.COLLECTOR: collector.rows_as_of}
    for party in small.parties:
        tables = read_tables(tmp_path / party.name, SCHEMAS[party.role])
        assert as_of_rows[party.role](tables, as_of=AS_OF, horizon_days=HORIZON_DAYS) == party.rows()


def test_base_rates_are_those_of_the_trade(
    consortium: SyntheticConsortium, rows: dict[str, pa.Table]
) -> None:
    outcomes = {name: table["y"].to_numpy() for name, table in rows.items()}
    rates = {party.name: float(outcomes[party.name].mean()) for party in consortium.parties}
    for party in consortium.parties:
        low, high = (0.015, 0.035) if party.role is Role.PLATFORM else (0.045, 0.12)
        assert low < rates[party.name] < high, party.name
    assert 0.02 < np.concatenate(list(outcomes.values())).mean() < 0.04


def test_many_people_are_at_several_organisations_and_none_twice_at_one(rows: dict[str, pa.Table]) -> None:
    seen: Counter[str] = Counter()
    for table in rows.values():
        persons = table["person_id"].to_pylist()
        assert len(set(persons)) == len(persons)
        assert len(set(table["id"].to_pylist())) == len(persons)
        seen.update(persons)
    assert 0.3 < np.mean(np.array(list(seen.values())) > 1) < 0.45
    assert max(seen.values()) <= 5
    sizes = [table.num_rows for table in rows.values()]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * 1.4 * sizes[2]


def test_events_go_on_beyond_the_horizon(consortium: SyntheticConsortium) -> None:
    beyond = AS_OF.toordinal() + HORIZON_DAYS
    for party in consortium.parties:
        name, column = ("orders", "ordered_at") if party.role is Role.PLATFORM else ("cases", "opened_on")
        days = party.tables[name][column].to_numpy().astype("datetime64[D]").astype(int) + 719163
        assert days.max() >= beyond
        assert days.min() < beyond - 300


def test_agencies_collect_from_debtors_of_the_platforms(consortium: SyntheticConsortium) -> None:
    for party in consortium.parties:
        if party.role is Role.COLLECTOR:
            clients = Counter(party.tables["cases"]["client"].to_pylist())
            own = sum(clients[f"client-{number:02d}"] for number in range(3))
            assert 0.1 < own / clients.total() < 0.9


def test_a_pooled_card_beats_the_mean_of_local_ones(binned: dict[str, Rows], contract: Contract) -> None:
    train = {name: training_rows(rows, contract) for name, rows in binned.items()}
    held_out = {name: data.test_rows(rows, contract) for name, rows in binned.items()}
    everything = Rows.concatenate(list(held_out.values()))
    pooled = _fit(Rows.concatenate(list(train.values())), contract)
    own, over_all = [], []
    for name, rows in train.items():
        local = _fit(rows, contract)
        own.append(_auc(held_out[name], pooled, contract) - _auc(held_out[name], local, contract))
        over_all.append(_auc(everything, local, contract))
    assert 0.74 < _auc(everything, pooled, contract) < 0.9
    assert _auc(everything, pooled, contract) > np.mean(over_all) + 0.02
    assert np.mean(own) > 0


def test_too_small_a_consortium_is_refused() -> None:
    with pytest.raises(
        ScenarioError, match=r"99 people, 3 platforms.*take at least 100 people and one platform"
    ):
        make_consortium(people=99, seed=1)
    assert len(make_consortium(people=100, platforms=1, collectors=0, seed=1).parties) == 1


def _fit(rows: Rows, contract: Contract) -> LogisticRegression:
    return LogisticRegression(C=0.1, max_iter=300).fit(_one_hot(rows, contract), rows.outcome)


def _auc(rows: Rows, card: LogisticRegression, contract: Contract) -> float:
    return float(roc_auc_score(rows.outcome, card.decision_function(_one_hot(rows, contract))))


def _one_hot(rows: Rows, contract: Contract) -> sparse.csr_matrix:
    sizes = [len(table.cells) for table in contract.tables]
    columns = rows.cells + np.cumsum([0, *sizes[:-1]])
    start = np.arange(0, columns.size + 1, len(sizes))
    return sparse.csr_matrix((np.ones(columns.size), columns.ravel(), start), shape=(len(rows), sum(sizes)))
