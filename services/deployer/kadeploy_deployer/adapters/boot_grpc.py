"""Boot through bootctl's contract."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import grpc
from typing_extensions import override

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_deployer.adapters.boot_log_messages import server_log
from kadeploy_deployer.adapters.file_parts import file_parts
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.vocabulary import Firmware
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import (
    Boot,
    BootChainload,
    BootDeploymentKernel,
    BootError,
    BootGrubDisk,
    BootHypervisor,
    BootLocalDisk,
    BootNetworkKernel,
    BootTarget,
    BootUnreachable,
)
from kadeploy_deployer.ports.boot_watch import ServerLog
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.status import RemoteError, from_rpc_error, from_status
from kadeploy_edge.tls import TlsFiles

CALL_SECONDS = 30.0
UPLOAD_SECONDS = 600.0
ENTRIES_PER_CALL = 1_000
IMAGES_PER_CALL = 100
UPLOADS = 8
"""How many parts of files are read at a time."""

_FIRMWARE: Final[Mapping[Firmware, boot_entry_pb2.BootFirmware.ValueType]] = {
    Firmware.BIOS: boot_entry_pb2.BOOT_FIRMWARE_BIOS,
    Firmware.UEFI: boot_entry_pb2.BOOT_FIRMWARE_UEFI,
}

_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class GrpcBoot(Boot):
    """Speaks to one bootctl."""

    def __init__(
        self,
        address: str,
        *,
        call_seconds: float = CALL_SECONDS,
        upload_seconds: float = UPLOAD_SECONDS,
        tls: TlsFiles | None = None,
        insecure: bool = False,
        http_proxy: bool = False,
    ) -> None:
        """Opens the channel; nothing is sent yet.

        Args:
            address: of bootctl, "host:port" or "unix:/path".
            call_seconds: deadline of every call but uploads.
            upload_seconds: deadline of an upload.
            tls: the deployer's own certificate, for TCP.
            insecure: plain text on loopback.
            http_proxy: go through the proxy of the environment.
        """
        self._address = address
        self._call_seconds = call_seconds
        self._upload_seconds = upload_seconds
        self._threads = FileThreads(in_all=UPLOADS, per_user=UPLOADS)
        self._channel = open_aio_channel(address, caller="deployer", tls=tls, insecure=insecure, http_proxy=http_proxy)
        self._boot = bootctl_service_pb2_grpc.BootServiceStub(self._channel)
        self._files = bootctl_service_pb2_grpc.BootFileServiceStub(self._channel)

    @override
    async def set_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        problems: dict[str, str] = {}
        # bootctl makes an image for each node that GRUB boots from its disk.
        makes_images = any(isinstance(target, BootGrubDisk) for target in targets.values())
        for names in _slices(list(targets), IMAGES_PER_CALL if makes_images else ENTRIES_PER_CALL):
            entries = [_entry(targets[name], nodes[name], owner) for name in names]
            request = bootctl_service_pb2.SetBootEntriesRequest(entries=entries)
            await pass_fence()
            try:
                response = await self._boot.SetBootEntries(request, timeout=self._call_seconds)
            except grpc.RpcError as error:
                self._refuse("boot entries cannot be written", error)
            answered = {result.node: result.status for result in response.results}
            for name in names:
                if name not in answered:
                    problems[name] = f"bootctl said nothing about {name}"
                elif answered[name].code:
                    problems[name] = f"bootctl refused the entry of {name}: {from_status(answered[name]).message}"
        return problems

    @override
    async def render_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Nodes whose entry cannot be rendered are not in the answer."""
        files: dict[str, Sequence[tuple[str, str]]] = {}
        for names in _slices(list(targets), ENTRIES_PER_CALL):
            entries = [_entry(targets[name], nodes[name], owner) for name in names]
            request = bootctl_service_pb2.RenderBootEntriesRequest(entries=entries)
            try:
                response = await self._boot.RenderBootEntries(request, timeout=self._call_seconds)
            except grpc.RpcError as error:
                self._refuse("boot entries cannot be shown", error)
            for rendered in response.entries:
                if not rendered.status.code:
                    files[rendered.node] = [(file.path, file.text) for file in rendered.files]
        return files

    @override
    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        known = await self._known(digest)
        if known is not None and await self._renew(known, description):
            return
        broken: list[OSError] = []
        try:
            async with file_parts(path, self._threads) as (size, content):
                header = bootctl_service_pb2.BootFileHeader(digest=digest, size_bytes=size, description=description)
                parts = _upload_parts(header, content, broken)
                await self._files.UploadBootFile(parts, timeout=self._upload_seconds)
        except grpc.RpcError as error:
            if not broken:
                self._refuse(f"{description} cannot be uploaded", error)
        except OSError as error:
            broken.append(error)
        if broken:
            raise BootError(f"{description} cannot be uploaded: {path}: {broken[0].strerror}") from broken[0]

    async def server_log(self, node: NodeSnapshot, since: float) -> ServerLog:
        """Returns what the servers of bootctl's host have logged of a node since a time. Raises nothing."""
        request = bootctl_service_pb2.GetBootLogRequest(mac_address=node.mac_address, ip_address=node.ip_address)
        request.start_time.FromNanoseconds(int(since * 1e9))
        try:
            answer = await self._boot.GetBootLog(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            cause = _cause(from_rpc_error(error), self._address)
            return ServerLog(problems=(f"the logs of the boot servers cannot be read: {cause}",))
        return server_log(answer)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def _known(self, digest: str) -> boot_entry_pb2.BootFile | None:
        request = bootctl_service_pb2.GetBootFileRequest(digest=digest)
        try:
            return await self._files.GetBootFile(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            self._refuse(f"bootctl cannot say whether it has {digest}", error)

    async def _renew(self, file: boot_entry_pb2.BootFile, description: str) -> bool:
        """Tells bootctl that a file is wanted, so that it is not collected before an entry names it."""
        header = bootctl_service_pb2.BootFileHeader(
            digest=file.digest, size_bytes=file.size_bytes, description=description
        )
        announced = bootctl_service_pb2.UploadBootFileRequest(header=header)
        try:
            await self._files.UploadBootFile(iter([announced]), timeout=self._call_seconds)
        except grpc.RpcError as error:
            if error.code() in _NO_ANSWER:
                self._refuse(f"{description} cannot be uploaded", error)
            # It went in this moment, and its content is missed now.
            return False
        return True

    def _refuse(self, what: str, error: grpc.RpcError) -> NoReturn:
        kind = BootUnreachable if error.code() in _NO_ANSWER else BootError
        raise kind(f"{what}: {_cause(from_rpc_error(error), self._address)}") from error


def _cause(error: RemoteError, address: str) -> str:
    if error.reason:
        return error.message
    if error.code is grpc.StatusCode.UNAVAILABLE:
        return f"bootctl does not answer on {address}"
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"bootctl on {address} took too long"
    return f"bootctl on {address} said {error.code.name}: {error.message}"


def _slices(names: list[str], size: int) -> Iterable[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _entry(target: BootTarget, node: NodeSnapshot, owner: str) -> boot_entry_pb2.BootEntry:
    machine = boot_entry_pb2.BootNode(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        firmware=_FIRMWARE[node.firmware],
        uuid=node.uuid,
    )
    return boot_entry_pb2.BootEntry(node=machine, target=_target(target), owner=owner)


def _target(target: BootTarget) -> boot_entry_pb2.BootTarget:
    match target:
        case BootDeploymentKernel(label=label, arguments=arguments):
            return boot_entry_pb2.BootTarget(
                label=boot_entry_pb2.LabelTarget(label=label, arguments=arguments),
            )
        case BootNetworkKernel(kernel_digest=kernel, initrd_digest=initrd, arguments=arguments):
            return boot_entry_pb2.BootTarget(
                network=boot_entry_pb2.NetworkTarget(kernel_digest=kernel, initrd_digest=initrd, arguments=arguments)
            )
        case BootLocalDisk():
            return boot_entry_pb2.BootTarget(local_disk=boot_entry_pb2.LocalDiskTarget())
        case BootChainload(disk=disk, partition=partition):
            return boot_entry_pb2.BootTarget(chainload=boot_entry_pb2.ChainloadTarget(disk=disk, partition=partition))
        case BootHypervisor():
            return boot_entry_pb2.BootTarget(multiboot=_multiboot(target))
        case BootGrubDisk():
            return boot_entry_pb2.BootTarget(
                grub_disk=boot_entry_pb2.GrubDiskTarget(
                    device=target.device,
                    partition=target.partition,
                    kernel_path=target.kernel_path,
                    initrd_path=target.initrd_path,
                    arguments=target.arguments,
                )
            )


def _multiboot(target: BootHypervisor) -> boot_entry_pb2.MultibootTarget:
    modules = [boot_entry_pb2.MultibootModule(digest=target.kernel_digest, arguments=target.arguments)]
    if target.initrd_digest:
        modules.append(boot_entry_pb2.MultibootModule(digest=target.initrd_digest))
    return boot_entry_pb2.MultibootTarget(
        hypervisor_digest=target.hypervisor_digest, hypervisor_arguments=target.hypervisor_arguments, modules=modules
    )


async def _upload_parts(
    header: bootctl_service_pb2.BootFileHeader, content: AsyncIterator[bytes], broken: list[OSError]
) -> AsyncIterator[bootctl_service_pb2.UploadBootFileRequest]:
    """Yields what is sent. grpc would make a cancellation of an error here, so it ends the stream and is noted."""
    yield bootctl_service_pb2.UploadBootFileRequest(header=header)
    try:
        async for part in content:
            yield bootctl_service_pb2.UploadBootFileRequest(content=part)
    except OSError as error:
        broken.append(error)
