"""Whatever one caller does, the calls of others keep getting their answers: every attack by every kind of caller."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_edge.limits import Limits
from tests.fakes.raw_http2 import RawConnection
from tests.integration.adversary.attacks import ATTACKS, half_open, probes
from tests.integration.adversary.bad_requests import HEALTH_CHECK, answer_of, methods_of, path_of
from tests.integration.adversary.conftest import LIMITS
from tests.integration.adversary.well_behaved_client import well_behaved_client
from tests.tls_site import SERVICES, TlsSite

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

# A revoked certificate, a user without a right, an administrator, a service. Alice and ruth are the others.
ATTACKERS = ("mallory", "bob", "root", "bootctl")
# Longer than a request may take to arrive.
ATTACK_SECONDS = LIMITS["request_seconds"] + 0.5
PATIENCE_SECONDS = 20.0
CALLS_PER_USER = Limits().calls_per_user
# Below the number of streams that one connection may have; together more than gRPC queues by itself.
BURST_CALLERS, BURST = ("root", "ruth", "bob"), 900
CHECKS_AT_ONCE = 8


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_get_their_answers(site: TlsSite, attack: str) -> None:
    with ExitStack() as stack:
        beside = {service: stack.enter_context(well_behaved_client(site, service)) for service in SERVICES}
        with ExitStack() as attacks:
            for service in SERVICES:
                for caller in ATTACKERS:
                    attacks.enter_context(ATTACKS[attack](site, service, caller))
            time.sleep(ATTACK_SECONDS)
    assert {service: dict(one.failures) for service, one in beside.items() if one.failures} == {}
    assert all(len(one.seconds) > 1 for one in beside.values())


@pytest.mark.parametrize("service", SERVICES)
def test_calls_that_are_never_sent_end_and_their_caller_can_call_again(site: TlsSite, service: str) -> None:
    # Of users, one who has not called before: others may have used up their pace.
    caller = "root" if service == "bootctl" else "carol"
    path = path_of(methods_of(service)[1])
    before = site.log(service).count("REQUEST_TOO_SLOW")
    with RawConnection(site.address(service), site.files(caller)) as connection:
        # As many as one user may have; of more than that the connection would not last long.
        for _ in range(CALLS_PER_USER):
            connection.begin(path)
        _until(
            lambda: site.log(service).count("REQUEST_TOO_SLOW") >= before + CALLS_PER_USER,
            "the calls that were begun do not end",
        )
        assert _code(site, service, caller) != "RESOURCE_EXHAUSTED"


def _code(site: TlsSite, service: str, caller: str) -> str:
    with site.channel(service, caller) as channel:
        return answer_of(channel, path_of(methods_of(service)[1]), iter([b""]))[0]


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_probe_is_answered_while_probes_are_many(site: TlsSite, service: str) -> None:
    with ExitStack() as stack:
        for caller in ("alice", "bob", "root", "inventory"):
            stack.enter_context(probes(site, service, caller))
            stack.enter_context(half_open(site, service, caller))
        with site.channel(service, "deployer") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_SECONDS)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("service", SERVICES)
def test_a_probe_is_answered_after_a_burst_that_the_service_has_not_taken_yet(site: TlsSite, service: str) -> None:
    process = site.processes[service]
    with ExitStack() as stack:
        connections = [
            stack.enter_context(RawConnection(site.address(service), site.files(caller))) for caller in BURST_CALLERS
        ]
        stub = health_pb2_grpc.HealthStub(stack.enter_context(site.channel(service, "deployer")))
        request = health_pb2.HealthCheckRequest()
        # The connection stands before the burst.
        stub.Check(request, timeout=PATIENCE_SECONDS)
        process.send_signal(signal.SIGSTOP)
        try:
            for connection in connections:
                for _ in range(BURST):
                    connection.begin(HEALTH_CHECK)
            checks = [stub.Check.future(request, timeout=PATIENCE_SECONDS) for _ in range(CHECKS_AT_ONCE)]
        finally:
            process.send_signal(signal.SIGCONT)
        codes = [check.code() for check in checks]
    assert codes == [grpc.StatusCode.OK] * CHECKS_AT_ONCE


@pytest.mark.parametrize("service", SERVICES)
def test_who_calls_on_and_on_loses_the_connection(site: TlsSite, service: str) -> None:
    with RawConnection(site.address(service), site.files("bob")) as connection:
        # Far more at once than one user may have, and all of them are begun and never sent.
        for _ in range(500):
            connection.begin(HEALTH_CHECK)
        assert connection.has_ended(PATIENCE_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_revoked_certificate_is_told_so_and_loses_the_connection(site: TlsSite, service: str) -> None:
    with RawConnection(site.address(service), site.files("mallory")) as connection:
        connection.begin(HEALTH_CHECK)
        assert connection.has_ended(PATIENCE_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
def test_who_does_not_read_loses_the_connection(site: TlsSite, service: str) -> None:
    with RawConnection(site.address(service), site.files("root"), initial_window=0) as connection:
        connection.send_message(connection.begin(HEALTH_CHECK), b"")
        assert connection.has_ended(PATIENCE_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_connection_without_a_handshake_ends(site: TlsSite, service: str) -> None:
    credentials = grpc.ssl_channel_credentials(site.certificates.authority.certificate_file.read_bytes())
    with grpc.secure_channel(site.addresses[service], credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_SECONDS)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
