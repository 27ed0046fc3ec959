"""What code and data figures come from: versions, and hashes of fedscore's own source and of a data file."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fedscore.contract import Learner
from fedscore.errors import DataError, ScenarioError
from simulations.scenario import NAIVE, Baseline, Scenario

__all__ = [
    "LIGHTGBM_PACKAGES",
    "NEURAL_PACKAGES",
    "code_sha256",
    "file_sha256",
    "packages_of",
    "versions_of",
]

LIGHTGBM_PACKAGES = ("lightgbm",)
NEURAL_PACKAGES = ("torch", "opacus")

_OWN = ("clients", "fedscore", "privacy", "server", "simulations")
_ALWAYS = ("fedscore", "numpy", "pyarrow", "scikit-learn", "flwr")
_NEURAL = frozenset({Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL, *NAIVE})


def versions_of(packages: Sequence[str] = ()) -> dict[str, str]:
    """Versions of Python, of fedscore, and of the packages that decide all figures.

    Args:
        packages: Those that decide some figures besides.
    """
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in (*_ALWAYS, *packages)},
    }


def packages_of(terms: Scenario) -> tuple[str, ...]:
    """The packages beside the usual ones that decide figures of a scenario."""
    lightgbm = Baseline.POOLED_LIGHTGBM in terms.baselines
    neural = terms.learner.name is Learner.NEURAL or not _NEURAL.isdisjoint(terms.baselines)
    return (*(LIGHTGBM_PACKAGES if lightgbm else ()), *(NEURAL_PACKAGES if neural else ()))


@functools.cache
def code_sha256() -> str:
    """Hash of all source files of fedscore's own packages, as they are installed.

    Figures of other code are not the same figures, whatever the version says: between releases, every change
    of a source file makes another hash.
    """
    digest = hashlib.sha256()
    for package in _OWN:
        root = _folder_of(package)
        for path in sorted(root.rglob("*.py")):
            name = f"{package}/{path.relative_to(root).as_posix()}".encode()
            content = path.read_bytes()
            digest.update(b"%d %d " % (len(name), len(content)) + name + content)
    return digest.hexdigest()


def _folder_of(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ScenarioError(f"the package {package} is not where fedscore was installed: install it again")
    return Path(found.origin).parent


def file_sha256(path: Path) -> str:
    """Hash of a file's content.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror})") from None
