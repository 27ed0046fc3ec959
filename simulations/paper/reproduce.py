"""Makes the tables again: runs what they need, and writes or compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscore.errors import ScenarioError
from simulations.files import write_whole
from simulations.paper.accuracy import ACCURACY_TABLES
from simulations.paper.places import placed, tables_in
from simulations.paper.researcher import RESEARCHER_TABLES
from simulations.paper.sources import Source
from simulations.paper.tables import Table, differences
from simulations.results import Results
from simulations.simulate import simulate
from simulations.watcher import Watcher

__all__ = ["TABLES", "Made", "chosen", "made", "read_document"]

TABLES: tuple[Table, ...] = (*ACCURACY_TABLES, *RESEARCHER_TABLES)
"""All tables, document by document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A table that was made again.

    Attributes:
        table: Which one.
        markdown: As the runs give it.
        differences: Where the document says otherwise.
    """

    table: Table
    markdown: str
    differences: tuple[str, ...]


def chosen(names: Sequence[str], tables: Sequence[Table] = TABLES) -> tuple[Table, ...]:
    """The tables of these names, in the order of the documents; all if none is named.

    Raises:
        ScenarioError: There is no such table.
    """
    known = [table.name for table in tables]
    if unknown := [name for name in names if name not in known]:
        raise ScenarioError(f"there is no table {', '.join(unknown)}: they are {', '.join(known)}")
    return tuple(table for table in tables if not names or table.name in names)


def read_document(path: Path) -> str:
    """The text of a document.

    Raises:
        ScenarioError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            f"{path} cannot be read ({error.strerror}): the documents come with the source, not with the "
            "installed package; run this where the source is"
        ) from None


def made(
    tables: Iterable[Table],
    *,
    root: Path,
    out: Path,
    data: Path | None,
    write: bool,
    watcher: Watcher,
    workers: int | None = None,
) -> Iterator[Made]:
    """Make tables again, one after the other; a run that several need is run once.

    Args:
        tables: Which ones.
        root: The folder that the paths of the documents start from.
        out: The folder under which each source has a folder of its own for its results.
        data: The folder of the data; looked up if left out.
        write: Whether each table goes to its place in its document as soon as it is made.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.

    Yields:
        Each table, with what its document said otherwise.

    Raises:
        FedscoreError: A scenario, its contract or its data cannot be used, or a document has no place for a
            table: this is found before anything is run.
    """
    tables = tuple(tables)
    for table in tables:
        _require_place(table, root)
    found: dict[Source, Results] = {}
    for table in tables:
        for source in table.sources:
            if source not in found:
                watcher.stage(source.command)
                found[source] = _complete(
                    source,
                    simulate(
                        source.scenario,
                        data=data,
                        out=out / source.name,
                        overrides=source.settings,
                        watcher=watcher,
                        workers=workers,
                    ).results,
                )
        markdown = table.markdown(found)
        path = root / table.document
        text = read_document(path)
        if write:
            write_whole(path, placed(text, table.name, markdown))
        yield Made(
            table=table,
            markdown=markdown,
            differences=differences(tables_in(text)[table.name], markdown),
        )


def _complete(source: Source, results: Results) -> Results:
    """A mean over the seeds that happened to end well is no mean over seeds."""
    if results.failures:
        raise ScenarioError(
            f"{len(results.failures)} trainings of {source.command} did not end: run it by itself to see "
            "why, and the table again after that"
        )
    return results


def _require_place(table: Table, root: Path) -> None:
    placed(read_document(root / table.document), table.name, "")
