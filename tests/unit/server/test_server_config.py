"""The server's configuration holds no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.errors import NodeConfigError
from server.config import ServerConfig, load_server_config

GOOD = """\
contract = "contract.toml"
public_key = "public.json"
state = "runs"
answer_seconds = 30

[committee]
members = 3
threshold = 2
"""


def load(folder: Path, text: str) -> ServerConfig:
    (folder / "contract.toml").touch()
    (folder / "public.json").touch()
    (folder / "server.toml").write_text(text, encoding="utf-8")
    return load_server_config(folder / "server.toml")


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)

    assert config.contract == tmp_path / "contract.toml"
    assert config.public_key == tmp_path / "public.json"
    assert config.state == tmp_path / "runs"
    assert config.answer_seconds == 30


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[committee]",
            'key_share = "share.json"\n[committee]',
            "line 6, key_share: there is no entry key_share",
        ),
        ("answer_seconds = 30", "answer_seconds = 0", "line 4, answer_seconds: must be above 0"),
        (
            "answer_seconds",
            "join_seconds = inf\nanswer_seconds",
            "line 4, join_seconds: must be a finite number",
        ),
        ("threshold = 2", "threshold = 4", "line 6, committee: threshold is larger than members"),
        ("members = 3", "members = 33", "line 7, committee.members: must be 32 or less"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(NodeConfigError) as refused:
        load(tmp_path, GOOD.replace(old, new))

    assert message in str(refused.value)
