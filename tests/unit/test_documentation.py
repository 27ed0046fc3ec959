"""Documents: what they name exists, and what exists is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from fedscore.cli.main import app
from fedscore.contract import NoiseMode
from simulations import wording
from simulations.scenario import Baseline

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
NAMES = [path.relative_to(REPOSITORY).as_posix() for path in DOCUMENTS]
EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)

MEGABYTE = 1_000_000


def commands(command: click.Command, *names: str) -> Iterator[str]:
    """Every command that does something, as it is typed."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *names, name)
    else:
        yield " ".join(names)


COMMANDS = sorted(commands(typer.main.get_command(app), "fedscore"))


def test_the_commands_are_found() -> None:
    assert {"fedscore demo", "fedscore simulate", "fedscore contract check"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"\b{command}\b", README)


def test_every_command_of_a_document_exists() -> None:
    """A word after `fedscore` in code is a command, or the first word of one."""
    groups = {" ".join(command.split()[:2]) for command in COMMANDS}
    code = re.findall(r"`([^`\n]+)`", TEXT) + re.findall(r"^    +(\S.*)$", TEXT, flags=re.MULTILINE)
    named = {name for line in code for name in re.findall(r"(?:^|\s)(fedscore [a-z]+)(?=\s|$)", line)}
    assert {name for name in named if name not in groups} == set()


@EACH
def test_relative_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    missing = [
        target
        for target in targets
        if "://" not in target and not (document.parent / target.partition("#")[0]).exists()
    ]
    assert missing == []


@EACH
def test_files_that_are_named_exist(document: Path) -> None:
    """A path in code that starts at one of the repository's folders."""
    folders = "|".join(path.name for path in REPOSITORY.iterdir() if path.is_dir() and path.name[0] != ".")
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", document.read_text(encoding="utf-8"))
    # Where results go exists once there are results.
    named = [path for path in named if not path.startswith("runs/")]
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_make_targets_that_are_named_exist_and_all_are_described() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[0].split())
    named = set(re.findall(r"(?:`|^ {4})make ([a-z]+)", TEXT, flags=re.MULTILINE))
    assert described == phony
    assert named - described == set()
    assert {"demo", "test", "check"} <= named


def test_decisions_are_numbered_have_a_status_and_are_listed() -> None:
    decisions = sorted((DOCS / "adr").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [
        f"{number:04}" for number in range(1, len(decisions) + 1)
    ]
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert re.search(r"^Status: \w+$", text, flags=re.MULTILINE), path.name
        assert f"](adr/{path.name})" in index


def test_every_document_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    documents = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert [name for name in documents if f"]({name})" not in index] == []


def test_the_demo_table_of_the_readme_has_the_rows_that_the_demo_prints() -> None:
    table = README.partition("<!-- demo: begin -->")[2].partition("<!-- demo: end -->")[0]
    methods = [wording._OWN[NoiseMode.SHARED]] + [
        words for method, words in wording._BASELINES.items() if method is not Baseline.POOLED_LIGHTGBM
    ]
    assert "`fedscore demo`" in table
    assert [
        method for method in methods if not re.search(rf"^ *{re.escape(method)} ", table, re.MULTILINE)
    ] == []


def test_the_changelog_knows_this_version_and_speaks_of_privacy() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert re.match(rf"\[(Unreleased|{re.escape(project['version'])})\]", releases[0])
    assert all("### Privacy" in release for release in releases)


def test_no_file_that_git_would_take_is_large() -> None:
    git = shutil.which("git")
    if git is None or not (REPOSITORY / ".git").exists():
        pytest.skip("this is no checkout of git")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout
    paths = [REPOSITORY / name.decode() for name in listed.split(b"\0") if name]
    assert REPOSITORY / "README.md" in paths
    assert [path for path in paths if path.is_file() and path.stat().st_size > MEGABYTE] == []
