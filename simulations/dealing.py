"""Deals a file's rows to the parties of a scenario, and sets test rows apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.contract import Contract, Party, Role
from fedscore.data import Rows, training_rows
from fedscore.errors import ScenarioError
from simulations.agreed import agreed_contract, roster
from simulations.partition import by_column, dirichlet, iid
from simulations.raw import places_of, whole_table
from simulations.readings import Readings
from simulations.scenario import PartitionKind, Scenario, SplitKind
from simulations.scenario_mistakes import closest
from simulations.splits import held_out

__all__ = ["Dealt", "Ground", "deal_rows", "read_ground", "roster"]

_PARTITION_STREAM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all runs of a scenario share.

    Attributes:
        terms: The scenario.
        contract: The contract, with the scenario's roster, terms and learner; runs have their own epsilon.
        path: The data file.
        rows: The file's rows, as each role of the roster would bin them; all in the file's order.
    """

    terms: Scenario
    contract: Contract
    path: Path
    rows: Mapping[Role, Rows]

    def __reduce__(self) -> tuple[Callable[..., Ground], tuple[object, ...]]:
        """Go to another process: a contract keeps read-only views of itself, which cannot go along."""
        return _ground, (self.terms, self.contract.model_dump_json(), self.path, dict(self.rows))


def _ground(terms: Scenario, contract: str, path: Path, rows: dict[Role, Rows]) -> Ground:
    return Ground(terms=terms, contract=Contract.model_validate_json(contract), path=path, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """Who holds what under one seed.

    Attributes:
        training: Training rows by party.
        test: Test rows by party.
    """

    training: Mapping[str, Rows]
    test: Mapping[str, Rows]

    @property
    def pooled_training(self) -> Rows:
        """Training rows of all parties, party by party."""
        return Rows.concatenate(list(self.training.values()))

    @property
    def pooled_test(self) -> Rows:
        """Test rows of all parties, party by party: what every method is measured on."""
        return Rows.concatenate(list(self.test.values()))


def read_ground(
    terms: Scenario, contract: Contract, path: Path, *, readings: Readings | None = None
) -> Ground:
    """Read the data, once for all runs.

    Args:
        terms: The scenario.
        contract: As its file has it.
        path: The data file.
        readings: What was read before, for scenarios that share it.

    Raises:
        ContractError: The scenario asks for terms that no contract may have.
        DataError: The file does not fit the contract.
    """
    agreed = agreed_contract(terms, contract)
    rows = (Readings() if readings is None else readings).rows_of(terms.data, agreed, path)
    return Ground(terms=terms, contract=agreed, path=path, rows=rows)


def deal_rows(ground: Ground, *, seed: int) -> Dealt:
    """Deal the rows and set test rows apart; the same for every method of a seed.

    Args:
        ground: The scenario's data.
        seed: Decides the partition and a random split; nothing else does.

    Raises:
        ScenarioError: The partition or the split cannot be made of these rows, or a party holds too many.
        DataError: A party holds more rows than the contract's cap.
    """
    everyone = next(iter(ground.rows.values()))
    held = _partition(ground, everyone, seed=seed)
    test = held_out(everyone, ground.contract, ground.terms.split, seed=seed)
    training, testing = {}, {}
    for number, party in enumerate(ground.contract.parties):
        rows = ground.rows[party.role]
        mine = held == number
        training[party.name] = _for_training(rows.select(mine & ~test), ground, party)
        testing[party.name] = rows.select(mine & test)
    return Dealt(training=training, test=testing)


def _for_training(rows: Rows, ground: Ground, party: Party) -> Rows:
    if ground.terms.split.kind is SplitKind.HASH:
        return training_rows(rows, ground.contract)
    cap = ground.contract.rows.row_cap
    if len(rows) > cap:
        raise ScenarioError(
            f"{party.name} would train on {len(rows)} rows, and the contract's row_cap is {cap}: "
            "use more parties, or a contract with a higher row_cap"
        )
    return rows


def _partition(ground: Ground, rows: Rows, *, seed: int) -> npt.NDArray[np.int64]:
    terms = ground.terms.parties
    parties = len(ground.contract.parties)
    generator = np.random.default_rng([seed, _PARTITION_STREAM])
    if terms.kind is PartitionKind.COLUMN and terms.column is not None:
        id_column = ground.contract.rows.id
        table = whole_table(ground.path, id_column, number_rows=ground.terms.data.number_rows)
        if terms.column not in table.column_names:
            raise ScenarioError(
                f"parties.column names {terms.column!r}, and {ground.path.name} has no such column"
                f"{closest(terms.column, table.column_names)}"
            )
        values = (
            table[terms.column].cast(pa.string()).fill_null("").take(places_of(rows.ids, table, id_column))
        )
        return by_column(np.asarray(values.to_pylist(), dtype=np.str_), parties)
    if terms.kind is PartitionKind.DIRICHLET and terms.alpha is not None:
        return dirichlet(rows.outcome, parties, terms.alpha, generator)
    return iid(len(rows), parties, generator)
