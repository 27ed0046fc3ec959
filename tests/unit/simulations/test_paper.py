"""The tables of the documents: defined once, at one place each, and what the runs give."""

from __future__ import annotations

import re
import shlex
import statistics
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pytest
import typer
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fedscore.errors import ScenarioError
from simulations.lookup import find_contract
from simulations.paper import __main__ as paper_command
from simulations.paper.__main__ import main
from simulations.paper.cells import (
    Above,
    Difference,
    Empty,
    Given,
    Mean,
    Reached,
    Reported,
    Sent,
    Spent,
    Sums,
    decimal,
)
from simulations.paper.places import placed, tables_in
from simulations.paper.reproduce import TABLES, Made, _complete, chosen, made
from simulations.paper.sources import Method, Source
from simulations.paper.tables import Row, Table, differences, less
from simulations.results import Results
from simulations.runner import Task, jobs_of
from simulations.runs import Failure
from simulations.scenario import Baseline, load_scenario
from simulations.simulate import simulate

REPOSITORY = Path(__file__).parents[3]
DOCUMENTS = sorted({table.document for table in TABLES})
SOURCES: list[Source] = sorted(
    {source for table in TABLES for source in table.sources}, key=attrgetter("name")
)


class Silent:
    """Counts what it is told of."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def started(self, jobs: int, found: int) -> None: ...

    def finished(self, job: Task) -> None: ...

    def noticed(self, what: str) -> None:
        pytest.fail(what)


# ------------------------------------------------------------------------------------ the shipped definitions


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_table_has_its_place_and_every_place_its_table(document: str) -> None:
    marked = list(tables_in((REPOSITORY / document).read_text(encoding="utf-8")))
    assert marked == [table.name for table in TABLES if table.document == document]


@pytest.mark.parametrize("path", sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]))
def test_no_other_document_has_a_place(path: Path) -> None:
    if path.relative_to(REPOSITORY).as_posix() not in DOCUMENTS:
        assert tables_in(path.read_text(encoding="utf-8")) == {}


@pytest.mark.parametrize("table", TABLES, ids=attrgetter("name"))
def test_a_document_shows_the_rows_the_columns_and_the_commands_of_the_definition(table: Table) -> None:
    """Everything of it but the figures, which take long."""
    shown = tables_in((REPOSITORY / table.document).read_text(encoding="utf-8"))[table.name]
    lines = [line.strip()[1:-1].split("|") for line in shown.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0]] == ["", *table.columns]
    assert [line[0].strip() for line in lines[2:]] == [row.label for row in table.rows]
    assert {len(line) for line in lines} == {1 + len(table.columns)}
    for line, row in zip(lines[2:], table.rows, strict=True):
        for cell, definition in zip(line[1:], row.cells, strict=True):
            if isinstance(definition, Given | Empty):
                assert cell.strip() == definition.text({})
            elif not isinstance(definition, Reported):
                assert cell.strip()
    assert re.findall(r"^    (.*)$", shown, re.MULTILINE) == [source.command for source in table.sources]


def test_names_are_used_once() -> None:
    names = [table.name for table in TABLES]
    assert len(set(names)) == len(names)
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    for table in TABLES:
        labels = [row.label for row in table.rows]
        assert len(set(labels)) == len(labels)
        assert all(len(row.cells) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize("source", SOURCES, ids=attrgetter("name"))
def test_a_source_is_a_scenario_that_runs_what_the_tables_show(source: Source) -> None:
    """A shell takes its command apart to its settings, and every method that is shown is among its jobs."""
    program, command, scenario, *options = shlex.split(source.command)
    assert (program, command, scenario) == ("fedscore", "simulate", source.scenario)
    assert tuple(options[1::2]) == source.settings
    assert set(options[::2]) <= {"--set"}
    loaded = load_scenario(source.scenario, source.settings)
    assert find_contract(loaded).tables
    jobs = {(job.baseline, job.epsilon) for job in jobs_of(loaded.terms)}
    shown = {
        (method.baseline, method.epsilon)
        for table in TABLES
        for row in table.rows
        for cell in row.cells
        for method in (getattr(cell, name, None) for name in ("method", "minuend", "subtrahend"))
        if isinstance(method, Method) and method.source == source
    }
    assert shown <= jobs
    # What is run and never shown is time that somebody waits for nothing; own runs cannot be left out.
    assert {baseline for baseline, _ in jobs} - {None} == {baseline for baseline, _ in shown} - {None}


def test_what_is_compared_is_measured_on_the_same_splits() -> None:
    """Two sources of one difference read the same rows and split them by the same seeds."""
    for table in TABLES:
        for row in table.rows:
            for cell in row.cells:
                terms = [load_scenario(source.scenario, source.settings).terms for source in cell.sources]
                rows = [
                    (one.data.path, one.data.complete_rows, one.split, one.privacy.delta) for one in terms
                ]
                assert all(one == rows[0] for one in rows)


def test_delta_of_the_published_comparison_is_at_most_one_in_the_training_rows() -> None:
    """120,269 rows have no empty cell; scikit-learn rounds the test side up."""
    training = 120_269 - -(-120_269 * 3 // 10)
    assert training == 84_188
    for name in ("gmsc-complete", "gmsc-complete-wide"):
        delta = load_scenario(name).terms.privacy.delta
        assert delta <= 1 / training < delta * 1.0001


def test_tables_are_chosen_by_name_in_the_order_of_the_documents() -> None:
    first, second, *_ = TABLES
    assert chosen([second.name, first.name]) == (first, second)
    assert chosen([]) == TABLES
    with pytest.raises(ScenarioError, match=f"no table nowhere: they are {first.name}"):
        chosen(["nowhere"])


# ------------------------------------------------------------------------------------------ cells and tables


@pytest.mark.parametrize(
    ("value", "unsigned", "signed"),
    [
        (0.776, ".7760", "+.7760"),
        (1.0, "1.0000", "+1.0000"),
        (0.0, ".0000", "+.0000"),
        (-0.00001, ".0000", "+.0000"),
        (-0.01234, "\N{MINUS SIGN}.0123", "\N{MINUS SIGN}.0123"),
    ],
)
def test_figures_have_four_digits_and_nothing_before_the_point(
    value: float, unsigned: str, signed: str
) -> None:
    assert decimal(value) == unsigned
    assert decimal(value, signed=True) == signed


@given(st.floats(-0.9999, 0.9999))
def test_a_figure_is_read_as_what_it_was_rounded_to(value: float) -> None:
    read = float(decimal(value, signed=True).replace("\N{MINUS SIGN}", "-"))
    assert read == pytest.approx(value, abs=5.0001e-5)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["C"]), max_size=30)


@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    around=st.lists(LINES, min_size=5, max_size=5),
    which=st.integers(0, 3),
    table=st.lists(LINES.filter(str.strip), min_size=1, max_size=4),
)
def test_a_table_is_put_to_its_place_and_nothing_else_changes(
    names: list[str], around: list[str], which: int, table: list[str]
) -> None:
    if any("<!--" in line for line in [*around, *table]):
        return
    text = around[0]
    for number, name in enumerate(names):
        text += f"\n<!-- figures: {name} -->\nold\n<!-- end of figures: {name} -->\n{around[1 + number]}"
    chosen_name = names[which % len(names)]
    new = "\n".join(table).strip("\n") + "\n"
    changed = placed(text, chosen_name, new)
    assert tables_in(changed) == {**dict.fromkeys(names, "old\n"), chosen_name: new}
    assert placed(changed, chosen_name, new) == changed
    assert placed(changed, chosen_name, "old") == placed(text, chosen_name, "old")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- figures: a -->\n", "do not match"),
        ("x <!-- figures: a -->\n<!-- end of figures: a -->\n", "do not match"),
        ("<!-- figures: A -->\n<!-- end of figures: A -->\n", "do not match"),
        ("<!-- end of figures: a -->\n", "do not match"),
        ("<!-- figures: a -->\n<!-- end of figures: b -->\n", "do not match"),
        ("<!-- figures: a -->\n<!-- figures: b -->\n<!-- end of figures: a -->\n", "do not match"),
        (2 * "<!-- figures: a -->\n<!-- end of figures: a -->\n", "more than one place is marked as a"),
        ("", "no place for the table a"),
    ],
)
def test_places_that_do_not_fit_are_refused(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        placed(text, "a", "table")


SHOWN = "| | ε = .1 | 1 |\n| --- | --- | --- |\n| card | .7653 | .7760 |\n| other | .1 | .2 |\n\nRuns:\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", []),
        (".7760", ".7761", ["row 'card', column '1': '.7761', and the runs give '.7760'"]),
        ("| other | .1 | .2 |\n", "", ["row 'other', column 'ε = .1': no cell", "row 'other', column '1'"]),
        ("| card |", "| cart |", ["row 'cart'", "row 'cart'", "row 'card'", "row 'card'"]),
        ("Runs", "Run", ["beside the cells"]),
    ],
)
def test_every_cell_that_differs_is_told(old: str, new: str, told: list[str]) -> None:
    found = differences(SHOWN.replace(old, new) if old else SHOWN, SHOWN)
    assert len(found) == len(told)
    assert all(expected in line for expected, line in zip(told, found, strict=True))


# ------------------------------------------------------------------------------------------------- end to end

SETTINGS = ("split.seeds=[1, 2]", "privacy.epsilon=[2]", 'baselines=["pooled-no-noise"]')


def small_tables(scenario: Path) -> tuple[Table, ...]:
    source = Source(name="small", scenario=str(scenario), settings=SETTINGS)
    own = Method(source=source, epsilon=2.0)
    pooled = Method(source=source, baseline=Baseline.POOLED_NO_NOISE)
    first = Table(
        name="first",
        document="page.md",
        columns=("ε = 2", "no noise"),
        rows=(
            Row(label="card", cells=(Mean(own), Mean(pooled))),
            Row(label=less("pooled", "card"), cells=(Difference(pooled, own), Empty())),
            Row(label="goal", cells=(Given(0.9), Reached(0.9, pooled, own))),
        ),
    )
    second = Table(
        name="second",
        document="page.md",
        columns=("here",),
        rows=(
            Row(label="above", cells=(Above(own, 0.5),)),
            Row(label="sums", cells=(Sums(own),)),
            Row(label="sent", cells=(Sent(own),)),
            Row(label="spent", cells=(Spent(own),)),
            Row(label="nothing promised", cells=(Spent(pooled),)),
        ),
    )
    return first, second


PAGE = """# Page

<!-- figures: first (python -m simulations.paper --only first) -->
<!-- end of figures: first -->
Between them.

<!-- figures: second -->
<!-- end of figures: second -->
"""


@pytest.fixture(scope="module")
def written(
    small_experiment: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[Made, ...], Silent]:
    """A folder with a page and its tables, what was told of each, and who watched."""
    root = tmp_path_factory.mktemp("paper")
    (root / "page.md").write_text(PAGE)
    watcher = Silent()
    done = tuple(again(small_experiment, root, write=True, watcher=watcher))
    return root, done, watcher


def again(scenario: Path, root: Path, *, write: bool, watcher: Silent | None = None) -> tuple[Made, ...]:
    tables = small_tables(scenario)
    return tuple(
        made(
            tables,
            root=root,
            out=root / "runs",
            data=None,
            write=write,
            watcher=watcher or Silent(),
            workers=1,
        )
    )


@pytest.fixture(scope="module")
def results(small_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The same runs, made as `fedscore simulate` makes them."""
    return simulate(
        str(small_experiment),
        overrides=SETTINGS,
        out=tmp_path_factory.mktemp("simulated"),
        watcher=Silent(),
        workers=1,
    ).results


def test_a_table_is_written_from_the_runs_that_simulate_makes(
    written: tuple[Path, tuple[Made, ...], Silent], results: Results
) -> None:
    root, done, watcher = written
    page = (root / "page.md").read_text()
    assert "Between them.\n" in page
    assert tables_in(page) == {one.table.name: one.markdown for one in done}
    own = [run.auc for run in results.runs if run.baseline is None]
    pooled = [run.auc for run in results.runs if run.baseline is not None]
    first, second = done
    assert (
        f"| card | {decimal(statistics.fmean(own))} | {decimal(statistics.fmean(pooled))} |" in first.markdown
    )
    gap = decimal(statistics.fmean(b - a for a, b in zip(own, pooled, strict=True)), signed=True)
    assert f"| pooled \N{MINUS SIGN} card | {gap} ± " in first.markdown
    assert "| goal | .9000 | yes" in first.markdown
    above = decimal(statistics.fmean(own) - 0.5, signed=True)
    assert f"| above | {above} ± " in second.markdown
    run = results.runs[0]
    assert f"| sums | {run.rounds} |" in second.markdown
    assert f"| sent | {run.values_per_party:,} |" in second.markdown
    assert "| spent | 2.00 |" in second.markdown
    assert "| nothing promised | \N{INFINITY} |" in second.markdown
    # Both tables need the same runs, which are made once.
    assert watcher.stages.count(first.table.sources[0].command) == 1


def test_checking_changes_nothing_and_sees_one_changed_digit(
    small_experiment: Path, written: tuple[Path, tuple[Made, ...], Silent]
) -> None:
    root, done, _ = written
    page = root / "page.md"
    honest = page.read_text()
    assert [one.differences for one in again(small_experiment, root, write=False)] == [(), ()]
    cell = re.search(r"\| card \| (\.\d{4}) \|", done[0].markdown)
    assert cell is not None
    wrong = cell[1][:-1] + str((int(cell[1][-1]) + 1) % 10)
    page.write_text(honest.replace(f"| card | {cell[1]} |", f"| card | {wrong} |"))
    try:
        told = again(small_experiment, root, write=False)
        assert [one.differences for one in told] == [
            (f"row 'card', column 'ε = 2': '{wrong}', and the runs give '{cell[1]}'",),
            (),
        ]
        assert page.read_text() != honest
        again(small_experiment, root, write=True)
        assert page.read_text() == honest
    finally:
        page.write_text(honest)


def test_a_missing_place_is_found_before_anything_is_run(small_experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE.partition("Between")[0])
    watcher = Silent()
    with pytest.raises(ScenarioError, match="no place for the table second"):
        again(small_experiment, tmp_path, write=True, watcher=watcher)
    assert watcher.stages == []
    with pytest.raises(ScenarioError, match="cannot be read"):
        again(small_experiment, tmp_path / "nowhere", write=True, watcher=watcher)


def test_a_goal_is_judged_by_the_digits_that_are_shown_and_an_open_answer_is_told(
    small_experiment: Path, results: Results
) -> None:
    source = Source(name="small", scenario=str(small_experiment), settings=SETTINGS)
    own = Method(source=source, epsilon=2.0)
    pooled = Method(source=source, baseline=Baseline.POOLED_NO_NOISE)
    found = {source: results}
    by_seed = {run.seed: run.auc for run in results.runs if run.baseline is None}
    gaps = [run.auc - by_seed[run.seed] for run in results.runs if run.baseline is not None]
    mean = round(statistics.fmean(gaps), 4)
    # With two seeds Student's interval is wide.
    assert Reached(mean, pooled, own).text(found) == "yes (open)"
    assert Reached(round(mean - 0.0001, 4), pooled, own).text(found) == "missed by .0001 (open)"
    assert Reached(mean - 0.9, pooled, own).text(found) == "missed by .9000"
    assert Reached(mean + 0.9, pooled, own).text(found) == "yes"


def test_what_no_run_has_or_no_split_shares_is_refused(small_experiment: Path, results: Results) -> None:
    source = Source(name="small", scenario=str(small_experiment), settings=SETTINGS)
    other = Source(name="other", scenario=str(small_experiment))
    own = Method(source=source, epsilon=2.0)
    with pytest.raises(ScenarioError, match="do not agree"):
        Mean(own.at(3.0)).text({source: results})
    theirs = Method(source=other, epsilon=2.0)
    assert [run.seed for run in own.runs({source: results})] == [1, 2]
    for seeds in ([1], [2], [1, 2, 3]):
        runs = [replace(results.runs[0], seed=seed) for seed in seeds]
        found = {source: results, other: replace(results, runs=runs)}
        for pair in (Difference(own, theirs), Difference(theirs, own), Reached(0.1, theirs, own)):
            with pytest.raises(ScenarioError, match="have not run the same seeds"):
                pair.text(found)
    found = {source: results, other: replace(results, runs=[replace(run, auc=0.5) for run in results.runs])}
    assert Difference(theirs, theirs).text(found) == "+.0000 ± .0000"


def test_a_mean_over_those_seeds_that_ended_is_refused(small_experiment: Path, results: Results) -> None:
    source = Source(name="small", scenario=str(small_experiment), settings=SETTINGS)
    assert _complete(source, results) is results
    run = results.runs[0]
    failure = Failure(
        learner=run.learner,
        baseline=None,
        noise=run.noise,
        epsilon=run.epsilon,
        parties=3,
        seed=2,
        reason="nobody is left",
    )
    with pytest.raises(ScenarioError, match=r"1 trainings of .* did not end"):
        _complete(source, replace(results, failures=(failure,)))


# ------------------------------------------------------------------------------------------------ the command


def command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, arguments)


def test_the_command_lists_every_table_and_what_it_is_made_of() -> None:
    listed = command("--list")
    assert listed.exit_code == 0
    for table in TABLES:
        assert f"{table.name}  ({table.document})" in listed.stdout.splitlines()
        assert all(f"    {source.command}" in listed.stdout.splitlines() for source in table.sources)
    one = command("--list", "--only", TABLES[1].name)
    assert [line for line in one.stdout.splitlines() if not line.startswith(" ")] == [
        f"{TABLES[1].name}  ({TABLES[1].document})"
    ]


def test_the_command_refuses_a_table_that_is_not_there(tmp_path: Path) -> None:
    refused = command("--only", "nothing", "--out", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert "there is no table nothing" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_checks_and_fails_for_a_changed_digit(
    small_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a table of its own, in a folder of its own."""
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(paper_command, "_ROOT", tmp_path)
    monkeypatch.setattr(paper_command, "chosen", lambda _: small_tables(small_experiment))
    options = ("--out", str(tmp_path / "runs"), "--workers", "1")
    written = command(*options)
    assert written.exit_code == 0, written.output
    assert "first: is written" in written.stdout
    assert command("--check", *options).exit_code == 0
    page = (tmp_path / "page.md").read_text()
    (tmp_path / "page.md").write_text(page.replace("| spent | 2.00 |", "| spent | 1.00 |"))
    failed = command("--check", *options)
    assert failed.exit_code == 1
    assert "second: differs\n  row 'spent', column 'here': '1.00', and the runs give '2.00'" in failed.stdout
    assert "first: is as before" in failed.stdout
    assert "1 differences" in failed.stderr
