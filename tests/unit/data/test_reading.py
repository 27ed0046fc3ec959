from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fedscore.contract import Contract, Role
from fedscore.data import Rows, read_rows, rows_from_table, sources, training_rows
from fedscore.data.columns import ColumnReader
from fedscore.data.problems import Problems
from fedscore.errors import DataError

GOOD: dict[str, Any] = {
    "account": [101, 102, 103, 104],
    "customer": ["ann", "ann", "bob", "cyd"],
    "bad": [0, 1, 0, 1],
    "credit limit": [50.0, -1.0, None, 1000.0],
    "balance": [0, 5, 10, 20],
    "late": [0, 1, 98, 3],
    "product": ["card", "loan", None, "sofa"],
    "orders": [0, 1, 5, 9],
}
SECRET = 31337


def table_of(**changes: object) -> pa.Table:
    columns = {**GOOD, **{name.replace("_", " "): column for name, column in changes.items()}}
    return pa.table({name: column for name, column in columns.items() if column is not None})


def same(left: Rows, right: Rows) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("cells", "outcome", "ids", "persons")
    )


def refusal(read: Callable[[], Rows]) -> str:
    with pytest.raises(DataError) as caught:
        read()
    # A chained error would put Arrow's message, and with it values, into a traceback.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert str(SECRET) not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def refused(contract: Contract) -> Callable[..., str]:
    def of(**changes: object) -> str:
        return refusal(lambda: rows_from_table(table_of(**changes), contract, role=Role.PLATFORM))

    return of


@pytest.fixture
def refused_csv(contract: Contract, tmp_path: Path) -> Callable[[bytes], str]:
    def of(content: bytes) -> str:
        path = tmp_path / "file.csv"
        path.write_bytes(content)
        return refusal(lambda: read_rows(path, contract, role=Role.PLATFORM))

    return of


HEADER = b"account,customer,bad,credit limit,balance,late,product,orders\n"


def test_rows_are_what_the_table_holds(contract: Contract) -> None:
    rows = rows_from_table(table_of(), contract, role=Role.PLATFORM)
    assert rows.ids.tolist() == ["101", "102", "103", "104"]
    assert rows.persons.tolist() == ["ann", "ann", "bob", "cyd"]
    assert rows.outcome.tolist() == [0, 1, 0, 1]
    names = [table.name for table in contract.tables]
    found = {
        name: [
            contract.tables[names.index(name)].cells[cell].kind for cell in rows.cells[:, names.index(name)]
        ]
        for name in ("limit", "product")
    }
    assert found == {
        "limit": ["value", "special", "missing", "value"],
        "product": ["value", "value", "missing", "other"],
    }


def test_a_contract_without_persons_makes_every_row_a_person(contract: Contract) -> None:
    terms = contract.model_copy(
        update={"rows": contract.rows.model_copy(update={"person": None, "rows_per_person": 1})}
    )
    rows = rows_from_table(table_of(customer=None), terms, role=Role.PLATFORM)
    assert rows.persons.tolist() == rows.ids.tolist() == ["101", "102", "103", "104"]


def test_what_a_role_does_not_hold_is_not_even_looked_at(contract: Contract) -> None:
    plain = rows_from_table(table_of(orders=None), contract, role=Role.COLLECTOR)
    with_rubbish = rows_from_table(table_of(orders=["rubbish"] * 4), contract, role=Role.COLLECTOR)
    assert same(plain, with_rubbish)


@pytest.mark.parametrize("name", ["balance", "late", "orders"])
@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(9, 2),
        pa.decimal256(9, 2),
    ],
)
def test_numbers_of_every_type_are_the_same(contract: Contract, name: str, kind: pa.DataType) -> None:
    values = pa.array([Decimal(value) for value in GOOD[name]]).cast(kind)
    for array in (values, values.dictionary_encode()):
        rows = rows_from_table(table_of(**{name: array}), contract, role=Role.PLATFORM)
        assert same(rows, rows_from_table(table_of(), contract, role=Role.PLATFORM))


def test_a_decimal_is_the_number_that_its_digits_write() -> None:
    """Or a value on an edge would fall into another cell than the same value in a column of floats."""
    texts = [f"{cents // 100}.{cents % 100:02}0" for cents in range(0, 100_000, 7)]
    for kind in (pa.decimal128(12, 3), pa.decimal256(40, 3)):
        array = pa.array([Decimal(text) for text in texts] + [None], kind)
        found = ColumnReader(Problems("a table")).numbers(array, "amount")
        assert found[:-1].tolist() == [float(text) for text in texts]
        assert np.isnan(found[-1])


def test_nan_null_and_a_column_of_nulls_are_missing(contract: Contract) -> None:
    arrays = [pa.array([None] * 4), pa.array([None] * 4, pa.int16()), pa.array([float("nan")] * 4)]
    first, *others = [
        rows_from_table(table_of(balance=array), contract, role=Role.PLATFORM) for array in arrays
    ]
    assert all(same(first, other) for other in others)
    place = [table.name for table in contract.tables].index("balance")
    assert {contract.tables[place].cells[cell].label for cell in first.cells[:, place]} == {"missing"}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([7, 99, None, 5]),
        pa.array([7.0, 99.0, None, 5.0]),
        pa.array([7.0, 99.0, float("nan"), 5.0], pa.float32()),
        pa.array([Decimal(7), Decimal(99), None, Decimal(5)]),
        pa.array(["7", "99", None, "5"]),
        pa.array(["7", "99", "", "5"], pa.large_string()),
        pa.array(["7", "99", None, "5"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_levels_of_every_type_are_the_same(contract: Contract, array: pa.Array) -> None:
    rows = rows_from_table(table_of(product=array), contract, role=Role.PLATFORM)
    place = [table.name for table in contract.tables].index("product")
    labels = [contract.tables[place].cells[cell].label for cell in rows.cells[:, place]]
    assert labels == ["7", "withdrawn", "missing", "other"]


def test_booleans_are_levels_too(contract: Contract) -> None:
    rows = rows_from_table(table_of(product=[True, False, None, True]), contract, role=Role.PLATFORM)
    spelled = rows_from_table(table_of(product=["true", "false", "", "true"]), contract, role=Role.PLATFORM)
    assert same(rows, spelled)


@pytest.mark.parametrize(
    "labels",
    [
        [False, True, False, True],
        [0.0, 1.0, 0.0, 1.0],
        pa.array([0, 1, 0, 1], pa.uint8()),
        [Decimal(0), Decimal(1), Decimal(0), Decimal(1)],
    ],
)
def test_outcomes_of_every_type_are_the_same(contract: Contract, labels: object) -> None:
    assert same(
        rows_from_table(table_of(bad=labels), contract, role=Role.PLATFORM),
        rows_from_table(table_of(), contract, role=Role.PLATFORM),
    )


@pytest.mark.parametrize("kind", [pa.int16(), pa.uint64(), pa.string(), pa.large_string()])
def test_ids_of_every_type_are_the_same(contract: Contract, kind: pa.DataType) -> None:
    for array in (
        pa.array(GOOD["account"]).cast(kind),
        pa.array(GOOD["account"]).cast(kind).dictionary_encode(),
    ):
        rows = rows_from_table(table_of(account=array), contract, role=Role.PLATFORM)
        assert rows.ids.tolist() == ["101", "102", "103", "104"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"balance": ["31337"] * 4}, "column 'balance': 4 rows with text where a number is needed: convert"),
        ({"balance": [True] * 4}, "column 'balance': 4 rows with bool where a number is needed"),
        (
            {"balance": pa.array([SECRET] * 4).cast(pa.timestamp("s"))},
            "column 'balance': 4 rows with timestamp[s] where a number is needed",
        ),
        (
            {"balance": [[SECRET]] * 4},
            "column 'balance': 4 rows with list<item: int64> where a number is needed",
        ),
        (
            {"balance": [1.0, float("inf"), float("-inf"), 2.0]},
            "column 'balance': 2 rows with an infinity: leave",
        ),
        (
            {"product": [0.5, 1.0, float("inf"), 1e300]},
            "column 'product': 3 rows with a number that is no exact",
        ),
        ({"product": [b"\xff"] * 4}, "column 'product': 4 rows with binary where a category is needed"),
        ({"bad": [0, 1, 2, -1]}, "column 'bad': 2 rows with an outcome outside {0, 1}: write 1 for bad"),
        ({"bad": [0, 1, 0.5, float("inf")]}, "column 'bad': 2 rows with an outcome outside {0, 1}"),
        ({"bad": [0, None, 1, 1]}, "column 'bad': 1 row with no outcome"),
        ({"bad": [0.0, float("nan"), None, 1.0]}, "column 'bad': 2 rows with no outcome: leave out"),
        ({"bad": ["0", "1", "0", "1"]}, "column 'bad': 4 rows with text where the outcome is needed"),
        (
            {"account": [SECRET, SECRET, 2, SECRET]},
            "column 'account': 2 rows with the identifier of an earlier",
        ),
        (
            {"account": ["1", None, "", "2"]},
            "column 'account': 2 rows with no identifier: give every row one",
        ),
        (
            {"account": [1.0, 2.0, 3.0, 4.0]},
            "column 'account': 4 rows with double where an identifier is needed",
        ),
        ({"account": pa.array([None] * 4)}, "column 'account': 4 rows with no identifier"),
        ({"customer": ["ann", None, "bob", None]}, "column 'customer': 2 rows with no identifier"),
        (
            {"late": None},
            "column 'late' is missing among its 7 columns: add it, or agree on a contract without",
        ),
        ({"late": None, "bad": None}, "columns 'bad', 'late' are missing among its 6 columns: add them"),
    ],
)
def test_what_does_not_fit_is_told_with_column_count_and_remedy(
    refused: Callable[..., str], changes: dict[str, Any], message: str
) -> None:
    assert message in refused(**changes)


def test_all_problems_are_told_at_once(refused: Callable[..., str]) -> None:
    told = refused(
        account=[1, 1, 2, 3],
        customer=None,
        bad=[0, 5, None, 1],
        balance=[1.0, float("inf"), 2.0, 3.0],
        late=["x"] * 4,
    )
    assert told.splitlines()[0] == "the table does not fit the contract:"
    assert len(told.splitlines()) == 7
    for column in ("account", "customer", "bad", "balance", "late"):
        assert f"column '{column}'" in told


def test_counts_add_up_over_batches_and_ids_repeat_across_them(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BATCH_ROWS", 3)
    ten = {name: [*values, *values, *values[:2]] for name, values in GOOD.items()}
    told = refusal(
        lambda: rows_from_table(
            pa.table({**ten, "bad": [0, 1, 2, 0, 1, 2, 2, 0, 0, 2]}), contract, role=Role.PLATFORM
        )
    )
    assert "column 'account': 6 rows with the identifier" in told
    assert "column 'bad': 4 rows with an outcome outside" in told


@pytest.mark.parametrize("kind", ["table", "table without batches", ".parquet", ".csv"])
@pytest.mark.parametrize("role", Role)
def test_no_rows_are_no_error(contract: Contract, tmp_path: Path, kind: str, role: Role) -> None:
    """A node that refused for it would tell that it has none."""
    empty = table_of().slice(0, 0) if kind != "table without batches" else table_of().schema.empty_table()
    if kind.startswith("."):
        write = pq.write_table if kind == ".parquet" else pyarrow.csv.write_csv
        write(empty, tmp_path / f"rows{kind}")
        rows = read_rows(tmp_path / f"rows{kind}", contract, role=role)
    else:
        rows = rows_from_table(empty, contract, role=role)
    assert rows.cells.shape == (0, len(contract.tables))
    assert len(rows) == len(rows.ids) == len(rows.persons) == 0
    assert len(training_rows(rows, contract)) == 0


def test_columns_are_missing_also_where_there_are_no_rows(contract: Contract) -> None:
    empty = table_of(late=None).slice(0, 0)
    assert "column 'late' is missing" in refusal(lambda: rows_from_table(empty, contract, role=Role.PLATFORM))


def test_a_column_twice_is_refused(contract: Contract) -> None:
    table = table_of().append_column("late", pa.array([0, 0, 0, 0]))
    told = refusal(lambda: rows_from_table(table, contract, role=Role.PLATFORM))
    assert "column 'late' is there more than once: keep the right one" in told
    unneeded = table_of(gossip=[1] * 4).append_column("gossip", pa.array([2] * 4))
    assert len(rows_from_table(unneeded, contract, role=Role.PLATFORM)) == 4


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".PARQUET", ".CSV"])
def test_files_hold_the_same_rows_as_their_table(contract: Contract, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    write = pq.write_table if suffix.lower() == ".parquet" else pyarrow.csv.write_csv
    write(table_of(gossip=["x"] * 4), path)
    expected = rows_from_table(table_of(), contract, role=Role.PLATFORM)
    assert same(read_rows(path, contract, role=Role.PLATFORM), expected)
    assert same(read_rows(str(path), contract, role=Role.PLATFORM), expected)


def test_a_csv_may_be_written_in_many_ways(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + HEADER.replace(b"\n", b",note\r\n") + b'101,ann,False,50,0,0,card,0,"a, b"\r\n'
        b'102,"ann",TRUE, -1 ,5e0,1.0,loan,1,"two\r\nlines"\r\n'
        b"\r\n"
        b"103,bob,0,,10,98,,5.,\r\n"
        b"104,cyd,1.0,+1000,20,3,sofa,9,\xff\r\n"
    )
    expected = rows_from_table(table_of(), contract, role=Role.PLATFORM)
    assert same(read_rows(path, contract, role=Role.PLATFORM), expected)


def test_a_line_break_within_quotes_ends_no_block(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_CSV_BLOCK_BYTES", 256)
    path = tmp_path / "rows.csv"
    row = b'%d,ann,0,50,0,0,card,0,"' + b"a line of a note\n" * 3 + b'"\n'
    path.write_bytes(HEADER.replace(b"\n", b",note\n") + b"".join(row % number for number in range(200)))
    rows = read_rows(path, contract, role=Role.PLATFORM)
    assert rows.ids.tolist() == [str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file.csv is empty: a header is needed"),
        (b"\n\n", "is empty"),
        (
            HEADER + b"1,ann,0,31337kr,1,1,card,1\n2,b,0,1.234,1,1,card,1\n",
            "column 'credit limit': 1 row with text",
        ),
        (
            HEADER + b"1,ann,0,NA,1,1,card,1\n2,b,0,0x1,1,1,card,1\n",
            "column 'credit limit': 2 rows with text where",
        ),
        (
            HEADER + b"1,ann,0,inf,1,1,card,1\n2,b,0,1e999,1,1,card,1\n",
            "column 'credit limit': 2 rows with an infini",
        ),
        (
            HEADER + b"1,ann,yes,1,1,1,card,1\n2,b,2,1,1,1,card,1\n",
            "column 'bad': 1 row with text where a number",
        ),
        (
            HEADER + b"1,ann,yes,1,1,1,card,1\n2,b,2,1,1,1,card,1\n",
            "column 'bad': 1 row with an outcome outside",
        ),
        (HEADER + b"1,ann,,1,1,1,card,1\n", "column 'bad': 1 row with no outcome"),
        (HEADER + b",ann,1,1,1,1,card,1\n", "column 'account': 1 row with no identifier"),
        (
            HEADER + b"1,ann,0,1,1,1,c\xe9,1\n2,b,0,1,1,1,c\xc3\xa9,1\n",
            "column 'product': 1 row with bytes that are not UTF-8: save",
        ),
        (
            HEADER + b"1,ann,0,1,1,1,card,1\n31337,x\n",
            "1 row has more or fewer fields than the header: put values",
        ),
        (HEADER + b"1,ann,0,1,1,1,card,1,\n2,a,0,1,1,1,card,1,2\n", "2 rows have more or fewer fields"),
        (HEADER.replace(b",", b";") + b"1;ann;0;1;1;1;card;1\n", "are missing among its 1 columns"),
        (HEADER.decode().encode("utf-16"), "columns of its header are not UTF-8: save the file as UTF-8"),
        (HEADER.decode().encode("utf-16-le"), "columns of its header are not UTF-8"),
        (HEADER.replace(b"late", b"l\xe4te"), "1 columns of its header are not UTF-8"),
        (b"x" * 200_000, "cannot be read as CSV: write it as UTF-8 with commas"),
    ],
)
def test_what_a_csv_must_not_be(refused_csv: Callable[[bytes], str], content: bytes, message: str) -> None:
    assert message in refused_csv(content)


def test_no_value_of_a_csv_is_ever_told(refused_csv: Callable[[bytes], str]) -> None:
    told = refused_csv(
        HEADER + b"31337,31337,31337,31337x,31337x,31337x,31337,31337x\n" * 2 + b"31337,31337\n"
    )
    assert told.count("\n") == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "none.parquet is no file: name a Parquet"),
        ("rows.xlsx", b"PK", "rows.xlsx ends in neither .parquet nor .csv: convert it"),
        ("rows", b"", "ends in neither"),
        ("rows.parquet", b"31337,1\n", "rows.parquet cannot be read as Parquet"),
        ("rows.parquet", b"", "rows.parquet cannot be read as Parquet"),
    ],
)
def test_what_is_no_file_of_ours(
    contract: Contract, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refusal(lambda: read_rows(tmp_path / name, contract, role=Role.PLATFORM))


def test_a_folder_is_no_file(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").mkdir()
    assert "is no file" in refusal(lambda: read_rows(tmp_path / "rows.parquet", contract, role=Role.PLATFORM))


def test_a_damaged_page_is_told_as_damage(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table_of(), path, compression="gzip")
    intact = path.read_bytes()
    path.write_bytes(intact[:4] + bytes(len(intact) // 2) + intact[4 + len(intact) // 2 :])
    assert "cannot be read as Parquet" in refusal(lambda: read_rows(path, contract, role=Role.PLATFORM))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_raw_columns_are_never_in_memory_as_a_whole(
    contract: Contract, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BATCH_ROWS", 1000)
    monkeypatch.setattr(sources, "_CSV_BLOCK_BYTES", 100_000)
    n = 20_000
    big = pa.table(
        {
            **{name: [values[0]] * n for name, values in GOOD.items()},
            "account": np.arange(n),
            "product": ["x" * 1000] * n,
        }
    )
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(big, path, row_group_size=1000, use_dictionary=False, compression="none")
    else:
        pyarrow.csv.write_csv(big, path)
    del big
    pool = pa.default_memory_pool()
    before, peak = pool.bytes_allocated(), 0
    read = ColumnReader.categories

    def watched(self: ColumnReader, array: pa.Array, column: str) -> pa.StringArray:
        nonlocal peak
        peak = max(peak, pool.bytes_allocated() - before)
        return read(self, array, column)

    monkeypatch.setattr(ColumnReader, "categories", watched)
    assert len(read_rows(path, contract, role=Role.PLATFORM)) == n
    assert 1_000_000 * (suffix == ".parquet") < peak < path.stat().st_size / 2
