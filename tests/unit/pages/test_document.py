from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import fedscore.pages
from fedscore.card import Card
from fedscore.card.reasons import Losses
from fedscore.contract import Contract, Role
from fedscore.data import Rows
from fedscore.errors import CardError
from fedscore.pages import Standing, words
from fedscore.pages.document import DocumentForm, card_document
from fedscore.pages.document.blocks import Picture
from fedscore.pages.document.writing import document_of
from fedscore.pages.sheets import characteristic_sheets
from fedscore.pages.writing import fill_in
from simulations.federation import train_federation
from tests.cards import plain_card, table
from tests.pages import Page, full_card

CARD = full_card()
HEADINGS = [
    "Purpose and intended use",
    "Outcome",
    "Data",
    "Method",
    "Performance",
    "Stability of the points",
    "Limits",
    "Privacy",
    "Fairness",
    "Explanations",
    "Monitoring plan",
    "Approvals",
    "Change log and provenance",
    "All points",
]


def markdown(card: Card, contract: Contract | None = None) -> str:
    text = card_document(card, Standing.UNSIGNED, DocumentForm.MARKDOWN, contract=contract)
    return text.replace("\N{NO-BREAK SPACE}", " ")


def page(card: Card) -> Page:
    return Page(card_document(card, Standing.UNSIGNED, DocumentForm.PAGE))


def words_in(text: str) -> set[str]:
    """Whatever is no markup of either form."""
    return set(re.sub(r"[\\|*#]|(?<!\S)-+:?(?!\S)", " ", text).replace("_", "").replace(":", "").split())


def test_both_forms_say_the_same() -> None:
    document = document_of(CARD, Standing.UNSIGNED, None)
    pictures = {
        word
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Picture)
        for word in (*block.caption.split(), *re.sub(r"<[^>]+>", " ", block.drawing).split())
    }
    in_page, in_markdown = words_in(page(CARD).text), words_in(markdown(CARD))
    assert in_markdown - in_page == set()
    assert in_page - in_markdown <= pictures


def test_every_section_is_there() -> None:
    assert re.findall(r"^## \d+\. (.*)$", markdown(CARD), flags=re.MULTILINE) == HEADINGS
    assert [heading for heading in HEADINGS if heading not in page(CARD).text] == []


def test_the_page_loads_nothing() -> None:
    read = page(CARD)
    assert read.loaded == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(read.tags)
    assert read.tags.count("svg") == 2


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:  # noqa: ANN401
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path, value


def changed(path: tuple[str | int, ...], value: object) -> Card:
    document = json.loads(CARD.to_json())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return Card.model_validate_json(json.dumps(document))


NOT_TOLD = {"grid", "cells", "edges", "schema_version", "scheme", "shares"}
NUMBERS = [
    (path, value)
    for path, value in leaves(json.loads(CARD.to_json()))
    if isinstance(value, int | float)
    and not isinstance(value, bool)
    and NOT_TOLD.isdisjoint(path)
    and path != ("bands", "deviation")
]


def test_the_check_below_has_something_to_check() -> None:
    assert len(NUMBERS) > 80
    kinds = {path[0] for path, _ in NUMBERS}
    assert {"characteristics", "grades", "bands", "evaluation", "privacy", "provenance", "scale"} <= kinds


@pytest.mark.parametrize(("path", "value"), NUMBERS, ids=lambda part: str(part)[:60])
def test_another_figure_in_the_card_is_another_in_the_document(
    path: tuple[str | int, ...], value: float
) -> None:
    """The hash of the card stands in the document, so it alone would always differ: it is taken out."""
    other: float = value + 1 if isinstance(value, int) else round(value * 0.5 + 0.01, 2)
    card = changed(path, other)
    before, after = (markdown(one).replace(one.fingerprint, "") for one in (CARD, card))
    assert before != after


FORMS: tuple[Callable[[float], str], ...] = (
    words.points,
    words.precise,
    words.rate,
    words.share,
    words.decimal,
    words.count,
    words.epsilon,
    words.delta,
    lambda value: f"{value:g}",
    lambda value: f"{value:.6g}",
    lambda value: f"{100 * value:g}",
    lambda value: f"{value:,}",
)
NUMERAL = re.compile(r"\d[\d.,]*\d|\d")


def numerals(text: str) -> set[str]:
    return set(NUMERAL.findall(text))


def derived_figures(card: Card) -> Iterator[float]:
    """What follows from the card's figures, computed here in another way."""
    assert card.bands is not None
    bad, everybody = sum(card.bands.bad), sum((*card.bands.bad, *card.bands.good))
    yield from (bad / everybody, everybody, math.exp(0.9973))
    yield from card.score_range
    yield from (len(card.parties), len(card.characteristics), len(card.interactions))
    for entry in card.tables:
        shares = [bin_.share / sum(bin_.share for bin_ in entry.bins) for bin_ in entry.bins]
        mean = sum(share * bin_.points for share, bin_ in zip(shares, entry.bins, strict=True))
        yield math.sqrt(
            sum(share * (bin_.points - mean) ** 2 for share, bin_ in zip(shares, entry.bins, strict=True))
        )
        yield sum(share * (bin_.standard_error or 0) for share, bin_ in zip(shares, entry.bins, strict=True))
        held = [bin_ for bin_ in entry.bins if bin_.label != "not held"]
        yield sum(bin_.points for bin_ in held) / len(held)


def test_no_figure_is_invented() -> None:
    """Every numeral stands in the card, follows from it, or is in the text that the document is made of."""
    text = markdown(CARD)
    known: set[str] = set()
    for _, value in leaves(json.loads(CARD.to_json())):
        if isinstance(value, str):
            known |= numerals(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            known |= {one for form in FORMS for one in numerals(form(value))}
    for value in derived_figures(CARD):
        known |= {one for form in FORMS for one in numerals(form(value))}
    known |= {f"{value:.3g}" for value in derived_figures(CARD)}
    known |= numerals(CARD.fingerprint)
    folder = Path(fedscore.pages.__file__).parent / "document"
    written = numerals(" ".join(path.read_text() for path in folder.glob("*.py")))
    sections = {str(number) for number in range(1, len(HEADINGS) + 1)}
    assert numerals(text) - known - written - sections == set()


def test_the_check_sees_an_invented_figure() -> None:
    assert numerals("about 12,345.6 rows, 7.5%") == {"12,345.6", "7.5"}


def test_what_the_card_lacks_is_said_to_lack() -> None:
    text = markdown(plain_card(table("x", [1.0, -1.0, 0.0])))
    for expected in (
        "Not measured: the contract has no \\[evaluation\\]",
        "none: the contract has no \\[grades\\]",
        "Not measured: the contract names no groups",
        "The card does not say what its training cost",
        "The card does not list its sums",
        "not in the card: it comes from a simulation",
        "The card names no organisation",
        "Nobody has signed this card",
        "not in the card: a contract with \\[grades\\] has it counted",
        "not in the card, but in the contract",
    ):
        assert expected in text


def test_markup_in_the_card_is_text() -> None:
    hostile = "<b>x</b> | *y* _z_ [a](b) `c` # &amp;"
    card = full_card(purpose=hostile)
    assert hostile in page(card).text
    line = next(line for line in markdown(card).splitlines() if "**purpose**" in line)
    assert line.endswith(r"\<b\>x\</b\> \| \*y\* \_z\_ \[a\](b) \`c\` \# \&amp;")


@pytest.mark.parametrize("form", DocumentForm)
def test_tables_of_markdown_have_as_many_fields_in_each_row(form: DocumentForm) -> None:
    lines = card_document(CARD, Standing.UNSIGNED, form).splitlines()
    tables = [list(rows) for is_row, rows in itertools.groupby(lines, lambda x: x.startswith("|")) if is_row]
    assert bool(tables) is (form is DocumentForm.MARKDOWN)
    for rows in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
        assert len(rows) > 2


def test_the_reference_of_reasons_is_the_one_that_scoring_uses() -> None:
    """A cell's loss is the reference less its points, in two hundredths to a hundredth."""
    losses = Losses(CARD, role=Role.PLATFORM)
    for column, sheet in enumerate(sorted(characteristic_sheets(CARD), key=lambda one: one.name)):
        assert losses.names[column] == sheet.name
        worst = min(line.points for line in sheet.lines if line.kind != "not held")
        cells = [[0] * len(CARD.tables)]
        (lost,) = losses.of(np.array(cells))
        first = sheet.values[0].points
        assert first == worst
        assert lost[column] == 2 * (round(100 * sheet.mean_points) - round(100 * first))


@pytest.fixture(scope="module")
def trained(tiny_contract: Contract, make_rows: Callable[[int, int], Rows]) -> Card:
    rows = {party.name: make_rows(500, seed) for seed, party in enumerate(tiny_contract.parties)}
    card = train_federation(tiny_contract, rows, seed=1).trained
    assert isinstance(card, Card)
    return card


def test_epsilon_follows_from_the_table_by_the_formula_beside_it(trained: Card) -> None:
    text = markdown(trained)
    assert "mu^2 of a sum = squared sensitivity / (honest shares * variance of a share - 4)" in text
    privacy = trained.privacy
    assert privacy is not None
    rows = re.findall(r"^\| \S.*? \| training rows \| (.*) \|$", text, flags=re.MULTILINE)
    assert len(rows) == len(privacy.events)
    total = 0.0
    for row in rows:
        _, sensitivity, variance, shares = (int(cell.replace(",", "")) for cell in row.split(" | "))
        total += sensitivity / (shares * variance - 4)
    assert privacy.mu == pytest.approx(math.sqrt(total), rel=1e-9)
    assert privacy.epsilon is not None
    mu, epsilon = math.sqrt(total), privacy.epsilon
    delta = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert delta == pytest.approx(privacy.delta, rel=1e-4)


def test_the_contract_tells_what_is_not_in_the_card(trained: Card, tiny_contract: Contract) -> None:
    text = markdown(trained, tiny_contract)
    assert "name its file with --contract" not in text
    assert f"at most {tiny_contract.rows.row_cap:,} training rows of an organisation" in text
    assert f"Paillier with {tiny_contract.encryption.key_bits} bits" in text
    with pytest.raises(CardError, match="was trained under contract"):
        markdown(CARD, tiny_contract)


def test_a_template_that_speaks_of_what_is_not_there_fails() -> None:
    with pytest.raises(Exception, match="document"):
        fill_in("document.md.j2", {})
