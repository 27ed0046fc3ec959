"""The server's copy of a key's transcript: whole on disk, or the one before; never silently another."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import NodeConfigError
from fedscore.messages import Head
from fedscore.sums.series import HEAD_DOMAIN, KeySeries
from server.chronicle import FileChronicle, Standing, VolatileChronicle
from simulations.keys import simulated_identity

NAMES = {1: "north", 2: "south"}
SERIES = KeySeries(
    genesis=Head.genesis("5e" * 32, "6f" * 32),
    member_names=NAMES,
    member_keys={number: simulated_identity(name).public.signing_key for number, name in NAMES.items()},
    colluding_members=1,
)
OTHER = KeySeries(
    genesis=Head.genesis("5e" * 8 + "00" * 24, "6f" * 32),  # the name of its file is the same
    member_names=NAMES,
    member_keys=SERIES.member_keys,
    colluding_members=1,
)


def standing_at(number: int, *, opening: bytes = b"\x00\xffopening", ahead: int = 2) -> Standing:
    head = Head(
        key_id=SERIES.genesis.key_id,
        round=number,
        run="ab" * 16,
        step=1,
        request="1" * 64,
        opening="0" * 64,
        openings="2" * 64,
        submissions={"north": "3" * 64, "süd": "4" * 64},
        previous=SERIES.genesis.hash,
    )
    signatures = {
        member: simulated_identity(name).sign(HEAD_DOMAIN, head.to_bytes()) for member, name in NAMES.items()
    }
    return Standing(round=number + ahead, head=head, opening=opening, signatures=signatures)


def file_in(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@given(
    number=st.integers(1, 2**32 - 1),
    ahead=st.integers(0, 100),
    opening=st.binary(max_size=200),
)
def test_what_is_stored_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, number: int, ahead: int, opening: bytes
) -> None:
    folder = tmp_path_factory.mktemp("state")
    standing = standing_at(number, opening=opening, ahead=ahead)

    FileChronicle(folder, SERIES).store(standing)

    assert FileChronicle(folder, SERIES).load() == standing
    assert file_in(folder).name == "transcript-5e5e5e5e5e5e5e5e.json"


def test_before_the_first_round_a_transcript_stands_at_its_genesis(tmp_path: Path) -> None:
    for chronicle in (FileChronicle(tmp_path, SERIES), VolatileChronicle(SERIES)):
        assert chronicle.load() == Standing(round=0, head=SERIES.genesis)
    assert list(tmp_path.iterdir()) == []


def test_each_key_has_a_file_of_its_own(tmp_path: Path) -> None:
    third = KeySeries(
        genesis=Head.genesis("7d" * 32, "6f" * 32), member_names={}, member_keys={}, colluding_members=0
    )
    FileChronicle(tmp_path, SERIES).store(standing_at(4))

    assert FileChronicle(tmp_path, third).load() == Standing(round=0, head=third.genesis)


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        fields = json.loads(content)
        change(fields)
        return json.dumps(fields).encode()

    return edit


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "binary": lambda _: b"\xff\xfe\x00",
    "list": lambda _: b"[]",
    "deep": lambda _: b"[" * 100_000,
    "number": lambda _: b"9" * 5000,
    "no-round": _edited(lambda fields: fields.pop("round")),
    "round-text": _edited(lambda fields: fields.update(round="12")),
    "round-true": _edited(lambda fields: fields.update(round=True)),
    "round-back": _edited(lambda fields: fields.update(round=3)),
    "head-none": _edited(lambda fields: fields.update(head=None)),
    "head-other": _edited(lambda fields: fields.update(head=fields["head"].replace(" ", "") + " ")),
    "head-forged": _edited(lambda fields: fields.update(head=fields["head"].replace("3" * 64, "5" * 64))),
    "opening": _edited(lambda fields: fields.update(opening="?" + fields["opening"])),
    "signatures": _edited(lambda fields: fields.update(signatures=[])),
    "signature-short": _edited(lambda fields: fields["signatures"].update({"1": "00"})),
    "signature-false": _edited(lambda fields: fields["signatures"].update({"1": "00" * 64})),
    "signature-stranger": _edited(lambda fields: fields["signatures"].update({"9": "00" * 64})),
    "signature-text": _edited(lambda fields: fields["signatures"].update({"one": "00" * 64})),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    chronicle = FileChronicle(tmp_path, SERIES)
    chronicle.store(standing_at(4))
    content = damage(file_in(tmp_path).read_bytes())
    file_in(tmp_path).write_bytes(content)

    with pytest.raises(NodeConfigError) as refused:
        chronicle.load()

    assert str(refused.value) == (
        "transcript-5e5e5e5e5e5e5e5e.json is damaged, or of another key: move it away; the members' nodes "
        "know where the transcript stands"
    )
    assert refused.value.__cause__ is None
    assert file_in(tmp_path).read_bytes() == content


def test_the_file_of_another_key_is_refused(tmp_path: Path) -> None:
    FileChronicle(tmp_path, SERIES).store(standing_at(4))

    with pytest.raises(NodeConfigError, match="is damaged, or of another key"):
        FileChronicle(tmp_path, OTHER).load()


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "transcript-5e5e5e5e5e5e5e5e.json").mkdir()

    with pytest.raises(NodeConfigError, match=r"cannot be read \(IsADirectoryError\): check its rights"):
        FileChronicle(tmp_path, SERIES).load()


def test_an_opening_survives_as_bytes_and_not_as_text(tmp_path: Path) -> None:
    FileChronicle(tmp_path, SERIES).store(standing_at(4, opening=bytes(range(256))))

    fields = json.loads(file_in(tmp_path).read_bytes())

    assert base64.b64decode(fields["opening"]) == bytes(range(256))


def test_what_comes_later_keeps_what_was_known_before() -> None:
    standing = standing_at(4)

    assert standing.after(3) == standing
    assert standing.after(9).round == 9
    assert standing.vouched({5: b"new"}).signatures == {**standing.signatures, 5: b"new"}


def _stores_for_ever(folder: Path) -> None:
    chronicle = FileChronicle(folder, SERIES)
    number = 1
    while True:
        chronicle.store(standing_at(number, opening=bytes(200_000)))
        (folder.parent / "stored").write_text(str(number))
        number += 1


def test_a_server_killed_while_it_stores_finds_a_whole_standing_and_none_older_than_stored(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    for seconds in (0.02, 0.05, 0.09, 0.03):
        process = multiprocessing.get_context("fork").Process(target=_stores_for_ever, args=(folder,))
        process.start()
        while not (tmp_path / "stored").exists() or not (tmp_path / "stored").read_text():
            time.sleep(0.005)
        time.sleep(seconds)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        written = (tmp_path / "stored").read_text()

        standing = FileChronicle(folder, SERIES).load()

        assert len(standing.opening) == 200_000
        # The note comes after the store, so the file is as new as the note or one newer.
        assert not written or standing.head.round - int(written) in (0, 1)
        (tmp_path / "stored").unlink()
