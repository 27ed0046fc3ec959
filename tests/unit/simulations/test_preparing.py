"""What a sweep needs is found, checked and read before its first job; what variations share is read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.contract import Contract, Role
from fedscore.data import Rows, read_rows
from fedscore.errors import ContractError, DataError, ScenarioError
from simulations import preparing, readings
from simulations.keys import SimulatedKeys
from simulations.preparing import Prepared, deal_keys, prepare
from simulations.scenario import load_scenario


class Log:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def started(self, jobs: int, found: int) -> None: ...

    def finished(self, job: object) -> None: ...

    def noticed(self, what: str) -> None: ...


def prepared(scenario: Path, *overrides: str, log: Log | None = None) -> tuple[Prepared, ...]:
    return prepare(load_scenario(scenario, overrides), None, watcher=Log() if log is None else log)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Role]:
    """For which roles a file was read."""
    roles: list[Role] = []

    def counted(path: Path, contract: Contract, *, role: Role) -> Rows:
        roles.append(role)
        return read_rows(path, contract, role=role)

    monkeypatch.setattr(readings, "read_rows", counted)
    return roles


def test_what_variations_share_is_read_once(small_experiment: Path, read: list[Role]) -> None:
    log = Log()
    found = prepared(
        small_experiment,
        "baselines=[]",
        "sweep.learner.recipe=['plain', 'filtered']",
        "sweep.privacy.noise=['shared', 'local']",
        "sweep.parties.roles=[{platform=2}, {platform=2, collector=1}]",
        log=log,
    )
    assert read == [Role.PLATFORM, Role.COLLECTOR]
    assert log.stages == ["reading people.csv"]
    assert len(found) == 8
    assert len({id(one.ground.rows[Role.PLATFORM]) for one in found}) == 1
    assert [set(one.ground.rows) for one in found[:2]] == [{Role.PLATFORM}, {Role.PLATFORM, Role.COLLECTOR}]
    assert len({one.data_sha256 for one in found}) == 1


def test_another_grid_or_another_way_of_reading_is_read_for_itself(
    small_experiment: Path, tmp_path: Path, read: list[Role]
) -> None:
    for name in ("people.csv", "small.toml", small_experiment.name):
        (tmp_path / name).write_text((small_experiment.parent / name).read_text())
    coarser = (tmp_path / "small.toml").read_text().replace("[0.2, 0.4, 0.6, 0.8]", "[0.5]")
    (tmp_path / "coarser.toml").write_text(coarser)
    found = prepared(
        tmp_path / small_experiment.name,
        "sweep.data.contract=['small.toml', 'coarser.toml']",
        "sweep.data.complete_rows=[false, true]",
    )
    # Complete rows are found in the whole table, which another function reads.
    assert read == [Role.PLATFORM, Role.COLLECTOR] * 2
    rows = [one.ground.rows[Role.PLATFORM] for one in found]
    assert len({id(one) for one in rows}) == 4
    assert [int(one.cells[:, 0].max()) for one in rows] == [4, 4, 1, 1]
    assert len({one.contract.hash() for one in found}) == 2


def test_mistakes_of_contracts_are_told_with_their_variations_or_as_they_are(
    small_experiment: Path, read: list[Role]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        prepared(small_experiment, "sweep.privacy.colluding_parties=[1, 3, 4]", "sweep.split.test=[0.2, 0.3]")
    told = str(caught.value)
    assert told.startswith("the sweep of small_experiment cannot be run as written:\n  - with ")
    assert "privacy.colluding_parties = 3: " in told
    assert "privacy.colluding_parties = 4: " in told
    assert told.count("  - ") == 2
    with pytest.raises(ContractError):
        prepared(small_experiment, "privacy.colluding_parties=3")
    assert read == []


def test_a_file_that_was_changed_while_it_was_read_is_refused_later(
    small_experiment: Path, tmp_path: Path
) -> None:
    for name in ("people.csv", "small.toml", small_experiment.name):
        (tmp_path / name).write_text((small_experiment.parent / name).read_text())
    (one,) = prepared(tmp_path / small_experiment.name)
    one.mark.require_unchanged()
    with (tmp_path / "people.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match="was changed while the simulation ran"):
        one.mark.require_unchanged()


def test_variations_that_agree_on_keys_share_a_ceremony(
    small_experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt: list[int] = []

    def ceremony(contract: Contract, *, key_bits: int) -> SimulatedKeys:
        assert contract.encryption.committee is not None
        dealt.append(key_bits)
        return object.__new__(SimulatedKeys)

    monkeypatch.setattr(preparing, "hold_ceremony", ceremony)
    found = prepared(
        small_experiment,
        "encryption={mode='paillier', key_bits=2048}",
        "sweep.learner.recipe=['plain', 'filtered']",
        "sweep.parties.roles=[{platform=4}, {platform=5}, {platform=1, collector=4}]",
    )
    log = Log()
    keys = deal_keys(found, [0, 1, 2, 3, 4, 5], watcher=log)
    assert dealt == [2048, 2048]
    assert log.stages == ["key ceremony (2048 bits)"] * 2
    # The first three platforms sit on the committee, whoever else there is.
    assert keys[0] is keys[1] is keys[3] is keys[4]
    assert keys[2] is keys[5] is not keys[0]
    assert deal_keys(found, [], watcher=log) == {}
