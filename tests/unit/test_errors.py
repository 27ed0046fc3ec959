"""The tree of exceptions: as drawn, complete, and never a message without words."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from fedscore import errors

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("fedscore", "privacy", "clients", "server", "simulations")


def drawn() -> dict[str, str]:
    """Each name of the docstring's tree, with the name it hangs under."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]  # the module has a docstring
        found = re.match(r"^    ((?:[│ ] {3})*(?:[├└]── )?)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def defined() -> dict[str, str]:
    return {
        name: kind.__mro__[1].__name__
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == defined()


def test_the_drawing_is_read_to_its_depths() -> None:
    assert drawn()["RunFailed"] == "ProtocolError"
    assert drawn()["ProofRefused"] == "EncryptionError"
    assert drawn()["FedscoreError"] == "Exception"


def test_every_error_is_exported() -> None:
    assert sorted(errors.__all__) == sorted(defined())


def test_no_module_has_exceptions_of_its_own_that_leave_it() -> None:
    """Whatever is raised on purpose and not private to its module stands in the tree."""
    names = re.compile(r"(Error|Exception|Refused|Failed|Exhausted)$")
    strangers = [
        f"{path.relative_to(REPOSITORY)}: {node.name}"
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(names.search(ast.unparse(base)) for base in node.bases)
        and not node.name.startswith("_")
        and path != REPOSITORY / "fedscore" / "errors.py"
    ]
    assert strangers == []


def test_every_error_is_made_somewhere() -> None:
    """An exception that nothing raises is a promise that nothing keeps."""
    made = {
        node.func.id
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    leaves = set(defined()) - set(defined().values())
    assert leaves - made == set()
