"""Deals a file's rows to the parties of a scenario, and sets test rows apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.contract import Contract, Party, Role, ValueType
from fedscore.data import Rows, read_rows, rows_from_table, training_rows
from fedscore.data.sources import open_source
from fedscore.errors import DataError, ScenarioError
from simulations.keys import keyed
from simulations.partition import by_column, dirichlet, iid
from simulations.raw import complete_rows, places_of, whole_table
from simulations.scenario import PartitionKind, PartyTerms, Scenario, SplitKind
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


def roster(terms: PartyTerms) -> tuple[Party, ...]:
    """Parties of a scenario, named by role and number, platforms first."""
    members = terms.members
    width = max(2, len(str(len(members))))
    numbers = {role: iter(range(1, len(members) + 1)) for role in Role}
    return tuple(Party(name=f"{role}-{next(numbers[role]):0{width}}", role=role) for role in members)


def read_ground(terms: Scenario, contract: Contract, path: Path) -> Ground:
    """Read the data, once for all runs.

    Args:
        terms: The scenario.
        contract: As its file has it.
        path: The data file.

    Raises:
        ContractError: The scenario asks for terms that no contract may have.
        DataError: The file does not fit the contract.
    """
    parties = roster(terms.parties)
    # The file's own roster, committee and learner must not be measured against the scenario's terms: they go
    # first.
    contract = keyed(
        contract.with_parties(())
        .with_neural(None)
        .with_encryption(key_bits=terms.encryption.key_bits, committee=None, ceremony=None)
        .with_privacy(
            delta=terms.privacy.delta,
            noise=terms.noise,
            absent=terms.privacy.absent,
            colluding_parties=terms.privacy.colluding_parties,
            spare_rounds=terms.privacy.spare_rounds,
        )
        .with_encryption(committee=terms.encryption.committee)
        .with_parties(parties)
        .with_neural(terms.learner.neural)
    )
    if terms.learner.recipe is not None:
        contract = contract.with_recipe(terms.learner.recipe)
    roles = dict.fromkeys(party.role for party in parties)
    numbered = terms.data.number_rows
    if not numbered:
        _require_ids(path, contract)
    if numbered or terms.data.complete_rows:
        texts = [item.column for item in contract.characteristics if item.type is ValueType.CATEGORY]
        table = whole_table(path, contract.rows.id, number_rows=numbered, texts=texts)
        if terms.data.complete_rows:
            table = complete_rows(table, of=path.name)
        rows = {role: rows_from_table(table, contract, role=role) for role in roles}
    else:
        rows = {role: read_rows(path, contract, role=role) for role in roles}
    return Ground(terms=terms, contract=contract, path=path, rows=rows)


def _require_ids(path: Path, contract: Contract) -> None:
    """A file without ids is common, and what to do about it is no matter of the contract alone."""
    if contract.rows.id not in open_source(path).column_names():
        raise DataError(
            f"{path.name} has no column {contract.rows.id!r}, by which the contract tells rows apart. If "
            "another column has a different value in every row, name it in the contract, as rows.id. If "
            "every row is a customer of its own, have the rows numbered: number_rows = true under [data] of "
            "the scenario, or --set data.number_rows=true"
        )


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
