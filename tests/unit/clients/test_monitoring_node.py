"""Nodes of a deployment that watch a card: from their files, with their books, over their own rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clients.books import Price
from clients.config import load_node_config
from clients.deployment import books_of, identity_of, node_of
from clients.file_books import FileBooks
from clients.loading import load_rows
from clients.memory import FileMemory
from clients.node import Node
from clients.policy import load_policy
from fedscore.card import Card
from fedscore.cli.main import app
from fedscore.contract import Contract, GradeTerms, Role, load_contract
from fedscore.data import Rows
from fedscore.errors import BudgetExhausted, CardError, DataError, RunFailed
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.messages import Ask, Refusal, RefusalCode, Reply
from fedscore.monitoring import MonitoringReport
from fedscore.sums.paillier import PaillierCombiner
from fedscore.sums.series import KeySeries
from privacy.dp.events import Composed
from server.chronicle import VolatileChronicle
from server.coordinator import Coordinator
from simulations.federation import train_federation
from simulations.keys import SimulatedKeys, simulated_identity
from tests.conftest import TINY

ROLES = {"north": "platform", "south": "platform", "agency": "collector"}
OPERATOR = simulated_identity("operator")

NODE = """
party = "{name}"
role = "{role}"
contract = "../contract.toml"
card = "../card.json"
ceremony = "../ceremony.json"
identity = "identity.json"
key_share = "key_share.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"

[data]
table = "rows.parquet"
"""


@pytest.fixture(scope="module")
def card(tiny_contract: Contract) -> Card:
    generator = np.random.default_rng(1)

    def rows(count: int) -> Rows:
        cells = np.column_stack([generator.integers(0, table.size, count) for table in tiny_contract.tables])
        risk = 1 / (1 + np.exp(2.2 - 0.5 * cells[:, 0] - 0.4 * cells[:, 1]))
        return Rows(
            cells=cells.astype(np.int32),
            outcome=(generator.random(count) < risk).astype(np.int8),
            ids=np.array([str(number) for number in range(count)], dtype=object),
        )

    terms = tiny_contract.with_grades(GradeTerms(shares=(0.3, 0.3, 0.3)))
    return train_federation(terms, {name: rows(2000) for name in ROLES}, seed=1).card


def contract_text(card: Card, keys: SimulatedKeys, *, outcomes: bool = True) -> str:
    """What docs/monitoring.md says: the training contract's sections, and another learner."""
    roster = [
        f'[[parties]]\nname = "{name}"\nrole = "{role}"\n'
        f'key = "{simulated_identity(name).public.signing_key.hex()}"\n'
        for name, role in ROLES.items()
    ]
    encryption = (
        "[encryption]\nkey_bits = 2048\n"
        "committee = { members = 3, threshold = 2, colluding_members = 1 }\n"
        f'ceremony = "{keys.record.hash()}"\n'
    )
    head = TINY.replace('purpose = "tests"', 'purpose = "tests"\nlearner = "monitoring"')
    return "\n".join(
        [
            head.replace("test_share = 0.3", "test_share = 0.0"),
            f'[monitoring]\ncard = "{card.fingerprint}"\noutcomes = {str(outcomes).lower()}\n',
            encryption,
            *roster,
        ]
    )


def table(seed: int, *, outcomes: bool = True) -> pa.Table:
    generator = np.random.default_rng(seed)
    count = 300
    columns = {
        "id": [f"{seed}-{number}" for number in range(count)],
        "utilisation": generator.uniform(0.0, 1.0, count),
        "late_payments": generator.integers(0, 5, count),
        "segment": generator.choice(["card", "loan", "boat"], count),
    }
    if outcomes:
        columns["y"] = generator.integers(0, 2, count)
    return pa.table(columns)


@pytest.fixture
def folder(tmp_path: Path, card: Card, small_keys: SimulatedKeys) -> Path:
    """Three organisations' folders beside what they share."""
    (tmp_path / "contract.toml").write_text(contract_text(card, small_keys))
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
    card.write(tmp_path / "card.json")
    for number, (name, role) in enumerate(ROLES.items()):
        own = tmp_path / name
        own.mkdir()
        identity = simulated_identity(name)
        (own / "identity.json").write_text(identity.to_json())
        (own / "key_share.json").write_text(small_keys.shares[number].to_json())
        (own / "node.toml").write_text(NODE.format(name=name, role=role))
        pq.write_table(table(number), own / "rows.parquet")
        FileMemory.create(own / "state", KeySeries.of(small_keys.record), abstains=False)
        FileBooks.create(
            own / "ledger",
            party=name,
            source="warehouse",
            signer=identity,
            signing_key=identity.public.signing_key,
        )
    accept(tmp_path)
    return tmp_path


def accept(folder: Path, *, epsilon: float = 3.0) -> None:
    accepted = load_contract(folder / "contract.toml").hash()
    for name in ROLES:
        (folder / name / "policy.toml").write_text(
            f'source = "warehouse"\noperator = "{OPERATOR.public.signing_key.hex()}"\n'
            f'contracts = ["{accepted}"]\nbundles = []\nsmallest_cohort = 2\n'
            f"[budget]\nepsilon = {epsilon}\ndelta = 1e-5\nrun_epsilon = 1.0\n"
        )


class Deployment:
    """Nodes that are built of their files for every message, and a server that was given the card."""

    def __init__(self, folder: Path, card: Card, keys: SimulatedKeys) -> None:
        self.folder, self.card, self.keys = folder, card, keys
        self.contract = load_contract(folder / "contract.toml")

    def node(self, name: str) -> Node:
        return node_of(load_node_config(self.folder / name / "node.toml"))

    def addresses(self) -> tuple[int, ...]:
        return tuple(range(len(ROLES)))

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Reply | Refusal]:
        names = list(ROLES)
        return {address: self.node(names[address]).answer(ask) for address, ask in asks.items()}

    def agenda(self, run: str) -> Agenda:
        return Agenda(self.contract, run=run, program=program_of(self.contract, self.card))

    def run(self, chronicle: VolatileChronicle) -> MonitoringReport:
        keys = self.keys
        coordinator = Coordinator(
            contract=self.contract,
            series=KeySeries.of(keys.record),
            combiner=PaillierCombiner(
                committee=keys.record.committee, signing_keys=self.contract.signing_keys
            ),
            transport=self,
            chronicle=chronicle,
            agenda_of=lambda _contract, run: self.agenda(run),
        )
        found = coordinator.run().trained
        assert isinstance(found, MonitoringReport)
        return found


def test_a_run_is_charged_like_any_other_and_refused_when_nothing_is_left(
    folder: Path, card: Card, small_keys: SimulatedKeys
) -> None:
    accept(folder, epsilon=1.2)
    deployment = Deployment(folder, card, small_keys)
    chronicle = VolatileChronicle(KeySeries.of(small_keys.record))
    report = deployment.run(chronicle)
    assert report.card == card.fingerprint
    assert report.contract_hash == deployment.contract.hash()
    assert report.privacy is not None
    assert report.privacy.epsilon is not None
    assert report.alarm is not None
    agenda = deployment.agenda("ab" * 16)
    price = Price(
        run="ab" * 16,
        contract=deployment.contract.hash(),
        program=agenda.event,
        epsilon=agenda.record.epsilon,
    )
    for name in ROLES:
        config = load_node_config(folder / name / "node.toml")
        books = books_of(config, load_policy(config.policy), identity_of(config))
        with books.locked():
            (spent,) = books.spending().runs
            assert spent.reserved == agenda.event
            assert isinstance(agenda.event, Composed)
            assert books.spending().guarantee(delta=1e-5).epsilon == pytest.approx(
                report.privacy.epsilon, rel=1e-6
            )
            with pytest.raises(BudgetExhausted):
                books.require_affordable(price)
    with pytest.raises(RunFailed) as refused:
        deployment.run(chronicle)
    assert RefusalCode.BUDGET.name.lower() in str(refused.value).lower()


def test_a_node_without_the_card_or_with_another_does_not_start(folder: Path, card: Card) -> None:
    file = folder / "north" / "node.toml"
    card.model_copy(update={"purpose": "another"}).write(folder / "card.json")
    with pytest.raises(CardError, match="this one is"):
        node_of(load_node_config(file))
    file.write_text(file.read_text().replace('card = "../card.json"\n', ""))
    with pytest.raises(CardError, match="no file of it is named"):
        node_of(load_node_config(file))
    (folder / "card.json").write_text("{}")
    file.write_text(NODE.format(name="north", role="platform"))
    with pytest.raises(CardError, match="not a card of schema"):
        node_of(load_node_config(file))


def test_node_check_shows_what_watching_sends(folder: Path) -> None:
    done = CliRunner().invoke(app, ["node", "check", str(folder / "north" / "node.toml")])
    assert done.exit_code == 0, done.output
    for name in ("histogram", "scores", "outcomes", "outcomes by grade"):
        assert name in done.output
    assert "epsilon 0.99" in done.output


def test_contract_check_prices_watching_without_the_card(folder: Path) -> None:
    done = CliRunner().invoke(app, ["contract", "check", str(folder / "contract.toml")])
    assert done.exit_code == 0, done.output
    assert "4 private sums, epsilon 0.99" in done.output


def test_rows_whose_outcome_is_not_known_are_read_only_if_the_contract_says_so(
    folder: Path, card: Card, small_keys: SimulatedKeys
) -> None:
    config = load_node_config(folder / "north" / "node.toml")
    pq.write_table(table(7, outcomes=False), folder / "north" / "rows.parquet")
    assert config.data is not None

    def read() -> Rows:
        contract = load_contract(folder / "contract.toml")
        assert config.data is not None
        return load_rows(config.data, contract, role=Role.PLATFORM, day=dt.date(2026, 1, 1))

    with pytest.raises(DataError, match="column 'y' is missing"):
        read()
    (folder / "contract.toml").write_text(contract_text(card, small_keys, outcomes=False))
    rows = read()
    assert len(rows) == 300
    assert not rows.outcome.any()
    accept(folder)
    done = CliRunner().invoke(app, ["node", "check", str(folder / "north" / "node.toml")])
    assert done.exit_code == 0, done.output
    assert "300 (bad rate None)" in done.output
