"""`fedscore card monitor`: what has moved since a card was trained, on own rows or across the consortium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedscore.cli.card_options import CardFile, RoleOption, SignerOption
from fedscore.contract import Role
from fedscore.errors import CardError
from fedscore.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fedscore.card import Card
    from fedscore.monitoring import MonitoringReport

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("monitor")(_monitor)


def _monitor(  # noqa: PLR0913 - each is an option of the command
    card: CardFile,
    file: Annotated[
        Path | None, typer.Argument(help="Present rows: a Parquet or CSV file.", metavar="FILE")
    ] = None,
    *,
    report: Annotated[
        Path | None,
        typer.Option(help="Instead of FILE: the monitoring.json of a run of the consortium.", metavar="FILE"),
    ] = None,
    then: Annotated[
        Path | None,
        typer.Option(
            help="Earlier rows of this organisation, as from when the card was trained: present ones are "
            "compared with them instead of with all parties' training rows.",
            metavar="FILE",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="A folder for monitoring.html and monitoring.json; made when missing.", metavar="DIR"
        ),
    ] = Path("monitoring"),
    role: RoleOption = Role.PLATFORM,
    id_column: Annotated[str, typer.Option("--id", help="The column that tells rows apart.")] = "id",
    outcome: Annotated[
        str | None,
        typer.Option(
            help="The column of outcomes: 1 bad, 0 good, empty where not known yet. [default: the card's, if "
            "FILE has it]"
        ),
    ] = None,
    signer: SignerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare present rows with those that the card was trained on: shifts, calibration, the bad-rate alarm.

    With FILE on this organisation's own rows, exactly: nothing leaves. With --report what a run of the whole
    consortium found through private sums. Exit code 3 says that the alarm was raised.
    """
    # Other commands do not pay for these.
    from fedscore.card.signing import read_card  # noqa: PLC0415
    from fedscore.estimates import AlarmReading  # noqa: PLC0415
    from fedscore.pages.monitoring_page import monitoring_page  # noqa: PLC0415

    watched = read_card(card, signer=signer)
    if (file is None) == (report is None):
        raise typer.BadParameter("name either FILE, present rows, or --report, the file of a run")
    found = (
        _read(report, watched)
        if report is not None
        else _own(watched, file or Path(), then, role=role, id_column=id_column, outcome=outcome)
    )
    page = out / "monitoring.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(page, monitoring_page(found))
        write_whole(out / found.file_name, found.to_json())
    except OSError as error:
        raise CardError(
            f"{out} cannot be written ({error.strerror}): name a folder that you may write to with --out"
        ) from None
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        for line in (*_told(found), f"the page: {page}"):
            typer.echo(line)
    if found.alarm is not None and found.alarm.reading is AlarmReading.ALARM:
        raise typer.Exit(3)


def _read(file: Path, card: Card) -> MonitoringReport:
    from fedscore.monitoring import MonitoringReport  # noqa: PLC0415 - see above

    found = MonitoringReport.read(file)
    if found.card != card.fingerprint:
        raise CardError(
            f"{file} is about the card {found.card[:16]}…, and this one is {card.fingerprint[:16]}…: name "
            "the card that was watched"
        )
    return found


def _own(
    card: Card, file: Path, then: Path | None, *, role: Role, id_column: str, outcome: str | None
) -> MonitoringReport:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from fedscore.data.sources import open_source  # noqa: PLC0415
    from fedscore.monitoring import Layout, Past, monitoring_report  # noqa: PLC0415
    from fedscore.monitoring.own_rows import OwnRows, count_file  # noqa: PLC0415

    layout = Layout(card)

    def label_of(rows: Path) -> str | None:
        if outcome is not None:
            return outcome
        usual = card.outcome.column
        return usual if usual in open_source(rows).column_names() else None

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}: {task.completed:,} rows read"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:

        def counted(rows: Path, what: str) -> OwnRows:
            task = progress.add_task(what, total=None)
            return count_file(
                layout,
                rows,
                role=role,
                id_column=id_column,
                outcome=label_of(rows),
                progress=lambda read: progress.update(task, completed=read),
            )

        present = counted(file, "present rows")
        earlier = counted(then, "earlier rows") if then is not None else None
    if present.left_out:
        typer.echo(
            f"{present.left_out:,} present rows cannot be scored and were not counted: fedscore card score "
            "tells why",
            err=True,
        )
    past = Past.of_counts(layout, earlier.counts) if earlier is not None else Past.of_card(layout)
    return monitoring_report(layout, present.counts, past, role=role)


def _told(report: MonitoringReport) -> Iterator[str]:
    from fedscore.pages import monitoring_words as words  # noqa: PLC0415 - see above

    yield words.heading(report)
    yield f"population  {words.stability(report.score)}"
    moved = [f"{one.name} ({words.index(one)})" for one in report.moved]
    yield f"shifted     {', '.join(moved) if moved else 'no characteristic, as far as can be told'}"
    if report.calibration is not None:
        yield f"calibration {words.calibration(report.calibration)}"
    yield f"bad rate    {words.alarm(report)}"
    for note in report.notes:
        yield f"note        {note}"
