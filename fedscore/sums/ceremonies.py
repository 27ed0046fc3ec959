"""The ceremony's record that a contract names: read, checked, and compared with what the contract says."""

from __future__ import annotations

from pathlib import Path

from fedscore.contract import Contract
from fedscore.errors import NodeConfigError
from privacy.paillier.record import CeremonyRecord

__all__ = ["ceremony_of", "require_ceremony"]


def ceremony_of(contract: Contract, path: Path) -> CeremonyRecord:
    """Reads the record of the ceremony that a contract names.

    Raises:
        KeyRefused: The record is malformed, or its committee breaks a rule.
        SignatureRefused: It is not signed by its dealer.
        NodeConfigError: It cannot be read, or is not the one that the contract names.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise NodeConfigError(f"{path.name} cannot be read ({type(error).__name__}): name the file") from None
    record = CeremonyRecord.from_json(text)
    require_ceremony(contract, record, name=path.name)
    return record


def require_ceremony(contract: Contract, record: CeremonyRecord, *, name: str) -> None:
    """Refuses a record other than the one that the contract names, and a contract that names none.

    Args:
        contract: What the organisations agreed on.
        record: The ceremony's.
        name: What to call the record.

    Raises:
        NodeConfigError: They do not belong together.
    """
    terms = contract.encryption
    committee = terms.committee
    missing = [party.name for party in contract.parties if party.key is None]
    if missing:
        raise NodeConfigError(
            f"the contract has no key of {', '.join(missing)}: each makes one with fedscore keys identity, "
            "and its public part goes into the roster"
        )
    if committee is None or terms.ceremony is None:
        raise NodeConfigError(
            "the contract names no committee or no ceremony: complete [encryption] with what fedscore keys "
            "ceremony printed"
        )
    if record.hash() != terms.ceremony:
        raise NodeConfigError(
            f"{name} is the record of another ceremony than the one that the contract names: use the file "
            f"whose hash begins with {terms.ceremony[:16]}"
        )
    strangers = [
        member.name
        for member in record.members
        if contract.signing_keys.get(member.name, member.signing_key) != member.signing_key
    ]
    if strangers:
        raise NodeConfigError(
            f"{', '.join(strangers)}: the contract's roster has another key than {name}: an organisation has "
            "one identity; complete the roster with the one that the ceremony was held with"
        )
    said = (terms.key_bits, committee.members, committee.threshold, committee.colluding_members)
    held = (
        record.public_key.bits,
        record.committee.members,
        record.committee.threshold,
        record.colluding_members,
    )
    if said != held or (contract.privacy.absent and not record.absences):
        raise NodeConfigError(
            f"the contract says key_bits = {said[0]}, members = {said[1]}, threshold = {said[2]}, "
            f"colluding_members = {said[3]}, absent = {contract.privacy.absent}; {name} is of a ceremony for "
            f"{held[0]} bits, {held[1]}, {held[2]}, {held[3]}, and {'some' if record.absences else 'no'} "
            "absences: make them agree"
        )
