"""Files of a login host: found where they are, or uploaded, also when the deployer goes away in the middle."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.environments import uploading
from kadeploy_cli.terminal.failures import Failure
from kadeploy_cli.terminal.output import Format

pytestmark = pytest.mark.integration

CONTENT = bytes(range(256)) * 20_000


class Uploads(deployer_service_pb2_grpc.ImageUploadServiceServicer):
    """Keeps uploads in memory; breaks off after so many messages, so many times."""

    def __init__(self) -> None:
        self.content = b""
        self.readable: set[str] = set()
        self.allowed = True
        self.breaks: list[int] = []
        self.offsets: list[int] = []

    def ResolveImage(
        self, request: deployer_service_pb2.ResolveImageRequest, context: grpc.ServicerContext
    ) -> deployer_service_pb2.ResolveImageResponse:
        uri = request.uri if request.uri in self.readable else ""
        if len(self.content) == request.size_bytes:
            uri = uri or f"upload:///alice/{request.digest}"
        return deployer_service_pb2.ResolveImageResponse(
            uri=uri, received_bytes=len(self.content), uploads_allowed=self.allowed
        )

    def ListUploadedImages(
        self, request: deployer_service_pb2.ListUploadedImagesRequest, context: grpc.ServicerContext
    ) -> deployer_service_pb2.ListUploadedImagesResponse:
        raise NotImplementedError

    def DeleteUploadedImage(
        self, request: deployer_service_pb2.DeleteUploadedImageRequest, context: grpc.ServicerContext
    ) -> deployer_service_pb2.DeleteUploadedImageResponse:
        raise NotImplementedError

    def UploadImage(
        self,
        request_iterator: Iterator[deployer_service_pb2.UploadImageRequest],
        context: grpc.ServicerContext,
    ) -> deployer_service_pb2.UploadedImage:
        header = next(request_iterator).header
        self.offsets.append(header.offset_bytes)
        assert header.offset_bytes == len(self.content)
        left = self.breaks.pop(0) if self.breaks else None
        for number, message in enumerate(request_iterator):
            if number == left:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            self.content += message.content
        whole = len(self.content) == header.size_bytes
        return deployer_service_pb2.UploadedImage(
            received_bytes=len(self.content), uri=f"upload:///alice/{header.digest}" if whole else ""
        )


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Uploads, Session]]:
    monkeypatch.setattr(uploading, "PAUSE_SECONDS", 0.01)
    uploads = Uploads()
    server = grpc.server(ThreadPoolExecutor(2))
    deployer_service_pb2_grpc.add_ImageUploadServiceServicer_to_server(uploads, server)
    server.add_insecure_port(f"unix:{tmp_path}/s")
    server.start()
    config = tmp_path / "client.toml"
    config.write_text(f'user = "alice"\n[deployer]\naddress = "unix:{tmp_path}/s"\n')
    session = Session(config=config, form=Format.TABLE)
    yield uploads, session
    session.close()
    server.stop(None).wait()


def environment(path: Path) -> environment_pb2.Environment:
    path.write_bytes(CONTENT)
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    image = environment_pb2.Image(uri=f"file://{path}", digest=digest, size_bytes=len(CONTENT))
    return environment_pb2.Environment(name="mine", image=image)


def test_a_file_that_the_deployer_cannot_read_is_uploaded_once(
    served: tuple[Uploads, Session], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads, session = served
    mine = environment(tmp_path / "image")
    uploading.bring_files(session, mine)
    assert uploads.content == CONTENT
    assert mine.image.uri == f"upload:///alice/{mine.image.digest}"
    assert "100 %" in capsys.readouterr().err
    uploading.bring_files(session, environment(tmp_path / "image"))
    assert uploads.offsets == [0]


def test_an_upload_that_breaks_off_goes_on_from_there(served: tuple[Uploads, Session], tmp_path: Path) -> None:
    uploads, session = served
    uploads.breaks = [2, 0, 1]
    uploading.bring_files(session, environment(tmp_path / "image"))
    assert uploads.content == CONTENT
    assert uploads.offsets == [0, 2 << 20, 2 << 20, 3 << 20]


def test_a_path_that_the_deployer_can_read_stays(served: tuple[Uploads, Session], tmp_path: Path) -> None:
    uploads, session = served
    mine = environment(tmp_path / "image")
    uploads.readable = {mine.image.uri}
    uploading.bring_files(session, mine)
    assert (mine.image.uri, uploads.offsets) == (f"file://{tmp_path}/image", [])


def test_a_site_that_takes_no_uploads_is_named(
    served: tuple[Uploads, Session], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads, session = served
    uploads.allowed = False
    mine = environment(tmp_path / "image")
    uploading.bring_files(session, mine)
    assert mine.image.uri == f"file://{tmp_path}/image"
    assert "takes no uploads" in capsys.readouterr().err


def test_a_deployer_that_goes_down_again_and_again_ends_it(served: tuple[Uploads, Session], tmp_path: Path) -> None:
    uploads, session = served
    uploads.breaks = [0] * 100
    with pytest.raises(Failure):
        uploading.bring_files(session, environment(tmp_path / "image"))
    assert len(uploads.offsets) == uploading.MOST_BREAKS
