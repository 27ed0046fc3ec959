"""How `--set key=VALUE` changes a scenario."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from fedscore.errors import ScenarioError

__all__ = ["with_overrides"]

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def with_overrides(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Set keys of a document; later settings win over earlier ones.

    Args:
        document: A parsed TOML document; left as it is.
        overrides: Settings as `table.key=VALUE`, VALUE written as in TOML.

    Returns:
        A copy of the document with the settings in place.

    Raises:
        ScenarioError: A setting has no key, its value is not TOML, or its key goes through a plain value.
    """
    changed = copy.deepcopy(dict(document))
    for override in overrides:
        key, value = _parsed(override)
        *tables, last = key.split(".")
        place = changed
        for table in tables:
            inner = place.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ScenarioError(f"--set {override}: {table!r} is a value of the scenario, not a table")
            place = inner
        place[last] = value
    return changed


def _parsed(override: str) -> tuple[str, object]:
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
        raise ScenarioError(
            f"--set {override}: write table.key=VALUE, for example --set privacy.epsilon=[1] "
            "or --set 'encryption.mode=\"plain\"'"
        )
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    if set(parsed) != {"value"}:
        hint = (
            f"""--set '{key}="{text}"'""" if re.fullmatch(r"[\w./-]+", text) else "--set privacy.epsilon=[1]"
        )
        raise ScenarioError(
            f"--set {override}: the value is not TOML; numbers stand as they are, lists in brackets, "
            f"and words need quotes that the shell leaves in place, for example {hint}"
        )
    return key, parsed["value"]
