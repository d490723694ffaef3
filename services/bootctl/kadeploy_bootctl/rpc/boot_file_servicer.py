"""BootFileService: kernels, initrds and modules."""

from collections.abc import Iterator, Mapping

import grpc

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl.app import boot_files
from kadeploy_bootctl.app.boot_files import Header
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.domain.errors import InvalidUpload
from kadeploy_bootctl.rpc.runtime import Runtime
from kadeploy_edge import page_token

BINDING = "boot_files"


class BootFileServicer(bootctl_service_pb2_grpc.BootFileServiceServicer):
    """The calls on boot files."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def UploadBootFile(
        self,
        request_iterator: Iterator[bootctl_service_pb2.UploadBootFileRequest],
        context: grpc.ServicerContext,
    ) -> boot_entry_pb2.BootFile:
        """Stores a file."""
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidUpload("header", "an upload begins with a header")
        header = Header(digest=first.header.digest, size=first.header.size_bytes, description=first.header.description)
        file = boot_files.upload_boot_file(
            header,
            _portions(request_iterator),
            maximum_bytes=self._runtime.maximum_file_bytes,
            files=self._runtime.files,
            entries=self._runtime.entries,
            clock=self._runtime.clock,
        )
        return _message(file, self._runtime.entries.reference_counts())

    def GetBootFile(
        self, request: bootctl_service_pb2.GetBootFileRequest, context: grpc.ServicerContext
    ) -> boot_entry_pb2.BootFile:
        """Shows one file."""
        file = boot_files.get_boot_file(request.digest, files=self._runtime.files)
        return _message(file, self._runtime.entries.reference_counts())

    def ListBootFiles(
        self, request: bootctl_service_pb2.ListBootFilesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.ListBootFilesResponse:
        """Lists files by digest."""
        limit = page_token.page_size(request.page_size)
        after = page_token.decode(request.page_token, binding=BINDING)
        found, more = boot_files.list_boot_files(
            after=str(after[0]) if after else "", limit=limit, files=self._runtime.files
        )
        references = self._runtime.entries.reference_counts()
        return bootctl_service_pb2.ListBootFilesResponse(
            files=[_message(file, references) for file in found],
            next_page_token=page_token.encode([found[-1].digest], binding=BINDING) if more else "",
        )

    def DeleteUnusedBootFiles(
        self, request: bootctl_service_pb2.DeleteUnusedBootFilesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.DeleteUnusedBootFilesResponse:
        """Collects files that nobody needs."""
        deleted = boot_files.delete_unused_boot_files(
            validate_only=request.validate_only,
            files=self._runtime.files,
            images=self._runtime.images,
            entries=self._runtime.entries,
            clock=self._runtime.clock,
        )
        return bootctl_service_pb2.DeleteUnusedBootFilesResponse(files=[_message(file, {}) for file in deleted])


def _portions(messages: Iterator[bootctl_service_pb2.UploadBootFileRequest]) -> Iterator[bytes]:
    for message in messages:
        if message.WhichOneof("part") != "content":
            raise InvalidUpload("content", "after the header an upload holds content alone")
        yield message.content


def _message(file: BootFile, references: Mapping[str, int]) -> boot_entry_pb2.BootFile:
    message = boot_entry_pb2.BootFile(
        digest=file.digest,
        size_bytes=file.size,
        description=file.description,
        reference_count=references.get(file.digest, 0),
    )
    message.create_time.FromDatetime(file.create_time)
    return message
