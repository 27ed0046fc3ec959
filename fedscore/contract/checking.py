"""Every mistake in the text of a contract, with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from fedscore.contract.characteristics import Characteristic, Derived, Interaction, InteractionSide
from fedscore.contract.draft import Draft
from fedscore.contract.explaining import explain
from fedscore.contract.findings import Finding, FindingLevel, Path, Problem, error
from fedscore.contract.locations import lines_of, nearest_line
from fedscore.contract.model import Contract
from fedscore.contract.neural_terms import Learner, NeuralTerms
from fedscore.contract.product_terms import EvaluationTerms, GradeTerms, MonitoringTerms
from fedscore.contract.rules import problems_of
from fedscore.contract.scorecard_terms import ScorecardTerms
from fedscore.contract.terms import (
    ConsentTerms,
    EncryptionTerms,
    Outcome,
    Party,
    PrivacyTerms,
    RowRules,
    Split,
)
from fedscore.contract.values import Term

__all__ = ["check"]

_TermT = TypeVar("_TermT", bound=Term)
_SYNTAX_PLACE = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$", re.DOTALL
)
_SINGULAR = {
    "characteristics": "characteristic",
    "derived": "derived characteristic",
    "interactions": "interaction",
    "groups": "group",
    "parties": "party",
}


def check(text: str) -> tuple[Finding, ...]:
    """Find everything that is wrong or doubtful in a contract.

    Args:
        text: The text of a `contract.toml`.

    Returns:
        Findings in the order of their lines, those without a line first. Without an error among them,
        `parse_contract` accepts the text.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as refused:
        return (_syntax_finding(str(refused), text),)
    lines = lines_of(text)
    problems = (*_structural_problems(raw), *problems_of(_draft_of(raw)))
    found = [
        Finding(
            line=nearest_line(lines, problem.path),
            level=problem.level,
            where=_in_words(problem.path, raw),
            message=problem.message,
        )
        for problem in problems
    ]
    return tuple(sorted(found, key=lambda finding: finding.line or 0))


def _syntax_finding(refusal: str, text: str) -> Finding:
    match = _SYNTAX_PLACE.match(refusal)
    line = int(match["line"]) if match and match["line"] else text.count("\n") + 1
    what = match["what"] if match else refusal
    return Finding(
        line=line,
        level=FindingLevel.ERROR,
        where="syntax",
        message=f"this is not TOML: {what[:1].lower()}{what[1:]}; correct it to see what else there is",
    )


def _structural_problems(raw: Mapping[str, Any]) -> list[Problem]:
    try:
        Contract.model_validate(raw)
    except ValidationError as refused:
        # Without a place it is the sum of what the rules find, which they tell with places.
        details = [detail for detail in refused.errors(include_url=False) if detail["loc"]]
        arrays = {detail["loc"][:-1] for detail in details}
        return [
            error(detail["loc"], explain(detail, Contract))
            for detail in details
            # An array of which an entry is refused counts as shorter than it is.
            if detail["type"] != "too_short" or detail["loc"] not in arrays
        ]
    return []


def _draft_of(raw: Mapping[str, Any]) -> Draft:
    """Whatever can be read, although the rest cannot."""
    characteristics = _entries(Characteristic, raw, "characteristics")
    derived = _entries(Derived, raw, "derived")
    parties = _entries(Party, raw, "parties")
    return Draft(
        characteristics=characteristics,
        derived=derived,
        interactions=_entries(Interaction, raw, "interactions"),
        parties=parties,
        complete_roster=len(parties) == len(_array(raw, "parties")),
        outcome=_read(Outcome, raw.get("outcome")),
        rows=_read(RowRules, raw.get("rows")),
        consent=_read(ConsentTerms, raw.get("consent")),
        privacy=_read(PrivacyTerms, raw.get("privacy")),
        encryption=_read(EncryptionTerms, raw.get("encryption", {})),
        learner=_learner(raw.get("learner", Learner.SCORECARD)),
        scorecard=_read(ScorecardTerms, raw.get("scorecard")),
        names_neural="neural" in raw,
        neural=_read(NeuralTerms, raw.get("neural")),
        split=_read(Split, raw.get("split")),
        grades=_read(GradeTerms, raw.get("grades")),
        evaluation=_read(EvaluationTerms, raw.get("evaluation")),
        groups=_entries(InteractionSide, raw, "groups"),
        names_monitoring="monitoring" in raw,
        monitoring=_read(MonitoringTerms, raw.get("monitoring")),
        unreadable=frozenset(
            name
            for key, readable in (("characteristics", characteristics), ("derived", derived))
            for place, entry in enumerate(_array(raw, key))
            if place not in readable and isinstance(name := _name_of(entry), str)
        ),
    )


def _array(raw: Mapping[str, Any], key: str) -> Sequence[Any]:
    entries = raw.get(key)
    return entries if isinstance(entries, list) else ()


def _entries(term: type[_TermT], raw: Mapping[str, Any], key: str) -> dict[int, _TermT]:
    read = {place: _read(term, entry) for place, entry in enumerate(_array(raw, key))}
    return {place: entry for place, entry in read.items() if entry is not None}


def _read(term: type[_TermT], value: object) -> _TermT | None:
    try:
        return term.model_validate(value)
    except ValidationError:
        return None


def _learner(value: object) -> Learner | None:
    return Learner(value) if isinstance(value, str) and value in tuple(Learner) else None


def _name_of(entry: object) -> object:
    return entry.get("name") if isinstance(entry, dict) else None


def _in_words(path: Path, raw: Mapping[str, Any]) -> str:
    """A path as a reader of the file would say it."""
    match path:
        case ():
            return "contract"
        case (str(key), int(place), *rest) if key in _SINGULAR:
            name = _name_of(_array(raw, key)[place])
            words = [f"{_SINGULAR[key]} {name if isinstance(name, str) else f'number {place + 1}'}"]
        case (first, *rest):
            words = [str(first)]
    words.extend(f"entry {step + 1}" if isinstance(step, int) else step for step in rest)
    return ", ".join(words)
