"""What does a job's outcome depend on? Jobs with the same key have the same outcome, wherever they are asked.

A key is careful rather than clever: what is not known to be without effect belongs to it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedscore.contract import Contract, Learner, NoiseMode
from simulations.dealing import Ground
from simulations.engines import Engine
from simulations.readings import content_sha256, reading_document
from simulations.runner import AuditJob, Task
from simulations.scenario import NAIVE, Baseline
from simulations.variants import contract_of, neural_terms
from simulations.versions import LIGHTGBM_PACKAGES, NEURAL_PACKAGES, code_sha256, versions_of

__all__ = ["JobKey", "KeyRing"]

_UNSEEN = frozenset({"baselines", "sweep", "deployment", "audit"})
"""Parts of a scenario that no training sees."""

_ALONE = frozenset({Baseline.POOLED_NO_NOISE, Baseline.LOCAL_ONLY})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKey:
    """What a job's outcome depends on, and the name of it.

    Attributes:
        document: In words and hashes, for whoever looks into a job's file.
        sha256: Of the document.
    """

    document: Mapping[str, Any]
    sha256: str


class KeyRing:
    """Makes the keys of one variation's jobs.

    Args:
        ground: The variation's terms, contract and rows.
        data_sha256: Hash of its data file.
        engine: What carries the messages: one engine's outcome would be no check of another.
    """

    def __init__(self, ground: Ground, *, data_sha256: str, engine: Engine = Engine.IN_PROCESS) -> None:
        self._ground = ground
        self._engine = engine
        self._data = {"sha256": data_sha256, "kind": ground.path.suffix.lower()}
        self._terms = ground.terms.model_dump(mode="json")
        self._contracts: dict[tuple[Baseline | None, float | None], tuple[str, tuple[str, ...]]] = {}

    def key_of(self, task: Task) -> JobKey:
        """What a task's outcome depends on.

        Raises:
            ContractError: The scenario asks for terms that no contract may have.
        """
        if isinstance(task, AuditJob):
            told = {"audit": task.terms.model_dump(mode="json"), "epsilon": task.epsilon}
            # Whoever audits may look at all seeds.
            told["seeds"] = self._terms["split"]["seeds"]
            return self._key(told, self._terms_without(), self._federated(None, task.epsilon))
        told = {"seed": task.seed, "baseline": task.baseline, "epsilon": task.epsilon}
        if task.baseline is Baseline.POOLED_LIGHTGBM:
            return self._key(told, self._terms_of_raw_columns(), self._raw_columns())
        if task.baseline in _ALONE:
            return self._key(
                told, self._terms_without("privacy", "encryption", "faults"), self._alone(task.baseline)
            )
        if task.baseline is None:
            return self._key(told, self._terms_without(), self._federated(None, task.epsilon))
        # Baselines are trained in plain.
        terms = self._terms_without("encryption")
        if task.baseline in NAIVE:
            terms["neural"] = neural_terms(self._ground.terms).model_dump(mode="json")
        return self._key(told, terms, self._federated(task.baseline, task.epsilon))

    def _federated(self, baseline: Baseline | None, epsilon: float | None) -> tuple[str, tuple[str, ...]]:
        place = (baseline, epsilon)
        if place not in self._contracts:
            contract = contract_of(baseline, self._ground.terms, self._ground.contract, epsilon=epsilon)
            self._contracts[place] = (contract.hash(), _packages(contract, baseline))
        return self._contracts[place]

    def _alone(self, baseline: Baseline) -> tuple[str, tuple[str, ...]]:
        """As under the contract, which they heed but for its noise."""
        place = (baseline, None)
        if place not in self._contracts:
            contract = contract_of(baseline, self._ground.terms, self._ground.contract, epsilon=None)
            noiseless = contract.with_privacy(noise=NoiseMode.NONE)
            self._contracts[place] = (noiseless.hash(), _packages(noiseless, baseline))
        return self._contracts[place]

    def _raw_columns(self) -> tuple[str, tuple[str, ...]]:
        """LightGBM sees the file, and who holds which row; of the contract, what that takes."""
        place = (Baseline.POOLED_LIGHTGBM, None)
        if place not in self._contracts:
            contract = self._ground.contract
            roster = [party.model_dump(mode="json") for party in contract.parties]
            document = {**reading_document(contract), "groups": None, "parties": roster}
            self._contracts[place] = (content_sha256(document), LIGHTGBM_PACKAGES)
        return self._contracts[place]

    def _terms_of_raw_columns(self) -> dict[str, Any]:
        # The delta has no effect either; it is told beside the figures.
        terms = self._terms_without("privacy", "encryption", "faults", "learner")
        return {**terms, "delta": self._ground.contract.privacy.delta}

    def _terms_without(self, *names: str) -> dict[str, Any]:
        """The scenario's terms, without what no job sees, and without the coordinates of other jobs."""
        terms = {key: value for key, value in self._terms.items() if key not in {*_UNSEEN, *names}}
        terms["split"] = _without(terms["split"], "seeds")
        # File and contract are in the key by their content.
        terms["data"] = _without(terms["data"], "path", "contract")
        if "privacy" in terms:
            terms["privacy"] = _without(terms["privacy"], "epsilon")
        return terms

    def _key(
        self, job: Mapping[str, Any], terms: Mapping[str, Any], contract: tuple[str, tuple[str, ...]]
    ) -> JobKey:
        sha256, packages = contract
        document = {
            "job": job,
            "data": self._data,
            "contract": sha256,
            "terms": terms,
            "versions": versions_of(packages),
            "engine": self._engine,
            "machine": f"{platform.system()} {platform.machine()}",
            "code": code_sha256(),
        }
        return JobKey(document=document, sha256=content_sha256(document))


def _packages(contract: Contract, baseline: Baseline | None) -> tuple[str, ...]:
    return NEURAL_PACKAGES if contract.learner is Learner.NEURAL or baseline in NAIVE else ()


def _without(section: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in names}
