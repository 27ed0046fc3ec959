"""The service's answers, what it refuses, and how it stops being asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from fedscore.serving.desk import MOST_REASONS, Desk
from fedscore.serving.metrics import Metrics
from fedscore.serving.score_pb2 import (
    DESCRIPTOR,
    DescribeRequest,
    DescribeResponse,
    Explanation,
    Fault,
    FaultCode,
    Score,
    ScoreBatchRequest,
    ScoreBatchResponse,
    ScoreRequest,
    ScoreResponse,
)

__all__ = ["FAULTS_KEY", "MOST_RECORDS", "SERVICE", "Service"]

SERVICE = DESCRIPTOR.services_by_name["Scoring"].full_name

MOST_RECORDS = 1000
"""Records of one batch: with all their reasons they fit into the 4 MiB that gRPC clients take."""

FAULTS_KEY = "fedscore-faults-bin"
"""Trailing metadata of a refused single call: a `Score` with its faults."""

_MOST_LANGUAGE = 35
"""Letters of a language's tag, as RFC 5646 advises to allow for."""

_MOST_TOLD_BYTES = 1000
"""Of the names in a status: it travels in headers, and clients take 8 kB of these."""

_PUSHBACK_MS = 500
"""When a client shall call again that is refused because the process ends."""

_QUIET_SECONDS = 0.2
_LONGEST_QUIETENING_SECONDS = 1.0

_Request = TypeVar("_Request", bound=Message)
_Answer = TypeVar("_Answer", bound=Message)
_Metadata = tuple[tuple[str, str | bytes], ...]

logger = logging.getLogger(__name__)


class _Refused(Exception):  # noqa: N818 - what happened to the call
    """The call is refused with a status."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: _Metadata = ()) -> None:
        super().__init__(details)
        self.code = code
        self.details = details
        self.metadata = metadata


class Service:
    """Answers calls.

    Attributes:
        desk: Whoever owns the service may put another one in place at any time; calls end where they began.
    """

    def __init__(self, desk: Desk, metrics: Metrics) -> None:
        """Takes up work.

        Args:
            desk: The card to begin with.
            metrics: Where calls are counted.
        """
        self.desk = desk
        self._metrics = metrics
        self._is_ending = False
        self._last_refused = 0.0

    def handlers(self) -> grpc.GenericRpcHandler:
        """The service's methods, as a server takes them."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Score": self._handler("Score", ScoreRequest.FromString, self._score),
                "ScoreBatch": self._handler("ScoreBatch", ScoreBatchRequest.FromString, self._score_batch),
                "Describe": self._handler("Describe", DescribeRequest.FromString, self._describe),
            },
        )

    async def quieten(self) -> None:
        """Sends whoever calls from now on away, to call again soon, and waits until hardly anybody calls.

        A server of gRPC that stops cancels the calls that it has received and not looked at yet
        (github.com/grpc/grpc/issues/41785), and no client retries a call that was cancelled. So it must not
        be stopped before there are none.
        """
        self._is_ending = True
        began = self._last_refused = time.monotonic()
        while (now := time.monotonic()) < began + _LONGEST_QUIETENING_SECONDS:
            left = self._last_refused + _QUIET_SECONDS - now
            if left <= 0:
                return
            await asyncio.sleep(left)

    def _handler(
        self,
        method: str,
        parse: Callable[[bytes], _Request],
        answer: Callable[[_Request], Awaitable[_Answer]],
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        # Messages are parsed here: gRPC writes a trace into the log for each one that is none.
        async def answered(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            began = time.perf_counter()
            code = grpc.StatusCode.CANCELLED
            try:
                self._require_not_ending()
                told: bytes = (await answer(_parsed(message, parse))).SerializeToString()
                code = grpc.StatusCode.OK
            except _Refused as refused:
                code = refused.code
                await context.abort(code, refused.details, refused.metadata)
                raise  # abort has raised
            except Exception as error:
                code = grpc.StatusCode.INTERNAL
                # An error's own text may show a value: neither the log nor the client may have it.
                frame = extract_tb(error.__traceback__)[-1]
                place = f"{Path(frame.filename).name}, line {frame.lineno}"
                logger.error("%s failed: %s in %s", method, type(error).__name__, place)  # noqa: TRY400 - likewise
                await context.abort(code, "a defect of the service: its log says where")
                raise  # likewise
            else:
                return told
            finally:
                self._metrics.called(method, code.name, time.perf_counter() - began)

        return grpc.unary_unary_rpc_method_handler(answered)

    def _require_not_ending(self) -> None:
        if self._is_ending:
            self._last_refused = time.monotonic()
            raise _Refused(
                grpc.StatusCode.UNAVAILABLE,
                "the service is about to end: call again",
                (("grpc-retry-pushback-ms", str(_PUSHBACK_MS)),),
            )

    async def _score(self, request: ScoreRequest) -> ScoreResponse:
        _require_explanation(request.explanation)
        desk = self.desk
        score = desk.score(request.record, request.explanation)
        if score.faults:
            raise _unfit(score)
        return ScoreResponse(score=score, card=desk.fingerprint)

    async def _score_batch(self, request: ScoreBatchRequest) -> ScoreBatchResponse:
        _require_explanation(request.explanation)
        if len(request.records) > MOST_RECORDS:
            raise _Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{len(request.records):,} records in one call: {MOST_RECORDS:,} are the most; make several "
                "calls",
            )
        desk = self.desk
        # Other calls are answered meanwhile.
        scores = await asyncio.to_thread(desk.score_all, request.records, request.explanation)
        return ScoreBatchResponse(scores=scores, card=desk.fingerprint)

    async def _describe(self, _request: DescribeRequest) -> DescribeResponse:
        return self.desk.description()


def _parsed(message: bytes, parse: Callable[[bytes], _Request]) -> _Request:
    try:
        return parse(message)
    except DecodeError:
        raise _Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            "the message is not what score.proto says, or a text in it is not UTF-8: write it with the code "
            "that protoc makes of that file",
        ) from None


def _unfit(score: Score) -> _Refused:
    """The refusal of a single record, with as many of its faults as a status holds."""
    told = list(_first_of(score.faults))
    text = ", ".join(f"{fault.column}: {FaultCode.Name(fault.code)}" for fault in told)
    return _Refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"the record does not fit the card ({text}{', ...' if len(told) < len(score.faults) else ''}); "
        "Describe tells the columns that it needs",
        ((FAULTS_KEY, Score(faults=told).SerializeToString()),),
    )


def _first_of(faults: Sequence[Fault]) -> Sequence[Fault]:
    size = 0
    for place, fault in enumerate(faults):
        size += len(fault.column.encode())
        if size > _MOST_TOLD_BYTES:
            return faults[: max(place, 1)]
    return faults


def _require_explanation(explanation: Explanation) -> None:
    if explanation.reasons > MOST_REASONS:
        raise _Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{explanation.reasons} reasons: at most {MOST_REASONS} are told",
        )
    if len(explanation.language) > _MOST_LANGUAGE:
        raise _Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"a language's tag has at most {_MOST_LANGUAGE} letters: write it as en or zh-Hans",
        )
