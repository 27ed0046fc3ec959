"""Which characteristics a score must not use, and which it may use only with care.

The trade's rule is data minimisation and purpose limitation: what a person says to whom, whom they know,
where they are, and what the law calls special categories (GDPR, articles 9 and 10) stay out. The match is
by whole words of a name, a column or a description, so "DebtRatio" holds no "rat". It finds what is
plainly named; it does not prove that a column named otherwise is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FAIR_LENDING", "REFUSED", "Subject", "subjects_in", "words_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A subject that a characteristic may be about.

    Attributes:
        name: What it is called in a message.
        phrase: Matches a phrase that names it, within lower-case words that blanks separate.
        unless: Words beside which a phrase means something else.
        in_descriptions: Whether descriptions are searched as well as names.
    """

    name: str
    phrase: re.Pattern[str]
    unless: frozenset[str]
    in_descriptions: bool


def _subject(name: str, phrases: str, *, unless: str = "", in_descriptions: bool = True) -> Subject:
    """A subject from comma-separated phrases and blank-separated exceptions.

    The words of a phrase may also be written as one, as in "calllog".
    """
    written = "|".join(" ?".join(phrase.split()) for phrase in phrases.split(","))
    return Subject(
        name=name,
        phrase=re.compile(rf"(?<!\S)(?:{written})(?!\S)"),
        unless=frozenset(unless.split()),
        in_descriptions=in_descriptions,
    )


REFUSED: tuple[Subject, ...] = (
    _subject(
        "communication records",
        "sms, call log, call logs, call record, call records, call history, call detail, call details, cdr,"
        "text message, text messages, message content, message contents, message history, private message,"
        "private messages, chat, chats, chat history, inbox, email content, email body, voicemail, whatsapp,"
        "wechat, telegram, conversation, conversations, browsing history",
        unless="reminder reminders otp opt notification notifications",
    ),
    _subject(
        "a person's social graph",
        "social graph, social network, social media, contact list, contacts list, contact book, address book,"
        "phone book, phonebook, phone contacts, device contacts, contact names, friend, friends, relative of,"
        "relatives, kinship, followers, acquaintances",
    ),
    _subject(
        "exact location",
        "gps, latitude, longitude, lat, lng, geolocation, geo location, geohash, geofence, coordinates,"
        "location, locations, whereabouts, cell tower, wifi, trajectory, ip",
        unless="shop store branch warehouse",
    ),
    _subject(
        "a person's address",
        "address, addresses, street, house number",
        unless="months years days time tenure since duration verified match matches matched mismatch changes",
    ),
    _subject(
        "religion", "religion, religions, religious, faith, church, mosque, temple, synagogue", unless="good"
    ),
    _subject(
        "health",
        "health, medical, medicine, medication, diagnosis, disease, illness, disability, disabled, hospital,"
        "clinic, pregnancy, pregnant, mental, prescription, patient, hiv, cancer, sick",
        unless="financial account credit portfolio business",
    ),
    _subject(
        "ethnic origin",
        "ethnicity, ethnic, race, racial, skin colour, skin color, caste, tribe, tribal, national origin,"
        "nationality, immigrant, immigration, mother tongue",
    ),
    _subject(
        "political opinion or union membership",
        "politics, political, party affiliation, party membership, vote, votes, voter, voting, trade union,"
        "labour union, labor union, union member, union membership",
    ),
    _subject(
        "biometrics or genetics",
        "biometric, biometrics, fingerprint, fingerprints, facial, face, iris, retina, voiceprint, voice,"
        "emotion, emotions, dna, genetic, genetics, genome",
        unless="value device browser",
    ),
    _subject(
        "sex life or sexual orientation",
        "sexual, sexuality, sex life, sexual orientation, homosexual, gay, lesbian, bisexual, lgbt, lgbtq",
    ),
    _subject("criminal records", "criminal, conviction, convictions, convicted, arrest, arrests, arrested"),
    # A description of dependents may well say "children"; a characteristic of that name is about them.
    _subject(
        "children",
        "child, children, childs, kid, kids, minors, toddler, baby",
        in_descriptions=False,
    ),
)

FAIR_LENDING: tuple[Subject, ...] = (
    _subject("sex", "sex, gender, male, female"),
    _subject("marital status", "marital, marriage, married, spouse, divorced", in_descriptions=False),
    _subject("age", "age, birth year, year of birth, date of birth", unless="account loan order debt case"),
    _subject(
        "where people live, which can stand for origin",
        "zip, zipcode, postcode, postal code, neighbourhood, neighborhood",
    ),
)

# Runs of capitals ("GPS" in "GPSLat"), words with or without a capital, in that order of preference.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(text: str) -> tuple[str, ...]:
    """Split a name or a sentence into lower-case words.

    Args:
        text: In snake_case, camelCase, capitals or plain words.

    Returns:
        The words; digits and signs only separate them.

    Examples:
        >>> words_of("NumberOfTime30-59DaysPastDue")
        ('number', 'of', 'time', 'days', 'past', 'due')
        >>> words_of("GPSLat_home")
        ('gps', 'lat', 'home')
    """
    return tuple(word.lower() for word in _WORD.findall(text))


def subjects_in(
    subjects: Iterable[Subject], *, names: Iterable[str], description: str
) -> tuple[tuple[Subject, str], ...]:
    """Find the subjects that a characteristic is plainly about.

    Args:
        subjects: Subjects to look for.
        names: The characteristic's name and column.
        description: What the contract says about it.

    Returns:
        Each subject found, with the phrase that named it.
    """
    named = [words_of(name) for name in names]
    described = [*named, words_of(description)]
    found = []
    for subject in subjects:
        for words in described if subject.in_descriptions else named:
            match = subject.phrase.search(" ".join(words))
            if match is not None and subject.unless.isdisjoint(words):
                found.append((subject, match.group()))
                break
    return tuple(found)
