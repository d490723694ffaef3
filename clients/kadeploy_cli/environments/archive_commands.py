"""kaarchive and kacreateenv: the classic names and options for making an image of a system."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.environments import archiving, describing, image_files
from kadeploy_cli.environments.archiving import COMPRESSORS, ArchiveRequest
from kadeploy_cli.environments.classic_commands import recording_options
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure

Function = TypeVar("Function", bound=Callable[..., Any])

ARCHIVING = (
    click.option(
        "--root-directory", "root", default="/", show_default=True, metavar="DIR", help="The root of the system."
    ),
    click.option(
        "-X",
        "--exclude-from",
        "exclude_files",
        multiple=True,
        metavar="FILE",
        help='Patterns of what is left out, one a line; with a leading "/" they begin at the root. Repeatable.',
    ),
    click.option("-z", "--gzip", "gzip", is_flag=True, help="Compress with gzip."),
    click.option("--zstd", "zstd", is_flag=True, help="Compress with zstd: faster, and smaller."),
    click.option(
        "--output-directory", "directory", default=".", metavar="DIR", help="Where the image goes.  [default: here]"
    ),
    click.option(
        "-i",
        "--image",
        "image",
        default=archiving.DEFAULT_NAME,
        show_default=True,
        metavar="NAME",
        help="The image's name; .tar, .tar.gz or .tar.zst is added.",
    ),
)


def archiving_options(function: Function) -> Function:
    """Gives a command the options that say what is archived."""
    for option in reversed(ARCHIVING):
        function = option(function)
    return function


def archive_request(options: dict[str, Any]) -> ArchiveRequest:
    """Takes the options of an archive out of a command's and returns what they ask for."""
    gzip, zstd = options.pop("gzip"), options.pop("zstd")
    if gzip and zstd:
        raise UsageFailure("--gzip and --zstd exclude each other")
    return ArchiveRequest(
        root=_directory("--root-directory", options.pop("root")),
        directory=_directory("--output-directory", options.pop("directory")),
        name=options.pop("image"),
        compressor=COMPRESSORS["gzip" if gzip else "zstd" if zstd else "none"],
        exclude_files=options.pop("exclude_files"),
    )


def _directory(option: str, name: str) -> Path:
    # An empty one, as an unset variable gives it, would be the working directory.
    if not name:
        raise UsageFailure(f"{option} is empty; a directory is expected")
    return Path(name).resolve()


@click.command(cls=ClassicCommand)
@archiving_options
@version_option
@command_options(form=None)
def kaarchive(_session: Session, /, **options: Any) -> None:
    """Makes an image of a system: one file system, owners as numbers, with extended attributes.

    What the kernel fills (/proc, /sys, /run, …) is left out. The image appears when it is whole.
    """
    image = archiving.make(archive_request(options))
    output.say(f"{image} is made: {output.size(image.stat().st_size)}")
    finish(ExitCode.OK)


@click.command(cls=ClassicCommand)
@recording_options
@archiving_options
@click.option("--initrdpath", metavar="PATH", help="The initrd in the image (-i names the image here).")
@click.option("--cluster", metavar="NAME", help="The cluster that it is made for (-z compresses here).")
@version_option
@command_options(form=None)
def kacreateenv(session: Session, /, *, file: str | None, owner: str, **options: Any) -> None:
    """Makes an image of a system and records it as an environment: kaarchive and karecordenv in one step.

    The description, and whether its version is still free, are checked before the image is made.
    """
    wanted = archive_request(options)
    archiving.check(wanted)
    options["filebase"] = str(wanted.image)
    planned = describing.described(file=file, options=options, owner=owner, read_image=_planned_image)
    environments.refuse_unrecordable(session, planned)
    image = archiving.make(wanted)
    output.say(f"{image} is made: {output.size(image.stat().st_size)}")
    finish(environments.record(session, file=file, options=options, owner=owner))


def _planned_image(name: str, _directory: Path, _known: object) -> environment_pb2.Image:
    """Stands for the image that is not there yet: its digest and size are of nothing."""
    kind, compression = image_files.kind_by_suffix(name)
    return environment_pb2.Image(
        uri=f"file://{name}", kind=kind, compression=compression, digest=f"sha256:{'0' * 64}", size_bytes=1
    )
