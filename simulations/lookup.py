"""Where a scenario's data and contract are found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fedscore.contract import Contract, load_contract
from fedscore.errors import ScenarioError
from simulations.scenario import LoadedScenario

__all__ = ["find_contract", "find_data", "shipped_contracts"]

_SHIPPED = Path(__file__).parent / "contracts"


def find_data(
    scenario: LoadedScenario, data: Path | None = None, *, environment: Mapping[str, str] | None = None
) -> Path:
    """Find the file of a scenario.

    `data` alone decides where it is given. Otherwise the scenario's folder, the folder (or file) that
    `$FEDSCORE_DATA` names, and `../shared/data` are looked through in this order.

    Args:
        scenario: Whose `data.path` is looked up.
        data: A file, or a folder that holds it.
        environment: The environment's variables; those of the process where left out.

    Raises:
        ScenarioError: The file is in none of these places; the message lists them.
    """
    name = Path(scenario.terms.data.path)
    named = (os.environ if environment is None else environment).get("FEDSCORE_DATA")
    if data is not None:
        places = [_in(data, name)]
    elif name.is_absolute():
        places = [name]
    else:
        places = [scenario.folder / name]
        places += [_in(Path(named), name)] if named else []
        places.append(Path("..") / "shared" / "data" / name)
    for place in places:
        if place.is_file():
            return place
    looked = "\n".join(f"  - {place}" for place in places)
    raise ScenarioError(
        f"the data of scenario {scenario.name!r} was not found. Looked for:\n{looked}\n"
        f"Pass --data FILE_OR_FOLDER, or set FEDSCORE_DATA to the folder that holds {name.name}"
    )


def _in(place: Path, name: Path) -> Path:
    return place / name if place.is_dir() else place


def shipped_contracts() -> tuple[str, ...]:
    """Names of the contracts that come with the simulations."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def find_contract(scenario: LoadedScenario) -> Contract:
    """Load the contract of a scenario: a shipped one by name, or a file relative to the scenario.

    Raises:
        ScenarioError: There is no such contract.
        ContractError: The contract says something that cannot be kept.
    """
    name = scenario.terms.data.contract
    path = _SHIPPED / f"{name}.toml" if name in shipped_contracts() else scenario.folder / name
    if not path.is_file():
        raise ScenarioError(
            f"scenario {scenario.name!r} names the contract {name!r}, and there is no file {path}: give a "
            f"path relative to the scenario, or one of the shipped names: {', '.join(shipped_contracts())}"
        )
    return load_contract(path)
