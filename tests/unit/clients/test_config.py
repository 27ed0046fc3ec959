"""A node's configuration says where things are, from its own folder, and every mistake has its line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from clients.config import NodeConfig, load_node_config
from fedscore.contract import Role
from fedscore.errors import NodeConfigError

GOOD = """\
party = "shop-a"
role = "platform"
contract = "contract.toml"
ceremony = "keys/ceremony.json"
identity = "keys/identity.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"

[data]
table = "rows.parquet"
"""

AUDITOR = """\
party = "watchdog"
contract = "contract.toml"
ceremony = "keys/ceremony.json"
identity = "keys/identity.json"
key_share = "keys/share.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"
"""

FILES = (
    "contract.toml",
    "policy.toml",
    "keys/ceremony.json",
    "keys/identity.json",
    "keys/share.json",
    "rows.parquet",
    "tables/orders.csv",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def load(folder: Path, text: str) -> NodeConfig:
    (folder / "node.toml").write_text(text, encoding="utf-8")
    return load_node_config(folder / "node.toml")


def test_paths_start_from_the_folder_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")

    config = load(folder, GOOD)

    assert (config.party, config.role) == ("shop-a", Role.PLATFORM)
    assert config.contract == folder / "contract.toml"
    assert config.ceremony == folder / "keys" / "ceremony.json"
    assert config.identity == folder / "keys" / "identity.json"
    assert config.data is not None
    assert config.data.table == folder / "rows.parquet"
    assert config.state == folder / "state"
    assert config.policy == folder / "policy.toml"
    assert config.ledger == folder / "ledger"
    assert config.key_share is None


def test_a_relative_path_of_the_file_itself_is_fine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder, GOOD)
    monkeypatch.chdir(folder)

    assert load_node_config("node.toml").contract == folder / "contract.toml"


def test_absolute_paths_are_taken_as_they_are(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "share.json"
    elsewhere.touch()

    config = load(folder, f'key_share = "{elsewhere}"\n{GOOD}')

    assert config.key_share == elsewhere


def test_operational_tables_come_with_a_date(folder: Path) -> None:
    config = load(folder, GOOD.replace('table = "rows.parquet"', 'tables = "tables"\nas_of = 2025-06-30'))

    assert config.data is not None
    assert config.data.tables == folder / "tables"
    assert config.data.as_of == dt.date(2025, 6, 30)


def test_a_query_comes_with_words_for_libpq(folder: Path) -> None:
    (folder / "rows.sql").write_text("select 1")
    inline = load(folder, GOOD.replace('table = "rows.parquet"', 'query = "select 1"')).data
    words = "service=scoring sslmode = verify-full"
    named = load(
        folder, GOOD.replace('table = "rows.parquet"', f'query_file = "rows.sql"\ndatabase = "{words}"')
    ).data
    assert inline is not None
    assert named is not None
    assert (inline.query, inline.query_file, inline.database) == ("select 1", None, "")
    assert (named.query, named.query_file, named.database) == (None, folder / "rows.sql", words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("password=hunter2", "the word password has no place here: give service, host"),
        ("host=db password = 'hunter2'", "the word password has no place here"),
        ("sslpassword=hunter2", "the word sslpassword has no place here"),
        ("options=-csearch_path=hunter2", "the word options has no place here"),
        ("postgresql://node:hunter2@db/shop", "it must be words as"),
        ("service=a hunter2", "it must be words as"),
        ("host='db hunter2", "it must be words as"),
        ("host=db;password=hunter2 x", "it must be words as"),
        ("hunter2", "it must be words as"),
    ],
)
def test_no_secret_stands_in_the_words_and_none_is_told(folder: Path, words: str, message: str) -> None:
    with pytest.raises(NodeConfigError) as refused:
        load(folder, GOOD.replace('table = "rows.parquet"', f'query = "select 1"\ndatabase = "{words}"'))

    assert f"line 12, data.database: {message}" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        "",
        " ",
        "service=scoring",
        " host = 'my db' port=5432 ",
        r"host=/a\\ b user=x",
        "host=db user='it\\\\'s'",
    ],
)
def test_words_are_those_of_libpq(folder: Path, words: str) -> None:
    load(folder, GOOD.replace('table = "rows.parquet"', f'query = "select 1"\ndatabase = "{words}"'))


def test_an_auditor_has_a_share_and_neither_role_nor_rows(folder: Path) -> None:
    config = load(folder, AUDITOR)

    assert (config.party, config.role, config.data) == ("watchdog", None, None)
    assert config.key_share == folder / "keys" / "share.json"


def test_a_party_may_sit_on_the_committee(folder: Path) -> None:
    config = load(folder, f'key_share = "keys/share.json"\n{GOOD}')

    assert (config.role, config.key_share) == (Role.PLATFORM, folder / "keys" / "share.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('role = "platform"\n', ""), "role and [data] belong together: a party gives both"),
        (GOOD[: GOOD.index("[data]")], "role and [data] belong together"),
        (AUDITOR.replace('key_share = "keys/share.json"\n', ""), "without rows and without a key_share has"),
        (AUDITOR + 'role = "platform"\n', "role and [data] belong together"),
    ],
    ids=["data without a role", "a role without data", "nothing to do", "an auditor with a role"],
)
def test_a_node_takes_part_or_audits(folder: Path, text: str, message: str) -> None:
    with pytest.raises(NodeConfigError) as refused:
        load(folder, text)

    assert message in str(refused.value)


MISTAKES = {
    "a file that is not there": ('"contract.toml"', '"contrakt.toml"', "line 3, contract: there is no file"),
    "a folder for a file": ('"keys/ceremony.json"', '"keys"', "line 4, ceremony: there is no file"),
    "no identity": ('identity = "keys/identity.json"\n', "", "identity: identity is missing: add it"),
    "an entry of an earlier format": (
        'ceremony = "keys/ceremony.json"',
        'ceremony = "keys/ceremony.json"\npublic_key = "keys/ceremony.json"',
        "line 5, public_key: there is no entry public_key here",
    ),
    "an unknown role": ('"platform"', '"bank"', 'line 2, role: must be one of "platform" or "collector"'),
    "a party with spaces": ('"shop-a"', '"shop a"', "line 1, party: must be a name"),
    "a missing entry": ('state = "state"\n', "", "state: state is missing: add it"),
    "an unknown entry": ("[data]", "[data]\nfile = 1", "line 11, data.file: there is no entry file here"),
    "no data": ('table = "rows.parquet"', "", "line 10, data: the data are either table"),
    "both kinds of data": (
        "[data]",
        '[data]\ntables = "tables"\nas_of = 2025-06-30',
        "line 10, data: the data are either table",
    ),
    "a table and a query": (
        "[data]",
        '[data]\nquery = "select 1"',
        "line 10, data: the data are either table",
    ),
    "a query in two places": (
        'table = "rows.parquet"',
        'query = "select 1"\nquery_file = "rows.parquet"',
        "line 10, data: the data are either table",
    ),
    "an empty query": ('table = "rows.parquet"', 'query = ""', "line 11, data.query: must be text that is"),
    "a database without a query": (
        "[data]",
        '[data]\ndatabase = "service=x"',
        "database belongs to query or",
    ),
    "a query with a date": (
        'table = "rows.parquet"',
        'query = "x"\nas_of = 2025-06-30',
        "as_of, a date such as",
    ),
    "tables without a date": (
        'table = "rows.parquet"',
        'tables = "tables"',
        "line 10, data: as_of, a date such as",
    ),
    "a date without tables": ("[data]", "[data]\nas_of = 2025-06-30", "line 10, data: as_of, a date such as"),
    "a folder that is not there": (
        'table = "rows.parquet"',
        'tables = "tabels"\nas_of = 2025-06-30',
        "line 11, data.tables: there is no folder",
    ),
    "no TOML": ("[data]", "[data", "is not TOML: Expected ']' at the end of a table declaration (at line 10"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_line(folder: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(NodeConfigError) as refused:
        load(folder, GOOD.replace(old, new))

    assert message in str(refused.value)
    assert str(folder / "node.toml") in str(refused.value)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    with pytest.raises(NodeConfigError, match=r"has 3 mistakes:\n  line 1, .*\n  line 2, .*\n  line 3, "):
        load(folder, GOOD.replace("shop-a", "!").replace("platform", "bank").replace("contract.toml", "x"))


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(NodeConfigError, match=r"there is no file .*nowhere\.toml"):
        load_node_config(folder / "nowhere.toml")
    with pytest.raises(NodeConfigError, match="cannot be read"):
        load_node_config(folder)
    (folder / "latin.toml").write_bytes('party = "\xe9"'.encode("latin-1"))
    with pytest.raises(NodeConfigError, match=r"not UTF-8 \(byte 10\)"):
        load_node_config(folder / "latin.toml")


CONNECTED = (
    GOOD
    + """
[connection]
superlink = "score.example.org:443"
authority = "contract.toml"
key = "contract.toml"
"""
)


@pytest.mark.parametrize("address", ["score.example.org:443", "127.0.0.1:1", "[2001:db8::1]:65535"])
def test_an_address_has_a_host_and_a_port(folder: Path, address: str) -> None:
    config = load(folder, CONNECTED.replace("score.example.org:443", address))

    assert config.connection is not None
    assert config.connection.superlink == address


@pytest.mark.parametrize(
    "address", ["", "host", ":443", "host:0", "host:65536", "ho st:1", "host:1:2", "host:x"]
)
def test_anything_else_is_told_with_an_example(folder: Path, address: str) -> None:
    with pytest.raises(NodeConfigError, match=r"HOST:PORT, as score\.example\.org:443"):
        load(folder, CONNECTED.replace("score.example.org:443", address))
