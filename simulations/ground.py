"""What all runs of a scenario share: its terms, the contract on them, and the file's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscore.contract import Contract, Role
from fedscore.data import Rows
from simulations.scenario import Scenario

__all__ = ["Ground"]


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
