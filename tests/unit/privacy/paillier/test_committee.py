from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import gmpy2
import pytest

from fedscore.contract.encryption_rules import committee_problems
from fedscore.contract.findings import FindingLevel
from fedscore.contract.terms import CommitteeTerms
from fedscore.errors import KeyRefused
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.committee import Committee, lagrange_at_zero
from privacy.paillier.committee_rules import MAXIMUM_MEMBERS, require_committee_rules, require_threshold
from privacy.paillier.shares import KeyShare, verification_key

Primes = Callable[[int], tuple[int, int]]


def refused(members: int, threshold: int, colluding: int, *, absences: bool) -> str | None:
    try:
        require_committee_rules(
            members=members, threshold=threshold, colluding_members=colluding, absences=absences
        )
    except KeyRefused as refusal:
        return str(refusal)
    return None


def opens_too_much(members: int, threshold: int, colluding: int, *, absences: bool) -> bool:
    """By trying: colluding members open alone, or two sets of openers share no honest member."""
    if threshold <= colluding:
        return True
    corrupt = set(range(colluding))
    honest = [set(chosen) - corrupt for chosen in combinations(range(members), threshold)]
    return absences and any(not first & second for first in honest for second in honest)


@pytest.mark.parametrize("absences", [False, True])
def test_the_rules_refuse_exactly_the_committees_that_open_too_much(absences: bool) -> None:  # noqa: FBT001
    for members in range(1, 9):
        for threshold in range(1, members + 1):
            for colluding in range(members):
                assert (refused(members, threshold, colluding, absences=absences) is not None) == (
                    opens_too_much(members, threshold, colluding, absences=absences)
                ), (members, threshold, colluding)


def test_the_contract_refuses_the_same_committees_and_names_the_same_threshold() -> None:
    asked = 0
    for members in range(1, 13):
        for threshold in range(1, members + 2):
            for colluding in range(members + 1):
                for absences in (False, True):
                    terms = CommitteeTerms(members=members, threshold=threshold, colluding_members=colluding)
                    problems = [
                        problem
                        for problem in committee_problems((), terms, absences=absences)
                        if problem.level is FindingLevel.ERROR
                    ]
                    reason = refused(members, threshold, colluding, absences=absences)
                    assert bool(problems) == (reason is not None), (members, threshold, colluding, absences)
                    if colluding < threshold <= members and reason is not None:
                        assert f"choose {terms.least_threshold(absences=absences)} or more" in reason
                    asked += 1
    assert asked == 2 * sum((members + 1) ** 2 for members in range(1, 13))


def test_the_threshold_that_a_refusal_names_is_the_least_that_would_do() -> None:
    for members in range(1, 13):
        for colluding in range(members):
            for absences in (False, True):
                allowed = [
                    threshold
                    for threshold in range(1, members + 1)
                    if refused(members, threshold, colluding, absences=absences) is None
                ]
                assert allowed == list(range(allowed[0], members + 1))
                for threshold in range(1, allowed[0]):
                    reason = refused(members, threshold, colluding, absences=absences)
                    assert reason is not None
                    assert f" {allowed[0]} or more" in reason


@pytest.mark.parametrize(
    ("members", "threshold", "colluding", "message"),
    [
        (0, 1, 0, "a committee of 0 is refused: choose 1 to 32 members"),
        (33, 20, 0, "a committee of 33 is refused: choose 1 to 32 members"),
        (3, 0, 0, "a threshold of 0 of 3 members is refused: choose one from 1 to 3"),
        (3, 4, 0, "a threshold of 4 of 3 members is refused: choose one from 1 to 3"),
        (3, 2, -1, "-1 colluding members of 3 are refused: count on 0 to 2"),
        (3, 3, 3, "3 colluding members of 3 are refused: count on 0 to 2"),
        (7, 2, 2, "2 of 7 open is refused where 2 may collude: .* above 2, so 5 or more"),
        (7, 4, 1, "4 of 7 open and 1 may collude .* must be above 8, so choose 5 or more"),
    ],
)
def test_refusals_name_the_limit_and_the_next_step(
    members: int, threshold: int, colluding: int, message: str
) -> None:
    with pytest.raises(KeyRefused, match=message):
        require_committee_rules(
            members=members, threshold=threshold, colluding_members=colluding, absences=True
        )


def test_the_largest_committee_is_allowed() -> None:
    require_threshold(members=MAXIMUM_MEMBERS, threshold=MAXIMUM_MEMBERS)
    require_committee_rules(members=7, threshold=5, colluding_members=1, absences=True)
    require_committee_rules(members=3, threshold=2, colluding_members=1, absences=False)
    require_committee_rules(members=1, threshold=1, colluding_members=0, absences=True)


def changed(committee: Committee, **change: Any) -> Committee:  # noqa: ANN401  # any field, of any type
    values = {
        name: getattr(committee, name)
        for name in ("public_key", "threshold", "verification_base", "verification_keys")
    }
    return Committee(**values | change)


@pytest.mark.parametrize(("members", "threshold"), [(1, 1), (4, 1), (4, 4), (7, 5), (9, 6), (32, 17)])
def test_a_dealt_committee_is_accepted(primes: Primes, members: int, threshold: int) -> None:
    committee = unsafe_deal_from_primes(*primes(128), members=members, threshold=threshold).committee
    assert committee.members == members
    assert committee.delta == math.factorial(members)
    assert changed(committee) == committee


def test_every_single_wrong_verification_key_is_noticed(primes: Primes) -> None:
    committee = unsafe_deal_from_primes(*primes(128), members=7, threshold=5).committee
    n = committee.public_key.n
    keys = committee.verification_keys
    for position, key in enumerate(keys):
        for wrong in (key * committee.verification_base % n, pow(key, 2, n), 1, keys[position - 1]):
            spoiled = (*keys[:position], wrong, *keys[position + 1 :])
            with pytest.raises(KeyRefused, match="not those of 7 shares of which any 5 and no fewer open"):
                changed(committee, verification_keys=spoiled)


def test_verification_keys_in_another_order_are_noticed(toy: Ceremony) -> None:
    keys = toy.committee.verification_keys
    with pytest.raises(KeyRefused, match="not those of 3 shares"):
        changed(toy.committee, verification_keys=(keys[1], keys[0], keys[2]))


def test_a_dealer_who_shares_another_secret_is_noticed(primes: Primes) -> None:
    """The shares fit each other and their verification keys: only what they share is not 1/n."""
    p, q = primes(128)
    honest = unsafe_deal_from_primes(p, q, members=3, threshold=2)
    n, base = p * q, honest.committee.verification_base
    shifted = tuple(verification_key(base, share.value + 1, 3, n) for share in honest.shares)
    with pytest.raises(KeyRefused, match="not those of 3 shares"):
        changed(honest.committee, verification_keys=shifted)


def test_a_dealer_who_claims_a_lower_or_higher_threshold_is_noticed(primes: Primes) -> None:
    committee = unsafe_deal_from_primes(*primes(128), members=5, threshold=3).committee
    for threshold in (1, 2, 4, 5):
        with pytest.raises(KeyRefused, match="not those of 5 shares"):
            changed(committee, threshold=threshold)


def test_one_share_off_the_polynomial_is_noticed_though_every_other_set_opens(primes: Primes) -> None:
    p, q = primes(128)
    dealt = unsafe_deal_from_primes(p, q, members=5, threshold=3)
    n, base = p * q, dealt.committee.verification_base
    values = [share.value for share in dealt.shares]
    for position in range(5):
        off = [value + (place == position) for place, value in enumerate(values)]
        keys = tuple(verification_key(base, value, 5, n) for value in off)
        with pytest.raises(KeyRefused, match="not those of 5 shares"):
            changed(dealt.committee, verification_keys=keys)


def test_signs_of_verification_keys_do_not_matter(toy: Ceremony) -> None:
    n, keys = toy.public_key.n, toy.committee.verification_keys
    changed(toy.committee, verification_keys=(n - keys[0], keys[1], keys[2]))


def test_bases_that_generate_nothing_are_refused(toy: Ceremony, primes: Primes) -> None:
    p, q = primes(256)
    n = p * q
    one_at_p = int(gmpy2.powmod(3, 2 * (p - 1), n))
    assert math.gcd(one_at_p - 1, n) == p
    no_square = next(base for base in range(2, 100) if gmpy2.jacobi(base, n) == -1)
    for base in (0, 1, -1, n - 1, n, n + 4, p, 3 * q, one_at_p, n - one_at_p, no_square):
        with pytest.raises(KeyRefused, match="generates no squares modulo n"):
            changed(toy.committee, verification_base=base)


def test_verification_keys_that_are_no_units_are_refused(toy: Ceremony, primes: Primes) -> None:
    n, keys = toy.public_key.n, toy.committee.verification_keys
    for bad in (0, -1, n, keys[0] + n, keys[0] - n, primes(256)[0]):
        with pytest.raises(KeyRefused, match="no unit modulo n"):
            changed(toy.committee, verification_keys=(bad, *keys[1:]))


def test_committees_of_no_or_too_many_members_are_refused(toy: Ceremony) -> None:
    with pytest.raises(KeyRefused, match="committee of 0"):
        changed(toy.committee, verification_keys=())
    with pytest.raises(KeyRefused, match="committee of 33"):
        changed(toy.committee, verification_keys=toy.committee.verification_keys * 11)
    with pytest.raises(KeyRefused, match="threshold of 4 of 3"):
        changed(toy.committee, threshold=4)


def test_shares_of_other_ceremonies_are_refused(toy: Ceremony, primes: Primes) -> None:
    for share in toy.shares:
        toy.committee.require_share(share)
    others = [
        unsafe_deal_from_primes(*primes(256), members=3, threshold=2),
        unsafe_deal_from_primes(*primes(256), members=3, threshold=3),
        unsafe_deal_from_primes(*primes(256), members=4, threshold=2),
        unsafe_deal_from_primes(*primes(128), members=3, threshold=2),
    ]
    for other in others:
        for share in other.shares:
            with pytest.raises(KeyRefused, match=f"share of member {share.index} is of another ceremony"):
                toy.committee.require_share(share)


def test_a_share_off_the_polynomial_is_refused_though_it_fits_itself(toy: Ceremony) -> None:
    share, n = toy.shares[0], toy.public_key.n
    off = KeyShare(
        public_key=toy.public_key,
        index=1,
        members=3,
        threshold=2,
        value=share.value + 1,
        verification_base=share.verification_base,
        verification_key=verification_key(share.verification_base, share.value + 1, 3, n),
    )
    with pytest.raises(KeyRefused, match="share of member 1 is of another ceremony"):
        toy.committee.require_share(off)


def test_the_document_round_trips(toy: Ceremony) -> None:
    document = json.loads(json.dumps(toy.committee.document()))
    assert Committee.from_document(document, unsafe_minimum_bits=512) == toy.committee
    with pytest.raises(KeyRefused, match="512 bits is refused"):
        Committee.from_document(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "holds exactly n, threshold"),
        ({"threshold": "2"}, "whole threshold"),
        ({"threshold": 2.0}, "whole threshold"),
        ({"threshold": True}, "whole threshold"),
        ({"verification_keys": "ab"}, "list of keys"),
        ({"verification_keys": [1, 2, 3]}, "lower-case hexadecimal"),
        ({"verification_keys": []}, "committee of 0"),
        ({"n": 5}, "lower-case hexadecimal"),
        ({"n": "0x5"}, "lower-case hexadecimal"),
        ({"verification_base": "AB"}, "lower-case hexadecimal"),
        ({"verification_base": "0ab"}, "lower-case hexadecimal"),
        ({"verification_base": ""}, "lower-case hexadecimal"),
        ({"verification_base": "a" * 4097}, "at most 4096"),
    ],
)
def test_malformed_documents_are_refused(toy: Ceremony, change: dict[str, object], message: str) -> None:
    with pytest.raises(KeyRefused, match=message):
        Committee.from_document(toy.committee.document() | change, unsafe_minimum_bits=512)
    documents: list[object] = [None, [], "x", {}]
    for document in documents:
        with pytest.raises(KeyRefused, match="holds exactly"):
            Committee.from_document(document)


def test_lagrange_coefficients_interpolate_at_zero() -> None:
    delta = math.factorial(7)
    for chosen in combinations(range(1, 8), 4):
        coefficients = [lagrange_at_zero(index, chosen, delta) for index in chosen]
        for degree in range(4):
            expected = delta if degree == 0 else 0
            terms = zip(coefficients, chosen, strict=True)
            assert sum(coefficient * index**degree for coefficient, index in terms) == expected
