"""What the service answers, over TLS, from a process of its own: the same as the scorer in this one."""

from __future__ import annotations

import math
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import pairwise

import grpc
import numpy as np
import pyarrow as pa
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.card.reasons import LOSS_UNITS, NO_REASON
from fedscore.card.scoring import Scorer
from fedscore.contract import Role
from fedscore.data import Values
from fedscore.serving.desk import MOST_REASONS
from fedscore.serving.score_pb2 import (
    FAULT_ABSENT_COLUMN,
    FAULT_INFINITE,
    FAULT_NOT_A_LEVEL,
    FAULT_NOT_A_NUMBER,
    FAULT_UNKNOWN_COLUMN,
    DescribeRequest,
    Explanation,
    Fault,
    FaultCode,
    Score,
    ScoreBatchRequest,
    ScoreRequest,
)
from fedscore.serving.service import MOST_RECORDS
from tests.scoring_calls import VALUES, Raw, Served, record_of

FITTING: Mapping[str, Raw] = {"BAL": 0.5, "limit": 3.0, "calls": 0.0, "segment": "card"}
SERVICE = "fedscore.scoring.v1.Scoring"

records_of_values = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})


def level(value: Raw) -> str | None:
    """A value of the category, as a file's reader would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) else value or None


def expected(
    card: Card, rows: Sequence[Mapping[str, Raw]], *, reasons: int = 4, language: str = "en"
) -> list[Score]:
    """What the batch scorer says of the rows."""
    scorer = Scorer(card, role=Role.PLATFORM, reasons=reasons, language=language)

    def numbers(column: str) -> list[float]:
        return [np.nan if row[column] is None else float(row[column] or 0.0) for row in rows]

    values = Values(
        size=len(rows),
        numbers={
            "balance": np.array(numbers("BAL")),
            "limit": np.array(numbers("limit")),
            "calls": np.array(numbers("calls")),
        },
        categories={"segment": pa.array([level(row["segment"]) for row in rows], pa.string())},
    )
    found = scorer.score(values)
    answers = []
    for place in range(len(rows)):
        answer = Score(
            id=str(place),
            hundredths=int(found.hundredths[place]),
            score=float(found.score[place]),
            probability=float(found.probability[place]),
            grade=card.grades[int(found.grades[place])].name,
        )
        for reason, loss in zip(found.reasons[place], found.losses[place], strict=True):
            if reason != NO_REASON:
                answer.reasons.add(
                    code=scorer.reason_names[reason],
                    text=scorer.reason_texts[reason],
                    points_lost=int(loss) / LOSS_UNITS,
                )
        answers.append(answer)
    return answers


def refusal(call: grpc.Call) -> tuple[grpc.StatusCode, str]:
    return call.code(), call.details() or ""


@settings(max_examples=40)
@given(rows=st.lists(records_of_values, min_size=1, max_size=30))
def test_single_calls_and_batches_answer_what_the_scorer_says(
    served: Served, card: Card, rows: list[dict[str, Raw]]
) -> None:
    records = [record_of(str(place), **row) for place, row in enumerate(rows)]
    batch = served.stub.ScoreBatch(ScoreBatchRequest(records=records))
    calls = [served.stub.Score.future(ScoreRequest(record=record)) for record in records]
    singles = [call.result() for call in calls]
    assert list(batch.scores) == [single.score for single in singles] == expected(card, rows)
    assert {batch.card, *(single.card for single in singles)} == {card.fingerprint}


def test_reasons_come_in_the_language_and_number_that_are_asked_for(served: Served, card: Card) -> None:
    candidates: list[dict[str, Raw]] = [{**FITTING, "BAL": value} for value in VALUES["BAL"]]
    rows = [
        row
        for row, score in zip(candidates, expected(card, candidates, reasons=7), strict=True)
        if "balance" in [reason.code for reason in score.reasons]
    ][:1]
    request = ScoreRequest(record=record_of("0", **rows[0]))
    for language in ("en", "zh", "zh-Hans", "fr"):
        for reasons in (0, 1, 7):
            request.explanation.CopyFrom(Explanation(language=language, reasons=reasons))
            assert [served.stub.Score(request).score] == expected(
                card, rows, reasons=reasons, language=language
            )
    request.explanation.CopyFrom(Explanation(language="zh", reasons=7))
    assert any("额" in reason.text for reason in served.stub.Score(request).score.reasons)


@pytest.mark.parametrize(
    ("changes", "column", "code"),
    [
        ({"limit": "many"}, "limit", FAULT_NOT_A_NUMBER),
        ({"limit": True}, "limit", FAULT_NOT_A_NUMBER),
        ({"BAL": float("inf")}, "BAL", FAULT_INFINITE),
        ({"BAL": float("-inf")}, "BAL", FAULT_INFINITE),
        ({"segment": 1.5}, "segment", FAULT_NOT_A_LEVEL),
        ({"segment": 2.0**53 + 2}, "segment", FAULT_NOT_A_LEVEL),
        ({"segment": float("inf")}, "segment", FAULT_NOT_A_LEVEL),
        ({"further": 1.0}, "further", FAULT_UNKNOWN_COLUMN),
        ({"balance": 1.0}, "balance", FAULT_UNKNOWN_COLUMN),  # the characteristic's name, not its column's
    ],
)
def test_what_does_not_fit_has_a_code_and_shows_no_value(
    served: Served, changes: dict[str, Raw], column: str, code: FaultCode
) -> None:
    record = record_of("x", **{**FITTING, **changes})
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Score(ScoreRequest(record=record))
    status, details = refusal(refused.value)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert column in details
    assert not any(str(value) in details for value in changes.values())
    batch = served.stub.ScoreBatch(ScoreBatchRequest(records=[record_of("fits", **FITTING), record]))
    assert [(score.id, bool(score.faults)) for score in batch.scores] == [("fits", False), ("x", True)]
    assert list(batch.scores[1].faults) == [Fault(column=column, code=code)]
    assert batch.scores[1] == Score(id="x", faults=batch.scores[1].faults)


def test_a_column_that_is_left_out_is_not_a_missing_value(served: Served) -> None:
    without = {name: value for name, value in FITTING.items() if name != "calls"}
    batch = served.stub.ScoreBatch(
        ScoreBatchRequest(records=[record_of("x", **without), record_of("y", **without, calls=None)])
    )
    assert list(batch.scores[0].faults) == [Fault(column="calls", code=FAULT_ABSENT_COLUMN)]
    assert batch.scores[1].hundredths


def test_a_call_without_a_record_names_every_column(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Score(ScoreRequest())
    status, details = refusal(refused.value)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert all(f"{column}: FAULT_ABSENT_COLUMN" in details for column in FITTING)


def test_a_refused_single_call_has_its_faults_in_its_trailing_metadata(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Score(ScoreRequest(record=record_of("x", **{**FITTING, "BAL": "text"})))
    metadata = dict(refused.value.trailing_metadata())
    told = Score.FromString(metadata["fedscore-faults-bin"])
    assert list(told.faults) == [Fault(column="BAL", code=FAULT_NOT_A_NUMBER)]


def test_many_long_names_do_not_hide_the_refusal(served: Served) -> None:
    """Statuses travel in headers, which clients take up to 8 kB of."""
    strange = {f"\N{PILE OF POO}{number:03}" * 50: 1.0 for number in range(300)}
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Score(ScoreRequest(record=record_of("x", **FITTING, **strange)))
    assert refusal(refused.value)[0] is grpc.StatusCode.INVALID_ARGUMENT
    batch = served.stub.ScoreBatch(ScoreBatchRequest(records=[record_of("x", **FITTING, **strange)]))
    faults = batch.scores[0].faults
    assert {fault.code for fault in faults} == {FAULT_UNKNOWN_COLUMN}
    assert len(faults) <= 20
    assert all(len(fault.column) <= 256 for fault in faults)


def test_limits_of_a_call_are_refused_by_name(served: Served) -> None:
    record = record_of("x", **FITTING)
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.ScoreBatch(ScoreBatchRequest(records=[record] * (MOST_RECORDS + 1)))
    assert refusal(refused.value)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{MOST_RECORDS:,}" in refusal(refused.value)[1]
    for explanation in (Explanation(reasons=MOST_REASONS + 1), Explanation(language="x" * 100)):
        with pytest.raises(grpc.RpcError) as refused:
            served.stub.Score(ScoreRequest(record=record, explanation=explanation))
        assert refusal(refused.value)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_the_largest_batch_comes_back_to_a_client_with_usual_limits(served: Served) -> None:
    request = ScoreBatchRequest(
        records=[record_of(f"{place:036}", **FITTING) for place in range(MOST_RECORDS)],
        explanation=Explanation(reasons=MOST_REASONS),
    )
    assert len(served.stub.ScoreBatch(request).scores) == MOST_RECORDS
    assert list(served.stub.ScoreBatch(ScoreBatchRequest()).scores) == []


def test_a_message_that_is_too_long_is_refused(served: Served) -> None:
    record = record_of("x", **{**FITTING, "segment": "x" * (5 * 2**20)})
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Score(ScoreRequest(record=record))
    assert refusal(refused.value)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_deadline_that_is_over_is_told_so(served: Served) -> None:
    """A thousand records cannot even be written down in a millisecond."""
    batch = ScoreBatchRequest(records=[record_of("x", **FITTING)] * MOST_RECORDS)
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.ScoreBatch(batch, timeout=0.001)
    assert refusal(refused.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert served.stub.Score(ScoreRequest(record=batch.records[0])).score.hundredths


def test_it_says_what_it_serves(served: Served, card: Card) -> None:
    told = served.stub.Describe(DescribeRequest())
    assert (told.card, told.contract_name, told.role) == (card.fingerprint, "served", "platform")
    assert {column.name: column.number for column in told.columns} == {
        "BAL": True,
        "limit": True,
        "calls": True,
        "segment": False,
    }
    assert [(grade.name, grade.HasField("lowest_hundredths")) for grade in told.grades] == [
        ("A", True),
        ("B", True),
        ("C", True),
        ("D", False),
    ]
    assert told.grades[0].lowest_hundredths == 60_000


@pytest.mark.parametrize("name", ["", SERVICE])
def test_it_is_healthy(served: Served, name: str) -> None:
    health = health_pb2_grpc.HealthStub(served.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_tells_a_client_without_the_definition_how_to_call(served: Served) -> None:
    database = ProtoReflectionDescriptorDatabase(served.channel)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())
    file = database.FindFileContainingSymbol(SERVICE)
    assert [method.name for method in file.service[0].method] == ["Score", "ScoreBatch", "Describe"]


def page(served: Served) -> dict[str, float]:
    """What Prometheus reads."""
    with urllib.request.urlopen(f"http://127.0.0.1:{served.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def rise(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)


def test_metrics_count_calls_and_scores(served: Served, card: Card) -> None:
    rows = [{**FITTING, "BAL": value} for value in (-2.0, 0.1, 3.0, None)]
    unfit = record_of("x", **{**FITTING, "BAL": "text"})
    before = page(served)
    records = [record_of(str(place), **row) for place, row in enumerate(rows)]
    served.stub.ScoreBatch(ScoreBatchRequest(records=[*records, unfit]))
    served.stub.Score(ScoreRequest(record=records[0]))
    with pytest.raises(grpc.RpcError):
        served.stub.Score(ScoreRequest(record=unfit))
    after = page(served)
    assert rise(before, after, 'fedscore_calls_total{code="OK",method="ScoreBatch"}') == 1
    assert rise(before, after, 'fedscore_calls_total{code="OK",method="Score"}') == 1
    assert rise(before, after, 'fedscore_calls_total{code="INVALID_ARGUMENT",method="Score"}') == 1
    assert rise(before, after, 'fedscore_call_seconds_count{method="Score"}') == 2
    assert rise(before, after, "fedscore_records_unfit_total") == 2
    assert after[f'fedscore_card_info{{card="{card.fingerprint}",contract="served"}}'] == 1

    scores = expected(card, [*rows, rows[0]])
    for grade in card.grades:
        name = f'fedscore_grades_total{{card="{card.fingerprint}",grade="{grade.name}"}}'
        assert rise(before, after, name) == sum(score.grade == grade.name for score in scores)
    # The bands of the training's scores, so that both distributions can be laid side by side.
    assert card.bands is not None
    for low, high in pairwise((-math.inf, *card.bands.edges, math.inf)):
        name = f'fedscore_scores_total{{at_least="{low}",card="{card.fingerprint}"}}'
        assert rise(before, after, name) == sum(low <= score.score < high for score in scores)


def test_nothing_of_a_record_is_logged_or_counted(served: Served) -> None:
    identifier, segment = "customer-8271-marked", "segment-5562-marked"
    record = record_of(identifier, **{**FITTING, "segment": segment, "BAL": 77_123.25})
    served.stub.Score(ScoreRequest(record=record))
    served.stub.ScoreBatch(ScoreBatchRequest(records=[record]))
    record.columns["limit"].text = "limit-6643-marked"
    with pytest.raises(grpc.RpcError):
        served.stub.Score(ScoreRequest(record=record))
    told = served.service.said + "".join(page(served))
    assert "scoring on" in told
    assert not any(mark in told for mark in ("marked", "77123", "8271"))
