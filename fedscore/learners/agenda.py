"""A run as each party derives it by itself: priced before it starts, then one request after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.card import PrivacyRecord
from fedscore.contract import Contract, NoiseMode
from fedscore.errors import AccountingError, BudgetExhausted, ProtocolError
from fedscore.learners.choice import program_of
from fedscore.learners.pricing import price_program
from fedscore.learners.program import Product, Program, Steps
from fedscore.sums import Envelope, Query, Side, SumRequest, Update, chain_openings, derive_request
from privacy.dp.accounting import Guarantee, guarantee
from privacy.dp.events import Composed, aligned

__all__ = ["Agenda", "Turn"]

Opening = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next private sum of a run.

    Attributes:
        query: What each record adds.
        envelope: The derived request and its place.
    """

    query: Query | Update
    envelope: Envelope


class Agenda:
    """All that a party needs to know of a run, derived from the contract and the openings.

    Attributes:
        contract: With its roster.
        run: 32 hexadecimal digits, fresh for every run.
        requests: The planned sums' requests at their largest dimension, in order.
        spares: What further rounds are charged as, so that a sum may be abandoned and asked again.
        spare_factors: By how much the spare rounds multiply the variance of every sum's noise, on each side.
        event: What the whole program costs, with all its spare rounds.
        record: (ε, δ) for one record of one organisation.
        person: (ε, δ) for a person with all records that the contract allows.
    """

    def __init__(self, contract: Contract, *, run: str, program: Program | None = None) -> None:
        """Prices the program.

        Raises:
            BudgetExhausted: The program would cost more than the contract's ε.
            NoiseError: No honest share of noise would be left.
            LayoutError: A sum's values would not fit into slots.
        """
        self.contract = contract
        self.run = run
        self._contract_hash = contract.hash()
        self._program: Program = program if program is not None else program_of(contract)
        self._plan = self._program.plan
        for side in {planned.side for planned in self._plan}:
            shares = [planned.share for planned in self._plan if planned.side is side]
            if sum(shares, Fraction(0)) != 1:
                raise AccountingError(f"the shares of the {side} sums do not add to one: this is a defect")
        priced = price_program(self._plan, contract)
        self._mus = priced.mus
        self.requests, self.spares, self.spare_factors = priced.requests, priced.spares, priced.spare_factors
        events = [request.event for request in (*self.requests, *self.spares)]
        self.event = aligned(events)
        rules = contract.rows
        group = rules.organisations_per_person * rules.rows_per_person
        self.record: Guarantee = guarantee(self.event, delta=contract.privacy.delta)
        # Where a person may be on both sides, what both cost comes together.
        of_person = self.event if contract.split.separates_persons else Composed(events=tuple(events))
        self.person: Guarantee = guarantee(of_person, delta=contract.privacy.delta, group=group)
        noisy = contract.privacy.noise is not NoiseMode.NONE
        if noisy and self.record.epsilon > contract.privacy.epsilon:
            raise BudgetExhausted(
                f"the program costs epsilon {self.record.epsilon:.6f} at delta {contract.privacy.delta:g}; "
                f"the contract allows {contract.privacy.epsilon:g}: nothing was sent; use an epsilon between "
                "0.001 and 100, which the accounting can price closely"
            )
        self._openings: list[Opening] = []
        self._steps: Steps | None = None
        self._query: Query | Update | None = None
        self._product: Product | None = None

    @property
    def rounds(self) -> int:
        """Number of private sums, at most: a program may end before."""
        return len(self._plan)

    def turn(self, openings: Sequence[Opening], *, round_number: int, head: str) -> Turn:
        """Derives the next private sum from everything opened so far.

        Args:
            openings: Of this run.
            round_number: The round, counted per key.
            head: Hash of the transcript's head that the round is chained to.

        Raises:
            ProtocolError: The openings are not those of this program, or it has ended.
        """
        query, request = self.next_sum(openings)
        digest = request.digest(
            contract_hash=self._contract_hash,
            run=self.run,
            round_number=round_number,
            step=len(openings),
            head=head,
            openings=chain_openings(openings),
        )
        envelope = Envelope(
            run=self.run,
            round=round_number,
            contract_hash=self._contract_hash,
            head=head,
            digest=digest,
            request=request,
        )
        return Turn(query=query, envelope=envelope)

    def is_finished(self, openings: Sequence[Opening]) -> bool:
        """Whether the program has ended with these openings.

        Raises:
            ProtocolError: They are not those of this program.
        """
        self._follow(openings)
        return self._product is not None

    def next_sum(self, openings: Sequence[Opening]) -> tuple[Query | Update, SumRequest]:
        """Derives what the next private sum is, wherever it takes place.

        Raises:
            ProtocolError: The openings are not those of this program, or it has ended.
        """
        self._follow(openings)
        if self._query is None:
            raise ProtocolError(f"the program ended after {len(openings)} sums: there is no further one")
        return self._query, self._request(len(openings), self._query)

    def finish(self, openings: Sequence[Opening]) -> Product:
        """Returns the card, the model or the report, with what it cost, once all sums are opened.

        Raises:
            ProtocolError: Sums are missing, or the openings are not those of this program.
        """
        self._follow(openings)
        if self._product is None:
            raise ProtocolError(f"{len(openings)} of {self.rounds} sums are opened: training goes on")
        return self._product.with_privacy(self._privacy_record())

    def _request(self, number: int, query: Query | Update) -> SumRequest:
        request = self.requests[number]
        if query.dimension == request.dimension:
            return request
        return derive_request(
            self._plan[number], dimension=query.dimension, mu=self._mus[number], contract=self.contract
        )

    def _follow(self, openings: Sequence[Opening]) -> None:
        """Brings the program to where these openings lead; goes on from the last call if they extend it."""
        known = len(self._openings)
        extends = (
            self._steps is not None
            and len(openings) >= known
            and all(
                given is held or np.array_equal(given, held)
                for given, held in zip(openings, self._openings, strict=False)
            )
        )
        if not extends:
            self._openings, self._product = [], None
            self._steps = self._program.steps()
            self._query = next(self._steps)
        for opening in openings[len(self._openings) :]:
            self._advance(opening)

    def _advance(self, opening: Opening) -> None:
        if self._query is None or self._steps is None:
            raise ProtocolError(f"more openings than the program's {self.rounds} sums")
        request = self._request(len(self._openings), self._query)
        if opening.shape != (request.dimension,):
            raise ProtocolError(
                f"the opening of {request.name} has {opening.size} values, {request.dimension} were asked for"
            )
        self._openings.append(opening)
        try:
            self._query = self._steps.send(request.released(opening))
        except StopIteration as end:
            self._query, self._product = None, end.value

    def _privacy_record(self) -> PrivacyRecord:
        """What the whole program promises, also if it ended early: when depends on what was opened."""
        terms = self.contract.privacy
        return PrivacyRecord(
            noise=terms.noise,
            epsilon=_finite(self.record.epsilon),
            person_epsilon=_finite(self.person.epsilon),
            delta=terms.delta,
            mu=_finite(self.record.mu),
            absent=terms.absent,
            colluding_parties=terms.colluding_parties,
            events=tuple(_told(request) for request in (*self.requests, *self.spares)),
        )


def _told(request: SumRequest) -> dict[str, int | str]:
    """A sum as the record of privacy tells it, for whoever recomputes what it cost."""
    noise = request.local if request.local is not None else request
    told: dict[str, int | str] = {
        "sum": request.name,
        "sensitivity_squared": noise.sensitivity_squared,
        "share_variance": noise.share_variance,
        "honest_shares": request.honest_shares,
        "shares": 1 if request.local is not None else request.parties,
        "dimension": noise.dimension,
    }
    if request.side is not Side.TRAINING:
        told["side"] = request.side.value
    if request.one_in > 1:
        told["one_in"] = request.one_in
    if request.local is not None:
        told["steps"] = request.local.steps
    return told


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
