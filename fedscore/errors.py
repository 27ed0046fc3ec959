"""Every error that fedscore raises on purpose.

A message says what was refused, the limit, and the next step; never a row, a plaintext or a key.

    FedscoreError
    ├── ContractError           contract.toml says something that cannot be kept
    ├── DataError               a file or table does not fit the contract
    ├── ScenarioError           a scenario cannot be run as written
    ├── PrivacyError
    │   ├── AccountingError     an event cannot be priced, or a bound does not hold
    │   ├── NoiseError          no honest share of noise would be left
    │   ├── BudgetExhausted     a program costs more than may be spent
    │   └── LedgerMismatch      a ledger does not agree with what it should have recorded
    ├── EncryptionError
    │   ├── KeyRefused          a key is too small, malformed, or of another series
    │   ├── LayoutError         values do not fit into slots, or slots below the modulus
    │   ├── CiphertextRefused   bytes that are no canonical vector of ciphertexts
    │   ├── ProofRefused        a proof of knowledge, or of a partial opening, does not hold
    │   ├── SignatureRefused    a signature is not that of the key that should have made it
    │   └── OpeningError        partial openings do not combine to a checkable opening
    ├── ProtocolError           a message that the agreed program does not call for
    │   ├── RoundRefused        a round was answered before, or is older than one that was
    │   ├── CohortRefused       submissions of an inadmissible set of parties
    │   ├── TranscriptRefused   a history other than the one that is known here
    │   ├── RoundAbandoned      too few have helped with a round
    │   └── RunFailed           a run cannot go on now
    │       ├── RunOver         a run can never go on
    │       └── RunStopped      the operator ended a run
    ├── PolicyRefused           the owner of a node does not allow it
    ├── EvidenceDamaged         a record of evidence is not what its signer wrote
    ├── CardError               a card file is malformed or of another schema
    ├── NodeConfigError         a node's or server's own files are missing or wrong
    └── MissingExtra            a package of an optional extra is not installed
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "AccountingError",
    "BudgetExhausted",
    "CardError",
    "CiphertextRefused",
    "CohortRefused",
    "ContractError",
    "DataError",
    "EncryptionError",
    "EvidenceDamaged",
    "FedscoreError",
    "KeyRefused",
    "LayoutError",
    "LedgerMismatch",
    "MissingExtra",
    "NodeConfigError",
    "NoiseError",
    "OpeningError",
    "PolicyRefused",
    "PrivacyError",
    "ProofRefused",
    "ProtocolError",
    "RoundAbandoned",
    "RoundRefused",
    "RunFailed",
    "RunOver",
    "RunStopped",
    "ScenarioError",
    "SignatureRefused",
    "TranscriptRefused",
]


class FedscoreError(Exception):
    """Anything that fedscore refuses; catch this to catch them all."""


class ContractError(FedscoreError):
    """The contract says something that cannot be kept."""


class DataError(FedscoreError):
    """A file or table does not fit the contract."""


class ScenarioError(FedscoreError):
    """A scenario cannot be run as written."""


class PrivacyError(FedscoreError):
    """A promise about privacy could not be kept."""


class AccountingError(PrivacyError):
    """An event cannot be priced, or a bound of the accounting does not hold."""


class NoiseError(PrivacyError):
    """No honest share of noise would be left."""


class BudgetExhausted(PrivacyError):
    """A program costs more than may be spent."""


class LedgerMismatch(PrivacyError):
    """A ledger does not agree with its evidence, or with what others have seen."""


class EncryptionError(FedscoreError):
    """Something encrypted, or a key, is not what it must be."""


class KeyRefused(EncryptionError):
    """A key is too small, malformed, or of another series."""


class LayoutError(EncryptionError):
    """Values do not fit into slots, or slots do not fit below the modulus."""


class CiphertextRefused(EncryptionError):
    """Bytes that are no canonical vector of ciphertexts."""


class ProofRefused(EncryptionError):
    """A proof of plaintext knowledge, or of a partial opening, does not hold."""


class SignatureRefused(EncryptionError):
    """A signature is not that of the key that should have made it."""


class OpeningError(EncryptionError):
    """Partial openings do not combine to an opening that checks out."""


class ProtocolError(FedscoreError):
    """A message that the agreed program does not call for."""


class RoundRefused(ProtocolError):
    """A round was answered before with other content, or is older than one that was."""


class CohortRefused(ProtocolError):
    """Submissions of a set of parties whose sum may not be opened."""


class TranscriptRefused(ProtocolError):
    """A history other than the one that is known here, or one that nobody trusted vouches for."""


class RoundAbandoned(ProtocolError):
    """Too few have helped with a round; its sum may have been opened in secret, so it stays paid.

    Attributes:
        problems: What went wrong with whom, a sentence each.
    """

    def __init__(self, reason: str, problems: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.problems = tuple(problems)


class RunFailed(ProtocolError):
    """A run cannot go on now."""


class RunOver(RunFailed):
    """A run can never go on."""


class RunStopped(RunFailed):
    """The operator ended a run."""


class PolicyRefused(FedscoreError):
    """The owner of a node does not allow it."""


class EvidenceDamaged(FedscoreError):
    """A record of evidence is not what its signer wrote, or not all of it."""


class CardError(FedscoreError):
    """A card file is malformed, or of another schema."""


class NodeConfigError(FedscoreError):
    """A node's or the server's own files are missing or wrong."""


class MissingExtra(FedscoreError):
    """A package of an optional extra is not installed."""
