"""`fedscore server init` and `renew`: the operator's folder and its certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init", "renew"]

_LOCAL = ("localhost", "127.0.0.1")

_Hosts = Annotated[
    list[str],
    typer.Option(
        "--host",
        help="A DNS name or IP address by which organisations reach the server; may be repeated. The first "
        "one is what they are told.",
        metavar="NAME",
    ),
]


def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
    *,
    hosts: _Hosts,
    port: Annotated[
        int, typer.Option(help="The port on which organisations reach nginx.", min=1, max=65535)
    ] = 443,
    superlink_port: Annotated[
        int, typer.Option(help="The loopback port of the SuperLink behind it.", min=1, max=65535)
    ] = 18000,
    name: Annotated[str, typer.Option(help="What the operator is called.")] = "operator",
) -> None:
    """Make the operator's folder: identity, certificates, server.toml, nginx.conf, a unit for systemd.

    Nothing in it opens anything: the operator holds no key of the consortium.
    """
    # Other commands do not pay for these.
    from fedscore.cli import folders  # noqa: PLC0415
    from fedscore.errors import NodeConfigError  # noqa: PLC0415
    from fedscore.tls import Authority, ServerKey, days_left, pem  # noqa: PLC0415
    from privacy.identities import Identity  # noqa: PLC0415

    if port == superlink_port:
        raise NodeConfigError(
            f"nginx and the SuperLink behind it cannot both have port {port}: name another --superlink-port"
        )
    identity = Identity.generate(name)
    authority, key = Authority.generate(f"fedscore authority of {name}"[:64]), ServerKey.generate()
    certificate = authority.certify(key, list(dict.fromkeys([*hosts, *_LOCAL])))
    values = folders.unit_values(folder.absolute()) | {
        "listen": port,
        "names": [_bracketed(host) for host in hosts],
        "superlink_port": superlink_port,
        "address": f"{_bracketed(hosts[0])}:{port}",
        "days": days_left(certificate),
    }
    folder = folders.new_folder(folder)
    tls = folder / "tls"
    tls.mkdir(mode=0o700)
    authority.write(tls / "authority.crt", tls / "authority.key")
    key.write(tls / "server.key")
    public = folders.write_identity(folder, identity)
    folders.write_files(tls, {"server.crt": pem(certificate).decode()})
    texts = {text: text for text in ("server.toml", "nginx.conf", "fedscore-server.service")}
    texts["README.txt"] = "server-README.txt"
    filled = {text: folders.render(template, **values) for text, template in texts.items()}
    folders.write_files(folder, filled)
    typer.echo(f"name         {public.name}")
    typer.echo(f"key          {public.signing_key.hex()}: policy.toml takes this as operator")
    typer.echo(f"fingerprint  {public.fingerprint}")
    typer.echo(f"address      {values['address']}: node.toml takes this as superlink")
    for label, made in (("authority", authority.certificate), ("server", certificate)):
        typer.echo(f"{label:<13}{tls / label}.crt: good until {made.not_valid_after_utc:%Y-%m-%d}")
    typer.echo(f"\n{filled['README.txt']}", nl=False)


def renew(
    file: Annotated[Path, typer.Argument(help="The server's configuration, server.toml.", metavar="FILE")],
    *,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            help="A DNS name or IP address of the server; may be repeated. [default: those of before]",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Make a new certificate for the server's key, signed by the same authority.

    No node notices. The key stays, so that there is no moment at which key and certificate do not fit.
    """
    # Other commands do not pay for these.
    from fedscore.errors import NodeConfigError  # noqa: PLC0415
    from fedscore.files import write_whole  # noqa: PLC0415
    from fedscore.tls import Authority, ServerKey, hosts_of, pem, read_certificate  # noqa: PLC0415
    from server.config import load_server_config  # noqa: PLC0415

    listen = load_server_config(file).listen
    if listen is None:
        raise NodeConfigError(f"{file} has no [listen], so it names no certificate: add it")
    authority = Authority.read(listen.authority, listen.authority_key)
    names = hosts or hosts_of(read_certificate(listen.certificate))
    certificate = authority.certify(ServerKey.read(listen.key), list(dict.fromkeys([*names, *_LOCAL])))
    write_whole(listen.certificate, pem(certificate).decode())
    typer.echo(f"hosts        {', '.join(hosts_of(certificate))}")
    typer.echo(f"server       {listen.certificate}: good until {certificate.not_valid_after_utc:%Y-%m-%d}")
    typer.echo("As root, let both use it: systemctl restart fedscore-server && systemctl reload nginx")


def _bracketed(host: str) -> str:
    """A host as addresses with a port have it."""
    return f"[{host}]" if ":" in host else host
