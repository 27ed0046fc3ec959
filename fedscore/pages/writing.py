"""Filling in a page: templates of this package, where what a card says is text and never markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jinja2

from fedscore.pages import words

__all__ = ["fill_in"]


def fill_in(template: str, values: Mapping[str, Any]) -> str:
    """Fills in a template.

    Args:
        template: Its file; `.html.j2` is escaped as HTML.
        values: What it speaks of, beside `words`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fedscore.pages", "."),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, n=lambda value: f"{value:g}")
    environment.filters.update(md=_in_markdown, together=_together)
    return environment.get_template(template).render(values)


_SIGNS = re.compile(r"([\\`*\[\]<>|#~&])|(?<![A-Za-z0-9])(_)|(_)(?![A-Za-z0-9])")


def _together(interval: str) -> str:
    """An interval that is broken, where it has to be, behind the word and not before it."""
    return interval.replace(" to ", "\N{NO-BREAK SPACE}to ")


def _in_markdown(text: str) -> str:
    """A text in which nothing is markup; it stays on one line."""
    return _SIGNS.sub(lambda match: f"\\{match.group()}", " ".join(text.split(" ")).replace("\n", " "))
