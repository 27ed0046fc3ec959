"""Commands on a contract with a neural model: what they tell, and what they do without."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clients.books import Expense, Price
from clients.config import load_node_config
from clients.deployment import books_of, identity_of, node_of
from clients.policy import load_policy
from fedscore.cli.main import app
from fedscore.cli.program_sums import alike_sums
from fedscore.contract import load_contract
from fedscore.errors import MissingExtra
from fedscore.learners.agenda import Agenda
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import covers, guarantee
from privacy.dp.events import Composed, DistributedGaussian, Event, leaves
from simulations.keys import SimulatedKeys, simulated_identity

PARTIES = {"north": "platform", "south": "platform", "agency": "collector"}
NORTH = simulated_identity("north")
KEY = NORTH.public.signing_key.hex()
ROWS = "id,utilisation,late_payments,segment,y\n1,0.05,0,card,0\n2,0.9,2,loan,1\n"
SHARED = '[neural]\nmodel = "logistic"\n'
SAMPLED = "one_in = 20\n"
LOCAL = '[neural]\nmodel = "logistic"\ntraining = "local"\nrounds = 5\none_in = 20\n'
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

Folder = Callable[[str], Path]


def fedscore(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def make_folder(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Folder:
    """Makes the folder of a node that could begin, under a contract with these neural terms."""

    def make(terms: str) -> Path:
        noise = "local" if "local" in terms else "shared"
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
        head = f'learner = "neural"\n{tiny_text}noise = "{noise}"\n'
        (tmp_path / "contract.toml").write_text("\n".join([head, *roster, encryption, terms]))
        (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
        (tmp_path / "identity.json").write_text(NORTH.to_json())
        (tmp_path / "identity.json").chmod(0o600)
        (tmp_path / "rows.csv").write_text(ROWS)
        (tmp_path / "policy.toml").write_text(
            f'source = "warehouse"\noperator = "{KEY}"\nbundles = []\nsmallest_cohort = 3\n'
            f'contracts = ["{load_contract(tmp_path / "contract.toml").hash()}"]\n'
            "\n[budget]\nepsilon = 3.0\ndelta = 1e-5\nrun_epsilon = 1.0\n"
        )
        (tmp_path / "node.toml").write_text(NODE)
        done = fedscore("node", "begin", tmp_path / "node.toml")
        assert done.exit_code == 0, done.output
        return tmp_path

    return make


def agenda_of(folder: Path) -> Agenda:
    return Agenda(load_contract(folder / "contract.toml"), run="ab" * 16)


def test_sixty_rounds_are_one_line_for_people_and_sixty_for_programs(make_folder: Folder) -> None:
    file = make_folder(SHARED) / "node.toml"
    done = fedscore("node", "check", file)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    (training,) = [line for line in lines if line.startswith("training  ")]
    assert "60 sums of everybody's clipped gradients, noise multiplier " in training
    assert "every row takes part in every step" in training
    sums = [line.split("  ")[1] for line in lines if line.startswith("  ")]
    assert sums == ["outcomes", "gradient 1 to 60"]
    found = json.loads(fedscore("node", "check", file, "--json").output)
    assert [one["sum"] for one in found["rounds"]][-2:] == ["gradient 59", "gradient 60"]
    assert len(found["rounds"]) == 61
    assert (found["rounds"][1]["one_in"], found["rounds"][1]["local_steps"]) == (1, 0)
    assert found["training"]["rounds"] == 60
    assert 0.99 < found["training"]["epsilon"] <= 1.0
    # 60 gradients with 98 per cent of a budget that without noise would be mu.
    agenda = agenda_of(file.parent)
    mu = agenda.record.mu * (0.98 / 60) ** 0.5
    assert found["training"]["noise_multiplier"] == pytest.approx(1 / mu, rel=0.01)


def test_the_chance_of_a_sample_is_told(make_folder: Folder) -> None:
    done = fedscore("node", "check", make_folder(SHARED + SAMPLED + "rounds = 5\n") / "node.toml")
    assert done.exit_code == 0, done.output
    assert "5 sums of everybody's clipped gradients" in done.output
    assert "a row takes part in a step with chance 1 in 20, by a secret coin" in done.output


def test_steps_at_home_are_told_with_their_own_noise_and_epsilon(make_folder: Folder) -> None:
    file = make_folder(LOCAL) / "node.toml"
    done = fedscore("node", "check", file)
    assert done.exit_code == 0, done.output
    assert "5 rounds of 4 steps that an organisation takes by itself, noise multiplier" in done.output
    assert "is each one's own; a row takes part in a step with chance 1 in 20" in done.output
    (update,) = [line for line in done.output.splitlines() if line.startswith("  update 1 to 5 ")]
    found = json.loads(fedscore("node", "check", file, "--json").output)
    one, training = found["rounds"][1], found["training"]
    assert update.endswith(f"{one['noise_share']:>13.2f} in each of 4 steps")
    assert (one["local_steps"], one["one_in"]) == (4, 20)
    assert one["noise_share"] / one["sensitivity"] == pytest.approx(training["noise_multiplier"], rel=0.01)
    assert one["noise_share"] > 0
    assert training["epsilon"] == found["epsilon"] <= 1.0


@pytest.mark.parametrize("command", ["check", "start"])
def test_a_node_without_torch_or_opacus_is_refused_before_it_begins(
    make_folder: Folder, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    file = make_folder(SHARED) / "node.toml"
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "opacus" else find(name, *more)
    )
    done = fedscore("node", command, file)
    assert done.exit_code == 1
    assert (
        "trained with torch and opacus, and opacus cannot be found: install fedscore[neural]" in done.stderr
    )
    # The contract is no worse for it.
    assert fedscore("contract", "check", file.parent / "contract.toml").exit_code == 0


def test_who_has_no_rows_needs_neither(
    make_folder: Folder, small_keys: SimulatedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(SHARED)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match="torch and opacus cannot be found"):
        node_of(load_node_config(folder / "node.toml"))
    config = load_node_config(folder / "node.toml")
    (folder / "key_share.json").write_text(small_keys.shares[0].to_json())
    member = config.model_copy(update={"data": None, "key_share": folder / "key_share.json"})
    assert node_of(member).committee_member == 1


COMMANDS = """
import sys
from pathlib import Path
from typer.testing import CliRunner
from fedscore.cli.main import app

folder = Path(sys.argv[1])
for command in (
    ["contract", "check", str(folder / "contract.toml")],
    ["node", "check", str(folder / "node.toml")],
    ["node", "begin", str(folder / "node.toml")],
    ["node", "budget", str(folder / "node.toml")],
    ["node", "evidence", "verify", str(folder / "ledger" / "evidence.jsonl"), "--key", sys.argv[2]],
):
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, (command, done.output)
print(sorted({"torch", "opacus"} & set(sys.modules)))
"""


@pytest.mark.parametrize("terms", [SHARED, LOCAL], ids=["shared", "local"])
def test_no_command_of_a_node_loads_torch_or_opacus(make_folder: Folder, terms: str) -> None:
    folder = make_folder(terms)
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(folder), KEY],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_contracts_training_is_told_with_its_price(make_folder: Folder) -> None:
    path = make_folder(LOCAL) / "contract.toml"
    told = fedscore("contract", "check", path).output
    assert "a run: 6 private sums, epsilon 0.99" in told or "a run: 6 private sums, epsilon 1.0" in told
    assert "training: 5 rounds of 4 steps that an organisation takes by itself, noise multiplier" in told
    run = json.loads(fedscore("contract", "check", path, "--json").output)["run"]
    assert (run["training"]["training"], run["training"]["one_in"]) == ("local", 20)


def test_sums_are_put_together_only_if_they_are_equal(make_folder: Folder) -> None:
    requests = agenda_of(make_folder(SHARED + "rounds = 3\n")).requests
    assert [(one.name, one.count) for one in alike_sums(requests)] == [
        ("outcomes", 1),
        ("gradient 1 to 3", 3),
    ]
    first, last = requests[0], requests[-1]
    assert [one.name for one in alike_sums([last, first, last])] == ["gradient 3", "outcomes", "gradient 3"]
    assert [one.name for one in alike_sums([first, first])] == ["outcomes", "outcomes"]
    assert alike_sums([]) == []


def charged(folder: Path, runs: int, *, first_round: int = 1) -> None:
    """Whole runs, as a node charges them."""
    config = load_node_config(folder / "node.toml")
    books = books_of(config, load_policy(config.policy), identity_of(config))
    number, agenda = first_round, agenda_of(folder)
    with books.locked():
        for run in range(runs):
            price = Price(
                run=f"{first_round + run:032x}",
                contract=agenda.contract.hash(),
                program=agenda.event,
                epsilon=agenda.record.epsilon,
            )
            for request in agenda.requests:
                books.charge(
                    Expense(
                        key="5e" * 32,
                        round=number,
                        name=request.name,
                        request=f"{number:064x}",
                        event=request.event,
                        price=price,
                    )
                )
                books.sent("5e" * 32, number, "ab" * 32)
                number += 1


def begun(folder: Path, number: int, program: Event) -> Event:
    """A run under an earlier contract that reserved a program and was charged for its first sum."""
    config, first = load_node_config(folder / "node.toml"), agenda_of(folder).requests[0]
    books = books_of(config, load_policy(config.policy), identity_of(config))
    contract = load_contract(folder / "contract.toml")
    with books.locked():
        books.charge(
            Expense(
                key=KeySeries.of(ceremony_of(contract, config.ceremony)).genesis.key_id,
                round=number,
                name=first.name,
                request=f"{number:064x}",
                event=first.event,
                price=Price(run=f"{number:032x}", contract="2" * 64, program=program, epsilon=1.0),
            )
        )
    return first.event


def spent_after_restore(folder: Path, *, newest: int) -> Event:
    done = fedscore("node", "restore", folder / "node.toml", "--through-round", newest, "--runs", 1)
    assert done.exit_code == 0, done.output
    config = load_node_config(folder / "node.toml")
    books = books_of(config, load_policy(config.policy), identity_of(config))
    with books.locked():
        return books.spending().spent


@pytest.mark.parametrize("terms", [SHARED, SHARED + SAMPLED, LOCAL], ids=["shared", "sampled", "local"])
def test_a_restore_charges_the_dearest_program_that_is_known(make_folder: Folder, terms: str) -> None:
    folder = make_folder(terms if terms is LOCAL else terms + "rounds = 3\n")
    sums = tuple(leaves(agenda_of(folder).event))
    dearer, cheaper = Composed(events=(*sums, *sums[1:])), Composed(events=sums[:2])
    charges = [begun(folder, number, program) for number, program in enumerate((dearer, cheaper), start=1)]

    spent = spent_after_restore(folder, newest=2)

    # The run that is lost, all that the last one had reserved, and what counts of both; and no more.
    # A sampled run that is over counts as it was reserved.
    over = charges[0] if terms is SHARED else dearer
    due = Composed(events=(dearer, cheaper, over, charges[1]))
    assert covers(spent, due)
    assert covers(due, spent)


def test_where_it_depends_on_the_history_what_is_dearer_a_restore_charges_both(make_folder: Folder) -> None:
    folder = make_folder(SHARED + SAMPLED + "rounds = 3\n")
    sampled = agenda_of(folder).event
    full_batch = DistributedGaussian(
        sensitivity_squared=1, share_variance=20, honest_shares=1, dimension=2, total_shares=3
    )
    assert not covers(sampled, full_batch)
    assert not covers(full_batch, sampled)
    charge = begun(folder, 1, full_batch)

    spent = spent_after_restore(folder, newest=1)

    assert covers(spent, Composed(events=(sampled, full_batch, full_batch, charge)))


def budget(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fedscore("node", "budget", folder / "node.toml", "--json").output)
    return found


@pytest.mark.parametrize(
    ("terms", "mechanism"),
    [
        (SHARED + "rounds = 3\n", "distributed discrete Gaussian"),
        (SHARED + SAMPLED + "rounds = 3\n", "distributed discrete Gaussian, 1 row in 20"),
        (LOCAL, "discrete Gaussian, 4 steps, 1 row in 20"),
        (LOCAL.replace("one_in = 20\n", ""), "discrete Gaussian, 4 steps"),
    ],
    ids=["shared", "shared, sampled", "local, sampled", "local"],
)
def test_a_budget_tells_what_was_done_and_how_many_runs_are_left(
    make_folder: Folder, terms: str, mechanism: str
) -> None:
    folder = make_folder(terms)
    charged(folder, 1)
    found, agenda = budget(folder), agenda_of(folder)
    sums = found["runs"][0]["sums"]
    assert [one["mechanism"] for one in sums[1:]] == [mechanism] * (len(agenda.requests) - 1)
    assert found["spent"] == pytest.approx(agenda.record.epsilon, rel=1e-9)
    more = found["further_runs"]
    assert more >= 1
    for runs, fits in ((1 + more, True), (2 + more, False)):
        whole = guarantee(Composed(events=(agenda.event,) * runs), delta=1e-5).epsilon
        assert (whole <= found["epsilon"]) is fits
    charged(folder, more, first_round=100)
    told = fedscore("node", "budget", folder / "node.toml").output
    assert f"{mechanism}, epsilon" in told
    assert "further runs     0 like the last one" in told
