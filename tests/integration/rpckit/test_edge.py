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
from kadeploy_rpckit import server
from kadeploy_rpckit.caller import current_caller
from kadeploy_rpckit.channel import open_aio_channel, open_channel
from kadeploy_rpckit.errors import KINDS, DomainError, FieldViolation
from kadeploy_rpckit.server import AddressInUse, UnsafeAddress, check_address
from kadeploy_rpckit.status import CODES, from_rpc_error

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
    def register(grpc_server: grpc.Server) -> None:
        servicer = SyncServicer(request.param)  # type: ignore[abstract]
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(servicer, grpc_server)

    started, bound = server.start_sync(register, service="bootctl", address=address, service_names=())
    with open_channel(bound, caller="user:alice") as channel:
        yield bootctl_service_pb2_grpc.TreeServiceStub(channel)
    started.stop(None).wait(5)


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

    started, bound = await server.start_aio(register, service="deployer", address=address, service_names=())
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


@pytest.mark.parametrize("address", ["0.0.0.0:7401", "192.0.2.1:7401", "unix:relative", "unix:/" + "x" * 110, "host"])
def test_an_address_that_others_can_reach_is_refused(address: str) -> None:
    with pytest.raises(UnsafeAddress) as caught:
        check_address(address)
    assert address in str(caught.value)


@pytest.mark.parametrize("labels", [None], indirect=True)
def test_a_socket_in_use_is_never_stolen(labels: bootctl_service_pb2_grpc.TreeServiceStub, address: str) -> None:
    with pytest.raises(AddressInUse):
        server.start_sync(lambda _: None, service="bootctl", address=address, service_names=())
    assert labels.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=5).labels


def test_a_tcp_port_in_use_is_told_in_one_sentence() -> None:
    first, bound = server.start_sync(lambda _: None, service="a", address="127.0.0.1:0", service_names=())
    with pytest.raises(AddressInUse) as caught:
        server.start_sync(lambda _: None, service="b", address=bound, service_names=())
    first.stop(None).wait(5)
    assert bound in str(caught.value)


def test_the_socket_file_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    started, _ = server.start_sync(lambda _: None, service="a", address=f"unix:{path}", service_names=())
    started.stop(None).wait(5)
    assert path.parent.exists()
