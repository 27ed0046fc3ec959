"""Files of identities and ceremonies: how they are read, and what the terminal says of them."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from fedscore.errors import KeyRefused, NodeConfigError
from privacy.identities import IDENTITY_KIND, PUBLIC_IDENTITY_KIND, Identity, PublicIdentity
from privacy.paillier.record import CeremonyRecord

__all__ = [
    "identity_summary",
    "read_bytes",
    "read_identity",
    "read_public",
    "read_public_identity",
    "read_record",
    "record_summary",
    "refuse_existing",
    "tell_identity",
    "tell_record",
]


def refuse_existing(*files: Path) -> None:
    """Refuse to write where something is.

    Raises:
        NodeConfigError: One of the files exists.
    """
    for file in files:
        if file.exists():
            raise NodeConfigError(f"{file} exists, and keys are never overwritten: name another place")


def read_bytes(file: Path) -> bytes:
    """Read a file.

    Raises:
        KeyRefused: It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise KeyRefused(
            f"{file} cannot be read ({type(error).__name__}): name a file that is there"
        ) from None


def read_identity(file: Path) -> Identity:
    """Read an identity with its secret keys.

    Raises:
        KeyRefused: It is none.
    """
    return Identity.from_json(_text(file))


def read_public_identity(file: Path) -> PublicIdentity:
    """Read a public identity.

    Raises:
        KeyRefused: It is none.
        SignatureRefused: It is not signed by its own key.
    """
    return PublicIdentity.from_json(_text(file))


def read_record(file: Path) -> CeremonyRecord:
    """Read and check a ceremony's record.

    Raises:
        KeyRefused: It is none, or says something that is refused.
        SignatureRefused: It is not signed by its dealer.
    """
    return CeremonyRecord.from_json(_text(file))


def read_public(file: Path) -> PublicIdentity | CeremonyRecord:
    """Read whichever of the two public kinds of file this is.

    Raises:
        KeyRefused: It is neither, or is refused; a file with secret keys above all.
        SignatureRefused: It is not signed by whom it names.
    """
    try:
        document = json.loads(_text(file))
    except (ValueError, RecursionError):
        document = None
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind == IDENTITY_KIND:
        raise KeyRefused(f"{file} holds secret keys, which are shown to nobody: name the identity.pub.json")
    return read_public_identity(file) if kind == PUBLIC_IDENTITY_KIND else read_record(file)


def identity_summary(identity: PublicIdentity) -> dict[str, object]:
    """What people compare of an identity, and what a contract's roster takes from it."""
    return {
        "name": identity.name,
        "signing_key": identity.signing_key.hex(),
        "fingerprint": identity.fingerprint,
    }


def record_summary(record: CeremonyRecord) -> dict[str, object]:
    """What people compare of a ceremony, and what a contract takes from it."""
    return {
        "ceremony": record.hash(),
        "key_id": record.public_key.key_id,
        "bits": record.public_key.bits,
        "threshold": record.committee.threshold,
        "colluding_members": record.colluding_members,
        "absences": record.absences,
        "created": record.created.isoformat(),
        "previous": record.previous,
        "members": [identity_summary(member) for member in record.members],
        "dealer": identity_summary(record.dealer),
    }


def tell_identity(identity: PublicIdentity) -> None:
    """Print an identity to standard output."""
    typer.echo(f"name         {identity.name}")
    typer.echo(f"key          {identity.signing_key.hex()} (the contract's roster takes this)")
    typer.echo(f"fingerprint  {identity.fingerprint}")


def tell_record(record: CeremonyRecord) -> None:
    """Print a ceremony's record to standard output."""
    committee = record.committee
    typer.echo(f"ceremony     {record.hash()} (the contract takes this)")
    typer.echo(f"key          {record.public_key.key_id}, {record.public_key.bits} bits")
    typer.echo(
        f"committee    {committee.threshold} of {committee.members} open together; "
        f"{record.colluding_members} may collude with the server; "
        f"parties {'may' if record.absences else 'may not'} be absent"
    )
    for index, member in enumerate(record.members, start=1):
        typer.echo(f"member {index:<6}{member.name}, fingerprint {member.fingerprint}")
    typer.echo(f"dealer       {record.dealer.name}, fingerprint {record.dealer.fingerprint}")
    typer.echo(f"created      {record.created.isoformat()}")
    if record.previous is not None:
        typer.echo(f"replaces     {record.previous}")


def _text(file: Path) -> str:
    # What is not UTF-8 is no JSON either, and the reader says so.
    return read_bytes(file).decode("utf-8", "replace")
