"""Reading the file of what a run trained: all of it, or a clear refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fedscore.errors import CardError

__all__ = ["read_trained"]

_T = TypeVar("_T", bound=BaseModel)


def read_trained(kind: type[_T], path: Path, *, called: str, named: str, schema: int) -> _T:
    """Reads a file of one schema.

    Args:
        kind: What it holds.
        path: The file.
        called: What that is called, as "a card".
        named: What its file is called in a folder of results.
        schema: Its version.

    Raises:
        CardError: The file is missing, no JSON, or not of this schema.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); name the {named} of a run") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardError(
            f"{path}: not {called} of schema {schema} ({where or 'file'}: {first['msg']}); "
            "write it anew with the version of fedscore that trained it"
        ) from error
