"""What is built is what is in the tree, and runs where there is no tree."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from server.bundling import bundle_hash, pack

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("clients", "fedscore", "privacy", "server", "simulations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the tree."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    # Something that must not get in by being there.
    shutil.copytree(REPOSITORY / "tests" / "vectors", source / "tests")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = (source / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_files_of_the_five_packages_and_nothing_else(wheel: Path) -> None:
    in_tree = {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert in_wheel == in_tree
    assert {"simulations/contracts/taiwan.toml", "fedscore/cli/templates/nginx.conf.j2"} <= in_wheel


def test_the_wheel_ships_the_bundle_whose_hash_organisations_allow(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("server/bundle/pyproject.toml", tmp_path)
    packed = pack(tmp_path / "server" / "bundle")
    assert hashlib.sha256(packed).hexdigest() == bundle_hash()


def test_the_packages_hold_code_and_what_it_reads_alone() -> None:
    odd = [
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not path.name.endswith((".py", ".pyi", ".toml", ".j2", ".proto"))
        and path.name != "py.typed"
    ]
    assert odd == []
    assert [package for package in PACKAGES if not (REPOSITORY / package / "py.typed").is_file()] == []


def test_the_wheel_says_who_it_is(wheel: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        [folder] = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read(f"{folder}/entry_points.txt").decode())
        licence = archive.read(f"{folder}/licenses/LICENSE").decode()
    assert (metadata["Name"], metadata["Version"]) == ("fedscore", project["version"])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "make demo" in metadata.get_payload()
    assert {section: dict(scripts[section]) for section in scripts.sections()} == {
        "console_scripts": {"fedscore": "fedscore.cli.main:main"}
    }
    assert licence == (REPOSITORY / "LICENSE").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and all else from the environment of this test.

    The dependencies are those that are tested with, found through a path file; fedscore comes from the wheel.
    """
    folder = tmp_path_factory.mktemp("elsewhere") / "env"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def run(program: Path, *arguments: str, folder: Path) -> str:
    """The standard output of a program that must succeed, started where there is no checkout."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_installed_packages_are_those_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    files = run(
        installed / "python",
        "-c",
        f"import {', '.join(PACKAGES)}; print(*({', '.join(f'{name}.__file__' for name in PACKAGES)},))",
        folder=tmp_path,
    ).split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(installed.parent) for file in files), files


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "fedscore", "demo", "--people", "6000", "--out", "demo", folder=tmp_path)
    assert "The people are synthetic" in told
    results = json.loads((tmp_path / "demo" / "results.json").read_text(encoding="utf-8"))
    [own] = [run for run in results["runs"] if run["baseline"] is None]
    assert own["encrypted"]
    assert own["epsilon_spent"] <= own["epsilon"] == 1
    assert json.loads((tmp_path / "demo" / "card.json").read_text(encoding="utf-8"))["schema_version"] == 2
    assert "data:image/" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_simulation_runs_from_the_wheel(installed: Path, tmp_path: Path, shared_data: Path) -> None:
    run(
        installed / "fedscore",
        "simulate",
        "taiwan",
        *("--data", str(shared_data / "taiwan_credit_card.parquet")),
        *("--set", "split.seeds=[1]", "--set", "privacy.epsilon=[1]", "--set", "baselines=[]"),
        *("--out", "taiwan"),
        folder=tmp_path,
    )
    results = json.loads((tmp_path / "taiwan" / "results.json").read_text(encoding="utf-8"))
    [only] = results["runs"]
    assert only["auc"] > 0.76
    assert {path.name for path in (tmp_path / "taiwan").iterdir()} == {
        "card.json",
        "card.signer.json",
        "report.html",
        "results.csv",
        "results.json",
    }
