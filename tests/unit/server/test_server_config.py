"""The server's configuration names no key that opens anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.errors import NodeConfigError
from server.config import ServerConfig, load_server_config

GOOD = """\
contract = "contract.toml"
ceremony = "ceremony.json"
state = "runs"
answer_seconds = 30
identity = "identity.json"
"""


def load(folder: Path, text: str) -> ServerConfig:
    (folder / "contract.toml").touch()
    (folder / "ceremony.json").touch()
    (folder / "identity.json").touch()
    (folder / "server.toml").write_text(text, encoding="utf-8")
    return load_server_config(folder / "server.toml")


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)

    assert config.contract == tmp_path / "contract.toml"
    assert config.ceremony == tmp_path / "ceremony.json"
    assert config.identity == tmp_path / "identity.json"
    assert config.state == tmp_path / "runs"
    assert config.answer_seconds == 30


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "answer_seconds = 30",
            'key_share = "share.json"',
            "line 4, key_share: there is no entry key_share",
        ),
        ('identity = "identity.json"', "", "identity: "),
        ('"identity.json"', '"nothing.json"', "line 5, identity: there is no file"),
        ("answer_seconds = 30", "answer_seconds = 0", "line 4, answer_seconds: must be above 0"),
        (
            "answer_seconds",
            "join_seconds = inf\nanswer_seconds",
            "line 4, join_seconds: must be a finite number",
        ),
        ('ceremony = "ceremony.json"', "", "ceremony: "),
        ("ceremony.json", "nothing.json", "line 2, ceremony: there is no file"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(NodeConfigError) as refused:
        load(tmp_path, GOOD.replace(old, new))

    assert message in str(refused.value)
