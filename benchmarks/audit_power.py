"""Does the audit catch what it is for, and pass the right code? Four injected bugs, ten times each.

    python -m benchmarks.audit_power --data ../shared/data

Each repetition is a whole audit of the Taiwan scenario at epsilon = 1, with another deal of its rows and
noise from the operating system: every share of five runs, and the worst records of every sum. All tests of an
audit share one level of .001 (each of some twenty gets its part, so it is stricter than .001 for each): ten
audits of right code fail by chance once in a hundred times. It ends with 1 unless every bug was caught in
every repetition and the right code passed in all of them; "no power" is no pass.

What is injected, into what nodes do for a sum:

    quiet      noise ÷ √5: a fifth of the variance, as if five parties shared one share
    silent     one round's noise is missing: another round in each repetition
    unclipped  gradients are not clipped, and nothing bounds a record's part on the lattice
    forked     a generator whose state two worker processes have inherited

The audit's other parts measure: a lower bound of epsilon, and membership inference. `--lower TRAININGS` shows
what the first of them says of the right code and of quiet noise.

Below the table stands what the design's canary form alone could see, beside all coordinates of all shares.
Rows are fewer than the file's, because noise does not depend on them: `--rows` says how many.
"""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from fedscore.data import Rows
from fedscore.learners.scorecard.queries import Gradient, probability
from fedscore.sums import DenseContributions, Query, SumRequest, Update, noised_total
from privacy.dp.audit import variance_power
from privacy.dp.randomness import RandomSource
from simulations.audit.findings import Verdict
from simulations.audit.run import audit_scenario
from simulations.audit.shares import Contribute, auditable_agenda
from simulations.audit.sources import SystemSource
from simulations.audit.terms import AuditTerms
from simulations.dealing import Ground, read_ground
from simulations.lookup import find_contract, find_data
from simulations.randomness import SeededRandomness
from simulations.scenario import load_scenario

__all__ = ["CODES", "Counted", "Unclipped", "app", "counted", "main"]

_Integers = npt.NDArray[np.int64]

_forked = [SeededRandomness(0)]


def quiet(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """Noise with a fifth of its variance."""
    request = replace(request, share_variance=request.share_variance // 5)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


@dataclass(frozen=True, slots=True)
class Silent:
    """One round's noise is missing.

    Attributes:
        name: The round's sum.
    """

    name: str

    def __call__(
        self,
        query: Query | Update,
        rows: Rows,
        request: SumRequest,
        *,
        row_cap: int,
        randomness: RandomSource,
    ) -> _Integers:
        """As nodes do, but in that round."""
        if request.name == self.name:
            request = replace(request, share_variance=0)
        return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


class Unclipped(Gradient):
    """The gradient's query without its clip."""

    def contributions(self, rows: Rows) -> DenseContributions:
        """(y - p)z as it is."""
        log_odds = self.model.axes.score(
            self.model.cell_log_odds(self.slopes) + self.offsets,
            rows.cells,
            intercept=float(self.slopes[0] * self.model.constant),
        )
        residual = rows.outcome - probability(log_odds)
        return DenseContributions(values=self.model.design(rows) * residual[:, None])


def unclipped(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> _Integers:
    """Nothing bounds what a record adds."""
    if isinstance(query, Gradient):
        query = Unclipped(query.model, query.slopes, query.offsets)
    request = replace(request, sensitivity_squared=request.sensitivity_squared * 10**6)
    return noised_total(query, rows, request, row_cap=row_cap, randomness=randomness)


def forked(
    query: Query | Update,
    rows: Rows,
    request: SumRequest,
    *,
    row_cap: int,
    randomness: RandomSource,  # noqa: ARG001 - it does not use it: that is the bug
) -> _Integers:
    """A generator whose state two worker processes have inherited."""
    return noised_total(query, rows, request, row_cap=row_cap, randomness=_forked[0])


CODES: dict[str, Callable[[int, tuple[str, ...]], Contribute]] = {
    "right": lambda _repetition, _sums: noised_total,
    "quiet": lambda _repetition, _sums: quiet,
    "silent": lambda repetition, sums: Silent(sums[repetition % len(sums)]),
    "unclipped": lambda _repetition, _sums: unclipped,
    "forked": lambda _repetition, _sums: forked,
}
"""What nodes do in a repetition of a program with these sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What audits of one code said.

    Attributes:
        code: Its name.
        audits: How many there were.
        failed: Audits that found something.
        passed: Audits that found nothing, and would have.
        no_power: Audits that found nothing, and might not have.
        found_by: The findings that failed, with how often.
        smallest: The smallest p-value of all, times the number of tests of its audit.
    """

    code: str
    audits: int
    failed: int
    passed: int
    no_power: int
    found_by: dict[str, int]
    smallest: float

    @property
    def is_as_it_must_be(self) -> bool:
        """Bugs are caught always; the right code passes always."""
        return (self.passed if self.code == "right" else self.failed) == self.audits


def counted(
    code: str, ground: Ground, *, epsilon: float, repetitions: int, terms: AuditTerms, processes: int
) -> Counted:
    """Audits one code again and again.

    Args:
        code: Of `CODES`.
        ground: The scenario's data and terms.
        epsilon: The budget.
        repetitions: How many audits.
        terms: How far each goes.
        processes: At most so many.
    """
    agenda = auditable_agenda(ground.contract.with_privacy(epsilon=epsilon), run="0" * 32)
    sums = tuple(request.name for request in agenda.requests)
    verdicts, found_by, smallest = Counter[Verdict](), Counter[str](), 1.0
    for repetition in range(repetitions):
        _forked[0] = SeededRandomness([repetition])
        split = ground.terms.split.model_copy(update={"seeds": (repetition + 1,)})
        row = audit_scenario(
            replace(ground, terms=ground.terms.model_copy(update={"split": split})),
            epsilon=epsilon,
            terms=terms,
            source=SystemSource(),
            processes=processes,
            contribute=CODES[code](repetition, sums),
        )
        verdicts[row.verdict] += 1
        found_by.update(one.name for one in row.findings if one.verdict is Verdict.FAILED)
        by_chance = [one.p_value for one in row.findings if one.p_value is not None]
        smallest = min(smallest, min(by_chance) * len(by_chance))
    return Counted(
        code=code,
        audits=repetitions,
        failed=verdicts[Verdict.FAILED],
        passed=verdicts[Verdict.PASSED],
        no_power=verdicts[Verdict.NO_POWER],
        found_by=dict(found_by.most_common()),
        smallest=smallest,
    )


def _ground(data: Path | None, *, epsilon: float, rows: int) -> Ground:
    scenario = load_scenario("taiwan", [f"privacy.epsilon={epsilon}"])
    ground = read_ground(scenario.terms, find_contract(scenario), find_data(scenario, data))
    everyone = next(iter(ground.rows.values()))
    kept = np.sort(np.random.default_rng(1).permutation(len(everyone))[:rows])
    return replace(ground, rows={role: held.select(kept) for role, held in ground.rows.items()})


def _design(level: float) -> Iterator[str]:
    """What a χ² test sees, by how many numbers it has."""
    for what, count in (
        ("canary, 20 runs of 9 sums", 180),
        ("a gradient's shares, 5 runs of 20", 5 * 20 * 19),
        ("a histogram's shares, 5 runs of 20", 5 * 20 * 998),
    ):
        chances = [variance_power(count, ratio, level=level) for ratio in (1 / 5, 1 / 1.2**2, 1 / 1.05**2)]
        yield f"{what:<36}{count:>8,}{chances[0]:>12.3f}{chances[1]:>12.3f}{chances[2]:>12.3f}"


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(
    *,
    data: Annotated[Path | None, typer.Option(help="The folder of the real data.")] = None,
    repetitions: Annotated[int, typer.Option(min=1)] = 10,
    epsilon: Annotated[float, typer.Option()] = 1.0,
    rows: Annotated[int, typer.Option(help="Of the file.", min=100)] = 6000,
    lower: Annotated[int, typer.Option(help="Trainings for the lower bound; 0 for none.")] = 0,
    processes: Annotated[int, typer.Option(min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Print the counts; end with 1 if they are not as they must be."""
    began = time.perf_counter()
    ground = _ground(data, epsilon=epsilon, rows=rows)
    terms = AuditTerms(trainings=0, shadows=0)
    found = []
    for code in CODES:
        found.append(
            counted(code, ground, epsilon=epsilon, repetitions=repetitions, terms=terms, processes=processes)
        )
        typer.echo(f"{code}: {time.perf_counter() - began:.0f} s", err=True)
    bounds = {}
    if lower:
        measuring = AuditTerms(trainings=lower, shadows=0)
        for code in ("right", "quiet"):
            row = audit_scenario(
                ground,
                epsilon=epsilon,
                terms=measuring,
                source=SystemSource(),
                processes=processes,
                contribute=CODES[code](0, ()),
            )
            bounds[code] = next(one for one in row.findings if one.name == "lower bound of epsilon")
    seconds, processor = time.perf_counter() - began, _processor_seconds()
    is_well = all(one.is_as_it_must_be for one in found)
    if as_json:
        document = {
            "codes": [asdict(one) for one in found],
            "lower": {code: asdict(bound) for code, bound in bounds.items()},
            "seconds": seconds,
            "processor_seconds": processor,
            "is_as_it_must_be": is_well,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(
            f"{'code':<11}{'audits':>7}{'failed':>8}{'passed':>8}{'no power':>10}  found by (how often)"
        )
        for one in found:
            by = ", ".join(f"{name} ({times})" for name, times in list(one.found_by.items())[:4])
            more = len(one.found_by) - 4
            typer.echo(
                f"{one.code:<11}{one.audits:>7}{one.failed:>8}{one.passed:>8}{one.no_power:>10}  {by or '-'}"
                + (f" and {more} more" if more > 0 else "")
            )
        for code, bound in bounds.items():
            typer.echo(f"{code}: {bound.verdict.upper()} {bound.told}; {bound.power}")
        typer.echo(f"\n{'chance to find noise':<36}{'numbers':>8}{'÷ √5':>12}{'÷ 1.2':>12}{'÷ 1.05':>12}")
        for line in _design(terms.level):
            typer.echo(line)
        typer.echo(f"\n{seconds / 60:.1f} minutes, {processor / 60:.1f} of a processor")
        typer.echo("as it must be" if is_well else "NOT as it must be")
    if not is_well:
        raise typer.Exit(1)


app = typer.Typer()
app.command()(main)

if __name__ == "__main__":
    app()
