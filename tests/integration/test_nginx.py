"""The shipped nginx.conf in a real nginx: nodes get through it to a real SuperLink, and nothing else does."""

from __future__ import annotations

import http.client
import http.server
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedscore.cli.folders import render
from fedscore.cli.main import app
from fedscore.messages.programs import program, supernode_command
from fedscore.tls import Authority, ServerKey, pem
from simulations.keys import SimulatedKeys
from simulations.loopback.processes import Processes, free_ports, run_briefly

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="there is no nginx here: apt-get install nginx-light"),
]

SECONDS = 120.0

# What an ordinary user needs around the file that ships, which Debian's nginx has around it too.
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass(frozen=True)
class Site:
    """An operator's folder behind nginx."""

    operator: Path
    folder: Path
    port: int
    superlink_port: int

    def ask(
        self,
        path: str,
        *,
        method: str = "POST",
        body: bytes = b"",
        direct: bool = False,
    ) -> int:
        """The status of one request, as an organisation sends it; `direct` is the operator's own way."""
        trust = ssl.create_default_context(cafile=str(self.operator / "tls" / "authority.crt"))
        port = self.superlink_port if direct else self.port
        connection = http.client.HTTPSConnection("localhost", port, context=trust, timeout=60)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": "application/x-protobuf"})
            return connection.getresponse().status
        finally:
            connection.close()

    def log(self) -> str:
        return (self.folder / "access.log").read_text()


@contextmanager
def nginx(operator: Path, folder: Path, *, superlink_port: int) -> Iterator[Site]:
    """An nginx with the shipped file, in a port that was free."""
    folder.mkdir()
    [port] = free_ports(1)
    site = render(
        "nginx.conf",
        folder=operator,
        listen=f"127.0.0.1:{port}",
        names=["localhost"],
        superlink_port=superlink_port,
    )
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    with Processes() as processes:
        processes.start(
            [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")],
            folder=folder,
            home=folder,
            log=folder / "output.log",
        )
        processes.await_port(port, seconds=SECONDS)
        yield Site(operator=operator, folder=folder, port=port, superlink_port=superlink_port)


@pytest.fixture(scope="module")
def superlink(
    tmp_path_factory: pytest.TempPathFactory, small_keys: SimulatedKeys, tiny_text: str
) -> Iterator[Site]:
    """What `server init` and `server start` make, behind nginx."""
    base = tmp_path_factory.mktemp("deployment")
    operator = base / "operator"
    [superlink_port] = free_ports(1)
    arguments = ["--host", "localhost", "--superlink-port", str(superlink_port)]
    done = CliRunner().invoke(app, ["server", "init", str(operator), *arguments])
    assert done.exit_code == 0, done.output
    (operator / "contract.toml").write_text(tiny_text)
    (operator / "ceremony.json").write_text(small_keys.record.to_json())
    with Processes() as processes:
        processes.start(
            [program("fedscore"), "server", "start", str(operator / "server.toml")],
            folder=operator,
            home=base,
            log=base / "server.log",
        )
        processes.await_port(superlink_port, seconds=SECONDS)
        with nginx(operator, base / "nginx", superlink_port=superlink_port) as site:
            yield site


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/openapi.json",
        "/v1/control/list-runs",
        "/v1/control/start-run",
        "/v1/runtime/acquire-task",
        "/v1/fleet",
        "/v1/fleet/",
        "/v1/fleetx/pull-messages",
        "/v1/fleet/../control/list-runs",
        "/v1/fleet/%2e%2e/control/list-runs",
        "/v1/fleet/..%2fcontrol%2flist-runs",
        "/v1/fleet//../control/list-runs",
        "/v1/fleet/pull-messages/../../control/list-runs",
        "/v1/fleet/%252e%252e/control/list-runs",
        "/v1/fleet/pull-messages%0aX:y",
        "/V1/fleet/pull-messages",
    ],
)
def test_nothing_but_the_nodes_calls_is_there_from_outside(superlink: Site, path: str) -> None:
    assert superlink.ask(path) == 404
    assert superlink.ask(path, method="GET") == 404


@pytest.mark.parametrize("path", ["/v1/control/list-runs", "/v1/runtime/acquire-task"])
def test_what_is_hidden_is_there_for_the_operator(superlink: Site, path: str) -> None:
    assert superlink.ask(path, direct=True) != 404


@pytest.mark.parametrize("call", ["register-node", "activate-node", "pull-messages", "push-object"])
def test_the_nodes_calls_reach_the_superlink(superlink: Site, call: str) -> None:
    path = f"/v1/fleet/{call}"
    answered = superlink.ask(path)
    assert answered == superlink.ask(path, direct=True)
    assert answered not in (404, 502)
    assert superlink.ask(path, method="GET") == 403


def test_a_way_round_that_ends_at_a_nodes_call_leads_there_alone(superlink: Site) -> None:
    """What nginx looked at is what it passes on, not what was written."""
    assert superlink.ask("/v1/control/../fleet/pull-messages") == superlink.ask("/v1/fleet/pull-messages")
    assert superlink.ask("/v1/control/../fleet/pull-messages", direct=True) == 404


def test_a_large_message_is_no_reason_to_refuse(superlink: Site) -> None:
    body = bytes(120_000_000)
    try:
        answered = superlink.ask("/v1/fleet/push-object", body=body)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        # The SuperLink refused what is no message before it had read all of it.
        answered = 0
    assert answered != 413
    assert "too large" not in (superlink.folder / "error.log").read_text()


def test_a_registered_node_connects_through_it_and_no_other(superlink: Site, tmp_path: Path) -> None:
    for name in ("known", "unknown"):
        done = CliRunner().invoke(
            app, ["node", "init", str(tmp_path / name), "--name", name, "--role", "platform"]
        )
        assert done.exit_code == 0, done.output
    register = ["server", "register", str(superlink.operator / "server.toml")]
    run_briefly(
        [program("fedscore"), *register, str(tmp_path / "known" / "node.pub")],
        home=tmp_path,
        folder=tmp_path,
        seconds=SECONDS,
    )
    ports = free_ports(2)
    for name, port in zip(("unknown", "known"), ports, strict=True):
        with Processes() as processes:
            node = processes.start(
                supernode_command(
                    superlink=f"localhost:{superlink.port}",
                    authority=superlink.operator / "tls" / "authority.crt",
                    key=tmp_path / name / "node.key",
                    listen=f"127.0.0.1:{port}",
                ),
                folder=tmp_path,
                home=tmp_path / f"{name}.home",
                log=tmp_path / f"{name}.log",
            )
            begun = len(superlink.log())
            deadline = time.monotonic() + SECONDS
            while (
                node.poll() is None and '/v1/fleet/pull-messages HTTP/1.1" 200' not in superlink.log()[begun:]
            ):
                assert time.monotonic() < deadline, (tmp_path / f"{name}.log").read_text()
                time.sleep(0.2)
            assert (node.poll() is None) is (name == "known"), (tmp_path / f"{name}.log").read_text()


class _Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


@contextmanager
def listener(folder: Path, authority: Authority) -> Iterator[int]:
    """A server that says 200 to everything, with a certificate of an authority for localhost."""
    key = ServerKey.generate()
    folder.mkdir()
    key.write(folder / "key")
    (folder / "crt").write_bytes(pem(authority.certify(key, ["localhost"])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("genuine", "status"), [(True, 200), (False, 502)])
def test_whoever_else_listens_in_the_superlinks_place_is_told_nothing(
    tmp_path: Path, *, genuine: bool, status: int
) -> None:
    operator = tmp_path / "operator"
    done = CliRunner().invoke(app, ["server", "init", str(operator), "--host", "localhost"])
    assert done.exit_code == 0, done.output
    own = Authority.read(operator / "tls" / "authority.crt", operator / "tls" / "authority.key")
    authority = own if genuine else Authority.generate("fedscore authority of operator")
    with (
        listener(tmp_path / "listener", authority) as port,
        nginx(operator, tmp_path / "nginx", superlink_port=port) as site,
    ):
        assert site.ask("/v1/fleet/pull-messages") == status


def test_the_folder_that_init_writes_passes_nginxs_own_check(tmp_path: Path) -> None:
    operator = tmp_path / "operator"
    arguments = ["--host", "score.example.org", "--host", "192.0.2.7", "--port", "18443"]
    done = CliRunner().invoke(app, ["server", "init", str(operator), *arguments])
    assert done.exit_code == 0, done.output
    (tmp_path / "nginx.conf").write_text(
        AROUND.format(folder=tmp_path).replace("site.conf", "operator/nginx.conf")
    )
    told = run_briefly(
        ["/bin/sh", "-c", f"{NGINX} -t -p {tmp_path} -c {tmp_path}/nginx.conf 2>&1"],
        home=tmp_path,
        folder=tmp_path,
        seconds=SECONDS,
    )
    assert "test is successful" in told
    assert "warn" not in told, told
