"""From `node.toml` to a node: its contract, its key, its rows, its memory, the system's randomness."""

from __future__ import annotations

from pathlib import Path

from clients import collector, platform
from clients.config import DataSource, NodeConfig
from clients.node import Node
from clients.operational import read_tables
from clients.rounds import FileRounds
from fedscore.contract import Contract, NoiseMode, Party, Role, load_contract
from fedscore.data import Rows, read_rows, rows_from_table, training_rows
from fedscore.errors import NodeConfigError
from fedscore.sums.paillier import PaillierMember, PaillierSealer
from privacy.dp.randomness import RandomSource, SystemRandomness
from privacy.paillier.keys import PublicKey
from privacy.paillier.shares import KeyShare, require_one_cohort

__all__ = ["accepted_contract", "load_rows", "node_of"]

_ROLE_MODULES = {Role.PLATFORM: platform, Role.COLLECTOR: collector}


def node_of(config: NodeConfig, *, randomness: RandomSource | None = None) -> Node:
    """Builds the node that a configuration describes.

    Args:
        config: What the owner decided.
        randomness: Where the noise comes from; the operating system if left out.

    Raises:
        ContractError: The contract has mistakes.
        KeyRefused: A key file is malformed, or the committee is too small for the absences allowed.
        NodeConfigError: Contract, roster and keys do not belong together.
    """
    contract = accepted_contract(config)
    public_key = PublicKey.from_json(_text(config.public_key))
    if public_key.bits != contract.encryption.key_bits:
        raise NodeConfigError(
            f"{config.public_key.name} holds a key of {public_key.bits} bits, the contract says "
            f"{contract.encryption.key_bits}: use the key of this consortium's ceremony"
        )
    member = _member(config.key_share, public_key)
    if member is not None and contract.privacy.absent:
        require_one_cohort(
            members=member.share.members,
            threshold=member.share.threshold,
            # A single holder is trusted as it is; of several, one may always collude with the server.
            colluding_members=min(1, member.share.members - 1),
        )
    return Node(
        party=config.party,
        contract=contract,
        load_rows=lambda: load_rows(config.data, contract, role=config.role),
        sealer=PaillierSealer(public_key),
        member=member,
        rounds=FileRounds(config.state / "rounds"),
        randomness=randomness if randomness is not None else SystemRandomness(),
    )


def accepted_contract(config: NodeConfig) -> Contract:
    """Reads the contract and refuses one that this node cannot keep.

    Raises:
        ContractError: The contract has mistakes.
        NodeConfigError: The party is not on its roster in this role, or it asks for sums without noise.
    """
    contract = load_contract(config.contract)
    if Party(name=config.party, role=config.role) not in contract.parties:
        raise NodeConfigError(
            f"{config.party} is not on the roster of {config.contract.name} as a {config.role}: use the "
            "party's name and role as the contract has them"
        )
    if contract.privacy.noise is NoiseMode.NONE:
        raise NodeConfigError(
            f'{config.contract.name} says noise = "none", which promises nothing: that is for simulations; '
            'a node takes part with "shared" or "local" noise'
        )
    return contract


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


def _member(path: Path | None, public_key: PublicKey) -> PaillierMember | None:
    if path is None:
        return None
    share = KeyShare.from_json(_text(path))
    if share.public_key != public_key:
        raise NodeConfigError(
            f"{path.name} is a share of another key than the public key given: use both of one ceremony"
        )
    return PaillierMember(share)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise NodeConfigError(
            f"{path} cannot be read ({type(error).__name__}): check its path and rights"
        ) from None
