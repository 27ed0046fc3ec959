"""The server's own copy of a key's transcript, kept over all runs.

It is not trusted with it: members know their own. It keeps what those who were away need to catch up, and the
newest round's number, so that the next run begins after it. If it is lost, the members' hellos bring it
back, if more than c_m of them have seen its newest head; where fewer have, they refuse an older one. Keep it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from fedscore.errors import NodeConfigError, ProtocolError
from fedscore.files import write_whole
from fedscore.messages import Head
from fedscore.messages.transcript import read_head
from fedscore.sums.series import KeySeries

__all__ = [
    "Chronicle",
    "FileChronicle",
    "Standing",
    "VolatileChronicle",
    "standing_document",
    "standing_from",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a key's transcript stands.

    Attributes:
        round: The newest round that was asked, opened or not.
        head: The newest link.
        opening: What proves it to those who helped to open it.
        signatures: Of members, under the head.
    """

    round: int
    head: Head
    opening: bytes = b""
    signatures: Mapping[int, bytes] = field(default_factory=dict)

    def after(self, round_number: int) -> Self:
        """Where it stands at least, if somebody knows of this round."""
        return replace(self, round=max(self.round, round_number))

    def vouched(self, signatures: Mapping[int, bytes]) -> Self:
        """With more signatures under the same head."""
        return replace(self, signatures={**self.signatures, **signatures})

    def joined(self, other: Self) -> Self:
        """The newer of two, with what the other one knows besides."""
        newer, older = (other, self) if other.head.round > self.head.round else (self, other)
        if older.head == newer.head:
            newer = newer.vouched(older.signatures)
        return newer.after(older.round)


class Chronicle(Protocol):
    """Keeps a standing."""

    def load(self) -> Standing:
        """Returns the newest standing."""
        ...

    def store(self, standing: Standing) -> None:
        """Keeps a standing; when this returns, it survives a crash as far as the store can."""
        ...


class VolatileChronicle:
    """Keeps a standing as long as the process lives: for simulations."""

    def __init__(self, series: KeySeries) -> None:
        self._standing = Standing(round=0, head=series.genesis)

    def load(self) -> Standing:
        """See `Chronicle.load`."""
        return self._standing

    def store(self, standing: Standing) -> None:
        """See `Chronicle.store`."""
        self._standing = standing


class FileChronicle:
    """One file per key, replaced whole and synced."""

    def __init__(self, folder: Path, series: KeySeries) -> None:
        """Names the file; it is made when there is something to keep.

        Args:
            folder: The server's own.
            series: The key's.
        """
        self._series = series
        self._file = folder / f"transcript-{series.genesis.key_id[:16]}.json"

    def load(self) -> Standing:
        """See `Chronicle.load`.

        Raises:
            NodeConfigError: The file cannot be read, is damaged, or is of another key.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return Standing(round=0, head=self._series.genesis)
        except OSError as error:
            raise NodeConfigError(
                f"{self._file.name} cannot be read ({type(error).__name__}): check its rights"
            ) from None
        try:
            return standing_from(json.loads(content), self._series)
        except (ProtocolError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise NodeConfigError(
                f"{self._file.name} is damaged, or of another key: move it away; the members' nodes know "
                "where the transcript stands"
            ) from None

    def store(self, standing: Standing) -> None:
        """See `Chronicle.store`."""
        write_whole(self._file, json.dumps(standing_document(standing), indent=2) + "\n")


def standing_document(standing: Standing) -> dict[str, Any]:
    """What is written of a standing, as JSON has it."""
    return {
        "round": standing.round,
        "head": standing.head.to_bytes().decode(),
        "opening": base64.b64encode(standing.opening).decode(),
        "signatures": {
            str(member): signature.hex() for member, signature in sorted(standing.signatures.items())
        },
    }


def standing_from(fields: Mapping[str, Any], series: KeySeries) -> Standing:
    """Reads what `standing_document` made.

    Raises:
        ProtocolError: The head is malformed.
        ValueError: It is of another key, or does not fit together; or, like a KeyError, TypeError or
            AttributeError, it is no such document.
    """
    head, number = read_head(fields["head"].encode()), fields["round"]
    signatures = {int(member): bytes.fromhex(signature) for member, signature in fields["signatures"].items()}
    if (
        head.key_id != series.genesis.key_id
        or type(number) is not int
        or number < head.round
        or series.vouchers(head, signatures) != signatures
    ):
        raise ValueError
    return Standing(
        round=number,
        head=head,
        opening=base64.b64decode(fields["opening"], validate=True),
        signatures=signatures,
    )
