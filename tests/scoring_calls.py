"""What tests of the scoring service share: a contract, values on all sides of its edges, records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.scoring_service import ScoringService
from fedscore.serving.score_pb2 import Record, Value
from fedscore.serving.score_pb2_grpc import ScoringStub

__all__ = ["CONTRACT", "VALUES", "Certificates", "Raw", "Served", "record_of", "value_of"]

Raw = float | str | bool | None
"""A value of a column."""

CONTRACT = """
version = 1
name = "served"
purpose = "tests"
outcome = { definition = "late", bucket = "30+", horizon_days = 90 }
rows = { row_cap = 1000 }
split = { test_share = 0.4, key = "served" }
privacy = { epsilon = 1.0, delta = 1e-5 }

[[characteristics]]
name = "balance"
column = "BAL"
type = "number"
edges = [-1, 0, 0.25, 2]
special = [{ code = -2, meaning = "minus two" }, { code = 1, meaning = "one" }]
reasons = { en = "The balance is high", zh = "余额偏高" }

[[characteristics]]
name = "limit"
type = "number"
edges = [0.5, 10]

[[characteristics]]
name = "calls"
type = "number"
input_only = true
special = [{ code = 3, meaning = "three" }]

[[characteristics]]
name = "segment"
type = "category"
levels = ["card", "loan", "true", "7"]
special = [{ code = "unknown", meaning = "not asked" }]
roles = ["platform"]
reasons = { en = "The product" }

[[derived]]
name = "use"
formula = "ratio"
of = ["balance", "limit"]
edges = [0.1, 0.5, 1]

[[derived]]
name = "late"
formula = "months_since"
of = ["calls", "balance"]
threshold = 0.5
specials_as_values = true
edges = [0.5, 1.5]

[[derived]]
name = "course"
formula = "trend"
of = ["balance", "limit", "calls"]
edges = [0]

[[interactions]]
first = { of = "use", edges = [0.5] }
second = { of = "segment", levels = ["card", "loan"] }

[[interactions]]
first = { of = "limit", edges = [1, 5] }
second = { of = "late", edges = [1] }
"""

VALUES: dict[str, tuple[Raw, ...]] = {
    "BAL": (-2.0, -1.0, -0.5, 0.0, 0.1, 0.25, 1.0, 1.5, 2.0, 1e300, None),
    "limit": (0.0, 0.5, 0.7, 10.0, 11.0, -1e300, None),
    "calls": (0.0, 0.6, 3.0, 5.0, None),
    "segment": ("card", "loan", "true", "7", 7.0, True, False, "unknown", "elsewhere", "", None),
}
"""Values of every column on all sides of its edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files of TLS.

    Attributes:
        authority: That signed the server's certificate.
        certificate: The server's.
        key: Its key.
        client_authority: That signed the client's.
        client_certificate: The client's.
        client_key: Its key.
    """

    authority: Path
    certificate: Path
    key: Path
    client_authority: Path
    client_certificate: Path
    client_key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Of the command, for TLS without clients' certificates."""
        return ("--tls-certificate", str(self.certificate), "--tls-key", str(self.key))

    def credentials(self, *, as_client: bool = False) -> grpc.ChannelCredentials:
        """Of a client: with its certificate, or without any."""
        return grpc.ssl_channel_credentials(
            self.authority.read_bytes(),
            self.client_key.read_bytes() if as_client else None,
            self.client_certificate.read_bytes() if as_client else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running service.

    Attributes:
        service: The process.
        channel: To it, over TLS.
        stub: Calls it.
        metrics_port: Where Prometheus reads.
    """

    service: ScoringService
    channel: grpc.Channel
    stub: ScoringStub
    metrics_port: int


def value_of(value: Raw) -> Value:
    """A value as a client writes it."""
    match value:
        case None:
            return Value()
        case bool():
            return Value(flag=value)
        case str():
            return Value(text=value)
        case _:
            return Value(number=value)


def record_of(identifier: str, **columns: Raw) -> Record:
    """A record of whatever columns."""
    return Record(id=identifier, columns={name: value_of(value) for name, value in columns.items()})
