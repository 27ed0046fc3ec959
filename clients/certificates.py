"""Whether the operator's SuperLink is who it should be, before Flower connects to it for good."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from fedscore.errors import NodeConfigError

__all__ = ["require_trusted"]

_SECONDS = 5.0
_EXPIRED = 10
_ANOTHER_NAME = 62


def require_trusted(superlink: str, authority: Path) -> None:
    """Refuses a SuperLink whose certificate is not good; one that does not answer is left to Flower to await.

    Args:
        superlink: HOST:PORT.
        authority: The certificate of the authority that must have signed the SuperLink's.

    Raises:
        NodeConfigError: The certificate has expired, is for another name, or another authority signed it; or
            `authority` holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=str(authority))
    except ssl.SSLError:
        raise NodeConfigError(
            f"{authority.name} holds no certificate: put the operator's authority there, in PEM"
        ) from None
    bracketed, _, port = superlink.rpartition(":")
    host = bracketed.strip("[]")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return
    except ssl.SSLCertVerificationError as refused:
        raise NodeConfigError(_explained(superlink, authority, refused)) from None
    except OSError:
        return


def _explained(superlink: str, authority: Path, refused: ssl.SSLCertVerificationError) -> str:
    match refused.verify_code:
        case code if code == _EXPIRED:
            next_step = "ask the operator to renew it, and to send its authority's again if that has expired"
        case code if code == _ANOTHER_NAME:
            next_step = "correct superlink in node.toml, or ask the operator for a certificate of this name"
        case _:
            next_step = (
                f"it is not the one that {authority.name} vouches for; compare the authority's fingerprint "
                "with the operator's, and do not go on if nobody can explain the difference"
            )
    return f"the certificate of {superlink} is refused ({refused.verify_message}): {next_step}"
