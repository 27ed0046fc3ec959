"""What the score is for, what it predicts, and on which data it was trained."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.card import Card
from fedscore.contract import ALL_ROLES, Characteristic, Contract, Derived
from fedscore.contract.denylist import FAIR_LENDING, REFUSED, Subject, subjects_in
from fedscore.pages import words
from fedscore.pages.document.blocks import Block, Facts, Items, Paragraph, Rows, Section

__all__ = ["data_section", "fair_lending_rows", "outcome_section", "purpose_section"]


def purpose_section(card: Card) -> Section:
    """Purpose and intended use."""
    grades = ", ".join(grade.name for grade in card.grades)
    return Section(
        heading="Purpose and intended use",
        blocks=(
            Facts(
                (
                    ("score", card.contract_name),
                    ("purpose", card.purpose),
                    ("grades", grades or "none: the contract has no [grades]"),
                    ("organisations", f"{len(card.parties)}" if card.parties else "not in the card"),
                )
            ),
            Paragraph(
                "The purpose is what the organisations signed in the contract; their data may serve nothing "
                "else. A score ranks customers by risk and puts a probability on the outcome below. It "
                "gives no advice on how to contact or treat a person. Which decisions are taken by it, at "
                "which limits and by whom, is the lender's own policy and not in the card."
            ),
        ),
    )


def outcome_section(card: Card) -> Section:
    """What counts as bad."""
    outcome = card.outcome
    return Section(
        heading="Outcome",
        blocks=(
            Facts(
                (
                    ("bad means", outcome.definition),
                    ("bucket", outcome.bucket),
                    ("looked for", f"within {outcome.horizon_days} days after a row's date"),
                    ("label", f"column {outcome.column}: 1 is bad, 0 is good"),
                    ("bad rate of the training records", _training_bad_rate(card)),
                    ("bad rate of the test rows", _test_bad_rate(card)),
                )
            ),
        ),
    )


def _training_bad_rate(card: Card) -> str:
    if card.bands is None:
        return _NO_BANDS
    bad, good = sum(card.bands.bad), sum(card.bands.good)
    return f"about {words.rate(bad / max(bad + good, 1.0))}, from noisy sums"


def _test_bad_rate(card: Card) -> str:
    measured = card.evaluation.measure("bad rate") if card.evaluation is not None else None
    if card.evaluation is None or measured is None:
        return "not measured: an [evaluation] in the contract measures it"
    level = 100 * card.evaluation.level
    return f"{words.rate(measured.value)}, {words.interval(measured, as_rate=True)} in {level:g} of 100 cases"


_NO_BANDS = "not in the card: a contract with [grades] has it counted"


def data_section(card: Card, contract: Contract | None) -> Section:
    """Organisations, rows, characteristics, and what a score must not use."""
    return Section(
        heading="Data",
        blocks=(
            *_organisations(card),
            Facts((*_rows(card), *_rules(contract))),
            Paragraph(
                "No row left an organisation. Each turned its rows into cells of the public grids below, "
                "and sums over all organisations, with noise, are all that anybody has seen. So nobody can "
                "inspect the rows behind this card: their quality is each organisation's own "
                "responsibility, and there are no proofs that they are true."
            ),
            Rows(
                head=("characteristic", "says", "from", "held by", "direction", "codes apart"),
                rows=tuple(_characteristic(card, item) for item in card.grid.by_name.values()),
                in_words=True,
            ),
            *_subjects(card),
        ),
    )


def _organisations(card: Card) -> Iterator[Block]:
    if card.parties:
        by_role = {
            role: [party.name for party in card.parties if party.role is role]
            for role in dict.fromkeys(party.role for party in card.parties)
        }
        yield Facts(tuple((f"{role}s", ", ".join(names)) for role, names in by_role.items()))
    else:
        yield Paragraph("The card names no organisation: it was trained under a contract without a roster.")


def _rows(card: Card) -> Iterator[tuple[str, str]]:
    if card.bands is not None:
        total = sum(card.bands.bad) + sum(card.bands.good)
        yield (
            "training records",
            (
                f"about {words.count(total)}, from noisy sums: the bad and the good ones each with noise of "
                f"standard deviation {card.bands.total_deviation:g}"
            ),
        )
    else:
        yield "training records", _counted_by_tables(card)
    yield (
        "test rows",
        f"about {words.count(card.evaluation.records)}, from noisy sums"
        if card.evaluation is not None
        else "not measured: an [evaluation] in the contract counts them",
    )


def _counted_by_tables(card: Card) -> str:
    """What the histogram says, of a characteristic that every organisation holds."""
    counts = [
        table.records
        for table in card.characteristics
        if table.records is not None and card.grid.holders[table.name] == frozenset(ALL_ROLES)
    ]
    if not counts:
        return _NO_BANDS
    return f"about {words.count(counts[0])}, from the noisy histogram"


def _rules(contract: Contract | None) -> Iterator[tuple[str, str]]:
    if contract is None:
        yield (
            "split, consent, caps",
            "not in the card, but in the contract: name its file with --contract to have them told here",
        )
        return
    split = contract.split
    yield (
        "split",
        f"rows of {split.test_from} and later test (column {split.column})"
        if split.test_from is not None
        else f"by a keyed hash of the person, {words.share(split.test_share)} test",
    )
    consent = contract.consent
    yield (
        "consent",
        "every row may be used: the contract names no column of consent"
        if consent is None
        else "only rows with consent, as said by " + ", ".join(consent.columns.values()),
    )
    rows = contract.rows
    at_one, at_most = f"{rows.row_cap:,} training rows of an organisation", rows.organisations_per_person
    of_person = f"{rows.rows_per_person} of a person there, and a person at {at_most} of them"
    yield "caps", f"at most {at_one}, {of_person} (believed, not checked)"


def _characteristic(card: Card, item: Characteristic | Derived) -> tuple[str, ...]:
    name = f"{item.name} ({item.unit})" if item.unit else item.name
    if item.input_only:
        name += ", for others only"
    if isinstance(item, Derived):
        source, codes = f"{item.formula} of {', '.join(item.of)}", words.NOTHING
    else:
        source = f"column {item.column}, {item.type}"
        codes = ", ".join(special.meaning for special in item.special) or words.NOTHING
    return (
        name,
        item.description or "the contract does not say",
        source,
        ", ".join(sorted(card.grid.holders[item.name])) or "nobody",
        words.NOTHING if item.monotone is None else f"bad rate {item.monotone}",
        codes,
    )


def _subjects(card: Card) -> Iterator[Block]:
    named = ", ".join(subject.name for subject in REFUSED)
    found = [told for item in card.grid.by_name.values() for told in _told(REFUSED, item)]
    yield Paragraph(
        f"Refused in every contract are characteristics that are plainly about {named}. "
        + (
            f"In this card such words were found: {'; '.join(found)}. Have this explained before it is used."
            if found
            else _NONE_FOUND
        )
    )
    restricted = fair_lending_rows(card)
    if restricted:
        yield Paragraph(
            "Fair-lending law restricts or forbids these in many countries; whether they may stay is for "
            "counsel to say:"
        )
        yield Items(restricted)
    else:
        yield Paragraph(
            "No characteristic is plainly about what fair-lending law restricts: sex, marital status, age, "
            "where people live."
        )


_NONE_FOUND = (
    "No name, column or description of this card is. Words cannot prove that a column holds what its name "
    "says. What was proposed and refused before the contract was signed is not in the card."
)


def fair_lending_rows(card: Card) -> tuple[str, ...]:
    """Characteristics about which fair-lending law has a say, each with the word that told."""
    return tuple(told for item in card.grid.by_name.values() for told in _told(FAIR_LENDING, item))


def _told(subjects: tuple[Subject, ...], item: Characteristic | Derived) -> Iterator[str]:
    names = (item.name, item.column) if isinstance(item, Characteristic) else (item.name,)
    for subject, phrase in subjects_in(subjects, names=names, description=item.description):
        yield f'{item.name}: {subject.name} ("{phrase}")'
