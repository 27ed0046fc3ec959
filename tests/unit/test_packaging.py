"""The pins: exact, complete, and those that this environment was tested with."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
LINES = [
    line
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PINS: dict[str, str] = {canonicalize_name(line.split("==")[0]): line.split("==")[-1] for line in LINES}


def project() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return loaded


def requirements() -> list[Requirement]:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    direct = project()["dependencies"]
    assert isinstance(direct, list)
    entries = [*direct, *(entry for extra in extras.values() for entry in extra)]
    return [Requirement(entry) for entry in entries if not entry.startswith("fedscore[")]


def test_every_pin_is_an_exact_public_version() -> None:
    """No path, no address, and no local build such as +cpu, which other machines could not find."""
    odd = [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)]
    assert odd == []
    assert sorted(PINS) == sorted({canonicalize_name(line.split("==")[0]) for line in LINES})


def test_every_dependency_is_pinned_within_its_range() -> None:
    wrong = [
        str(requirement)
        for requirement in requirements()
        if PINS.get(canonicalize_name(requirement.name)) is None
        or not requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])
    ]
    assert wrong == []


def test_torch_and_grpc_are_the_releases_that_belong_together() -> None:
    assert PINS["torch"] == "2.13.0"
    assert {pin for name, pin in PINS.items() if name.startswith("grpcio")} == {PINS["grpcio"]}
    assert Version(PINS["protobuf"]) < Version("7")


def test_what_is_tested_is_what_is_pinned() -> None:
    differing = {}
    for name, pin in PINS.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue  # some are for other systems
        if Version(installed).public != pin:
            differing[name] = installed
    if differing:
        pytest.fail(f"the environment differs from constraints.txt, run make install: {differing}")


def test_the_version_is_that_of_the_installed_package_and_of_the_bundle() -> None:
    bundle = tomllib.loads((REPOSITORY / "server" / "bundle" / "pyproject.toml").read_text(encoding="utf-8"))
    assert project()["version"] == version("fedscore") == bundle["project"]["version"]
