"""A scoring service in a process of its own, and channels to it: what the benchmark and the tests share."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

__all__ = ["PATIENT", "PatientChannel", "ScoringService", "free_port"]

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_MAIN = "from fedscore.cli.main import main; main()"

PATIENT = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "fedscore.scoring.v1.Scoring"}],
                "waitForReady": True,
                "timeout": "30s",
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
"""The service config of a client that outlives a restart: docs/guide-scoring.md shows it."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as chosen:
        chosen.bind((_LOOPBACK, 0))
        port: int = chosen.getsockname()[1]
        return port


@dataclass
class ScoringService:
    """`fedscore card serve`, which may be started again on the same port.

    Attributes:
        card: The card file.
        log: What the process says goes here.
        options: Further options of the command.
        port: Where calls are answered.
        process: The one that runs, or ran last.
    """

    card: Path
    log: Path
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{_LOOPBACK}:{self.port}"

    @property
    def said(self) -> str:
        """All that its processes have said so far."""
        return self.log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Starts it, and waits until it says that it listens.

        Raises:
            RuntimeError: It ended instead, or is silent for a minute.
        """
        line = f"scoring on {self.address}"
        heard = self.said.count(line) if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - this very program
                [
                    *(sys.executable, "-c", _MAIN, "card", "serve", str(self.card)),
                    *("--listen", self.address, *self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _START_SECONDS
        while self.said.count(line) == heard:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}: {self.said}")
            if time.monotonic() > end:
                self.process.kill()
                raise RuntimeError(f"the service is silent: {self.said}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> int:
        """Asks it to end, as systemd does, and waits for that; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        finally:
            self.process.kill()

    def kill(self) -> None:
        """Ends it at once, as a machine that loses power does."""
        self.process.kill()
        self.process.wait(_STOP_SECONDS)


class PatientChannel:
    """Options and credentials of a client that waits for a service that is being restarted."""

    OPTIONS = (
        ("grpc.service_config", PATIENT),
        # Else a client that met a closed door waits up to two minutes before it tries again.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    )

    @classmethod
    def open(cls, address: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
        """Opens a channel.

        Args:
            address: HOST:PORT.
            credentials: For TLS; none for a channel in clear.
        """
        if credentials is None:
            return grpc.insecure_channel(address, options=cls.OPTIONS)
        return grpc.secure_channel(address, credentials, options=cls.OPTIONS)
