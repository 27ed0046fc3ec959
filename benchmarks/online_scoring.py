"""How fast does `fedscore card serve` answer, and does a restart lose a call?

    python -m benchmarks.online_scoring --calls 20000 --restart-calls 100000 --json

A real client calls a real process over TLS on this machine. The card has the grid of the Taiwan contract, and
invented points; records are invented too. What each number means is written in benchmarks/README.md.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import grpc
import numpy as np
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.invented_card import invented_card, write_signed
from benchmarks.scoring_service import PatientChannel, ScoringService
from fedscore.contract import Contract, Role, ValueType, load_contract
from fedscore.serving.score_pb2 import Record, ScoreBatchRequest, ScoreRequest, Value
from fedscore.serving.score_pb2_grpc import ScoringStub
from fedscore.serving.service import MOST_RECORDS
from fedscore.tls import Authority, ServerKey, pem

__all__ = ["Calls", "Restart", "calls_over_a_restart", "invented_records", "main", "measure"]

_CONTRACT = Path(__file__).parents[1] / "simulations" / "contracts" / "taiwan.toml"
_SEED = 1
_DIFFERENT_RECORDS = 500
_WARM_UP = 200
_EMPTY = "empty call, one caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of one kind.

    Attributes:
        kind: In words.
        calls: How many were measured.
        records: In each.
        p50_ms: Median of a call.
        p99_ms: 99 % took no longer.
        p99_vs_p50: The one divided by the other.
        vs_empty: p50 divided by that of an empty call (health) of one caller.
        records_per_second: Of all callers together.
    """

    kind: str
    calls: int
    records: int
    p50_ms: float
    p99_ms: float
    p99_vs_p50: float
    vs_empty: float
    records_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Calls that went on while the service was restarted on the same port.

    Attributes:
        calls: How many were made.
        failed: How many of them failed for good.
        before: Answered before the service was told to end.
        after: Answered after it listened again.
        gap_seconds: From telling it to end until it listened again.
        slowest_seconds: The call that waited longest.
    """

    calls: int
    failed: int
    before: int
    after: int
    gap_seconds: float
    slowest_seconds: float


def calls_over_a_restart(
    service: ScoringService,
    record: Record,
    *,
    calls: int,
    callers: int,
    kill: bool = False,
    channel: Callable[[str], grpc.Channel] = PatientChannel.open,
) -> Restart:
    """Makes calls, and restarts the service when a third of them is answered.

    Args:
        service: It runs, and runs again afterwards.
        record: What is scored.
        calls: How many, of all callers together.
        callers: Threads that call, one call each at a time, on one channel.
        kill: Whether the process is killed, instead of being asked to end.
        channel: Opens the channel to an address.
    """
    turns, lock = count(), threading.Lock()
    ended: list[tuple[float, float, bool]] = []
    third = threading.Event()

    def call(stub: ScoringStub) -> None:
        request = ScoreRequest(record=record)
        while next(turns) < calls:
            began = time.monotonic()
            try:
                stub.Score(request)
                answered = True
            except grpc.RpcError:
                answered = False
            end = time.monotonic()
            with lock:
                ended.append((end, end - began, answered))
                if len(ended) >= calls // 3:
                    third.set()

    with channel(service.address) as opened, ThreadPoolExecutor(callers) as pool:
        stub = ScoringStub(opened)
        running = [pool.submit(call, stub) for _ in range(callers)]
        third.wait()
        told = time.monotonic()
        (service.kill if kill else service.stop)()
        service.start()
        listening = time.monotonic()
        for one in running:
            one.result()
    return Restart(
        calls=len(ended),
        failed=sum(not answered for _, _, answered in ended),
        before=sum(answered and end <= told for end, _, answered in ended),
        after=sum(answered and end >= listening for end, _, answered in ended),
        gap_seconds=listening - told,
        slowest_seconds=max(seconds for _, seconds, _ in ended),
    )


def invented_records(contract: Contract, records: int, *, seed: int = _SEED) -> list[Record]:
    """Records with values on and between the contract's edges, levels, codes, and some that are missing."""
    draw = np.random.default_rng(seed)
    found = [Record(id=f"record-{place:08}") for place in range(records)]
    for item in contract.characteristics:
        if Role.PLATFORM not in item.roles:
            continue
        if item.type is ValueType.NUMBER:
            edges = np.array(item.edges or (0.0, 1.0))
            values = draw.choice(edges, records) + draw.choice([-0.5, 0.0, 0.5], records)
            given = [Value(number=value) for value in values.tolist()]
        else:
            given = [Value(text=str(level)) for level in draw.choice(item.levels, records)]
        missing = draw.random(records) < 0.05
        for place, record in enumerate(found):
            record.columns[item.column].CopyFrom(Value() if missing[place] else given[place])
    return found


def measure(
    channel: grpc.Channel, records: Sequence[Record], *, calls: int, callers: int, batch: int
) -> list[Calls]:
    """Measures empty calls, singles of one caller and of many, and batches.

    Args:
        channel: To a service.
        records: To be scored, in turn.
        calls: How many singles; empty calls likewise, and batches of so many records altogether.
        callers: Threads that call at once in the last but one row.
        batch: Records of a batch.
    """
    stub, health = ScoringStub(channel), health_pb2_grpc.HealthStub(channel)
    singles = [ScoreRequest(record=record) for record in records]
    batches = ScoreBatchRequest(records=[records[place % len(records)] for place in range(batch)])
    nothing = health_pb2.HealthCheckRequest()

    def single(turn: int) -> None:
        stub.Score(singles[turn % len(singles)])

    def empty(_turn: int) -> None:
        health.Check(nothing)

    def many(_turn: int) -> None:
        stub.ScoreBatch(batches)

    kinds = [
        (_EMPTY, empty, 1, calls, 0),
        ("single, one caller", single, 1, calls, 1),
        (f"single, {callers} callers", single, callers, calls, 1),
        (f"batch of {batch}, one caller", many, 1, max(calls // batch, 20), batch),
    ]
    base, found = 0.0, []
    for kind, call, threads, number, size in kinds:
        seconds, wall = _timed(call, number, threads)
        p50, p99 = (float(value) for value in np.percentile(seconds, [50, 99]))
        base = base or p50
        found.append(
            Calls(
                kind=kind,
                calls=number,
                records=size,
                p50_ms=1000 * p50,
                p99_ms=1000 * p99,
                p99_vs_p50=p99 / p50,
                vs_empty=p50 / base,
                records_per_second=number * size / wall,
            )
        )
    return found


def _timed(call: Callable[[int], None], calls: int, threads: int) -> tuple[list[float], float]:
    """Seconds of each call, and of all together."""
    for turn in range(min(_WARM_UP, calls)):
        call(turn)
    turns, seconds = count(), []

    def work() -> None:
        while (turn := next(turns)) < calls:
            began = time.perf_counter()
            call(turn)
            seconds.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for one in [pool.submit(work) for _ in range(threads)]:
            one.result()
    return seconds, time.perf_counter() - began


@contextmanager
def _service(contract: Contract) -> Iterator[tuple[ScoringService, grpc.ChannelCredentials]]:
    """The process, over TLS, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority, key = Authority.generate("benchmark"), ServerKey.generate()
        (folder / "server.crt").write_bytes(pem(authority.certify(key, ["127.0.0.1"])))
        key.write(folder / "server.key")
        card = write_signed(invented_card(contract, seed=_SEED), folder)
        options = ("--tls-certificate", str(folder / "server.crt"), "--tls-key", str(folder / "server.key"))
        with ScoringService(card, folder / "log", options=options) as service:
            yield service, grpc.ssl_channel_credentials(pem(authority.certificate))


def main(
    *,
    calls: Annotated[int, typer.Option(help="Single calls of each kind.", min=100)] = 20_000,
    callers: Annotated[int, typer.Option(help="Callers at once.", min=1)] = 16,
    batch: Annotated[int, typer.Option(help="Records of a batch.", min=1, max=MOST_RECORDS)] = MOST_RECORDS,
    restart_calls: Annotated[int, typer.Option(help="Calls over a restart; 0: none.", min=0)] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the service, then restart it under load."""
    contract = load_contract(_CONTRACT)
    records = invented_records(contract, _DIFFERENT_RECORDS)
    with _service(contract) as (service, credentials):

        def channel(address: str) -> grpc.Channel:
            return PatientChannel.open(address, credentials)

        with channel(service.address) as opened:
            kinds = measure(opened, records, calls=calls, callers=callers, batch=batch)
        restart = None
        if restart_calls:
            restart = calls_over_a_restart(
                service, records[0], calls=restart_calls, callers=callers, channel=channel
            )
    if as_json:
        document = {"calls": [asdict(kind) for kind in kinds], "restart": restart and asdict(restart)}
        typer.echo(json.dumps(document, indent=2))
        return
    _print(kinds, restart)


def _print(kinds: Sequence[Calls], restart: Restart | None) -> None:
    console = Console()
    table = Table("kind", "calls", "p50 ms", "p99 ms", "p99 / p50", "vs empty", "records / s", box=box.SIMPLE)
    for kind in kinds:
        table.add_row(
            kind.kind,
            f"{kind.calls:,}",
            f"{kind.p50_ms:.2f}",
            f"{kind.p99_ms:.2f}",
            f"{kind.p99_vs_p50:.1f}",
            f"{kind.vs_empty:.1f}",
            f"{kind.records_per_second:,.0f}" if kind.records else "",
        )
    console.print(table)
    if restart is not None:
        console.print(
            f"{restart.failed} of {restart.calls:,} calls failed over a restart of {restart.gap_seconds:.1f} "
            f"seconds; the slowest took {restart.slowest_seconds:.1f} seconds, {restart.before:,} were "
            f"answered before and {restart.after:,} after it"
        )


if __name__ == "__main__":
    typer.run(main)
