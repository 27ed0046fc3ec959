"""Where results go, and how a disk that cannot take them is told."""

from __future__ import annotations

import os
from pathlib import Path

from fedscore import files
from fedscore.card import Card
from fedscore.card.signing import SIGNER_FILE, signed
from fedscore.errors import ScenarioError
from simulations.keys import simulated_identity

__all__ = ["SIMULATION", "result_folder", "write_card", "write_whole"]

SIMULATION = "simulation"
"""Who signs the card of a simulation: a key that anybody can derive, so its signature shows changes alone."""


def result_folder(path: Path) -> Path:
    """Make a folder for results, before hours are spent on them.

    Args:
        path: The folder; may exist. Files in it that fedscore does not write itself are never touched.

    Raises:
        ScenarioError: The folder cannot be made or written to.
    """
    missing = [place for place in (path, *path.parents) if not place.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for place in missing:
            files.sync_folder(place.parent)
    except OSError as error:
        raise ScenarioError(
            f"results cannot go to {path} ({error.strerror}): pass another folder with --out"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ScenarioError(f"results cannot go to {path} (not writable): pass another folder with --out")
    return path


def write_card(card: Card, folder: Path) -> None:
    """Write a card, signed as a simulation's, with its signer beside it.

    Raises:
        ScenarioError: A file cannot be written; the old ones, if any, are as they were.
    """
    signer = simulated_identity(SIMULATION)
    write_whole(folder / SIGNER_FILE, signer.public.to_json() + "\n")
    write_whole(folder / card.file_name, signed(card, signer).to_json())


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader sees the old text or the new one and never a part.

    Args:
        path: The file; its folder must exist.
        text: Its new content, written as UTF-8.

    Raises:
        ScenarioError: The file cannot be written; the old one, if any, is as it was.
    """
    try:
        files.write_whole(path, text)
    except OSError as error:
        raise ScenarioError(
            f"{path} cannot be written ({error.strerror}): pass another folder with --out"
        ) from None
