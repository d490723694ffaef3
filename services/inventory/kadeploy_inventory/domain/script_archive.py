"""Archives with a script in them, run on the node before or after the image is written."""

from dataclasses import dataclass, replace
from enum import StrEnum

from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_digest, parse_line, parse_script, parse_uri

PREINSTALL_SCRIPT = "init.ash"
POSTINSTALL_SCRIPT = "traitement.ash"
NO_SCRIPT = "none"
UNPACKED_IN = "/rambin"
"""Where archives are unpacked: what scripts without arguments get as their only one."""


class Compression(StrEnum):
    """How a file is compressed."""

    UNSPECIFIED = "unspecified"
    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptArchive:
    """A file to unpack and the script in it to run."""

    uri: str
    compression: Compression
    digest: str
    size_bytes: int = 0
    script: str = ""
    script_arguments: tuple[str, ...] = ()


def check_script_archive(archive: ScriptArchive, problems: Problems, *, default_script: str) -> ScriptArchive:
    """Returns the archive in its normal form and adds what is wrong with it."""
    if archive.compression is Compression.UNSPECIFIED:
        problems.add("compression", "must be named, if only as none")
    if archive.size_bytes < 0:
        problems.add("size_bytes", f"must not be negative: {archive.size_bytes}")
    for index, argument in enumerate(archive.script_arguments):
        problems.take(f"script_arguments[{index}]", parse_line, argument)
    if archive.script == NO_SCRIPT and archive.script_arguments:
        problems.add("script_arguments", "are for a script, and none is run")
    return replace(
        archive,
        uri=problems.take("uri", parse_uri, archive.uri),
        digest=problems.take("digest", parse_digest, archive.digest),
        script=problems.take("script", parse_script, archive.script or default_script),
        script_arguments=() if archive.script_arguments == (UNPACKED_IN,) else archive.script_arguments,
    )
