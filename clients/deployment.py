"""From `node.toml` to a node: its contract, its key, its rows, its memory, the system's randomness."""

from __future__ import annotations

from pathlib import Path

from clients import collector, platform
from clients.config import DataSource, NodeConfig
from clients.memory import FileMemory
from clients.node import Node, Submitter
from clients.operational import read_tables
from fedscore.contract import Contract, NoiseMode, Role, load_contract
from fedscore.data import Rows, read_rows, rows_from_table, training_rows
from fedscore.errors import NodeConfigError
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.paillier import PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from privacy.dp.randomness import RandomSource, SystemRandomness
from privacy.identities import Identity
from privacy.paillier.record import CeremonyRecord
from privacy.paillier.shares import KeyShare

__all__ = ["accepted_contract", "load_rows", "node_of"]

_ROLE_MODULES = {Role.PLATFORM: platform, Role.COLLECTOR: collector}


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
    """
    contract = accepted_contract(config)
    record = ceremony_of(contract, config.ceremony)
    identity = Identity.from_json(_text(config.identity))
    _require_identity(identity, config, contract, record)
    share = _share(config, record)
    series = KeySeries.of(record)
    signing_keys = contract.signing_keys
    return Node(
        name=config.party,
        contract=contract,
        series=series,
        signer=identity,
        memory=FileMemory(config.state, series),
        submitter=_submitter(config, contract, record, identity, randomness or SystemRandomness()),
        member=PaillierMember(share=share, signing_keys=signing_keys) if share is not None else None,
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
    return Submitter(
        load_rows=lambda: load_rows(source, contract, role=role),
        sealer=PaillierSealer(public_key=record.public_key, party=config.party, signer=identity),
        randomness=randomness,
    )


def load_rows(source: DataSource, contract: Contract, *, role: Role) -> Rows:
    """Reads the rows that train: from a ready table, or from operational tables as of a date.

    Raises:
        DataError: The data do not fit the contract.
    """
    if source.table is not None:
        return training_rows(read_rows(source.table, contract, role=role), contract)
    if source.tables is None or source.as_of is None:
        raise NodeConfigError("the data are neither a table nor tables with a date: complete [data]")
    module = _ROLE_MODULES[role]
    table = module.rows_as_of(
        read_tables(source.tables, module.TABLES),
        as_of=source.as_of,
        horizon_days=contract.outcome.horizon_days,
    )
    return training_rows(rows_from_table(table, contract, role=role), contract)


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
