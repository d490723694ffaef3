"""ImageUploadService: convert, call, convert."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from typing_extensions import override

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy_deployer.domain.upload import InvalidUpload, Upload
from kadeploy_deployer.requests.uploads import Uploads
from kadeploy_deployer.rpc.callers import Callers
from kadeploy_deployer.rpc.deployment_messages import timestamp
from kadeploy_edge import page_token

Context = grpc.aio.ServicerContext[Any, Any]


class UploadServicer(deployer_service_pb2_grpc.ImageUploadServiceServicer):
    """The calls on uploads."""

    def __init__(self, uploads: Uploads, callers: Callers) -> None:
        self._uploads = uploads
        self._callers = callers

    @override
    async def ResolveImage(
        self, request: deployer_service_pb2.ResolveImageRequest, context: Context
    ) -> deployer_service_pb2.ResolveImageResponse:
        found = await self._uploads.find(
            request.uri,
            digest=request.digest,
            size=request.size_bytes,
            owner=request.owner,
            actor=self._callers.actor(),
        )
        return deployer_service_pb2.ResolveImageResponse(
            uri=found.uri, received_bytes=found.received, uploads_allowed=found.uploads_allowed
        )

    @override
    async def UploadImage(
        self, request_iterator: AsyncIterator[deployer_service_pb2.UploadImageRequest], context: Context
    ) -> deployer_service_pb2.UploadedImage:
        actor = self._callers.actor()
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidUpload("header", "comes first")
        header = first.header
        upload = await self._uploads.receive(
            _content(request_iterator),
            digest=header.digest,
            size=header.size_bytes,
            offset=header.offset_bytes,
            owner=header.owner,
            actor=actor,
        )
        return _message(upload)

    @override
    async def ListUploadedImages(
        self, request: deployer_service_pb2.ListUploadedImagesRequest, context: Context
    ) -> deployer_service_pb2.ListUploadedImagesResponse:
        binding = f"uploads owner={request.owner}"
        after = page_token.decode(request.page_token, binding=binding)
        limit = page_token.page_size(request.page_size)
        found = await self._uploads.list(owner=request.owner, actor=self._callers.actor())
        rest = [each for each in found if after is None or each.address.key > str(after[0])]
        response = deployer_service_pb2.ListUploadedImagesResponse(images=[_message(each) for each in rest[:limit]])
        if len(rest) > limit:
            response.next_page_token = page_token.encode((rest[limit - 1].address.key,), binding=binding)
        return response

    @override
    async def DeleteUploadedImage(
        self, request: deployer_service_pb2.DeleteUploadedImageRequest, context: Context
    ) -> deployer_service_pb2.DeleteUploadedImageResponse:
        await self._uploads.remove(digest=request.digest, owner=request.owner, actor=self._callers.actor())
        return deployer_service_pb2.DeleteUploadedImageResponse()


async def _content(messages: AsyncIterator[deployer_service_pb2.UploadImageRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        if message.WhichOneof("part") != "content":
            raise InvalidUpload("content", "is all that follows the header")
        yield message.content


def _message(upload: Upload) -> deployer_service_pb2.UploadedImage:
    address = upload.address
    return deployer_service_pb2.UploadedImage(
        owner=address.owner,
        digest=address.digest,
        size_bytes=address.size,
        received_bytes=upload.received,
        uri=address.uri if upload.is_whole else "",
        use_time=timestamp(upload.used or None),
    )
