"""`policy.toml`: what the owner of the data allows, whatever an operator asks for."""

from __future__ import annotations

import hashlib
import json
from os import PathLike
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedscore.configuration import load_configuration
from fedscore.contract import Contract
from fedscore.contract.values import Hex64, Identifier, Term
from fedscore.errors import PolicyRefused
from privacy.ledger import Limits

__all__ = ["Budget", "Policy", "load_policy"]


class Budget(Term):
    """What may be spent of one record's privacy, over all runs, contracts and operators."""

    epsilon: Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
    """Over the life of the source of data, at `delta`; a changed contract does not refill it."""

    delta: Annotated[float, Field(strict=True, gt=0.0, le=1e-3)]
    """Over the life of the source of data: above 0, at most 1e-3."""

    run_epsilon: Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
    """The most that one run may cost, at its contract's own delta."""

    @property
    def limits(self) -> Limits:
        """As the ledger takes them."""
        return Limits(epsilon=self.epsilon, delta=self.delta, run_epsilon=self.run_epsilon)


class Policy(Term):
    """What the owner decided."""

    source: Identifier
    """The owner's name for the source of data, as "warehouse"; an auditor names itself."""

    operator: Hex64
    """The operator's signing key, from `fedscore keys show`; nobody else's asks are answered."""

    contracts: tuple[Hex64, ...]
    """Hashes of the contracts that the owner accepted."""

    bundles: tuple[Hex64, ...]
    """SHA-256 of the bundles that an operator may ship; no code of a bundle is ever run."""

    smallest_cohort: Annotated[int, Field(strict=True, ge=2)]
    """The fewest organisations whose sum may be opened."""

    budget: Budget | None = None
    """What may be spent; only an auditor, who has no data, leaves it out."""

    def hash(self) -> str:
        """SHA-256 of what the policy says, for the evidence."""
        fields = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(fields.encode()).hexdigest()

    def require_contract(self, contract: Contract) -> None:
        """Refuses a contract that the owner has not accepted.

        Raises:
            PolicyRefused: Its hash is not listed, or it opens sums of fewer organisations than allowed.
        """
        if contract.hash() not in self.contracts:
            raise PolicyRefused(
                f"contract {contract.name}, hash {contract.hash()}, is not among the {len(self.contracts)} "
                "that policy.toml accepts: read it, and add its hash to contracts if you agree with it"
            )
        if contract.smallest_cohort < self.smallest_cohort:
            raise PolicyRefused(
                f"contract {contract.name} opens sums of {contract.smallest_cohort} organisations; "
                f"policy.toml asks for at least {self.smallest_cohort}: agree on a larger minimum_cohort or "
                "fewer absences, or lower smallest_cohort"
            )


def load_policy(path: str | PathLike[str]) -> Policy:
    """Read a `policy.toml`.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), Policy)
