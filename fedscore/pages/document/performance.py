"""What the score is worth, how sure its points are, and how groups of people fare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedscore.card import Card, Evaluation, Measure
from fedscore.pages import words
from fedscore.pages.curves import calibration_picture, distribution_picture
from fedscore.pages.document.blocks import Block, Items, Paragraph, Picture, Rows, Section
from fedscore.pages.document.purpose import fair_lending_rows
from fedscore.pages.groups import group_tables
from fedscore.pages.sheets import Sheet, characteristic_sheets, interaction_sheets

__all__ = ["fairness_section", "performance_section", "points_section", "stability_section"]

_NOT_EVALUATED = (
    "Not measured: the contract has no [evaluation]. With one, a run asks for private sums over rows that "
    "do not train, and no record pays for both. Train anew under such a contract."
)


def performance_section(card: Card) -> Section:
    """Metrics, calibration, grades."""
    if card.evaluation is None:
        return Section(
            heading="Performance", blocks=(Paragraph(_NOT_EVALUATED), *_grades(card), *_spread(card))
        )
    return Section(
        heading="Performance",
        blocks=(
            Paragraph(
                f"Measured by private sums over about {words.count(card.evaluation.records)} rows that did "
                f"not train. Intervals hold in {100 * card.evaluation.level:g} of 100 cases: for these very "
                "rows, where only noise and the width of bands blur the figure; and for other customers of "
                "the same kind, where it matters too who happened to be among the rows."
            ),
            *_metrics(card.evaluation),
            *_calibration(card, card.evaluation),
            *_grades(card),
            *_spread(card),
        ),
    )


def _metrics(evaluation: Evaluation) -> Iterator[Block]:
    yield Rows(
        head=("metric", "estimate", "these rows", "other customers alike"),
        rows=tuple(
            (one.name, words.decimal(one.value), words.interval(one), words.interval(one, total=True))
            for one in evaluation.measures
        ),
    )
    if evaluation.not_measured:
        yield Paragraph(f"Not measurable under this noise: {', '.join(evaluation.not_measured)}.")


def _calibration(card: Card, evaluation: Evaluation) -> Iterator[Block]:
    if not evaluation.calibration:
        yield Paragraph("Calibration was not measurable under this noise.")
        return
    picture = calibration_picture(card)
    if picture is not None:
        yield Picture(caption="Observed against predicted bad rate, on test rows", drawing=picture)
    yield Rows(
        head=("scores", "predicted", "observed", "these rows", "other customers alike"),
        rows=tuple(
            (
                measure.name,
                words.rate(predicted),
                words.rate(measure.value),
                words.interval(measure, as_rate=True),
                words.interval(measure, as_rate=True, total=True),
            )
            for predicted, measure in zip(evaluation.predicted, evaluation.calibration, strict=False)
        ),
    )


def _grades(card: Card) -> Iterator[Block]:
    if not card.grades:
        yield Paragraph("There are no grades: the contract has no [grades].")
        return
    observed = {one.name: one for one in card.evaluation.grades} if card.evaluation is not None else {}
    yield Rows(
        head=(
            "grade",
            "scores",
            "share",
            "expected bad rate",
            "± error",
            "bad rate of test rows",
            "other customers alike",
        ),
        rows=tuple(
            (
                grade.name,
                words.grade_scores(card, place),
                words.share(grade.share),
                words.rate(grade.bad_rate),
                words.rate(grade.standard_error),
                words.estimated_rate(observed[grade.name]) if grade.name in observed else "not measured",
                words.interval(observed[grade.name], as_rate=True, total=True)
                if grade.name in observed
                else words.NOTHING,
            )
            for place, grade in enumerate(card.grades)
        ),
    )


def _spread(card: Card) -> Iterator[Block]:
    picture = distribution_picture(card)
    if picture is not None:
        yield Picture(caption="How the training records' scores are spread", drawing=picture)


def stability_section(card: Card) -> Section:
    """How sure the points are."""
    return Section(
        heading="Stability of the points",
        blocks=(
            Paragraph(
                "A standard error says how far points might have been off had other noise been drawn and "
                "other customers of the same kind been there. Each characteristic has its own: the largest "
                "is that of its least sure bin, the mean is over the training records. Points that differ "
                "by less than two such errors may well be equal."
            ),
            Rows(
                head=("characteristic or interaction", "spread of points", "mean error", "largest error"),
                rows=tuple(_errors(sheet) for sheet in _all_sheets(card)),
            ),
            Paragraph(
                "Whether points would be the same in another year was not measured: that takes rows of "
                "another year. Monitoring, below, notices when the population or its bad rate moves."
            ),
        ),
    )


def _all_sheets(card: Card) -> tuple[Sheet, ...]:
    return (*characteristic_sheets(card), *interaction_sheets(card))


def _errors(sheet: Sheet) -> tuple[str, ...]:
    told = [(line.share, line.standard_error) for line in sheet.lines if line.standard_error is not None]
    total = sum(share for share, _ in told)
    mean = sum(share * error for share, error in told) / total if total > 0 else None
    return (
        sheet.name,
        words.precise(sheet.spread),
        words.precise(mean),
        words.precise(max((error for _, error in told), default=None)),
    )


def fairness_section(card: Card) -> Section:
    """How groups fare."""
    tables = group_tables(card)
    blocks: list[Block] = []
    if not tables:
        blocks.append(
            Paragraph(
                "Not measured: the contract names no groups. Tables [[groups]] beside an [evaluation] have "
                "the scores and bad rates of groups compared, from private sums."
            )
        )
    else:
        level = f"{100 * card.evaluation.level:g}" if card.evaluation is not None else ""
        blocks.append(
            Paragraph(
                f"On test rows, from private sums; intervals hold in {level} of 100 cases for these very "
                "rows. A group whose bad rate lies above what was predicted of it is scored too well, one "
                "below it too badly. Groups that noise hides are left out."
            )
        )
        blocks += [
            Rows(
                head=(table.name, *table.groups),
                rows=tuple(row for name, measures in table.rows for row in _group_rows(name, measures)),
            )
            for table in tables
        ]
    restricted = fair_lending_rows(card)
    if restricted:
        blocks += [
            Paragraph("Characteristics of the card that groups of people stand out by:"),
            Items(restricted),
        ]
    blocks.append(
        Paragraph(
            "How people fare whom no characteristic of the card tells apart was not measured and cannot be, "
            "for no organisation gives more than the contract's characteristics."
        )
    )
    return Section(heading="Fairness", blocks=tuple(blocks))


def _group_rows(name: str, measures: Sequence[Measure | None]) -> Iterator[tuple[str, ...]]:
    yield name, *(words.NOTHING if one is None else words.estimated_rate(one) for one in measures)
    yield (
        f"{name}, other customers alike",
        *(
            words.NOTHING if one is None else words.interval(one, as_rate=True, total=True)
            for one in measures
        ),
    )


def points_section(card: Card) -> Section:
    """Every point."""
    tables = tuple(
        Rows(
            head=(sheet.name, "points", "± error", "share", "bad rate"),
            rows=tuple(
                (
                    line.label,
                    words.points(line.points),
                    words.precise(line.standard_error),
                    words.share(line.share),
                    words.rate(line.bad_rate),
                )
                for line in sheet.lines
            ),
        )
        for sheet in _all_sheets(card)
    )
    opening = Paragraph("Every point of the card, strongest characteristics first.")
    return Section(heading="All points", blocks=(opening, *tables))
