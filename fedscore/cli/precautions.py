"""What people should know of the files that a node or a server stands on, before it matters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fedscore.tls import read_certificate, require_current

if TYPE_CHECKING:
    from clients.config import NodeConfig

__all__ = ["AUTHORITY_REMEDY", "certificate_warnings", "node_warnings", "rights_warnings"]

AUTHORITY_REMEDY = (
    "the operator makes a new authority with `fedscore server init` in a new folder, and all organisations "
    "take its authority.crt"
)
"""What to do about an authority that expires."""


def certificate_warnings(remedies: Iterable[tuple[Path, str]]) -> list[str]:
    """A sentence for each certificate that expires within 30 days.

    Args:
        remedies: Certificates, with what to do about each.

    Raises:
        NodeConfigError: One has expired, is not good yet, or cannot be read.
    """
    warnings = [
        require_current(read_certificate(file), file=file, remedy=remedy) for file, remedy in remedies
    ]
    return [warning for warning in warnings if warning is not None]


def rights_warnings(secrets: Iterable[Path]) -> list[str]:
    """A sentence for each secret file that others than its owner may read or replace."""
    return [
        f"{file} can be read or changed by others than its owner: run chmod 600 {file}, and think of it as "
        "known to whoever could read it"
        for file in secrets
        if file.stat().st_mode & 0o077
    ]


def node_warnings(config: NodeConfig) -> list[str]:
    """A sentence for everything about a node's own files that its people should see to.

    Raises:
        NodeConfigError: The operator's authority has expired, is not good yet, or cannot be read.
    """
    connection = config.connection
    secrets = [config.identity, config.key_share, connection.key if connection is not None else None]
    authorities = [(connection.authority, AUTHORITY_REMEDY)] if connection is not None else []
    return [
        *certificate_warnings(authorities),
        *rights_warnings(file for file in secrets if file is not None),
    ]
