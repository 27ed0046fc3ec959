"""The list of withdrawals: what it says, and what is refused rather than guessed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from clients.withdrawals import read_withdrawals
from fedscore.errors import DataError

AT_ONCE = dt.date.min


def read(folder: Path, text: str | bytes) -> dict[str, dt.date]:
    file = folder / "withdrawn.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dict(read_withdrawals(file))


def test_each_person_has_the_earliest_of_its_days(tmp_path: Path) -> None:
    text = "person,from\n17,2025-06-30\n18,2025-07-01\n17,2025-06-01\n17,2025-08-01\n"
    assert read(tmp_path, text) == {"17": dt.date(2025, 6, 1), "18": dt.date(2025, 7, 1)}


@pytest.mark.parametrize("day", ["", "   ", "soon", "2025-02-30", "30.06.2025", "2025-6-1", "20250630"])
def test_a_withdrawal_without_a_readable_day_counts_at_once(tmp_path: Path, day: str) -> None:
    assert read(tmp_path, f"person,from\n17,{day}\n") == {"17": AT_ONCE}


def test_the_rest_of_a_list_may_look_as_it_likes(tmp_path: Path) -> None:
    text = '\ufeffnote,from,person\r\n"a, b", 2025-06-30 , 17 \r\n\r\n,,"x, y"\r\n,,042\r\n'
    day = dt.date(2025, 6, 30)
    assert read(tmp_path, text) == {"17": day, "x, y": AT_ONCE, "042": AT_ONCE}


def test_blanks_around_an_id_do_not_make_another_person(tmp_path: Path) -> None:
    text = "person,from\n17,2025-06-30\n 17\t,2025-06-01\n\xa017,2025-07-01\n1 7,\n"
    assert read(tmp_path, text) == {"17": dt.date(2025, 6, 1), "1 7": AT_ONCE}


def test_a_short_line_withdraws_at_once(tmp_path: Path) -> None:
    assert read(tmp_path, "person,from\n17\n") == {"17": AT_ONCE}


def test_a_list_may_be_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "person,from\n") == {}


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "no header": ("", "needs one column person and one column from: name them"),
    "no column of persons": ("id,from\nmargaret,\n", "needs one column person and one column from"),
    "no column of days": ("person\nmargaret\n", "needs one column person and one column from"),
    "two columns of persons": ("person,person,from\nmargaret,b,\n", "needs one column person"),
    "not UTF-8": ("person,from\nmargaret é,\n".encode("latin-1"), r"cannot be read \(UnicodeDecodeError\)"),
    "a table of another program": (b"PK\x03\x04\xff\xfe", "cannot be read"),
    "nobody": ("person,from\n,2025-06-30\n  ,\nmargaret,\n", "has 2 lines that do not say who withdrew"),
    "one comma too many": ("person,from\nmargaret,b,2025-06-30\n", "has 1 line that do"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_list_is_refused_and_not_quoted(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as told:
        read(tmp_path, text)
    assert "margaret" not in str(told.value)
    assert told.value.__cause__ is None


def test_a_list_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"withdrawn\.csv cannot be read \(FileNotFoundError\): write it as CSV"
    ):
        read_withdrawals(tmp_path / "withdrawn.csv")
