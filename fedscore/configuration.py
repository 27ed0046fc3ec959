"""Reading the TOML files in which a node's owner and the operator say where their things are."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ValidationError, ValidationInfo

from fedscore.contract.explaining import explain
from fedscore.contract.locations import lines_of, nearest_line
from fedscore.contract.values import Term
from fedscore.errors import NodeConfigError

__all__ = ["ExistingFile", "ExistingFolder", "FuturePath", "load_configuration"]

_TermT = TypeVar("_TermT", bound=Term)


def load_configuration(file: Path, model: type[_TermT]) -> _TermT:
    """Read a configuration file.

    Args:
        file: TOML in UTF-8; relative paths in it start from the file's own folder.
        model: What it must fit.

    Raises:
        NodeConfigError: The file cannot be read or does not fit; every mistake is listed with its line.
    """
    text = _text_of(file)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as refused:
        raise NodeConfigError(f"{file} is not TOML: {refused}; correct it and try again") from None
    try:
        return model.model_validate(raw, context={"folder": file.absolute().parent})
    except ValidationError as refused:
        details = refused.errors()
    lines = lines_of(text)
    mistakes = []
    for detail in details:
        line = nearest_line(lines, detail["loc"])
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"])[1:]
        where = f"line {line}, {place}" if line is not None else place or "the file"
        mistakes.append(f"{where}: {explain(detail, model)}")
    count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
    raise NodeConfigError("\n  ".join([f"{file} has {count}:", *mistakes]))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NodeConfigError(f"there is no file {file}: give the path of the configuration") from None
    except OSError as refused:
        raise NodeConfigError(
            f"{file} cannot be read: {refused.strerror or 'it cannot be opened'}; give the path of a file"
        ) from None
    except UnicodeDecodeError as refused:
        raise NodeConfigError(
            f"{file} is not UTF-8 (byte {refused.start + 1}): save it as UTF-8 and try again"
        ) from None


def _in_its_folder(path: Path, info: ValidationInfo) -> Path:
    folder = info.context["folder"] if info.context else Path.cwd()
    return Path(folder, path)


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}: correct the path, or put the file there")
    return path


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}: correct the path, or put the folder there")
    return path


FuturePath = Annotated[Path, AfterValidator(_in_its_folder)]
"""A path that need not exist yet; relative ones start from the configuration's folder."""

ExistingFile = Annotated[FuturePath, AfterValidator(_file)]
"""A file that exists; relative paths start from the configuration's folder."""

ExistingFolder = Annotated[FuturePath, AfterValidator(_folder)]
"""A folder that exists; relative paths start from the configuration's folder."""
