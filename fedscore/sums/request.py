"""The derived request: scale, sensitivity, noise share and slots of one private sum.

Every node derives it by itself from the contract and the planned sum, and refuses to answer a server
that asks for another (the hash of the request travels with each message).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, NoiseMode
from fedscore.errors import LayoutError, NoiseError
from fedscore.sums.query import PlannedSum, Released, Side
from privacy.dp.accounting import variance_for_mu
from privacy.dp.discrete_gaussian import noise_bound
from privacy.dp.discrete_lemma import ROUNDING_VARIANCE
from privacy.dp.events import (
    Composed,
    DistributedGaussian,
    Event,
    NonPrivate,
    PoissonSampledGaussian,
    on_part,
)
from privacy.paillier.packing import SlotLayout

__all__ = ["LocalSteps", "SumRequest", "derive_request"]

STEPS_PER_ROW = 16
"""A real-valued sum's noise spans this many lattice steps per row, so truncation's bias drowns in it."""

SMALLEST_SHARE = 100
"""Least variance of a noise share, in lattice steps²: rounding it up costs at most one per cent."""

NOISELESS_SCALE = 2**24
"""Lattice steps per unit of a real-valued sum that carries no noise."""


LARGEST_TOTAL = 2**62
"""Sums over one party's rows stay below it, inside 64 bits."""

UPDATE_SCALE = 2**20
"""Lattice steps per unit of an update, which is private before it is rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSteps:
    """The private sums over one organisation's rows alone that an update is computed from.

    Attributes:
        steps: How many there are.
        dimension: Values of each.
        scale: Lattice steps per unit.
        sensitivity_squared: Largest Σk² of one record in one of them, lattice steps².
        share_variance: Variance of the organisation's noise in each, lattice steps²; 0 for none.
    """

    steps: int
    dimension: int
    scale: int
    sensitivity_squared: int
    share_variance: int

    @property
    def deviation(self) -> float:
        """Standard deviation of a step's noise, in units."""
        return math.sqrt(self.share_variance) / self.scale

    @property
    def noise_multiplier(self) -> float:
        """Deviation of the Gaussian that prices a step, in units of its sensitivity; 0 without noise."""
        if self.share_variance == 0:
            return 0.0
        return math.sqrt((self.share_variance - ROUNDING_VARIANCE) / self.sensitivity_squared)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumRequest:
    """One private sum, completely determined.

    Attributes:
        name: The planned sum's name.
        dimension: Number of values.
        scale: Lattice steps per unit.
        sensitivity_squared: Largest Σk² of one record, lattice steps².
        share_variance: Variance of each party's discrete Gaussian share, lattice steps²; 0 for none.
        honest_shares: Shares that the guarantee counts on.
        parties: Parties that send a submission when all are present.
        width: Bits of a slot.
        max_abs: Largest absolute value that a party may submit, in lattice steps.
        slots: Values per plaintext.
        one_in: Each record takes part with chance 1 / one_in.
        local: The steps of an update, which carry the noise then; none for a sum over records.
        side: Whose rows it is over.
    """

    name: str
    dimension: int
    scale: int
    sensitivity_squared: int
    share_variance: int
    honest_shares: int
    parties: int
    width: int
    max_abs: int
    slots: int
    one_in: int = 1
    local: LocalSteps | None = None
    side: Side = Side.TRAINING

    @property
    def layout(self) -> SlotLayout:
        """The slots, with their headroom proven."""
        return SlotLayout(width=self.width, max_abs=self.max_abs, max_summands=self.parties, slots=self.slots)

    @property
    def event(self) -> Event:
        """What releasing this sum costs: the records of its side alone."""
        return on_part(self._undivided_event, self.side.part)

    @property
    def _undivided_event(self) -> Event:
        if self.local is not None:
            return self._local_event(self.local)
        if self.share_variance == 0:
            return NonPrivate()
        total = DistributedGaussian(
            sensitivity_squared=self.sensitivity_squared,
            share_variance=self.share_variance,
            honest_shares=self.honest_shares,
            total_shares=self.parties,
            dimension=self.dimension,
        )
        return total if self.one_in == 1 else PoissonSampledGaussian(sum=total, one_in=self.one_in)

    def _local_event(self, local: LocalSteps) -> Event:
        """What an update costs its organisation; others' noise counts for nothing."""
        if local.share_variance == 0:
            return NonPrivate()
        step = DistributedGaussian(
            sensitivity_squared=local.sensitivity_squared,
            share_variance=local.share_variance,
            honest_shares=1,
            total_shares=1,
            dimension=local.dimension,
        )
        if self.one_in == 1:
            return Composed(events=(step,) * local.steps)
        return PoissonSampledGaussian(sum=step, one_in=self.one_in, repetitions=local.steps)

    def digest(
        self, *, contract_hash: str, run: str, round_number: int, step: int, head: str, openings: str
    ) -> str:
        """Hashes the request with where it stands.

        Args:
            contract_hash: The contract's.
            run: The run's id.
            round_number: Counted per key.
            step: Sums opened in this run before.
            head: Hash of the transcript's head.
            openings: Chain of the run's openings.
        """
        place = {
            "contract": contract_hash,
            "run": run,
            "round": round_number,
            "step": step,
            "head": head,
            "openings": openings,
        }
        fields = {**asdict(self), **place}
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def released(self, opening: npt.NDArray[np.int64]) -> Released:
        """Brings an opening back into units; the noise stated is that of all parties' shares."""
        return Released(
            values=opening / float(self.scale),
            deviation=math.sqrt(self.parties * self.share_variance) / self.scale,
        )


def _honest_shares(contract: Contract) -> int:
    terms = contract.privacy
    if terms.noise is not NoiseMode.SHARED:
        return 1
    honest = len(contract.parties) - terms.absent - terms.colluding_parties
    if honest < 1:
        raise NoiseError(
            f"{len(contract.parties)} parties of which {terms.absent} may be absent and "
            f"{terms.colluding_parties} may collude leave no honest share of noise: at least one is needed; "
            'invite more parties, allow fewer absences, or choose noise = "local"'
        )
    return honest


def _scale(planned: PlannedSum, *, mu: float, rows: int, honest: int) -> int:
    """Lattice steps per unit: fine enough for truncation and for the discrete lemma, no finer."""
    if math.isinf(mu):
        return 1 if planned.integral else NOISELESS_SCALE
    deviation = math.sqrt(planned.sensitivity_squared) / mu  # of the noise, in units
    for_share = math.ceil(math.sqrt(SMALLEST_SHARE * honest) / deviation)
    if planned.integral:
        return max(1, for_share)
    return max(1, for_share, math.ceil(STEPS_PER_ROW * rows / deviation))


def derive_request(planned: PlannedSum, *, dimension: int, mu: float, contract: Contract) -> SumRequest:
    """Derives the request for one planned sum.

    Args:
        planned: The sum as its program declared it.
        dimension: Its actual length, at most the planned limit.
        mu: The Gaussian-DP parameter that it may cost (Dong, Roth and Su 2022) if every record took part;
            infinite without noise. The steps of an update share it evenly.
        contract: The consortium's contract with its roster.

    Raises:
        NoiseError: No honest share would be left.
        LayoutError: The values would not fit into a slot.
    """
    if not 1 <= dimension <= planned.dimension_limit:
        raise LayoutError(
            f"{planned.name}: {dimension} values, planned were at most {planned.dimension_limit}"
        )
    if planned.local_steps:
        return _update_request(planned, dimension=dimension, mu=mu, contract=contract)
    honest = _honest_shares(contract)
    row_cap, parties = contract.rows.row_cap, len(contract.parties)
    scale = _scale(planned, mu=mu, rows=row_cap * parties, honest=honest)
    sensitivity_squared, share_variance = _noise(planned, scale=scale, mu=mu, honest=honest)
    largest_noise = noise_bound(share_variance) if share_variance else 0
    return _fitted(
        planned,
        dimension=dimension,
        scale=scale,
        sensitivity_squared=sensitivity_squared,
        share_variance=share_variance,
        honest_shares=honest,
        max_abs=row_cap * math.ceil(planned.largest * scale) + largest_noise,
        contract=contract,
    )


def _noise(planned: PlannedSum, *, scale: int, mu: float, honest: int) -> tuple[int, int]:
    """The squared sensitivity, and the variance of each share, in lattice steps²."""
    sensitivity_squared = math.floor(planned.sensitivity_squared * scale * scale)
    share_variance = 0 if math.isinf(mu) else -(-variance_for_mu(sensitivity_squared, mu) // honest)
    return sensitivity_squared, share_variance


def _update_request(planned: PlannedSum, *, dimension: int, mu: float, contract: Contract) -> SumRequest:
    """An update's request: one value of it counts the parties, the others are as many as a step's."""
    mu_of_step = mu / math.sqrt(planned.local_steps)
    scale = _scale(planned, mu=mu_of_step, rows=contract.rows.row_cap, honest=1)
    sensitivity_squared, share_variance = _noise(planned, scale=scale, mu=mu_of_step, honest=1)
    largest = contract.rows.row_cap * math.isqrt(sensitivity_squared)
    if largest + (noise_bound(share_variance) if share_variance else 0) >= LARGEST_TOTAL:
        raise LayoutError(
            f"{planned.name}: a party's own sums could reach {largest}, 2**62 is too much: lower row_cap"
        )
    return _fitted(
        planned,
        dimension=dimension,
        scale=UPDATE_SCALE,
        sensitivity_squared=0,
        share_variance=0,
        honest_shares=1,
        max_abs=math.ceil(planned.largest * UPDATE_SCALE),
        contract=contract,
        local=LocalSteps(
            steps=planned.local_steps,
            dimension=dimension - 1,
            scale=scale,
            sensitivity_squared=sensitivity_squared,
            share_variance=share_variance,
        ),
    )


def _fitted(  # noqa: PLR0913 - the numbers of a request
    planned: PlannedSum,
    *,
    dimension: int,
    scale: int,
    sensitivity_squared: int,
    share_variance: int,
    honest_shares: int,
    max_abs: int,
    contract: Contract,
    local: LocalSteps | None = None,
) -> SumRequest:
    """Lays the values out in slots."""
    layout = SlotLayout.for_sum(
        max_abs=max_abs, max_summands=len(contract.parties), modulus_bits=contract.encryption.key_bits
    )
    return SumRequest(
        name=planned.name,
        dimension=dimension,
        scale=scale,
        sensitivity_squared=sensitivity_squared,
        share_variance=share_variance,
        honest_shares=honest_shares,
        parties=len(contract.parties),
        width=layout.width,
        max_abs=layout.max_abs,
        slots=layout.slots,
        one_in=planned.one_in,
        local=local,
        side=planned.side,
    )
