"""Calls while they run: whose right to be heard ends, who takes all threads, who uploads slowly, or leaves."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_edge.channel import open_channel
from kadeploy_edge.limits import Limits
from kadeploy_edge.running_call import CallOver
from kadeploy_edge.server import ServerSettings
from kadeploy_edge.status import from_rpc_error
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread

pytestmark = pytest.mark.integration

SOON = 20.0
WORKERS = 4


class Watched(deployer_service_pb2_grpc.DeploymentServiceServicer):
    """A deployment about which there is something to tell for ever."""

    async def WatchDeployment(self, request: Any, context: Any) -> AsyncIterator[Any]:
        while True:
            yield deployer_service_pb2.WatchDeploymentResponse(heartbeat=deployer_service_pb2.Heartbeat())
            await asyncio.sleep(0.05)


class Held(inventory_service_pb2_grpc.NodeServiceServicer):
    """Answers nobody whose node is called "slow" until it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked = 0

    def GetNode(self, request: Any, context: Any) -> node_pb2.Node:
        if request.name == "slow":
            self.asked += 1
            self.may_answer.wait(SOON)
        return node_pb2.Node(name=request.name)


class Uploads(bootctl_service_pb2_grpc.BootFileServiceServicer):
    """Takes what comes, and notes how it ended."""

    def __init__(self) -> None:
        self.taken = 0
        self.ended = threading.Event()
        self.ended_by: type[BaseException] | None = None
        self.may_take = threading.Event()
        self.may_take.set()

    def UploadBootFile(self, request_iterator: Iterator[Any], context: Any) -> Any:
        try:
            for _ in request_iterator:
                self.taken += 1
                self.may_take.wait(SOON)
        except BaseException as error:
            self.ended_by = type(error)
            raise
        finally:
            self.ended.set()
        return boot_entry_pb2.BootFile(size_bytes=self.taken)


Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves until the end of the test; on a socket, where nothing else is said."""
    servers = []

    def begin(register: Callable[[grpc.aio.Server], None], **options: Any) -> str:
        address = options.pop("address", f"unix:{tmp_path_factory.mktemp('s')}/s")
        settings = ServerSettings(service="test", address=address, service_names=(), maximum_workers=WORKERS, **options)
        server, bound = start_in_thread(register, settings)
        servers.append(server)
        return bound

    yield begin
    for server in servers:
        server.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    remote = from_rpc_error(caught.value)
    return remote.reason or remote.code.name


def test_a_watch_ends_soon_after_its_certificate_was_revoked(serve: Serve, tmp_path: Path) -> None:
    own = SiteCertificates(tmp_path / "pki")
    own.issue("service", "deployer")
    own.issue("user", "alice")
    own.issue("user", "bob")

    def register(server: grpc.aio.Server) -> None:
        deployer_service_pb2_grpc.add_DeploymentServiceServicer_to_server(Watched(), server)  # type: ignore[abstract]

    address = serve(register, address="127.0.0.1:0", tls=own.files("service", "deployer"))
    request = deployer_service_pb2.WatchDeploymentRequest(id="D")
    with (
        open_channel(address, caller="", tls=own.files("user", "alice")) as alice,
        open_channel(address, caller="", tls=own.files("user", "bob")) as bob,
    ):
        watches = [
            deployer_service_pb2_grpc.DeploymentServiceStub(channel).WatchDeployment(request, timeout=SOON)
            for channel in (alice, bob)
        ]
        for watch in watches:
            next(watch)
        own.revoke("user", "alice")
        assert reason_of(lambda: list(watches[0])) == "CERTIFICATE_REVOKED"
        # Whoever has a certificate that counts goes on.
        assert next(watches[1]).HasField("heartbeat")
        watches[1].cancel()


def test_an_upload_ends_soon_after_its_certificate_was_revoked(serve: Serve, tmp_path: Path) -> None:
    own = SiteCertificates(tmp_path / "pki")
    own.issue("service", "bootctl")
    own.issue("service", "deployer")
    servicer, ended = Uploads(), threading.Event()  # type: ignore[abstract]

    def messages() -> Iterator[Any]:
        while not ended.wait(0.05):
            yield bootctl_service_pb2.UploadBootFileRequest(content=b"a")

    address = serve(
        lambda server: bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(servicer, server),
        address="127.0.0.1:0",
        tls=own.files("service", "bootctl"),
    )
    with open_channel(address, caller="", tls=own.files("service", "deployer")) as channel:
        stub = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
        uploading = stub.UploadBootFile.future(messages(), timeout=SOON)
        until(lambda: servicer.taken > 0)
        own.revoke("service", "deployer")
        assert reason_of(uploading.result) == "CERTIFICATE_REVOKED"
        assert servicer.ended.wait(SOON)
        ended.set()
    assert servicer.ended_by is CallOver


def test_one_user_never_has_all_threads(serve: Serve) -> None:
    servicer = Held()  # type: ignore[abstract]
    address = serve(lambda server: inventory_service_pb2_grpc.add_NodeServiceServicer_to_server(servicer, server))
    with (
        open_channel(address, caller="user:alice") as alice,
        open_channel(address, caller="user:bob") as bob,
        ThreadPoolExecutor(2 * WORKERS) as pool,
    ):

        def ask(channel: grpc.Channel, name: str) -> str:
            stub = inventory_service_pb2_grpc.NodeServiceStub(channel)
            return str(stub.GetNode(inventory_service_pb2.GetNodeRequest(name=name), timeout=SOON).name)

        waiting = [pool.submit(ask, alice, "slow") for _ in range(2 * WORKERS)]
        until(lambda: servicer.asked > 0)
        assert ask(bob, "node-1") == "node-1"
        # Her others wait for the first, and for nobody else.
        assert servicer.asked == 1
        servicer.may_answer.set()
        assert [one.result(SOON) for one in waiting] == ["slow"] * (2 * WORKERS)


def test_an_upload_takes_no_more_than_is_read(serve: Serve) -> None:
    servicer = Uploads()  # type: ignore[abstract]
    servicer.may_take.clear()
    sent = []

    def messages() -> Iterator[Any]:
        for number in range(200):
            sent.append(number)
            yield bootctl_service_pb2.UploadBootFileRequest(content=bytes(50_000))

    address = serve(lambda server: bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(servicer, server))
    with open_channel(address, caller="deployer") as channel:
        stub = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
        uploading = stub.UploadBootFile.future(messages(), timeout=SOON)
        until(lambda: servicer.taken == 1)
        time.sleep(0.5)
        # 10 MB wait where they come from, but for what the buffers of the connection hold.
        assert len(sent) < 100
        servicer.may_take.set()
        assert uploading.result().size_bytes == 200


def test_an_upload_whose_caller_leaves_ends_its_thread(serve: Serve) -> None:
    servicer = Uploads()  # type: ignore[abstract]
    goes_on = threading.Event()

    def messages() -> Iterator[Any]:
        yield bootctl_service_pb2.UploadBootFileRequest(content=b"a")
        goes_on.wait(SOON)

    address = serve(lambda server: bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(servicer, server))
    with open_channel(address, caller="deployer") as channel:
        stub = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
        uploading = stub.UploadBootFile.future(messages(), timeout=SOON)
        until(lambda: servicer.taken == 1)
        uploading.cancel()
        assert servicer.ended.wait(SOON)
    # gRPC may say that there are no more messages before it says that the caller has left.
    assert servicer.ended_by in {CallOver, None}
    goes_on.set()


@pytest.mark.parametrize(
    ("limits", "pause", "reason"),
    [
        (Limits(request_seconds=1), 60.0, "REQUEST_TOO_SLOW"),
        (Limits(upload_seconds=1), 0.05, "STREAM_TOO_LONG"),
    ],
)
def test_an_upload_has_a_bound_for_each_message_and_for_all(
    serve: Serve, limits: Limits, pause: float, reason: str
) -> None:
    servicer = Uploads()  # type: ignore[abstract]
    ended = threading.Event()

    def messages() -> Iterator[Any]:
        while not ended.is_set():
            yield bootctl_service_pb2.UploadBootFileRequest(content=b"a")
            ended.wait(pause)

    address = serve(
        lambda server: bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(servicer, server), limits=limits
    )
    with open_channel(address, caller="deployer") as channel:
        stub = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
        assert reason_of(lambda: stub.UploadBootFile(messages(), timeout=SOON)) == reason
        assert servicer.ended.wait(SOON)
        ended.set()


def test_health_is_told_to_watchers_who_then_learn_of_the_end(tmp_path: Path) -> None:
    settings = ServerSettings(service="test", address=f"unix:{tmp_path}/s", service_names=("a.Service",))
    server, address = start_in_thread(lambda _: None, settings)
    with open_channel(address, caller="user:alice") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [
            stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=SOON)
            for name in ("", "a.Service", "another")
        ]
        states = health_pb2.HealthCheckResponse
        first = [next(watch).status for watch in watches]
        server.stop(grace=5)
        last = [next(watch).status for watch in watches]
    assert first == [states.SERVING, states.SERVING, states.SERVICE_UNKNOWN]
    assert last == [states.NOT_SERVING, states.NOT_SERVING, states.SERVICE_UNKNOWN]


STUCK = """
import asyncio, signal, os, sys, threading
from kadeploy_edge import stopping
from kadeploy_edge.server import ServerSettings, serve

stopping.STOP_SECONDS = 1.0
# A thread that never ends, of the kind that Python waits for.
threading.Thread(target=threading.Event().wait).start()
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
settings = ServerSettings(service="test", address=sys.argv[1], service_names=())
sys.exit(asyncio.run(serve(lambda _: None, settings)))
"""


def test_a_process_that_cannot_end_in_good_order_ends_all_the_same_and_says_where_it_waited(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, f"unix:{tmp_path}/s"], capture_output=True, text=True, timeout=SOON, check=False
    )
    assert done.returncode == 1
    assert "not everything has ended within 1 s of the signal" in done.stderr
    assert "in wait" in done.stderr
