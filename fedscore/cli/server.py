"""`fedscore server`: what the operator starts."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from fedscore.cli import server_folder, server_runs
from fedscore.cli.bundle import bundle
from fedscore.cli.flower_home import CONNECTION, flower_home, write_connection
from fedscore.errors import NodeConfigError
from fedscore.files import write_new

if TYPE_CHECKING:
    from server.config import Listen

__all__ = ["register"]

_POLL_SECONDS = 0.5
_STARTING_SECONDS = 3.0
_GRACE_SECONDS = 10.0
_LOOPBACK = ("127.0.0.1", "localhost")
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - is recognised, not used

_Config = Annotated[Path, typer.Argument(help="The server's configuration, server.toml.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Server: the operator's part of a federation.")
    group.command("init")(server_folder.init)
    group.command("renew")(server_folder.renew)
    group.command("start")(_start)
    group.command("register")(_register)
    group.command("run")(server_runs.run)
    group.command("resume")(server_runs.resume)
    group.command("stop")(server_runs.stop)
    group.command("status")(server_runs.status)
    group.command("bundle")(bundle)
    app.add_typer(group, name="server")


def _start(file: _Config) -> None:
    """Start the SuperLink and its executor, and keep them running until stopped.

    The control interface has no accounts: let it listen on the loopback interface, as [listen] has it, and a
    proxy pass nothing but the paths of the fleet to it.
    """
    # Other commands do not pay for these.
    from fedscore.cli import precautions  # noqa: PLC0415
    from fedscore.messages.programs import environment, superexec_command, superlink_command  # noqa: PLC0415
    from fedscore.tls import require_pair  # noqa: PLC0415
    from server.config import load_server_config  # noqa: PLC0415

    config = load_server_config(file)
    listen = config.listen
    if listen is None:
        raise NodeConfigError(
            f"{file} has no [listen]: add it, with port, certificate, key and authority, as `fedscore server "
            "init` writes it"
        )
    require_pair(authority=listen.authority, certificate=listen.certificate, key=listen.key)
    remedies = [
        (listen.certificate, f"run `fedscore server renew {file}`"),
        (listen.authority, precautions.AUTHORITY_REMEDY),
    ]
    warnings = [
        *precautions.certificate_warnings(remedies),
        *precautions.rights_warnings(
            [path for path in (config.identity, listen.key, listen.authority_key) if path.exists()]
        ),
        *_exposure(listen),
    ]
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    state = config.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, secret = listen.authority.absolute(), _secret(state / "superexec.secret")
    address = f"{'localhost' if listen.host in (*_LOOPBACK, _EVERYWHERE) else listen.host}:{listen.port}"
    home = write_connection(config, address=address, authority=authority)
    _keep_running(
        [
            superlink_command(
                port=listen.port,
                host=listen.host,
                authority=authority,
                certificate=listen.certificate.absolute(),
                key=listen.key.absolute(),
                secret=secret,
                database=state / "superlink.db",
            ),
            superexec_command(superlink=address, authority=authority, secret=secret),
        ],
        environment(home=home),
    )


def _keep_running(commands: list[list[str]], variables: dict[str, str]) -> NoReturn:
    """Starts programs one after another, and stops all when one ends or this process is told to."""
    signal.signal(signal.SIGTERM, _leave)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            children.append(subprocess.Popen(command, env=variables))  # noqa: S603 - fixed programs
            time.sleep(_STARTING_SECONDS)
        while all(child.poll() is None for child in children):
            time.sleep(_POLL_SECONDS)
        raise NodeConfigError("the SuperLink or its executor has ended: what it said above tells why")
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _register(
    file: _Config,
    public_key: Annotated[Path, typer.Argument(help="The node's public key.", exists=True)],
) -> None:
    """Let a node in: its organisation hands over the public part of the node's key."""
    # Other commands do not pay for these.
    from fedscore.messages.programs import environment, register_command  # noqa: PLC0415
    from server.config import load_server_config  # noqa: PLC0415

    home = flower_home(file, load_server_config(file))
    command = register_command(public_key.absolute(), connection=CONNECTION)
    os.execve(command[0], command, environment(home=home))  # noqa: S606 - a fixed program


def _exposure(listen: Listen) -> list[str]:
    if listen.host in _LOOPBACK:
        return []
    warning = (
        f"the SuperLink listens on {listen.host}: whoever reaches port {listen.port} there can run code "
        "of its own as this user, and let nodes in; leave host out of [listen], unless a firewall lets the "
        "proxy alone through"
    )
    return [warning]


def _secret(path: Path) -> Path:
    """What the executor shows to the SuperLink: made once, readable by its owner alone."""
    if not path.exists():
        write_new(path, secrets.token_hex(32).encode(), mode=0o600)
    return path


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)
