"""What a document is made of, whatever it is written in."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

__all__ = [
    "Block",
    "Code",
    "Document",
    "Facts",
    "Items",
    "Paragraph",
    "Picture",
    "Rows",
    "Section",
    "Signing",
]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences."""

    text: str

    kind = "paragraph"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names, and what there is to say of each."""

    entries: tuple[tuple[str, str], ...]

    kind = "facts"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    texts: tuple[str, ...]

    kind = "items"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table.

    Attributes:
        head: Names of the columns.
        rows: As long as the head, each.
        in_words: Whether columns hold sentences rather than numbers.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    in_words: bool = False

    kind = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawing of what a table says as well; only pages have it."""

    caption: str
    drawing: Markup

    kind = "picture"


@dataclass(frozen=True, slots=True)
class Code:
    """What is typed, or a formula."""

    text: str

    kind = "code"


@dataclass(frozen=True, slots=True)
class Signing:
    """Lines for people to sign on."""

    lines: tuple[str, ...]

    kind = "signing"


Block = Paragraph | Facts | Items | Rows | Picture | Code | Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part with its heading."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All of it.

    Attributes:
        title: Of the document.
        lead: The first sentences.
        sections: Numbered from 1 when they are written.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
