"""`fedscore node budget`, `restore` and `evidence verify`: what was spent, and the proof of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clients.books import Expense, Price
from clients.config import load_node_config
from clients.deployment import books_of, identity_of
from clients.file_books import EVIDENCE, LEDGER, FileBooks
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.cli.main import app
from fedscore.contract import load_contract
from fedscore.errors import RoundRefused
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Phase, RefusalCode
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed
from privacy.evidence import read_evidence
from simulations.keys import SimulatedKeys, simulated_identity

PARTIES = {"north": "platform", "south": "platform", "agency": "collector"}
NORTH = simulated_identity("north")
KEY = NORTH.public.signing_key.hex()
RUN = "ab" * 16
DELTA = 1e-5

NODE = """
party = "north"
role = "platform"
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"

[data]
table = "rows.csv"
"""

BUDGET = "\n[budget]\nepsilon = 3.0\ndelta = 1e-5\nrun_epsilon = 1.0\n"


@pytest.fixture
def folder(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    """A node whose books have begun."""
    roster = [
        f'[[parties]]\nname = "{name}"\nrole = "{role}"\n'
        f'key = "{simulated_identity(name).public.signing_key.hex()}"\n'
        for name, role in PARTIES.items()
    ]
    encryption = (
        "[encryption]\nkey_bits = 2048\n"
        "committee = { members = 3, threshold = 2, colluding_members = 1 }\n"
        f'ceremony = "{small_keys.record.hash()}"\n'
    )
    (tmp_path / "contract.toml").write_text("\n".join([tiny_text, *roster, encryption]))
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
    (tmp_path / "identity.json").write_text(NORTH.to_json())
    (tmp_path / "rows.csv").write_text("id,utilisation,late_payments,segment,y\n1,0.05,0,card,0\n")
    (tmp_path / "policy.toml").write_text(
        f'source = "warehouse"\noperator = "{KEY}"\nbundles = []\nsmallest_cohort = 2\n'
        f'contracts = ["{load_contract(tmp_path / "contract.toml").hash()}"]\n{BUDGET}'
    )
    (tmp_path / "node.toml").write_text(NODE)
    FileMemory.create(tmp_path / "state", KeySeries.of(small_keys.record), abstains=False)
    FileBooks.create(
        tmp_path / "ledger",
        party="north",
        source="warehouse",
        signer=NORTH,
        signing_key=NORTH.public.signing_key,
    )
    return tmp_path


def books(folder: Path) -> FileBooks:
    config = load_node_config(folder / "node.toml")
    return books_of(config, load_policy(config.policy), identity_of(config))


def agenda_of(folder: Path, run: str = RUN) -> Agenda:
    return Agenda(load_contract(folder / "contract.toml"), run=run)


def expense(folder: Path, number: int, keys: SimulatedKeys, run: str = RUN) -> Expense:
    agenda = agenda_of(folder, run)
    request = agenda.requests[(number - 1) % len(agenda.requests)]
    return Expense(
        key=KeySeries.of(keys.record).genesis.key_id,
        round=number,
        name=request.name,
        request=f"{number:064x}",
        event=request.event,
        price=Price(
            run=run, contract=agenda.contract.hash(), program=agenda.event, epsilon=agenda.record.epsilon
        ),
    )


@pytest.fixture
def used(folder: Path, small_keys: SimulatedKeys) -> Path:
    """Two sums of a run were sent, and something was refused."""
    held = books(folder)
    genesis = KeySeries.of(small_keys.record).genesis
    ask = Ask(phase=Phase.COLLECT, run=RUN, round=1, contract_hash="2" * 64, head=genesis)
    with held.locked():
        for number in (1, 2):
            held.charge(expense(folder, number, small_keys))
            held.sent(genesis.key_id, number, f"{number}" * 64)
        held.refused(ask, RefusalCode.ROUND)
    return folder


def fedscore(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["node", *map(str, arguments)])


def found(folder: Path) -> dict[str, Any]:
    done = fedscore("budget", folder / "node.toml", "--json")
    assert done.exit_code == 0, done.output
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def told(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def bar(text: str) -> str:
    drawn = re.search(r"\[([#+.]*)\]", text)
    assert drawn is not None
    return drawn[1]


def test_a_budget_of_which_nothing_was_spent(folder: Path) -> None:
    done = fedscore("budget", folder / "node.toml")
    assert done.exit_code == 0, done.output
    assert bar(done.stdout) == "." * 40
    assert found(folder) == {
        "source": "warehouse",
        "epsilon": 3.0,
        "delta": DELTA,
        "spent": 0.0,
        "reserved": 0.0,
        "left": 3.0,
        "further_runs": None,
        "assumed": 0.0,
        "runs": [],
        "refusals": {},
    }


def test_spent_reserved_and_left_are_those_of_the_accountant(used: Path) -> None:
    agenda = agenda_of(used)
    spent = guarantee(Composed(events=tuple(r.event for r in agenda.requests[:2])), delta=DELTA).epsilon
    read = found(used)
    assert read["spent"] == pytest.approx(spent)
    assert read["spent"] + read["reserved"] == pytest.approx(agenda.record.epsilon)
    assert read["left"] == pytest.approx(3.0 - agenda.record.epsilon)
    assert read["refusals"] == {"round-refused": 1}
    (run,) = read["runs"]
    assert (run["run"], run["open"], run["contract"]) == (RUN, True, agenda.contract.hash())
    assert run["reserved"] == pytest.approx(agenda.record.epsilon)
    assert run["charged"] == pytest.approx(spent)
    assert [(one["round"], one["sum"]) for one in run["sums"]] == [(1, "histogram"), (2, "covariance")]
    assert {one["mechanism"] for one in run["sums"]} == {"distributed discrete Gaussian"}
    for one, request in zip(run["sums"], agenda.requests, strict=False):
        assert one["epsilon"] == pytest.approx(guarantee(request.event, delta=DELTA).epsilon)


def test_as_many_further_runs_are_promised_as_there_are(used: Path, small_keys: SimulatedKeys) -> None:
    held, promised = books(used), found(used)["further_runs"]
    assert promised >= 2
    with held.locked():
        for number in range(3, 3 + promised):
            held.charge(expense(used, number, small_keys, run=f"{number:032x}"))
    assert found(used)["further_runs"] >= 0
    assert found(used)["left"] >= 0


def test_the_budget_as_text_has_a_bar_and_every_sum(used: Path) -> None:
    done = fedscore("budget", used / "node.toml")
    assert done.exit_code == 0, done.output
    read = found(used)
    drawn = bar(done.stdout)
    assert len(drawn) == 40
    assert drawn == "#" * drawn.count("#") + "+" * drawn.count("+") + "." * drawn.count(".")
    assert drawn.count("#") == round(40 * read["spent"] / 3)
    assert drawn.count("+") == round(40 * read["reserved"] / 3)
    for words in (
        f"spent            {read['spent']:.4f}",
        f"left             {read['left']:.4f}",
        f"run {RUN[:12]} (open)",
        "histogram",
        "covariance",
        "refused          1 round-refused",
        "The parts do not add up to the whole",
    ):
        assert words in done.stdout


def test_an_auditor_has_nothing_to_spend(used: Path) -> None:
    policy = used / "policy.toml"
    policy.write_text(policy.read_text().replace(BUDGET, ""))
    assert "has no [budget]: an auditor has nothing to spend" in told(fedscore("budget", used / "node.toml"))


def test_a_budget_is_not_shown_from_a_ledger_that_does_not_agree(used: Path) -> None:
    data = (used / "ledger" / EVIDENCE).read_bytes()
    (used / "ledger" / EVIDENCE).write_bytes(data.replace(b'"round":1', b'"round":7', 1))
    assert "line 3 is not what its signer wrote there" in told(fedscore("budget", used / "node.toml"))


# The proof of it


def verify(folder: Path, *arguments: object, key: object = KEY) -> Result:
    return fedscore("evidence", "verify", folder / "ledger" / EVIDENCE, "--key", key, *arguments)


def test_evidence_that_holds_is_summed_up(used: Path, tmp_path: Path) -> None:
    done = verify(used)
    assert done.exit_code == 0, done.output
    entries = list(
        read_evidence((used / "ledger" / EVIDENCE).read_bytes(), signing_key=NORTH.public.signing_key)
    )
    assert f"{EVIDENCE} holds: 7 lines from {entries[0].time} to {entries[-1].time}, 1 runs" in done.stdout
    assert f"ends with        {entries[-1].hash}" in done.stdout
    (tmp_path / "public.json").write_text(NORTH.public.to_json())
    as_json = verify(used, "--json", key=tmp_path / "public.json")
    read = json.loads(as_json.stdout)
    assert read["kinds"] == {"began": 1, "charge": 2, "refusal": 1, "release": 2, "run": 1}
    assert (read["entries"], read["runs"], read["ends_with"]) == (7, 1, entries[-1].hash)


def test_evidence_is_verified_without_the_nodes_other_files(used: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "ledger"
    alone.mkdir(parents=True)
    (alone / EVIDENCE).write_bytes((used / "ledger" / EVIDENCE).read_bytes())
    assert verify(alone.parent).exit_code == 0
    assert [file.name for file in alone.iterdir()] == [EVIDENCE]


def test_one_flipped_byte_is_found_and_its_line_named(used: Path) -> None:
    file = used / "ledger" / EVIDENCE
    data = file.read_bytes()
    for position in range(0, len(data), 211):
        changed = bytearray(data)
        changed[position] ^= 4
        file.write_bytes(changed)
        line = data[:position].count(b"\n") + 1
        assert f"line {line} " in told(verify(used))


def test_evidence_of_another_signer_does_not_hold(used: Path) -> None:
    other = simulated_identity("south").public.signing_key.hex()
    assert "line 1 is not what its signer wrote there" in told(verify(used, key=other))


def test_evidence_that_is_empty_is_none(used: Path) -> None:
    (used / "ledger" / EVIDENCE).write_bytes(b"")
    assert "is empty: there is no evidence in it" in told(verify(used))


def test_lines_that_were_cut_off_are_found_by_a_hash_that_was_kept(used: Path) -> None:
    file = used / "ledger" / EVIDENCE
    lines = file.read_bytes().splitlines(keepends=True)
    kept = [entry.hash for entry in read_evidence(b"".join(lines), signing_key=NORTH.public.signing_key)]
    for one in kept:
        assert verify(used, "--holds", one).exit_code == 0
    file.write_bytes(b"".join(lines[:-2]))
    assert verify(used).exit_code == 0, "by itself, a record that was cut at a line's end holds"
    assert verify(used, "--holds", kept[-3]).exit_code == 0
    for one in (*kept[-2:], "0" * 64, "nonsense"):
        assert f"holds no line with the hash {one}" in told(verify(used, "--holds", one))


# An older copy


def test_a_restored_backup_charges_what_it_does_not_know(used: Path, small_keys: SimulatedKeys) -> None:
    place = used / "ledger" / EVIDENCE
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:3]))
    assert "an older or another copy was put back" in told(fedscore("budget", used / "node.toml"))

    done = fedscore("restore", used / "node.toml", "--through-round", 5, "--runs", 1)

    assert done.exit_code == 0, done.output
    assert "rounds           none up to 5 is answered" in done.stdout
    assert "1 more runs in full, and what the last run in the copy had reserved" in done.stdout
    program = agenda_of(used)
    read = found(used)
    both = guarantee(Composed(events=(program.event,) * 2), delta=read["delta"])
    assert read["assumed"] == pytest.approx(both.epsilon)
    assert read["spent"] > both.epsilon
    assert verify(used).exit_code == 0
    held = books(used)
    with held.locked():
        for number in (1, 3, 5):
            with pytest.raises(RoundRefused):
                held.charge(expense(used, number, small_keys))
        held.charge(replace(expense(used, 2, small_keys), round=6))


def test_a_backup_takes_the_place_of_evidence_that_is_lost(used: Path, tmp_path: Path) -> None:
    place = used / "ledger" / EVIDENCE
    backup = tmp_path / "backup.jsonl"
    backup.write_bytes(place.read_bytes())
    options = ("--through-round", 2, "--runs", 1, "--backup", backup)
    assert "exists: move it away first" in told(fedscore("restore", used / "node.toml", *options))
    place.unlink()
    (used / "ledger" / LEDGER).unlink()
    done = fedscore("restore", used / "node.toml", *options)
    assert done.exit_code == 0, done.output
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.read_bytes().startswith(backup.read_bytes())
    assert found(used)["assumed"] > 0


def test_a_restore_that_fails_leaves_everything_that_tells_of_the_loss(used: Path) -> None:
    """Else the budget would be full again, and rounds would be answered twice."""
    place, policy = used / "ledger" / EVIDENCE, used / "policy.toml"
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:3]))
    good = policy.read_text(encoding="utf-8")
    policy.write_text("nonsense", encoding="utf-8")
    assert fedscore("restore", used / "node.toml", "--through-round", 2, "--runs", 1).exit_code == 1
    policy.write_text(good, encoding="utf-8")
    absurd = fedscore("restore", used / "node.toml", "--through-round", 4_100_000, "--runs", 1)
    assert "is more than" in told(absurd)
    assert place.read_bytes() == b"".join(lines[:3])
    assert "an older or another copy was put back" in told(fedscore("budget", used / "node.toml"))


def test_a_second_restore_does_not_charge_the_last_run_again(used: Path) -> None:
    options = ("--through-round", 5, "--runs", 0)
    assert fedscore("restore", used / "node.toml", *options).exit_code == 0
    once = found(used)["assumed"]
    assert fedscore("restore", used / "node.toml", *options).exit_code == 0
    assert found(used)["assumed"] == pytest.approx(once)
    assert not (used / "ledger" / ".restoring").exists()


def test_a_restore_does_not_spare_what_is_missing(used: Path) -> None:
    for options in (
        ("--through-round", -1, "--runs", 1),
        ("--through-round", 2**32, "--runs", 1),
        ("--through-round", 1, "--runs", -1),
    ):
        assert fedscore("restore", used / "node.toml", *options).exit_code == 2
