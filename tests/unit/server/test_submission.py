"""Flower's own command ships the bundle that organisations know."""

from __future__ import annotations

import hashlib
import importlib
import sys

import pytest

from server import BUNDLE
from server.bundling import bundle_hash
from server.submission import main

pytestmark = pytest.mark.filterwarnings("ignore:The 'is_flag':DeprecationWarning")  # typer's, through flwr


def test_flowers_command_ships_the_packed_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    submission = importlib.import_module("flwr.cli.run.run")
    monkeypatch.setattr(submission, "build_fab_from_disk", submission.build_fab_from_disk)
    sent: list[bytes] = []

    class Client:
        def StartRun(self, request: object) -> None:  # noqa: N802 - Flower's name
            sent.append(request.fab.content)  # type: ignore[attr-defined]  # a message of Flower's
            raise KeyboardInterrupt

        def close(self) -> None: ...

    monkeypatch.setattr(submission, "init_http_client_from_connection", lambda _: Client())
    monkeypatch.setattr(submission, "read_superlink_connection", lambda _: Connection())
    monkeypatch.setattr(sys, "argv", ["flwr", "run", str(BUNDLE), "consortium"])

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main()

    assert [hashlib.sha256(content).hexdigest() for content in sent] == [bundle_hash()]


class Connection:
    """What Flower knows of a SuperLink."""

    federation = ""
    options = None


def test_another_flower_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    submission = importlib.import_module("flwr.cli.run.run")
    monkeypatch.setattr(submission, "_run_with_control_api", lambda: None)

    with pytest.raises(SystemExit, match="packs bundles in another way; install the version"):
        main()
