"""Ten thousand calls that nobody would make on purpose: each is answered, or refused with a code of ours."""

from __future__ import annotations

import random
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator

import grpc

from fedscore.card import Card
from fedscore.serving.score_pb2 import (
    DescribeRequest,
    Explanation,
    Record,
    Score,
    ScoreRequest,
    ScoreResponse,
    Value,
)
from fedscore.serving.service import FAULTS_KEY
from tests.scoring_calls import VALUES, Served, record_of, value_of

CALLS = 10_000
AT_ONCE = 64
METHOD = "/fedscore.scoring.v1.Scoring/Score"
STRANGE_NUMBERS = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.8e308, 2.0**53 + 2, 7.5)
STRANGE_TEXTS = (
    "",
    "\0",
    "NaN",
    "7",
    "\N{PILE OF POO}" * 40,
    "\u202e",
    "x" * 5000,
    "'; drop table",
    "\ufeff",
)
NAMES = (*VALUES, "", "BAL ", "bal", "\0", "\N{PILE OF POO}", "y" * 3000)


def drawn(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - what is drawn is no secret


def strange_value(draw: random.Random) -> Value:
    kind = draw.randrange(5)
    if kind == 0:
        return Value(number=draw.choice(STRANGE_NUMBERS))
    if kind == 1:
        return Value(text=draw.choice(STRANGE_TEXTS))
    if kind == 2:
        return Value(flag=draw.random() < 0.5)
    return Value() if kind == 3 else Value(number=draw.uniform(-1e6, 1e6))


def requests(draw: random.Random) -> Iterator[bytes]:
    """Records that fit, nearly fit and do not; messages with bytes changed, cut off and put in; noise."""
    while True:
        record = record_of("fits", **{name: draw.choice(values) for name, values in VALUES.items()})
        for _ in range(draw.choice((0, 0, 1, 2, 6))):
            record.columns[draw.choice(NAMES)].CopyFrom(strange_value(draw))
        if draw.random() < 0.2:
            record.columns.pop(draw.choice(list(VALUES)))
        record.id = draw.choice((record.id, *STRANGE_TEXTS))
        request = ScoreRequest(record=record)
        if draw.random() < 0.3:
            language = draw.choice(("zh", "", "\0", "x" * 36, "zz-Zzzz"))
            request.explanation.CopyFrom(
                Explanation(language=language, reasons=draw.choice((0, 3, 20, 21, 2**32 - 1)))
            )
        message = bytearray(request.SerializeToString())
        yield bytes(message)
        for _ in range(draw.randrange(1, 4)):
            message[draw.randrange(len(message))] = draw.randrange(256)
        yield bytes(message)
        yield bytes(message[: draw.randrange(len(message))])
        yield draw.randbytes(draw.randrange(60))


def judge(
    call: grpc.Future, response: Callable[[bytes], ScoreResponse], counts: Counter[str], card: Card
) -> None:
    problem = call.exception()
    if problem is None:
        answer = response(call.result())
        assert answer.card == card.fingerprint
        assert 0 < answer.score.probability < 1
        assert answer.score.grade in {grade.name for grade in card.grades}
        assert not answer.score.faults
        counts["OK"] += 1
        return
    assert isinstance(problem, grpc.Call)
    assert problem.code() is grpc.StatusCode.INVALID_ARGUMENT, problem
    faults = dict(problem.trailing_metadata() or ()).get(FAULTS_KEY)
    if faults is None:
        assert re.match(r"the message is not|a language's tag|\d+ reasons", problem.details() or "")
        counts["refused"] += 1
    else:
        assert all(fault.code for fault in Score.FromString(faults).faults)
        counts["faults"] += 1


def test_ten_thousand_strange_calls(served: Served, card: Card) -> None:
    call = served.channel.unary_unary(METHOD)
    source, counts, running = requests(drawn(20_261)), Counter[str](), deque[grpc.Future]()
    for _ in range(CALLS):
        if len(running) == AT_ONCE:
            judge(running.popleft(), ScoreResponse.FromString, counts, card)
        running.append(call.future(next(source)))
    while running:
        judge(running.popleft(), ScoreResponse.FromString, counts, card)
    assert sum(counts.values()) == CALLS
    assert min(counts[kind] for kind in ("OK", "refused", "faults")) > 500, counts
    assert served.service.process.poll() is None
    assert served.stub.Describe(DescribeRequest()).card == card.fingerprint
    assert "failed" not in served.service.said
    assert "Traceback" not in served.service.said


def test_the_same_strange_calls_come_again() -> None:
    """So that a failure can be repeated."""
    first, second = (requests(drawn(1)) for _ in range(2))
    assert [next(first) for _ in range(100)] == [next(second) for _ in range(100)]
    assert value_of(None) == Value()
    assert Record() == Record(columns={})
