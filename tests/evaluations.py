"""A small contract with grades, evaluation and groups; rows for it; its program run over pooled rows."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.card import Card
from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.pricing import price_program
from fedscore.learners.scorecard.evaluation import evaluated
from fedscore.learners.scorecard.program import Scorecard
from fedscore.sums import Query, Released, Side, SumRequest, Update, derive_request, noised_total
from privacy.dp.randomness import RandomSource
from simulations.keys import keyed

__all__ = [
    "PRODUCT",
    "evaluation_requests",
    "followed",
    "open_all",
    "product_contract",
    "product_rows",
    "released_sum",
]

Vector = npt.NDArray[np.int64]

PRODUCT = """
[grades]
names = ["A", "B", "C", "D"]
largest_bad_rates = [0.1, 0.25, 0.45]

[evaluation]
alert_rates = [0.05, 0.2]

[[groups]]
of = "segment"
levels = ["card"]

[[groups]]
of = "late_payments"
edges = [0.5, 1.5]
"""


def product_contract(text: str, **privacy: Any) -> Contract:  # noqa: ANN401 - terms of privacy
    """A contract for three parties, who are its committee: `text`, and what `PRODUCT` adds."""
    roster = [
        Party(name="north", role=Role.PLATFORM),
        Party(name="south", role=Role.PLATFORM),
        Party(name="agency", role=Role.COLLECTOR),
    ]
    committee = {"members": 3, "threshold": 2, "colluding_members": 1}
    contract = parse_contract(text + PRODUCT).with_parties(roster)
    return keyed(contract.with_encryption(key_bits=2048, committee=committee).with_privacy(**privacy))


def product_rows(contract: Contract, count: int, seed: int, *, role: Role = Role.PLATFORM) -> Rows:
    """Rows with random cells and groups, whose outcome depends on the first two cells.

    Rows of a collector, who does not hold the segment, are in its last cell, and in the last of its group.
    """
    generator = np.random.default_rng(seed)
    cells = np.column_stack([generator.integers(0, table.size, count) for table in contract.tables])
    last = contract.tables[2].size - 1
    cells[:, 2] = last if role is Role.COLLECTOR else generator.integers(0, last, count)
    groups = [generator.integers(0, table.size, count) for table in contract.group_tables]
    if groups and role is Role.COLLECTOR:
        groups[0] = np.full(count, contract.group_tables[0].size - 1)
    risk = 1 / (1 + np.exp(3.2 - 0.5 * cells[:, 0] - 0.4 * cells[:, 1]))
    return Rows(
        cells=cells.astype(np.int32),
        outcome=(generator.random(count) < risk).astype(np.int8),
        ids=np.array([f"{seed}-{number}" for number in range(count)], dtype=object),
        groups=np.stack(groups, axis=1).astype(np.int32) if groups else np.empty((count, 0), dtype=np.int32),
    )


def released_sum(
    query: Query | Update,
    request: SumRequest,
    parts: Sequence[Rows],
    *,
    parties: int,
    row_cap: int,
    randomness: RandomSource,
) -> Vector:
    """The opening of one sum: what all parties send, added up; those without a part have no rows."""
    empty = parts[0].select(slice(0, 0))
    held = [*parts, *(empty for _ in range(parties - len(parts)))]
    totals = [noised_total(query, rows, request, row_cap=row_cap, randomness=randomness) for rows in held]
    return np.asarray(np.sum(totals, axis=0), dtype=np.int64)


def open_all(
    contract: Contract, training: Sequence[Rows], test: Sequence[Rows], randomness: RandomSource
) -> tuple[list[Vector], Card]:
    """Runs a contract's whole program over parts of rows, as its parties would, without messages."""
    agenda = Agenda(contract, run="0" * 32)
    openings: list[Vector] = []
    while not agenda.is_finished(openings):
        query, request = agenda.next_sum(openings)
        parts = training if request.side is Side.TRAINING else test
        openings.append(
            released_sum(
                query,
                request,
                parts,
                parties=len(contract.parties),
                row_cap=contract.rows.row_cap,
                randomness=randomness,
            )
        )
    card = agenda.finish(openings)
    assert isinstance(card, Card)
    return openings, card


@dataclass(frozen=True)
class Priced:
    """What the sums of an evaluation cost, for asking them again and again."""

    contract: Contract
    requests: tuple[SumRequest, ...]
    mus: tuple[float, ...]

    def request(self, number: int, query: Query | Update) -> SumRequest:
        """Of the query that came, which may be shorter than was planned."""
        planned = [one for one in Scorecard(self.contract).plan if one.side is Side.TEST][number]
        return derive_request(planned, dimension=query.dimension, mu=self.mus[number], contract=self.contract)


def evaluation_requests(contract: Contract) -> Priced:
    """Prices the program, and keeps what is over test rows."""
    plan = Scorecard(contract).plan
    priced = price_program(plan, contract)
    places = [place for place, planned in enumerate(plan) if planned.side is Side.TEST]
    return Priced(
        contract=contract,
        requests=tuple(priced.requests[place] for place in places),
        mus=tuple(priced.mus[place] for place in places),
    )


def followed(
    card: Card, priced: Priced, test: Rows, randomness: RandomSource, *, row_cap: int | None = None
) -> Card:
    """The part of the program that follows a finished card, with fresh noise; all rows are one party's."""
    steps: Generator[Query | Update, Released, Card] = evaluated(card, priced.contract)
    query = next(steps)
    number = 0
    while True:
        request = priced.request(number, query)
        opening = released_sum(
            query,
            request,
            [test],
            parties=len(priced.contract.parties),
            row_cap=len(test) if row_cap is None else row_cap,
            randomness=randomness,
        )
        try:
            query, number = steps.send(request.released(opening)), number + 1
        except StopIteration as end:
            finished: Card = end.value
            return finished
