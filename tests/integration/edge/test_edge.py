"""The edge of a service: errors of every kind reach sync and aio callers as the same status, on calls and streams."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy_edge import server
from kadeploy_edge.caller import current_caller
from kadeploy_edge.channel import open_aio_channel, open_channel
from kadeploy_edge.errors import KINDS, DomainError, FieldViolation
from kadeploy_edge.listening import AddressInUse
from kadeploy_edge.status import CODES, from_rpc_error
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.transport import Transport, UnsafeAddress, choose_transport
from tests.fakes.threaded_server import start_in_thread

pytestmark = pytest.mark.integration


def an_error(kind: type[DomainError]) -> DomainError:
    error_class = type("Sample", (kind,), {"reason": "SAMPLE"})
    violation = FieldViolation(field="nodes", description="must not be empty")
    error: DomainError = error_class("a sentence", metadata={"node": "n1"}, violations=(violation,))
    return error


class SyncServicer(bootctl_service_pb2_grpc.TreeServiceServicer):
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def ListLabels(self, request: Any, context: Any) -> Any:
        if self.error:
            raise self.error
        label = bootctl_service_pb2.KernelLabel(name=current_caller.get().user)
        return bootctl_service_pb2.ListLabelsResponse(labels=[label])


class AioServicer(deployer_service_pb2_grpc.DeploymentServiceServicer):
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def WatchDeployment(self, request: Any, context: Any) -> Any:
        yield deployer_service_pb2.WatchDeploymentResponse()
        raise self.error


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"unix:{tmp_path_factory.mktemp('s')}/s"


@pytest.fixture
def labels(address: str, request: pytest.FixtureRequest) -> Iterator[bootctl_service_pb2_grpc.TreeServiceStub]:
    def register(grpc_server: grpc.aio.Server) -> None:
        servicer = SyncServicer(request.param)  # type: ignore[abstract]
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(servicer, grpc_server)

    # The method is one for administrators.
    settings = server.ServerSettings(
        service="bootctl", address=address, service_names=(), administrators=frozenset({"alice"})
    )
    started, bound = start_in_thread(register, settings)
    with open_channel(bound, caller="user:alice") as channel:
        yield bootctl_service_pb2_grpc.TreeServiceStub(channel)
    started.stop()


@pytest.mark.parametrize("labels", [None], indirect=True)
def test_a_servicer_knows_who_calls(labels: bootctl_service_pb2_grpc.TreeServiceStub) -> None:
    response = labels.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5)
    assert [label.name for label in response.labels] == ["alice"]


@pytest.mark.parametrize(("labels", "kind"), [(an_error(kind), kind) for kind in KINDS], indirect=["labels"])
def test_each_kind_of_error_reaches_a_sync_caller(
    labels: bootctl_service_pb2_grpc.TreeServiceStub, kind: type[DomainError]
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        labels.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5)
    remote = from_rpc_error(caught.value)
    assert (remote.kind, remote.reason, remote.message) == (kind, "SAMPLE", "a sentence")
    assert remote.code.value[0] == CODES[kind]
    assert remote.metadata == {"node": "n1"}
    assert [violation.field for violation in remote.violations] == ["nodes"]


@pytest.mark.parametrize("labels", [ValueError("secret detail")], indirect=True)
def test_an_unforeseen_error_tells_the_caller_where_to_look_and_nothing_else(
    labels: bootctl_service_pb2_grpc.TreeServiceStub,
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        labels.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5)
    remote = from_rpc_error(caught.value)
    assert remote.code == grpc.StatusCode.INTERNAL
    assert remote.metadata["request_id"] in remote.message
    assert "secret" not in remote.message


async def _read_all(call: Any, seen: list[object]) -> None:
    async for message in call:
        seen.append(message)  # noqa: PERF401 - what came before the error is wanted


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_error_ends_an_aio_stream_after_its_messages(kind: type[DomainError], address: str) -> None:
    def register(grpc_server: grpc.aio.Server) -> None:
        servicer = AioServicer(an_error(kind))  # type: ignore[abstract]
        deployer_service_pb2_grpc.add_DeploymentServiceServicer_to_server(servicer, grpc_server)

    started, bound = await server.start_server(
        register, server.ServerSettings(service="deployer", address=address, service_names=())
    )
    seen: list[object] = []
    async with open_aio_channel(bound, caller="user:alice") as channel:
        stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
        call = stub.WatchDeployment(deployer_service_pb2.WatchDeploymentRequest(id="d"), timeout=5)
        with pytest.raises(grpc.RpcError) as caught:
            await _read_all(call, seen)
    await asyncio.wait_for(started.stop(None), 5)
    remote = from_rpc_error(caught.value)
    assert (len(seen), remote.kind, remote.reason) == (1, kind, "SAMPLE")


@pytest.mark.usefixtures("labels")
@pytest.mark.parametrize("labels", [None], indirect=True)
def test_a_service_answers_health(address: str) -> None:
    with open_channel(address, caller="user:alice") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


SOME_FILES = TlsFiles(certificate=Path("c"), private_key=Path("k"), ca=Path("a"))


@pytest.mark.parametrize(
    ("address", "tls", "insecure"),
    [
        ("0.0.0.0:7401", None, False),
        ("127.0.0.1:7401", None, False),
        ("0.0.0.0:7401", None, True),
        ("192.0.2.1:7401", SOME_FILES, True),
        ("bootctl.example:7401", None, True),
        ("unix:relative", None, False),
        ("unix:/" + "x" * 110, None, False),
        ("host", SOME_FILES, False),
        ("host:99999", SOME_FILES, False),
        (":7401", SOME_FILES, False),
    ],
)
def test_an_address_where_nobody_proves_who_he_is_is_refused(
    address: str, tls: TlsFiles | None, insecure: bool
) -> None:
    with pytest.raises(UnsafeAddress) as caught:
        choose_transport(address, tls=tls, insecure=insecure)
    assert address in str(caught.value)


@pytest.mark.parametrize(
    ("address", "tls", "insecure", "expected"),
    [
        ("unix:/run/s", SOME_FILES, False, Transport.SOCKET),
        ("unix:/run/s", None, True, Transport.SOCKET),
        ("0.0.0.0:7401", SOME_FILES, False, Transport.TLS),
        ("bootctl.example:7401", SOME_FILES, False, Transport.TLS),
        ("127.0.0.1:7401", SOME_FILES, False, Transport.TLS),
        ("127.0.0.1:7401", SOME_FILES, True, Transport.PLAIN),
        ("[::1]:7401", None, True, Transport.PLAIN),
        ("localhost:7401", None, True, Transport.PLAIN),
    ],
)
def test_the_address_the_certificates_and_the_flag_choose_the_transport(
    address: str, tls: TlsFiles | None, insecure: bool, expected: Transport
) -> None:
    assert choose_transport(address, tls=tls, insecure=insecure) is expected


def test_plain_text_on_loopback_is_told_aloud_and_believes_the_name(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def register(grpc_server: grpc.aio.Server) -> None:
        servicer = SyncServicer(None)  # type: ignore[abstract]
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(servicer, grpc_server)

    started, bound = start_in_thread(
        register,
        server.ServerSettings(
            service="bootctl",
            address="127.0.0.1:0",
            service_names=(),
            administrators=frozenset({"alice"}),
            insecure=True,
        ),
    )
    with open_channel(bound, caller="user:alice", insecure=True) as channel:
        stub = bootctl_service_pb2_grpc.TreeServiceStub(channel)
        response = stub.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5)
    started.stop()
    assert [label.name for label in response.labels] == ["alice"]
    assert "INSECURE: bootctl listens on 127.0.0.1:0 in plain text" in caplog.text
    assert "INSECURE" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [None], indirect=True)
def test_a_socket_in_use_is_never_stolen(labels: bootctl_service_pb2_grpc.TreeServiceStub, address: str) -> None:
    with pytest.raises(AddressInUse):
        start_in_thread(lambda _: None, server.ServerSettings(service="bootctl", address=address, service_names=()))
    assert labels.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5).labels


def test_a_tcp_port_in_use_is_told_in_one_sentence() -> None:
    first, bound = start_in_thread(
        lambda _: None, server.ServerSettings(service="a", address="127.0.0.1:0", service_names=(), insecure=True)
    )
    with pytest.raises(AddressInUse) as caught:
        start_in_thread(
            lambda _: None, server.ServerSettings(service="b", address=bound, service_names=(), insecure=True)
        )
    first.stop()
    assert bound in str(caught.value)


def test_the_socket_file_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    started, _ = start_in_thread(
        lambda _: None, server.ServerSettings(service="a", address=f"unix:{path}", service_names=())
    )
    started.stop()
    assert path.parent.exists()
