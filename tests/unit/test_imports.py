"""What is imported: little where every phase pays for it, and nothing that is not declared."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("fedscore", "privacy", "clients", "server", "simulations")
HEAVY = {"torch", "opacus", "sklearn", "scipy", "matplotlib", "lightgbm", "pandas", "jinja2"}
CRYPTOGRAPHY = {"cryptography", "gmpy2", "phe"}
DEALING = {"privacy.paillier.ceremony", "privacy.paillier.primes"}
"""What makes a private key whole: no process of a deployment needs it."""

NODE = "import clients.app, clients.platform, clients.collector"


@functools.cache
def loaded_after(statement: str) -> frozenset[str]:
    """Modules, and their top-level packages, in a fresh interpreter after a statement."""
    tell = "import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{tell}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    modules = json.loads(done.stdout.splitlines()[-1])
    return frozenset([*modules, *(name.partition(".")[0] for name in modules)])


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        (NODE, HEAVY | DEALING | {"server", "simulations"}),
        ("import server.app", HEAVY | DEALING | {"clients", "simulations"}),
        ("import fedscore.card", HEAVY | CRYPTOGRAPHY | {"flwr", "pyarrow", "privacy", "clients", "server"}),
        ("import fedscore.contract", HEAVY | CRYPTOGRAPHY | {"numpy", "flwr", "pyarrow", "privacy"}),
        ("import fedscore.messages", HEAVY | CRYPTOGRAPHY | {"flwr", "pyarrow", "pydantic", "privacy"}),
        ("import fedscore.learners.agenda", HEAVY | {"flwr", "cryptography", "phe"}),
        ("import fedscore.sums.paillier", HEAVY | {"flwr", "clients", "server"}),
        (
            "import fedscore.serving.server, fedscore.cli.card_serve",
            HEAVY | {"flwr", "gmpy2", "phe", "rich.progress", "privacy", "clients", "server", "simulations"},
        ),
        (
            "import privacy, privacy.dp.accounting, privacy.dp.discrete_gaussian, privacy.paillier.ceremony",
            HEAVY | {"flwr", "pyarrow", "pydantic", "clients", "server", "simulations"},
        ),
    ],
)
def test_a_fresh_interpreter_loads_no_more_than_it_needs(statement: str, unwanted: set[str]) -> None:
    assert loaded_after(statement) & unwanted == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert {"jinja2", "matplotlib"} | DEALING <= loaded_after("import simulations.report, simulations.keys")
    # Every phase checks signatures, so these cannot be saved.
    assert {"cryptography", "gmpy2", "flwr"} <= loaded_after(NODE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["contract", "check", "--help"],
        ["keys", "ceremony", "--help"],
        ["simulate", "--help"],
        ["demo", "--help"],
    ],
)
def test_help_starts_without_what_experiments_need(arguments: list[str]) -> None:
    statement = (
        "from fedscore.cli.main import app\n"
        f"try: app({arguments!r}, standalone_mode=False)\nexcept SystemExit: pass"
    )
    assert loaded_after(statement) & (HEAVY | CRYPTOGRAPHY | {"flwr"}) == set()


def imported_by(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def declared() -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    entries = [*project["dependencies"], *extras["simulations"], *extras["neural"], *extras["sql"]]
    return {normal(re.split(r"[<>=!~\[ ]", entry)[0]) for entry in entries}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_that_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    foreign = {
        name
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        for name in imported_by(path)
        if name not in sys.stdlib_module_names and name not in PACKAGES
    }
    # What pydantic is made of, in its own words for errors.
    foreign -= {"pydantic_core"}
    missing = {
        name for name in foreign if not declared() & {normal(dist) for dist in distributions.get(name, [])}
    }
    assert missing == set()


def test_every_declared_package_is_imported() -> None:
    distributions = packages_distributions()
    used = {
        normal(distribution)
        for root in (*PACKAGES, "tests")
        for path in (REPOSITORY / root).rglob("*.py")
        for name in imported_by(path)
        for distribution in distributions.get(name, [])
    }
    # The accountant's tests load opacus only where it is installed, and it runs on torch.
    assert declared() - used - {"opacus", "torch"} == set()
