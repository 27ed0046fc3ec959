"""Privacy, limits, explanations, monitoring, approvals, and where the card comes from."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.pages import words
from fedscore.pages.document.blocks import Block, Code, Facts, Items, Paragraph, Rows, Section, Signing
from fedscore.pages.promises import assumptions, promise
from fedscore.pages.sheets import characteristic_sheets
from fedscore.pages.standing import Standing, standing_in_words

__all__ = [
    "approvals_section",
    "explanations_section",
    "limits_section",
    "monitoring_section",
    "privacy_section",
    "provenance_section",
]


def privacy_section(card: Card, contract: Contract | None) -> Section:
    """What is promised, to whom, on whose honesty; and how to compute it anew."""
    simulated = (Paragraph(_SIMULATED),) if card.provenance is None else ()
    return Section(
        heading="Privacy", blocks=(*simulated, Paragraph(promise(card)), *_privacy(card, contract))
    )


_SIMULATED = (
    "The card names no run of a deployment. If a simulation made it, its noise came from a seed and its "
    "sums may have been added in clear: then what follows is what a deployment under the same contract "
    "would promise."
)


def _privacy(card: Card, contract: Contract | None) -> Iterator[Block]:
    privacy = card.privacy
    if privacy is None:
        return
    yield Facts(
        (
            ("ε for one record", words.epsilon(privacy.epsilon)),
            ("ε for one person", words.epsilon(privacy.person_epsilon)),
            ("δ for both", words.delta(privacy.delta)),
            ("μ (Gaussian differential privacy)", "infinite" if privacy.mu is None else f"{privacy.mu:.6g}"),
            ("noise", privacy.noise.value),
            *_custody(contract),
        )
    )
    if assumptions(card):
        yield Paragraph("On these assumptions, and on nobody else's honesty:")
        yield Items(assumptions(card))
    if privacy.events:
        yield Paragraph(
            "What was asked for, in steps of each sum's own lattice, so that the figures above can be "
            "computed with other software:"
        )
        yield Rows(
            head=("sum", "over", "values", "squared sensitivity", "variance of a share", "honest shares"),
            rows=tuple(
                (
                    str(event.get("sum", "")),
                    f"{event.get('side', 'training')} rows",
                    *(
                        _whole(event.get(key))
                        for key in ("dimension", "sensitivity_squared", "share_variance", "honest_shares")
                    ),
                )
                for event in privacy.events
            ),
        )
        yield Code(
            "mu^2 of a sum = squared sensitivity / (honest shares * variance of a share - 4)\n"
            "mu^2 of a side = the sum of these over its sums; no record is on both sides of the split\n"
            "delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon * Phi(-mu/2 - epsilon/mu)"
        )
        yield Paragraph("docs/adr/0004-privacy-unit-and-accounting.md has the proof.")


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else words.NOTHING


def _custody(contract: Contract | None) -> Iterator[tuple[str, str]]:
    if contract is None:
        yield "the key's committee", "not in the card, but in the contract: name its file with --contract"
        return
    committee = contract.encryption.committee
    yield (
        "the key's committee",
        "the contract names none"
        if committee is None
        else f"any {committee.threshold} of {committee.members} members open a sum; "
        f"{committee.colluding_members} of them may collude with the operator",
    )
    yield "encryption", f"Paillier with {contract.encryption.key_bits} bits"
    yield "smallest cohort", f"no sum of fewer than {contract.smallest_cohort} organisations is opened"


def limits_section(card: Card) -> Section:
    """What the card does not say, and what could be wrong without anybody noticing."""
    limits = [
        (
            "Rows are what organisations say they are. An organisation that lies, or labels outcomes "
            "otherwise, spoils the card, and no sum shows which one it was."
        ),
        (
            "Noise is part of the points. A bin with few records may be off by its standard error, or by "
            "more; a second training would give other points."
        ),
        (
            "A grid taken from the data would have been published without noise. Nobody can see from a "
            "contract where its edges came from: ask those who wrote it."
        ),
        (
            "ε is for one record. A person with several records is promised less, and how many "
            "organisations a person is at is believed, not counted."
        ),
        (
            "An organisation as a whole is not protected: two trainings, with and without it, show its "
            "table under the noise that hides one record."
        ),
        (
            "Differential privacy does not keep a card from telling what is true of people in general, also "
            "of those who were never in the data."
        ),
        (
            "Customers who were refused credit have no outcome and are in no row: the card knows only those "
            "who were granted it."
        ),
        (
            "If two organisations write the same person differently, one may train and the other test on "
            "that person, which flatters the test figures."
        ),
    ]
    if card.evaluation is None:
        limits.append("What the score is worth was not measured: see Performance.")
    elif card.evaluation.not_measured:
        limits.append(f"Not measurable under this noise: {', '.join(card.evaluation.not_measured)}.")
    if not any(group for group in (card.evaluation.groups if card.evaluation is not None else ())):
        limits.append("How groups of people fare was not measured: see Fairness.")
    if any(line.kind == "not held" for sheet in characteristic_sheets(card) for line in sheet.apart):
        limits.append(
            "Not every organisation holds every characteristic. Where one is not held a record gets that "
            "bin's points, so scores of different roles say less about a person's own behaviour the less "
            "the role holds."
        )
    return Section(heading="Limits", blocks=(Items(tuple(limits)),))


def explanations_section(card: Card) -> Section:
    """Reasons, and what they are told against."""
    items = card.grid.by_name
    return Section(
        heading="Explanations",
        blocks=(
            Paragraph(
                "Whoever is scored can be told why the score is not higher. The reference of a "
                "characteristic is the mean of its points over the training records that hold it: what an "
                "average customer gets. What a person's own bin gives less than that is the "
                "characteristic's loss; half of an interaction's loss counts for each of its two sides. The "
                "reasons are the characteristics with the largest losses. What a role does not hold is "
                "never a reason."
            ),
            Rows(
                head=("characteristic", "reference points", "is told as"),
                rows=tuple(
                    (
                        sheet.name,
                        words.points(sheet.mean_points),
                        _reason(items[sheet.name].reasons, sheet.description),
                    )
                    for sheet in characteristic_sheets(card)
                ),
                in_words=True,
            ),
        ),
    )


def _reason(reasons: dict[str, str], description: str) -> str:
    if reasons:
        return "; ".join(f"{language}: {text}" for language, text in sorted(reasons.items()))
    if description:
        return f"{description} (no reason in the contract: the description stands in)"
    return "its name alone"


def monitoring_section(card: Card) -> Section:
    """How to notice that the card has aged."""
    return Section(
        heading="Monitoring plan",
        blocks=(
            Paragraph(
                "The consortium watches the card on present rows by a run of its own: the same contract with "
                f'learner = "monitoring" and this card\'s fingerprint, {card.fingerprint}. It asks for '
                "private sums at a price of their own, and writes a report."
            ),
            Rows(
                head=("what", "compared with", "reading"),
                rows=(
                    (
                        "population stability index of each characteristic and of the score",
                        "the training records, from the card",
                        "below 0.1 stable, from 0.25 on shifted; undecided where noise hides it",
                    ),
                    (
                        "bad rate",
                        "the bad rate of the training records",
                        "an alarm where a rise of 20 % or more is not excluded",
                    ),
                    (
                        "calibration in the large, and its slope",
                        "the card's own probabilities",
                        "drift where the interval excludes none",
                    ),
                    (
                        "bad rate of each grade",
                        "the expected one above",
                        "the grade's own interval",
                    ),
                )[: 4 if card.grades else 3],
                in_words=True,
            ),
            Code(
                "fedscore card monitor card.json --report monitoring.json    # what such a run has found\n"
                "fedscore card monitor card.json FILE                        # one organisation, on its own "
                "rows"
            ),
            Paragraph(
                "Who reads the reports, how often, and who decides on a new training: to be filled in."
            ),
            Signing(("watched by", "how often", "who decides on a new training")),
        ),
    )


def approvals_section() -> Section:
    """Lines to sign on."""
    return Section(
        heading="Approvals",
        blocks=(
            Signing(
                (
                    "model owner, date",
                    "independent validation, date",
                    "data protection, date",
                    "approved for use, date",
                    "conditions",
                    "next review",
                )
            ),
        ),
    )


def provenance_section(card: Card, standing: Standing) -> Section:
    """Where the card comes from."""
    run = card.provenance
    told = (
        (("run", "not in the card: it comes from a simulation, or its server does not say"),)
        if run is None
        else (
            ("run", run.run),
            ("ended", run.finished),
            ("last sum", f"round {run.round} under its key"),
            ("head of the transcript after it", run.transcript),
        )
    )
    return Section(
        heading="Change log and provenance",
        blocks=(
            Facts(
                (
                    *told,
                    ("contract", f"{card.contract_name}, hash {card.contract_hash}"),
                    ("fingerprint of the card", card.fingerprint),
                    ("signature", standing_in_words(card, standing)),
                    ("software", f"fedscore {card.software_version}"),
                    ("schema of the card", f"{card.schema_version}"),
                )
            ),
            Paragraph(
                "A card is never changed: another training makes another card, with another fingerprint and "
                "its own document. Which card replaced which is not in the card; note it here."
            ),
            Signing(("replaces (fingerprint)", "replaced by (fingerprint), date")),
        ),
    )
