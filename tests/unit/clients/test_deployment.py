"""A node from its files: what belongs together, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clients.config import load_node_config
from clients.deployment import load_rows, node_of
from fedscore.cli.main import app
from fedscore.contract import load_contract
from fedscore.errors import DataError, KeyRefused, NodeConfigError
from fedscore.messages import Ask, Phase, Reply
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from simulations.synthetic import make_consortium, write

VECTORS = Path(__file__).parents[2] / "vectors"

ROSTER = """
[[parties]]
name = "north"
role = "platform"

[[parties]]
name = "agency"
role = "collector"

[encryption]
key_bits = 2048
"""

ROWS = {
    "id": ["1", "2", "3", "4", "5", "6"],
    "utilisation": [0.05, 0.5, 0.95, None, 0.2, 0.8],
    "late_payments": [0, 1, 98, 2, 0, 5],
    "segment": ["card", "loan", "card", None, "boat", "loan"],
    "y": [0, 0, 1, 0, 0, 1],
}


@pytest.fixture
def folder(tmp_path: Path, small_ceremony: Ceremony, tiny_text: str) -> Path:
    (tmp_path / "contract.toml").write_text(tiny_text + ROSTER)
    (tmp_path / "public_key.json").write_text(small_ceremony.public_key.to_json())
    (tmp_path / "key_share.json").write_text(small_ceremony.shares[0].to_json())
    pq.write_table(pa.table(ROWS), tmp_path / "rows.parquet")
    (tmp_path / "node.toml").write_text(
        """
party = "north"
role = "platform"
contract = "contract.toml"
public_key = "public_key.json"
key_share = "key_share.json"
state = "state"

[data]
table = "rows.parquet"
"""
    )
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_node_says_hello_from_its_files(folder: Path) -> None:
    node = node_of(load_node_config(folder / "node.toml"))
    ask = Ask(phase=Phase.HELLO, run="ab" * 16, round=0, contract_hash=node.contract.hash())
    answer = node.answer(ask)
    assert isinstance(answer, Reply)
    assert (answer.party, answer.committee_member) == ("north", 1)


def test_a_party_that_is_not_on_the_roster_in_its_role_is_refused(folder: Path) -> None:
    for old, new in (('"north"', '"south"'), ('"platform"', '"collector"')):
        change(folder / "node.toml", old, new)
        with pytest.raises(NodeConfigError, match="is not on the roster"):
            node_of(load_node_config(folder / "node.toml"))
        change(folder / "node.toml", new, old)


def test_a_contract_without_noise_is_refused(folder: Path) -> None:
    change(folder / "contract.toml", "[privacy]", '[privacy]\nnoise = "none"')
    with pytest.raises(NodeConfigError, match="promises nothing"):
        node_of(load_node_config(folder / "node.toml"))


def test_a_key_of_another_size_is_refused(folder: Path) -> None:
    change(folder / "contract.toml", "key_bits = 2048", "key_bits = 3072")
    with pytest.raises(NodeConfigError, match="2048 bits, the contract says 3072"):
        node_of(load_node_config(folder / "node.toml"))


def test_a_share_of_another_key_is_refused(folder: Path, other_ceremony: Ceremony) -> None:
    (folder / "key_share.json").write_text(other_ceremony.shares[0].to_json())
    with pytest.raises((NodeConfigError, KeyRefused)):
        node_of(load_node_config(folder / "node.toml"))


@pytest.mark.parametrize(
    ("members", "threshold", "fits"), [(4, 2, False), (4, 3, True), (3, 2, False), (1, 1, True)]
)
def test_absences_need_a_committee_that_cannot_open_two_cohorts(
    folder: Path,
    other_ceremony: Ceremony,
    members: int,
    threshold: int,
    fits: bool,  # noqa: FBT001 - a case of a table
) -> None:
    prime = json.loads((VECTORS / "paillier_safe_primes.json").read_text())["1024"]
    keys = unsafe_deal_from_primes(int(prime[0], 16), int(prime[1], 16), members=members, threshold=threshold)
    assert keys.public_key != other_ceremony.public_key
    (folder / "key_share.json").write_text(keys.shares[0].to_json())
    change(folder / "contract.toml", "[privacy]", '[privacy]\nabsent = 1\nnoise = "local"')
    if fits:
        assert node_of(load_node_config(folder / "node.toml")).committee_member == 1
    else:
        with pytest.raises(KeyRefused, match="could open two cohorts of one round"):
            node_of(load_node_config(folder / "node.toml"))


def test_a_damaged_key_is_refused(folder: Path) -> None:
    (folder / "public_key.json").write_text("{}")
    with pytest.raises(KeyRefused):
        node_of(load_node_config(folder / "node.toml"))


@pytest.mark.parametrize("role", ["platform", "collector"])
def test_rows_come_from_operational_tables_as_of_a_date(tmp_path: Path, role: str) -> None:
    consortium = make_consortium(people=2000, seed=1)
    write(consortium, tmp_path)
    party = next(party for party in consortium.parties if party.role == role)
    contract = load_contract(Path(__file__).parents[3] / "simulations" / "contracts" / "consortium.toml")
    (tmp_path / "contract.toml").write_text("")
    (tmp_path / "key").write_text("")
    (tmp_path / "node.toml").write_text(
        f"""
party = "{party.name}"
role = "{role}"
contract = "contract.toml"
public_key = "key"
state = "state"

[data]
tables = "{party.name}"
as_of = {consortium.as_of.isoformat()}
"""
    )
    config = load_node_config(tmp_path / "node.toml")
    rows = load_rows(config.data, contract, role=config.role)
    assert len(rows) > 50
    assert 0 < rows.outcome.mean() < 0.3
    much_earlier = config.data.model_copy(update={"as_of": dt.date(1990, 1, 1)})
    with pytest.raises(DataError):
        load_rows(much_earlier, contract, role=config.role)


def test_node_check_shows_rounds_and_price_and_sends_nothing(folder: Path) -> None:
    done = CliRunner().invoke(app, ["node", "check", str(folder / "node.toml")])
    assert done.exit_code == 0, done.output
    assert "residuals 3" in done.stdout
    assert "epsilon 0.99" in done.stdout
    assert "nothing was sent" in done.stdout
    assert not list((folder / "state").rglob("*-collect"))


def test_node_check_tells_what_is_wrong_with_the_data(folder: Path) -> None:
    rows = {name: column for name, column in ROWS.items() if name != "utilisation"}
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    done = CliRunner().invoke(app, ["node", "check", str(folder / "node.toml")])
    assert done.exit_code == 1
    assert "utilisation" in done.output
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def other_ceremony() -> Ceremony:
    """Another toy key."""
    return unsafe_deal_from_primes(
        0xC67B46FFEDB13F6C9A7D71F3487D8F217C5F8B4B7F5B5331EF9C11C55ED2714F,
        0xD6DA6B3F76C4F62E1D2F51B04242075391DF3A0D75B924FCA9BF526648929D47,
        members=1,
        threshold=1,
    )
