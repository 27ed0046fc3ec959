"""A file of customers becomes a file of scores: each row judged by itself, whole files or none."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from fedscore.card import Card
from fedscore.card.batch import BatchResult, score_file
from fedscore.card.judging import Fault
from fedscore.card.scoring import Scorer
from fedscore.contract import Characteristic, Grid, Role, Special, ValueType
from fedscore.data.sources import BATCH_ROWS
from fedscore.errors import DataError
from tests.cards import plain_card, table
from tests.random_cards import Drawn, cards_with_rows, table_of
from tests.trained_cards import taiwan

GRID = Grid(
    characteristics=(
        Characteristic(
            name="use",
            column="use",
            type=ValueType.NUMBER,
            edges=(0.5, 1.0),
            special=(Special(code=98, meaning="refused"),),
            reasons={"en": "You use much of your limit.", "zh": "您的额度使用率较高。"},
        ),
        Characteristic(
            name="kind", column="kind", type=ValueType.CATEGORY, levels=("1", "b"), description="What it is."
        ),
    )
)
CARD = plain_card(
    table("use", [3.0, 0.0, -3.0, -5.0, -7.0]), table("kind", [2.0, 0.0, -1.0, -2.0]), grid=GRID
)


def run(rows: pa.Table | bytes, folder: Path, *, card: Card = CARD, suffix: str = ".parquet") -> BatchResult:
    source = folder / ("in.csv" if isinstance(rows, bytes) else "in.parquet")
    if isinstance(rows, bytes):
        source.write_bytes(rows)
    else:
        pq.write_table(rows, source)
    return score_file(
        Scorer(card, role=Role.PLATFORM, reasons=2),
        source,
        folder / f"out{suffix}",
        bad=folder / f"bad{suffix}",
        id_column="id",
    )


def scores(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(folder / "out.parquet").to_pylist()
    return found


def misfits(folder: Path) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in pq.read_table(folder / "bad.parquet").to_pylist()]


def test_columns_are_score_probability_grade_and_reasons(tmp_path: Path) -> None:
    rows = pa.table({"id": [7, 8], "use": [2.0, 0.1], "kind": ["1", "b"], "unused": [0, 0]})
    result = run(rows, tmp_path)
    assert result == BatchResult(scored=2, left_out=0, faults={}, grades={})
    first, second = scores(tmp_path)
    assert list(first) == ["id", "score", "probability", "grade", "reason_1", "reason_2"]
    assert (first["id"], first["score"], first["grade"]) == (7, 499.0, None)
    assert first["probability"] == 1 / (1 + math.exp((499.0 - CARD.scale.offset) / CARD.scale.factor))
    # The mean of use is -2.4, of kind -0.25.
    assert (first["reason_1"], first["reason_2"]) == ("You use much of your limit.", None)
    assert (second["reason_1"], second["reason_2"]) == (None, None)
    assert not (tmp_path / "bad.parquet").exists()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_every_fault_has_its_code_and_other_rows_their_score(tmp_path: Path, suffix: str) -> None:
    lines = [
        b"id,use,kind",
        b"a,0.1,b",
        b",0.1,b",
        b"c,much,b",
        b"d,inf,b",
        b"e,-Infinity,b",
        b"f,0.1,\xff",
        b"g,,",
        b"h, nan ,b",
        b"i,0.1",
        b"j,0.1,b,b",
        b"k,1e999,b",
        b"l,x,\xfe",
    ]
    result = run(b"\n".join(lines) + b"\n", tmp_path, suffix=suffix)
    assert (result.scored, result.left_out) == (3, 9)
    assert result.faults == {
        Fault.NO_ID: 1,
        Fault.NOT_A_NUMBER: 2,
        Fault.INFINITE: 3,
        Fault.NOT_UTF8: 2,
        Fault.FIELDS: 2,
    }
    if suffix == ".csv":
        with (tmp_path / "bad.csv").open(encoding="utf-8") as file:
            told = list(csv.reader(file))
        assert told[0] == ["row", "id", "column", "code"]
        assert ["3", "c", "use", "not-a-number"] in told
        assert [
            row["id"]
            for row in csv.DictReader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines())
        ] == [*"agh"]
        return
    assert [row["id"] for row in scores(tmp_path)] == ["a", "g", "h"]
    assert sorted(map(str, misfits(tmp_path))) == sorted(
        map(
            str,
            [
                (2, None, "id", "no-id"),
                (3, "c", "use", "not-a-number"),
                (4, "d", "use", "infinite"),
                (5, "e", "use", "infinite"),
                (6, "f", "kind", "not-utf-8"),
                # Rows of a wrong number of fields have no place among the others.
                (9, "k", "use", "infinite"),
                (10, "l", "kind", "not-utf-8"),
                (10, "l", "use", "not-a-number"),
                (None, None, None, "fields"),
                (None, None, None, "fields"),
            ],
        )
    )


def test_a_typed_file_is_judged_row_by_row(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": pa.array(["a", None, "c", "d", ""]),
            "use": pa.array([0.1, 0.1, math.inf, math.nan, 0.1]),
            "kind": pa.array([1.0, 1.0, 1.0, 1.5, 2.0]),
        }
    )
    result = run(rows, tmp_path)
    assert [row["id"] for row in scores(tmp_path)] == ["a"]
    assert misfits(tmp_path) == [
        (2, None, "id", "no-id"),
        (3, "c", "use", "infinite"),
        (4, "d", "kind", "not-a-level"),
        (5, "", "id", "no-id"),
    ]
    assert result.left_out == 4


def test_values_never_reach_the_file_of_bad_rows(tmp_path: Path) -> None:
    run(b"id,use,kind\na,secret-4711,b\nb,inf,secret-\xff\n", tmp_path, suffix=".csv")
    told = (tmp_path / "bad.csv").read_bytes()
    assert b"secret" not in told
    assert b"4711" not in told


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.dictionary(pa.int8(), pa.string()), ["1", "b", None, "1"]),
        (pa.large_string(), ["1", "b", "", "1"]),
        (pa.int8(), [1, 7, None, 1]),
        (pa.float32(), [1.0, 7.0, math.nan, 1.0]),
    ],
)
def test_columns_may_have_any_type_that_says_the_same(
    tmp_path: Path, kind: pa.DataType, values: list[object]
) -> None:
    rows = pa.table(
        {"id": range(4), "use": pa.array([1, 0, 98, None], pa.int32()), "kind": pa.array(values, kind)}
    )
    run(rows, tmp_path)
    second = 0.0 if values[1] == "b" else -1.0
    assert [row["score"] for row in scores(tmp_path)] == [499.0, 503.0 + second, 493.0, 495.0]


def test_a_column_that_no_row_could_be_scored_with_is_refused(tmp_path: Path) -> None:
    rows = pa.table({"id": [1], "use": ["0.1"], "kind": ["b"]})
    with pytest.raises(DataError, match="column 'use': all rows with text where a number is needed"):
        run(rows, tmp_path)
    with pytest.raises(DataError, match="column 'kind' is missing"):
        run(rows.drop_columns("kind"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_identifiers_keep_their_type_and_others_are_refused(tmp_path: Path) -> None:
    rows = pa.table({"id": pa.array([1], pa.uint8()), "use": [0.1], "kind": ["b"]})
    run(rows, tmp_path)
    assert pq.read_schema(tmp_path / "out.parquet").field("id").type == pa.uint8()
    with pytest.raises(DataError, match="an identifier is text or an integer"):
        run(rows.set_column(0, "id", pa.array([1.0])), tmp_path)


def test_a_file_without_rows_gives_a_file_without_scores(tmp_path: Path) -> None:
    rows = pa.table(
        {"id": pa.array([], pa.int64()), "use": pa.array([], pa.float64()), "kind": pa.array([], pa.string())}
    )
    assert run(rows, tmp_path) == BatchResult(scored=0, left_out=0, faults={}, grades={})
    assert scores(tmp_path) == []


def many(count: int) -> pa.Table:
    return pa.table(
        {
            "id": range(count),
            "use": pa.array(np.random.default_rng(1).normal(size=count)),
            "kind": pa.array(["b"] * count),
        }
    )


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_whatever_stops_it_nothing_is_half_written(tmp_path: Path, stop: type[BaseException]) -> None:
    pq.write_table(many(3 * BATCH_ROWS), tmp_path / "in.parquet")
    (tmp_path / "out.parquet").write_text("old")
    (tmp_path / "bad.parquet").write_text("old")

    def interrupt(rows: int) -> None:
        if rows > BATCH_ROWS:
            raise stop

    with pytest.raises(stop):
        score(tmp_path, interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.parquet", "in.parquet", "out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == (tmp_path / "bad.parquet").read_text() == "old"
    seen: list[int] = []
    score(tmp_path, seen.append)
    assert seen == [BATCH_ROWS, 2 * BATCH_ROWS, 3 * BATCH_ROWS]
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 3 * BATCH_ROWS
    assert not (tmp_path / "bad.parquet").exists()


def score(folder: Path, progress: Callable[[int], None]) -> None:
    score_file(
        Scorer(CARD, role=Role.PLATFORM),
        folder / "in.parquet",
        folder / "out.parquet",
        bad=folder / "bad.parquet",
        id_column="id",
        progress=progress,
    )


@pytest.mark.parametrize(
    ("out", "bad", "told"),
    [
        ("in.parquet", "bad.csv", "must be three files"),
        ("out.csv", "out.csv", "must be three files"),
        ("out.txt", "bad.csv", "neither .parquet nor .csv"),
        ("none/out.csv", "bad.csv", "cannot be written"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_anything_is_read(
    tmp_path: Path, out: str, bad: str, told: str
) -> None:
    pq.write_table(many(2), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=told):
        score_file(
            Scorer(CARD, role=Role.PLATFORM),
            tmp_path / "in.parquet",
            tmp_path / out,
            bad=tmp_path / bad,
            id_column="id",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_csv_and_parquet_give_the_same_scores_of_taiwan(shared_data: Path, tmp_path: Path) -> None:
    trained = taiwan(shared_data)
    rows = pq.read_table(trained.file)
    assert run(rows, tmp_path, card=trained.card).scored == len(trained.rows)
    typed = pq.read_table(tmp_path / "out.parquet")
    assert np.array_equal(typed["score"].to_numpy(), trained.card.score(trained.rows.cells))
    arrow_csv.write_csv(rows, tmp_path / "copy.csv")
    result = run((tmp_path / "copy.csv").read_bytes(), tmp_path, card=trained.card)
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.drop_columns("id").equals(typed.drop_columns("id"))
    assert written["id"].to_pylist() == list(map(str, typed["id"].to_pylist()))
    assert sum(result.grades.values()) == 30_000


@settings(max_examples=30)
@given(cards_with_rows())
def test_rows_that_fit_are_scored_as_if_the_others_were_not_there(tmp_path: Path, drawn: Drawn) -> None:
    rows = table_of(drawn)
    pq.write_table(rows, tmp_path / "in.parquet")
    scorer = Scorer(drawn.card, role=drawn.role, reasons=3)
    files = {"out": tmp_path / "out.parquet", "bad": tmp_path / "bad.parquet"}
    result = score_file(scorer, tmp_path / "in.parquet", files["out"], bad=files["bad"], id_column="id")
    assert result.scored + result.left_out == len(rows)
    together = pq.read_table(files["out"]).to_pylist()
    apart = []
    for place in range(len(rows)):
        pq.write_table(rows.slice(place, 1), tmp_path / "in.parquet")
        score_file(scorer, tmp_path / "in.parquet", files["out"], bad=files["bad"], id_column="id")
        apart += pq.read_table(files["out"]).to_pylist()
    assert together == apart


PIECES = (
    *(
        b"0.1",
        b"-3",
        b"98",
        b"",
        b" ",
        b"nan",
        b"NaN",
        b"inf",
        b"-Infinity",
        b"1e5",
        b"1e999",
        b"1,5",
        b"b",
        b"1",
    ),
    *(b"\xff\xfe", b"\x00", b'"', b'""', b'"a,b"', b"'", b"\xc3\xa9", b"--", b"0x10", b"1_000", b"True"),
    *(b"\r", b"\t", b";", b"\xe2\x80\xa8", b"=1+1", b"-0.0", b".", b"e", b"+", b"1.", b".5", b"9" * 400),
)


def test_ten_thousand_rows_of_rubbish_are_scored_or_coded(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    places = generator.integers(0, len(PIECES), (10_000, 3))
    # Quotes and line ends are left to rows of their own file: they decide where rows end.
    calm = [piece for piece in PIECES if not set(piece) & set(b'"\r,')]
    lines = [b",".join(calm[place % len(calm)] for place in row) for row in places.tolist()]
    result = run(b"id,use,kind\n" + b"\n".join(lines) + b"\n", tmp_path)
    # A line of spaces and commas is a row; one without anything is none.
    assert result.scored + result.left_out == 10_000
    assert result.scored > 500
    table_ = pq.read_table(tmp_path / "bad.parquet")
    assert len(set(table_["row"].to_pylist())) == result.left_out
    assert set(table_["code"].to_pylist()) == {"no-id", "not-a-number", "infinite", "not-utf-8"}
    points = set(pq.read_table(tmp_path / "out.parquet")["score"].to_pylist())
    assert points <= {500.0 + use + kind for use in (3, 0, -3, -5, -7) for kind in (2, 0, -1, -2)}


@pytest.mark.parametrize("seed", range(20))
def test_rubbish_that_moves_the_ends_of_rows_is_scored_or_coded(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pieces = [PIECES[place] for place in generator.integers(0, len(PIECES), 900)]
    body = b"".join(piece + (b"\n" if place % 3 == 2 else b",") for place, piece in enumerate(pieces))
    result = run(b"id,use,kind\n" + body, tmp_path)
    assert result.scored == pq.read_metadata(tmp_path / "out.parquet").num_rows
    assert sum(result.faults.values()) >= result.left_out > 0


def test_a_quote_that_is_left_open_costs_its_own_row_alone(tmp_path: Path) -> None:
    result = run(b'id,use,kind\na,0.1,"b\nb,0.1,b\nc,"0.1",b\n\xff,0.1\nd,0.1,b\n', tmp_path)
    assert [row["id"] for row in scores(tmp_path)] == ["b", "c", "d"]
    assert result.faults == {Fault.FIELDS: 2}
