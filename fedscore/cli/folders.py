"""New folders: an operator's or a node's, with keys, files to be completed, and units of systemd."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

from fedscore.errors import NodeConfigError
from fedscore.files import sync_folder, write_new
from fedscore.messages.programs import program
from privacy.identities import Identity, PublicIdentity

__all__ = ["new_folder", "render", "unit_values", "write_files", "write_identity"]

# These mean nothing to nginx and systemd, so that no path has to be quoted for either.
_PLAIN_PATH = re.compile(r"[\w./@+-]+")


def new_folder(folder: Path) -> Path:
    """Makes a folder that its owner alone may enter, or takes an empty one.

    Returns:
        Its absolute path.

    Raises:
        NodeConfigError: There is something in it, or its path has characters that a unit would misread.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NodeConfigError(f"{folder} is not an empty folder, and nothing is overwritten: name a new one")
    _require_plain(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_identity(folder: Path, identity: Identity) -> PublicIdentity:
    """Writes identity.json, for its owner alone, and identity.pub.json."""
    write_new(folder / "identity.json", (identity.to_json() + "\n").encode(), mode=0o600)
    write_new(folder / "identity.pub.json", (identity.public.to_json() + "\n").encode(), mode=0o644)
    return identity.public


def render(template: str, **values: object) -> str:
    """Fills in one of the shipped templates, named as the file that it becomes."""
    import jinja2  # noqa: PLC0415 - other commands do not pay for it

    environment = jinja2.Environment(  # noqa: S701 - no HTML is written, and every value was checked
        loader=jinja2.PackageLoader("fedscore.cli"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{template}.j2").render(**values)


def unit_values(folder: Path) -> dict[str, object]:
    """What every unit is told: its folder, its program, and who runs it.

    Raises:
        NodeConfigError: The path of the program has characters that a unit would misread.
    """
    command = Path(program("fedscore"))
    _require_plain(command)
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return {"folder": folder, "program": command, "user": user}


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes texts into new files, by name."""
    for name, text in files.items():
        write_new(folder / name, text.encode(), mode=0o644)
    sync_folder(folder)


def _require_plain(path: Path) -> None:
    if _PLAIN_PATH.fullmatch(str(path)) is None:
        raise NodeConfigError(
            f"{str(path)!r} has characters that nginx or systemd would misread: use a path of letters, "
            "digits and . _ - @ + alone"
        )
