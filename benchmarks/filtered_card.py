"""What the filtered card reaches, quickly: the program on pooled rows, with the noise of all parties' shares.

    python -m benchmarks.filtered_card development --data ../shared/data
    python -m benchmarks.filtered_card development --data ../shared/data --set rounds=8 --set level_share=1/50
    python -m benchmarks.filtered_card evaluation --data ../shared/data --epsilon 1
    python -m benchmarks.filtered_card fresh --data ../shared/data --plain
    python -m benchmarks.filtered_card fresh --data ../shared/data --plain --records 3000
    python -m benchmarks.filtered_card loans --data ../shared/data --plain --epsilon 1 --epsilon 4

*development* is what hyper-parameters are chosen on: PAKDD 2009 (splits 11 to 16) and the synthetic
consortium (seeds 11 to 13). *evaluation* is Taiwan and Give Me Some Credit on the splits of their scenarios.
It is looked at when settings are frozen; `fedscore simulate taiwan-wide` gives the same with real parties.
*narrow* is the same with the plain card's contracts, which have fewer characteristics. *fresh* is the data of
*development* on splits and consortia that nothing was chosen on (2001 to 2005). *loans* is small data: three
thousand loans of Superlender, early warning at three horizons, with later loans for a test; the same rows for
every seed (2001 to 2006), which draws the noise.
Lines are mean test AUC, and the slope of the outcome's log-odds on the card's over the test rows: 1 is
right, more is too cautious, less too bold. With `--plain` the plain card is trained beside it, and the gap is
that of pairs, with a 95 % interval. The noise is one normal draw with the variance of all shares together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression

from fedscore.card import Card
from fedscore.contract import Contract, Party, load_contract
from fedscore.data import Rows, rows_from_table, test_rows, training_rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.filtered.program import Filtered
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.program import Program
from fedscore.learners.scorecard.program import Scorecard
from fedscore.metrics import auc
from fedscore.sums import Query, Released
from simulations.dealing import deal_rows, read_ground
from simulations.early_warning.loans import HISTORY, PEOPLE, read_loans, read_people
from simulations.early_warning.superlender import superlender_questions
from simulations.lookup import find_contract, find_data
from simulations.paired import paired_gap
from simulations.scenario import load_scenario
from simulations.synthetic import make_consortium

__all__ = ["Ground", "main", "train"]

_BATCH = 16_384


class Ground(StrEnum):
    """Which data."""

    DEVELOPMENT = "development"
    EVALUATION = "evaluation"
    NARROW = "narrow"
    FRESH = "fresh"
    LOANS = "loans"


def train(contract: Contract, rows: Rows, program: Program, *, seed: int) -> Card:
    """One card of pooled rows."""
    requests = iter(Agenda(contract, run="0" * 32, program=program).requests)
    generator = np.random.default_rng([seed, int(1000 * contract.privacy.epsilon)])
    steps = program.steps()
    query = next(steps)
    while True:
        request = next(requests)
        if not isinstance(query, Query):
            raise TypeError("a scorecard asks for sums over records alone")
        scale = 2**20
        total = sum(
            query.contributions(rows.select(slice(start, start + _BATCH))).lattice_total(
                scale=scale, limit_squared=2**62, dimension=query.dimension
            )
            for start in range(0, len(rows), _BATCH)
        )
        deviation = request.released(np.zeros(1, dtype=np.int64)).deviation
        noisy = np.asarray(total) / scale + generator.normal(0.0, deviation, query.dimension)
        try:
            query = steps.send(Released(values=noisy, deviation=deviation))
        except StopIteration as end:
            card: Card = end.value
            return card


def _splits(ground: Ground, data: Path) -> Iterator[tuple[str, int, Contract, Rows, Rows]]:
    """Name, seed, contract, training and test rows."""
    if ground is Ground.LOANS:
        yield from _loans(data)
        return
    names = {
        Ground.DEVELOPMENT: ("pakdd_shops",),
        Ground.FRESH: ("pakdd_shops",),
        Ground.EVALUATION: ("taiwan-wide", "gmsc-wide"),
        Ground.NARROW: ("taiwan", "gmsc"),
    }[ground]
    own = {
        Ground.DEVELOPMENT: (range(11, 17), range(11, 14)),
        Ground.FRESH: (range(2001, 2006), range(2001, 2006)),
    }
    for name in names:
        scenario = load_scenario(name)
        read = read_ground(scenario.terms, find_contract(scenario), find_data(scenario, data))
        for seed in own.get(ground, (scenario.terms.split.seeds, ()))[0]:
            dealt = deal_rows(read, seed=seed)
            yield name, seed, read.contract, dealt.pooled_training, dealt.pooled_test
    if ground in own:
        file = Path(__file__).parents[1] / "simulations" / "contracts" / "consortium.toml"
        for seed in own[ground][1]:
            consortium = make_consortium(seed=seed)
            contract = (
                load_contract(file)
                .with_parties(())
                .with_grades(None)
                .with_evaluation(None)
                .with_privacy(delta=1e-5)
                .with_parties(Party(name=party.name, role=party.role) for party in consortium.parties)
            )
            everybody = [
                rows_from_table(
                    party.rows(horizon_days=contract.outcome.horizon_days), contract, role=party.role
                )
                for party in consortium.parties
            ]
            training = Rows.concatenate([training_rows(rows, contract) for rows in everybody])
            test = Rows.concatenate([test_rows(rows, contract) for rows in everybody])
            yield "synthetic", seed, contract, training, test


def _loans(data: Path) -> Iterator[tuple[str, int, Contract, Rows, Rows]]:
    loans, people = read_loans(data / HISTORY), read_people(data / PEOPLE)
    for question in superlender_questions(loans, people):
        for seed in range(2001, 2007):
            rows = question.pooled_training, question.pooled_test
            yield f"loans, {question.horizon_days} d", seed, question.contract, *rows


def _changed(changes: list[str]) -> Settings:
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        kind = type(getattr(Settings(), name))
        values[name] = Fraction(text) if kind is Fraction else kind(text)
    return replace(Settings(), **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """At one card.

    Attributes:
        auc: On test rows.
        slope: Of the outcome's log-odds on the card's.
    """

    auc: float
    slope: float


def _looked(card: Card, test: Rows) -> _Looked:
    probability = card.probability(test.cells)
    log_odds = np.log(probability / (1.0 - probability))
    line = LogisticRegression(C=np.inf, max_iter=1000).fit(log_odds[:, None], test.outcome)
    return _Looked(auc=auc(test.outcome, probability), slope=float(line.coef_[0, 0]))


def _tell(found: dict[int, _Looked], plain: dict[int, _Looked]) -> str:
    of = list(found.values())
    told = f"AUC {np.mean([one.auc for one in of]):.4f} slope {np.mean([one.slope for one in of]):.3f}"
    if plain:
        gap = paired_gap(
            {seed: one.auc for seed, one in found.items()}, {seed: one.auc for seed, one in plain.items()}
        )
        told += f", plain slope {np.mean([one.slope for one in plain.values()]):.3f}"
        if gap is not None and gap.margin is not None:
            told += f", ahead of plain by {gap.mean:+.4f} ± {gap.margin:.4f}"
    return f"{told}, {len(of)} splits"


def main(
    ground: Ground,
    data: Annotated[Path, typer.Option(help="The folder of the real data.")],
    epsilon: Annotated[list[float] | None, typer.Option(help="As often as wanted.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Of the settings, as rounds=8.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Compare with the plain card.")] = False,  # noqa: FBT002 - an option of a command
    records: Annotated[int | None, typer.Option(help="Train on so many, drawn at random.")] = None,
) -> None:
    """Prints the mean test AUC and calibration slope of every data set and budget."""
    settings = _changed(change or [])
    found: dict[tuple[str, float], dict[int, _Looked]] = {}
    beside: dict[tuple[str, float], dict[int, _Looked]] = {}
    for name, seed, contract, every, test in _splits(ground, data):
        training = every
        if records is not None:
            training = every.select(np.random.default_rng(seed).permutation(len(every))[:records])
        for budget in epsilon or [0.1, 0.5, 1.0, 2.0, 8.0]:
            asked = contract.with_privacy(epsilon=budget)
            card = train(asked, training, Filtered(asked, settings), seed=seed)
            found.setdefault((name, budget), {})[seed] = _looked(card, test)
            if plain:
                card = train(asked, training, Scorecard(asked), seed=seed)
                beside.setdefault((name, budget), {})[seed] = _looked(card, test)
    for (name, budget), cards in found.items():
        print(f"{name:12} epsilon {budget:<4g} {_tell(cards, beside.get((name, budget), {}))}")  # noqa: T201 - its output


if __name__ == "__main__":
    typer.run(main)
