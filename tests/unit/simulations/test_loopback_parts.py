"""The parts of a loopback federation that need no federation: certificates, files, processes, the bundle."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from clients.config import load_node_config
from clients.deployment import node_of
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.contract import CommitteeTerms, Contract, load_contract, parse_contract
from fedscore.errors import ContractError, RunFailed, ScenarioError
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from privacy.paillier.ceremony import unsafe_deal_from_primes
from server import BUNDLE
from server.bundling import bundle_hash
from server.config import load_server_config
from simulations.loopback import run_loopback
from simulations.loopback.certificates import write_node_key, write_private, write_tls
from simulations.loopback.federation import THREE_ORGANISATIONS, LoopbackTerms, contract_of
from simulations.loopback.parties import Agreed, agree, as_toml, write_operator, write_parties
from simulations.loopback.processes import Processes, free_ports, run_briefly
from simulations.synthetic import make_consortium

CONTRACTS = sorted((BUNDLE.parent.parent / "simulations" / "contracts").glob("*.toml"))

values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab-_ é\"'\n"), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values, max_size=5))
def test_what_is_written_as_toml_reads_back(table: dict[str, object]) -> None:
    assert tomllib.loads(as_toml(table)) == table


def test_what_toml_cannot_hold_is_left_out_or_refused() -> None:
    assert as_toml({"a": None, "b": {"c": None, "d": 1}}) == "b = { d = 1 }\n"
    with pytest.raises(TypeError, match="TOML has no object"):
        as_toml({"a": object()})


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_a_contract_written_as_toml_is_the_same_contract(path: Path) -> None:
    contract: Contract = load_contract(path)

    assert parse_contract(as_toml(contract.model_dump(mode="json"))).hash() == contract.hash()


def test_the_certificate_is_trusted_by_whoever_trusts_the_authority(tmp_path: Path) -> None:
    authority, certificate, key = write_tls(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)

    assert _handshake(server, authority, "localhost") is None
    assert "Hostname mismatch" in str(_handshake(server, authority, "example.org"))
    (tmp_path / "old").mkdir()
    old, certificate, key = write_tls(tmp_path / "old", valid=-dt.timedelta(seconds=1))
    expired = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired.load_cert_chain(certificate, key)
    assert "certificate has expired" in str(_handshake(expired, old, "localhost"))
    (tmp_path / "other").mkdir()
    stranger, _, _ = write_tls(tmp_path / "other")
    assert "unable to get" in str(_handshake(server, stranger, "localhost")) or "signature" in str(
        _handshake(server, stranger, "localhost")
    )


def _handshake(server_context: ssl.SSLContext, authority: Path, name: str) -> ssl.SSLError | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.create_default_context(cafile=str(authority))
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as refused:
                return refused
    return None


def test_a_node_key_is_what_the_superlink_registers(tmp_path: Path) -> None:
    private, public = write_node_key(tmp_path)

    key = load_ssh_private_key(private.read_bytes(), password=None)

    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp384r1"
    assert load_ssh_public_key(public.read_bytes()) == key.public_key()


def test_a_private_file_is_private_even_over_an_open_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"old")
    file.chmod(0o666)

    write_private(file, b"new")

    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""

FAMILY = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
open("child", "w").write(str(child.pid))
time.sleep(600)
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def _child(processes: Processes, folder: Path) -> int:
    while not (folder / "child").exists() or not (folder / "child").read_text():
        processes.require_running()
    return int((folder / "child").read_text())


def test_leaving_the_block_stops_a_process_and_its_stubborn_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.loopback.processes._GRACE_SECONDS", 0.5)
    with pytest.raises(KeyboardInterrupt), Processes() as processes:  # noqa: PT012 - the block is the subject
        parent = processes.start(
            [sys.executable, "-c", FAMILY], folder=tmp_path, home=tmp_path, log=tmp_path / "log"
        )
        child = _child(processes, tmp_path)
        assert _alive(child)
        raise KeyboardInterrupt

    assert parent.returncode == -signal.SIGTERM
    assert not _alive(child)


def test_a_killed_process_is_gone_with_its_stubborn_child_and_nobody_misses_it(tmp_path: Path) -> None:
    with Processes() as processes:
        command = [sys.executable, "-c", FAMILY]
        parent = processes.start(command, folder=tmp_path, home=tmp_path, log=tmp_path / "log")
        child = _child(processes, tmp_path)
        processes.kill(parent)
        processes.require_running()

        assert parent.returncode == -signal.SIGKILL
        deadline = time.monotonic() + 10
        while _alive(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _alive(child)


def test_a_process_that_ends_by_itself_is_named_with_its_log(tmp_path: Path) -> None:
    with Processes() as processes:
        processes.start(
            [sys.executable, "-c", "print('why'); exit(3)"],
            folder=tmp_path,
            home=tmp_path,
            log=tmp_path / "log",
        )
        with pytest.raises(RunFailed, match=r"python.* ended with code 3: its log is .*log"):
            processes.await_port(free_ports(1)[0], seconds=60)

    assert (tmp_path / "log").read_text() == "why\n"


def test_a_port_that_stays_silent_is_not_waited_for_for_ever() -> None:
    with Processes() as processes, pytest.raises(RunFailed, match=r"within 0\.2 seconds"):
        processes.await_port(free_ports(1)[0], seconds=0.2)


def test_a_brief_command_gives_its_output_or_an_error(tmp_path: Path) -> None:
    def run(script: str, seconds: float = 60) -> str:
        return run_briefly(
            [sys.executable, "-c", script],
            home=tmp_path,
            folder=tmp_path,
            seconds=seconds,
        )

    assert run("import os; print(os.environ['FLWR_HOME'])") == f"{tmp_path}\n"
    with pytest.raises(RunFailed, match="failed with code 2:\nno"):
        run("print('no'); exit(2)")
    with pytest.raises(RunFailed, match="did not end within"):
        run("import time; time.sleep(600)", seconds=0.2)


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(8))) == 8


def test_a_folder_with_files_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    with pytest.raises(ScenarioError, match="is not empty: pass a new folder with --out"):
        run_loopback(tmp_path, people=1000, seed=1, key_bits=2048, tell=lambda _: None)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_bundle_has_no_code_and_points_into_the_installed_package() -> None:
    assert [path.name for path in BUNDLE.iterdir()] == ["pyproject.toml"]

    bundle = tomllib.loads((BUNDLE / "pyproject.toml").read_text(encoding="utf-8"))

    assert bundle["project"]["version"] == version("fedscore")
    assert bundle["project"]["dependencies"] == []
    assert bundle["tool"]["flwr"]["app"]["components"] == {
        "serverapp": "server.app:app",
        "clientapp": "clients.app:app",
    }
    for component in bundle["tool"]["flwr"]["app"]["components"].values():
        module, attribute = component.split(":")
        assert hasattr(import_module(module), attribute)


def test_every_owner_allows_the_contract_the_bundle_and_the_operator_and_nothing_else(
    folders: tuple[Path, Agreed],
) -> None:
    out, agreed = folders
    for name in agreed.identities:
        policy = load_policy(load_node_config(out / name / "node.toml").policy)
        assert policy.contracts == (agreed.contract.hash(),)
        assert policy.bundles == (bundle_hash(),)
        assert bytes.fromhex(policy.operator) == agreed.operator.public.signing_key
        assert policy.budget is not None
        assert policy.budget.run_epsilon == agreed.contract.privacy.epsilon
        assert (out / name / "ledger" / "evidence.jsonl").is_file()


def test_dates_are_written_as_dates() -> None:
    assert as_toml({"as_of": dt.date(2025, 6, 1)}) == "as_of = 2025-06-01\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Agreed]:
    """The folders of a consortium that nobody has started, with a known key; not to be changed."""
    consortium = make_consortium(people=300, platforms=2, collectors=1, seed=1)
    file = BUNDLE.parent.parent / "tests" / "vectors" / "paillier_safe_primes.json"
    p, q = (int(prime, 16) for prime in json.loads(file.read_text())["1024"])
    contract = contract_of(consortium, 2048, THREE_ORGANISATIONS)
    agreed = agree(contract, dealt=unsafe_deal_from_primes(p, q, members=3, threshold=2))
    out = tmp_path_factory.mktemp("loopback")
    write_parties(out, consortium=consortium, agreed=agreed)
    write_operator(out, agreed=agreed, answer_seconds=7)
    return out, agreed


def test_a_contract_has_the_terms_of_its_loopback() -> None:
    consortium = make_consortium(people=300, platforms=5, collectors=2, seed=1)
    committee = CommitteeTerms(members=6, threshold=4, colluding_members=1)
    terms = LoopbackTerms(platforms=5, collectors=2, committee=committee, absent=3, spare_rounds=1)

    contract = contract_of(consortium, 2048, terms)

    assert [party.name for party in contract.parties] == [party.name for party in consortium.parties]
    assert len(contract.parties) == 7
    assert contract.encryption.committee == committee
    assert (contract.privacy.absent, contract.privacy.spare_rounds, contract.smallest_cohort) == (3, 1, 4)
    three_open = CommitteeTerms(members=6, threshold=3, colluding_members=1)
    with pytest.raises(ContractError, match="a threshold of 4 would do"):
        contract_of(consortium, 2048, replace(terms, committee=three_open))


def test_every_organisation_finds_a_node_of_its_own_in_its_folder(folders: tuple[Path, Agreed]) -> None:
    out, agreed = folders

    nodes = {name: node_of(load_node_config(out / name / "node.toml")) for name in agreed.identities}

    assert [node.committee_member for node in nodes.values()] == [1, 2, 3]
    assert {node.contract.hash() for node in nodes.values()} == {agreed.contract.hash()}


def test_secrets_are_private_and_the_operator_holds_none(folders: tuple[Path, Agreed]) -> None:
    out, agreed = folders

    for name in agreed.identities:
        for secret in ("identity.json", "key_share.json"):
            assert stat.S_IMODE((out / name / secret).stat().st_mode) == 0o600
    assert sorted(path.name for path in (out / "operator").iterdir()) == [
        "ceremony.json",
        "contract.toml",
        "identity.json",
        "server.toml",
    ]
    assert stat.S_IMODE((out / "operator" / "identity.json").stat().st_mode) == 0o600
    config = load_server_config(out / "operator" / "server.toml")
    assert config.answer_seconds == 7
    assert ceremony_of(load_contract(config.contract), config.ceremony) == agreed.record


def test_a_members_memory_is_made_with_its_share(folders: tuple[Path, Agreed]) -> None:
    out, agreed = folders
    series = KeySeries.of(agreed.record)

    for name in agreed.identities:
        assert list((out / name / "state").glob("memory-*.json"))
        assert not FileMemory(out / name / "state", series).load().abstains


def test_nobody_agrees_without_a_committee(tiny_contract: Contract) -> None:
    without = tiny_contract.with_encryption(committee=None)

    with pytest.raises(ValueError, match="needs a committee"):
        agree(without, dealt=None)  # type: ignore[arg-type]  # it does not come that far
