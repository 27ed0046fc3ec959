"""The client and the settings of docs/guide-scoring.md do what the guide says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.scoring_service import PATIENT
from fedscore.serving.service import MOST_RECORDS
from tests.scoring_calls import Certificates, Served

GUIDE = (Path(__file__).parents[3] / "docs" / "guide-scoring.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_client_of_the_guide_gets_a_score(
    served: Served, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "patient.json").write_text(block("json"), encoding="utf-8")
    code = block("python")
    for name, here in (
        ("authority.crt", str(certificates.authority)),
        ("patient.json", str(tmp_path / "patient.json")),
        ("score.example.org:50051", served.service.address),
    ):
        assert code.count(f'"{name}"') == 1
        code = code.replace(f'"{name}"', repr(here))
    assert len(code.splitlines()) <= 25
    names: dict[str, object] = {}
    exec(compile(code, "guide-scoring.md", "exec"), names)  # noqa: S102 - the guide's own lines
    channel = names["channel"]
    channel.close()  # type: ignore[attr-defined]  # a channel, as the lines make it
    assert re.match(r"\d+\.\d+ 0\.\d+ [ABCD] \[", capsys.readouterr().out)


def test_the_service_config_is_the_one_that_is_tested() -> None:
    assert json.loads(block("json")) == json.loads(PATIENT)


def test_the_limits_of_the_guide_are_the_services() -> None:
    assert f"up to {MOST_RECORDS:,} records" in GUIDE
