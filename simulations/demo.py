"""The whole of fedscore on invented people: tables, contract, key ceremony, encrypted training, report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fedscore.card import Card
from fedscore.contract import CommitteeTerms, Contract, NoiseMode, Party, Role, load_contract
from fedscore.data import Rows, rows_from_table, test_rows, training_rows
from fedscore.metrics import auc
from server.coordinator import Observer
from simulations import methods
from simulations.dealing import Dealt
from simulations.federation import EncryptionMode, FederationResult
from simulations.files import result_folder, write_card, write_whole
from simulations.keys import hold_ceremony, keyed
from simulations.report import PartyLine, ReportContent, render
from simulations.results import Results, Run
from simulations.scenario import Baseline
from simulations.synthetic import SyntheticConsortium, make_consortium

__all__ = ["DemoResult", "DemoWatcher", "run_demo"]

_CONTRACT = Path(__file__).parent / "contracts" / "consortium.toml"
_COMMITTEE = CommitteeTerms(members=3, threshold=2, colluding_members=1)


class DemoWatcher(Observer, Protocol):
    """Is told how the demo goes on."""

    def stage(self, text: str) -> None:
        """Something that takes a while has begun."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo found.

    Attributes:
        results: What `results.json` holds; the first run is the encrypted, private one.
        card: The federated card.
        contract: What it was trained under.
        parties: What taking part is worth to each organisation.
        ceremony_seconds: Duration of the key ceremony.
        folder: Where the files are.
    """

    results: Results
    card: Card
    contract: Contract
    parties: tuple[PartyLine, ...]
    ceremony_seconds: float
    folder: Path


def run_demo(*, out: Path, seed: int, people: int, watcher: DemoWatcher) -> DemoResult:
    """Train on a synthetic consortium and write `report.html`, `card.json`, `results.json`, `results.csv`.

    Args:
        out: Folder for the files; others in it are left alone.
        seed: What people, and the noise, are drawn from.
        people: How many people to invent.
        watcher: Is told how it goes on.

    Raises:
        FedscoreError: The folder cannot be written to, or so few people make no training.
    """
    folder = result_folder(out)
    watcher.stage(f"inventing {people:,} people and the events of their lives as customers")
    consortium = make_consortium(people=people, seed=seed)
    source = load_contract(_CONTRACT)
    roster = [Party(name=party.name, role=party.role) for party in consortium.parties]
    contract = keyed(source.with_parties(roster).with_encryption(committee=_COMMITTEE.model_dump()))
    watcher.stage("turning every organisation's events into rows as of a date")
    dealt = _dealt(consortium, contract)
    watcher.stage(f"key ceremony ({contract.encryption.key_bits} bits)")
    started = time.perf_counter()
    keys = hold_ceremony(contract, key_bits=contract.encryption.key_bits)
    ceremony_seconds = time.perf_counter() - started
    watcher.stage("training one card over all organisations, encrypted")
    own, result = methods.federated(
        contract, dealt, seed=seed, encryption=EncryptionMode.PAILLIER, keys=keys, observer=watcher
    )
    watcher.stage("training what it is compared with")
    baselines, local = _baselines(contract, dealt, seed=seed)
    demo = DemoResult(
        results=Results(
            version=version("fedscore"),
            created=datetime.now(UTC),
            contract_hash=source.hash(),
            scenario=_scenario(consortium, contract),
            runs=(own, *baselines),
        ),
        card=result.card,
        contract=contract,
        parties=tuple(
            PartyLine(
                party=name,
                rows=len(dealt.training[name]),
                local_auc=_own_auc(local[name].card, test) if name in local else None,
                federated_auc=_own_auc(result.card, test),
            )
            for name, test in dealt.test.items()
        ),
        ceremony_seconds=ceremony_seconds,
        folder=folder,
    )
    _write(demo, dealt)
    return demo


def _dealt(consortium: SyntheticConsortium, contract: Contract) -> Dealt:
    training, test = {}, {}
    for party in consortium.parties:
        rows = rows_from_table(
            party.rows(horizon_days=contract.outcome.horizon_days), contract, role=party.role
        )
        training[party.name] = training_rows(rows, contract)
        test[party.name] = test_rows(rows, contract)
    return Dealt(training=training, test=test)


def _baselines(
    contract: Contract, dealt: Dealt, *, seed: int
) -> tuple[tuple[Run, ...], dict[str, FederationResult]]:
    local = methods.local_results(contract, dealt.training)
    local_noise, _ = methods.federated(
        contract.with_privacy(noise=NoiseMode.LOCAL),
        dealt,
        seed=seed,
        encryption=EncryptionMode.PLAIN,
        baseline=Baseline.LOCAL_NOISE,
    )
    runs = (
        methods.pooled_no_noise(contract, dealt, seed=seed),
        methods.local_only(contract, dealt, seed=seed, local=local),
        local_noise,
    )
    return runs, local


def _own_auc(card: Card, test: Rows) -> float | None:
    if len(np.unique(test.outcome)) < 2:
        return None
    return auc(test.outcome, card.probability(test.cells))


def _scenario(consortium: SyntheticConsortium, contract: Contract) -> dict[str, Any]:
    """What was run, in the words of a scenario as far as they fit."""
    return {
        "name": "demo",
        "data": {
            "synthetic": True,
            "people": consortium.people,
            "seed": consortium.seed,
            "as_of": consortium.as_of.isoformat(),
            "contract": contract.name,
        },
        "split": {"kind": "hash", "seeds": [consortium.seed], "test": contract.split.test_share},
        "parties": [party.model_dump(mode="json") for party in contract.parties],
        "learner": {"name": contract.learner},
        "privacy": contract.privacy.model_dump(mode="json"),
        "encryption": {"mode": EncryptionMode.PAILLIER.value, **contract.encryption.model_dump()},
    }


def _write(demo: DemoResult, dealt: Dealt) -> None:
    demo.results.write(demo.folder)
    write_card(demo.card, demo.folder)
    page = render(
        ReportContent(
            title="fedscore demo: one scorecard over a synthetic consortium",
            introduction=_introduction(demo, dealt),
            results=demo.results,
            trained=demo.card,
            contract=demo.contract,
            parties=demo.parties,
            ceremony_seconds=demo.ceremony_seconds,
        )
    )
    write_whole(demo.folder / "report.html", page)


def _introduction(demo: DemoResult, dealt: Dealt) -> tuple[str, ...]:
    roles = [party.role for party in demo.contract.parties]
    training, test = dealt.pooled_training, dealt.pooled_test
    return (
        (
            "The people are synthetic: nobody in these data exists. The figures show that the machinery "
            "works, not how well a score would do among real customers."
        ),
        (
            f"{roles.count(Role.PLATFORM)} invented platforms and {roles.count(Role.COLLECTOR)} invented "
            "collection agencies keep operational tables: orders, refunds, logins, repayments; cases, "
            "contacts, promises. Many people appear at several of them. Each organisation turned its events "
            "into rows as of one date, with characteristics from before it and the outcome from the "
            f"{demo.contract.outcome.horizon_days} days after it: {len(training):,} rows to train on "
            f"({training.outcome.mean():.2%} bad) and {len(test):,} to test on, of other people."
        ),
        "No row left its organisation. What left were sums with noise, encrypted; only totals were opened.",
    )
