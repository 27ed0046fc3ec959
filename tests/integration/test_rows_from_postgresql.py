"""Rows that a real PostgreSQL server selects are those of a Parquet file with the same data."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clients.config import DataSource
from clients.consent import ConsentCounts
from clients.loading import load_consenting
from fedscore.contract import Contract, Role, parse_contract
from fedscore.data import Rows, postgres, read_rows, read_side
from fedscore.data.postgres import PostgresSource
from fedscore.errors import DataError
from fedscore.sums import Side

psycopg = pytest.importorskip("psycopg", reason="the extra sql is not installed")

pytestmark = pytest.mark.slow

DAY = dt.date(2025, 6, 30)
CANARY = "margaret"
PASSWORD = "correct horse"  # noqa: S105 - of a database that lives for a test
ROWS = 5_000

TERMS = """
version = 1
name = "everything"
purpose = "tests"

[outcome]
definition = "30 days past due within 90 days"
bucket = "30+"
horizon_days = 90

[rows]
id = "account"
person = "customer"
rows_per_person = 2
row_cap = 10000

[split]
test_share = 0.0
key = "a key"
column = "as_of"
test_from = 2025-03-01

[[characteristics]]
name = "amount"
type = "number"
edges = [0.1, 0.3, 0.7, 1.1]

[[characteristics]]
name = "ratio"
type = "number"
edges = [-0.5, 0, 0.5]

[[characteristics]]
name = "orders"
type = "number"
edges = [1, 3]
special = [{ code = 99, meaning = "unknown" }]

[[characteristics]]
name = "product"
type = "category"
levels = ["card", "loan"]

[[characteristics]]
name = "branch"
type = "category"
levels = ["1", "2"]

[[characteristics]]
name = "new"
type = "category"
levels = ["true", "false"]

[privacy]
epsilon = 1.0
delta = 1e-5
"""
CONSENT = '\n[consent]\ngiven = "agreed"\nuntil = "ends"\nfrom = "begins"\n'

COLUMNS = {
    "account": "bigint",
    "customer": "varchar",
    "y": "smallint",
    "as_of": "date",
    "amount": "numeric(12, 2)",
    "ratio": "double precision",
    "orders": "integer",
    "product": "product",
    "branch": "numeric",
    "new": "boolean",
    "agreed": "boolean",
    "ends": "date",
    "begins": "timestamptz",
    "note": "json",
}


class Server:
    """A server of the test's own, on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words = f"host={folder} dbname=postgres user=owner"

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.words, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, statement: str) -> object:
        with psycopg.connect(self.words) as connection:
            return connection.execute(statement.encode()).fetchall()

    def source(self, query: str, words: str = "") -> PostgresSource:
        return PostgresSource(words or self.words, query)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    control = str(Path(initdb).resolve().with_name("pg_ctl"))
    # The server refuses to run as root, and the folders of pytest are closed to others.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user)

        def call(arguments: Sequence[str]) -> None:
            subprocess.run(
                arguments, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120
            )

        data = str(folder / "data")
        call([initdb, "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-locale"])
        hba = folder / "data" / "pg_hba.conf"
        hba.write_text("local all guest scram-sha-256\nlocal all all trust\n")
        # Habits of some database that the node must not depend on.
        settings = (
            f"-k {folder} -c listen_addresses='' -c fsync=off -c datestyle=German -c timezone=Asia/Tokyo"
        )
        call([control, "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start"])
        try:
            yield Server(folder)
        finally:
            call([control, "-D", data, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def invented() -> pa.Table:
    """Every kind of column, with nothing in a tenth of what may be empty."""
    generator = np.random.default_rng(1)

    def some(values: Sequence[object]) -> list[object]:
        return [None if generator.random() < 0.1 else one for one in values]

    cents = generator.integers(-10, 130, ROWS)
    days = generator.integers(0, 365, ROWS)
    return pa.table(
        {
            "account": pa.array(range(10**12, 10**12 + ROWS)),
            "customer": [
                f"cu\N{LATIN SMALL LETTER O WITH DIAERESIS} {number}"
                for number in generator.integers(0, ROWS // 3, ROWS)
            ],
            "y": pa.array(generator.integers(0, 2, ROWS), pa.int16()),
            "as_of": pa.array([dt.date(2024, 9, 1) + dt.timedelta(days=int(day)) for day in days]),
            "amount": pa.array(some([Decimal(int(cent)) / 100 for cent in cents]), pa.decimal128(12, 2)),
            "ratio": pa.array(some(generator.normal(size=ROWS).tolist())),
            "orders": pa.array(some(generator.choice([0, 1, 2, 3, 99], ROWS).tolist()), pa.int32()),
            "product": pa.array(some(generator.choice(["card", "loan", "so'fa"], ROWS).tolist())),
            "branch": pa.array(
                some([Decimal(int(one)) for one in generator.integers(1, 4, ROWS)]), pa.decimal128(5, 0)
            ),
            "new": pa.array(some((generator.random(ROWS) < 0.5).tolist())),
            "agreed": pa.array(some((generator.random(ROWS) < 0.8).tolist())),
            "ends": pa.array(some([DAY + dt.timedelta(days=int(day) - 50) for day in days])),
            "begins": pa.array(
                [
                    dt.datetime(2025, 6, 29, 20, tzinfo=dt.UTC) + dt.timedelta(minutes=10 * int(day))
                    for day in days
                ],
                pa.timestamp("us", "UTC"),
            ),
            "note": ['{"a": 1}'] * ROWS,
        }
    )


@pytest.fixture(scope="module")
def data(server: Server) -> pa.Table:
    table = invented()
    server.run(
        "CREATE TYPE product AS ENUM ('card', 'loan', 'so''fa')",
        f"CREATE TABLE rows ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})",
        f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'",
        "CREATE TABLE secret AS SELECT 1 AS a",
        f"CREATE TABLE odd AS SELECT '{CANARY}'::text AS name, 0 AS zero",
        "CREATE FUNCTION writes() RETURNS integer LANGUAGE sql "
        "AS 'INSERT INTO odd VALUES (''x'', 1); SELECT 1'",
        "CREATE ROLE hasty LOGIN",
        "ALTER ROLE hasty SET statement_timeout = 50",
        "GRANT SELECT ON rows TO guest",
    )
    with (
        psycopg.connect(server.words) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY rows FROM STDIN") as copy,
    ):
        for row in table.to_pylist():
            copy.write_row(list(row.values()))
    return table


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(TERMS)


def assert_same(found: Rows, expected: Rows) -> None:
    for name in ("cells", "outcome", "ids", "persons", "late"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


IN_ORDER = "SELECT * FROM rows ORDER BY account"


@pytest.mark.parametrize("fetched", [7, postgres.FETCHED_ROWS])
def test_a_query_gives_the_rows_of_the_parquet_file(
    server: Server,
    data: pa.Table,
    contract: Contract,
    tmp_path: Path,
    fetched: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "FETCHED_ROWS", fetched)
    pq.write_table(data, tmp_path / "rows.parquet")
    whole = read_rows(tmp_path / "rows.parquet", contract, role=Role.PLATFORM)
    # Every edge, level and special code has been met.
    assert [len(np.unique(column)) for column in whole.cells.T] == [6, 5, 5, 4, 4, 3]
    assert 0.2 < whole.late.mean() < 0.8
    for test in (False, True):
        found = read_side(server.source(IN_ORDER), contract, role=Role.PLATFORM, test=test)
        expected = read_side(tmp_path / "rows.parquet", contract, role=Role.PLATFORM, test=test)
        assert len(expected) > 500
        assert_same(found, expected)


@pytest.mark.parametrize("side", Side)
def test_the_gate_lets_the_same_rows_through(
    server: Server, data: pa.Table, tmp_path: Path, side: Side
) -> None:
    contract = parse_contract(TERMS + CONSENT)
    pq.write_table(data, tmp_path / "rows.parquet")
    gone = [f"{name},\n" for name in dict.fromkeys(data["customer"][:300].to_pylist())]
    (tmp_path / "gone.csv").write_text("".join(["person,from\n", *gone, "nobody,\n"]), encoding="utf-8")
    (tmp_path / "rows.sql").write_text(f"-- ours\n{IN_ORDER};\n", encoding="utf-8")
    common = {"withdrawals": tmp_path / "gone.csv"}
    found = {}
    for name, source in {
        "query": DataSource(query=IN_ORDER, database=server.words, **common),
        "file": DataSource(query_file=tmp_path / "rows.sql", database=server.words, **common),
        "parquet": DataSource(table=tmp_path / "rows.parquet", **common),
    }.items():
        found[name] = load_consenting(source, contract, role=Role.PLATFORM, day=DAY, side=side)
    rows, counts = found["parquet"]
    assert isinstance(counts, ConsentCounts)
    assert min(counts.admitted, counts.not_given, counts.not_begun, counts.expired, counts.withdrawn) > 0
    assert counts.unmatched == 1
    for name in ("query", "file"):
        assert_same(found[name][0], rows)
        assert found[name][1] == counts


def test_no_rows_are_no_error(server: Server, data: pa.Table, contract: Contract) -> None:
    del data
    found = read_side(
        server.source("SELECT * FROM rows WHERE false"), contract, role=Role.PLATFORM, test=False
    )
    assert found.cells.shape == (0, len(contract.tables))


def select(*columns: str) -> str:
    return " ".join(["SELECT", ", ".join(columns), "FROM rows"])


def read_all(source: PostgresSource) -> None:
    for _ in source.batches(source.column_names(), lambda _: None):
        pass


def test_a_limit_of_time_is_told_as_one(server: Server, data: pa.Table) -> None:
    del data
    source = server.source("SELECT pg_sleep(5)::text AS a", server.words.replace("owner", "hasty"))
    with pytest.raises(DataError, match="SQLSTATE 57014: it was cancelled, by hand or by a limit of time"):
        read_all(source)


REFUSED = {
    "several statements": ("SELECT 1; SELECT 2", "SQLSTATE 42601: it is not one SELECT"),
    "a way out of the transaction": ("SELECT 1; COMMIT; DROP TABLE odd", "SQLSTATE 42601"),
    "an insertion": ("INSERT INTO odd VALUES ('x', 1) RETURNING zero", "SQLSTATE 42601"),
    "a deletion": (
        "WITH gone AS (DELETE FROM odd RETURNING *) SELECT * FROM gone",
        "SQLSTATE 0A000: it is no SELECT",
    ),
    "a function that writes": (
        "SELECT writes() AS account",
        "SQLSTATE 25006: it writes, and the transaction",
    ),
    "a lock": ("SELECT * FROM rows FOR UPDATE", "SQLSTATE 25006"),
    "no such table": ("SELECT * FROM rowz", "SQLSTATE 42P01: a table of it is not there"),
    "no such column": (select("account", CANARY), "SQLSTATE 42703: a column of it is not there"),
    "no SQL": (CANARY, "SQLSTATE 42601"),
    "nothing": (";", "SQLSTATE 42601"),
    "a value that cannot be": (
        "SELECT name::integer AS account FROM odd",
        "SQLSTATE 22P02: a value of some row",
    ),
    "a division": (
        "SELECT 1 / zero AS account FROM odd",
        "SQLSTATE 22012: a value of some row cannot be computed",
    ),
}


@pytest.mark.parametrize(("query", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_told_without_the_statement_and_without_values(
    server: Server, data: pa.Table, query: str, message: str
) -> None:
    del data
    before = server.ask("SELECT * FROM odd")

    with pytest.raises(DataError) as told:
        read_all(server.source(query))
    assert message in str(told.value)
    assert (told.value.__cause__, told.value.__suppress_context__) == (None, True)
    assert CANARY not in str(told.value)
    assert "SELECT *" not in str(told.value)
    assert server.ask("SELECT * FROM odd") == before


def test_columns_are_missed_repeated_and_of_other_types_as_in_a_file(
    server: Server, data: pa.Table, contract: Contract
) -> None:
    del data

    def refusal(query: str) -> str:
        with pytest.raises(DataError) as told:
            read_side(server.source(query), contract, role=Role.PLATFORM, test=False)
        assert CANARY not in str(told.value)
        return str(told.value)

    names = [name for name in COLUMNS if name not in {"amount", "note"}]
    assert "column 'amount' is missing among its 12 columns" in refusal(select(*names))
    assert "column 'amount' is there more than once" in refusal("SELECT *, 1 AS amount FROM rows")
    told = refusal(select(*names, "note AS amount"))
    assert "'amount' (json): such columns cannot be read; cast them there to numeric" in told
    assert "'amount' (integer[])" in refusal(select(*names, "ARRAY[1] AS amount"))
    told = refusal(select(*names, f"'{CANARY}' AS amount"))
    assert f"column 'amount': {ROWS} rows with text where a number is needed" in told
    told = refusal(select(*names, "'Infinity'::numeric AS amount"))
    assert f"column 'amount': {ROWS} rows with an infinity" in told
    others = [name for name in COLUMNS if name not in {"as_of", "note"}]
    odd = "CASE account % 5000 WHEN 0 THEN 'infinity' WHEN 1 THEN '0044-03-15 BC' ELSE as_of::text END::date"
    told = refusal(select(*others, f"{odd} AS as_of"))
    assert "column 'as_of': 2 rows with text that is no date" in told


def test_one_snapshot_is_read_whatever_others_write(
    server: Server, data: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    del data
    monkeypatch.setattr(postgres, "FETCHED_ROWS", 10)
    server.run("CREATE TABLE moving AS SELECT generate_series(1, 1000) AS a, 0 AS changed")
    try:
        source = server.source("SELECT a, changed, (SELECT count(*) FROM moving) AS all_rows FROM moving")
        batches = source.batches(["a", "changed", "all_rows"], lambda _: None)
        first = next(batches)
        server.run("UPDATE moving SET changed = 1", "DELETE FROM moving WHERE a > 500", "VACUUM moving")
        rest = pa.Table.from_batches([first, *batches])
        assert sorted(rest["a"].to_pylist()) == list(range(1, 1001))
        assert set(rest["changed"].to_pylist()) == {0}
        assert set(rest["all_rows"].to_pylist()) == {1000}
    finally:
        server.run("DROP TABLE moving")


def test_rows_come_as_they_are_asked_for(server: Server) -> None:
    """A hundred million rows would fill the memory, were they not fetched a few at a time."""
    source = server.source("SELECT a, repeat('x', 1000) AS b FROM generate_series(1, 100000000) AS a")
    batches = source.batches(["a", "b"], lambda _: None)
    some = list(itertools.islice(batches, 3))
    assert [len(batch) for batch in some] == [postgres.FETCHED_ROWS] * 3
    # Left alone, the generator ends the connection.
    del batches


def connections(server: Server) -> object:
    return server.ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")


def test_nothing_stays_connected(server: Server, data: pa.Table, contract: Contract) -> None:
    del data
    before = connections(server)
    read_side(server.source(IN_ORDER), contract, role=Role.PLATFORM, test=False)
    with pytest.raises(DataError):
        read_side(server.source("SELECT account FROM rows"), contract, role=Role.PLATFORM, test=False)
    assert connections(server) == before


def test_passwords_come_from_libpqs_own_files(
    server: Server, data: pa.Table, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del data
    (tmp_path / "service.conf").write_text(
        f"[scoring]\nhost={server.folder}\ndbname=postgres\nuser=guest\npassfile={tmp_path / 'passwords'}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "service.conf"))
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:guest:{PASSWORD}\n")
    passwords.chmod(0o600)
    words = DataSource(query="SELECT 1", database="service=scoring").database
    found = read_side(server.source(IN_ORDER, words), contract, role=Role.PLATFORM, test=False)
    assert len(found) > 500
    with pytest.raises(DataError, match="SQLSTATE 42501: the database's user may not read all of it"):
        server.source("SELECT * FROM secret", words).column_names()
    passwords.write_text(f"*:*:*:guest:{PASSWORD}s\n")
    with pytest.raises(
        DataError, match=r"there is no connection to the database\. psql with the words"
    ) as told:
        server.source(IN_ORDER, words).column_names()
    for secret in (PASSWORD, "guest", str(server.folder)):
        assert secret not in str(told.value)
