"""Certificates and node keys for a federation on this machine, valid for a day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from fedscore.files import write_new
from fedscore.tls import Authority, ServerKey, pem
from fedscore.tls import write_node_key as write_node_pair

__all__ = ["write_node_key", "write_private", "write_tls"]

_DAY = dt.timedelta(days=1)


def write_tls(folder: Path, *, valid: dt.timedelta = _DAY) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate for localhost that it signed; its own key is kept nowhere.

    Args:
        folder: Where the files go.
        valid: How long the server's certificate is good from now on; below 0, it has expired already.

    Returns:
        The authority's certificate, the server's certificate, the server's key.
    """
    authority, key = Authority.generate("fedscore loopback authority", valid=_DAY), ServerKey.generate()
    authority_file, server_file, key_file = folder / "ca.crt", folder / "server.crt", folder / "server.key"
    authority_file.write_bytes(pem(authority.certificate))
    server_file.write_bytes(pem(authority.certify(key, ["localhost", "127.0.0.1"], valid=valid)))
    key_file.unlink(missing_ok=True)
    key.write(key_file)
    return authority_file, server_file, key_file


def write_node_key(folder: Path) -> tuple[Path, Path]:
    """Make the key pair by which a SuperLink knows a SuperNode, and return its two files.

    Args:
        folder: Where the files go.

    Returns:
        The private key, the public key.
    """
    private, public = folder / "node.key", folder / "node.pub"
    write_node_pair(private, public)
    return private, public


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, from its first byte on."""
    path.unlink(missing_ok=True)
    write_new(path, content, mode=0o600)
