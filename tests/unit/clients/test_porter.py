"""Who is let in, and that a signature under one ask fits no other."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.porter import Porter
from fedscore.errors import PolicyRefused
from fedscore.messages import ASK_DOMAIN, Ask, Head, Phase, Refusal, RefusalCode, Reply
from privacy.identities import Identity
from server.answers import said
from simulations.keys import simulated_identity

OPERATOR = simulated_identity("operator")
OURS = version("fedscore")
HEAD = Head.genesis("4" * 64, "5" * 64)


def vector(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


ASK = Ask(
    phase=Phase.OPEN,
    run="1" * 32,
    round=7,
    contract_hash="2" * 64,
    head=HEAD,
    opening=b"opening",
    head_signatures={1: b"a" * 64, 2: b"b" * 64},
    request_hash="3" * 64,
    openings=(vector(1, 2), vector(3)),
    submissions={"north": b"sealed", "south": b"too"},
    version=OURS,
)

CHANGES: dict[str, tuple[Any, ...]] = {
    "phase": (Phase.PROVE, Phase.COLLECT, Phase.HELLO),
    "run": ("1" * 31 + "0", ""),
    "round": (6, 8, 71, 0),
    "contract_hash": ("2" * 63 + "3", ""),
    "head": (replace(HEAD, round=1), Head.genesis("4" * 64, "6" * 64), replace(HEAD, submissions={"a": "b"})),
    "opening": (b"", b"openinG", b"opening\x00"),
    "head_signatures": (
        {},
        {1: b"a" * 64},
        {1: b"b" * 64, 2: b"a" * 64},
        {1: b"a" * 64, 3: b"b" * 64},
        {1: b"a" * 64, 2: b"b" * 63},
    ),
    "request_hash": ("3" * 63 + "4", ""),
    "openings": (
        (),
        (vector(1, 2),),
        (vector(3), vector(1, 2)),
        (vector(1, 2, 3),),
        (vector(1), vector(2, 3)),
        (vector(1, 2), vector(-3)),
        (vector(1, 2), vector(3), vector()),
    ),
    "submissions": (
        {},
        {"north": b"sealed"},
        {"north": b"too", "south": b"sealed"},
        {"north": b"sealed", "west": b"too"},
        {"north": b"sealed", "south": b"to"},
        {"north": b"sealedtoo", "south": b""},
    ),
    "version": ("", f"{OURS}0", "9.9.9"),
}


class Answers:
    """A node that says who asked."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []

    def answer(self, ask: Ask) -> Reply | Refusal:
        self.asked.append(ask)
        return Refusal(party="node", version=OURS, phase=ask.phase, round=ask.round, code=RefusalCode.DATA)


def signed(ask: Ask, by: Identity = OPERATOR, domain: bytes = ASK_DOMAIN) -> Ask:
    return replace(ask, signature=by.sign(domain, ask.statement()))


@pytest.fixture
def node() -> Answers:
    return Answers()


@pytest.fixture
def porter(node: Answers) -> Porter:
    return Porter(lambda: node, party="north", operator=OPERATOR.public.signing_key)


def refused(porter: Porter, ask: Ask) -> RefusalCode:
    answer = porter.answer(ask)
    assert isinstance(answer, Refusal)
    assert (answer.party, answer.version, answer.phase, answer.round) == ("north", OURS, ask.phase, ask.round)
    return answer.code


@pytest.mark.parametrize("phase", Phase)
def test_what_the_operator_signed_is_let_in_as_it_is(porter: Porter, node: Answers, phase: Phase) -> None:
    ask = signed(replace(ASK, phase=phase))
    answer = porter.answer(ask)
    assert isinstance(answer, Refusal)
    assert answer.party == "node"
    assert node.asked == [ask]


def test_nothing_of_the_node_is_read_for_what_is_not_let_in() -> None:
    def opened() -> Answers:
        raise AssertionError("the node was built")

    porter = Porter(opened, party="north", operator=OPERATOR.public.signing_key)
    assert refused(porter, ASK) is RefusalCode.OPERATOR
    assert refused(porter, signed(replace(ASK, version="9.9.9"))) is RefusalCode.VERSION


def test_a_policy_that_does_not_allow_the_contract_is_told_with_a_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def opened() -> Answers:
        raise PolicyRefused("contract tiny is not among those accepted")

    porter = Porter(opened, party="north", operator=OPERATOR.public.signing_key)
    assert refused(porter, signed(ASK)) is RefusalCode.POLICY
    assert "contract tiny is not among those accepted" in caplog.text


def test_there_is_a_change_of_every_field() -> None:
    assert CHANGES.keys() == {field.name for field in dataclasses.fields(Ask)} - {"signature"}


@pytest.mark.parametrize("field", CHANGES)
def test_a_signature_under_one_ask_fits_no_other(porter: Porter, node: Answers, field: str) -> None:
    ask = signed(ASK)
    assert ask.statement() == ASK.statement(), "a signature does not sign itself"
    for value in CHANGES[field]:
        changed = replace(ask, **{field: value})
        assert changed.statement() != ask.statement(), value
        assert refused(porter, changed) is RefusalCode.OPERATOR
    assert node.asked == []


FIELDS = st.fixed_dictionaries(
    {field: st.sampled_from((getattr(ASK, field), *values)) for field, values in CHANGES.items()}
)


def key(fields: dict[str, Any]) -> str:
    return repr([(name, fields[name]) for name in sorted(fields)])


@given(first=FIELDS, second=FIELDS)
@settings(max_examples=300)
def test_two_asks_have_one_statement_only_if_they_are_the_same(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = replace(ASK, **first), replace(ASK, **second)
    assert (one.statement() == other.statement()) is (key(first) == key(second))


NOT_THE_OPERATORS: dict[str, Callable[[], Ask]] = {
    "unsigned": lambda: ASK,
    "signed by a stranger": lambda: signed(ASK, simulated_identity("stranger")),
    "signed by a party": lambda: signed(ASK, simulated_identity("north")),
    "signed for another purpose": lambda: signed(ASK, domain=b"fedscore evidence 1"),
    "cut": lambda: replace(ASK, signature=signed(ASK).signature[:-1]),
    "too long": lambda: replace(ASK, signature=signed(ASK).signature + b"\x00"),
    "zeros": lambda: replace(ASK, signature=bytes(64)),
    "one bit off": lambda: replace(
        ASK, signature=bytes([signed(ASK).signature[0] ^ 1]) + signed(ASK).signature[1:]
    ),
    "unsigned and of another version": lambda: replace(ASK, version="9.9.9"),
}


@pytest.mark.parametrize("make", NOT_THE_OPERATORS.values(), ids=NOT_THE_OPERATORS.keys())
def test_nobody_else_is_let_in(
    porter: Porter, node: Answers, make: Callable[[], Ask], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert refused(porter, make()) is RefusalCode.OPERATOR
    assert node.asked == []
    (message,) = caplog.messages
    assert message == (
        "refused round 7 (open): it is not signed by the operator that policy.toml names; ask the consortium "
        "for its operator's key, and compare"
    )


def test_the_operator_is_told_that_its_key_is_another(porter: Porter) -> None:
    told = said("north", porter.answer(ASK))
    assert told == (
        "north refused (operator-refused): its policy names another operator's key than this server's; "
        "compare the two"
    )


@pytest.mark.parametrize("theirs", ["9.9.9", "", f"{OURS}.post1"])
def test_another_version_is_refused_and_both_are_named_on_both_sides(
    porter: Porter, node: Answers, theirs: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert refused(porter, signed(replace(ASK, version=theirs))) is RefusalCode.VERSION
    assert node.asked == []
    assert caplog.messages == [
        f"refused round 7 (open): the operator runs fedscore {theirs}, this node {OURS}: install one version"
    ]
    # Seen from the operator, whose own version is the one that is installed here.
    answer = Refusal(party="north", version="9.9.9", phase=Phase.OPEN, round=7, code=RefusalCode.VERSION)
    assert said("north", answer) == (
        f"north refused (version-mismatch): it runs fedscore 9.9.9, this server {OURS}"
    )
