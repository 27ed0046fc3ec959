"""How long would a run take that was simulated in one process, if organisations ran it over a network?

An estimate, from what was counted (phases, bytes), what was measured (seconds of computing) and what is
assumed of a deployment (`simulations.deployment`). With n parties, a committee of m members, R sums and

    B   bytes that a party sends in all its submissions,
    O = 8 V (R - 1)   bytes of openings that asks carry to a node, where V numbers are opened in all:
        each of the two asks of a sum carries what was opened before it, and sums are taken as equally large,

the wall time is the sum of

    phases      P (phase_seconds + 5 latency_seconds)
                P = 1 + 2 R: a greeting, then a collection and an opening for each sum. Flower's node makes
                five requests one after another in a phase: for the message, for its parts, to confirm, and
                two to answer.
    transport   max(B / up, n B / operator down): submissions
              + max((n B + O) / down, (m n B + n O) / operator up): all submissions to every member; openings
              + max(B / up, m B / operator down): partial openings, no larger than a submission
    encryption  (encrypt + prove) / n + 2 verify / (1 + m) + opening
                Parties encrypt at the same time; the operator verifies, then all members do, at the same
                time. The simulation measured all of them one after another. Opening is between
                2 open / (1 + m) (members at the same time, then the operator, all with as much to do)
                and open.
    computing   between the rest of the simulation's seconds / n and all of it: how much of the rest
                is the parties' was not measured.

The estimate knows nothing of machines other than the one that simulated, of lost messages, and of an
organisation that answers late: each phase is as long as its slowest node takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulations.deployment import DeploymentTerms

__all__ = ["Span", "WallTime", "Work", "estimated_wall_time", "formula", "phases_of"]

_REQUESTS = 5
_BYTES_OF_A_NUMBER = 8
_BYTES_OF_A_MEGABIT = 125_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run did, as it was counted and measured in one process.

    Attributes:
        parties: Organisations that took part.
        members: Members of the committee; 1 where nothing was encrypted.
        rounds: Sums.
        values_per_party: Numbers that each party sent, and that were opened.
        bytes_per_party: Bytes of them, sealed.
        encrypt_seconds: Encryption by all parties; 0 where nothing was encrypted, like the next three.
        prove_seconds: Proofs and signatures of all parties.
        verify_seconds: Their verification, by the operator and by every member.
        open_seconds: Partial openings by all members, and what is made of them.
        other_seconds: Everything else.
        encrypted: Whether sums were encrypted.
    """

    parties: int
    members: int
    rounds: int
    values_per_party: int
    bytes_per_party: int
    encrypt_seconds: float
    prove_seconds: float
    verify_seconds: float
    open_seconds: float
    other_seconds: float
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds, of which only limits are known."""

    low: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(low=self.low + other.low, high=self.high + other.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class WallTime:
    """An estimate, and what it consists of.

    Attributes:
        phases: Of Flower's, with latency.
        transport: Of bytes.
        encryption: Everything that is done because sums are encrypted.
        computing: Everything else.
    """

    phases: Span
    transport: Span
    encryption: Span
    computing: Span

    @property
    def total(self) -> Span:
        """The whole run, from the operator's command to the card."""
        return self.phases + self.transport + self.encryption + self.computing


def formula() -> str:
    """The formula in words, as this module says it."""
    return (__doc__ or "").partition("\n\n")[2].strip()


def phases_of(rounds: int) -> int:
    """Phases of a run in which nothing goes wrong.

    Args:
        rounds: Its sums.
    """
    return 1 + 2 * rounds


def estimated_wall_time(work: Work, terms: DeploymentTerms) -> WallTime:
    """Estimate by the formula above.

    Args:
        work: Of one run.
        terms: What the deployment is assumed to be.
    """
    shortest, longest = terms.phase_seconds
    count, trips = phases_of(work.rounds), _REQUESTS * terms.latency_seconds
    bytes_sent = _transport_seconds(work, terms)
    sealing = (work.encrypt_seconds + work.prove_seconds) / work.parties
    verifying = 2 * work.verify_seconds / (1 + work.members)
    opening = 2 * work.open_seconds / (1 + work.members)
    return WallTime(
        phases=Span(low=count * (shortest + trips), high=count * (longest + trips)),
        transport=Span(low=bytes_sent, high=bytes_sent),
        encryption=Span(low=sealing + verifying + opening, high=sealing + verifying + work.open_seconds),
        computing=Span(low=work.other_seconds / work.parties, high=work.other_seconds),
    )


def _transport_seconds(work: Work, terms: DeploymentTerms) -> float:
    line, operator = terms.bandwidth_mbit, terms.operator_mbit
    sealed = work.bytes_per_party
    opened = _BYTES_OF_A_NUMBER * work.values_per_party * max(work.rounds - 1, 0)
    everybodys = work.parties * sealed
    megabits = (
        max(sealed / line.up, everybodys / operator.down)
        + max(
            (everybodys + opened) / line.down,
            (work.members * everybodys + work.parties * opened) / operator.up,
        )
        + max(sealed / line.up, work.members * sealed / operator.down)
    )
    return megabits / _BYTES_OF_A_MEGABIT
