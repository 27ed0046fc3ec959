"""From files to rows that train: what the gate leaves out, what is refused, what the node's log says."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from clients.config import DataSource
from clients.consent import ConsentCounts
from clients.loading import load_consenting, load_rows
from fedscore.contract import Contract, Role, parse_contract
from fedscore.data import ADMITTED, Rows, read_rows, rows_from_table
from fedscore.data.identity import digests_of
from fedscore.errors import DataError
from fedscore.sums import Side
from simulations.synthetic import make_consortium, write

DAY = dt.date(2025, 6, 30)
CANARY = "margaret"

COLUMNS: dict[str, list[Any]] = {
    "id": ["1", "2", "3", "4"],
    "utilisation": [0.05, 0.5, 0.95, 0.2],
    "late_payments": [0, 1, 98, 2],
    "segment": ["card", "loan", "card", None],
    "y": [0, 0, 1, 0],
    "agreed": [1, 1, 0, None],
}


@pytest.fixture
def contract(tiny_text: str) -> Contract:
    return parse_contract(
        tiny_text.replace("test_share = 0.3", "test_share = 0.0") + '\n[consent]\ngiven = "agreed"\n'
    )


@pytest.fixture
def without(tiny_text: str) -> Contract:
    return parse_contract(tiny_text.replace("test_share = 0.3", "test_share = 0.0"))


def source(folder: Path, suffix: str = ".parquet", **changes: list[Any]) -> DataSource:
    table = pa.table({**COLUMNS, **changes})
    file = folder / f"rows{suffix}"
    pq.write_table(table, file) if suffix == ".parquet" else pyarrow.csv.write_csv(table, file)
    return DataSource(table=file)


# Of identifiers a node keeps digests.
TEXTS = [str(number) for number in range(100)]
TEXT_OF = dict(zip(digests_of(np.array(TEXTS)).tolist(), TEXTS, strict=True))


def ids_of(rows: Rows) -> list[str]:
    return [TEXT_OF[digest] for digest in rows.ids.tolist()]


def withdrawing(data: DataSource, folder: Path, text: str) -> DataSource:
    (folder / "withdrawn.csv").write_text(text)
    return data.model_copy(update={"withdrawals": folder / "withdrawn.csv"})


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_only_rows_with_consent_are_loaded_and_the_log_says_how_many(
    tmp_path: Path, contract: Contract, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="clients.loading"):
        rows, counts = load_consenting(source(tmp_path, suffix), contract, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == ["1", "2"]
    assert counts == ConsentCounts(admitted=2, not_given=2)
    [record] = caplog.records
    assert record.getMessage() == "consent as of 2025-06-30: 2 rows may be used; left out: 2 not given"


def test_without_consent_and_withdrawals_there_is_no_gate(
    tmp_path: Path, without: Contract, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rows, counts = load_consenting(source(tmp_path), without, role=Role.PLATFORM, day=DAY)
    assert (len(rows), counts) == (4, None)
    assert not caplog.records


def test_a_withdrawal_counts_in_runs_that_begin_on_its_day_or_later(
    tmp_path: Path, without: Contract
) -> None:
    data = withdrawing(source(tmp_path, id=[1, 2, 3, 4]), tmp_path, f"person,from\n1,\n2,{DAY}\n")

    def ids(day: dt.date) -> list[str]:
        return ids_of(load_rows(data, without, role=Role.PLATFORM, day=day))

    assert ids(DAY - dt.timedelta(days=1)) == ["2", "3", "4"]
    assert ids(DAY) == ["3", "4"]


def test_a_person_withdraws_with_all_rows(tmp_path: Path, tiny_text: str) -> None:
    text = tiny_text.replace("row_cap = 4000", 'row_cap = 4000\nperson = "customer"')
    contract = parse_contract(text.replace("test_share = 0.3", "test_share = 0.0"))
    data = source(tmp_path, customer=[7, 7, 8, 1])
    data = withdrawing(data, tmp_path, "person,from\n7,\n3,\n")
    assert ids_of(load_rows(data, contract, role=Role.PLATFORM, day=DAY)) == ["3", "4"]


SPOILT: dict[str, dict[str, list[Any]]] = {
    "outcome": {"y": [0, 1, 7, None]},
    "infinity": {"utilisation": [0.1, 0.2, float("inf"), float("-inf")]},
    "repeated id": {"id": ["1", "2", "1", "2"]},
    "no id": {"id": ["1", "2", None, None]},
}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("changes", SPOILT.values(), ids=SPOILT.keys())
def test_what_is_left_out_is_not_checked_either(
    tmp_path: Path, contract: Contract, suffix: str, changes: dict[str, list[Any]]
) -> None:
    rows = load_rows(source(tmp_path, suffix, **changes), contract, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == ["1", "2"]
    with pytest.raises(DataError):
        load_rows(
            source(tmp_path, suffix, **changes, agreed=[1, 1, 1, 1]), contract, role=Role.PLATFORM, day=DAY
        )


def test_lines_that_cannot_be_read_say_nothing_and_are_counted(tmp_path: Path, contract: Contract) -> None:
    data = source(tmp_path, ".csv")
    assert data.table is not None
    with data.table.open("ab") as file:
        file.write(b'5,0.1,0,card,0,1,too,many\n6,0.1\n7,abc,"\xff",,9,0\n')
    rows, counts = load_consenting(data, contract, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == ["1", "2"]
    assert counts == ConsentCounts(admitted=2, not_given=3, unreadable=2)


# Lines that stand for a row of somebody who did not agree, with what they could do to the rows of others.
STRAY: dict[str, bytes] = {
    "an open quote": b'5,0.1,0,"card,0,0\n',
    "an open quote in the last field": b'5,0.1,0,card,0,"0\n',
    "an even number of quotes that leaves one open": b'5",",0.1,0,card,0,0\n',
    "a quote that closes early": b'5,0.1,0,"card"",0,0\n',
    "nothing but a quote": b'"\n',
    "a field above the limits of every reader": b'5,0.1,0,"' + b"x" * 3_000_000 + b'",0,0\n',
    "a NUL": b"5,0.1,0,ca\0rd,0,0\n\0\n",
    "more fields, and bytes that are no text": b"5,0.1,0,card,0,0,\xff,\xff\n",
    "fewer fields, and bytes that are no text": b"\xff\n\xff,\xff\n",
    "a line end in the middle": b"5,0.1,0\r,card,0,0\r\n",
    "a value with a line break": b'5,0.1,0,"ca\nrd",0,0\n',
}


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
@pytest.mark.parametrize("times", [1, 2])
def test_a_row_that_is_left_out_takes_no_other_with_it(
    tmp_path: Path, contract: Contract, stray: bytes, times: int
) -> None:
    header = ",".join(COLUMNS).encode() + b"\n"
    good = [b"%d,0.05,0,card,%d,1\n" % (number, number % 2) for number in range(20, 29)]
    file = tmp_path / "rows.csv"
    # The second one would close what the first leaves open.
    file.write_bytes(header + b"".join(good[:3]) + stray + b"".join(good[3:6]) + stray * (times - 1))
    with file.open("ab") as more:
        more.write(b"".join(good[6:]))
    rows, counts = load_consenting(DataSource(table=file), contract, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == [str(number) for number in range(20, 29)]
    assert counts is not None
    assert counts.admitted == 9
    left_out = counts.not_given + counts.unreadable
    assert left_out == times * len(stray.splitlines())


def test_a_value_with_a_line_break_costs_its_own_row_alone(
    tmp_path: Path, contract: Contract, without: Contract
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "note,id,utilisation,late_payments,segment,y,agreed\n"
        '"a\nb",1,0.1,0,card,0,1\n'
        '"c, ""d""",2,0.1,0,card,0,1\n'
    )
    rows, counts = load_consenting(DataSource(table=file), contract, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == ["2"]
    assert counts == ConsentCounts(admitted=1, unreadable=2)
    # Where nothing is left out, the whole file is read as one.
    assert ids_of(load_rows(DataSource(table=file), without, role=Role.PLATFORM, day=DAY)) == ["1", "2"]


@pytest.mark.parametrize("header", ['id,"a\nb"', 'id,"y', 'id,y"s'])
def test_a_header_that_goes_on_in_the_next_line_is_refused(
    tmp_path: Path, contract: Contract, header: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"{header}\n{CANARY},1\n")
    with pytest.raises(
        DataError, match="its header has a line break within a name, or a double quote"
    ) as told:
        load_rows(DataSource(table=file), contract, role=Role.PLATFORM, day=DAY)
    assert CANARY not in str(told.value)


@pytest.mark.parametrize("persons", [[" 1", "2", "3 ", "17"], [1, 2, 3, 17]])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_blanks_around_an_id_do_not_hide_it_from_the_list(
    tmp_path: Path, without: Contract, suffix: str, persons: list[Any]
) -> None:
    data = withdrawing(source(tmp_path, suffix, id=persons), tmp_path, "person,from\n1,\n 3,\n017,\n99,\n")
    rows, counts = load_consenting(data, without, role=Role.PLATFORM, day=DAY)
    assert ids_of(rows) == ["2", "17"]
    assert counts == ConsentCounts(admitted=2, withdrawn=2, unmatched=2)


def test_left_out_rows_do_not_fill_the_cap(tmp_path: Path, contract: Contract) -> None:
    capped = contract.model_copy(update={"rows": contract.rows.model_copy(update={"row_cap": 2})})
    assert len(load_rows(source(tmp_path), capped, role=Role.PLATFORM, day=DAY)) == 2
    with pytest.raises(DataError, match="3 rows are on the training side, and the contract's row_cap is 2"):
        load_rows(source(tmp_path, agreed=[1, 1, 1, 0]), capped, role=Role.PLATFORM, day=DAY)


def test_a_missing_column_is_refused_before_any_row_is_looked_at(tmp_path: Path, contract: Contract) -> None:
    data = source(tmp_path, agree=COLUMNS["agreed"], y=[7, 7, 7, 7])
    pq.write_table(pq.read_table(data.table).drop_columns("agreed"), data.table)
    with pytest.raises(DataError) as told:
        load_rows(data, contract, role=Role.PLATFORM, day=DAY)
    assert "column 'agreed' is missing among its 6 columns: add it" in str(told.value)
    assert "outcome" not in str(told.value)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_where_nobody_agreed_there_are_no_rows_and_no_error(
    tmp_path: Path, contract: Contract, suffix: str
) -> None:
    data = source(tmp_path, suffix, agreed=[0, 0, 0, 0])
    rows, counts = load_consenting(data, contract, role=Role.PLATFORM, day=DAY)
    assert rows.cells.shape == (0, len(contract.tables))
    assert counts == ConsentCounts(not_given=4)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_where_all_withdrew_there_are_no_rows_and_no_error(
    tmp_path: Path, without: Contract, suffix: str
) -> None:
    data = withdrawing(source(tmp_path, suffix), tmp_path, "person,from\n1,\n2,\n3,\n4,\n")
    rows, counts = load_consenting(data, without, role=Role.PLATFORM, day=DAY)
    assert rows.cells.shape == (0, len(without.tables))
    assert counts == ConsentCounts(withdrawn=4)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_empty_table_has_no_rows_and_is_no_error(
    tmp_path: Path, contract: Contract, without: Contract, suffix: str
) -> None:
    data = source(tmp_path, suffix, **{name: [] for name in COLUMNS})
    for terms, expected in ((contract, ConsentCounts()), (without, None)):
        rows, counts = load_consenting(data, terms, role=Role.PLATFORM, day=DAY)
        assert (rows.cells.shape, counts) == ((0, len(terms.tables)), expected)


@pytest.mark.parametrize("rest", ["", "\n", "\r\n\r\n", '\n"5,0.1\n'])
def test_a_header_alone_has_no_rows_and_is_no_error(tmp_path: Path, contract: Contract, rest: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes((",".join(COLUMNS) + rest).encode())
    assert len(load_rows(DataSource(table=file), contract, role=Role.PLATFORM, day=DAY)) == 0


def test_a_damaged_list_stops_the_node_and_names_nobody(tmp_path: Path, without: Contract) -> None:
    data = withdrawing(source(tmp_path), tmp_path, f"who,from\n{CANARY},\n")
    with pytest.raises(DataError, match="needs one column person and one column from") as told:
        load_rows(data, without, role=Role.PLATFORM, day=DAY)
    assert CANARY not in str(told.value)


def test_nothing_reads_past_the_gate_of_a_contract_with_consent(tmp_path: Path, contract: Contract) -> None:
    data = source(tmp_path)
    assert data.table is not None
    message = r"agrees on consent, and nothing here looks at it.* take \[consent\]"
    with pytest.raises(DataError, match=message):
        read_rows(data.table, contract, role=Role.PLATFORM)
    with pytest.raises(DataError, match=message):
        rows_from_table(pa.table(COLUMNS), contract, role=Role.PLATFORM)
    assert len(rows_from_table(pa.table(COLUMNS), contract, role=Role.PLATFORM, gate=ADMITTED)) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: write the SELECT"),
        (b" \n", "is empty"),
        (b"select '\xff'", "cannot be read as UTF-8"),
    ],
)
def test_a_file_without_a_statement_is_refused(
    tmp_path: Path, contract: Contract, content: bytes, message: str
) -> None:
    (tmp_path / "rows.sql").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_rows(DataSource(query_file=tmp_path / "rows.sql"), contract, role=Role.PLATFORM, day=DAY)


def test_a_database_that_is_not_there_refuses(tmp_path: Path, contract: Contract) -> None:
    pytest.importorskip("psycopg", reason="the extra sql is not installed")
    data = DataSource(query=f"select '{CANARY}'", database=f"host={tmp_path} user=hunter2")
    with pytest.raises(DataError, match="there is no connection to the database") as told:
        load_rows(data, contract, role=Role.PLATFORM, day=DAY)
    assert told.value.__suppress_context__
    for unsaid in (CANARY, "hunter2", str(tmp_path)):
        assert unsaid not in str(told.value)


# Operational tables.

SHIPPED = (Path(__file__).parents[3] / "simulations" / "contracts" / "consortium.toml").read_text()
CONSORTIUM = make_consortium(people=300, platforms=2, collectors=1, seed=1)


def operational(folder: Path, party: str) -> DataSource:
    write(CONSORTIUM, folder)
    return DataSource(tables=folder / party, as_of=CONSORTIUM.as_of)


def operational_tables(role: Role) -> tuple[dict[str, pa.Table], str]:
    """The tables of a party, and the name of the one that has consent."""
    party = next(party for party in CONSORTIUM.parties if party.role is role)
    return dict(party.tables), "accounts" if role is Role.PLATFORM else "cases"


def as_files(folder: Path, tables: dict[str, pa.Table], suffix: str) -> DataSource:
    write_file = pq.write_table if suffix == ".parquet" else pyarrow.csv.write_csv
    for name, table in tables.items():
        write_file(table, folder / f"{name}{suffix}")
    return DataSource(tables=folder, as_of=CONSORTIUM.as_of)


@pytest.mark.parametrize("role", Role)
def test_rows_come_from_operational_tables_as_of_a_date(tmp_path: Path, role: Role) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is role)
    data, contract = operational(tmp_path, party.name), parse_contract(SHIPPED)
    rows = load_rows(data, contract, role=role, day=DAY)
    assert len(rows) > 20
    assert 0 < rows.outcome.mean() < 0.3
    much_earlier = data.model_copy(update={"as_of": dt.date(1990, 1, 1)})
    assert len(load_rows(much_earlier, contract, role=role, day=DAY)) == 0


@pytest.mark.parametrize(("role", "table"), [(Role.PLATFORM, "accounts"), (Role.COLLECTOR, "cases")])
def test_operational_tables_without_the_agreed_columns_are_refused(
    tmp_path: Path, role: Role, table: str
) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is role)
    data = operational(tmp_path, party.name)
    contract = parse_contract(SHIPPED + '\n[consent]\ngiven = "agreed"\nuntil = "ends"\n')
    with pytest.raises(
        DataError, match=f"table '{table}' lacks agreed, ends, by which it is known which rows"
    ):
        load_rows(data, contract, role=role, day=DAY)


@pytest.mark.parametrize("role", Role)
def test_operational_tables_are_as_of_one_day_and_cannot_be_split_by_date(tmp_path: Path, role: Role) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is role)
    share = next(line for line in SHIPPED.splitlines() if line.startswith("test_share"))
    dated = 'test_share = 0.0\ncolumn = "day"\ntest_from = 2025-01-01'
    contract = parse_contract(SHIPPED.replace(share, dated))
    with pytest.raises(
        DataError, match="date in the column day, and rows of operational tables are all as of"
    ):
        load_rows(operational(tmp_path, party.name), contract, role=role, day=DAY)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_split_by_date_has_its_sides_from_the_file(
    tmp_path: Path, tiny_text: str, contract: Contract, suffix: str
) -> None:
    dated = 'test_share = 0.0\ncolumn = "day"\ntest_from = 2025-01-01'
    without = parse_contract(tiny_text.replace("test_share = 0.3", dated))
    days = [dt.date(2024, 12, 31), dt.date(2025, 1, 1), dt.date(2020, 1, 1), dt.date(2025, 6, 1)]
    data = source(tmp_path, suffix, day=days)
    for side, expected in ((Side.TRAINING, ["1", "3"]), (Side.TEST, ["2", "4"])):
        rows = load_rows(data, without, role=Role.PLATFORM, day=DAY, side=side)
        assert ids_of(rows) == expected
    # What the gate leaves out needs no date.
    gated = without.model_copy(update={"consent": contract.consent})
    data = source(tmp_path, suffix, day=[*days[:2], None, None])
    assert ids_of(load_rows(data, gated, role=Role.PLATFORM, day=DAY)) == ["1"]


def test_withdrawals_need_the_persons_of_operational_tables(tmp_path: Path) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is Role.PLATFORM)
    data = withdrawing(operational(tmp_path, party.name), tmp_path, "person,from\n")
    contract = parse_contract(SHIPPED.replace('person = "person_id"', 'person = "customer"'))
    with pytest.raises(DataError, match="by the column customer, and rows of operational tables have id and"):
        load_rows(data, contract, role=Role.PLATFORM, day=DAY)


def test_an_empty_list_changes_nothing(tmp_path: Path) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is Role.PLATFORM)
    data = operational(tmp_path, party.name)
    contract = parse_contract(SHIPPED)
    plain = load_rows(data, contract, role=Role.PLATFORM, day=DAY)
    rows, counts = load_consenting(
        withdrawing(data, tmp_path, "person,from\n"), contract, role=Role.PLATFORM, day=DAY
    )
    assert rows.cells.tolist() == plain.cells.tolist()
    assert counts == ConsentCounts(admitted=party.tables["accounts"].num_rows)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("role", Role)
def test_operational_tables_that_nobody_agreed_to_are_no_rows(
    tmp_path: Path, role: Role, suffix: str
) -> None:
    tables, owner = operational_tables(role)
    tables[owner] = tables[owner].append_column("agreed", pa.nulls(len(tables[owner])))
    contract = parse_contract(SHIPPED + '\n[consent]\ngiven = "agreed"\n')
    rows, counts = load_consenting(as_files(tmp_path, tables, suffix), contract, role=role, day=DAY)
    assert rows.cells.shape == (0, len(contract.tables))
    assert counts is not None
    assert (counts.admitted, counts.not_given) == (0, len(tables[owner]))


@pytest.mark.parametrize("gated", [False, True], ids=["no gate", "gate"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("role", Role)
def test_empty_operational_tables_are_no_rows(
    tmp_path: Path,
    role: Role,
    suffix: str,
    gated: bool,  # noqa: FBT001 - pytest's own
) -> None:
    tables, _ = operational_tables(role)
    data = as_files(tmp_path, {name: table.slice(0, 0) for name, table in tables.items()}, suffix)
    data = withdrawing(data, tmp_path, "person,from\n17,\n") if gated else data
    contract = parse_contract(SHIPPED)
    rows, counts = load_consenting(data, contract, role=role, day=DAY)
    assert rows.cells.shape == (0, len(contract.tables))
    assert counts == (ConsentCounts(unmatched=1) if gated else None)


@pytest.mark.parametrize("role", Role)
def test_no_line_of_an_operational_table_takes_others_with_it(tmp_path: Path, role: Role) -> None:
    tables, owner = operational_tables(role)
    tables[owner] = tables[owner].append_column("agreed", pa.array([1] * len(tables[owner])))
    contract = parse_contract(SHIPPED + '\n[consent]\ngiven = "agreed"\n')
    data = as_files(tmp_path, tables, ".csv")
    expected = load_rows(data, contract, role=role, day=DAY)
    stray = [b'"', b'7,"', b'a"b,"c', b"\xff,\xff", b"\0", b'"' + b"x" * 2_000_000]
    for name in tables:
        header, *lines = (tmp_path / f"{name}.csv").read_bytes().splitlines()
        for number, garbage in enumerate(stray):
            lines.insert((number * len(lines)) // len(stray), garbage)
        (tmp_path / f"{name}.csv").write_bytes(b"\n".join([header, *lines, b""]))
    rows, counts = load_consenting(data, contract, role=role, day=DAY)
    assert len(rows) > 20
    for name in ("cells", "outcome", "ids", "persons"):
        assert getattr(rows, name).tolist() == getattr(expected, name).tolist()
    assert counts == ConsentCounts(admitted=len(tables[owner]), unreadable=len(stray) * len(tables))


def test_a_table_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is Role.PLATFORM)
    data = withdrawing(operational(tmp_path, party.name), tmp_path, "person,from\n")
    assert data.tables is not None
    orders = pq.read_table(data.tables / "orders.parquet")
    pq.write_table(orders.append_column("amount", orders["amount"]), data.tables / "orders.parquet")
    with pytest.raises(DataError, match="table 'orders' has more than one column 'amount': keep one"):
        load_rows(data, parse_contract(SHIPPED), role=Role.PLATFORM, day=DAY)


@pytest.mark.parametrize("name", ["accounts", "orders"])
def test_a_damaged_table_is_refused_and_not_quoted(tmp_path: Path, name: str) -> None:
    party = next(party for party in CONSORTIUM.parties if party.role is Role.PLATFORM)
    data = withdrawing(operational(tmp_path, party.name), tmp_path, "person,from\n")
    assert data.tables is not None
    (data.tables / f"{name}.parquet").write_text(CANARY)
    with pytest.raises(DataError, match=f"{name}.* cannot be read") as told:
        load_rows(data, parse_contract(SHIPPED), role=Role.PLATFORM, day=DAY)
    assert CANARY not in str(told.value)
