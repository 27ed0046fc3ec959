"""Rows that may not be used have no part in any sum and in no error, whatever they hold."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import collector, platform
from clients.config import DataSource
from clients.loading import load_consenting, load_rows
from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.errors import DataError
from simulations.federation import train_alone
from simulations.synthetic import make_consortium

Row: TypeAlias = dict[str, Any]

DAY = dt.date(2025, 6, 30)

TEXT = """
version = 1
name = "consent"
purpose = "tests"
outcome = { definition = "late", bucket = "30+", horizon_days = 90 }
rows = { id = "id", person = "person", rows_per_person = 2, row_cap = 9 }
split = { test_share = 0.2, key = "consent" }
privacy = { epsilon = 1.0, delta = 1e-5 }

[[characteristics]]
name = "a"
type = "number"
edges = [0, 1, 2]

[[characteristics]]
name = "k"
type = "category"
levels = ["x", "y"]

[[interactions]]
first = { of = "a", edges = [1] }
second = { of = "k", levels = ["x"] }
"""

CONSENT = """
[consent]
given = "agreed"
scope = "for what"
scopes = ["scoring", "all"]
from = "first day"
until = "last day"
"""

CONTRACT, WITHOUT = parse_contract(TEXT + CONSENT), parse_contract(TEXT)
SUMMED = WITHOUT.with_parties([Party(name=name, role=Role.PLATFORM) for name in ("north", "south")])

DATES = [None, DAY, *(DAY + dt.timedelta(days=step) for step in (-400, -1, 1, 400))]
PLAIN = {
    "person": st.integers(0, 6),
    "y": st.integers(0, 1),
    "a": st.sampled_from([None, -1.0, 0.5, 1.0, 7.0]),
    "k": st.sampled_from([None, "x", "y", "z"]),
}
ASKED = {
    "agreed": st.sampled_from([None, 0, 1, 1, 1, 2]),
    "for what": st.sampled_from([None, "", "scoring", "all", "all ", "Scoring", "advertising"]),
    "first day": st.sampled_from(DATES),
    "last day": st.sampled_from(DATES),
}
SPOILT = {
    "id": st.sampled_from([None, 1, 2, 3]),
    "person": st.sampled_from([None, 1]),
    "y": st.sampled_from([None, 7, -1]),
    "a": st.sampled_from([math.inf, -math.inf]),
}
KINDS = {
    "id": pa.int64(),
    "person": pa.int64(),
    "y": pa.int64(),
    "a": pa.float64(),
    "k": pa.string(),
    "agreed": pa.int64(),
    "for what": pa.string(),
    "first day": pa.date32(),
    "last day": pa.date32(),
}


def allowed(row: Row) -> bool:
    """The rule once more, as plainly as can be."""
    if row["agreed"] != 1 or row["for what"] not in {"scoring", "all"}:
        return False
    if row["first day"] is None or row["first day"] > DAY:
        return False
    return row["last day"] is None or row["last day"] >= DAY


SUFFIXES = st.sampled_from([".parquet", ".csv"])


def withdrawn(row: Row) -> bool:
    """As `WITHDRAWALS` says."""
    return row["person"] in {1, 2, 3}


# 4 withdraws later, and nobody is called 017.
WITHDRAWALS = f"person,from\n1,\n2,soon\n3,{DAY}\n4,{DAY + dt.timedelta(days=1)}\n017,\n"


@st.composite
def tables(draw: st.DrawFn, *, may: Callable[[Row], bool], spoilt: dict[str, Any]) -> list[Row]:
    """Rows of which those that may not be used often hold what would be refused."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 30))):
        row = {"id": number, **{name: draw(values) for name, values in (PLAIN | ASKED).items()}}
        if draw(st.booleans()):
            row.update({"agreed": 1, "for what": "all", "first day": DAY, "last day": None})
        if not may(row) and draw(st.booleans()):
            name = draw(st.sampled_from(sorted(spoilt)))
            row[name] = draw(spoilt[name])
        rows.append(row)
    return rows


def arrow(rows: list[Row]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})


def loaded(rows: list[Row], contract: Contract, suffix: str, withdrawals: str | None = None) -> Rows | str:
    """The rows that train, or what the reading is refused with."""
    with tempfile.TemporaryDirectory() as folder:
        file, listed = Path(folder) / f"rows{suffix}", Path(folder) / "withdrawn.csv"
        write_file = pq.write_table if suffix == ".parquet" else pyarrow.csv.write_csv
        write_file(arrow(rows), file)
        if withdrawals is not None:
            listed.write_text(withdrawals)
        return read(DataSource(table=file, withdrawals=listed if withdrawals is not None else None), contract)


def read(source: DataSource, contract: Contract) -> Rows | str:
    try:
        return load_rows(source, contract, role=Role.PLATFORM, day=DAY)
    except DataError as refused:
        return str(refused).replace(str(source.table), "")


def assert_same(left: Rows | str, right: Rows | str) -> None:
    """The same rows, the same openings of every sum; or the same refusal."""
    if isinstance(left, str) or isinstance(right, str):
        assert left == right
        return
    for name in ("cells", "outcome", "ids", "persons"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    if len(left):
        openings = [train_alone(SUMMED, rows).openings for rows in (left, right)]
        for one, other in zip(*openings, strict=True):
            np.testing.assert_array_equal(one, other)


@settings(max_examples=60)
@given(rows=tables(may=allowed, spoilt=SPOILT), suffix=SUFFIXES)
def test_rows_without_consent_change_no_sum_and_no_error(rows: list[Row], suffix: str) -> None:
    left = [row for row in rows if allowed(row)]
    found = loaded(rows, CONTRACT, suffix)
    assert_same(found, loaded(left, CONTRACT, suffix))
    assert_same(found, loaded(left, WITHOUT, suffix))


@settings(max_examples=40)
@given(
    rows=tables(
        may=lambda row: not withdrawn(row), spoilt={k: v for k, v in SPOILT.items() if k != "person"}
    ),
    suffix=SUFFIXES,
    contract=st.sampled_from([CONTRACT, WITHOUT]),
)
def test_the_rows_of_who_withdrew_change_no_sum_and_no_error(
    rows: list[Row], suffix: str, contract: Contract
) -> None:
    def may(row: Row) -> bool:
        return not withdrawn(row) and (contract is WITHOUT or allowed(row))

    left = [row for row in rows if may(row)]
    found = loaded(rows, contract, suffix, WITHDRAWALS)
    assert_same(found, loaded(left, contract, suffix, WITHDRAWALS))
    assert_same(found, loaded(left, WITHOUT, suffix))


@pytest.mark.parametrize("changed", [{"last day": DAY - dt.timedelta(days=1)}, {"for what": "advertising"}])
@given(rows=tables(may=allowed, spoilt=SPOILT), which=st.integers(0, 6))
@settings(max_examples=25)
def test_a_consent_that_ends_takes_the_rows_out_of_every_sum(
    rows: list[Row], which: int, changed: Row
) -> None:
    ended = [{**row, **changed} if row["person"] == which else row for row in rows]
    left = [row for row in rows if allowed(row) and row["person"] != which]
    assert_same(loaded(ended, CONTRACT, ".csv"), loaded(left, WITHOUT, ".csv"))


# No line that is made of these says "scoring" or "all", so none is a consent.
SCRAPS = st.sampled_from(
    [b'"', b'"', b'""', b",", b",", b",,,,,,,,", b"1", b"a", b" ", b"\0", b"\xff", b"\xc3\xa9", b"\r", b"\n"]
)
GARBAGE_LINES = st.lists(SCRAPS, max_size=20).map(b"".join)


@settings(max_examples=60)
@given(
    rows=tables(may=allowed, spoilt=SPOILT),
    garbage=st.lists(st.tuples(st.integers(0, 30), GARBAGE_LINES), min_size=1, max_size=6),
)
def test_lines_of_who_did_not_agree_change_no_other_whatever_their_bytes(
    rows: list[Row], garbage: list[tuple[int, bytes]]
) -> None:
    left = [row for row in rows if allowed(row)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        pyarrow.csv.write_csv(arrow(rows), file)
        header, *lines = file.read_bytes().splitlines()
        for place, line in garbage:
            lines.insert(place, line)
        file.write_bytes(b"\n".join([header, *lines]))
        found = read(DataSource(table=file), CONTRACT)
    assert_same(found, loaded(left, WITHOUT, ".csv"))


# Operational tables: consent stands in the accounts of a platform and in the cases of an agency.

CONSORTIUM = make_consortium(people=400, platforms=2, collectors=1, seed=3)
SHIPPED = Path(__file__).parents[2] / "simulations" / "contracts" / "consortium.toml"
OWNERS = {Role.PLATFORM: platform.OWNER, Role.COLLECTOR: collector.OWNER}
GARBAGE = {pa.float64(): -1.0, pa.int64(): -1, pa.date32(): None, pa.string(): None, pa.bool_(): None}
PARTIES = {party.role: party for party in CONSORTIUM.parties}


def operational_contract(*, consent: bool) -> Contract:
    text = SHIPPED.read_text()
    return parse_contract(text + '\n[consent]\ngiven = "agreed"\nuntil = "ends"\n' if consent else text)


WITH_OPERATIONAL, OPERATIONAL = operational_contract(consent=True), operational_contract(consent=False)


def garbled(table: pa.Table, keys: set[str], key: str, *, as_text: bool) -> pa.Table:
    """The same table, where the rows of some keys hold what a table must not hold."""
    rows = table.to_pylist()
    fields = {field.name: field.type for field in table.schema}
    for row in rows:
        if row[key] not in keys:
            continue
        for name, kind in fields.items():
            if name not in {key, "person_id", "agreed", "ends"}:
                row[name] = "?" if as_text else GARBAGE[plain_type(kind)]
    types = {
        name: pa.string() if as_text and name not in {"agreed", "ends"} else plain_type(kind)
        for name, kind in fields.items()
    }
    arrays = {
        name: pa.array(
            [str(row[name]) if kind == pa.string() and row[name] is not None else row[name] for row in rows],
            kind,
        )
        for name, kind in types.items()
    }
    return pa.table(arrays)


def plain_type(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.date32() if pa.types.is_timestamp(kind) else kind


def written(folder: Path, tables: dict[str, pa.Table], *, as_csv: bool) -> DataSource:
    folder.mkdir()
    for name, table in tables.items():
        if as_csv:
            pyarrow.csv.write_csv(table, folder / f"{name}.csv")
        else:
            pq.write_table(table, folder / f"{name}.parquet")
    return DataSource(tables=folder, as_of=CONSORTIUM.as_of)


@pytest.mark.parametrize("as_csv", [False, True], ids=["parquet", "csv"])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("withdrawing", [False, True], ids=["consent", "withdrawal"])
def test_operational_tables_give_the_rows_of_the_tables_without_what_is_left_out(
    tmp_path: Path,
    role: Role,
    as_csv: bool,  # noqa: FBT001 - pytest's own
    withdrawing: bool,  # noqa: FBT001 - pytest's own
) -> None:
    owner, original = OWNERS[role], dict(PARTIES[role].tables)
    table = original[owner.table]
    keys = table[owner.key].cast(pa.string()).to_pylist()
    persons = table["person_id"].cast(pa.string()).to_pylist()
    gone = {person for person in persons if hash_of(person) % 3 == 0}
    out = {key for key, person in zip(keys, persons, strict=True) if person in gone}
    agreed = pa.array([withdrawing or key not in out or None for key in keys])
    judged = {**original, owner.table: table.append_column("agreed", agreed)}
    judged[owner.table] = judged[owner.table].append_column("ends", pa.nulls(len(keys), pa.date32()))
    spoilt = {name: garbled(held, out, owner.key, as_text=as_csv) for name, held in judged.items()}
    source = written(tmp_path / "spoilt", spoilt, as_csv=as_csv)
    if withdrawing:
        (tmp_path / "list.csv").write_text("person,from\n" + "".join(f"{person},\n" for person in gone))
        source = source.model_copy(update={"withdrawals": tmp_path / "list.csv"})
    contract = OPERATIONAL if withdrawing else WITH_OPERATIONAL
    found, counts = load_consenting(source, contract, role=role, day=DAY)
    kept = {
        name: held.filter(pa.array([key not in out for key in held[owner.key].cast(pa.string()).to_pylist()]))
        for name, held in original.items()
    }
    expected = load_rows(written(tmp_path / "kept", kept, as_csv=as_csv), OPERATIONAL, role=role, day=DAY)
    assert len(expected) > 30
    for name in ("cells", "outcome", "ids", "persons"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert counts is not None
    reason = counts.withdrawn if withdrawing else counts.not_given
    assert (counts.admitted, reason) == (len(keys) - len(out), len(out))
    assert counts.unowned == sum(
        held.num_rows - kept[name].num_rows for name, held in original.items() if name != owner.table
    )


def hash_of(person: str) -> int:
    return sum(person.encode())
