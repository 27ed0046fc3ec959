"""A node from its files: what belongs together, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clients.config import load_node_config
from clients.deployment import books_of, identity_of, node_of, porter_of
from clients.file_books import FileBooks
from clients.memory import FileMemory
from clients.node import AUDITOR, Node
from clients.policy import load_policy
from fedscore.cli.main import app
from fedscore.contract import load_contract
from fedscore.errors import (
    ContractError,
    FedscoreError,
    KeyRefused,
    NodeConfigError,
    PolicyRefused,
    SignatureRefused,
)
from fedscore.learners.agenda import Agenda
from fedscore.messages import ASK_DOMAIN, Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.sums.series import HELLO_DOMAIN, KeySeries
from privacy.dp.events import leaves
from privacy.identities import Identity, verify_signature
from privacy.paillier.ceremony import unsafe_deal_from_primes
from privacy.paillier.record import CeremonyRecord, sign_record
from simulations.keys import SimulatedKeys, simulated_identity

VECTORS = Path(__file__).parents[2] / "vectors"
RUN = "ab" * 16
ROLES = {"north": "platform", "south": "platform", "agency": "collector"}

ROWS = {
    "id": ["1", "2", "3", "4", "5", "6"],
    "utilisation": [0.05, 0.5, 0.95, None, 0.2, 0.8],
    "late_payments": [0, 1, 98, 2, 0, 5],
    "segment": ["card", "loan", "card", None, "boat", "loan"],
    "y": [0, 0, 1, 0, 0, 1],
}

NODE = """
party = "north"
role = "platform"
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
key_share = "key_share.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"

[data]
table = "rows.parquet"
"""

WATCHDOG = """
party = "watchdog"
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
key_share = "key_share.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"
"""


OPERATOR = simulated_identity("operator")
BUDGET = "[budget]\nepsilon = 3.0\ndelta = 1e-5\nrun_epsilon = 1.0\n"


def accept(folder: Path, *, budget: str = BUDGET, smallest_cohort: int = 2) -> None:
    """The owner accepts the contract as it is now."""
    try:
        accepted = load_contract(folder / "contract.toml").hash()
    except ContractError:
        accepted = "0" * 64
    (folder / "policy.toml").write_text(
        f'source = "warehouse"\noperator = "{OPERATOR.public.signing_key.hex()}"\n'
        f'contracts = ["{accepted}"]\nbundles = []\nsmallest_cohort = {smallest_cohort}\n{budget}'
    )


def contract_text(tiny_text: str, record: CeremonyRecord) -> str:
    roster = [
        f'[[parties]]\nname = "{name}"\nrole = "{role}"\n'
        f'key = "{simulated_identity(name).public.signing_key.hex()}"\n'
        for name, role in ROLES.items()
    ]
    encryption = (
        "[encryption]\nkey_bits = 2048\n"
        "committee = { members = 3, threshold = 2, colluding_members = 1 }\n"
        f'ceremony = "{record.hash()}"\n'
    )
    return "\n".join([tiny_text, *roster, encryption])


def record_for(keys: SimulatedKeys, *names: str, colluding_members: int = 1) -> CeremonyRecord:
    """Another ceremony's record over the same key, so that only the record differs."""
    return sign_record(
        committee=keys.record.committee,
        members=[simulated_identity(name).public for name in names],
        colluding_members=colluding_members,
        absences=False,
        created=dt.date(2025, 6, 30),
        dealer=simulated_identity("dealer"),
    )


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def use_record(folder: Path, tiny_text: str, record: CeremonyRecord) -> None:
    (folder / "contract.toml").write_text(contract_text(tiny_text, record))
    (folder / "ceremony.json").write_text(record.to_json())


@pytest.fixture
def folder(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    """All files of north, which sits on the committee; its share was just accepted."""
    use_record(tmp_path, tiny_text, small_keys.record)
    (tmp_path / "identity.json").write_text(simulated_identity("north").to_json())
    (tmp_path / "key_share.json").write_text(small_keys.shares[0].to_json())
    pq.write_table(pa.table(ROWS), tmp_path / "rows.parquet")
    (tmp_path / "node.toml").write_text(NODE)
    FileMemory.create(tmp_path / "state", KeySeries.of(small_keys.record), abstains=False)
    begin_books(tmp_path, simulated_identity("north"))
    return tmp_path


def begin_books(folder: Path, identity: Identity) -> None:
    FileBooks.create(
        folder / "ledger",
        party=identity.name,
        source="warehouse",
        signer=identity,
        signing_key=identity.public.signing_key,
    )


def start(folder: Path) -> Node:
    accept(folder)
    return node_of(load_node_config(folder / "node.toml"))


def hello(node: Node, keys: SimulatedKeys) -> Ask:
    genesis = KeySeries.of(keys.record).genesis
    return Ask(phase=Phase.HELLO, run=RUN, round=0, contract_hash=node.contract.hash(), head=genesis)


def test_a_node_says_hello_from_its_files(folder: Path, small_keys: SimulatedKeys) -> None:
    node = start(folder)
    ask = hello(node, small_keys)
    answer = node.answer(ask)
    assert isinstance(answer, Reply)
    assert (answer.party, answer.role, answer.committee_member) == ("north", "platform", 1)
    assert len(answer.head_signature) == 64
    said = answer.introduction(ask.contract_hash)
    verify_signature(node.contract.signing_keys["north"], HELLO_DOMAIN, said, answer.signature)


def test_a_node_started_again_sends_the_same_bytes(folder: Path, small_keys: SimulatedKeys) -> None:
    """Flower starts a process for every message: nothing but the files lasts from one to the next."""
    node = start(folder)
    said = hello(node, small_keys)
    turn = Agenda(node.contract, run=RUN).turn((), round_number=1, head=said.head.hash)
    ask = Ask(
        phase=Phase.COLLECT,
        run=RUN,
        round=1,
        contract_hash=said.contract_hash,
        head=said.head,
        request_hash=turn.envelope.digest,
    )
    first, again = node.answer(ask), start(folder).answer(ask)
    assert isinstance(first, Reply)
    assert first == again
    other = Ask(
        phase=Phase.COLLECT,
        run="cd" * 16,
        round=1,
        contract_hash=said.contract_hash,
        head=said.head,
        request_hash=Agenda(node.contract, run="cd" * 16)
        .turn((), round_number=1, head=said.head.hash)
        .envelope.digest,
    )
    assert start(folder).answer(other) == Refusal(
        version=version("fedscore"), party="north", phase=Phase.COLLECT, round=1, code=RefusalCode.ROUND
    )


def test_a_party_without_a_share_has_no_seat(folder: Path, small_keys: SimulatedKeys) -> None:
    change(folder / "node.toml", 'key_share = "key_share.json"\n', "")
    node = start(folder)
    answer = node.answer(hello(node, small_keys))
    assert isinstance(answer, Reply)
    assert (answer.committee_member, answer.head_signature, answer.payload) == (None, b"", b"")


def test_an_auditor_has_a_seat_and_no_rows(folder: Path, small_keys: SimulatedKeys, tiny_text: str) -> None:
    use_record(folder, tiny_text, record_for(small_keys, "watchdog", "north", "south"))
    (folder / "identity.json").write_text(simulated_identity("watchdog").to_json())
    (folder / "node.toml").write_text(WATCHDOG)
    shutil.rmtree(folder / "ledger")
    begin_books(folder, simulated_identity("watchdog"))
    node = start(folder)
    answer = node.answer(hello(node, small_keys_with(folder)))
    assert isinstance(answer, Reply)
    assert (answer.party, answer.role, answer.committee_member) == ("watchdog", AUDITOR, 1)


def small_keys_with(folder: Path) -> SimulatedKeys:
    record = CeremonyRecord.from_json((folder / "ceremony.json").read_text())
    return SimulatedKeys(record=record, shares=())


def test_a_node_whose_memory_is_gone_does_not_start_by_itself(folder: Path) -> None:
    """It would answer again what it has answered: its owner must say that it is to begin anew."""
    (file,) = (folder / "state").glob("memory-*.json")
    file.unlink()
    for _ in range(2):
        with pytest.raises(NodeConfigError, match="holds no memory of this key"):
            start(folder)


def test_a_member_whose_owner_began_another_memory_abstains(folder: Path, small_keys: SimulatedKeys) -> None:
    (file,) = (folder / "state").glob("memory-*.json")
    file.unlink()
    accept(folder)
    done = CliRunner().invoke(app, ["node", "begin", str(folder / "node.toml")])
    assert done.exit_code == 0, done.output
    node = start(folder)
    answer = node.answer(hello(node, small_keys))
    assert isinstance(answer, Reply)
    assert (answer.committee_member, answer.head_signature) == (1, b"")


def test_a_node_does_not_start_on_a_damaged_memory(folder: Path) -> None:
    (file,) = (folder / "state").glob("memory-*.json")
    file.write_text(file.read_text()[:-2])
    with pytest.raises(NodeConfigError, match=rf"{file.name} is damaged"):
        start(folder)


def test_a_party_that_is_not_on_the_roster_in_its_role_is_refused(folder: Path) -> None:
    for old, new in (('"north"', '"west"'), ('"platform"', '"collector"')):
        change(folder / "node.toml", old, new)
        with pytest.raises(NodeConfigError, match="is not on the roster"):
            start(folder)
        change(folder / "node.toml", new, old)


def test_a_party_that_calls_itself_an_auditor_is_refused(folder: Path) -> None:
    (folder / "node.toml").write_text(WATCHDOG.replace("watchdog", "north"))
    with pytest.raises(NodeConfigError, match=r"north is not on the roster of contract\.toml as an auditor"):
        start(folder)


def test_a_contract_without_noise_is_refused(folder: Path) -> None:
    change(folder / "contract.toml", "[privacy]", '[privacy]\nnoise = "none"')
    with pytest.raises(NodeConfigError, match="promises nothing"):
        start(folder)


INCOMPLETE = {
    "a party without a key": (
        f'key = "{simulated_identity("south").public.signing_key.hex()}"\n',
        "",
        "has no key of south",
    ),
    "another size of key": ("key_bits = 2048", "key_bits = 3072", r"key_bits = 3072, .* for 2048 bits"),
    "another threshold": ("threshold = 2", "threshold = 3", r"threshold = 3, .* make them agree"),
    "another number of members": ("members = 3", "members = 4", r"members = 4, .* make them agree"),
    "fewer that may collude": (
        "colluding_members = 1",
        "colluding_members = 0",
        r"colluding_members = 0, .* make them agree",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_a_contract_and_a_ceremony_that_disagree_are_refused(
    folder: Path, old: str, new: str, message: str
) -> None:
    change(folder / "contract.toml", old, new)
    with pytest.raises(NodeConfigError, match=message):
        start(folder)


def test_a_contract_that_names_no_ceremony_is_refused(folder: Path, small_keys: SimulatedKeys) -> None:
    change(folder / "contract.toml", f'ceremony = "{small_keys.record.hash()}"\n', "")
    with pytest.raises(NodeConfigError, match="names no committee or no ceremony"):
        start(folder)


def test_another_ceremonys_record_is_refused(folder: Path, small_keys: SimulatedKeys) -> None:
    other = record_for(small_keys, "south", "north", "agency")
    (folder / "ceremony.json").write_text(other.to_json())
    with pytest.raises(NodeConfigError, match=r"ceremony\.json is the record of another ceremony"):
        start(folder)


def test_absences_need_a_ceremony_that_was_held_for_them(
    folder: Path, small_keys: SimulatedKeys, tiny_text: str
) -> None:
    use_record(folder, tiny_text, record_for(small_keys, *ROLES, colluding_members=0))
    change(folder / "contract.toml", "colluding_members = 1", "colluding_members = 0")
    start(folder)
    change(folder / "contract.toml", "[privacy]", "[privacy]\nabsent = 1")
    with pytest.raises(NodeConfigError, match=r"absent = 1; .* and no absences: make them agree"):
        start(folder)


def test_a_committee_that_could_open_two_cohorts_is_refused(folder: Path) -> None:
    change(folder / "contract.toml", "[privacy]", "[privacy]\nabsent = 1")
    with pytest.raises(ContractError, match="two cohorts of one round could be opened"):
        start(folder)


@pytest.mark.parametrize("seat", ['key_share = "key_share.json"\n', ""], ids=["member", "party"])
def test_the_identity_of_somebody_else_is_refused(folder: Path, seat: str) -> None:
    change(folder / "node.toml", 'key_share = "key_share.json"\n', seat)
    for identity in (simulated_identity("south"), Identity.generate("north")):
        (folder / "identity.json").write_text(identity.to_json())
        with pytest.raises(
            NodeConfigError, match="is not the identity of north that the contract's roster"
        ) as told:
            start(folder)
        assert json.loads(identity.to_json())["signing_key"] not in str(told.value)


def test_a_party_and_the_member_of_its_name_have_one_identity(
    folder: Path, small_keys: SimulatedKeys, tiny_text: str
) -> None:
    """Else the record's member and the roster's party could be two organisations."""
    impostor = Identity.generate("north")
    record = sign_record(
        committee=small_keys.record.committee,
        members=[impostor.public, *(simulated_identity(name).public for name in ("south", "agency"))],
        colluding_members=1,
        absences=False,
        created=dt.date(2025, 6, 30),
        dealer=simulated_identity("dealer"),
    )
    use_record(folder, tiny_text, record)
    for identity in (simulated_identity("north"), impostor):
        (folder / "identity.json").write_text(identity.to_json())
        with pytest.raises(NodeConfigError, match=r"north: .* an organisation has one identity"):
            start(folder)


def test_the_share_of_another_member_is_refused(folder: Path, small_keys: SimulatedKeys) -> None:
    (folder / "key_share.json").write_text(small_keys.shares[1].to_json())
    with pytest.raises(NodeConfigError, match="is the share of another member than north"):
        start(folder)


def test_a_share_of_another_key_is_refused(folder: Path) -> None:
    primes = json.loads((VECTORS / "paillier_safe_primes.json").read_text())["256"]
    other = unsafe_deal_from_primes(*(int(prime, 16) for prime in primes), members=3, threshold=2)
    (folder / "key_share.json").write_text(other.shares[0].to_json())
    with pytest.raises(KeyRefused):
        start(folder)


def test_a_share_that_does_not_fit_its_verification_key_is_refused(
    folder: Path, small_keys: SimulatedKeys
) -> None:
    share, other = (json.loads(small_keys.shares[number].to_json()) for number in (0, 1))
    for taken in (["value"], ["value", "verification_key"]):
        mixed = {**share, **{name: other[name] for name in taken}}
        (folder / "key_share.json").write_text(json.dumps(mixed))
        with pytest.raises(KeyRefused) as told:
            start(folder)
        assert str(other["value"]) not in str(told.value)


def spoil_signature(text: str) -> str:
    document = json.loads(text)
    return json.dumps({**document, "created": "1999-01-01"})


DAMAGE: dict[str, tuple[str, Callable[[str], str], type[FedscoreError]]] = {
    "a record that is none": ("ceremony.json", lambda _: "{}", KeyRefused),
    "a record that was changed": ("ceremony.json", spoil_signature, SignatureRefused),
    "an identity that is none": ("identity.json", lambda _: "{}", KeyRefused),
    "half an identity": ("identity.json", lambda text: text[: len(text) // 2], KeyRefused),
    "a share that is none": ("key_share.json", lambda _: "{}", KeyRefused),
    "a share that is no text": ("key_share.json", lambda _: "\udcff", NodeConfigError),
    "an identity that is no text": ("identity.json", lambda _: "\udcff", NodeConfigError),
    "a record that is no text": ("ceremony.json", lambda _: "\udcff", NodeConfigError),
}


@pytest.mark.parametrize(("name", "damage", "kind"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_keys_are_refused_and_not_quoted(
    folder: Path, name: str, damage: Callable[[str], str], kind: type[FedscoreError]
) -> None:
    text = (folder / name).read_text()
    (folder / name).write_bytes(damage(text).encode(errors="surrogateescape"))
    with pytest.raises(kind) as told:
        start(folder)
    secrets = [value for value in json.loads(text).values() if isinstance(value, str) and len(value) > 40]
    assert not any(secret in str(told.value) for secret in secrets)


def test_the_same_files_undamaged_make_a_node(folder: Path) -> None:
    assert start(folder).committee_member == 1


def test_node_check_shows_rounds_and_price_and_sends_nothing(folder: Path) -> None:
    accept(folder)
    done = CliRunner().invoke(app, ["node", "check", str(folder / "node.toml")])
    assert done.exit_code == 0, done.output
    assert "gradient 1 to 5" in done.stdout
    assert "epsilon 0.99" in done.stdout
    assert "nothing was sent" in done.stdout
    record = CeremonyRecord.from_json((folder / "ceremony.json").read_text())
    state = FileMemory(folder / "state", KeySeries.of(record)).load()
    assert (state.last_round, state.abstains) == (0, False)


def test_node_check_tells_what_is_wrong_with_the_data(folder: Path) -> None:
    rows = {name: column for name, column in ROWS.items() if name != "utilisation"}
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    accept(folder)
    done = CliRunner().invoke(app, ["node", "check", str(folder / "node.toml")])
    assert done.exit_code == 1
    assert "utilisation" in done.output
    assert "Traceback" not in done.output


# What the owner decided


def test_a_contract_that_the_owner_has_not_accepted_is_refused(folder: Path) -> None:
    accept(folder)
    (folder / "contract.toml").write_text((folder / "contract.toml").read_text() + "\n")
    node_of(load_node_config(folder / "node.toml"))
    change(folder / "contract.toml", "epsilon = 1.0", "epsilon = 0.9")
    with pytest.raises(PolicyRefused, match=r"contract tiny, hash [0-9a-f]{64}, is not among the 1 that"):
        node_of(load_node_config(folder / "node.toml"))


def test_a_contract_that_opens_sums_of_too_few_is_refused(folder: Path) -> None:
    accept(folder, smallest_cohort=4)
    with pytest.raises(
        PolicyRefused, match=r"opens sums of 3 organisations; policy\.toml asks for at least 4"
    ):
        node_of(load_node_config(folder / "node.toml"))


def test_data_without_a_budget_are_refused(folder: Path) -> None:
    accept(folder, budget="")
    with pytest.raises(NodeConfigError, match=r"policy\.toml has no \[budget\], and this node has data"):
        node_of(load_node_config(folder / "node.toml"))


def test_a_nodes_porter_lets_only_its_operator_in(folder: Path, small_keys: SimulatedKeys) -> None:
    accept(folder)
    porter = porter_of(load_node_config(folder / "node.toml"))
    ask = hello(start(folder), small_keys)
    ours = replace(ask, version=version("fedscore"))
    signed = replace(ours, signature=OPERATOR.sign(ASK_DOMAIN, ours.statement()))
    assert isinstance(porter.answer(signed), Reply)
    stranger = simulated_identity("stranger")
    for signature in (b"", stranger.sign(ASK_DOMAIN, ours.statement())):
        answer = porter.answer(replace(ours, signature=signature))
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.OPERATOR


def test_a_node_whose_evidence_never_began_refuses(folder: Path, small_keys: SimulatedKeys) -> None:
    shutil.rmtree(folder / "ledger")
    (folder / "ledger").mkdir()
    node = start(folder)
    answer = node.answer(hello(node, small_keys))
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.LEDGER


def test_what_a_node_sends_is_in_its_books(folder: Path, small_keys: SimulatedKeys) -> None:
    node = start(folder)
    said = hello(node, small_keys)
    turn = Agenda(node.contract, run=RUN).turn((), round_number=1, head=said.head.hash)
    ask = replace(said, phase=Phase.COLLECT, round=1, request_hash=turn.envelope.digest)
    answer = node.answer(ask)
    assert isinstance(answer, Reply)
    config = load_node_config(folder / "node.toml")
    books = books_of(config, load_policy(config.policy), identity_of(config))
    with books.locked():
        books.verify()
        (run,) = books.spending().runs
    assert run.contract == node.contract.hash()
    (charge,) = run.charges
    assert (charge.round, charge.name) == (1, "histogram")
    assert list(leaves(charge.event)) == [turn.envelope.request.event]
