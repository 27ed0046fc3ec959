"""The keys of a simulated consortium: who sits on the committee, what another process gets, what is known."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from fedscore.contract import Contract, Party, Role
from fedscore.errors import ContractError, KeyRefused
from privacy.paillier.ceremony import Ceremony
from simulations import keys as module
from simulations.keys import (
    SimulatedKeys,
    committee_names,
    hold_ceremony,
    keyed,
    record_of,
    simulated_identity,
)

Keys = Callable[[Contract], SimulatedKeys]
FIVE_OF_SEVEN = {"members": 7, "threshold": 5, "colluding_members": 1}


@pytest.fixture(scope="module")
def with_auditors(tiny_contract: Contract) -> Contract:
    """Three parties and a committee of seven."""
    return tiny_contract.with_encryption(committee=FIVE_OF_SEVEN)


@pytest.fixture(scope="module")
def audited(with_auditors: Contract, known_keys: Keys) -> SimulatedKeys:
    return known_keys(with_auditors)


def test_auditors_fill_a_committee_that_is_larger_than_the_roster(
    with_auditors: Contract, audited: SimulatedKeys
) -> None:
    expected = ("north", "south", "agency", "auditor-1", "auditor-2", "auditor-3", "auditor-4")
    assert committee_names(with_auditors, 7) == expected
    assert tuple(member.name for member in audited.record.members) == expected
    assert [share.index for share in audited.shares] == [1, 2, 3, 4, 5, 6, 7]
    for member in audited.record.members:
        assert member == simulated_identity(member.name).public
    for share in audited.shares:
        audited.record.committee.require_share(share)


def test_the_first_parties_sit_on_a_small_committee(tiny_contract: Contract) -> None:
    assert committee_names(tiny_contract, 2) == ("north", "south")
    assert committee_names(tiny_contract, 3) == ("north", "south", "agency")


def test_the_record_has_the_contracts_rules(with_auditors: Contract, known_keys: Keys) -> None:
    record = known_keys(with_auditors.with_privacy(absent=0)).record
    assert (record.committee.threshold, record.colluding_members, record.absences) == (5, 1, False)
    assert known_keys(with_auditors.with_privacy(absent=1)).record.absences


def test_texts_carry_everything_to_another_process(audited: SimulatedKeys) -> None:
    texts = pickle.loads(pickle.dumps(audited.to_texts()))  # noqa: S301 - written by this very line
    back = SimulatedKeys.from_texts(texts)
    assert back.record == audited.record
    assert back.record.hash() == audited.record.hash()
    assert [share.to_json() for share in back.shares] == [share.to_json() for share in audited.shares]


def test_shares_go_nowhere_but_as_texts(audited: SimulatedKeys) -> None:
    with pytest.raises(KeyRefused, match="not pickled or copied"):
        pickle.dumps(audited)


def test_parties_without_a_key_get_the_simulated_one_and_the_others_keep_theirs(
    tiny_contract: Contract,
) -> None:
    own = "ab" * 32
    roster = [
        Party(name="north", role=Role.PLATFORM),
        Party(name="south", role=Role.PLATFORM, key=own),
        Party(name="agency", role=Role.COLLECTOR),
    ]
    contract = keyed(tiny_contract.with_parties(roster))
    assert [party.key for party in contract.parties] == [
        simulated_identity("north").public.signing_key.hex(),
        own,
        simulated_identity("agency").public.signing_key.hex(),
    ]
    assert keyed(contract) is contract


def test_an_identity_belongs_to_its_name() -> None:
    assert simulated_identity("north").public == simulated_identity("north").public
    assert simulated_identity("north").public.signing_key != simulated_identity("south").public.signing_key


def test_a_ceremony_deals_what_the_contract_says(
    tiny_contract: Contract, small_keys: SimulatedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def deal(**terms: object) -> Ceremony:
        asked.append(terms)
        return Ceremony(committee=small_keys.record.committee, shares=small_keys.shares)

    monkeypatch.setattr(module, "deal", deal)
    keys = hold_ceremony(tiny_contract, key_bits=2048)
    assert asked == [{"bits": 2048, "members": 3, "threshold": 2, "progress": None}]
    assert keys.record.committee == small_keys.record.committee


def test_without_a_committee_nobody_holds_a_key(tiny_contract: Contract, small_keys: SimulatedKeys) -> None:
    without = tiny_contract.with_encryption(committee=None)
    with pytest.raises(ContractError, match="encrypted sums need a committee"):
        hold_ceremony(without, key_bits=2048)
    dealt = Ceremony(committee=small_keys.record.committee, shares=small_keys.shares)
    with pytest.raises(ContractError, match="say who opens them"):
        record_of(without, dealt)
