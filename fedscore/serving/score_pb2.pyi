from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FaultCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAULT_UNSPECIFIED: _ClassVar[FaultCode]
    FAULT_ABSENT_COLUMN: _ClassVar[FaultCode]
    FAULT_UNKNOWN_COLUMN: _ClassVar[FaultCode]
    FAULT_NOT_A_NUMBER: _ClassVar[FaultCode]
    FAULT_INFINITE: _ClassVar[FaultCode]
    FAULT_NOT_A_LEVEL: _ClassVar[FaultCode]
FAULT_UNSPECIFIED: FaultCode
FAULT_ABSENT_COLUMN: FaultCode
FAULT_UNKNOWN_COLUMN: FaultCode
FAULT_NOT_A_NUMBER: FaultCode
FAULT_INFINITE: FaultCode
FAULT_NOT_A_LEVEL: FaultCode

class Value(_message.Message):
    __slots__ = ("number", "text", "flag")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    number: float
    text: str
    flag: bool
    def __init__(self, number: _Optional[float] = ..., text: _Optional[str] = ..., flag: _Optional[bool] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("id", "columns")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    id: str
    columns: _containers.MessageMap[str, Value]
    def __init__(self, id: _Optional[str] = ..., columns: _Optional[_Mapping[str, Value]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("language", "reasons")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    language: str
    reasons: int
    def __init__(self, language: _Optional[str] = ..., reasons: _Optional[int] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("record", "explanation")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    record: Record
    explanation: Explanation
    def __init__(self, record: _Optional[_Union[Record, _Mapping]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class ScoreBatchRequest(_message.Message):
    __slots__ = ("records", "explanation")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Record]
    explanation: Explanation
    def __init__(self, records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "text", "points_lost")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    POINTS_LOST_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    points_lost: float
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ..., points_lost: _Optional[float] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("column", "code")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    column: str
    code: FaultCode
    def __init__(self, column: _Optional[str] = ..., code: _Optional[_Union[FaultCode, str]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("id", "hundredths", "score", "probability", "grade", "reasons", "faults")
    ID_FIELD_NUMBER: _ClassVar[int]
    HUNDREDTHS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    hundredths: int
    score: float
    probability: float
    grade: str
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    def __init__(self, id: _Optional[str] = ..., hundredths: _Optional[int] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ..., grade: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("score", "card")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    score: Score
    card: str
    def __init__(self, score: _Optional[_Union[Score, _Mapping]] = ..., card: _Optional[str] = ...) -> None: ...

class ScoreBatchResponse(_message.Message):
    __slots__ = ("scores", "card")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    card: str
    def __init__(self, scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., card: _Optional[str] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "number")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: bool
    def __init__(self, name: _Optional[str] = ..., number: _Optional[bool] = ...) -> None: ...

class Grade(_message.Message):
    __slots__ = ("name", "lowest_hundredths", "bad_rate")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOWEST_HUNDREDTHS_FIELD_NUMBER: _ClassVar[int]
    BAD_RATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    lowest_hundredths: int
    bad_rate: float
    def __init__(self, name: _Optional[str] = ..., lowest_hundredths: _Optional[int] = ..., bad_rate: _Optional[float] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("card", "contract_name", "outcome", "role", "columns", "grades")
    CARD_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    GRADES_FIELD_NUMBER: _ClassVar[int]
    card: str
    contract_name: str
    outcome: str
    role: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    grades: _containers.RepeatedCompositeFieldContainer[Grade]
    def __init__(self, card: _Optional[str] = ..., contract_name: _Optional[str] = ..., outcome: _Optional[str] = ..., role: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., grades: _Optional[_Iterable[_Union[Grade, _Mapping]]] = ...) -> None: ...
