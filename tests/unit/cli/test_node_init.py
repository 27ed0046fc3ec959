"""`fedscore node init`: the one way to begin a node's memory, besides accepting a share."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clients.memory import FileMemory
from fedscore.cli.main import app
from fedscore.sums.series import KeySeries
from simulations.keys import SimulatedKeys, simulated_identity

PARTIES = {"north": "platform", "south": "platform", "agency": "collector"}

NODE = """
party = "north"
role = "platform"
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
state = "deep/state"

[data]
table = "rows.csv"
"""

SEAT = 'key_share = "key_share.json"\n'

Init = Callable[[], Result]


@pytest.fixture(params=[False, True], ids=["party", "member"])
def seated(request: pytest.FixtureRequest) -> bool:
    """Whether the node sits on the committee."""
    return bool(request.param)


@pytest.fixture
def folder(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str, *, seated: bool) -> Path:
    """Everything that a node needs but its memory."""
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
    (tmp_path / "identity.json").write_text(simulated_identity("north").to_json())
    (tmp_path / "key_share.json").write_text(small_keys.shares[0].to_json())
    (tmp_path / "rows.csv").write_text(
        "id,utilisation,late_payments,segment,y\n1,0.05,0,card,0\n2,0.9,2,loan,1\n"
    )
    (tmp_path / "node.toml").write_text((SEAT if seated else "") + NODE)
    return tmp_path


@pytest.fixture
def init(folder: Path) -> Init:
    return lambda: CliRunner().invoke(app, ["node", "init", str(folder / "node.toml")])


def memory(folder: Path, keys: SimulatedKeys) -> FileMemory:
    return FileMemory(folder / "deep" / "state", KeySeries.of(keys.record))


def test_a_memory_is_begun_that_trusts_nothing_before_it(
    folder: Path, init: Init, small_keys: SimulatedKeys, *, seated: bool
) -> None:
    done = init()

    assert done.exit_code == 0, done.output
    assert f"{folder / 'deep' / 'state'}: begun; never restore it from a backup" in done.output
    assert ("this member abstains until" in done.output) is seated
    state = memory(folder, small_keys).load()
    assert (state.abstains, state.last_round) == (True, 0)
    assert stat.S_IMODE((folder / "deep" / "state").stat().st_mode) == 0o700


def test_a_node_is_checked_and_started_only_with_a_memory(folder: Path, init: Init) -> None:
    file = str(folder / "node.toml")
    start = ["start", "--superlink", "h:1", "--ca", file, "--key", file]
    for command in (["check"], start):
        done = CliRunner().invoke(app, ["node", *command, file])
        assert done.exit_code == 1
        assert "holds no memory of this key" in done.output
        assert "fedscore node init" in done.output
    assert not (folder / "deep").exists()

    init()

    done = CliRunner().invoke(app, ["node", "check", file])
    assert done.exit_code == 0, done.output


def test_a_memory_that_was_used_is_kept(folder: Path, init: Init, small_keys: SimulatedKeys) -> None:
    assert init().exit_code == 0
    assert init().exit_code == 0
    kept = memory(folder, small_keys)
    used = replace(kept.load(), made_since=("ab" * 32,))
    kept.store(used)

    done = init()

    assert done.exit_code == 1
    assert "holds a memory of this key already: keep it" in done.output
    assert kept.load() == used


def test_a_memory_that_was_not_used_gives_way_to_one_that_trusts_itself_less(
    folder: Path, init: Init, small_keys: SimulatedKeys
) -> None:
    FileMemory.create(folder / "deep" / "state", KeySeries.of(small_keys.record), abstains=False)

    assert init().exit_code == 0

    assert memory(folder, small_keys).load().abstains


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("contract.toml", "members = 3", "members = 4", "members = 4"),
        ("contract.toml", 'name = "north"', 'name = "east"', "north is not on the roster"),
        ("ceremony.json", '"threshold"', '"treshold"', "fetch the record anew"),
        ("node.toml", 'ceremony = "ceremony.json"', 'ceremony = "missing.json"', "missing.json"),
    ],
)
def test_nothing_is_begun_for_files_that_do_not_belong_together(
    folder: Path, init: Init, file: str, old: str, new: str, message: str
) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))

    done = init()

    assert done.exit_code == 1
    assert message in done.output.replace("\n", " ")
    assert not (folder / "deep").exists()
