"""The service's answers: singles are gathered and scored together, batches in a thread of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import grpc
import grpc.aio

from fedscore.card import Card
from fedscore.card.reasons import LOSS_UNITS, NO_REASON, reason_text
from fedscore.card.scoring import Scored, Scorer
from fedscore.contract import Role
from fedscore.serving.metrics import Metrics
from fedscore.serving.records import Columns, Read
from fedscore.serving.score_pb2 import (
    Column,
    DescribeRequest,
    DescribeResponse,
    Explanation,
    FaultCode,
    Grade,
    Reason,
    Record,
    Score,
    ScoreBatchRequest,
    ScoreBatchResponse,
    ScoreRequest,
    ScoreResponse,
)
from fedscore.serving.score_pb2_grpc import ScoringServicer

__all__ = ["MOST_REASONS", "MOST_RECORDS", "Desk", "Service"]

MOST_RECORDS = 10_000
"""Records of one batch."""

MOST_REASONS = 20
"""Reasons of one score."""

_Answer = TypeVar("_Answer")


class Desk:
    """A card, ready to answer: everything that changes when another card is served.

    Attributes:
        card: The card.
        fingerprint: Its fingerprint.
        scorer: Scores with it.
        columns: Reads records for it.
    """

    def __init__(self, card: Card, *, role: Role, reasons: int, language: str) -> None:
        """Prepares a card whose signature was checked.

        Args:
            card: The card.
            role: Whose records are scored.
            reasons: How many are told unless asked otherwise.
            language: Of the reasons unless asked otherwise.
        """
        self.card = card
        self.fingerprint = card.fingerprint
        # Ranks as many as anybody may ask for; each answer tells as many as were asked for.
        self.scorer = Scorer(card, role=role, reasons=MOST_REASONS, language=language)
        self.columns = Columns(self.scorer)
        self._reasons = reasons
        self._language = language
        self._texts = lru_cache(maxsize=64)(self._texts_in)

    def score(self, reads: Sequence[Read]) -> Scored:
        """Scores records that have no faults."""
        return self.scorer.score(self.columns.values(reads))

    def told(self, identifier: str, scored: Scored, place: int, explanation: Explanation) -> Score:
        """One score, as it is answered."""
        wanted = explanation.reasons if explanation.HasField("reasons") else self._reasons
        texts = self._texts(explanation.language or self._language)
        reasons = [
            Reason(code=self.scorer.reason_names[reason], text=texts[reason], points_lost=lost / LOSS_UNITS)
            for reason, lost in zip(
                scored.reasons[place, :wanted].tolist(), scored.losses[place, :wanted].tolist(), strict=True
            )
            if reason != NO_REASON
        ]
        grade = int(scored.grades[place])
        return Score(
            id=identifier,
            hundredths=int(scored.hundredths[place]),
            score=float(scored.score[place]),
            probability=float(scored.probability[place]),
            grade=self.card.grades[grade].name if grade != NO_REASON else "",
            reasons=reasons,
        )

    def description(self) -> DescribeResponse:
        """The card in short."""
        return DescribeResponse(
            card=self.fingerprint,
            contract_name=self.card.contract_name,
            outcome=self.card.outcome.definition,
            role=self.scorer.role.value,
            columns=[
                *(Column(name=name, number=True) for name in self.columns.numeric),
                *(Column(name=name, number=False) for name in self.columns.textual),
            ],
            grades=[
                Grade(
                    name=grade.name,
                    lowest_hundredths=None if grade.lowest_score is None else round(grade.lowest_score * 100),
                    bad_rate=grade.bad_rate,
                )
                for grade in self.card.grades
            ],
        )

    def _texts_in(self, language: str) -> tuple[str, ...]:
        return tuple(reason_text(self.card.grid, name, language) for name in self.scorer.reason_names)


class _Refused(Exception):  # noqa: N818 - what happened to the call
    """The call is refused with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class Service(ScoringServicer):
    """Answers calls. Whoever owns it may put another desk in place at any time; calls end where they began."""

    def __init__(self, desk: Desk, metrics: Metrics) -> None:
        """Takes up work.

        Args:
            desk: The card to begin with.
            metrics: Where calls are counted.
        """
        self.desk = desk
        self._metrics = metrics
        self._waiting: list[tuple[Desk, Read, asyncio.Future[tuple[Scored, int]]]] = []

    async def Score(  # noqa: N802 - the name in the definition
        self, request: ScoreRequest, context: grpc.aio.ServicerContext[ScoreRequest, ScoreResponse]
    ) -> ScoreResponse:
        """One record."""
        return await self._answered("Score", context, lambda: self._score(request))

    async def ScoreBatch(  # noqa: N802 - likewise
        self,
        request: ScoreBatchRequest,
        context: grpc.aio.ServicerContext[ScoreBatchRequest, ScoreBatchResponse],
    ) -> ScoreBatchResponse:
        """Up to `MOST_RECORDS` records."""
        return await self._answered("ScoreBatch", context, lambda: self._score_batch(request))

    async def Describe(  # noqa: N802 - likewise
        self,
        request: DescribeRequest,  # noqa: ARG002 - there is nothing in it
        context: grpc.aio.ServicerContext[DescribeRequest, DescribeResponse],
    ) -> DescribeResponse:
        """The card that is served."""

        async def described() -> DescribeResponse:
            return self.desk.description()

        return await self._answered("Describe", context, described)

    async def _answered(
        self,
        method: str,
        context: grpc.aio.ServicerContext[object, object],
        answer: Callable[[], Awaitable[_Answer]],
    ) -> _Answer:
        began = time.perf_counter()
        code = grpc.StatusCode.INTERNAL
        try:
            answered = await answer()
            code = grpc.StatusCode.OK
        except _Refused as refused:
            code = refused.code
            await context.abort(code, refused.details)
            raise  # abort has raised
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        else:
            return answered
        finally:
            self._metrics.called(method, code.name, time.perf_counter() - began)

    async def _score(self, request: ScoreRequest) -> ScoreResponse:
        _require_reasons(request.explanation)
        desk = self.desk
        read = desk.columns.read(request.record)
        if read.faults:
            self._metrics.unfit(1)
            told = ", ".join(f"{fault.column}: {FaultCode.Name(fault.code)}" for fault in read.faults)
            raise _Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the record does not fit the card ({told}); Describe tells the columns that it needs",
            )
        scored, place = await self._gathered(desk, read)
        return ScoreResponse(
            score=desk.told(request.record.id, scored, place, request.explanation), card=desk.fingerprint
        )

    async def _score_batch(self, request: ScoreBatchRequest) -> ScoreBatchResponse:
        _require_reasons(request.explanation)
        if len(request.records) > MOST_RECORDS:
            raise _Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{len(request.records)} records in one call: {MOST_RECORDS} are the most; make several calls",
            )
        desk = self.desk
        # Other calls are answered meanwhile.
        scores, scored = await asyncio.to_thread(_batch, desk, request.records, request.explanation)
        self._metrics.scored(
            desk.card, desk.fingerprint, scored, unfit=len(request.records) - len(scored.score)
        )
        return ScoreBatchResponse(scores=scores, card=desk.fingerprint)

    async def _gathered(self, desk: Desk, read: Read) -> tuple[Scored, int]:
        """Scores whatever has come in since the loop's last turn at once: most of the work is per call, not per record."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Scored, int]] = loop.create_future()
        self._waiting.append((desk, read, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._score_waiting)
        return await future

    def _score_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for desk in {id(desk): desk for desk, _, _ in waiting}.values():
            mine = [(read, future) for its, read, future in waiting if its is desk]
            try:
                scored = desk.score([read for read, _ in mine])
            except Exception as error:  # noqa: BLE001 - whoever waits must be told
                for _, future in mine:
                    if not future.done():
                        future.set_exception(error)
                continue
            self._metrics.scored(desk.card, desk.fingerprint, scored, unfit=0)
            for place, (_, future) in enumerate(mine):
                if not future.done():
                    future.set_result((scored, place))


def _batch(desk: Desk, records: Sequence[Record], explanation: Explanation) -> tuple[list[Score], Scored]:
    reads = [desk.columns.read(record) for record in records]
    scored = desk.score([read for read in reads if not read.faults])
    scores, place = [], 0
    for record, read in zip(records, reads, strict=True):
        if read.faults:
            scores.append(Score(id=record.id, faults=read.faults))
        else:
            scores.append(desk.told(record.id, scored, place, explanation))
            place += 1
    return scores, scored


def _require_reasons(explanation: Explanation) -> None:
    if explanation.HasField("reasons") and explanation.reasons > MOST_REASONS:
        raise _Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{explanation.reasons} reasons: at most {MOST_REASONS} are told",
        )
