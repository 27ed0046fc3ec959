from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clients.memory import FileMemory
from fedscore.cli.main import app
from fedscore.errors import OpeningError
from fedscore.sums.series import KeySeries
from privacy.identities import Identity, PublicIdentity
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.record import CeremonyRecord
from privacy.paillier.shares import KeyShare

VECTORS = Path(__file__).parents[2] / "vectors" / "paillier_safe_primes.json"
NAMES = ("north", "south", "agency")

Keys = Callable[..., Result]


@pytest.fixture(scope="module")
def two_of_three() -> Ceremony:
    p, q = (int(prime, 16) for prime in json.loads(VECTORS.read_text())["1024"])
    return unsafe_deal_from_primes(p, q, members=3, threshold=2)


@pytest.fixture
def dealings(monkeypatch: pytest.MonkeyPatch, two_of_three: Ceremony) -> list[dict[str, object]]:
    """What ceremonies asked for. Their primes are committed ones: finding new ones is tested elsewhere."""
    asked: list[dict[str, object]] = []

    def deal(**options: object) -> Ceremony:
        asked.append(options)
        return two_of_three

    monkeypatch.setattr("privacy.paillier.ceremony.deal", deal)
    return asked


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Runs `fedscore keys` in a fresh folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["keys", *(str(word) for word in words)])


@pytest.fixture
def identities(keys: Keys) -> tuple[str, ...]:
    """Three organisations with identities; the options that name their public files."""
    options: list[str] = []
    for name in NAMES:
        assert keys("identity", "--name", name, "--out", name).exit_code == 0
        options += ["--member", f"{name}/identity.pub.json"]
    return tuple(options)


RULE = ("--threshold", "2", "--colluding-members", "0", "--bits", "2048")


@pytest.fixture
def ceremony(keys: Keys, identities: tuple[str, ...], dealings: list[dict[str, object]]) -> CeremonyRecord:
    done = keys("ceremony", *identities, *RULE, "--out", "out")
    assert done.exit_code == 0, done.output
    assert len(dealings) == 1
    return CeremonyRecord.from_json(Path("out/ceremony.json").read_text())


def accept(keys: Keys, name: str, **options: str) -> Result:
    words = {
        "identity": f"{name}/identity.json",
        "ceremony": "out/ceremony.json",
        "out": f"{name}/key_share.json",
        "state": f"{name}/state",
    } | options
    sealed = words.pop("sealed", f"out/share_{name}.sealed")
    return keys("accept", sealed, *(word for pair in words.items() for word in (f"--{pair[0]}", pair[1])))


def is_private(file: Path) -> bool:
    return file.stat().st_mode & 0o077 == 0


def test_an_identity_has_a_secret_half_that_only_its_owner_reads(keys: Keys) -> None:
    done = keys("identity", "--name", "north", "--out", "deep/north")
    assert done.exit_code == 0, done.output
    folder = Path("deep/north")
    assert sorted(file.name for file in folder.iterdir()) == ["identity.json", "identity.pub.json"]
    assert is_private(folder / "identity.json")
    identity = Identity.from_json((folder / "identity.json").read_text())
    public = PublicIdentity.from_json((folder / "identity.pub.json").read_text())
    assert identity.public == public
    assert public.fingerprint in done.output
    assert public.signing_key.hex() in done.output
    secret = json.loads((folder / "identity.json").read_text())
    for part in ("signing_key", "sealing_key"):
        assert secret[part] not in done.output
        assert secret[part] not in public.to_json()


@pytest.mark.parametrize("existing", ["identity.json", "identity.pub.json"])
def test_an_identity_overwrites_nothing(keys: Keys, existing: str) -> None:
    Path(existing).write_text("precious")
    done = keys("identity", "--name", "north", "--out", ".")
    assert done.exit_code == 1
    assert f"{existing} exists, and keys are never overwritten" in done.output
    assert [file.read_text() for file in Path().iterdir()] == ["precious"]


def test_a_name_that_is_no_name_is_refused_before_anything_is_written(keys: Keys) -> None:
    done = keys("identity", "--name", "../north", "--out", "north")
    assert done.exit_code == 1
    assert "use 1 to 64 letters" in done.output
    assert not Path("north").exists()


def test_a_ceremony_leaves_a_record_and_sealed_shares_and_nothing_else(
    ceremony: CeremonyRecord, two_of_three: Ceremony
) -> None:
    out = Path("out")
    names = ["ceremony.json", *(f"share_{name}.sealed" for name in sorted(NAMES))]
    assert sorted(file.name for file in out.iterdir()) == names
    assert [member.name for member in ceremony.members] == list(NAMES)
    assert ceremony.committee == two_of_three.committee
    assert (ceremony.colluding_members, ceremony.absences, ceremony.previous) == (0, True, None)
    assert ceremony.dealer.name == "dealer"


def test_no_unsealed_share_is_on_disk_or_on_the_terminal(
    keys: Keys, identities: tuple[str, ...], dealings: list[dict[str, object]], two_of_three: Ceremony
) -> None:
    done = keys("ceremony", *identities, *RULE, "--out", "out")
    assert done.exit_code == 0
    assert len(dealings) == 1
    written = b"".join(file.read_bytes() for file in Path().rglob("*") if file.is_file())
    for share in two_of_three.shares:
        for spelling in (f"{share.value:x}", f"{share.value:X}", str(share.value)):
            assert spelling.encode() not in written
            assert spelling not in done.output
        assert share.value.to_bytes(256, "little") not in written
        assert share.value.to_bytes(256, "big") not in written


def test_a_ceremony_tells_what_people_compare(
    keys: Keys, identities: tuple[str, ...], dealings: list[dict[str, object]]
) -> None:
    done = keys("ceremony", *identities, *RULE, "--out", "out")
    record = CeremonyRecord.from_json(Path("out/ceremony.json").read_text())
    assert f"ceremony     {record.hash()}" in done.output
    assert f"the dealer's fingerprint, {record.dealer.fingerprint}" in re.sub(r"\s+", " ", done.output)
    for member in record.members:
        assert member.fingerprint in done.output
    as_json = keys("ceremony", *identities, *RULE, "--out", "again", "--json")
    summary = json.loads(as_json.stdout)
    again = CeremonyRecord.from_json(Path("again/ceremony.json").read_text())
    assert summary["ceremony"] == again.hash()
    assert summary["members"][2]["name"] == "agency"
    assert len(dealings) == 2


def test_the_options_of_a_ceremony_reach_its_record(
    keys: Keys, identities: tuple[str, ...], dealings: list[dict[str, object]]
) -> None:
    assert keys("ceremony", *identities, *RULE, "--out", "out").exit_code == 0
    keys("identity", "--name", "notary", "--out", "notary")
    done = keys(
        *("ceremony", *identities, "--threshold", "2", "--colluding-members", "1", "--no-absences"),
        *("--replaces", "out/ceremony.json", "--dealer", "notary/identity.json", "--out", "next"),
    )
    assert done.exit_code == 0, done.output
    first, second = (
        CeremonyRecord.from_json(Path(folder, "ceremony.json").read_text()) for folder in ("out", "next")
    )
    assert second.previous == first.hash()
    assert f"replaces     {first.hash()}" in done.output
    assert second.dealer == PublicIdentity.from_json(Path("notary/identity.pub.json").read_text())
    assert (second.colluding_members, second.absences) == (1, False)
    assert [(one["bits"], one["members"], one["threshold"]) for one in dealings] == [
        (2048, 3, 2),
        (3072, 3, 2),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "4", "--colluding-members", "0"], "a threshold of 4 of 3 members is refused"),
        (["--threshold", "2", "--colluding-members", "1"], "choose 3 or more, or allow no absences"),
        (["--threshold", "1", "--colluding-members", "1", "--no-absences"], "so 2 or more"),
        (["--threshold", "2", "--colluding-members", "0", "--member", "north/identity.pub.json"], "one name"),
        (
            ["--threshold", "2", "--colluding-members", "0", "--member", "north/identity.json"],
            "is no fedscore",
        ),
        (["--threshold", "2", "--colluding-members", "0", "--member", "missing"], "missing cannot be read"),
        (["--threshold", "2", "--colluding-members", "0", "--replaces", "missing"], "missing cannot be read"),
        (
            ["--threshold", "2", "--colluding-members", "0", "--dealer", "south/identity.pub.json"],
            "is no fed",
        ),
    ],
)
def test_a_ceremony_that_could_not_be_used_is_refused_before_any_key_is_made(
    keys: Keys,
    identities: tuple[str, ...],
    dealings: list[dict[str, object]],
    options: list[str],
    message: str,
) -> None:
    if "--member" in options:
        options[1] = "3"
    done = keys("ceremony", *identities, *options, "--out", "out")
    assert done.exit_code == 1
    assert message in done.output
    assert dealings == []
    assert not Path("out").exists()


def test_a_small_key_is_refused(keys: Keys, identities: tuple[str, ...]) -> None:
    done = keys("ceremony", *identities, *RULE[:-1], "1024", "--out", "out")
    assert done.exit_code == 1
    assert "1024 bits is refused" in done.output
    assert not Path("out").exists()


def test_a_ceremony_overwrites_nothing(
    keys: Keys, identities: tuple[str, ...], dealings: list[dict[str, object]]
) -> None:
    Path("out").mkdir()
    Path("out/ceremony.json").write_text("precious")
    done = keys("ceremony", *identities, *RULE, "--out", "out")
    assert done.exit_code == 1
    assert "overwrites no key" in done.output
    assert [file.read_text() for file in Path("out").iterdir()] == ["precious"]
    assert dealings == []


def test_a_ceremony_that_fails_writes_nothing(
    keys: Keys, identities: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deal(**_options: object) -> Ceremony:
        raise OpeningError("a test ciphertext opened to another plaintext")

    monkeypatch.setattr("privacy.paillier.ceremony.deal", deal)
    done = keys("ceremony", *identities, *RULE, "--out", "out")
    assert done.exit_code == 1
    assert not Path("out").exists()


def test_no_core_is_dumped_while_secrets_are_in_memory(
    keys: Keys, identities: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, two_of_three: Ceremony
) -> None:
    limits = [(1 << 20, 1 << 30)]
    during = []

    def deal(**_options: object) -> Ceremony:
        during.append(limits[-1])
        return two_of_three

    monkeypatch.setattr("privacy.paillier.ceremony.deal", deal)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limit: limits.append(limit))
    assert keys("ceremony", *identities, *RULE, "--out", "out").exit_code == 0
    assert during == [(0, 1 << 30)]
    assert limits == [(1 << 20, 1 << 30), (0, 1 << 30), (1 << 20, 1 << 30)]
    assert accept(keys, "north").exit_code == 0
    assert limits[3:] == limits[1:3]


def test_every_member_accepts_its_share(keys: Keys, ceremony: CeremonyRecord, two_of_three: Ceremony) -> None:
    for name, dealt in zip(NAMES, two_of_three.shares, strict=True):
        done = accept(keys, name)
        assert done.exit_code == 0, done.output
        file = Path(name, "key_share.json")
        assert is_private(file)
        share = KeyShare.from_json(file.read_text())
        assert share.to_json() == dealt.to_json()
        ceremony.committee.require_share(share)
        assert f"{share.value:x}" not in done.output
        assert f"member       {share.index} of 3; 2 open together" in done.output
        assert ceremony.hash() in done.output
        assert ceremony.dealer.fingerprint in done.output
        memory = FileMemory(Path(name, "state"), KeySeries.of(ceremony))
        assert not memory.load().abstains


def test_a_share_is_accepted_once(keys: Keys, ceremony: CeremonyRecord) -> None:
    assert accept(keys, "north").exit_code == 0
    share = Path("north/key_share.json").read_text()
    again = accept(keys, "north")
    assert again.exit_code == 1
    assert "key_share.json exists, and keys are never overwritten" in again.output
    assert Path("north/key_share.json").read_text() == share
    series = KeySeries.of(ceremony)
    memory = FileMemory(Path("north/state"), series)
    memory.store(replace(memory.load(), made_since=("ab" * 32,)))
    elsewhere = accept(keys, "north", out="north/second.json")
    assert elsewhere.exit_code == 1
    assert "accept a share only once" in elsewhere.output
    assert not Path("north/second.json").exists()
    assert memory.load().made_since == ("ab" * 32,)


def test_a_member_that_abstains_is_not_talked_out_of_it_by_accepting_its_share_again(
    keys: Keys, ceremony: CeremonyRecord
) -> None:
    series = KeySeries.of(ceremony)
    FileMemory.create(Path("north/state"), series, abstains=True)
    done = accept(keys, "north")
    assert done.exit_code == 1
    assert "accept a share only once" in done.output
    assert not Path("north/key_share.json").exists()
    assert FileMemory(Path("north/state"), series).load().abstains


@pytest.mark.usefixtures("ceremony")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sealed": "out/share_south.sealed"}, "does not open for north"),
        ({"sealed": "out/ceremony.json"}, "does not open for north"),
        ({"sealed": "missing"}, "missing cannot be read"),
        ({"identity": "south/identity.json"}, "does not open for south"),
        ({"identity": "north/identity.pub.json"}, "is no fedscore-identity-1"),
        ({"ceremony": "north/identity.pub.json"}, "is no fedscore-ceremony-1"),
    ],
)
def test_what_is_not_the_members_share_leaves_neither_share_nor_memory(
    keys: Keys, options: dict[str, str], message: str
) -> None:
    done = accept(keys, "north", **options)
    assert done.exit_code == 1
    assert message in done.output
    assert not Path("north/key_share.json").exists()
    assert not Path("north/state").exists()


def test_a_stranger_accepts_nothing(keys: Keys, ceremony: CeremonyRecord) -> None:
    assert ceremony.index_of("west") is None
    keys("identity", "--name", "west", "--out", "west")
    done = accept(keys, "west", sealed="out/share_north.sealed")
    assert done.exit_code == 1
    assert "identity of west is not one of this ceremony's members" in done.output


def test_show_tells_what_is_public(keys: Keys, ceremony: CeremonyRecord) -> None:
    shown = keys("show", "out/ceremony.json")
    assert shown.exit_code == 0
    for text in (
        ceremony.hash(),
        f"{ceremony.public_key.key_id}, 2048 bits",
        "2 of 3 open together; 0 may collude with the server; parties may be absent",
        *(f"{name}, fingerprint" for name in (*NAMES, "dealer")),
        ceremony.created.isoformat(),
    ):
        assert text in shown.output
    assert "replaces" not in shown.output
    assert json.loads(keys("show", "out/ceremony.json", "--json").stdout)["threshold"] == 2
    one = ceremony.members[0]
    shown = keys("show", "north/identity.pub.json")
    assert shown.exit_code == 0
    assert f"fingerprint  {one.fingerprint}" in shown.output
    summary = json.loads(keys("show", "north/identity.pub.json", "--json").stdout)
    assert summary == {
        "name": "north",
        "signing_key": one.signing_key.hex(),
        "fingerprint": one.fingerprint,
    }


def test_show_shows_no_secret_and_nothing_that_is_not_signed(keys: Keys, ceremony: CeremonyRecord) -> None:
    secret = Path("north/identity.json").read_text()
    done = keys("show", "north/identity.json")
    assert done.exit_code == 1
    assert "holds secret keys" in done.output
    assert json.loads(secret)["signing_key"] not in done.output
    forged = Path("out/ceremony.json").read_text().replace('"absences": true', '"absences": false')
    Path("forged.json").write_text(forged)
    done = keys("show", "forged.json")
    assert done.exit_code == 1
    assert "is not that of the key" in done.output
    assert ceremony.hash() not in done.output
    for text, message in (("{", "is no fedscore-ceremony-1"), ("\xff", "is no fedscore-ceremony-1")):
        Path("broken").write_bytes(text.encode("latin-1"))
        done = keys("show", "broken")
        assert done.exit_code == 1
        assert message in done.output
    assert "missing cannot be read" in keys("show", "missing").output
