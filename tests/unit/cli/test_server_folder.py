"""`fedscore server init` and `renew`, and what `start` makes of the folder's certificates."""

from __future__ import annotations

import datetime as dt
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedscore.cli import server
from fedscore.cli.main import app
from fedscore.tls import Authority, ServerKey, days_left, hosts_of, pem, read_certificate, require_pair
from privacy.identities import Identity, PublicIdentity
from server.config import load_server_config
from simulations.keys import SimulatedKeys

DAY = dt.timedelta(days=1)
NAMES = ("score.example.org", "192.0.2.7", "localhost", "127.0.0.1")


def fedscore(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["server", *map(str, arguments)])


def told(done: Result) -> str:
    return done.output.replace("\n", " ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done = fedscore("init", tmp_path / "operator", "--host", NAMES[0], "--host", NAMES[1], "--port", 8443)
    assert done.exit_code == 0, done.output
    return tmp_path / "operator"


@pytest.fixture
def complete(folder: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    """The folder with what comes from the consortium."""
    (folder / "contract.toml").write_text(tiny_text)
    (folder / "ceremony.json").write_text(small_keys.record.to_json())
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `start` would have run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(server, "_keep_running", lambda found, _variables: commands.extend(found))
    return commands


def expire(folder: Path, *, authority: dt.timedelta, certificate: dt.timedelta) -> None:
    tls = folder / "tls"
    for name in ("authority.crt", "authority.key", "server.crt"):
        (tls / name).unlink()
    # One that has expired signs nothing, so its certificate is changed after it has signed.
    made = Authority.generate("an authority")
    key = ServerKey.read(tls / "server.key")
    (tls / "server.crt").write_bytes(pem(made.certify(key, NAMES, valid=certificate)))
    made.write(tls / "authority.crt", tls / "authority.key")
    if authority < DAY:
        for name in ("authority.crt", "authority.key"):
            (tls / name).unlink()
        short = Authority.generate("an authority", valid=authority)
        short.write(tls / "authority.crt", tls / "authority.key")


def test_the_folder_is_its_owners_and_holds_what_a_server_needs(folder: Path) -> None:
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "README.txt",
        "fedscore-server.service",
        "identity.json",
        "identity.pub.json",
        "nginx.conf",
        "server.toml",
        "tls/authority.crt",
        "tls/authority.key",
        "tls/server.crt",
        "tls/server.key",
    }
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((folder / "tls").stat().st_mode) == 0o700
    for secret in ("identity.json", "tls/authority.key", "tls/server.key"):
        assert stat.S_IMODE((folder / secret).stat().st_mode) == 0o600


def test_the_operator_is_told_what_others_need(tmp_path: Path) -> None:
    folder = tmp_path / "operator"
    done = fedscore("init", folder, "--host", "score.example.org", "--name", "bureau")
    identity = Identity.from_json((folder / "identity.json").read_text())
    assert identity.public == PublicIdentity.from_json((folder / "identity.pub.json").read_text())
    assert identity.public.name == "bureau"
    assert f"key          {identity.public.signing_key.hex()}: policy.toml takes this" in done.output
    assert identity.public.fingerprint in done.output
    assert "address      score.example.org:443" in done.output
    assert (folder / "README.txt").read_text() in done.output
    assert identity.to_json() not in done.output


def test_every_command_of_the_next_steps_exists(folder: Path) -> None:
    commands = set(re.findall(r"fedscore (server \w+)", (folder / "README.txt").read_text()))
    assert commands == {"server start", "server register", "server run", "server status", "server renew"}
    for command in commands:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_the_configuration_holds_once_the_consortium_has_sent_its_files(complete: Path) -> None:
    config = load_server_config(complete / "server.toml")
    assert config.listen is not None
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 18000)
    assert (config.identity, config.state) == (complete / "identity.json", complete / "state")
    listen = config.listen
    require_pair(authority=listen.authority, certificate=listen.certificate, key=listen.key)
    assert hosts_of(read_certificate(listen.certificate)) == NAMES
    assert days_left(read_certificate(listen.certificate)) == 397
    assert listen.authority_key == complete / "tls" / "authority.key"


def test_what_is_still_to_come_is_named(folder: Path) -> None:
    done = fedscore("start", folder / "server.toml")
    assert done.exit_code == 1
    for name in ("contract.toml", "ceremony.json"):
        assert f"there is no file {folder / name}" in told(done)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = fedscore("init", folder, "--host", "score.example.org")
    assert done.exit_code == 1
    assert "is not an empty folder, and nothing is overwritten: name a new one" in told(done)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a folder", "--host", "h"], "has characters that nginx or systemd would misread"),
        (["a;b", "--host", "h"], "has characters that nginx or systemd would misread"),
        (["a%ib", "--host", "h"], "has characters that nginx or systemd would misread"),
        (["folder", "--host", "h; include /etc/passwd"], "neither a DNS name nor an IP address"),
        (["folder", "--host", "h", "--host", "*"], "neither a DNS name nor an IP address"),
        (["folder", "--host", "h", "--port", "18000"], "cannot both have port 18000"),
        (["folder", "--host", "h", "--name", "a b"], "the name of an identity is refused"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fedscore("init", tmp_path / arguments[0], *arguments[1:])
    assert done.exit_code == 1
    assert message in told(done)
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_version_six_is_written_as_urls_have_it(tmp_path: Path) -> None:
    done = fedscore("init", tmp_path / "operator", "--host", "2001:db8::1")
    assert "address      [2001:db8::1]:443" in done.output
    assert "server_name [2001:db8::1];" in (tmp_path / "operator" / "nginx.conf").read_text()


def test_a_renewal_keeps_authority_key_and_names(complete: Path) -> None:
    tls = complete / "tls"
    expire(complete, authority=DAY, certificate=DAY)
    kept = {name: (tls / name).read_bytes() for name in ("authority.crt", "authority.key", "server.key")}
    done = fedscore("renew", complete / "server.toml")
    assert done.exit_code == 0, done.output
    assert {name: (tls / name).read_bytes() for name in kept} == kept
    renewed = read_certificate(tls / "server.crt")
    assert (days_left(renewed), hosts_of(renewed)) == (397, NAMES)
    assert "systemctl reload nginx" in done.output


def test_a_renewal_may_change_the_names(complete: Path) -> None:
    done = fedscore("renew", complete / "server.toml", "--host", "new.example.org")
    assert done.exit_code == 0, done.output
    renewed = read_certificate(complete / "tls" / "server.crt")
    assert hosts_of(renewed) == ("new.example.org", "localhost", "127.0.0.1")


def test_a_renewal_that_fails_leaves_the_old_certificate(complete: Path) -> None:
    before = (complete / "tls" / "server.crt").read_bytes()
    done = fedscore("renew", complete / "server.toml", "--host", "no host")
    assert (done.exit_code, (complete / "tls" / "server.crt").read_bytes()) == (1, before)
    expire(complete, authority=-DAY, certificate=DAY)
    done = fedscore("renew", complete / "server.toml")
    assert done.exit_code == 1
    assert "the authority expired" in told(done)


def test_a_server_starts_with_what_the_file_says_and_nothing_else(
    complete: Path, started: list[list[str]]
) -> None:
    done = fedscore("start", complete / "server.toml")
    assert done.exit_code == 0, done.output
    assert done.output == ""
    superlink, superexec = started
    tls = complete / "tls"
    assert superlink[superlink.index("--host") + 1 : superlink.index("--host") + 4] == [
        "127.0.0.1",
        "--port",
        "18000",
    ]
    assert str(tls / "server.crt") in superlink
    assert "--enable-supernode-auth" in superlink
    assert superexec[superexec.index("--runtime-api-address") + 1] == "localhost:18000"
    connection = (complete / "state" / "flower" / "config.toml").read_text()
    assert 'address = "localhost:18000"' in connection
    assert stat.S_IMODE((complete / "state").stat().st_mode) == 0o700


def test_an_expired_certificate_starts_nothing(complete: Path, started: list[list[str]]) -> None:
    expire(complete, authority=DAY, certificate=-DAY)
    done = fedscore("start", complete / "server.toml")
    assert done.exit_code == 1
    assert re.search(r"server\.crt expired on \d{4}-\d\d-\d\d, so nobody can connect", told(done))
    assert f"run `fedscore server renew {complete / 'server.toml'}`" in told(done)
    assert started == []


def test_people_are_warned_before_a_certificate_expires(complete: Path, started: list[list[str]]) -> None:
    expire(complete, authority=DAY, certificate=29 * DAY)
    done = fedscore("start", complete / "server.toml")
    assert done.exit_code == 0, done.output
    assert re.search(r"warning: \S+server\.crt expires on \S+, in 28 days: run `fedscore", told(done))
    assert len(started) == 2


@pytest.mark.parametrize("name", ["identity.json", "tls/server.key", "tls/authority.key"])
def test_people_are_warned_of_secrets_that_others_can_read(
    complete: Path, started: list[list[str]], name: str
) -> None:
    (complete / name).chmod(0o640)
    done = fedscore("start", complete / "server.toml")
    assert f"warning: {complete / name} can be read or changed by others" in told(done)
    assert len(started) == 2


def test_people_are_warned_of_an_interface_that_others_reach(
    complete: Path, started: list[list[str]]
) -> None:
    file = complete / "server.toml"
    file.write_text(file.read_text().replace("[listen]", '[listen]\nhost = "0.0.0.0"'))
    done = fedscore("start", file)
    assert "warning: the SuperLink listens on 0.0.0.0: whoever reaches port 18000" in told(done)
    assert "0.0.0.0" in started[0]  # noqa: S104 - as the file says
    assert "localhost:18000" in started[1]


def test_keys_that_do_not_belong_together_start_nothing(complete: Path, started: list[list[str]]) -> None:
    (complete / "tls" / "server.key").unlink()
    ServerKey.generate().write(complete / "tls" / "server.key")
    done = fedscore("start", complete / "server.toml")
    assert done.exit_code == 1
    assert "server.key is not the key of" in told(done)
    assert started == []
    assert fedscore("renew", complete / "server.toml").exit_code == 0
    assert fedscore("start", complete / "server.toml").exit_code == 0


@pytest.mark.parametrize("command", ["start", "renew"])
def test_a_configuration_without_listen_is_refused(complete: Path, command: str) -> None:
    file = complete / "server.toml"
    file.write_text(file.read_text().partition("[listen]")[0])
    done = fedscore(command, file)
    assert done.exit_code == 1
    assert "has no [listen]" in told(done)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = 18000", "port = 0", "listen.port"),
        ("port = 18000", 'port = "18000"', "listen.port"),
        ("tls/server.crt", "tls/missing.crt", "there is no file"),
        ("[listen]", '[listen]\nhost = "a:b"', "listen.host"),
        ("[listen]", "[listen]\ntimeout = 3", "timeout"),
    ],
)
def test_a_mistake_in_listen_is_explained(complete: Path, old: str, new: str, message: str) -> None:
    file: Path = complete / "server.toml"
    file.write_text(file.read_text().replace(old, new, 1))
    done: Any = fedscore("start", file)
    assert done.exit_code == 1
    assert message in told(done)
