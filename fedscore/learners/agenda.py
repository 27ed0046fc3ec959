"""A run as each party derives it by itself: priced before it starts, then one request after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, PrivacyRecord
from fedscore.contract import Contract, NoiseMode
from fedscore.errors import AccountingError, BudgetExhausted, ProtocolError
from fedscore.learners.program import Program, Steps
from fedscore.learners.scorecard.program import Scorecard
from fedscore.sums import Envelope, PlannedSum, Query, SumRequest, chain_openings, derive_request
from privacy.dp.accounting import Guarantee, gaussian_mu, guarantee
from privacy.dp.discrete_lemma import gaussian_bound
from privacy.dp.events import Composed, DistributedGaussian

__all__ = ["Agenda", "Turn"]

Opening = npt.NDArray[np.int64]

DELTA_RESERVE = 1e-6
"""Relative part of δ kept for the discrete noise's slack and its redrawn tails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next private sum of a run.

    Attributes:
        query: What each record adds.
        envelope: The derived request and its place.
    """

    query: Query
    envelope: Envelope


class Agenda:
    """All that a party needs to know of a run, derived from the contract and the openings.

    Attributes:
        contract: With its roster.
        run: 32 hexadecimal digits, fresh for every run.
        requests: The planned sums' requests at their largest dimension, in order.
        spares: What each further round is charged as, so that a sum may be abandoned and asked again.
        spare_factor: By how much the spare rounds multiply the variance of every sum's noise.
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
        self._program: Program = program if program is not None else Scorecard(contract)
        self._plan = self._program.plan
        if sum((planned.share for planned in self._plan), Fraction(0)) != 1:
            raise AccountingError("the shares of the program's sums do not add to one: this is a defect")
        spare_rounds = contract.privacy.spare_rounds
        self.spare_factor = 1 + spare_rounds * max(planned.share for planned in self._plan)
        self.requests = tuple(
            derive_request(
                planned, dimension=planned.dimension_limit, mu=self._mu(planned), contract=contract
            )
            for planned in self._plan
        )
        dearest = _dearest(self.requests)
        self.spares = tuple(replace(dearest, name=f"spare {number}") for number in range(1, spare_rounds + 1))
        self.event = Composed(events=tuple(request.event for request in (*self.requests, *self.spares)))
        rules = contract.rows
        group = rules.organisations_per_person * rules.rows_per_person
        self.record: Guarantee = guarantee(self.event, delta=contract.privacy.delta)
        self.person: Guarantee = guarantee(self.event, delta=contract.privacy.delta, group=group)
        noisy = contract.privacy.noise is not NoiseMode.NONE
        if noisy and self.record.epsilon > contract.privacy.epsilon:
            raise BudgetExhausted(
                f"the program costs epsilon {self.record.epsilon:.6f} at delta {contract.privacy.delta:g}; "
                f"the contract allows {contract.privacy.epsilon:g}: nothing was sent; use an epsilon between "
                "0.001 and 100, which the accounting can price closely"
            )
        self._openings: list[Opening] = []
        self._steps: Steps | None = None
        self._query: Query | None = None
        self._card: Card | None = None

    @property
    def rounds(self) -> int:
        """Number of private sums."""
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

    def next_sum(self, openings: Sequence[Opening]) -> tuple[Query, SumRequest]:
        """Derives what the next private sum is, wherever it takes place.

        Raises:
            ProtocolError: The openings are not those of this program, or it has ended.
        """
        self._follow(openings)
        if self._query is None:
            raise ProtocolError(f"the program ends after {self.rounds} rounds: there is no further sum")
        return self._query, self._request(len(openings), self._query)

    def finish(self, openings: Sequence[Opening]) -> Card:
        """Returns the card, with what it cost, once all sums are opened.

        Raises:
            ProtocolError: Sums are missing, or the openings are not those of this program.
        """
        self._follow(openings)
        if self._card is None:
            raise ProtocolError(f"{len(openings)} of {self.rounds} sums are opened: there is no card yet")
        return self._card.with_privacy(self._privacy_record())

    def _mu(self, planned: PlannedSum) -> float:
        terms = self.contract.privacy
        if terms.noise is NoiseMode.NONE:
            return math.inf
        total = gaussian_mu(terms.epsilon, terms.delta * (1 - DELTA_RESERVE))
        return total * math.sqrt(planned.share / self.spare_factor)

    def _request(self, number: int, query: Query) -> SumRequest:
        planned = self._plan[number]
        return derive_request(
            planned, dimension=query.dimension, mu=self._mu(planned), contract=self.contract
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
            self._openings, self._card = [], None
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
            self._query, self._card = None, end.value

    def _privacy_record(self) -> PrivacyRecord:
        terms = self.contract.privacy
        return PrivacyRecord(
            noise=terms.noise,
            epsilon=_finite(self.record.epsilon),
            person_epsilon=_finite(self.person.epsilon),
            delta=terms.delta,
            mu=_finite(self.record.mu),
            absent=terms.absent,
            colluding_parties=terms.colluding_parties,
            events=tuple(
                {
                    "sum": request.name,
                    "sensitivity_squared": request.sensitivity_squared,
                    "share_variance": request.share_variance,
                    "honest_shares": request.honest_shares,
                    "shares": request.parties,
                    "dimension": request.dimension,
                }
                for request in (*self.requests, *self.spares)
            ),
        )


def _dearest(requests: Sequence[SumRequest]) -> SumRequest:
    """What repeating any of the sums costs at most.

    Whoever makes a round fail chooses which sum is repeated, after all openings so far. So a spare round has
    the sensitivity and the noise of the sum with the largest mu, on that sum's lattice, and the length of
    the longest.
    """

    def price(request: SumRequest) -> Fraction:
        event = request.event
        return gaussian_bound(event).mu_squared if isinstance(event, DistributedGaussian) else Fraction(0)

    return replace(max(requests, key=price), dimension=max(request.dimension for request in requests))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
