"""What is promised to a record, by the contract alone."""

from __future__ import annotations

from dataclasses import dataclass

from fedscore.contract import Contract
from privacy.dp.gaussian import gaussian_mu

__all__ = ["Promise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The contract's terms; what the program's own accounting says is part of what is audited.

    Attributes:
        epsilon: To a record.
        delta: To a record.
        mu: Of a Gaussian mechanism that gives just that: a program of full-batch rounds is at most it.
    """

    epsilon: float
    delta: float
    mu: float

    @classmethod
    def of(cls, contract: Contract) -> Promise:
        """Reads a contract."""
        terms = contract.privacy
        return cls(epsilon=terms.epsilon, delta=terms.delta, mu=gaussian_mu(terms.epsilon, terms.delta))
