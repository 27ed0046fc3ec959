"""The exported query in a real PostgreSQL, whose server lives for this test in a folder of its own."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from fedscore.card import Card
from fedscore.card.sql import score_query
from fedscore.card.sql_words import identifier
from fedscore.contract import Formula, Role
from tests.trained_cards import taiwan
from tests.unit.card.test_sql import CODED, Answer, agree, awkward_rows, formula_card, in_python

pytestmark = pytest.mark.slow

USER = "postgres"


class Database:
    """A server that is reached through a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, text: str) -> str:
        command = ["psql", "-h", str(self._folder), "-U", USER, "-q", "--csv", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run([*command, "-f", "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def scores(self, card: Card, rows: pa.Table, kind: str) -> list[Answer]:
        names = [name for name in rows.column_names if name != "id"]
        columns = ", ".join(f"{identifier(name)} {kind}" for name in names)
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            arrow_csv.write_csv(rows, file.name)
            self.run(
                f"DROP TABLE IF EXISTS people; CREATE TABLE people (id bigint, {columns});\n"
                f"\\copy people from '{file.name}' csv header\n"
            )
        query = score_query(card, role=Role.PLATFORM, table="public.people", id_column="id")
        answers = list(csv.reader(self.run(f"{query}\nORDER BY 1;").splitlines()))[1:]
        return [
            (int(row), float(score) if score else None, float(chance) if chance else None, grade or None)
            for row, score, chance, grade in answers
        ]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None or shutil.which("psql") is None:
        pytest.skip("there is no PostgreSQL: install its server and psql")
    control = str(Path(initdb).with_name("pg_ctl"))
    # A socket's path must be short, and the server does not run as root.
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder, user = Path(name), USER if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)

        def call(arguments: Sequence[str]) -> None:
            subprocess.run(
                arguments, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60
            )

        call([initdb, "-D", f"{folder}/data", "-A", "trust", "-U", USER])
        options = f"-k {folder} -c listen_addresses=''"
        call([control, "-D", f"{folder}/data", "-o", options, "-w", "-l", f"{folder}/log", "start"])
        try:
            yield Database(folder)
        finally:
            call([control, "-D", f"{folder}/data", "-w", "-m", "fast", "stop"])


@pytest.mark.parametrize("kind", ["double precision", "numeric", "text"])
def test_every_customer_of_taiwan_has_the_same_score(
    database: Database, shared_data: Path, kind: str
) -> None:
    trained = taiwan(shared_data)
    rows = pq.read_table(trained.file)
    agree(database.scores(trained.card, rows, kind), in_python(trained.card, Role.PLATFORM, rows))


@pytest.mark.parametrize("formula", list(Formula))
def test_every_formula_gives_the_same(database: Database, formula: Formula) -> None:
    """PostgreSQL stops where a derived value overflows, so there is none that does."""
    card, rows = formula_card(formula), awkward_rows()
    for name in "xyz":
        rows = rows.filter(pc.fill_null(pc.less(rows[name], 1e300), True))
    agree(database.scores(card, rows, "double precision"), in_python(card, Role.PLATFORM, rows))


def test_what_is_missing_or_infinite_is_so_there_too(database: Database) -> None:
    rows = pa.table({"id": range(6), "use": pa.array([0.25, 0.5, 98, None, float("nan"), float("-inf")])})
    agree(database.scores(CODED, rows, "double precision"), in_python(CODED, Role.PLATFORM, rows))
