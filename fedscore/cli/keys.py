"""`fedscore keys`: the ceremony that makes a consortium's key, and a look at a public key."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from fedscore.errors import KeyRefused, NodeConfigError
from fedscore.files import write_new

__all__ = ["register"]

PUBLIC_KEY = "public_key.json"
RECORD = "ceremony.json"


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Keys: what sums are encrypted and opened with.")
    group.command("ceremony")(_ceremony)
    group.command("show")(_show)
    app.add_typer(group, name="keys")


def _ceremony(
    *,
    out: Annotated[
        Path, typer.Option(help="A new or empty folder for the key and its shares.", metavar="DIR")
    ],
    bits: Annotated[int, typer.Option(help="Size of the key: 2048 or more, even.")] = 3072,
    members: Annotated[int, typer.Option(help="Number of committee members, who get one share each.")] = 1,
    threshold: Annotated[int, typer.Option(help="Number of members who open a sum together.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ceremony's record as JSON.")] = False,
) -> None:
    """Make a public key and one share of the private key for each committee member.

    Run it on a machine that the members trust, hand each share to its member, and erase the folder: whoever
    holds enough shares reads every sum that was ever encrypted to the key.
    """
    from privacy.paillier.ceremony import deal  # noqa: PLC0415 - other commands do not pay for it

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NodeConfigError(f"{out} is not an empty folder: a ceremony overwrites no key; name a new one")
    started = time.perf_counter()
    keys = deal(
        bits=bits, members=members, threshold=threshold, progress=lambda step: typer.echo(step, err=True)
    )
    record = {
        "key_id": keys.public_key.key_id,
        "bits": keys.public_key.bits,
        "members": members,
        "threshold": threshold,
        "seconds": round(time.perf_counter() - started, 1),
    }
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for share in keys.shares:
        write_new(out / f"key_share_{share.index}.json", share.to_json().encode(), mode=0o600)
    write_new(out / PUBLIC_KEY, keys.public_key.to_json().encode(), mode=0o644)
    write_new(out / RECORD, (json.dumps(record, indent=2) + "\n").encode(), mode=0o644)
    if as_json:
        typer.echo(json.dumps(record, indent=2))
        return
    typer.echo(f"key        {record['key_id']} ({bits} bits, {record['seconds']} s)")
    typer.echo(f"public     {out / PUBLIC_KEY}: for every node and for the server")
    typer.echo(f"secret     {out}/key_share_1.json to key_share_{members}.json: one for each member's node,")
    typer.echo(f"           {threshold} of {members} open a sum; never on the server; erase them here")


def _show(
    file: Annotated[Path, typer.Argument(help="A public_key.json.", metavar="FILE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show which key a file holds, so that people can compare what they were given."""
    from privacy.paillier.keys import PublicKey  # noqa: PLC0415 - other commands do not pay for it

    try:
        key = PublicKey.from_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise KeyRefused(f"{file} cannot be read ({type(error).__name__}): name a {PUBLIC_KEY}") from None
    if as_json:
        typer.echo(json.dumps({"key_id": key.key_id, "bits": key.bits}, indent=2))
    else:
        typer.echo(f"key {key.key_id}, {key.bits} bits")
