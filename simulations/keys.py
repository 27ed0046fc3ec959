"""The keys of a simulated consortium, all in one researcher's hands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fedscore.contract import CommitteeTerms, Contract, Party
from fedscore.errors import ContractError
from privacy.identities import Identity
from privacy.paillier.ceremony import Ceremony, CeremonyStep, deal
from privacy.paillier.record import CeremonyRecord, sign_record
from privacy.paillier.shares import KeyShare

__all__ = ["SimulatedKeys", "committee_names", "hold_ceremony", "keyed", "record_of", "simulated_identity"]

_SEED = b"fedscore simulation"


def simulated_identity(name: str) -> Identity:
    """An organisation's identity in every simulation: anybody can derive it."""
    return Identity.unsafe_from_seed(name, _SEED)


def keyed(contract: Contract) -> Contract:
    """The contract, with simulated keys for those parties that have none."""
    if all(party.key is not None for party in contract.parties):
        return contract
    return contract.with_parties(
        Party(
            name=party.name,
            role=party.role,
            key=party.key or simulated_identity(party.name).public.signing_key.hex(),
        )
        for party in contract.parties
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedKeys:
    """What a ceremony left, and its members' shares in clear.

    Attributes:
        record: The ceremony's.
        shares: By member, from 1.
    """

    record: CeremonyRecord
    shares: tuple[KeyShare, ...]

    def to_texts(self) -> tuple[str, ...]:
        """Everything as texts, for another process of this simulation."""
        # A share refuses to be pickled, so that it goes nowhere by accident; here all holders are one.
        return (self.record.to_json(), *(share.to_json() for share in self.shares))

    @classmethod
    def from_texts(cls, texts: tuple[str, ...]) -> Self:
        """Reads what `to_texts` wrote."""
        record, *shares = texts
        return cls(
            record=CeremonyRecord.from_json(record),
            shares=tuple(KeyShare.from_json(share) for share in shares),
        )


def committee_names(contract: Contract, members: int) -> tuple[str, ...]:
    """Who sits on a simulated committee: the first parties, then auditors if there are too few."""
    parties = tuple(contract.parties_by_name)[:members]
    return (*parties, *(f"auditor-{number}" for number in range(1, members - len(parties) + 1)))


def hold_ceremony(
    contract: Contract, *, key_bits: int, progress: Callable[[CeremonyStep], None] | None = None
) -> SimulatedKeys:
    """Deals a fresh key to the contract's committee.

    Raises:
        ContractError: The contract has no committee.
    """
    terms = _committee(contract)
    dealt = deal(bits=key_bits, members=terms.members, threshold=terms.threshold, progress=progress)
    return record_of(contract, dealt)


def record_of(
    contract: Contract, dealt: Ceremony, *, identity_of: Callable[[str], Identity] = simulated_identity
) -> SimulatedKeys:
    """Writes the record of a ceremony on the contract's terms.

    Args:
        contract: Says how many sit on the committee.
        dealt: The key.
        identity_of: The identity of each member, and of `dealer`.

    Raises:
        ContractError: The contract has no committee.
    """
    terms = _committee(contract)
    names = committee_names(contract, terms.members)
    record = sign_record(
        committee=dealt.committee,
        members=[identity_of(name).public for name in names],
        colluding_members=terms.colluding_members,
        absences=contract.privacy.absent > 0,
        created=dt.datetime.now(dt.UTC).date(),
        dealer=identity_of("dealer"),
    )
    return SimulatedKeys(record=record, shares=dealt.shares)


def _committee(contract: Contract) -> CommitteeTerms:
    if contract.encryption.committee is None:
        raise ContractError(
            "encrypted sums need a committee: say who opens them, as in "
            "committee = {members = 3, threshold = 2, colluding_members = 1}"
        )
    return contract.encryption.committee
