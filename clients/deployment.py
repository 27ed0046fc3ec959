"""From `node.toml` to a node: its contract, its key, its rows, its memory, the system's randomness."""

from __future__ import annotations

from pathlib import Path

from clients.config import NodeConfig
from clients.file_books import FileBooks
from clients.loading import load_rows
from clients.memory import FileMemory
from clients.node import Node, Submitter
from clients.policy import Policy, load_policy
from clients.porter import Porter
from fedscore.contract import Contract, Learner, NoiseMode, load_contract
from fedscore.errors import NodeConfigError
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.monitoring.card_file import watched_card
from fedscore.learners.neural.extra import require_neural_extra
from fedscore.sums import Side
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.paillier import PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from privacy.dp.randomness import RandomSource, SystemRandomness
from privacy.identities import Identity
from privacy.paillier.record import CeremonyRecord
from privacy.paillier.shares import KeyShare

__all__ = ["accepted_contract", "books_of", "identity_of", "load_rows", "node_of", "porter_of"]


def node_of(config: NodeConfig, *, randomness: RandomSource | None = None) -> Node:
    """Builds the node that a configuration describes.

    Args:
        config: What the owner decided.
        randomness: Where the noise comes from; the operating system if left out.

    Raises:
        ContractError: The contract has mistakes.
        KeyRefused: A key file is malformed.
        SignatureRefused: The ceremony's record is not signed by its dealer.
        NodeConfigError: Contract, roster and keys do not belong together.
        PolicyRefused: The owner has not accepted the contract.
        MissingExtra: It trains a neural model, and this node has data and no torch or no Opacus.
        CardError: It watches a card, and that is missing, malformed or another one.
    """
    policy = load_policy(config.policy)
    contract = accepted_contract(config)
    policy.require_contract(contract)
    record = ceremony_of(contract, config.ceremony)
    identity = identity_of(config)
    _require_identity(identity, config, contract, record)
    share = _share(config, record)
    card = watched_card(contract, config.card)
    series = KeySeries.of(record)
    signing_keys = contract.signing_keys
    return Node(
        name=config.party,
        contract=contract,
        series=series,
        signer=identity,
        memory=FileMemory(config.state, series),
        books=books_of(config, policy, identity),
        submitter=_submitter(config, contract, record, identity, randomness or SystemRandomness()),
        member=PaillierMember(share=share, signing_keys=signing_keys) if share is not None else None,
        agenda_of=lambda agreed, run: Agenda(agreed, run=run, program=program_of(agreed, card)),
    )


def porter_of(config: NodeConfig) -> Porter:
    """The porter of the node that a configuration describes; the node itself is built for what is let in.

    Raises:
        NodeConfigError: The policy cannot be read, or has mistakes.
    """
    operator = bytes.fromhex(load_policy(config.policy).operator)
    return Porter(lambda: node_of(config), party=config.party, operator=operator)


def identity_of(config: NodeConfig) -> Identity:
    """The organisation's own.

    Raises:
        KeyRefused: The file is malformed.
        NodeConfigError: It cannot be read.
    """
    return Identity.from_json(_text(config.identity))


def books_of(config: NodeConfig, policy: Policy, identity: Identity) -> FileBooks:
    """The books of the source of data that a configuration takes its rows from.

    Raises:
        NodeConfigError: The node has data, and its policy has no budget.
    """
    if config.data is not None and policy.budget is None:
        raise NodeConfigError(
            f"{config.policy.name} has no [budget], and this node has data: say what may be spent over their "
            "life, as in epsilon = 3.0, delta = 1e-5, run_epsilon = 1.0"
        )
    return FileBooks(
        config.ledger,
        party=config.party,
        signer=identity,
        signing_key=identity.public.signing_key,
        source=policy.source,
        limits=policy.budget.limits if policy.budget is not None else None,
        policy=policy.hash(),
    )


def accepted_contract(config: NodeConfig) -> Contract:
    """Reads the contract and refuses one that this node cannot keep.

    Raises:
        ContractError: The contract has mistakes.
        NodeConfigError: The party is not on its roster in this role, or the contract is one for simulations:
            sums without noise, parties without keys, or no committee.
    """
    contract = load_contract(config.contract)
    name = config.contract.name
    party = contract.parties_by_name.get(config.party)
    if (party.role if party is not None else None) is not config.role:
        raise NodeConfigError(
            f"{config.party} is not on the roster of {name} as {config.role or 'an auditor'}: use the "
            "party's name and role as the contract has them; an auditor is no party, and leaves role out"
        )
    if contract.privacy.noise is NoiseMode.NONE:
        raise NodeConfigError(
            f'{name} says noise = "none", which promises nothing: that is for simulations; '
            'a node takes part with "shared" or "local" noise'
        )
    return contract


def _require_identity(
    identity: Identity, config: NodeConfig, contract: Contract, record: CeremonyRecord
) -> None:
    """Refuses an identity that the others would not know this organisation by."""
    known = [contract.signing_keys.get(config.party)]
    number = record.index_of(config.party)
    if config.key_share is not None:
        known.append(record.members[number - 1].signing_key if number is not None else None)
    expected = [key for key in known if key is not None]
    if not expected or any(key != identity.public.signing_key for key in expected):
        raise NodeConfigError(
            f"{config.identity.name} is not the identity of {config.party} that the contract's roster and "
            "the ceremony's record name: use the one whose public part was given to the others"
        )


def _submitter(
    config: NodeConfig,
    contract: Contract,
    record: CeremonyRecord,
    identity: Identity,
    randomness: RandomSource,
) -> Submitter | None:
    source, role = config.data, config.role
    if source is None or role is None:
        return None
    if contract.learner is Learner.NEURAL:
        # Else the first gradient would fail after it was charged.
        require_neural_extra()
    return Submitter(
        load_rows=lambda day: load_rows(source, contract, role=role, day=day),
        load_test_rows=lambda day: load_rows(source, contract, role=role, day=day, side=Side.TEST),
        sealer=PaillierSealer(public_key=record.public_key, party=config.party, signer=identity),
        randomness=randomness,
        answer_seconds=contract.privacy.answer_seconds,
    )


def _share(config: NodeConfig, record: CeremonyRecord) -> KeyShare | None:
    if config.key_share is None:
        return None
    share = KeyShare.from_json(_text(config.key_share))
    record.committee.require_share(share)
    if share.index != record.index_of(config.party):
        raise NodeConfigError(
            f"{config.key_share.name} is the share of another member than {config.party}: use the one that "
            "was sealed to this organisation"
        )
    return share


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise NodeConfigError(
            f"{path} cannot be read ({type(error).__name__}): check its path and rights"
        ) from None
