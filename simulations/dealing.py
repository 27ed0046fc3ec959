"""Deals a file's rows to the parties of a scenario, and sets test rows apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscore.contract import Contract, Party
from fedscore.data import Rows, training_rows
from fedscore.errors import ScenarioError
from simulations.agreed import agreed_contract, roster
from simulations.ground import Ground
from simulations.holdings import holdings
from simulations.readings import Readings
from simulations.scenario import Scenario, SplitKind
from simulations.splits import held_out

__all__ = ["Dealt", "Ground", "deal_rows", "read_ground", "roster"]


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

    Where the contract names persons, they are dealt whole, so that nobody is at more organisations than it
    allows. Whoever several organisations hold is a record at each of them, and on the same side at all.

    Args:
        ground: The scenario's data.
        seed: Decides the partition and a random split; nothing else does.

    Raises:
        ScenarioError: The partition or the split cannot be made of these rows, or a party holds too many.
        DataError: A party holds more rows than the contract's cap.
    """
    everyone = next(iter(ground.rows.values()))
    held = holdings(ground, seed=seed)
    test = held_out(everyone, ground.contract, ground.terms.split, seed=seed)
    training, testing = {}, {}
    for party, mine in zip(ground.contract.parties, held, strict=True):
        rows = ground.rows[party.role]
        training[party.name] = _for_training(rows.select(mine[~test[mine]]), ground, party)
        testing[party.name] = rows.select(mine[test[mine]])
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
