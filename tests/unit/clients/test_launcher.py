"""Flower's own function runs a client app behind the launcher: what is allowed, what an operator can try."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.supercore.fab import Fab
from flwr.supercore.run import Run
from flwr.supernode.runtime import run_clientapp as flower

from clients import launcher
from clients.launcher import App, launch
from clients.starting import CONFIG_VARIABLE
from fedscore.messages import Phase, Refusal, RefusalCode
from fedscore.messages.codec import MESSAGE_TYPES, decode_answer
from server import BUNDLE
from server.bundling import bundle_hash, pack
from simulations.in_process_grid import InProcessGrid

NODE = """
party = "north"
role = "platform"
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
state = "state"
policy = "policy.toml"
ledger = "ledger"
data = { table = "rows.csv" }
"""

CANARY = "canary-77310"


def hostile_bundle(folder: Path) -> bytes:
    """A bundle in Flower's format whose app, if it is ever unpacked and imported, writes a file."""
    code = f"open({str(folder / CANARY)!r}, 'w').close()\n".encode()
    project = (BUNDLE / "pyproject.toml").read_bytes()
    files = {"pyproject.toml": project} | {
        f"{package}/__init__.py": code for package in ("clients", "fedscore", "privacy")
    }
    listed = "\n".join(
        f"{name},{hashlib.sha256(content).hexdigest()},{len(content) * 8}" for name, content in files.items()
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**files, ".info/CONTENT": listed.encode()}.items():
            archive.writestr(name, content)
    return packed.getvalue()


class Silent:
    """Stands in for what Flower's function talks to."""

    is_running = False

    def __init__(self, *_: object, **__: object) -> None: ...

    def __call__(self, *_: object, **__: object) -> Silent:
        return self

    def __getattr__(self, _name: str) -> Silent:
        return self


class Ended(Exception):  # noqa: N818 - what happened
    """Flower's function came to its end."""


class Process:
    """Flower's function as a node's client process runs it, but for the network."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        for name in ("contract.toml", "ceremony.json", "identity.json", "rows.csv"):
            (folder / name).touch()
        (folder / "node.toml").write_text(NODE)
        self.allow(bundle_hash())
        for name in ("RuntimeHttpClient", "HeartbeatSender", "register_signal_handlers", "event"):
            patch.setattr(flower, name, Silent())
        for name in ("install_from_fab", "install_app_dependencies", "get_load_client_app_fn"):
            patch.setattr(flower, name, getattr(flower, name))
        patch.setattr(flower, "flwr_exit", self._exit)
        patch.setattr(flower, "push_message", self._push)
        patch.setattr(sys, "argv", ["flwr-clientapp", "--insecure", "--token", "0" * 64])
        patch.setenv("FLWR_HOME", str(folder / "flower"))
        patch.setenv(CONFIG_VARIABLE, str(folder / "node.toml"))
        self.reply: Message | None = None
        self.run = replace(Run.create_empty(1), fab_id="fedscore/fedscore", fab_version="0.1.0")

    def allow(self, *bundles: str) -> None:
        (self.folder / "policy.toml").write_text(
            f'source = "s"\noperator = "{"0" * 64}"\ncontracts = []\nbundles = {list(bundles)}\n'
            "smallest_cohort = 2\n"
        )

    def answer(
        self, bundle: bytes, load_app: Callable[[], App], message_type: str = MESSAGE_TYPES[Phase.HELLO]
    ) -> Message:
        """Sends one message with a bundle and returns what comes back."""
        fab = Fab(hashlib.sha256(bundle).hexdigest(), bundle, {})

        def process(message: Message, context: Context) -> Message:
            self._patch.setattr(flower, "pull_task_input", lambda _: (message, context, self.run, fab))
            with pytest.raises(Ended):
                launch(load_app)
            assert self.reply is not None
            return self.reply

        # The operator would like to choose which configuration is read.
        grid = InProcessGrid(process, [{"config": "/operators/choice.toml"}], serialise=True)  # type: ignore[arg-type]  # an app is what answers
        message = Message(RecordDict({"c": ConfigRecord()}), grid.get_node_ids()[0], message_type, ttl=60)
        (reply,) = grid.send_and_receive([message])
        return reply

    def _exit(self, **_: object) -> None:
        raise Ended

    def _push(self, _client: object, reply: Message, _context: Context) -> None:
        self.reply = reply


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(tmp_path, monkeypatch)


class Echo:
    """An installed app that notes what it was given."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []

    def __call__(self, message: Message, context: Context) -> Message:
        self.contexts.append(context)
        return Message(RecordDict({"said": ConfigRecord({"by": "the installed app"})}), reply_to=message)


def said(reply: Message) -> str:
    record = reply.content["said"]
    assert isinstance(record, ConfigRecord)
    return str(record["by"])


def refused(reply: Message) -> RefusalCode:
    answer = decode_answer(reply.content)
    assert isinstance(answer, Refusal)
    assert answer == Refusal(
        party="", version=version("fedscore"), phase=Phase.HELLO, round=0, code=answer.code
    )
    return answer.code


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_flower_would_unpack_the_bundle_and_run_its_code(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other tests show to be closed is open without the launcher."""
    bundle = hostile_bundle(tmp_path)
    monkeypatch.setattr(flower, "get_load_client_app_fn", lambda **_: lambda *_: Echo())
    monkeypatch.setattr(launcher, "vars", lambda _: {}, raising=False)

    process.answer(bundle, Echo)

    [unpacked] = (tmp_path / "flower" / "apps").iterdir()
    assert (unpacked / "clients" / "__init__.py").is_file()


def test_the_shipped_bundle_is_answered_by_the_installed_app(process: Process, tmp_path: Path) -> None:
    before, path = written(tmp_path), list(sys.path)
    app = Echo()

    reply = process.answer(pack(BUNDLE), lambda: app)

    assert said(reply) == "the installed app"
    assert (written(tmp_path), sys.path) == (before, path)


def test_a_run_does_not_choose_the_configuration(process: Process, tmp_path: Path) -> None:
    app = Echo()

    process.answer(pack(BUNDLE), lambda: app)

    assert app.contexts[0].node_config == {"config": str(tmp_path / "node.toml")}


def test_another_bundle_is_refused_with_its_hash_and_never_opened(
    process: Process, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, before = hostile_bundle(tmp_path), written(tmp_path)

    def unzip(*_: object) -> None:
        raise AssertionError("a bundle was opened")

    monkeypatch.setattr(zipfile, "ZipFile", unzip)
    app = Echo()

    reply = process.answer(bundle, lambda: app)

    assert refused(reply) is RefusalCode.POLICY
    assert (app.contexts, written(tmp_path)) == ([], before)
    [record] = [record for record in caplog.records if record.name == "clients.launcher"]
    said = record.getMessage()
    assert hashlib.sha256(bundle).hexdigest() in said
    assert "not among the 1 that policy.toml allows" in said
    assert "add it to bundles in policy.toml only if its owner knows what it is" in said
    assert str(tmp_path) not in str(reply)


def test_an_allowed_bundle_with_code_in_it_still_runs_installed_code_alone(
    process: Process, tmp_path: Path
) -> None:
    bundle, before = hostile_bundle(tmp_path), written(tmp_path)
    process.allow(hashlib.sha256(bundle).hexdigest())
    before = written(tmp_path)

    assert said(process.answer(bundle, Echo)) == "the installed app"
    assert written(tmp_path) == before


def test_one_byte_makes_another_bundle(process: Process) -> None:
    bundle = pack(BUNDLE)

    assert refused(process.answer(bundle + b"\0", Echo)) is RefusalCode.POLICY
    assert refused(process.answer(b"", Echo)) is RefusalCode.POLICY


@pytest.mark.parametrize("file", ["node.toml", "policy.toml"])
def test_without_a_readable_policy_nothing_is_answered(
    file: str, process: Process, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / file).write_text(f"{CANARY} =")

    reply = process.answer(pack(BUNDLE), Echo)

    assert refused(reply) is RefusalCode.POLICY
    assert f"{file} is not TOML" in caplog.text
    assert CANARY not in str(reply)


@pytest.mark.parametrize("name", ["../../../../tmp/x", "x", "a/b/c", "/etc/passwd/x", ""])
def test_what_a_run_calls_its_bundle_leads_nowhere(name: str, process: Process, tmp_path: Path) -> None:
    before = written(tmp_path)
    process.run = replace(process.run, fab_id=name, fab_version="../..")

    reply = process.answer(pack(BUNDLE), Echo)

    assert written(tmp_path) == before
    assert reply.has_error() or said(reply) == "the installed app"


def test_what_an_exception_says_stays_in_the_log(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> App:
        raise ImportError(CANARY)

    reply = process.answer(pack(BUNDLE), broken)

    assert refused(reply) is RefusalCode.INTERNAL
    assert CANARY not in str(reply)
    assert CANARY in caplog.text


def test_a_message_of_a_foreign_kind_gets_a_code_and_no_text(process: Process) -> None:
    process.allow()

    reply = process.answer(pack(BUNDLE), Echo, "query.anything")

    assert (reply.error.code, reply.error.reason) == (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "policy-refused")


def test_nothing_is_installed_on_demand(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--allow-runtime-dependency-installation"])

    reply = process.answer(pack(BUNDLE), Echo)

    assert reply.error.reason == "<class 'PermissionError'>:<'policy-refused'>"
    assert "refused to install packages" in caplog.text


def test_a_process_that_does_not_know_its_node_refuses(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (None, ""):
        monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(CONFIG_VARIABLE, value)
        with pytest.raises(
            SystemExit, match="FEDSCORE_NODE_CONFIG is not set; start the node with `fedscore"
        ):
            launch(Echo)
    assert process.reply is None


@pytest.mark.parametrize("name", ["install_from_fab", "install_app_dependencies", "get_load_client_app_fn"])
def test_another_flower_is_refused(name: str, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Flower no longer calls a function that the launcher replaces, replacing it protects nothing."""

    class Code:
        co_names = tuple(set(flower.run_clientapp.__code__.co_names) - {name})

    class Renamed:
        __code__ = Code

    monkeypatch.setattr(flower, "run_clientapp", Renamed)
    with pytest.raises(SystemExit, match=rf"handles bundles in another way \({name}\)"):
        launch(Echo)
    assert process.reply is None


def test_a_bundle_that_was_never_checked_is_refused(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher.Guard, "check", lambda _self, _content, **_: None)

    assert refused(process.answer(pack(BUNDLE), Echo)) is RefusalCode.POLICY


def test_the_program_runs_isolated_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "clients").mkdir()
    for file in (tmp_path / "clients" / "__init__.py", tmp_path / "sitecustomize.py"):
        file.write_text(f"open({str(tmp_path / CANARY)!r}, 'w').close()\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop(CONFIG_VARIABLE, None)

    def run(*flags: str, **changes: str) -> str:
        done = subprocess.run(
            [sys.executable, *flags, "-m", "clients.launcher", "--token", "x"],
            cwd=tmp_path,
            env={**environment, **changes},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        return done.stderr

    assert "is not set; start the node with `fedscore node start`" in run("-I")
    assert not (tmp_path / CANARY).exists()
    assert "start the node with `fedscore node start`, which isolates Python" in run("-P", PYTHONPATH="")


def test_a_refused_bundle_does_not_import_the_app(
    process: Process, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    def never() -> App:
        raise AssertionError

    assert refused(process.answer(hostile_bundle(tmp_path), never)) is RefusalCode.POLICY
