"""What docs/monitoring.md says of contracts, costs and power is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import monitoring_power
from fedscore.cli.main import app
from fedscore.contract import MonitoringTerms, load_contract, parse_contract

REPOSITORY = Path(__file__).parents[3]
CONSORTIUM = REPOSITORY / "simulations" / "contracts" / "consortium.toml"
DOCUMENT = (REPOSITORY / "docs" / "monitoring.md").read_text(encoding="utf-8")


def changed(card: str) -> str:
    """The four changes of the document, made to the file as a person would make them."""
    text = CONSORTIUM.read_text(encoding="utf-8")
    text = text.replace('learner = "scorecard"', 'learner = "monitoring"')
    text = re.sub(r"test_share = .*", "test_share = 0.0", text)
    for section in ("grades", "evaluation", "scorecard"):
        text = re.sub(rf"^\[{section}\]\n(?:(?!\[).*\n)*", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\[\[groups\]\]\n(?:(?!\[).*\n)*", "", text, flags=re.MULTILINE)
    return f'{text}\n[monitoring]\ncard = "{card}"\n'


def test_the_four_changes_make_a_contract_that_watches() -> None:
    card = "ab" * 32
    expected = load_contract(CONSORTIUM).with_monitoring(MonitoringTerms(card=card))
    assert parse_contract(changed(card)).hash() == expected.hash()


@pytest.mark.parametrize("epsilon", [1.0, 0.5, 0.25])
def test_a_year_costs_what_the_document_says(tmp_path: Path, epsilon: float) -> None:
    file = tmp_path / "monitoring.toml"
    file.write_text(changed("0" * 64).replace("epsilon = 1.0", f"epsilon = {epsilon}"), encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "check", str(file), "--runs", "12"])
    assert done.exit_code == 0, done.output
    together = re.search(r"12 such runs over the same records: epsilon ([0-9.]+) for a record", done.output)
    assert together is not None
    assert f"| {epsilon:g} | {float(together[1]):.2f} |" in DOCUMENT


def test_one_run_is_not_told_twice(tmp_path: Path) -> None:
    file = tmp_path / "monitoring.toml"
    file.write_text(changed("0" * 64), encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "check", str(file)])
    assert "such runs" not in done.output


def test_the_powers_are_those_of_the_command() -> None:
    found = list(
        monitoring_power.seen(monitoring_power.EPSILONS, monitoring_power.ROWS, monitoring_power.RATES)
    )
    told = 0
    for rows in monitoring_power.ROWS:
        for rate in monitoring_power.RATES:
            powers = [one.power for one in found if (one.rows, one.bad_rate) == (rows, rate)]
            line = f"| {rows:,} | {rate:.0%} | ".replace("%", " %")
            if line in DOCUMENT:
                told += 1
                assert line + " | ".join(f"{power:.0%}".replace("%", " %") for power in powers) in DOCUMENT
    assert told == 6
