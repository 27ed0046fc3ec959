"""`fedscore node init`, `begin` and `check`: from an empty folder to a node that could start."""

from __future__ import annotations

import datetime as dt
import json
import re
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clients.config import load_node_config
from clients.deployment import books_of, identity_of
from clients.file_books import EVIDENCE
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.cli.main import app
from fedscore.contract import load_contract
from fedscore.sums.paillier import PaillierSealer
from fedscore.sums.series import KeySeries
from fedscore.tls import Authority, ServerKey, pem
from privacy.evidence import read_evidence
from privacy.identities import Identity, PublicIdentity
from server.bundling import bundle_hash
from simulations.keys import SimulatedKeys, simulated_identity

PARTIES = {"north": "platform", "south": "platform", "agency": "collector"}
ROWS = "id,utilisation,late_payments,segment,y\n1,0.05,0,card,0\n2,0.9,2,loan,1\n"
DAY = dt.timedelta(days=1)
OPERATOR = simulated_identity("operator").public.signing_key.hex()


def fedscore(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["node", *map(str, arguments)])


def told(done: Result) -> str:
    return done.output.replace("\n", " ")


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder as `init` leaves it."""
    done = fedscore("init", tmp_path / "north", "--name", "north", "--role", "platform")
    assert done.exit_code == 0, done.output
    return tmp_path / "north"


@pytest.fixture(params=[False, True], ids=["party", "member"])
def seated(request: pytest.FixtureRequest) -> bool:
    """Whether the node sits on the committee."""
    return bool(request.param)


@pytest.fixture
def folder(fresh: Path, small_keys: SimulatedKeys, tiny_text: str, *, seated: bool) -> Path:
    """The folder with what its README says: files from others, decisions of the owner."""
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
    (fresh / "contract.toml").write_text("\n".join([tiny_text, *roster, encryption]))
    (fresh / "ceremony.json").write_text(small_keys.record.to_json())
    # The contract of these tests knows this one.
    (fresh / "identity.json").write_text(simulated_identity("north").to_json())
    (fresh / "authority.crt").write_bytes(pem(Authority.generate("an authority").certificate))
    (fresh / "rows.csv").write_text(ROWS)
    change(fresh / "node.toml", "rows.parquet", "rows.csv")
    change(fresh / "policy.toml", 'operator = ""', f'operator = "{OPERATOR}"')
    accepted = load_contract(fresh / "contract.toml").hash()
    change(fresh / "policy.toml", "contracts = []", f'contracts = ["{accepted}"]')
    if seated:
        (fresh / "key_share.json").write_text(small_keys.shares[0].to_json())
        (fresh / "key_share.json").chmod(0o600)
        change(fresh / "node.toml", "# key_share =", "key_share =")
    return fresh


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "node.toml"


@pytest.fixture
def begun(file: Path) -> Path:
    done = fedscore("begin", file)
    assert done.exit_code == 0, done.output
    return file


def memory(folder: Path, keys: SimulatedKeys) -> FileMemory:
    return FileMemory(folder / "state", KeySeries.of(keys.record))


def test_the_folder_is_its_owners(fresh: Path) -> None:
    assert {path.name for path in fresh.iterdir()} == {
        "README.txt",
        "fedscore-node.service",
        "identity.json",
        "identity.pub.json",
        "node.key",
        "node.pub",
        "node.toml",
        "policy.toml",
    }
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    for secret in ("identity.json", "node.key"):
        assert stat.S_IMODE((fresh / secret).stat().st_mode) == 0o600


def test_the_engineer_is_told_what_others_need_and_no_secret(tmp_path: Path) -> None:
    done = fedscore("init", tmp_path / "north", "--name", "north", "--role", "platform")
    identity = Identity.from_json((tmp_path / "north" / "identity.json").read_text())
    public = PublicIdentity.from_json((tmp_path / "north" / "identity.pub.json").read_text())
    assert identity.public == public
    assert public.fingerprint in done.output
    assert (tmp_path / "north" / "README.txt").read_text() in done.output
    secret = json.loads(identity.to_json())["signing_key"]
    assert secret not in done.output


def test_the_policy_allows_nothing_but_the_installed_bundle(fresh: Path) -> None:
    policy = tomllib.loads((fresh / "policy.toml").read_text())
    assert (policy["operator"], policy["contracts"]) == ("", [])
    assert policy["bundles"] == [bundle_hash()]
    assert set(policy["budget"]) == {"epsilon", "delta", "run_epsilon"}


def test_what_is_still_to_be_decided_is_named_with_its_line(fresh: Path) -> None:
    done = fedscore("check", fresh / "node.toml")
    assert done.exit_code == 1
    for missing in ("contract.toml", "ceremony.json", "authority.crt", "rows.parquet"):
        assert f"there is no file {fresh / missing}" in told(done)
    (fresh / "rows.parquet").touch()
    for name in ("contract.toml", "ceremony.json", "authority.crt"):
        (fresh / name).touch()
    done = fedscore("begin", fresh / "node.toml")
    assert done.exit_code == 1
    assert "operator" in told(done)
    assert "64 hexadecimal digits" in told(done)


@pytest.mark.parametrize("role", ["platform", "collector", "auditor"])
def test_every_role_gets_files_that_hold(tmp_path: Path, role: str) -> None:
    folder = tmp_path / role
    assert fedscore("init", folder, "--name", "somebody", "--role", role).exit_code == 0
    for name in ("contract.toml", "ceremony.json", "authority.crt", "rows.parquet", "key_share.json"):
        (folder / name).touch()
    change(folder / "policy.toml", 'operator = ""', f'operator = "{OPERATOR}"')
    config, policy = load_node_config(folder / "node.toml"), load_policy(folder / "policy.toml")
    assert config.party == policy.source == "somebody"
    assert (config.role.value if config.role is not None else "auditor") == role
    assert (config.data is None) is (policy.budget is None) is (role == "auditor")
    assert (config.key_share is not None) is (role == "auditor")
    assert (config.ledger, config.state) == (folder / "ledger", folder / "state")
    assert config.connection is not None


@pytest.mark.parametrize("role", ["platform", "auditor"])
def test_every_command_of_the_next_steps_exists(tmp_path: Path, role: str) -> None:
    folder = tmp_path / role
    assert fedscore("init", folder, "--name", "somebody", "--role", role).exit_code == 0
    commands = set(re.findall(r"fedscore ([a-z]+ [a-z]+)", (folder / "README.txt").read_text()))
    assert {"contract check", "keys accept", "node begin", "node check", "node start"} <= commands
    for command in commands:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_nothing_is_overwritten(fresh: Path) -> None:
    before = snapshot(fresh)
    done = fedscore("init", fresh, "--name", "north", "--role", "platform")
    assert done.exit_code == 1
    assert "is not an empty folder, and nothing is overwritten: name a new one" in told(done)
    assert snapshot(fresh) == before


@pytest.mark.parametrize(
    ("name", "options"),
    [("a folder", ["--name", "n"]), ("a$b", ["--name", "n"]), ("folder", ["--name", "a b"])],
)
def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, name: str, options: list[str]) -> None:
    assert fedscore("init", tmp_path / name, *options, "--role", "platform").exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_memory_is_begun_that_trusts_nothing_before_it(
    file: Path, small_keys: SimulatedKeys, *, seated: bool
) -> None:
    done = fedscore("begin", file)

    assert done.exit_code == 0, done.output
    assert f"{file.parent / 'state'}: begun; never restore it from a backup" in done.output
    assert ("this member abstains until" in done.output) is seated
    state = memory(file.parent, small_keys).load()
    assert (state.abstains, state.last_round) == (True, 0)
    assert stat.S_IMODE((file.parent / "state").stat().st_mode) == 0o700


def test_evidence_is_begun_with_the_memory(begun: Path) -> None:
    ledger = begun.parent / "ledger"
    signing_key = simulated_identity("north").public.signing_key
    [entry] = read_evidence((ledger / EVIDENCE).read_bytes(), signing_key=signing_key)
    assert (entry.kind, entry.body["source"]) == ("began", "north")
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o700


def test_what_is_there_stays(begun: Path, small_keys: SimulatedKeys) -> None:
    kept = memory(begun.parent, small_keys)
    used = replace(kept.load(), made_since=("ab" * 32,))
    kept.store(used)
    before = snapshot(begun.parent)

    done = fedscore("begin", begun)

    assert done.exit_code == 0, done.output
    assert done.output.count("there already, and kept") == 2
    assert kept.load() == used
    assert snapshot(begun.parent) == before


def test_a_member_who_has_just_accepted_its_share_does_not_abstain(
    file: Path, small_keys: SimulatedKeys
) -> None:
    FileMemory.create(file.parent / "state", KeySeries.of(small_keys.record), abstains=False)

    assert fedscore("begin", file).exit_code == 0

    assert not memory(file.parent, small_keys).load().abstains


def test_a_damaged_memory_is_refused_and_kept(begun: Path) -> None:
    [damaged] = (begun.parent / "state").glob("memory-*.json")
    damaged.write_text("x")
    done = fedscore("begin", begun)
    assert done.exit_code == 1
    assert "is damaged" in told(done)
    assert damaged.read_text() == "x"


def test_evidence_that_was_lost_is_not_begun_in_silence(begun: Path) -> None:
    (begun.parent / "ledger" / EVIDENCE).unlink()
    done = fedscore("check", begun)
    assert done.exit_code == 1
    assert "there is no evidence in" in told(done)
    assert "fedscore node" in told(done)


def test_a_node_is_checked_and_started_only_with_a_memory(file: Path) -> None:
    for command in ("check", "start"):
        done = fedscore(command, file)
        assert done.exit_code == 1
        assert "holds no memory of this key" in told(done)
        assert "fedscore node begin" in told(done)
    assert not (file.parent / "state").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("contract.toml", 'name = "north"', 'name = "east"', "north is not on the roster"),
        ("contract.toml", "epsilon = 1.0", "epsilon = 2.0", "policy.toml accepts: read it, and add its hash"),
        ("policy.toml", "smallest_cohort = 3", "smallest_cohort = 4", "policy.toml asks for at least 4"),
        ("ceremony.json", '"threshold"', '"treshold"', "fetch the record anew"),
        ("node.toml", 'ceremony = "ceremony.json"', 'ceremony = "missing.json"', "missing.json"),
    ],
)
def test_nothing_is_begun_for_files_that_do_not_belong_together(
    file: Path, name: str, old: str, new: str, message: str
) -> None:
    change(file.parent / name, old, new)

    done = fedscore("begin", file)

    assert done.exit_code == 1
    assert message in told(done)
    assert not (file.parent / "state").exists()
    assert not (file.parent / "ledger").exists()


def test_no_evidence_is_begun_by_an_identity_that_nobody_knows(file: Path) -> None:
    (file.parent / "identity.json").write_text(simulated_identity("stranger").to_json())
    done = fedscore("begin", file)
    assert done.exit_code == 1
    assert "is not the identity of north" in told(done)
    assert not (file.parent / "ledger").exists()


def test_a_check_says_what_would_be_sent_and_changes_nothing(begun: Path, *, seated: bool) -> None:
    fedscore("check", begun)
    before = snapshot(begun.parent)
    done = fedscore("check", begun)
    assert done.exit_code == 0, done.output
    assert ("committee        member 1" in done.output) is seated
    assert "accepted by policy.toml" in done.output
    assert "consent          the contract asks for none" in done.output
    assert "budget           epsilon 0.0000 of 3 is spent, at delta 1e-05; another run fits" in done.output
    assert "warning" not in done.output
    assert done.output.endswith("nothing was sent\n")
    assert snapshot(begun.parent) == before


def test_the_bytes_of_a_check_are_those_of_real_submissions(begun: Path, small_keys: SimulatedKeys) -> None:
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415 - of this test alone

    found = json.loads(fedscore("check", begun, "--json").output)
    agenda = Agenda(load_contract(begun.parent / "contract.toml"), run="ab" * 16)
    turn = agenda.turn((), round_number=1, head="cd" * 32)
    sealer = PaillierSealer(
        public_key=small_keys.record.public_key, party="north", signer=simulated_identity("north")
    )
    sent = sealer.seal([0] * turn.envelope.request.dimension, turn.envelope)
    assert found["rounds"][0]["values"] == turn.envelope.request.dimension
    assert found["rounds"][0]["bytes"] == len(sent)


def test_a_check_says_when_the_budget_does_not_last(begun: Path) -> None:
    change(begun.parent / "policy.toml", "run_epsilon = 1.0", "run_epsilon = 0.5")
    done = fedscore("check", begun)
    assert done.exit_code == 0
    assert "another run does not fit" in done.output
    assert "warning          the next run would be refused: run" in done.output
    found = json.loads(fedscore("check", begun, "--json").output)
    assert found["budget"]["next_run_fits"] is False
    assert "run_epsilon in policy.toml" in found["budget"]["refusal"]


def test_a_check_reserves_nothing(begun: Path) -> None:
    fedscore("check", begun)
    config = load_node_config(begun)
    books = books_of(config, load_policy(config.policy), identity_of(config))
    with books.locked():
        assert books.spending().runs == ()


def test_a_check_counts_what_consent_leaves_out(begun: Path) -> None:
    (begun.parent / "withdrawals.csv").write_text("person,from\n2,2020-01-31\n")
    change(begun, "# withdrawals =", "withdrawals =")
    done = fedscore("check", begun)
    assert done.exit_code == 0, done.output
    assert "consent          1 rows may be used; left out: 1 withdrawn: stays here" in done.output
    found = json.loads(fedscore("check", begun, "--json").output)
    assert (found["consent"]["admitted"], found["consent"]["withdrawn"]) == (1, 1)


def test_a_check_says_of_how_many_in_the_list_there_is_no_row(begun: Path) -> None:
    (begun.parent / "withdrawals.csv").write_text("person,from\n2,2020-01-31\n017,\nmargaret,2999-01-01\n")
    change(begun, "# withdrawals =", "withdrawals =")
    done = fedscore("check", begun)
    assert "1 withdrawn; of 2 in the list of withdrawals there is no row: stays here" in done.output
    assert "margaret" not in done.output
    assert json.loads(fedscore("check", begun, "--json").output)["consent"]["unmatched"] == 2


@pytest.mark.parametrize("withdrawn", [False, True], ids=["empty table", "all withdrew"])
def test_people_are_warned_when_no_row_is_left(
    begun: Path,
    withdrawn: bool,  # noqa: FBT001 - pytest's own
) -> None:
    if withdrawn:
        (begun.parent / "withdrawals.csv").write_text("person,from\n1,\n2,\n")
        change(begun, "# withdrawals =", "withdrawals =")
    else:
        (begun.parent / "rows.csv").write_text(ROWS.splitlines(keepends=True)[0])
    done = fedscore("check", begun)
    assert done.exit_code == 0, done.output
    assert "training rows    0 (bad rate None): stays here" in done.output
    assert "warning          no row is left to train on, so a run would spend budget and send" in done.output
    found = json.loads(fedscore("check", begun, "--json").output)
    assert (found["training_rows"], found["bad_rate"]) == (0, None)
    assert len(found["warnings"]) == 1


def accept_evaluation(file: Path, rows: int) -> None:
    """Another contract, with an evaluation, is accepted; the table has so many rows."""
    folder = file.parent
    contract = folder / "contract.toml"
    before = load_contract(contract).hash()
    contract.write_text(contract.read_text() + "\n[evaluation]\n")
    change(folder / "policy.toml", before, load_contract(contract).hash())
    lines = [f"{number},0.05,0,card,0\n" for number in range(rows)]
    (folder / "rows.csv").write_text(ROWS.splitlines(keepends=True)[0] + "".join(lines))


def test_a_check_tries_test_rows_out_where_the_contract_evaluates(begun: Path) -> None:
    assert "test rows" not in fedscore("check", begun).output
    assert json.loads(fedscore("check", begun, "--json").output)["test_rows"] is None
    accept_evaluation(begun, 100)
    done = fedscore("check", begun)
    assert done.exit_code == 0, done.output
    found = json.loads(fedscore("check", begun, "--json").output)
    assert found["training_rows"] + found["test_rows"] == 100
    assert 10 < found["test_rows"] < 50
    assert f"test rows        {found['test_rows']}: stays here" in done.output


def test_people_are_warned_when_no_row_is_left_to_test_on(begun: Path) -> None:
    accept_evaluation(begun, 0)
    assert "no row is left to test on" in told(fedscore("check", begun))


def test_a_check_finds_too_many_test_rows_before_a_run_does(begun: Path) -> None:
    """In a run it would be refused in the midst of it, and everybody would see."""
    accept_evaluation(begun, 60)
    before = load_contract(begun.parent / "contract.toml").hash()
    change(begun.parent / "contract.toml", "row_cap = 4000", "row_cap = 50")
    change(begun.parent / "contract.toml", "test_share = 0.3", "test_share = 0.9")
    change(begun.parent / "policy.toml", before, load_contract(begun.parent / "contract.toml").hash())
    done = fedscore("check", begun)
    assert done.exit_code != 0
    assert "rows are on the test side, and the contract's row_cap is 50" in told(done)


@pytest.mark.parametrize("name", ["identity.json", "node.key", "key_share.json"])
def test_people_are_warned_of_secrets_that_others_can_read(begun: Path, name: str, *, seated: bool) -> None:
    if name == "key_share.json" and not seated:
        pytest.skip("a party that is no member has no share")
    (begun.parent / name).chmod(0o644)
    done = fedscore("check", begun)
    assert done.exit_code == 0
    assert f"warning          {begun.parent / name} can be read or changed by others" in done.output


def test_people_are_warned_of_a_bundle_that_the_policy_does_not_list(begun: Path) -> None:
    change(begun.parent / "policy.toml", bundle_hash(), "0" * 64)
    done = fedscore("check", begun)
    assert done.exit_code == 0
    assert f"refused: add {bundle_hash()} to bundles" in done.output


@pytest.mark.parametrize("command", ["check", "start"])
def test_an_expired_authority_is_refused_with_the_next_step(begun: Path, command: str) -> None:
    expired = Authority.generate("old", valid=-DAY).certificate
    (begun.parent / "authority.crt").write_bytes(pem(expired))
    done = fedscore(command, begun)
    assert done.exit_code == 1
    assert re.search(
        r"authority\.crt expired on \S+, so nobody can connect with it: the operator", told(done)
    )


def test_people_are_warned_before_the_authority_expires(begun: Path) -> None:
    soon = Authority.generate("soon", valid=10 * DAY).certificate
    (begun.parent / "authority.crt").write_bytes(pem(soon))
    done = fedscore("check", begun)
    assert done.exit_code == 0
    assert re.search(r"warning +\S+authority\.crt expires on \S+, in 9 days: the operator", done.output)


def test_a_key_in_place_of_the_authority_is_refused(begun: Path) -> None:
    (begun.parent / "authority.crt").unlink()
    ServerKey.generate().write(begun.parent / "authority.crt")
    done = fedscore("check", begun)
    assert done.exit_code == 1
    assert "is no certificate that can be read" in told(done)
