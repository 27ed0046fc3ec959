"""Reading a contract from a file or a text."""

from __future__ import annotations

import tomllib
from os import PathLike
from pathlib import Path

from fedscore.contract.checking import check
from fedscore.contract.findings import FindingLevel
from fedscore.contract.model import Contract
from fedscore.errors import ContractError

__all__ = ["load_contract", "parse_contract"]


def load_contract(path: str | PathLike[str]) -> Contract:
    """Read a contract from a file.

    Args:
        path: The file, in TOML and UTF-8.

    Returns:
        The contract; warnings are left to `check`.

    Raises:
        ContractError: The file cannot be read, or has mistakes: all are listed, with their lines.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ContractError(f"there is no contract {file}: give the path of a contract.toml") from None
    except OSError as refused:
        reason = refused.strerror or "it cannot be opened"
        raise ContractError(f"contract {file} cannot be read: {reason}") from None
    except UnicodeDecodeError as refused:
        raise ContractError(
            f"contract {file} is not UTF-8 (byte {refused.start + 1}): save it as UTF-8 and try again"
        ) from None
    return parse_contract(text, source=str(file))


def parse_contract(text: str, *, source: str = "contract.toml") -> Contract:
    """Read a contract from a text.

    Args:
        text: TOML.
        source: What messages call it.

    Returns:
        The contract; warnings are left to `check`.

    Raises:
        ContractError: The text has mistakes: all are listed, with their lines.
    """
    errors = [finding for finding in check(text) if finding.level is FindingLevel.ERROR]
    if errors:
        count = f"{len(errors)} mistakes" if len(errors) > 1 else "1 mistake"
        raise ContractError("\n  ".join([f"{source} has {count}:", *map(str, errors)]))
    return Contract.model_validate(tomllib.loads(text))
