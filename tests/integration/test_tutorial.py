"""The tutorial does what it says: every command of it is run, in its order, on the data that it names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY.parent / "shared" / "data" / "pakdd2009.parquet"
TUTORIAL = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
CHECKOUT = "checkout=/path/to/the/checkout"


def blocks() -> Iterator[tuple[str, str]]:
    """What is typed, and what is fenced with its language, in the order of the text."""
    for match in re.finditer(
        r"^```(\w+)\n(.*?)^```$|((?:^    [^\n]*\n|^\n(?=    ))+)", TUTORIAL, re.MULTILINE | re.DOTALL
    ):
        language, fenced, typed = match.groups()
        if typed is None:
            yield language, fenced
        else:
            yield "typed", re.sub(r"^    ", "", typed, flags=re.MULTILINE).strip("\n")


class Terminal:
    """Runs what is typed in one folder, with what was set before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._set = ""

    def type(self, text: str) -> None:
        if text.startswith(CHECKOUT):
            self._set = f"set -eu; {text.replace(CHECKOUT, f'checkout={REPOSITORY}')}\n"
            return
        done = subprocess.run(
            ["bash", "-c", self._set + text],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        self.said.append(done.stdout)

    def serve(self, text: str) -> subprocess.Popen[str]:
        server = subprocess.Popen(
            ["bash", "-c", f"{self._set}exec {text}"], cwd=self.folder, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        assert "scoring on" in server.stdout.readline()
        return server


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="PAKDD 2009 is not here")
def test_every_command_of_the_tutorial(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    server: subprocess.Popen[str] | None = None
    told: list[str] = []
    try:
        for kind, text in blocks():
            if kind == "toml" and text.startswith("[grades]"):
                with (tmp_path / "contract.toml").open("a", encoding="utf-8") as contract:
                    contract.write(f"\n{text}")
            elif kind == "python":
                (tmp_path / "ask.py").write_text(text, encoding="utf-8")
            elif kind == "text":
                told.append(text)
            elif kind == "typed" and text.startswith("fedscore card serve"):
                server = terminal.serve(text)
            elif kind == "typed":
                terminal.type(text)
    finally:
        if server is not None:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
            assert server.returncode == 0
    for name in ("card.html", "model.html", "model.md", "scores.parquet", "score.sql"):
        assert (tmp_path / name).stat().st_size > 0
    # Where a line may be broken is not what is said.
    said = "\n".join(terminal.said).replace("\N{NO-BREAK SPACE}", " ")
    lines = [line for text in told for line in text.splitlines() if line.strip("… ")]
    assert len(lines) > 25
    missing = [line for line in lines if line.rstrip("… ") not in said]
    assert missing == []
