"""The page of a watched card says what the report says, and no more."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fedscore.monitoring import MonitoringReport
from fedscore.pages import monitoring_words
from fedscore.pages.monitoring_page import monitoring_page
from simulations.federation import train_federation
from tests.watching import card_and_contract, everybody


def report_of(*, outcomes: bool = True, count: int = 10_000, bad_rate: float = 1.0) -> MonitoringReport:
    card, contract = card_and_contract(outcomes=outcomes)
    rows = everybody(2, tilt=0.3, count=count, bad_rate=bad_rate)
    return train_federation(contract, rows, seed=4, watched=card).report


@pytest.mark.parametrize(
    ("of", "banner", "said"),
    [
        ({}, "banner fine", "No rise is seen"),
        ({"bad_rate": 1.5}, "banner ", "Alarm: the bad rate has risen"),
        ({"count": 300}, "banner open", "Too few rows to tell"),
        ({"outcomes": False}, "banner open", "No outcome is known yet"),
    ],
    ids=["quiet", "alarm", "small", "blind"],
)
def test_the_alarm_comes_first(of: dict[str, Any], banner: str, said: str) -> None:
    page = monitoring_page(report_of(**of))
    assert f'<p class="{banner}">{said}' in page
    assert "<script" not in page
    assert re.search(r"(src|href)=", page) is None


def test_every_table_and_what_has_moved_is_there() -> None:
    report = report_of()
    page = monitoring_page(report)
    for one in report.tables:
        assert f"<td>{one.name}</td>" in page
        assert monitoring_words.interval(one.index, total=False) in page
    assert report.moved[0].name == "utilisation"
    assert page.index("What has moved") < page.rindex("<h3>utilisation</h3>")


def test_what_cannot_be_measured_is_not_drawn_as_nothing() -> None:
    report = report_of(count=30)
    page = monitoring_page(report)
    assert "not measurable" in page
    assert "stability index of the score: not known" in page
    assert report.score.bins[0].now is None
    assert "Scores then and now" not in page


def test_words_are_no_surer_than_the_numbers() -> None:
    one = report_of().score
    sure, unsure = (one.model_copy(update={"certain": certain}) for certain in (True, False))
    assert monitoring_words.stability(sure).startswith("stable: ")
    assert monitoring_words.stability(unsure).startswith("stable, but not surely: ")
