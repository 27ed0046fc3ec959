"""Committees that could open more than sums are refused, and all others are not."""

from __future__ import annotations

import itertools

import pytest

from fedscore.contract import CommitteeTerms, Contract, FindingLevel, Party, Role, check, parse_contract
from fedscore.contract.encryption_rules import committee_problems
from fedscore.errors import ContractError

KEYS = [f"{number:02x}" * 32 for number in range(1, 4)]
CEREMONY = "5e" * 32
TWO_OF_THREE = {"members": 3, "threshold": 2, "colluding_members": 1}
FOUR_OF_SEVEN = {"members": 7, "threshold": 4, "colluding_members": 1}


@pytest.fixture(scope="module")
def bare(tiny_text: str) -> Contract:
    """Three parties without keys, and no committee."""
    roster = [
        Party(name="north", role=Role.PLATFORM),
        Party(name="south", role=Role.PLATFORM),
        Party(name="agency", role=Role.COLLECTOR),
    ]
    return parse_contract(tiny_text).with_parties(roster)


def is_accepted(committee: CommitteeTerms, *, absences: bool) -> bool:
    problems = committee_problems((), committee, absences=absences)
    return all(problem.level is FindingLevel.WARNING for problem in problems)


def what_the_server_opens(members: int, threshold: int, colluding: int, *, cohorts: int) -> int:
    """Most openings of one round that the server and its colluders get.

    Every honest member helps with one of the cohorts, whichever the server tells it of; colluding members
    help with all of them, and with anything else.
    """
    if colluding >= threshold:
        return 1_000
    best = 0
    for told in itertools.product(range(cohorts), repeat=members - colluding):
        best = max(best, sum(told.count(cohort) + colluding >= threshold for cohort in range(cohorts)))
    return best


@pytest.mark.parametrize("cohorts", [1, 2, 3])
def test_a_committee_is_accepted_if_and_only_if_one_sum_of_a_round_can_be_opened(cohorts: int) -> None:
    verdicts = set()
    for members, threshold in itertools.product(range(1, 6), range(1, 7)):
        for colluding in range(members + 1):
            committee = CommitteeTerms(members=members, threshold=threshold, colluding_members=colluding)
            opened = what_the_server_opens(members, threshold, min(colluding, members), cohorts=cohorts)
            accepted = is_accepted(committee, absences=cohorts > 1)
            assert accepted == (opened == 1), (committee, opened)
            verdicts.add(accepted)
    assert verdicts == {True, False}


@pytest.mark.parametrize("absences", [False, True])
def test_the_threshold_that_is_advised_is_the_least_that_is_accepted(absences: bool) -> None:  # noqa: FBT001 - a test's parameter
    for members in range(1, 33):
        for colluding in range(members):
            tried = {
                threshold: CommitteeTerms(members=members, threshold=threshold, colluding_members=colluding)
                for threshold in range(1, members + 1)
            }
            accepted = [t for t, committee in tried.items() if is_accepted(committee, absences=absences)]
            least = tried[1].least_threshold(absences=absences)
            assert accepted == list(range(least, members + 1))
            for committee in tried.values():
                problems = [
                    problem
                    for problem in committee_problems((), committee, absences=absences)
                    if problem.level is FindingLevel.ERROR
                ]
                assert all(f"a threshold of {least} would do" in problem.message for problem in problems)


def test_absences_decide_whether_four_of_seven_is_enough(bare: Contract) -> None:
    four_of_seven = bare.with_encryption(committee=FOUR_OF_SEVEN)
    assert four_of_seven.encryption.committee == CommitteeTerms(**FOUR_OF_SEVEN)
    with pytest.raises(ContractError, match=r"2 x 4 is not above 7 [+] 1: .*a threshold of 5 would do"):
        four_of_seven.with_privacy(absent=1)
    with pytest.raises(ContractError, match="a threshold of 5 would do"):
        bare.with_privacy(absent=1).with_encryption(committee=CommitteeTerms(**FOUR_OF_SEVEN))
    five = {**FOUR_OF_SEVEN, "threshold": 5}
    assert bare.with_privacy(absent=1).with_encryption(committee=five).privacy.absent == 1


def test_a_committee_may_be_larger_than_the_roster(bare: Contract) -> None:
    committee = CommitteeTerms(members=32, threshold=17, colluding_members=1)
    assert bare.with_encryption(committee=committee).encryption.committee == committee


def test_one_holder_of_the_whole_key_must_be_trusted_by_name(bare: Contract) -> None:
    alone = {"members": 1, "threshold": 1, "colluding_members": 0}
    assert bare.with_encryption(committee=alone).encryption.committee == CommitteeTerms(**alone)
    with pytest.raises(ContractError, match="1 of 1 members may collude"):
        bare.with_encryption(committee={**alone, "colluding_members": 1})


def test_a_ceremony_belongs_to_a_committee(bare: Contract) -> None:
    with pytest.raises(ContractError, match="a ceremony makes the keys of a committee, and none is named"):
        bare.with_encryption(ceremony=CEREMONY)
    held = bare.with_encryption(committee=TWO_OF_THREE, ceremony=CEREMONY)
    assert held.encryption.ceremony == CEREMONY
    assert held.hash() != bare.with_encryption(committee=TWO_OF_THREE).hash()
    with pytest.raises(ContractError, match="none is named"):
        held.with_encryption(committee=None)
    assert held.with_encryption(committee=None, ceremony=None) == bare


def test_keys_are_part_of_the_roster_and_of_the_hash(bare: Contract) -> None:
    signing = [party.model_copy(update={"key": key}) for party, key in zip(bare.parties, KEYS, strict=True)]
    signed = bare.with_parties(signing)
    assert [party.key for party in signed.parties] == KEYS
    assert signed.signing_keys == {"north": b"\x01" * 32, "south": b"\x02" * 32, "agency": b"\x03" * 32}
    assert bare.with_parties([signing[0], *bare.parties[1:]]).signing_keys == {"north": b"\x01" * 32}
    exchanged = bare.with_parties(
        party.model_copy(update={"key": key}) for party, key in zip(signing, reversed(KEYS), strict=True)
    )
    assert len({bare.hash(), signed.hash(), exchanged.hash()}) == 3


def test_two_parties_with_one_key_are_refused(bare: Contract) -> None:
    first, second, third = bare.parties
    same = [first.model_copy(update={"key": KEYS[0]}), second, third.model_copy(update={"key": KEYS[0]})]
    with pytest.raises(
        ContractError, match="agency has the key of north, so either could sign for the other"
    ):
        bare.with_parties(same)


@pytest.mark.parametrize(
    "key", ["", "0x" + "1" * 62, "A" * 64, "1" * 63, "1" * 65, "1" * 64 + "\n", "g" * 64]
)
def test_a_key_is_sixty_four_digits_and_is_not_repeated_in_a_refusal(key: str, bare: Contract) -> None:
    wrong = Party.model_construct(name="west", role=Role.PLATFORM, key=key)
    with pytest.raises(
        ContractError, match="key: must be 64 hexadecimal digits, 0 to 9 and a to f"
    ) as caught:
        bare.with_parties([*bare.parties, wrong])
    assert not key or key not in str(caught.value)


def with_lines(text: str, *entries: str) -> str:
    return text + "\n" + "\n".join(entries) + "\n"


def test_what_a_deployment_lacks_is_told_at_its_line(tiny_text: str) -> None:
    roster = [f'[[parties]]\nname = "{name}"\nrole = "platform"' for name in "ab"]
    text = with_lines(tiny_text, "[encryption]", "key_bits = 3072", *roster)
    lines = text.splitlines()
    found = {one.where: one for one in check(text) if "a node refuses" in one.message}
    assert list(found) == ["encryption, committee", "party a, key"]
    assert found["encryption, committee"].line == lines.index("[encryption]") + 1
    assert found["party a, key"].line == lines.index("[[parties]]") + 1
    assert "2 of 2 parties have no key" in found["party a, key"].message
    assert {one.level for one in found.values()} == {FindingLevel.WARNING}


def test_a_contract_that_says_nothing_of_encryption_names_no_committee(tiny_text: str) -> None:
    text = with_lines(tiny_text, f'[[parties]]\nname = "a"\nrole = "platform"\nkey = "{KEYS[0]}"')
    [found] = [one for one in check(text) if "a node refuses" in one.message]
    assert (found.where, found.line) == ("encryption, committee", None)


def test_a_roster_that_cannot_be_read_is_not_counted(tiny_text: str) -> None:
    text = with_lines(tiny_text, '[[parties]]\nname = "a"\nrole = "platform"', '[[parties]]\nname = "b"')
    assert not [one for one in check(text) if "a node refuses" in one.message]


def test_a_contract_without_a_roster_lacks_nothing(tiny_text: str) -> None:
    assert not [one for one in check(tiny_text) if "a node refuses" in one.message]


def test_a_key_that_two_parties_have_is_told_where_it_is_repeated(tiny_text: str) -> None:
    roster = [f'[[parties]]\nname = "{name}"\nrole = "platform"\nkey = "{KEYS[0]}"' for name in "ab"]
    text = with_lines(tiny_text, *roster)
    [found] = [one for one in check(text) if one.level is FindingLevel.ERROR]
    assert found.where == "party b, key"
    assert found.line == max(n for n, line in enumerate(text.splitlines(), start=1) if line.startswith("key"))


def test_mistakes_of_a_committee_and_of_other_tables_are_told_together(tiny_text: str) -> None:
    committee = "committee = { members = 7, threshold = 9, colluding_members = 1 }"
    text = with_lines(tiny_text.replace("row_cap = 4000", "row_cap = 0"), "[encryption]", committee)
    assert [one.where for one in check(text) if one.level is FindingLevel.ERROR] == [
        "rows, row_cap",
        "encryption, committee, threshold",
    ]


@pytest.mark.parametrize(("minimum", "absent", "smallest"), [(2, 0, 3), (2, 1, 2), (3, 1, 3), (3, 0, 3)])
def test_the_smallest_cohort_obeys_both_rules(
    minimum: int, absent: int, smallest: int, bare: Contract
) -> None:
    contract = bare.with_privacy(minimum_cohort=minimum, absent=absent)
    assert contract.smallest_cohort == smallest
