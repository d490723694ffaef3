"""Brings files to the deployer that it cannot read where they are: those of hosts on which users log in.

A file is known by its digest: what the deployer has already is not sent again, and what broke off goes on from there.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.status import RemoteError, from_rpc_error

FILE = "file://"
DEPLOYER = "deployer"
PART_BYTES = 1 << 20
LOOK_SECONDS = 180.0
"""The deployer reads the file whose digest it is asked for."""
SILENT = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Of a deployer that is away, or older than this command."""
MOST_BREAKS = 20
PAUSE_SECONDS = 2.0
SHOWN_STEPS = 4
BUSY_REASONS = ("UPLOAD_IN_PROGRESS", "UPLOAD_OFFSET", "STREAM_TOO_LONG", "TOO_MANY_CALLS")

File = environment_pb2.Image | environment_pb2.ScriptArchive


def bring_files(session: Session, environment: environment_pb2.Environment) -> None:
    """Puts in where the deployer can read the environment's local files; uploads those that it cannot.

    Where nobody can say that, the paths stay as they are and a sentence says so.
    """
    if DEPLOYER not in session.settings.addresses:
        # Settings that name no deployer are those of a host that records only.
        return
    files: list[File] = [environment.image, *environment.postinstalls]
    if environment.HasField("preinstall"):
        files.append(environment.preinstall)
    for file in files:
        if file.uri.startswith(FILE) and not _bring(session, file, environment.owner):
            return


def _bring(session: Session, file: File, owner: str) -> bool:
    """Brings one file; False if nobody could say where it can be read."""
    deployer = session.deployer
    request = deployer_service_pb2.ResolveImageRequest(
        uri=file.uri, digest=file.digest, size_bytes=file.size_bytes, owner=owner
    )
    try:
        found = deployer.uploads.ResolveImage(request, timeout=LOOK_SECONDS)
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        if remote.code not in SILENT:
            raise deployer.failure(remote) from None
        output.say(f"whether the deployer can read {file.uri} is not known, for it does not answer; it stays named so")
        return False
    if found.uri:
        file.uri = found.uri
    elif found.uploads_allowed:
        file.uri = _upload(session, file, owner, found.received_bytes)
    else:
        path = file.uri.removeprefix(FILE)
        output.say(
            f"the deployer cannot read {path}, and this site takes no uploads: it has to be there for deployments"
        )
    return True


def _upload(session: Session, file: File, owner: str, received: int) -> str:
    """Uploads a file from where it broke off, and returns its address."""
    path = Path(file.uri.removeprefix(FILE))
    begun = f", from byte {received:,} on" if received else ""
    output.say(f"uploading {path} ({output.size(file.size_bytes)}){begun}: the deployer cannot read it there")
    for breaks in range(MOST_BREAKS):
        try:
            uploaded = session.deployer.uploads.UploadImage(_messages(path, file, owner, received))
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            if not _may_go_on(remote) or breaks == MOST_BREAKS - 1:
                raise session.deployer.failure(remote) from None
            output.say(f"the upload of {path.name} broke off and goes on: {remote.message or remote.code.name}")
            time.sleep(PAUSE_SECONDS)
            received = _received(session, file, owner)
        else:
            if uploaded.uri:
                output.say(f"{path.name} is uploaded")
                return str(uploaded.uri)
            received = uploaded.received_bytes
    raise Failure(f"{path} could not be uploaded: it broke off again and again", exit_code=ExitCode.FAILED)


def _may_go_on(error: RemoteError) -> bool:
    """Returns whether an upload broke off, and was not refused: a broken connection gives no reason."""
    return error.reason in BUSY_REASONS or not error.reason


def _received(session: Session, file: File, owner: str) -> int:
    """Returns how much the deployer has of a file; it may be starting anew."""
    request = deployer_service_pb2.ResolveImageRequest(digest=file.digest, size_bytes=file.size_bytes, owner=owner)
    for tries in range(MOST_BREAKS):
        try:
            found = session.deployer.call(session.deployer.uploads.ResolveImage, request)
        except Failure as failure:
            if failure.exit_code != ExitCode.UNREACHABLE or tries == MOST_BREAKS - 1:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return file.size_bytes if found.uri else found.received_bytes
    raise AssertionError


def _messages(path: Path, file: File, owner: str, offset: int) -> Iterator[deployer_service_pb2.UploadImageRequest]:
    header = deployer_service_pb2.UploadHeader(
        digest=file.digest, size_bytes=file.size_bytes, offset_bytes=offset, owner=owner
    )
    yield deployer_service_pb2.UploadImageRequest(header=header)
    shown = offset * SHOWN_STEPS // file.size_bytes
    with path.open("rb") as stream:
        stream.seek(offset)
        while offset < file.size_bytes and (part := stream.read(min(PART_BYTES, file.size_bytes - offset))):
            yield deployer_service_pb2.UploadImageRequest(content=part)
            offset += len(part)
            if (step := offset * SHOWN_STEPS // file.size_bytes) > shown:
                shown = step
                output.say(f"{path.name}: {step * 100 // SHOWN_STEPS} %")
