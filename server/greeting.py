"""Who is there: what the hellos of a run say, believed only as far as it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedscore.contract import Contract
from fedscore.errors import ProtocolError, SignatureRefused
from fedscore.messages import Ask, Head, Refusal, Reply
from fedscore.messages.transcript import MAXIMUM_LEAD, read_head
from fedscore.sums.series import HELLO_DOMAIN, KeySeries
from privacy.identities import verify_signature
from server.chronicle import Standing
from server.transport import Silence

__all__ = ["Acquaintance", "acquaint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """Who is there, and where the transcript stands.

    Attributes:
        parties: Addresses by party.
        members: Addresses by committee member's number.
        standing: The newest that enough members vouch for, with a round that no node knows of yet.
        problems: Who was not believed, and why.
    """

    parties: Mapping[str, int]
    members: Mapping[int, int]
    standing: Standing
    problems: tuple[str, ...]


def acquaint(
    answers: Mapping[int, Reply | Refusal | Silence],
    hello: Ask,
    *,
    contract: Contract,
    series: KeySeries,
    standing: Standing,
) -> Acquaintance:
    """Reads the answers to a hello.

    Args:
        answers: By address.
        hello: What was asked.
        contract: With its roster.
        series: The key's.
        standing: Where the server thinks that the transcript stands.
    """
    signed: dict[str, tuple[int, Reply]] = {}
    problems: list[str] = []
    for address, answer in answers.items():
        if not isinstance(answer, Reply):
            continue
        doubt = _doubt(answer, hello, contract, series)
        if doubt is None and answer.party in signed:
            doubt = f"{answer.party} answers from two nodes, and the first one counts"
        if doubt is not None:
            problems.append(f"node {address}: {doubt}")
        else:
            signed[answer.party] = address, answer
    # First the head: after a loss, only from there can be told which count of rounds is absurd.
    standing = _newest(standing, [reply for _, reply in signed.values()], series)
    limit = standing.round + MAXIMUM_LEAD
    believed = {
        name: (address, reply) for name, (address, reply) in signed.items() if reply.last_round <= limit
    }
    problems += [
        f"{name} says that more than {MAXIMUM_LEAD} rounds were asked after round {standing.round}, the "
        "newest that is known here: it is left out; if it is right, bring the committee's nodes back first"
        for name in sorted(signed.keys() - believed.keys())
    ]
    for _, reply in believed.values():
        standing = standing.after(reply.last_round)
    roster = contract.parties_by_name
    return Acquaintance(
        parties={name: address for name, (address, _) in believed.items() if name in roster},
        members={
            reply.committee_member: address
            for address, reply in believed.values()
            if reply.committee_member is not None
        },
        standing=standing,
        problems=tuple(problems),
    )


def _doubt(reply: Reply, hello: Ask, contract: Contract, series: KeySeries) -> str | None:
    """Says why a node is not believed to be who it says it is; names nobody that is not known here."""
    name, member = reply.party, reply.committee_member
    key = contract.signing_keys.get(name)
    if key is None and member is not None and series.member_names.get(member) == name:
        key = series.member_keys.get(member)
    if key is None:
        return (
            "it says that it is somebody who is not on the contract's roster, or has no key there, and holds "
            "no seat on the committee: let it go"
        )
    try:
        verify_signature(key, HELLO_DOMAIN, reply.introduction(hello.contract_hash), reply.signature)
    except SignatureRefused:
        return f"its hello says {name} and is not signed with the key that is known of {name}"
    if (reply.phase, reply.run) != (hello.phase, hello.run):
        return f"{name} answers another question"
    if member is not None and series.member_names.get(member) != name:
        return f"{name} says it is committee member {member}, the ceremony's record says otherwise"
    return None


def _newest(standing: Standing, replies: list[Reply], series: KeySeries) -> Standing:
    """Takes over a newer head that enough members vouch for, and every signature under the head taken."""
    heads: dict[str, Head] = {}
    by_head: dict[str, dict[int, bytes]] = {}
    for reply in replies:
        if reply.committee_member is None:
            continue
        try:
            head = read_head(reply.payload)
        except ProtocolError:
            continue
        heads[head.hash] = head
        vouched = series.vouchers(head, {reply.committee_member: reply.head_signature})
        by_head.setdefault(head.hash, {}).update(vouched)
    for name, vouched in by_head.items():
        head = heads[name]
        newer = head.key_id == standing.head.key_id and head.round > standing.head.round
        if newer and len(vouched) >= series.vouchers_needed:
            standing = Standing(round=standing.round, head=head, signatures=vouched).after(head.round)
    return standing.vouched(by_head.get(standing.head.hash, {}))
