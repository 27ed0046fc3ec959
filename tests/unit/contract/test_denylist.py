"""What is plainly named is refused, and what only resembles it is not."""

from __future__ import annotations

import pytest

from fedscore.contract.denylist import FAIR_LENDING, REFUSED, subjects_in, words_of


def refused(name: str, description: str = "") -> list[str]:
    return [subject.name for subject, _ in subjects_in(REFUSED, names=[name], description=description)]


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("sms_count_30d", "communication records"),
        ("CallLogLength", "communication records"),
        ("calllog", "communication records"),
        ("whatsapp_messages", "communication records"),
        ("friends_late", "a person's social graph"),
        ("phone_contacts", "a person's social graph"),
        ("address_book_size", "a person's social graph"),
        ("GPSLat", "exact location"),
        ("home_location", "exact location"),
        ("longitude", "exact location"),
        ("ip_address", "exact location"),
        ("homeAddress", "a person's address"),
        ("religion", "religion"),
        ("healthScore", "health"),
        ("MEDICAL_SPEND", "health"),
        ("race", "ethnic origin"),
        ("nationality", "ethnic origin"),
        ("party_membership", "political opinion or union membership"),
        ("trade_union", "political opinion or union membership"),
        ("voice_emotion", "biometrics or genetics"),
        ("fingerprint", "biometrics or genetics"),
        ("sexual_orientation", "sex life or sexual orientation"),
        ("criminal_record", "criminal records"),
        ("children", "children"),
        ("ChildAge", "children"),
    ],
)
def test_a_subject_is_refused(name: str, subject: str) -> None:
    assert subject in refused(name)


@pytest.mark.parametrize(
    "name",
    [
        "NumberOfDependents",
        "AGE",
        "SEX",
        "MARRIAGE",
        "EDUCATION",
        "RevolvingUtilizationOfUnsecuredLines",
        "NumberOfTime30-59DaysPastDueNotWorse",
        "NumberRealEstateLoansOrLines",
        "DebtRatio",
        "months_at_address",
        "contact_attempts",
        "contacts_answered",
        "promises_kept",
        "device_fingerprint_changes",
        "face_value",
        "credit_union_loan",
        "traced_orders",
        "allocation",
        "platform_orders",
        "relative_spend",
        "account_health",
        "good_faith_payments",
        "race_condition"[:4] + "way_orders",
        "shop_location_type",
        "payment_reminder_sms",
        "parties",
        "voter"[:2] + "ucher",
        "flat_fee",
        "translation",
        "skip_rate",
    ],
)
def test_what_only_resembles_a_subject_is_not_refused(name: str) -> None:
    assert refused(name) == []


def test_descriptions_are_searched_too() -> None:
    assert refused("score_7", "Share of spend on religious goods.") == ["religion"]


def test_dependents_may_be_described_by_who_they_are() -> None:
    assert refused("NumberOfDependents", "Number of dependents (spouse, children etc.).") == []


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("SEX", "sex"),
        ("Gender", "sex"),
        ("MARRIAGE", "marital status"),
        ("AGE", "age"),
        ("zip_code", "where"),
    ],
)
def test_fair_lending_is_called_to_mind(name: str, subject: str) -> None:
    [(found, _)] = subjects_in(FAIR_LENDING, names=[name], description="")
    assert found.name.startswith(subject)


@pytest.mark.parametrize("name", ["account_age", "average", "age_of_loan", "percentage", "usage"])
def test_the_age_of_an_account_is_no_age_of_a_person(name: str) -> None:
    assert subjects_in(FAIR_LENDING, names=[name], description="") == ()


def test_words_are_split_at_capitals_digits_and_signs() -> None:
    assert words_of("HTTPServer_lastSeen30d PAY-AMT") == ("http", "server", "last", "seen", "d", "pay", "amt")
