"""What the files of a federation show when all is over: nothing unpaid, nothing twice, nothing backwards.

It believes nobody. What every node says in its evidence is compared with what left it, with what the others
say, and with everything that the operator ever wrote down.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from clients.file_books import FileBooks
from clients.memory import NodeState
from fedscore.errors import FedscoreError
from fedscore.messages.transcript import submission_digest
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, Event
from privacy.evidence import read_evidence
from server.record import RunStatus
from simulations.loopback.sightings import Sighting

__all__ = ["Left", "NodeFiles", "audit"]

_DELTA = 1e-6  # of no consequence to mu

Place = tuple[str, int]
"""A key's id, and a round under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One answer that left a node with something in it.

    Attributes:
        round: Its round.
        run: Its run.
        digest: SHA-256 of its vector, or of its partial opening.
        submissions: Of the cohort that it helps to open, SHA-256 by party; empty for a vector of its own.
    """

    round: int
    run: str
    digest: str
    submissions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """What one organisation has on its disk.

    Attributes:
        name: The organisation's.
        signing_key: Its public key, 32 bytes.
        evidence: The file.
        books: Evidence and ledger together.
        state: What it remembers under the key.
        left: What left it, in order, as somebody noted who stood outside its door.
    """

    name: str
    signing_key: bytes
    evidence: Path
    books: FileBooks
    state: NodeState
    left: Sequence[Left]


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What a node's evidence says, by place and in order."""

    charges: Mapping[Place, Mapping[str, Any]]
    releases: Mapping[Place, str]
    openings: Mapping[Place, Mapping[str, Any]]


def audit(
    nodes: Sequence[NodeFiles],
    sightings: Sequence[Sighting],
    *,
    ends: Mapping[str, RunStatus],
    price: Callable[[int], Event],
) -> list[str]:
    """Looks for whatever must not be.

    Args:
        nodes: All organisations.
        sightings: All that the operator ever wrote about its one key, in order.
        ends: How the runs ended, by id.
        price: What a sum of the program costs, by its step from 0.

    Returns:
        A sentence for each thing that is wrong; none if all is as it should be.
    """
    found: list[str] = []
    histories: dict[str, _History] = {}
    for node in nodes:
        try:
            histories[node.name] = _history(node)
            _require_ledger(node)
        except FedscoreError as broken:
            found.append(f"{node.name}: {broken}")
    found += _unpaid(nodes, histories, sightings)
    found += _underspent(nodes, histories, sightings, price)
    found += _two_submissions(nodes, histories, sightings)
    found += _two_cohorts(nodes, histories, sightings)
    found += _two_partials(nodes)
    found += _two_openings(nodes, sightings)
    found += _backwards(sightings)
    found += _backwards_at_nodes(histories)
    found += _endless(sightings, ends)
    return list(dict.fromkeys(found))


def _history(node: NodeFiles) -> _History:
    charges: dict[Place, Mapping[str, Any]] = {}
    releases: dict[Place, str] = {}
    openings: dict[Place, Mapping[str, Any]] = {}
    for entry in read_evidence(node.evidence.read_bytes(), signing_key=node.signing_key):
        body: Mapping[str, Any] = entry.body
        if entry.kind == "charge":
            charges[body["key"], body["round"]] = body
        elif entry.kind == "release":
            releases[body["key"], body["round"]] = body["submission"]
        elif entry.kind == "opening":
            openings[body["key"], body["round"]] = body
    return _History(charges=charges, releases=releases, openings=openings)


def _require_ledger(node: NodeFiles) -> None:
    with node.books.locked():
        node.books.verify()


def _seen_submissions(
    nodes: Sequence[NodeFiles], histories: Mapping[str, _History], sightings: Sequence[Sighting]
) -> Iterator[tuple[str, Place, str, str]]:
    """Every submission that anybody knows of: whose, where, its hash, and who knows."""
    for place, cohort, where in _seen_cohorts(nodes, histories, sightings):
        for party, digest in cohort.items():
            yield party, place, digest, where
    for name, history in histories.items():
        for place, digest in history.releases.items():
            yield name, place, digest, "its own evidence"
    for node in nodes:
        key, kept = node.state.head.key_id, node.state.collected
        for left in node.left:
            if not left.submissions:
                yield node.name, (key, left.round), left.digest, "what left it"
        if kept is not None:
            yield node.name, (key, kept.round), submission_digest(kept.submission), "its own memory"


def _seen_cohorts(
    nodes: Sequence[NodeFiles], histories: Mapping[str, _History], sightings: Sequence[Sighting]
) -> Iterator[tuple[Place, Mapping[str, str], str]]:
    """Every cohort that anybody knows of: where, whose submissions, and who knows."""
    for sighting in sightings:
        head = sighting.head
        yield (head.key_id, head.round), head.submissions, "a head of the operator's"
        yield (head.key_id, sighting.round), sighting.submissions, "a checkpoint of the operator's"
    for name, history in histories.items():
        for place, opening in history.openings.items():
            yield place, opening["submissions"], f"the evidence of {name}"
    for node in nodes:
        head = node.state.head
        yield (head.key_id, head.round), head.submissions, f"the memory of {node.name}"
        for left in node.left:
            yield (head.key_id, left.round), left.submissions, f"what left {node.name}"


def _unpaid(
    nodes: Sequence[NodeFiles], histories: Mapping[str, _History], sightings: Sequence[Sighting]
) -> Iterator[str]:
    """What was sent was charged before, and noted."""
    for party, place, digest, where in _seen_submissions(nodes, histories, sightings):
        history = histories.get(party)
        if history is None:
            continue
        if place not in history.charges:
            yield f"{party}: round {place[1]} is in {where}, and was never charged"
        # What the memory alone holds has not left yet.
        elif where != "its own memory" and history.releases.get(place) != digest:
            yield f"{party}: its evidence does not hold what it sent for round {place[1]}, as {where} has it"
    for node in nodes:
        history = histories.get(node.name)
        for left in node.left if history is not None else ():
            place = (node.state.head.key_id, left.round)
            if history is not None and left.submissions and place not in history.openings:
                yield f"{node.name}: it helped to open round {left.round}, and its evidence does not say so"


def _underspent(
    nodes: Sequence[NodeFiles],
    histories: Mapping[str, _History],
    sightings: Sequence[Sighting],
    price: Callable[[int], Event],
) -> Iterator[str]:
    """The ledger never shows less than what the opened sums of its rows cost."""
    heads = {one.head.hash: one.head for one in sightings if one.head.round > 0}
    for node in nodes:
        if node.name not in histories:
            continue
        opened = tuple(price(head.step - 1) for head in heads.values() if node.name in head.submissions)
        try:
            with node.books.locked():
                spent = node.books.spending().spent
        except FedscoreError:
            continue  # was found already
        if not opened:
            continue
        shown, due = (guarantee(event, delta=_DELTA).mu for event in (spent, Composed(events=opened)))
        # The sums of floats in another order differ in their last bits.
        if shown < due * (1 - 1e-12):
            yield f"{node.name}: its ledger shows mu {shown:.6f}, and what was opened cost {due:.6f}"


def _two_submissions(
    nodes: Sequence[NodeFiles], histories: Mapping[str, _History], sightings: Sequence[Sighting]
) -> Iterator[str]:
    known: dict[tuple[str, Place], set[str]] = defaultdict(set)
    for party, place, digest, _ in _seen_submissions(nodes, histories, sightings):
        known[party, place].add(digest)
    for (party, place), digests in known.items():
        if len(digests) > 1:
            yield f"{party}: {len(digests)} different submissions of round {place[1]} are known"


def _two_cohorts(
    nodes: Sequence[NodeFiles], histories: Mapping[str, _History], sightings: Sequence[Sighting]
) -> Iterator[str]:
    """One cohort per round, and one product of it."""
    cohorts: dict[Place, set[str]] = defaultdict(set)
    products: dict[Place, set[str]] = defaultdict(set)
    # Nobody is asked to open what the server was about to write down: after a kill it may be another cohort.
    stored = [one for one in sightings if one.stored]
    for place, cohort, _ in _seen_cohorts(nodes, histories, stored):
        if cohort:
            cohorts[place].add(_text(cohort))
    for history in histories.values():
        for place, opening in history.openings.items():
            products[place].add(opening["product"])
    for what, by_place in (("cohorts", cohorts), ("products", products)):
        for place, different in by_place.items():
            if len(different) > 1:
                yield f"round {place[1]} has {len(different)} {what}"


def _two_partials(nodes: Sequence[NodeFiles]) -> Iterator[str]:
    for node in nodes:
        partials: dict[int, set[str]] = defaultdict(set)
        for left in node.left:
            if left.submissions:
                partials[left.round].add(left.digest)
        for number, digests in partials.items():
            if len(digests) > 1:
                yield f"{node.name}: {len(digests)} different partial openings of round {number} left it"


def _two_openings(nodes: Sequence[NodeFiles], sightings: Sequence[Sighting]) -> Iterator[str]:
    """One head per round, which commits to the values; and values that never change."""
    heads: dict[Place, set[str]] = defaultdict(set)
    values: dict[tuple[str, int], set[str]] = defaultdict(set)
    for head in (*(one.head for one in sightings), *(node.state.head for node in nodes)):
        heads[head.key_id, head.round].add(head.hash)
    for sighting in sightings:
        for step, opening in enumerate(sighting.openings):
            values[sighting.run, step].add(hashlib.sha256(opening).hexdigest())
    for place, different in heads.items():
        if len(different) > 1:
            yield f"round {place[1]} was opened {len(different)} times"
    for (run, step), different in values.items():
        if len(different) > 1:
            yield f"sum {step + 1} of run {run} was opened with {len(different)} different values"


def _backwards(sightings: Sequence[Sighting]) -> Iterator[str]:
    """The operator's rounds only grow, and every head follows the one before."""
    # What was never written leads nowhere: the next process begins where the last write was.
    for before, after in pairwise([one for one in sightings if one.stored]):
        if after.round < before.round:
            yield f"the operator went back from round {before.round} to {after.round}"
        if after.head.round < before.head.round:
            yield f"the operator went back from the head of {before.head.round} to that of {after.head.round}"
    heads = {one.head.hash: one.head for one in sightings}
    for earlier, later in pairwise(sorted(heads.values(), key=lambda head: head.round)):
        if later.previous != earlier.hash:
            yield f"the head of round {later.round} does not follow the one of {earlier.round}"


def _backwards_at_nodes(histories: Mapping[str, _History]) -> Iterator[str]:
    for name, history in histories.items():
        for what, places in (
            ("charged", history.charges),
            ("sent for", history.releases),
            ("helped to open", history.openings),
        ):
            rounds: dict[str, list[int]] = defaultdict(list)
            for key, number in places:
                rounds[key].append(number)
            for numbers in rounds.values():
                if any(after <= before for before, after in pairwise(numbers)):
                    yield f"{name}: the rounds that it {what} do not grow"


def _endless(sightings: Sequence[Sighting], ends: Mapping[str, RunStatus]) -> Iterator[str]:
    """Every run that took a round's number came to its end, or was ended on purpose."""
    for run in dict.fromkeys(one.run for one in sightings if one.run):
        status = ends.get(run)
        if status not in (RunStatus.FINISHED, RunStatus.STOPPED):
            yield f"run {run} did not end: {status or 'nobody knows how it stands'}"


def _text(submissions: Mapping[str, str]) -> str:
    return json.dumps(dict(submissions), sort_keys=True)
