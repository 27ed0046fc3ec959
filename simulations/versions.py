"""What code and data figures come from: versions, and hashes of fedscore's own source and of a data file."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fedscore.contract import Learner
from fedscore.errors import DataError, ScenarioError
from simulations.scenario import NAIVE, Baseline, Scenario

__all__ = [
    "LIGHTGBM_PACKAGES",
    "NEURAL_PACKAGES",
    "TELLING",
    "FileMark",
    "code_sha256",
    "file_sha256",
    "packages_of",
    "require_same_code",
    "source_sha256",
    "versions_of",
]

LIGHTGBM_PACKAGES = ("lightgbm",)
NEURAL_PACKAGES = ("torch", "opacus")

TELLING = (
    "fedscore/cli/",
    "fedscore/pages/",
    "fedscore/serving/",
    "simulations/paper/",
    "simulations/report/",
)
"""Where source files only tell of figures that others made."""

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
        **{name: _version(name) for name in (*_ALWAYS, *packages)},
    }


def packages_of(terms: Scenario) -> tuple[str, ...]:
    """The packages beside the usual ones that decide figures of a scenario."""
    lightgbm = Baseline.POOLED_LIGHTGBM in terms.baselines
    neural = terms.learner.name is Learner.NEURAL or not _NEURAL.isdisjoint(terms.baselines)
    return (*(LIGHTGBM_PACKAGES if lightgbm else ()), *(NEURAL_PACKAGES if neural else ()))


@functools.cache
def _version(name: str) -> str:
    return version(name)


def _folder_of(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ScenarioError(f"the package {package} is not where fedscore was installed: install it again")
    return Path(found.origin).parent


def source_sha256() -> str:
    """Hash of all of fedscore's own source files that can move a figure, as they are on the disk now.

    What only tells of figures is left out: the command line, pages and reports. No job loads any of it.
    """
    digest = hashlib.sha256()
    for package in _OWN:
        root = _folder_of(package)
        for path in sorted(root.rglob("*.py")):
            name = f"{package}/{path.relative_to(root).as_posix()}"
            if not name.startswith(TELLING):
                content = path.read_bytes()
                digest.update(f"{len(name)} {len(content)} {name}".encode() + content)
    return digest.hexdigest()


_LOADED = source_sha256()


def code_sha256() -> str:
    """Hash of the source that this process runs.

    Figures of other code are not the same figures, whatever the version says: between releases, every change
    of a source file makes another hash.
    """
    return _LOADED


def require_same_code(code: str) -> None:
    """Refuse to go on with other code than an experiment began with.

    Args:
        code: What the hash was when it began.

    Raises:
        ScenarioError: The source has changed since.
    """
    if not code == _LOADED == source_sha256():
        raise ScenarioError(
            "fedscore's source files were changed while the simulation ran, so its figures would be of two "
            "programs: run it again; jobs that were finished before are done again where they depend on it"
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What a file looked like from outside when it was hashed: cheap to compare, and changed by any writer.

    Attributes:
        path: The file.
        size: In bytes.
        modified: Its time of modification, in nanoseconds.
        inode: Its number, which another file in its place has not.
    """

    path: Path
    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileMark:
        """The mark as it is now.

        Raises:
            DataError: The file is gone.
        """
        try:
            told = path.stat()
        except OSError as error:
            raise DataError(f"{path.name} cannot be read ({error.strerror})") from None
        return cls(path=path, size=told.st_size, modified=told.st_mtime_ns, inode=told.st_ino)

    def require_unchanged(self) -> None:
        """Refuse a file that somebody wrote to.

        Raises:
            DataError: It was changed or replaced.
        """
        if self != FileMark.of(self.path):
            raise DataError(
                f"{self.path.name} was changed while the simulation ran, so its figures would be of two "
                "files: run it again"
            )
