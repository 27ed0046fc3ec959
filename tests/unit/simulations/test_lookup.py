from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.errors import ScenarioError
from simulations.lookup import find_contract, find_data, shipped_contracts
from simulations.scenario import LoadedScenario, load_scenario


@pytest.fixture
def scenario(tmp_path: Path) -> LoadedScenario:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "one.toml").write_text(
        "[data]\npath = 'people.csv'\ncontract = 'taiwan'\n[parties]\ncount = 2\n"
    )
    return load_scenario(folder / "one.toml")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_data_are_found_in_the_order_that_is_documented(
    scenario: LoadedScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "work" / "here"
    working.mkdir(parents=True)
    monkeypatch.chdir(working)
    environment = {"FEDSCORE_DATA": str(tmp_path / "environment")}

    shared = touch(tmp_path / "work" / "shared" / "data" / "people.csv")
    assert find_data(scenario, environment=environment).resolve() == shared
    named = touch(tmp_path / "environment" / "people.csv")
    assert find_data(scenario, environment=environment) == named
    beside = touch(scenario.folder / "people.csv")
    assert find_data(scenario, environment=environment) == beside
    given = touch(tmp_path / "given" / "people.csv")
    assert find_data(scenario, given.parent, environment=environment) == given
    other = touch(tmp_path / "given" / "other.csv")
    assert find_data(scenario, other, environment=environment) == other


def test_the_environment_may_name_the_file_itself(scenario: LoadedScenario, tmp_path: Path) -> None:
    file = touch(tmp_path / "anything.csv")
    assert find_data(scenario, environment={"FEDSCORE_DATA": str(file)}) == file


def test_data_that_were_asked_for_are_not_replaced_by_others(
    scenario: LoadedScenario, tmp_path: Path
) -> None:
    touch(scenario.folder / "people.csv")
    with pytest.raises(ScenarioError, match="was not found") as caught:
        find_data(scenario, tmp_path / "missing", environment={})
    assert str(scenario.folder / "people.csv") not in str(caught.value)


def test_missing_data_list_every_place_and_what_to_do(scenario: LoadedScenario, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        find_data(scenario, environment={"FEDSCORE_DATA": str(tmp_path)})
    told = str(caught.value)
    for place in (scenario.folder, tmp_path, Path("../shared/data")):
        assert f"- {place / 'people.csv'}" in told
    assert "--data" in told
    assert "FEDSCORE_DATA" in told


def test_a_shipped_contract_is_found_by_name_and_another_relative_to_the_scenario(
    small_experiment: Path,
) -> None:
    assert {"taiwan", "gmsc", "consortium"} <= set(shipped_contracts())
    assert find_contract(load_scenario("taiwan")).name == "taiwan-credit-card"
    assert find_contract(load_scenario(small_experiment)).name == "small"


def test_a_missing_contract_lists_the_shipped_ones(small_experiment: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no-such\.toml.*consortium, gmsc, .*taiwan"):
        find_contract(load_scenario(small_experiment, ["data.contract='no-such.toml'"]))
