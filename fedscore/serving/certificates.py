"""The files by which a scoring service and its clients know each other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fedscore.errors import NodeConfigError
from fedscore.tls import read_certificate, require_current

__all__ = ["TlsFiles"]

_REMEDY = "renew it, and start the service anew"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The server's certificate, and whose clients it answers.

    Attributes:
        certificate: PEM: the server's, then what is needed to reach an authority.
        key: PEM, the private key, without a password.
        client_authority: PEM; only clients with a certificate of this authority are answered, if it is given.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Reads the files.

        Raises:
            NodeConfigError: A file cannot be read or has expired, or the two do not belong together.
        """
        issued = read_certificate(self.certificate)
        warning = require_current(issued, file=self.certificate, remedy=_REMEDY)
        if warning is not None:
            logger.warning("%s", warning)
        key = _read(self.key)
        try:
            public = load_pem_private_key(key, password=None).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise NodeConfigError(
                f"{self.key} is no private key that can be read ({type(error).__name__}): give one in PEM, "
                "without a password"
            ) from None
        if issued.public_key() != public:
            raise NodeConfigError(
                f"{self.key} is not the key of {self.certificate}: name the two files that were made together"
            )
        authority = None
        if self.client_authority is not None:
            require_current(
                read_certificate(self.client_authority), file=self.client_authority, remedy=_REMEDY
            )
            authority = _read(self.client_authority)
        return grpc.ssl_server_credentials(
            [(key, _read(self.certificate))],
            root_certificates=authority,
            require_client_auth=authority is not None,
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NodeConfigError(
            f"{path} cannot be read ({error.strerror}): check its path and rights"
        ) from None
