"""What pydantic refused, in the words of whoever writes contracts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic_core import ErrorDetails

from fedscore.contract.findings import closest
from fedscore.contract.values import Term, pattern_in_words

__all__ = ["explain"]

_EXPECTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number, without quotes",
    "float_type": "a number, without quotes",
    "bool_type": "true or false, without quotes",
    "date_type": "a date, as 2025-06-30, without quotes",
    "tuple_type": "an array in square brackets",
    "model_type": "a table of keys and values",
    "finite_number": "a finite number",
    "string_too_short": "text that is not empty",
}

_LIMIT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda context: f"above {context['gt']:g}",
    "less_than": lambda context: f"below {context['lt']:g}",
    "greater_than_equal": lambda context: f"{context['ge']:g} or more",
    "less_than_equal": lambda context: f"{context['le']:g} or less",
    "enum": lambda context: f"one of {context['expected']}".replace("'", '"'),
    "literal_error": lambda context: str(context["expected"]).replace("'", '"'),
    "string_pattern_mismatch": lambda context: pattern_in_words(context["pattern"]),
    "string_too_long": lambda context: f"at most {context['max_length']} characters long",
    "too_short": lambda context: f"an array of at least {context['min_length']}",
    "too_long": lambda context: f"an array of at most {context['max_length']}",
}


def explain(detail: ErrorDetails, root: type[Term]) -> str:
    """Say what one refusal of pydantic means.

    Args:
        detail: One of `ValidationError.errors()`.
        root: The model that refused.

    Returns:
        What is wrong, what is allowed and what the entry is for.
    """
    kind, context = detail["type"], detail.get("ctx", {})
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    known = _entries_around(detail["loc"], root)
    purpose = f". {known[key]}" if known.get(key) else ""
    if kind == "extra_forbidden":
        return (
            f"there is no entry {key} here{closest(key, known)}: remove it; there may be {', '.join(known)}"
        )
    if kind == "missing":
        return f"{key} is missing: add it{purpose}"
    if kind == "value_error":
        return f"{context['error']}{purpose}"
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}{purpose}"
    if kind in _LIMIT:
        return f"must be {_LIMIT[kind](context)}{purpose}"
    return f"{detail['msg']}{purpose}"


def _entries_around(loc: tuple[int | str, ...], root: type[Term]) -> Mapping[str, str]:
    """The entries that the table around a place may have, with their descriptions."""
    term: type[Term] | None = root
    for step in loc[:-1]:
        if isinstance(step, str) and term is not None:
            field = term.model_fields.get(step)
            term = _term_in(field.annotation) if field is not None else None
    if term is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in term.model_fields.items()}


def _term_in(annotation: object) -> type[Term] | None:
    """The model that an annotation such as `tuple[Party, ...]` is about."""
    if isinstance(annotation, type) and issubclass(annotation, Term):
        return annotation
    return next((found for part in get_args(annotation) if (found := _term_in(part)) is not None), None)
