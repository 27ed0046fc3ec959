"""The service in this process: what a defect tells, and how it ends while a call is in flight."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from benchmarks.invented_card import invented_card
from fedscore.card import Card
from fedscore.contract import Contract, Role
from fedscore.serving.desk import Desk
from fedscore.serving.metrics import Metrics
from fedscore.serving.score_pb2 import Explanation, Record, Score, ScoreBatchRequest, ScoreRequest
from fedscore.serving.score_pb2_grpc import ScoringStub
from fedscore.serving.service import Service
from tests.scoring_calls import record_of

RECORD = record_of("x", BAL=0.5, limit=3.0, calls=0.0, segment="card")


def test_a_score_on_an_edge_is_counted_in_the_band_that_begins_there(card: Card) -> None:
    metrics = Metrics()
    counters = metrics.of(card, "print")
    assert card.bands is not None
    first, second = card.bands.edges[:2]
    for score in (first - 0.01, first, second - 0.01, second, second):
        counters.scored(score, 0)
    bands = [
        metrics.registry.get_sample_value("fedscore_scores_total", {"card": "print", "at_least": str(edge)})
        for edge in (float("-inf"), first, second)
    ]
    assert bands == [1, 2, 2]
    assert metrics.registry.get_sample_value("fedscore_grades_total", {"card": "print", "grade": "A"}) == 5


def test_a_card_without_grades_and_bands_is_counted_too(contract: Contract) -> None:
    metrics = Metrics()
    plain = invented_card(contract, seed=5, grades=())
    desk = Desk(plain, metrics, role=Role.PLATFORM, reasons=4, language="en")
    one, (other,) = desk.score(RECORD, Explanation()), desk.score_all([RECORD], Explanation())
    assert one == other
    assert (one.grade, bool(one.reasons)) == ("", True)
    labels = {"card": plain.fingerprint}
    value = metrics.registry.get_sample_value
    assert value("fedscore_scores_total", {**labels, "at_least": "-inf"}) == 2
    assert value("fedscore_grades_total", {**labels, "grade": ""}) == 2


def test_a_role_is_asked_for_what_it_holds(contract: Contract) -> None:
    desk = Desk(invented_card(contract, seed=5), Metrics(), role=Role.COLLECTOR, reasons=4, language="en")
    assert {column.name for column in desk.description().columns} == {"BAL", "limit", "calls"}
    assert [fault.column for fault in desk.score(RECORD, Explanation()).faults] == ["segment"]
    assert desk.score(record_of("x", BAL=0.5, limit=3.0, calls=0.0), Explanation()).hundredths


class Slow(Desk):
    """A desk whose batches wait until they may go on."""

    def __init__(self, card: Card, metrics: Metrics) -> None:
        super().__init__(card, metrics, role=Role.PLATFORM, reasons=4, language="en")
        self.began, self.may_go_on = threading.Event(), threading.Event()

    def score_all(self, records: Sequence[Record], explanation: Explanation) -> list[Score]:
        self.began.set()
        assert self.may_go_on.wait(30)
        return super().score_all(records, explanation)


class Broken(Desk):
    """A desk with a defect."""

    def __init__(self, card: Card, metrics: Metrics) -> None:
        super().__init__(card, metrics, role=Role.PLATFORM, reasons=4, language="en")

    def score(self, record: Record, explanation: Explanation) -> Score:  # noqa: ARG002 - as a desk has it
        raise ValueError(record.id)


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[tuple[grpc.aio.Server, ScoringStub]]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield server, ScoringStub(channel)
    await server.stop(None)


def test_a_call_in_flight_is_answered_and_a_later_one_is_told_when_to_come_again(card: Card) -> None:
    async def scenario() -> None:
        metrics = Metrics()
        desk = Slow(card, metrics)
        service = Service(desk, metrics)
        async with serving(service) as (server, stub):
            batch = asyncio.ensure_future(stub.ScoreBatch(ScoreBatchRequest(records=[RECORD])))
            await asyncio.to_thread(desk.began.wait, 30)
            ending = asyncio.create_task(service.quieten())
            await asyncio.sleep(0)
            with pytest.raises(grpc.aio.AioRpcError) as sent_away:
                await stub.Score(ScoreRequest(record=RECORD))
            assert sent_away.value.code() is grpc.StatusCode.UNAVAILABLE
            assert dict(sent_away.value.trailing_metadata())["grpc-retry-pushback-ms"] == "500"
            await ending
            stopping = asyncio.create_task(server.stop(30))
            assert not batch.done()
            desk.may_go_on.set()
            answer = await batch
            assert answer.scores[0].hundredths
            await stopping

    asyncio.run(scenario())


def test_callers_without_end_do_not_keep_it_from_ending(card: Card) -> None:
    async def scenario() -> None:
        metrics = Metrics()
        service = Service(Broken(card, metrics), metrics)
        async with serving(service) as (_, stub):
            ending = asyncio.create_task(service.quieten())
            await asyncio.sleep(0)
            refused = 0
            while not ending.done():
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub.Score(ScoreRequest(record=RECORD))
                refused += 1
            assert refused > 3

    asyncio.run(scenario())


def test_a_defect_shows_no_value(card: Card, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> grpc.aio.AioRpcError:
        metrics = Metrics()
        async with serving(Service(Broken(card, metrics), metrics)) as (_, stub):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await stub.Score(ScoreRequest(record=record_of("a customer", BAL=1.0)))
            name = "fedscore_calls_total"
            labels = {"method": "Score", "code": "INTERNAL"}
            assert metrics.registry.get_sample_value(name, labels) == 1
            return failed.value

    failed = asyncio.run(scenario())
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert "customer" not in (failed.details() or "") + caplog.text
    assert "Score failed: ValueError in test_service.py, line" in caplog.text
