from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.model_selection import train_test_split

from fedscore.contract import CellKind, CommitteeTerms, Learner, NeuralTerms, NoiseMode, Role, Training
from fedscore.data import training_rows
from fedscore.errors import ContractError, DataError, ScenarioError
from simulations.dealing import Dealt, Ground, deal_rows, read_ground
from simulations.lookup import find_contract, find_data
from simulations.raw import whole_table
from simulations.scenario import load_scenario


def ground_of(scenario: Path, *overrides: str) -> Ground:
    loaded = load_scenario(scenario, overrides)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


def all_ids(dealt: Dealt) -> Counter[str]:
    return Counter([*map(str, dealt.pooled_training.ids), *map(str, dealt.pooled_test.ids)])


@pytest.mark.parametrize(
    "parties",
    ["{count=7}", "{kind='dirichlet', alpha=0.3, count=5}", "{kind='column', column='shop', count=5}"],
)
@pytest.mark.parametrize("split", ["{kind='random', seeds=[1]}", "{kind='hash', seeds=[1]}"])
def test_every_row_is_dealt_to_one_party_and_one_side(
    small_experiment: Path, parties: str, split: str
) -> None:
    dealt = deal_rows(ground_of(small_experiment, f"parties={parties}", f"split={split}"), seed=1)
    assert all_ids(dealt) == Counter(str(number) for number in range(900))


def test_the_contract_takes_the_scenarios_roster_and_terms(small_experiment: Path) -> None:
    settings = ("privacy.noise='local'", "privacy.delta=1e-7", "privacy.absent=1", "baselines=[]")
    ground = ground_of(small_experiment, *settings)
    assert [party.name for party in ground.contract.parties] == ["platform-01", "platform-02", "collector-01"]
    assert ground.contract.privacy.noise is NoiseMode.LOCAL
    assert ground.contract.privacy.delta == 1e-7
    assert ground.contract.privacy.absent == 1


def test_the_contract_takes_the_scenarios_committee(small_experiment: Path) -> None:
    committee = CommitteeTerms(members=7, threshold=5, colluding_members=1)
    named = "encryption.committee={members=7, threshold=5, colluding_members=1}"
    assert ground_of(small_experiment, named).contract.encryption.committee == committee
    assert ground_of(small_experiment).contract.encryption.committee is None
    usual = ground_of(small_experiment, 'encryption.mode="paillier"').contract.encryption.committee
    assert usual == CommitteeTerms(members=3, threshold=2, colluding_members=1)


def test_the_contract_takes_the_scenarios_learner(small_experiment: Path, tmp_path: Path) -> None:
    assert ground_of(small_experiment).contract.learner is Learner.SCORECARD
    local = "learner={name='neural', training='local', rounds=3, local_steps=2}"
    contract = ground_of(small_experiment, local, "baselines=[]").contract
    assert contract.neural == NeuralTerms(training=Training.LOCAL, rounds=3, local_steps=2)
    assert contract.privacy.noise is NoiseMode.LOCAL
    for file in small_experiment.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    # A contract's own learner gives way to the scenario's.
    text = (tmp_path / "small.toml").read_text()
    text = text.replace("delta = 1e-5", 'delta = 1e-5\nnoise = "local"\n[neural]\ntraining = "local"')
    (tmp_path / "small.toml").write_text('learner = "neural"\n' + text)
    contract = ground_of(tmp_path / small_experiment.name).contract
    assert (contract.neural, contract.privacy.noise) == (None, NoiseMode.SHARED)


def test_spare_rounds_are_the_scenarios(small_experiment: Path) -> None:
    assert ground_of(small_experiment).contract.privacy.spare_rounds == 0
    assert ground_of(small_experiment, "privacy.spare_rounds=2").contract.privacy.spare_rounds == 2


def test_the_files_own_committee_is_not_measured_against_the_scenarios_absences(
    small_experiment: Path, tmp_path: Path
) -> None:
    for file in small_experiment.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    with (tmp_path / "small.toml").open("a") as contract:
        contract.write("[encryption]\ncommittee = { members = 3, threshold = 2, colluding_members = 1 }\n")
        contract.write(f'ceremony = "{"5e" * 32}"\n')
    scenario = tmp_path / small_experiment.name
    assert ground_of(scenario, "privacy.absent=1").contract.encryption.committee is None
    named = "encryption.committee={members=7, threshold=5, colluding_members=1}"
    encryption = ground_of(scenario, "privacy.absent=1", named).contract.encryption
    assert encryption.committee == CommitteeTerms(members=7, threshold=5, colluding_members=1)
    assert encryption.ceremony is None


def test_terms_that_leave_no_honest_share_are_refused(small_experiment: Path) -> None:
    with pytest.raises(ContractError, match="no honest share"):
        ground_of(small_experiment, "privacy.colluding_parties=3")


def test_a_role_does_not_see_what_it_does_not_hold(small_experiment: Path) -> None:
    ground = ground_of(small_experiment)
    dealt = deal_rows(ground, seed=1)
    place = [table.name for table in ground.contract.tables].index("visits")
    cells = ground.contract.tables[place].cells
    for party in ground.contract.parties:
        kinds = {cells[cell].kind for cell in np.unique(dealt.training[party.name].cells[:, place])}
        assert (kinds == {CellKind.NOT_HELD}) is (party.role is Role.COLLECTOR)


def test_the_seed_alone_decides_who_gets_what(small_experiment: Path) -> None:
    ground = ground_of(small_experiment)
    once, again, other = (deal_rows(ground, seed=seed) for seed in (1, 1, 2))
    for party in once.training:
        assert once.training[party].ids.tolist() == again.training[party].ids.tolist()
    assert once.training["platform-01"].ids.tolist() != other.training["platform-01"].ids.tolist()


def test_a_hash_split_trains_on_what_a_node_would(small_experiment: Path) -> None:
    ground = ground_of(small_experiment, "split={kind='hash', seeds=[1]}", "parties={count=2}")
    dealt = deal_rows(ground, seed=1)
    everyone = ground.rows[Role.PLATFORM]
    assert set(dealt.pooled_training.ids) == set(training_rows(everyone, ground.contract).ids)


def test_rows_beyond_the_cap_are_refused_not_cut(small_experiment: Path, tmp_path: Path) -> None:
    for file in small_experiment.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("row_cap = 1000", "row_cap = 100"))
    ground = ground_of(tmp_path / small_experiment.name)
    with pytest.raises(ScenarioError, match="row_cap is 100: use more parties"):
        deal_rows(ground, seed=1)


def test_an_unknown_column_is_told_with_the_closest(small_experiment: Path) -> None:
    ground = ground_of(small_experiment, "parties={kind='column', column='shopp', count=2}")
    with pytest.raises(ScenarioError, match="did you mean 'shop'"):
        deal_rows(ground, seed=1)


def test_a_ground_goes_to_another_process_and_stays_the_same(small_experiment: Path) -> None:
    ground = ground_of(small_experiment)
    assert ground.contract.tables
    copy: Ground = pickle.loads(pickle.dumps(ground))  # noqa: S301 - what was pickled on this line
    assert copy.contract == ground.contract
    assert copy.contract.hash() == ground.contract.hash()
    assert copy.terms == ground.terms
    for role, rows in ground.rows.items():
        assert np.array_equal(copy.rows[role].cells, rows.cells)


NUMBERED = (
    "data.path='people.KIND'",
    "data.number_rows=true",
    "parties={kind='column', column='shop', count=5}",
)


def without_ids(experiment: Path, folder: Path) -> Path:
    """The experiment again, with files that have no column of ids."""
    for file in experiment.parent.iterdir():
        (folder / file.name).write_text(file.read_text())
    table = pyarrow.csv.read_csv(experiment.parent / "people.csv").drop_columns("id")
    pyarrow.csv.write_csv(table, folder / "people.csv")
    pyarrow.parquet.write_table(table, folder / "people.parquet")
    return folder / experiment.name


def test_numbered_rows_are_the_files_rows_in_its_order(small_experiment: Path, tmp_path: Path) -> None:
    scenario = without_ids(small_experiment, tmp_path)
    expected = ground_of(small_experiment)
    for kind in ("csv", "parquet"):
        ground = ground_of(scenario, *(setting.replace("KIND", kind) for setting in NUMBERED))
        for role, rows in ground.rows.items():
            assert np.array_equal(rows.cells, expected.rows[role].cells)
            assert np.array_equal(rows.outcome, expected.rows[role].outcome)
            assert rows.ids.tolist() == [str(number) for number in range(1, 901)]


def test_numbered_rows_are_dealt_by_a_column_as_rows_with_ids_are(
    small_experiment: Path, tmp_path: Path
) -> None:
    scenario = without_ids(small_experiment, tmp_path)
    by_shop = NUMBERED[-1]
    expected = deal_rows(ground_of(small_experiment, by_shop), seed=1)
    dealt = deal_rows(
        ground_of(scenario, *(setting.replace("KIND", "parquet") for setting in NUMBERED)), seed=1
    )
    for party, rows in expected.training.items():
        # Ids begin with 0 in the file, and numbers with 1.
        assert [str(int(one) + 1) for one in rows.ids] == dealt.training[party].ids.tolist()


def test_a_file_without_ids_is_refused_with_what_to_do(small_experiment: Path, tmp_path: Path) -> None:
    scenario = without_ids(small_experiment, tmp_path)
    for kind in ("csv", "parquet"):
        with pytest.raises(DataError, match=r"no column 'id'.*rows\.id.*--set data\.number_rows=true"):
            ground_of(scenario, NUMBERED[0].replace("KIND", kind))


def test_rows_with_ids_are_not_numbered(small_experiment: Path) -> None:
    with pytest.raises(DataError, match="leave number_rows out"):
        ground_of(small_experiment, "data.number_rows=true")


def test_texts_of_a_csv_file_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("shop,late\n01,NA\n,\n")
    table = whole_table(tmp_path / "x.csv", "row", number_rows=True, texts=["shop"])
    assert table.to_pylist() == [
        {"shop": "01", "late": "NA", "row": 1},
        {"shop": None, "late": None, "row": 2},
    ]


def with_gaps(experiment: Path, folder: Path) -> tuple[Path, set[str]]:
    """The experiment again, with empty cells in some rows; and the ids of the others.

    One gap is in a column that the contract does not name, one is no null but NaN, one an empty text.
    """
    for file in experiment.parent.iterdir():
        (folder / file.name).write_text(file.read_text())
    rows = pyarrow.csv.read_csv(experiment.parent / "people.csv").to_pylist()
    rows[3]["late"] = rows[5]["shop"] = None
    rows[7]["utilisation"] = float("nan")
    rows[11]["shop"] = ""
    table = pa.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, folder / "people.parquet")
    text = [",".join("" if cell in (None, "") else str(cell) for cell in row.values()) for row in rows]
    (folder / "people.csv").write_text("\n".join([",".join(rows[0]), *text]) + "\n")
    return folder / experiment.name, {str(number) for number in range(900)} - {"3", "5", "7", "11"}


def test_rows_with_an_empty_cell_in_any_column_can_be_left_out(
    small_experiment: Path, tmp_path: Path
) -> None:
    scenario, complete = with_gaps(small_experiment, tmp_path)
    parquet = ("data.path='people.parquet'", "data.complete_rows=true")
    ground = ground_of(scenario, *parquet)
    for role, rows in ground.rows.items():
        everybody = ground_of(scenario, parquet[0]).rows[role]
        kept = np.isin(everybody.ids, sorted(complete))
        assert len(everybody) == 900
        assert set(rows.ids) == complete
        assert np.array_equal(rows.cells, everybody.cells[kept])
        assert np.array_equal(rows.outcome, everybody.outcome[kept])
    for parties in ("{count=3}", "{kind='column', column='shop', count=5}"):
        assert (
            set(all_ids(deal_rows(ground_of(scenario, *parquet, f"parties={parties}"), seed=1))) == complete
        )
    # As CSV, which is what the scenario names.
    assert set(ground_of(scenario, parquet[1]).rows[Role.PLATFORM].ids) == complete


def test_a_file_without_a_complete_row_is_refused(small_experiment: Path, tmp_path: Path) -> None:
    for file in small_experiment.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    table = pyarrow.csv.read_csv(tmp_path / "people.csv")
    empty = pa.nulls(len(table), pa.float64())
    pyarrow.parquet.write_table(table.append_column("income", empty), tmp_path / "people.parquet")
    with pytest.raises(DataError, match=r"every row of people\.parquet has an empty cell"):
        ground_of(tmp_path / small_experiment.name, "data.path='people.parquet'", "data.complete_rows=true")


def test_complete_rows_are_split_as_scikit_learn_splits_them(small_experiment: Path, tmp_path: Path) -> None:
    """What others reached on the splits of the rows that are left, after the others were dropped."""
    scenario, _ = with_gaps(small_experiment, tmp_path)
    dealt = deal_rows(ground_of(scenario, "data.path='people.parquet'", "data.complete_rows=true"), seed=2)
    every = pyarrow.parquet.read_table(tmp_path / "people.parquet").to_pylist()
    rows = [
        row for row in every if not {None, "", "nan"} & {row["late"], row["shop"], str(row["utilisation"])}
    ]
    _, test = train_test_split(rows, test_size=0.3, random_state=2, stratify=[row["y"] for row in rows])
    assert set(dealt.pooled_test.ids) == {str(row["id"]) for row in test}
