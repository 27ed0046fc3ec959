"""`fedscore card show`: a card for people, in the terminal or as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedscore.cli.card_options import CardFile, SignerOption
from fedscore.errors import CardError
from fedscore.files import write_whole

if TYPE_CHECKING:
    from fedscore.card import Card
    from fedscore.pages import Standing

__all__ = ["register", "write_page"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("show")(_show)


def _show(
    card: CardFile,
    *,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with pictures instead; replaced at the end.", metavar="FILE"),
    ] = None,
    signer: SignerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is shown as JSON.")] = False,
) -> None:
    """Show a card: what it is for, what it is worth, what it cost, and every point that it gives.

    An unsigned card is shown too, and said to be unsigned; one that was changed after it was signed is not.
    """
    # Other commands do not pay for these.
    from fedscore.cli.card_reading import card_to_look_at  # noqa: PLC0415

    shown, standing = card_to_look_at(card, signer)
    if html is not None:
        from fedscore.pages import card_page  # noqa: PLC0415

        write_page(html, card_page(shown, standing))
    if as_json:
        typer.echo(json.dumps(_document(shown, standing), indent=2, ensure_ascii=False))
    elif html is not None:
        typer.echo(f"{html}: the card of {shown.contract_name}, {standing}; fingerprint {shown.fingerprint}")
    else:
        _print(shown, standing)


def write_page(path: Path, text: str) -> None:
    """Writes a file for people, at once or not at all.

    Raises:
        CardError: It cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise CardError(
            f"{path} cannot be written ({error.strerror}): name a file in a folder that you may write to"
        ) from None


def _print(card: Card, standing: Standing) -> None:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415

    from fedscore.cli import card_tables as tables  # noqa: PLC0415
    from fedscore.pages.groups import group_tables  # noqa: PLC0415
    from fedscore.pages.rulers import ruler_of  # noqa: PLC0415
    from fedscore.pages.sheets import characteristic_sheets, interaction_sheets  # noqa: PLC0415

    # What is piped is not cut to a terminal that is not there.
    console = Console(width=None if Console().is_terminal else 120)
    console.print(Text(card.contract_name, style="bold"))
    console.print(Text(card.purpose), "", sep="\n")
    console.print(tables.facts_table(_facts(card, standing)))
    if card.grades:
        console.print("", Text("Grades", style="bold"), tables.grade_table(card), sep="\n")
    if card.evaluation is not None:
        level = 100 * card.evaluation.level
        heading = f"Worth, from private sums over test rows; intervals hold in {level:g} of 100 cases"
        console.print("", Text(heading, style="bold"), tables.measure_table(card.evaluation), sep="\n")
        for group in group_tables(card):
            console.print("", tables.group_table(group), sep="\n")
    sheets, interactions = characteristic_sheets(card), interaction_sheets(card)
    ruler = ruler_of((*sheets, *interactions))
    for sheet in (*sheets, *interactions):
        console.print("", Text(sheet.name, style="bold"), Text(sheet.about, style="dim"), sep="\n")
        console.print(tables.bin_table(sheet, ruler))


def _facts(card: Card, standing: Standing) -> Iterator[tuple[str, str]]:
    from fedscore.pages import words  # noqa: PLC0415 - see above
    from fedscore.pages.promises import assumptions, promise  # noqa: PLC0415
    from fedscore.pages.standing import standing_in_words  # noqa: PLC0415

    outcome = card.outcome
    yield "predicts", f"{outcome.definition} ({outcome.bucket}, within {outcome.horizon_days} days)"
    parties = ", ".join(f"{party.name} ({party.role})" for party in card.parties)
    yield "organisations", parties or "not named: no roster was in the contract"
    low, high = card.score_range
    start, double = words.precise(card.intercept_points), f"{card.scale.points_to_double_odds:g}"
    reach = f"{words.precise(low)} to {words.precise(high)} in all"
    yield "a score", f"{start} points and those of the bins; {reach}; {double} more double the odds"
    if card.privacy is not None:
        record, person = words.epsilon(card.privacy.epsilon), words.epsilon(card.privacy.person_epsilon)
        at = f"at δ = {words.delta(card.privacy.delta)}"
        yield "privacy", f"ε = {record} for a record, {person} for a person, {at}"
    yield "", " ".join((promise(card), *assumptions(card)))
    yield "signature", standing_in_words(card, standing)
    yield "fingerprint", card.fingerprint
    yield "contract", card.contract_hash
    if card.provenance is not None:
        told = card.provenance
        yield "run", f"{told.run}, ended {told.finished}; round {told.round}, transcript {told.transcript}"


def _document(card: Card, standing: Standing) -> dict[str, Any]:
    from fedscore.pages.sheets import characteristic_sheets, interaction_sheets  # noqa: PLC0415 - see above

    low, high = card.score_range
    told = card.model_dump(mode="json", exclude={"grid", "characteristics", "interactions", "signature"})
    return {
        "fingerprint": card.fingerprint,
        "signature": {
            "status": standing.value,
            "signer": card.signature.signer if card.signature is not None else None,
            "key": card.signature.key if card.signature is not None else None,
        },
        "score_range": [low, high],
        **told,
        "tables": [
            {
                "name": sheet.name,
                "spread": round(sheet.spread, 4),
                "mean_points": round(sheet.mean_points, 4),
                "bins": [
                    {
                        "label": line.label,
                        "kind": line.kind.value,
                        "points": line.points,
                        "standard_error": line.standard_error,
                        "share": line.share,
                        "bad_rate": line.bad_rate,
                    }
                    for line in sheet.lines
                ],
            }
            for sheet in (*characteristic_sheets(card), *interaction_sheets(card))
        ],
    }
