"""`ka environment upload`: files that were brought to the deployer."""

import click

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain

COLUMNS = ("DIGEST", "SIZE", "STATE", "LAST USE")


@click.group()
def upload() -> None:
    """Files of environments that you brought to the deployer. Recording and deploying bring them by themselves."""


@upload.command("list")
@click.option("-l", "--owner", default="", metavar="USER", help="Those of this user (administrators).")
@command_options()
def list_uploads(session: Session, /, *, owner: str) -> None:
    """Lists what you have uploaded, or begun to."""
    deployer = session.deployer
    request = deployer_service_pb2.ListUploadedImagesRequest(owner=owner)
    found = list(deployer.pages(deployer.uploads.ListUploadedImages, request, lambda page: page.images))
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(image) for image in found],
        data=[plain(image) for image in found],
        names=[image.digest for image in found],
    )
    finish(ExitCode.OK)


def _row(image: deployer_service_pb2.UploadedImage) -> tuple[str, ...]:
    begun = f"{image.received_bytes * 100 // image.size_bytes} %" if image.size_bytes else ""
    return (
        image.digest,
        output.size(image.size_bytes),
        "whole" if image.uri else begun,
        output.local_time(image.use_time),
    )


@upload.command()
@click.argument("digest")
@click.option("-l", "--owner", default="", metavar="USER", help="Of this user (administrators).")
@command_options(form=None)
def delete(session: Session, /, *, digest: str, owner: str) -> None:
    """Removes an upload that no environment and no running deployment names."""
    request = deployer_service_pb2.DeleteUploadedImageRequest(digest=digest, owner=owner)
    session.deployer.call(session.deployer.uploads.DeleteUploadedImage, request)
    output.say(f"the upload {digest} is removed")
    finish(ExitCode.OK)
