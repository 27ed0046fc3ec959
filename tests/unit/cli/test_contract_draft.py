"""`fedscore contract draft`: from a file's names and types, never its values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.contract import load_contract
from tests.unit.contract.test_proposal import filled_in

SHARED = Path(__file__).parents[4] / "shared" / "data"


def draft(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["contract", "draft", *map(str, arguments)])


def check(path: Path) -> Result:
    return CliRunner().invoke(app, ["contract", "check", str(path)])


def rows(seed: int) -> pa.Table:
    """Rows of one schema; nothing else is the same."""
    generator = np.random.default_rng(seed)
    size = 1000 + seed
    return pa.table(
        {
            "id": generator.permutation(size),
            "age": generator.integers(18 + seed, 90, size),
            "income": pa.array(
                generator.random(size) * 1000 * seed, mask=generator.random(size) < 0.1 * seed
            ),
            "channel": pa.array(generator.choice([f"web{seed}", f"shop{seed}"], size)).dictionary_encode(),
            "y": generator.integers(0, 2, size),
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pq.write_table(rows(1), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_other_values_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pq.write_table(rows(7), tmp_path / "other" / "rows.parquet", compression="zstd", row_group_size=100)
    one, other = draft(file), draft(tmp_path / "other" / "rows.parquet")
    assert one.exit_code == other.exit_code == 0
    assert one.stdout == other.stdout
    assert "web1" not in one.stdout
    # The check can fail: another schema gives another draft.
    renamed = rows(1).rename_columns(["id", "age", "salary", "channel", "y"])
    pq.write_table(renamed, tmp_path / "other" / "rows.parquet")
    assert draft(tmp_path / "other" / "rows.parquet").stdout != one.stdout


def test_other_values_of_a_csv_file_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("id,age,y\n1,20,0\n")
    (tmp_path / "x.csv").write_bytes(b"id,age,y\n\xff\xfe,\x00," + b'"' * 3 + b"\nno row at all\n")
    one, other = draft(tmp_path / "a" / "x.csv"), draft(tmp_path / "x.csv")
    assert one.exit_code == other.exit_code == 0
    assert one.stdout == other.stdout
    assert "types are to be decided" in one.stderr


def test_no_page_of_values_is_opened(file: Path) -> None:
    """Every byte before the footer is destroyed: the schema stands in the footer."""
    whole = draft(file).stdout
    content = bytearray(file.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = b"\xa5" * (len(content) - footer - 4)
    file.write_bytes(content)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(file)
    assert draft(file).stdout == whole


def test_an_existing_file_is_never_overwritten(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "contract.toml"
    assert draft(file, "--out", out).exit_code == 0
    out.write_text("edited")
    refused = draft(file, "--out", out)
    assert refused.exit_code == 1
    assert "name a new file" in refused.stderr
    assert out.read_text() == "edited"
    nowhere = draft(file, "--out", tmp_path / "none" / "contract.toml")
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr


def test_from_a_file_to_a_contract(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "contract.toml"
    told = draft(file, "--out", out)
    assert (told.exit_code, told.stdout) == (0, "")
    assert "8 lines say TODO" in told.stderr
    text = out.read_text()
    refused = check(out)
    assert refused.exit_code == 1
    todo = [number for number, line in enumerate(text.splitlines(), 1) if "TODO:" in line]
    assert [line.split(":")[1] for line in refused.stdout.splitlines() if ": error: " in line] == [
        str(number) for number in todo
    ]
    assert "age has no edges: give its public grid" in refused.stdout
    out.write_text(filled_in(text))
    assert check(out).exit_code == 0, check(out).stdout
    contract = load_contract(out)
    assert (contract.rows.id, contract.outcome.column) == ("id", "y")
    assert [item.name for item in contract.characteristics] == ["age", "income", "channel"]


def test_columns_can_be_named(file: Path) -> None:
    assert 'column = "income"' in draft(file, "--outcome", "income").stdout
    assert 'id = "age"' in draft(file, "--id", "age").stdout
    refused = draft(file, "--outcome", "agee")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "did you mean age?" in refused.stderr


@pytest.mark.skipif(not (SHARED / "pakdd2009.parquet").exists(), reason="PAKDD 2009 is not here")
def test_pakdd(tmp_path: Path) -> None:
    out = tmp_path / "pakdd.toml"
    assert draft(SHARED / "pakdd2009.parquet", "--out", out).exit_code == 0
    text = out.read_text()
    assert "a person's address" in text
    out.write_text(filled_in(text))
    assert check(out).exit_code == 0, check(out).stdout
