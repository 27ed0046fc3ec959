"""Packs what `flwr run` ships, to the same bytes on every machine, so that its hash can be agreed on.

Flower compresses a bundle, and what comes out depends on the machine's compression library. Organisations
compare hashes: so here nothing is compressed, and dates, rights and order are fixed. Only `pyproject.toml` is
ever packed, whatever else lies beside it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from server import BUNDLE

__all__ = ["bundle_hash", "pack"]

_FILE = "pyproject.toml"
_DATE = (2024, 10, 1, 0, 0, 0)
_UNIX = 3
_READABLE = 0o644 << 16


def bundle_hash() -> str:
    """SHA-256 of the bundle that this installation ships, in hex: what `bundles` of a policy lists."""
    return hashlib.sha256(pack(BUNDLE)).hexdigest()


def pack(folder: Path) -> bytes:
    """Packs a bundle without code.

    Args:
        folder: Holds its `pyproject.toml`.

    Returns:
        A ZIP in Flower's format: the file, and a list of its hash and its size in bits.
    """
    content = (folder / _FILE).read_bytes()
    listed = f"{_FILE},{hashlib.sha256(content).hexdigest()},{len(content) * 8}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((_FILE, content), (".info/CONTENT", listed.encode())):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, _READABLE
            archive.writestr(entry, data)
    return packed.getvalue()
