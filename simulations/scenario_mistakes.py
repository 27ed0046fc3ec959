"""How the mistakes of a scenario are told to the one who wrote it."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

__all__ = ["closest", "explain"]


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Put each mistake into a sentence with its key and, where a word was unknown, the closest known one.

    Args:
        error: What pydantic found.
        model: The model that the document was checked against.

    Returns:
        One line per mistake, in the order of the document's model.
    """
    return [_sentence(details, model) for details in error.errors(include_url=False)]


def _sentence(details: ErrorDetails, model: type[BaseModel]) -> str:
    location = [str(part) for part in details["loc"] if part != "[key]"]
    where = ".".join(location) or "the scenario"
    kind = details["type"]
    context: dict[str, Any] = details.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(_keys_at(model, location[:-1]))
        return f"{where} is not a key of a scenario{closest(location[-1], known)}"
    if kind == "missing":
        return f"{where} is missing"
    if kind in {"enum", "literal_error"}:
        known = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"{where}: {details['input']!r} is not known{closest(str(details['input']), known)}"
    if kind == "value_error":
        return f"{where}: {context['error']}"
    return f"{where}: {details['msg'][:1].lower()}{details['msg'][1:]} (it says {details['input']!r})"


def closest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: the known word that is closest, or all known ones."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if matches:
        return f": did you mean {matches[0]!r}?"
    return f": known are {', '.join(known)}"


def _keys_at(model: type[BaseModel], location: Iterable[str]) -> set[str]:
    for part in location:
        field = model.model_fields.get(part)
        inner = None if field is None else _model_of(field.annotation)
        if inner is None:
            return set()
        model = inner
    return set(model.model_fields)


def _model_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if isinstance(annotation, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _model_of(part))), None)
    return None
