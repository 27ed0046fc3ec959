"""What can be refused or read before the first job: contracts, files and keys of all variations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscore.contract import Contract, Learner
from fedscore.errors import ContractError, ScenarioError
from fedscore.learners.neural.extra import require_neural_extra
from simulations.agreed import agreed_contract
from simulations.audit.membership import pool_of
from simulations.audit.shares import auditable_agenda
from simulations.dealing import Ground, deal_rows, read_ground
from simulations.keys import SimulatedKeys, committee_names, hold_ceremony
from simulations.lightgbm_ceiling import require_lightgbm
from simulations.lookup import find_contract, find_data
from simulations.readings import Readings
from simulations.runner import is_audited
from simulations.scenario import NAIVE, Baseline, LoadedScenario, Scenario, Variation
from simulations.sweep import Mistake, listed
from simulations.variants import contract_of
from simulations.versions import FileMark, file_sha256
from simulations.watcher import Watcher

__all__ = ["Prepared", "deal_keys", "prepare"]

_NEURAL = frozenset({Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL, *NAIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A variation that is ready to run.

    Attributes:
        variation: Its coordinates and terms.
        contract: As its file has it.
        data_sha256: Hash of its data file.
        mark: Of the data file, from before it was read.
        ground: Its contract on the scenario's terms, and its rows.
    """

    variation: Variation
    contract: Contract
    data_sha256: str
    mark: FileMark
    ground: Ground


def prepare(loaded: LoadedScenario, data: Path | None, *, watcher: Watcher) -> tuple[Prepared, ...]:
    """Find, check and read what the variations of a scenario need; what they share is read once.

    Args:
        loaded: The scenario.
        data: The data file, or the folder that holds it; looked up if left out.
        watcher: Is told what is read.

    Raises:
        MissingExtra: A package is missing.
        ScenarioError: Some variation cannot be run; every mistake is listed.
        ContractError: The only variation asks for terms that no contract may have.
        DataError: A file does not fit its contract.
    """
    for variation in loaded.variations:
        _require_extras(variation.terms)
    sources = _sources(loaded, data)
    readings, hashes = Readings(), dict[Path, tuple[FileMark, str]]()
    prepared = []
    for variation, (contract, path) in zip(loaded.variations, sources, strict=True):
        if path not in hashes:
            watcher.stage(f"reading {path.name}")
            hashes[path] = (FileMark.of(path), file_sha256(path))
        mark, sha256 = hashes[path]
        ground = read_ground(variation.terms, contract, path, readings=readings)
        _require_records_for_audits(ground)
        prepared.append(
            Prepared(variation=variation, contract=contract, data_sha256=sha256, mark=mark, ground=ground)
        )
    return tuple(prepared)


def _sources(loaded: LoadedScenario, data: Path | None) -> list[tuple[Contract, Path]]:
    """Contract and file of each variation."""
    sources, mistakes = [], []
    for variation in loaded.variations:
        alone = loaded.at(variation)
        try:
            contract, path = find_contract(alone), find_data(alone, data)
            _require_allowed(variation.terms, contract)
        except (ContractError, ScenarioError) as error:
            if len(loaded.variations) == 1:
                raise
            mistakes.append(Mistake(coordinates=variation.coordinates, text=str(error)))
        else:
            sources.append((contract, path))
    if mistakes:
        told = listed(mistakes, [variation.coordinates for variation in loaded.variations])
        raise ScenarioError(
            f"the sweep of {loaded.name} cannot be run as written:\n"
            + "\n".join(f"  - {mistake}" for mistake in told)
        )
    return sources


def _require_allowed(terms: Scenario, contract: Contract) -> None:
    """Refuse what no contract may say, of the scenario's own runs and of what they are compared with."""
    agreed = agreed_contract(terms, contract)
    for baseline in (None, *terms.baselines):
        for epsilon in terms.privacy.epsilon:
            own = contract_of(baseline, terms, agreed, epsilon=epsilon)
            if baseline is None and is_audited(terms):
                auditable_agenda(own, run="0" * 32)


def _require_records_for_audits(ground: Ground) -> None:
    """Refuse an audit of too few records before hours are spent on the trainings beside it."""
    audit = ground.terms.audit
    if audit is not None and is_audited(ground.terms) and audit.shadows > 0:
        seed = ground.terms.split.seeds[0]
        training = deal_rows(ground, seed=seed).pooled_training
        pool_of(training, records=audit.records, outliers=audit.outliers, seed=seed)


def _require_extras(terms: Scenario) -> None:
    """Tell what is missing before anything is read."""
    if Baseline.POOLED_LIGHTGBM in terms.baselines:
        require_lightgbm()
    if terms.learner.name is Learner.NEURAL or not _NEURAL.isdisjoint(terms.baselines):
        require_neural_extra()


def deal_keys(
    prepared: Sequence[Prepared], encrypting: Iterable[int], *, watcher: Watcher
) -> Mapping[int, SimulatedKeys]:
    """Hold a key ceremony for the variations that encrypt; those that agree on all of it share one.

    Args:
        prepared: All variations.
        encrypting: The places of those with encrypted jobs to be done.
        watcher: Is told of each ceremony.
    """
    held: dict[tuple[object, ...], SimulatedKeys] = {}
    keys = {}
    for place in sorted(set(encrypting)):
        contract = prepared[place].ground.contract
        committee = contract.encryption.committee
        members = committee_names(contract, 0 if committee is None else committee.members)
        bits = prepared[place].ground.terms.encryption.key_bits
        terms = (bits, committee, members, contract.privacy.absent > 0)
        if terms not in held:
            watcher.stage(f"key ceremony ({bits} bits)")
            held[terms] = hold_ceremony(contract, key_bits=bits)
        keys[place] = held[terms]
    return keys
