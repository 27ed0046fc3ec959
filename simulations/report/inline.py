"""A figure as text and as bytes: for a page, whose colours it takes, and for files of its own."""

from __future__ import annotations

import io
import re

from markupsafe import Markup
from matplotlib import style
from matplotlib.figure import Figure

from simulations.report.looks import THEMED

__all__ = ["as_inline_svg", "as_png", "as_svg"]

# Nothing of the day, nor of the library's version: the same results give the same bytes.
_SVG_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_DOTS_PER_INCH = 150
_COMMENTS = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_OF_A_FILE = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<style.*?</style>|\s+xmlns(?::xlink)?=\"[^\"]*\"", re.DOTALL
)
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")


def as_svg(figure: Figure) -> str:
    """The figure as a file of its own.

    Args:
        figure: Drawn with colours of `simulations.report.looks`.
    """
    buffer = io.StringIO()
    with style.context({"svg.hashsalt": "fedscore"}):
        figure.savefig(buffer, format="svg", metadata=_SVG_METADATA)
    lines = (line.rstrip() for line in _COMMENTS.sub("", buffer.getvalue()).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def as_png(figure: Figure) -> bytes:
    """The figure in dots.

    Args:
        figure: Any.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def as_inline_svg(figure: Figure, *, label: str) -> Markup:
    """The figure as a part of a page: without background, in the page's colours, as wide as there is room.

    Args:
        figure: Drawn with colours of `simulations.report.looks` alone.
        label: What it shows, for whoever cannot see it.
    """
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    text = _COLOUR.sub(_themed, _OF_A_FILE.sub("", as_svg(figure)))
    opening, _, rest = text.lstrip().partition(">")
    box = re.search(r'viewBox="[^"]*"', opening)
    if not opening.startswith("<svg") or box is None:
        raise ValueError("matplotlib's SVG begins otherwise than it did: this is a defect")
    head = Markup('<svg {} role="img" aria-label="{}">').format(Markup(box.group()), label)  # noqa: S704 - drawn by us
    return head + Markup(rest.strip())  # noqa: S704 - likewise


def _themed(match: re.Match[str]) -> str:
    name = THEMED.get(match.group())
    return match.group() if name is None else f"var({name})"
