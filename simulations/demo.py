"""The whole of fedscore on invented people: tables, contract, key ceremony, encrypted training, report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from fedscore.card import Card
from fedscore.contract import CommitteeTerms, Contract, NoiseMode, Party, Role, load_contract
from fedscore.data import rows_from_table, test_rows, training_rows
from fedscore.errors import ScenarioError
from server.coordinator import Observer
from simulations import methods
from simulations.dealing import Dealt
from simulations.federation import EncryptionMode
from simulations.files import result_folder, write_card
from simulations.keys import hold_ceremony, keyed
from simulations.outcomes import Outcome
from simulations.report import PartyLine, ReportContent, write_report
from simulations.results import Origin, Results
from simulations.runner import available_processors
from simulations.scenario import Baseline
from simulations.synthetic import SyntheticConsortium, make_consortium
from simulations.timings import Timings
from simulations.versions import code_sha256, versions_of

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
        timings: What `timings.json` holds.
        card: The federated card.
        contract: What it was trained under.
        parties: What taking part is worth to each organisation.
        ceremony_seconds: Duration of the key ceremony.
        folder: Where the files are.
    """

    results: Results
    timings: Timings
    card: Card
    contract: Contract
    parties: tuple[PartyLine, ...]
    ceremony_seconds: float
    folder: Path


def run_demo(*, out: Path, seed: int, people: int, watcher: DemoWatcher) -> DemoResult:
    """Train on a synthetic consortium and write the report, the card, the results and their timings.

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
    own = methods.federated(
        contract, dealt, seed=seed, encryption=EncryptionMode.PAILLIER, keys=keys, observer=watcher
    )
    if not isinstance(own.trained, Card):
        raise ScenarioError("the demo trained no card: this is a defect")
    watcher.stage("training what it is compared with")
    pooled, local, local_noise = _baselines(contract, dealt, seed=seed)
    outcomes = (own, pooled, local, local_noise)
    demo = DemoResult(
        results=Results(
            versions=versions_of(),
            code_sha256=code_sha256(),
            origins=(Origin(contract_hash=source.hash(), data_sha256=None),),
            scenario=_scenario(consortium, contract),
            runs=tuple(outcome.run for outcome in outcomes),
            parties=(*own.parties, *local.parties),
        ),
        timings=Timings(
            created=datetime.now(UTC),
            processors=available_processors(),
            runs=tuple(outcome.timing for outcome in outcomes),
        ),
        card=own.trained,
        contract=contract,
        parties=tuple(
            PartyLine(
                party=federated.party,
                rows=federated.training_rows,
                local_auc=alone.auc,
                federated_auc=federated.auc,
            )
            for federated, alone in zip(own.parties, local.parties, strict=True)
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


def _baselines(contract: Contract, dealt: Dealt, *, seed: int) -> tuple[Outcome, Outcome, Outcome]:
    local_noise = methods.federated(
        contract.with_privacy(noise=NoiseMode.LOCAL),
        dealt,
        seed=seed,
        encryption=EncryptionMode.PLAIN,
        baseline=Baseline.LOCAL_NOISE,
    )
    return (
        methods.pooled_no_noise(contract, dealt, seed=seed),
        methods.local_only(contract, dealt, seed=seed),
        local_noise,
    )


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
    demo.timings.write(demo.folder)
    write_card(demo.card, demo.folder)
    write_report(
        ReportContent(
            title="fedscore demo: one scorecard over a synthetic consortium",
            introduction=_introduction(demo, dealt),
            results=demo.results,
            timings=demo.timings,
            trained=demo.card,
            contract=demo.contract,
            ceremony_seconds=demo.ceremony_seconds,
        ),
        demo.folder,
    )


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
