"""The service's life in real processes: what it refuses to start with, other cards, restarts, and its end."""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from benchmarks.invented_card import write_signed
from benchmarks.online_scoring import calls_over_a_restart
from benchmarks.scoring_service import PatientChannel, ScoringService, free_port
from fedscore.card import Card
from fedscore.cli.main import app
from fedscore.serving.score_pb2 import DescribeRequest, ScoreBatchRequest, ScoreRequest
from fedscore.serving.score_pb2_grpc import ScoringStub
from fedscore.serving.service import MOST_RECORDS
from fedscore.tls import Authority, ServerKey, pem
from tests.scoring_calls import Certificates, record_of

RECORD = record_of("x", BAL=0.5, limit=3.0, calls=0.0, segment="card")
PATIENCE = 30.0
"""Seconds until a process has surely done what it was asked for; nothing takes so long but a defect."""

Make = Callable[..., ScoringService]


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def start_refused(service: ScoringService) -> str:
    """What the process says that does not start; one line, and no trace."""
    with pytest.raises(RuntimeError):
        service.start()
    assert service.process.returncode == 1
    assert "Traceback" not in service.said
    return service.said


def test_every_call_is_answered_or_sent_away_before_it_ends(make_service: Make) -> None:
    batch = ScoreBatchRequest(records=[RECORD] * MOST_RECORDS)
    with make_service() as service, grpc.insecure_channel(service.address) as channel:
        stub = ScoringStub(channel)
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        calls = [stub.ScoreBatch.future(batch) for _ in range(12)]
        assert len(calls[0].result().scores) == MOST_RECORDS
        service.process.send_signal(signal.SIGTERM)
        refused = [call.exception() for call in calls if call.exception() is not None]
        assert {call.code() for call in refused} <= {grpc.StatusCode.UNAVAILABLE}
        assert {call.details() for call in refused} <= {"the service is about to end: call again"}
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watched.cancel()
        assert service.process.wait(PATIENCE) == 0
        with pytest.raises(grpc.RpcError) as late:
            stub.Score(ScoreRequest(record=RECORD))
        assert late.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "Traceback" not in service.said


def test_interrupting_it_at_the_keyboard_ends_it_as_well(make_service: Make) -> None:
    with make_service() as service:
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(PATIENCE) == 0
        assert "Traceback" not in service.said


def test_a_changed_card_is_taken_on_a_signal_and_one_that_is_refused_is_not(
    make_service: Make, card: Card, other_card: Card
) -> None:
    with make_service() as service, grpc.insecure_channel(service.address) as channel:
        stub = ScoringStub(channel)

        def served() -> str:
            told: str = stub.Describe(DescribeRequest()).card
            return told

        assert served() == card.fingerprint
        write_signed(other_card, service.card.parent)
        assert served() == card.fingerprint
        service.process.send_signal(signal.SIGHUP)
        until(lambda: served() == other_card.fingerprint)
        answer = stub.Score(ScoreRequest(record=RECORD))
        assert answer.card == other_card.fingerprint

        for bad, said in ((card.to_json(), "is not signed"), ("{", "not a card"), (None, "cannot be read")):
            heard = service.said.count("the card is not changed")
            if bad is None:
                service.card.unlink()
            else:
                service.card.write_text(bad, encoding="utf-8")
            service.process.send_signal(signal.SIGHUP)
            until(lambda heard=heard: service.said.count("the card is not changed") > heard)  # type: ignore[misc]  # binds this turn's count
            assert said in service.said.splitlines()[-1]
            assert stub.Score(ScoreRequest(record=RECORD)) == answer
        # Signed by another operator, who has put an identity of their own beside it.
        write_signed(card, service.card.parent, signer="somebody-else")
        heard = service.said.count("the card is not changed")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.said.count("the card is not changed") > heard)
        assert served() == other_card.fingerprint
        assert "Traceback" not in service.said


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_no_call_fails_over_a_restart_for_a_client_that_retries(make_service: Make, killed: bool) -> None:  # noqa: FBT001 - a case
    with make_service() as service:
        found = calls_over_a_restart(service, RECORD, calls=3000, callers=8, kill=killed)
    assert found.calls == 3000
    assert found.failed == 0
    assert found.before > 100
    assert found.after > 100


def test_the_check_sees_a_client_that_does_not_retry(make_service: Make) -> None:
    with make_service() as service:
        found = calls_over_a_restart(
            service, RECORD, calls=3000, callers=8, kill=True, channel=grpc.insecure_channel
        )
    assert found.calls == 3000
    assert found.failed > 0


def test_two_services_share_a_port_only_where_both_say_so(make_service: Make) -> None:
    with make_service() as service:
        second = make_service()
        second.port = service.port
        second.log = service.log.with_name("second.log")
        assert f"{service.address} cannot be listened on" in start_refused(second)
    with make_service("--share-port") as service:
        second = make_service("--share-port")
        second.port, second.log = service.port, service.log.with_name("third.log")
        with second, PatientChannel.open(service.address) as channel:
            stub = ScoringStub(channel)
            stub.Score(ScoreRequest(record=RECORD))
            assert service.stop() == 0
            # Without a gap: the second one has been there all the time.
            with grpc.insecure_channel(service.address) as impatient:
                ScoringStub(impatient).Score(ScoreRequest(record=RECORD))
            stub.Score(ScoreRequest(record=RECORD))


def test_with_an_authority_of_clients_others_are_not_answered(
    make_service: Make, certificates: Certificates
) -> None:
    authority = str(certificates.client_authority)
    with make_service(*certificates.options, "--client-ca", authority) as service:
        request = ScoreRequest(record=RECORD)
        with grpc.secure_channel(service.address, certificates.credentials(as_client=True)) as channel:
            assert ScoringStub(channel).Score(request).score.hundredths
        without = certificates.credentials()
        # The server's own certificate is of another authority.
        foreign = grpc.ssl_channel_credentials(
            certificates.authority.read_bytes(),
            certificates.key.read_bytes(),
            certificates.certificate.read_bytes(),
        )
        for credentials in (without, foreign):
            with grpc.secure_channel(service.address, credentials) as channel:
                with pytest.raises(grpc.RpcError) as refused:
                    ScoringStub(channel).Score(request)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with grpc.insecure_channel(service.address) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                ScoringStub(channel).Score(request)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_that_trusts_another_authority_does_not_talk_to_it(
    make_service: Make, certificates: Certificates
) -> None:
    wrong = grpc.ssl_channel_credentials(certificates.client_authority.read_bytes())
    with (
        make_service(*certificates.options) as service,
        grpc.secure_channel(service.address, wrong) as channel,
    ):
        with pytest.raises(grpc.RpcError) as refused:
            ScoringStub(channel).Score(ScoreRequest(record=RECORD))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def refused_at_once(card: Path, *options: str) -> str:
    """What the command says in this process, where it ends before it serves."""
    done = CliRunner().invoke(app, ["card", "serve", str(card), *options])
    assert done.exit_code == 1
    assert done.stdout == ""
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:0"), "--tls-certificate"),
        (("--listen", "[::]:0"), "--tls-certificate"),
        (("--listen", "score.example.org:50051"), "--tls-certificate"),
        (("--listen", "127.0.0.1"), "HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (("--listen", "192.0.2.7:50051", "--unsafe-without-tls"), "cannot be listened on"),
        (("--metrics", "0.0.0.0:9100"), "loopback"),
        (("--tls-key", "somewhere"), "--tls-certificate and --tls-key belong together"),
        (("--client-ca", "somewhere"), "belong together"),
        (("--tls-key", "no-file", "--tls-certificate", "no-file"), "no-file"),
        (("--signer", "0" * 64), "is expected"),
    ],
)
def test_what_it_does_not_start_with(card: Card, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    refused = refused_at_once(write_signed(card, tmp_path), *options)
    assert said in refused


def test_it_does_not_start_with_a_card_that_nobody_signed(card: Card, tmp_path: Path) -> None:
    path = write_signed(card, tmp_path)
    card.write(path)
    assert "is not signed" in refused_at_once(path)


def test_it_does_not_start_with_files_of_tls_that_do_not_belong_together(
    card: Card, certificates: Certificates, tmp_path: Path
) -> None:
    path = write_signed(card, tmp_path)
    ServerKey.generate().write(tmp_path / "other.key")
    (tmp_path / "no.crt").write_bytes(certificates.key.read_bytes())
    certificate, key = str(certificates.certificate), str(certificates.key)
    other, no_certificate = str(tmp_path / "other.key"), str(tmp_path / "no.crt")
    assert "is not the key of" in refused_at_once(path, "--tls-certificate", certificate, "--tls-key", other)
    assert "is no certificate" in refused_at_once(path, "--tls-certificate", no_certificate, "--tls-key", key)
    assert "is no private key" in refused_at_once(
        path, "--tls-certificate", certificate, "--tls-key", certificate
    )
    assert "is no certificate" in refused_at_once(path, *certificates.options, "--client-ca", no_certificate)


def test_it_does_not_start_with_a_certificate_that_has_expired(card: Card, tmp_path: Path) -> None:
    authority, key = Authority.generate("an authority"), ServerKey.generate()
    issued = authority.certify(key, ["localhost"], valid=dt.timedelta(days=-1))
    (tmp_path / "server.crt").write_bytes(pem(issued))
    key.write(tmp_path / "server.key")
    options = ("--tls-certificate", str(tmp_path / "server.crt"), "--tls-key", str(tmp_path / "server.key"))
    assert "server.crt expired on" in refused_at_once(write_signed(card, tmp_path), *options)


def test_a_taken_port_of_the_metrics_is_told(make_service: Make) -> None:
    port = free_port()
    with make_service("--metrics", f"127.0.0.1:{port}") as service:
        second = make_service("--metrics", f"127.0.0.1:{port}")
        second.log = service.log.with_name("second.log")
        assert f"127.0.0.1:{port} cannot be listened on" in start_refused(second)
