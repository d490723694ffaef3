"""A service's own calls go on when its certificate is renewed while it runs, whatever became of the one before."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.errors import DomainError
from kadeploy_edge.following_channel import FollowingChannel
from kadeploy_edge.server import ServerSettings
from kadeploy_edge.status import from_rpc_error
from kadeploy_edge.tls import TlsFiles
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread
from tests.integration.identity.conftest import serving_inventory

pytestmark = pytest.mark.integration

# The longest that a test waits for what comes at once.
SOON = 10.0


class SerialNumbers(bootctl_service_pb2_grpc.TreeServiceServicer, bootctl_service_pb2_grpc.BootFileServiceServicer):
    """Answers with the serial number of the caller's certificate; a stream goes on when it is let."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def ListLabels(self, request: Any, context: Any) -> bootctl_service_pb2.ListLabelsResponse:
        label = bootctl_service_pb2.KernelLabel(name=self._serial(context))
        return bootctl_service_pb2.ListLabelsResponse(labels=[label])

    def UploadBootFile(self, request_iterator: Any, context: Any) -> Any:
        self.begun.set()
        self.may_end.wait(SOON)
        return boot_entry_pb2.BootFile(size_bytes=len(list(request_iterator)))

    @staticmethod
    def _serial(context: Any) -> str:
        return str(x509.load_pem_x509_certificate(context.auth_context()["x509_pem_cert"][0]).serial_number)


@pytest.fixture
def own(tmp_path: Path) -> SiteCertificates:
    made = SiteCertificates(tmp_path / "pki")
    for name in ("bootctl", "inventory", "deployer"):
        made.issue("service", name)
    return made


@pytest.fixture
def servicer(own: SiteCertificates) -> Iterator[tuple[SerialNumbers, str]]:
    made = SerialNumbers()  # type: ignore[abstract]

    def register(server: grpc.aio.Server) -> None:
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(made, server)
        bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(made, server)

    files = own.files("service", "bootctl")
    server, address = start_in_thread(
        register, ServerSettings(service="bootctl", address="127.0.0.1:0", service_names=(), tls=files)
    )
    yield made, address
    made.may_end.set()
    server.stop()


@pytest.fixture
async def channel(own: SiteCertificates, servicer: tuple[SerialNumbers, str]) -> AsyncIterator[FollowingChannel]:
    files = own.files("service", "deployer")
    async with open_aio_channel(servicer[1], caller="deployer", tls=files) as opened:
        assert isinstance(opened, FollowingChannel)
        yield opened


@pytest.fixture
def shown(channel: FollowingChannel) -> Callable[[], Any]:
    """Returns what asks for the serial number of the certificate that the channel shows."""
    stub = bootctl_service_pb2_grpc.TreeServiceStub(channel)

    async def ask() -> int:
        answer = await stub.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=SOON)
        return int(answer.labels[0].name)

    return ask


def serial(files: TlsFiles) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


async def shutdown(channel: grpc.aio.Channel) -> None:
    """Returns when a channel is closed."""
    state = channel.get_state()
    while state is not grpc.ChannelConnectivity.SHUTDOWN:
        await asyncio.wait_for(channel.wait_for_state_change(state), SOON)
        state = channel.get_state()


async def test_the_next_call_after_a_renewal_shows_the_new_certificate(
    own: SiteCertificates, shown: Callable[[], Any]
) -> None:
    first = serial(own.files("service", "deployer"))
    assert await shown() == first
    renewed = own.renew("service", "deployer").certificate.serial_number
    assert renewed != first
    assert await shown() == renewed


async def test_a_revoked_certificate_is_followed_by_the_one_that_was_issued_in_its_place(
    own: SiteCertificates, shown: Callable[[], Any]
) -> None:
    await shown()
    own.revoke("service", "deployer")
    with pytest.raises(grpc.RpcError) as caught:
        await shown()
    assert from_rpc_error(caught.value).reason == "CERTIFICATE_REVOKED"
    issued = own.issue("service", "deployer")
    assert await shown() == serial(issued)


async def test_a_call_in_flight_ends_on_its_channel_which_is_closed_after_it(
    own: SiteCertificates, servicer: tuple[SerialNumbers, str], channel: FollowingChannel, shown: Callable[[], Any]
) -> None:
    before = channel.newest()
    header = bootctl_service_pb2.UploadBootFileRequest(header=bootctl_service_pb2.BootFileHeader())
    uploads = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
    upload = uploads.UploadBootFile(iter([header]), timeout=SOON)
    assert await asyncio.to_thread(servicer[0].begun.wait, SOON)
    renewed = own.renew("service", "deployer").certificate.serial_number
    assert await shown() == renewed
    assert before.get_state() is not grpc.ChannelConnectivity.SHUTDOWN
    servicer[0].may_end.set()
    assert (await upload).size_bytes == 1
    await shutdown(before)


async def test_a_key_that_comes_after_its_certificate_is_waited_for(
    own: SiteCertificates, shown: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    files = own.files("service", "deployer")
    first, old_key = serial(files), files.private_key.read_bytes()
    own.renew("service", "deployer")
    new_key = files.private_key.read_bytes()
    files.private_key.write_bytes(old_key)
    assert (await shown(), await shown()) == (first, first)
    told = [record.message for record in caplog.records if "the one before stays" in record.message]
    assert len(told) == 1
    assert f"{files.private_key} is not the key of {files.certificate}" in told[0]
    files.private_key.write_bytes(new_key)
    assert await shown() == serial(files)


async def test_closing_ends_the_calls_of_channels_before(
    own: SiteCertificates, servicer: tuple[SerialNumbers, str], channel: FollowingChannel, shown: Callable[[], Any]
) -> None:
    uploads = bootctl_service_pb2_grpc.BootFileServiceStub(channel)
    upload = uploads.UploadBootFile(iter(()), timeout=SOON)
    assert await asyncio.to_thread(servicer[0].begun.wait, SOON)
    own.renew("service", "deployer")
    await shown()
    await asyncio.wait_for(channel.close(), SOON)
    with pytest.raises(asyncio.CancelledError):
        await upload


async def test_the_deployers_calls_to_the_inventory_need_no_restart(own: SiteCertificates, tmp_path: Path) -> None:
    files = own.files("service", "deployer")
    with serving_inventory(tmp_path, own.files("service", "inventory"), tmp_path / "audit.json") as address:
        inventory = GrpcInventory(address, tls=files)

        async def reason() -> str:
            try:
                await inventory.resolve_nodes("node-1", user="alice")
            except DomainError as error:
                return error.reason
            return "answered"

        assert await reason() == "answered"
        own.revoke("service", "deployer")
        assert await reason() == "CERTIFICATE_REVOKED"
        own.issue("service", "deployer")
        assert await reason() == "answered"
        await inventory.close()
