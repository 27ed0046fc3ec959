"""`fedscore node init` and `begin`: an organisation's folder, and what its node remembers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedscore.errors import NodeConfigError

__all__ = ["begin", "init"]


class NodeRole(StrEnum):
    """What an organisation is to the consortium."""

    PLATFORM = "platform"
    COLLECTOR = "collector"
    AUDITOR = "auditor"
    """Sits on the committee and has no rows."""


def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
    *,
    name: Annotated[str, typer.Option(help="The organisation's name, as the contract will have it.")],
    role: Annotated[NodeRole, typer.Option(help="What it is to the consortium.")],
) -> None:
    """Make a node's folder: identity, the node's key, node.toml, policy.toml, a unit for systemd."""
    # Other commands do not pay for these.
    from fedscore.cli import folders  # noqa: PLC0415
    from fedscore.cli.key_files import tell_identity  # noqa: PLC0415
    from fedscore.tls import write_node_key  # noqa: PLC0415
    from privacy.identities import Identity  # noqa: PLC0415
    from server.bundling import bundle_hash  # noqa: PLC0415

    identity = Identity.generate(name)
    values = folders.unit_values(folder.absolute()) | {
        "name": name,
        "role": role.value,
        "bundle": bundle_hash(),
    }
    folder = folders.new_folder(folder)
    public = folders.write_identity(folder, identity)
    write_node_key(folder / "node.key", folder / "node.pub")
    texts = {text: text for text in ("node.toml", "policy.toml", "fedscore-node.service")}
    texts["README.txt"] = "node-README.txt"
    filled = {text: folders.render(template, **values) for text, template in texts.items()}
    folders.write_files(folder, filled)
    tell_identity(public)
    typer.echo(f"secret       {folder / 'identity.json'}, {folder / 'node.key'}: stay here")
    typer.echo(f"\n{filled['README.txt']}", nl=False)


def begin(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
) -> None:
    """Begin what this node remembers under a key, and the evidence of its data; what is there already stays.

    A committee member's memory is begun by fedscore keys accept, with its share. If it was lost, wait until
    the run that is going on has ended, and begin another one here: the member then abstains until the
    transcript proves that what it may have forgotten is over.
    """
    # Other commands do not pay for these.
    from clients.config import load_node_config  # noqa: PLC0415
    from clients.deployment import accepted_contract, identity_of, node_of  # noqa: PLC0415
    from clients.file_books import FileBooks  # noqa: PLC0415
    from clients.memory import FileMemory  # noqa: PLC0415
    from clients.policy import load_policy  # noqa: PLC0415
    from fedscore.sums.ceremonies import ceremony_of  # noqa: PLC0415
    from fedscore.sums.series import KeySeries  # noqa: PLC0415

    config = load_node_config(file)
    policy = load_policy(config.policy)
    contract = accepted_contract(config)
    policy.require_contract(contract)
    series = KeySeries.of(ceremony_of(contract, config.ceremony))
    try:
        FileMemory(config.state, series)
        begun = False
    except NodeConfigError:
        # Whatever is damaged is refused here, and stays as it is.
        FileMemory.create(config.state, series, abstains=True)
        begun = True
    # Evidence is signed from its first line on: only by an identity that the others know.
    node_of(config)
    identity = identity_of(config)
    fresh = FileBooks.create(
        config.ledger,
        party=config.party,
        source=policy.source,
        signer=identity,
        signing_key=identity.public.signing_key,
    )
    told = {True: "begun", False: "there already, and kept"}
    typer.echo(f"memory           {config.state}: {told[begun]}; never restore it from a backup")
    if begun and config.key_share is not None:
        typer.echo("committee        this member abstains until a sum with its own new submission is opened")
    typer.echo(f"evidence         {config.ledger}: {told[fresh]}; if it is lost, see fedscore node restore")
    if fresh and config.data is not None:
        typer.echo(
            "budget           begins at zero: if these rows were used in runs before, charge them now with "
            "fedscore node restore"
        )
