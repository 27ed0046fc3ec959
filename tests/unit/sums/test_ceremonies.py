"""A contract and a ceremony's record belong together in every number, or nothing starts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedscore.contract import Contract, Party
from fedscore.errors import KeyRefused, NodeConfigError, SignatureRefused
from fedscore.sums.ceremonies import ceremony_of, require_ceremony
from privacy.identities import Identity
from privacy.paillier.ceremony import unsafe_deal_from_primes
from privacy.paillier.record import CeremonyRecord, sign_record
from simulations.keys import SimulatedKeys, simulated_identity

FILE = "ceremony.json"
PRIMES = Path(__file__).parents[2] / "vectors" / "paillier_safe_primes.json"


@pytest.fixture(scope="module")
def record(small_keys: SimulatedKeys) -> CeremonyRecord:
    return small_keys.record


@pytest.fixture(scope="module")
def contract(tiny_contract: Contract, record: CeremonyRecord) -> Contract:
    """The small contract, which names the record."""
    return tiny_contract.with_encryption(ceremony=record.hash())


def terms(contract: Contract, **changes: Any) -> Contract:  # noqa: ANN401 - fields of EncryptionTerms
    return contract.with_encryption(**changes)


def committee(contract: Contract, **changes: int) -> Contract:
    assert contract.encryption.committee is not None
    return terms(contract, committee={**contract.encryption.committee.model_dump(), **changes})


def other_record(record: CeremonyRecord, **changes: Any) -> CeremonyRecord:  # noqa: ANN401 - the record's parts
    parts: dict[str, Any] = {
        "committee": record.committee,
        "members": record.members,
        "colluding_members": record.colluding_members,
        "absences": record.absences,
        "created": record.created,
        "previous": record.previous,
        **changes,
    }
    return sign_record(**parts, dealer=simulated_identity("dealer"))


def test_a_contract_and_its_own_record_belong_together(contract: Contract, record: CeremonyRecord) -> None:
    require_ceremony(contract, record, name=FILE)


def without_keys(contract: Contract, *names: str) -> Contract:
    return contract.with_parties(
        Party(name=party.name, role=party.role, key=None if party.name in names else party.key)
        for party in contract.parties
    )


MISMATCHES: dict[str, tuple[Callable[[Contract], Contract], str]] = {
    "no key of a party": (
        lambda contract: without_keys(contract, "south"),
        "the contract has no key of south: .*fedscore keys identity",
    ),
    "no keys of two": (
        lambda contract: without_keys(contract, "north", "agency"),
        "the contract has no key of north, agency: ",
    ),
    "no committee": (
        lambda contract: terms(contract, committee=None, ceremony=None),
        "names no committee or no ceremony",
    ),
    "no ceremony": (lambda contract: terms(contract, ceremony=None), "names no committee or no ceremony"),
    "another ceremony": (
        lambda contract: terms(contract, ceremony="0123456789abcdef" * 4),
        f"{FILE} is the record of another ceremony .* begins with 0123456789abcdef$",
    ),
    "another size of key": (
        lambda contract: terms(contract, key_bits=3072),
        "says key_bits = 3072, .*2048 bits",
    ),
    "another size of committee": (
        lambda contract: committee(contract, members=4),
        "members = 4, .* for 2048 bits, 3, 2, 1, and no absences: make them agree",
    ),
    "another threshold": (lambda contract: committee(contract, threshold=3), "threshold = 3, .* 3, 2, 1, "),
    "other colluding members": (
        lambda contract: committee(contract, colluding_members=0),
        "colluding_members = 0, .* 3, 2, 1, ",
    ),
    "absences that the ceremony did not provide for": (
        lambda contract: committee(contract, threshold=3).with_privacy(absent=1),
        "absent = 1; .*and no absences: make them agree",
    ),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_a_mismatch_is_refused_and_named(what: str, contract: Contract, record: CeremonyRecord) -> None:
    change, words = MISMATCHES[what]

    with pytest.raises(NodeConfigError, match=words):
        require_ceremony(change(contract), record, name=FILE)


@pytest.fixture(scope="module")
def cautious(record: CeremonyRecord) -> CeremonyRecord:
    """A record of a 3-of-3 committee that provides for absences."""
    p, q = (int(prime, 16) for prime in json.loads(PRIMES.read_text())["1024"])
    dealt = unsafe_deal_from_primes(p, q, members=3, threshold=3)
    return other_record(record, committee=dealt.committee, absences=True)


def test_absences_alone_are_a_mismatch(contract: Contract, cautious: CeremonyRecord) -> None:
    """Two cohorts of a round could be opened under a threshold for one."""
    strict = other_record(cautious, absences=False)
    allowing = committee(contract, threshold=3).with_privacy(absent=1)

    with pytest.raises(NodeConfigError, match=r"absent = 1; .*and no absences"):
        require_ceremony(terms(allowing, ceremony=strict.hash()), strict, name=FILE)
    require_ceremony(terms(allowing, ceremony=cautious.hash()), cautious, name=FILE)


def test_a_record_that_provides_for_absences_serves_a_contract_without(
    contract: Contract, cautious: CeremonyRecord
) -> None:
    punctual = terms(committee(contract, threshold=3), ceremony=cautious.hash())

    require_ceremony(punctual, cautious, name=FILE)


def test_a_member_that_is_a_party_has_one_key(contract: Contract, record: CeremonyRecord) -> None:
    """Otherwise its submissions and its signatures under heads would be of two organisations."""
    other = Identity.unsafe_from_seed("south", b"another identity").public.signing_key.hex()
    renewed = contract.with_parties(
        Party(name=party.name, role=party.role, key=other if party.name == "south" else party.key)
        for party in contract.parties
    )
    with pytest.raises(NodeConfigError, match=rf"^south: the contract's roster has another key than {FILE}"):
        require_ceremony(renewed, record, name=FILE)


def test_a_member_need_not_be_a_party(contract: Contract, record: CeremonyRecord) -> None:
    names = ("north", "south", "auditor-1")
    audited = other_record(record, members=[simulated_identity(name).public for name in names])

    require_ceremony(terms(contract, ceremony=audited.hash()), audited, name=FILE)


def test_a_record_of_the_same_key_is_not_the_same_record(contract: Contract, record: CeremonyRecord) -> None:
    """Another date, another dealer or other members of the same key are another ceremony."""
    for other in (
        other_record(record, created=record.created - dt.timedelta(days=1)),
        other_record(record, previous="ab" * 32),
        other_record(record, members=record.members[::-1]),
    ):
        with pytest.raises(NodeConfigError, match="the record of another ceremony"):
            require_ceremony(contract, other, name=FILE)


def test_a_record_is_read_from_its_file(contract: Contract, record: CeremonyRecord, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(record.to_json(), encoding="utf-8")

    assert ceremony_of(contract, file) == record


def test_a_file_that_cannot_be_read_is_named(contract: Contract, tmp_path: Path) -> None:
    garbled = tmp_path / "garbled.json"
    garbled.write_bytes(b"\xff\xfe\xff")
    for path, why in ((tmp_path / "absent.json", "FileNotFoundError"), (garbled, "UnicodeDecodeError")):
        with pytest.raises(NodeConfigError, match=rf"^{path.name} cannot be read \({why}\)"):
            ceremony_of(contract, path)


def test_a_file_that_is_no_record_is_refused(
    contract: Contract, record: CeremonyRecord, tmp_path: Path
) -> None:
    file = tmp_path / FILE
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(KeyRefused):
        ceremony_of(contract, file)

    text = record.to_json()
    unsigned = text.replace(record.signature.hex(), "0" * 128)
    assert unsigned != text
    file.write_text(unsigned, encoding="utf-8")
    with pytest.raises(SignatureRefused):
        ceremony_of(contract, file)


def test_a_files_record_is_compared_with_the_contract(
    contract: Contract, record: CeremonyRecord, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.json"
    file.write_text(other_record(record, previous="ab" * 32).to_json(), encoding="utf-8")

    with pytest.raises(NodeConfigError, match=r"^theirs\.json is the record of another ceremony"):
        ceremony_of(contract, file)
