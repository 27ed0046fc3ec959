"""How a simulation's sums are hidden: in clear, or encrypted as in a deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from fedscore.contract import Contract
from fedscore.learners.agenda import Agenda
from fedscore.sums import Combiner, Member, Sealer
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from fedscore.sums.stages import Stages
from privacy.identities import Identity
from simulations.keys import SimulatedKeys
from simulations.plain import COMMITTEE, PlainCombiner, PlainMember, PlainSealer, plain_series

__all__ = ["EncryptionMode", "Scheme", "scheme_of"]


class EncryptionMode(Enum):
    """Whether a simulation encrypts."""

    PLAIN = "plain"
    PAILLIER = "paillier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Who seals, who sits on the committee, who combines.

    Attributes:
        series: The key's.
        sealer: Makes the sealer of a party, by name.
        members: Seats on the committee, by the name of who holds them.
        combiner: Opens sums at the server.
        stages: Is told how long cryptography takes; by nobody where nothing is encrypted.
    """

    series: KeySeries
    sealer: Callable[[str], Sealer]
    members: Mapping[str, Member]
    combiner: Combiner
    stages: Stages


def scheme_of(
    encryption: EncryptionMode,
    keys: SimulatedKeys | None,
    contract: Contract,
    *,
    agenda_of: Callable[[Contract, str], Agenda],
    identity_of: Callable[[str], Identity],
) -> Scheme:
    """Makes the scheme of a simulation.

    Args:
        encryption: Plain sums are the same integers as encrypted ones.
        keys: For `EncryptionMode.PAILLIER`: a key, its committee and their shares.
        contract: With its roster and keys.
        agenda_of: Derives a run, whose sums are counted before any is encrypted.
        identity_of: The identity of each organisation.

    Raises:
        ValueError: It encrypts, and there are no keys.
    """
    stages = Stages()
    if encryption is EncryptionMode.PLAIN:
        return Scheme(
            series=plain_series(identity_of(COMMITTEE).public),
            sealer=lambda _name: PlainSealer(),
            members={COMMITTEE: PlainMember()},
            combiner=PlainCombiner(),
            stages=stages,
        )
    if keys is None:
        raise ValueError("encrypted simulations need the keys of a ceremony")
    record = keys.record
    requests = agenda_of(contract, "0" * 32).requests
    per_party = sum(request.layout.plaintexts_for(request.dimension) for request in requests)
    signing_keys = contract.signing_keys
    return Scheme(
        series=KeySeries.of(record),
        sealer=lambda name: PaillierSealer(
            public_key=record.public_key,
            party=name,
            signer=identity_of(name),
            expected=per_party * len(contract.parties),
            stages=stages,
        ),
        members={
            member.name: PaillierMember(share=share, signing_keys=signing_keys, stages=stages)
            for member, share in zip(record.members, keys.shares, strict=True)
        },
        combiner=PaillierCombiner(committee=record.committee, signing_keys=signing_keys, stages=stages),
        stages=stages,
    )
