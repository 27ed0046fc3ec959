"""Who is let in: asks that the operator signed, of the version that runs here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from fedscore.errors import PolicyRefused, SignatureRefused
from fedscore.messages import ASK_DOMAIN, SOFTWARE, Ask, Refusal, RefusalCode, Reply
from privacy.identities import verify_signature

__all__ = ["Answering", "Porter"]

logger = logging.getLogger(__name__)


class Answering(Protocol):
    """Answers asks."""

    def answer(self, ask: Ask) -> Reply | Refusal:
        """Answer one ask."""
        ...


class Porter:
    """Stands before a node; what it turns away is not even written into the node's books."""

    def __init__(self, open_node: Callable[[], Answering], *, party: str, operator: bytes) -> None:
        """Sets up a porter.

        Args:
            open_node: Reads the node's files and builds it; called once for what is let in, and never for
                anything else.
            party: The organisation's name.
            operator: Public key of the only operator whose asks are answered, 32 bytes.
        """
        self._open_node = open_node
        self._party = party
        self._operator = operator

    def answer(self, ask: Ask) -> Reply | Refusal:
        """Lets an ask through, or refuses it."""
        try:
            verify_signature(self._operator, ASK_DOMAIN, ask.statement(), ask.signature)
        except SignatureRefused:
            logger.warning(
                "refused round %d (%s): it is not signed by the operator that policy.toml names; ask the "
                "consortium for its operator's key, and compare",
                ask.round,
                ask.phase,
            )
            return self._refusal(ask, RefusalCode.OPERATOR)
        if ask.version != SOFTWARE:
            logger.warning(
                "refused round %d (%s): the operator runs fedscore %s, this node %s: install one version",
                ask.round,
                ask.phase,
                ask.version,
                SOFTWARE,
            )
            return self._refusal(ask, RefusalCode.VERSION)
        try:
            node = self._open_node()
        except PolicyRefused as refused:
            logger.warning("refused round %d (%s): %s", ask.round, ask.phase, refused)
            return self._refusal(ask, RefusalCode.POLICY)
        return node.answer(ask)

    def _refusal(self, ask: Ask, code: RefusalCode) -> Refusal:
        return Refusal(party=self._party, version=SOFTWARE, phase=ask.phase, round=ask.round, code=code)
