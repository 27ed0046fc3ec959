"""`fedscore card score` and `fedscore card export`, as they are typed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fedscore.card import Grade
from fedscore.card.signing import SIGNER_FILE, signed
from fedscore.cli.main import app
from fedscore.contract import Characteristic, Grid, ValueType
from privacy.identities import Identity
from tests.cards import plain_card, table

IDENTITY = Identity.generate("operator")
GRID = Grid(
    characteristics=(
        Characteristic(
            name="use",
            column="use",
            type=ValueType.NUMBER,
            edges=(0.5,),
            reasons={"en": "You use much of your limit.", "zh": "您的额度使用率较高。"},
        ),
    )
)
GRADES = tuple(
    Grade(name=name, lowest_score=lowest, share=0.5, bad_rate=0.1, standard_error=0.1)
    for name, lowest in (("A", 500.0), ("B", None))
)
CARD = plain_card(table("use", [5.0, -5.0, 0.0]), grid=GRID, grades=GRADES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    signed(CARD, IDENTITY).write(tmp_path / "card.json")
    (tmp_path / SIGNER_FILE).write_text(IDENTITY.public.to_json())
    (tmp_path / "in.csv").write_text("account,use\na,0.1\nb,0.9\nc,much\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["card", *arguments])
    return result.exit_code, result.stdout, result.stderr


SCORE = ("score", "card.json", "in.csv", "--out", "out.csv", "--id", "account")


def test_scores_reasons_and_bad_rows_are_written_and_counted(folder: Path) -> None:
    code, told, _ = run(*SCORE, "--reasons", "1", "--language", "zh")
    assert code == 0
    assert told.splitlines() == [
        "2 rows scored: out.csv",
        "  grade A: 1 (50.0%)",
        "  grade B: 1 (50.0%)",
        "1 rows could not be scored (not-a-number 1): out.bad.csv",
    ]
    lines = (folder / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"id","score","probability","grade","reason_1"'
    assert lines[2].startswith('"b",495,')
    assert lines[2].endswith('"B","您的额度使用率较高。"')
    assert (folder / "out.bad.csv").read_text(encoding="utf-8").splitlines()[
        1
    ] == '3,"c","use","not-a-number"'


def test_counts_come_as_json(folder: Path) -> None:
    code, told, _ = run(*SCORE, "--bad", "misfits.parquet", "--json")
    assert code == 0
    assert json.loads(told) == {
        "scored": 2,
        "left_out": 1,
        "faults": {"not-a-number": 1},
        "grades": {"A": 1, "B": 1},
        "out": "out.csv",
        "bad": "misfits.parquet",
    }
    assert pq.read_metadata(folder / "misfits.parquet").num_rows == 1


def test_a_file_of_which_no_row_can_be_scored_fails(folder: Path) -> None:
    (folder / "in.csv").write_text("account,use\na,much\n", encoding="utf-8")
    code, told, _ = run(*SCORE)
    assert code == 1
    assert "0 rows scored" in told


@pytest.mark.parametrize("command", [SCORE, ("export", "card.json", "--sql")])
def test_a_card_is_used_only_if_the_expected_key_signed_it(folder: Path, command: tuple[str, ...]) -> None:
    other = Identity.generate("operator").public.signing_key.hex()
    for arguments, said in (
        (("--signer", other), "another consortium's"),
        (("--signer", "nobody.json"), "is no public identity"),
    ):
        code, told, refused = run(*command, *arguments)
        assert (code, told) == (1, "")
        assert refused.startswith("fedscore: ")
        assert said in " ".join(refused.split())
    CARD.write(folder / "card.json")
    assert "is not signed" in run(*command)[2]
    (folder / "card.json").write_bytes((folder / "card.json").read_bytes()[:-100])
    assert "not a card of schema 2" in run(*command)[2]
    assert not (folder / "out.csv").exists()


def test_the_exported_query_runs_and_gives_the_same(folder: Path) -> None:
    key = IDENTITY.public.signing_key.hex()
    code, query, _ = run(
        "export", "card.json", "--sql", "--table", "people", "--id", "account", "--signer", key
    )
    assert code == 0
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("EXP", 1, lambda value: value)
        database.execute("CREATE TABLE people (account TEXT, use REAL)")
        database.executemany("INSERT INTO people VALUES (?, ?)", [("a", 0.1), ("b", 0.9), ("c", None)])
        found = database.execute(query).fetchall()
    assert [(row[0], row[1], row[3]) for row in found] == [
        ("a", 505.0, "A"),
        ("b", 495.0, "B"),
        ("c", 500.0, "A"),
    ]
    run("score", "card.json", "in.csv", "--out", "out.parquet", "--id", "account")
    assert pq.read_table(folder / "out.parquet")["score"].to_pylist() == [505.0, 495.0]


def test_export_asks_what_the_card_is_to_become(folder: Path) -> None:
    code, told, refused = run("export", "card.json")
    assert (folder.exists(), code, told) == (True, 2, "")
    assert "--sql is what there is" in " ".join(refused.replace("│", " ").split())


def test_numbers_stay_numbers_in_typed_files(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "use": [0.1, None]}), folder / "in.parquet")
    assert run("score", "card.json", "in.parquet", "--out", "out.parquet", "--role", "collector")[0] == 0
    assert pq.read_table(folder / "out.parquet")["id"].to_pylist() == [1, 2]
