"""`fedscore keys`: identities, the ceremony that makes a consortium's key, and its members' shares."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fedscore.errors import NodeConfigError
from fedscore.files import sync_folder, write_new

__all__ = ["register"]

IDENTITY = "identity.json"
PUBLIC_IDENTITY = "identity.pub.json"
RECORD = "ceremony.json"


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Keys: who signs, and what sums are opened with.")
    group.command("identity")(_identity)
    group.command("ceremony")(_ceremony)
    group.command("accept")(_accept)
    group.command("show")(_show)
    app.add_typer(group, name="keys")


def _identity(
    *,
    name: Annotated[str, typer.Option(help="The organisation's name, as the contract has it.")],
    out: Annotated[Path, typer.Option(help="The folder to write into.", metavar="DIR")],
) -> None:
    """Make the keys that an organisation signs with and that its share is sealed to.

    Keep identity.json, which nobody else may read, and give identity.pub.json to the others. Compare the
    fingerprint with them by telephone: a file says nothing about who sent it.
    """
    # Other commands do not pay for these.
    from fedscore.cli.key_files import refuse_existing, tell_identity  # noqa: PLC0415
    from privacy.identities import Identity  # noqa: PLC0415

    identity = Identity.generate(name)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_existing(out / IDENTITY, out / PUBLIC_IDENTITY)
    write_new(out / IDENTITY, (identity.to_json() + "\n").encode(), mode=0o600)
    write_new(out / PUBLIC_IDENTITY, (identity.public.to_json() + "\n").encode(), mode=0o644)
    sync_folder(out)
    tell_identity(identity.public)
    typer.echo(f"secret       {out / IDENTITY}: stays here")
    typer.echo(f"public       {out / PUBLIC_IDENTITY}: for the dealer and the contract's author")


def _ceremony(  # noqa: PLR0913 - the terms of a ceremony
    *,
    member: Annotated[
        list[Path],
        typer.Option(
            help="A member's identity.pub.json; once for each member, in the order of their numbers.",
            metavar="FILE",
        ),
    ],
    threshold: Annotated[int, typer.Option(help="Number of members who open a sum together.")],
    colluding_members: Annotated[
        int, typer.Option(help="Number of members who may collude with the server and learn nothing by it.")
    ],
    out: Annotated[Path, typer.Option(help="A new or empty folder for record and shares.", metavar="DIR")],
    bits: Annotated[int, typer.Option(help="Size of the key: 2048 or more, even.")] = 3072,
    absences: Annotated[
        bool, typer.Option("--absences/--no-absences", help="Whether parties may be absent from sums.")
    ] = True,
    replaces: Annotated[
        Path | None,
        typer.Option(help="The ceremony.json that this ceremony replaces.", metavar="FILE"),
    ] = None,
    dealer: Annotated[
        Path | None,
        typer.Option(help="The dealer's identity.json; a fresh one if left out.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a key, seal a share of its private part to each committee member, and sign a record.

    Run it offline, on a machine that all members trust and that does not swap. Give everybody the record, and
    every member its own sealed share. Whoever holds enough shares reads every sum that was ever encrypted to
    the key. When a member joins or leaves, or loses its share, hold another ceremony.
    """
    # Other commands do not pay for these.
    from fedscore.cli import key_files  # noqa: PLC0415
    from privacy.identities import Identity  # noqa: PLC0415
    from privacy.paillier.ceremony import deal  # noqa: PLC0415
    from privacy.paillier.committee_rules import require_committee_rules  # noqa: PLC0415
    from privacy.paillier.record import require_distinct, seal_share, sign_record  # noqa: PLC0415

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NodeConfigError(f"{out} is not an empty folder: a ceremony overwrites no key; name a new one")
    require_committee_rules(
        members=len(member),
        threshold=threshold,
        colluding_members=colluding_members,
        absences=absences,
    )
    members = [key_files.read_public_identity(file) for file in member]
    require_distinct(members)
    previous = None if replaces is None else key_files.read_record(replaces).hash()
    signer = Identity.generate("dealer") if dealer is None else key_files.read_identity(dealer)
    started = time.perf_counter()
    with _no_core_dump():
        dealt = deal(
            bits=bits,
            members=len(members),
            threshold=threshold,
            progress=lambda step: typer.echo(step, err=True),
        )
        record = sign_record(
            committee=dealt.committee,
            members=members,
            colluding_members=colluding_members,
            absences=absences,
            created=datetime.now(UTC).date(),
            previous=previous,
            dealer=signer,
        )
        sealed = {
            f"share_{one.name}.sealed": seal_share(record, share)
            for one, share in zip(members, dealt.shares, strict=True)
        }
        del dealt
    seconds = time.perf_counter() - started
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in sealed.items():
        write_new(out / name, content, mode=0o600)
    write_new(out / RECORD, record.to_json().encode(), mode=0o644)
    sync_folder(out)
    if as_json:
        typer.echo(json.dumps(key_files.record_summary(record) | {"seconds": round(seconds, 1)}, indent=2))
        return
    key_files.tell_record(record)
    typer.echo(f"record       {out / RECORD}: for every node and for the server ({seconds:.1f} s)")
    typer.echo(f"shares       {out}/share_NAME.sealed: one for each member, who runs `fedscore keys accept`")
    typer.echo(
        f"Compare the dealer's fingerprint, {record.dealer.fingerprint}, with the members by telephone."
    )


def _accept(
    sealed: Annotated[Path, typer.Argument(help="The member's share_NAME.sealed.", metavar="SEALED")],
    *,
    identity: Annotated[Path, typer.Option(help="The member's identity.json.", metavar="FILE")],
    ceremony: Annotated[Path, typer.Option(help="The ceremony.json.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="The file for the opened share.", metavar="FILE")],
    state: Annotated[
        Path, typer.Option(help="The node's folder of what it did under the key.", metavar="DIR")
    ],
) -> None:
    """Open the share that was sealed to a committee member, check it, and begin the member's memory.

    Do this once for each ceremony. The memory keeps the member from opening two sums of one round, so it is
    made here, with the share, and never again: a member whose memory is gone abstains.
    """
    # Other commands do not pay for these.
    from clients.memory import FileMemory  # noqa: PLC0415
    from fedscore.cli import key_files  # noqa: PLC0415
    from fedscore.sums.series import KeySeries  # noqa: PLC0415
    from privacy.paillier.record import unseal_share  # noqa: PLC0415

    key_files.refuse_existing(out)
    record = key_files.read_record(ceremony)
    with _no_core_dump():
        share = unseal_share(record, key_files.read_identity(identity), key_files.read_bytes(sealed))
        out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        FileMemory.create(state, KeySeries.of(record), abstains=False)
        write_new(out, (share.to_json() + "\n").encode(), mode=0o600)
        sync_folder(out.parent)
    typer.echo(f"member       {share.index} of {share.members}; {share.threshold} open together")
    typer.echo(f"ceremony     {record.hash()}: compare with the contract, and with the other members")
    typer.echo(
        f"dealer       {record.dealer.name}, fingerprint {record.dealer.fingerprint}: compare likewise"
    )
    typer.echo(
        f"secret       {out}: the share fits the record; erase {sealed}, and this when the series ends"
    )


def _show(
    file: Annotated[Path, typer.Argument(help="A ceremony.json or an identity.pub.json.", metavar="FILE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a ceremony's record or a public identity says, so that people can compare what they have."""
    from fedscore.cli import key_files  # noqa: PLC0415 - other commands do not pay for it
    from privacy.identities import PublicIdentity  # noqa: PLC0415 - likewise

    public = key_files.read_public(file)
    if isinstance(public, PublicIdentity):
        summary, tell = key_files.identity_summary(public), partial(key_files.tell_identity, public)
    else:
        summary, tell = key_files.record_summary(public), partial(key_files.tell_record, public)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        tell()


@contextmanager
def _no_core_dump() -> Iterator[None]:
    """Keep the system from writing this process's memory to disk if it crashes while it holds secrets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
