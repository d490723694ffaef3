"""kaarchive: an image of a system, made by tar.

Owners are kept as numbers, and extended attributes, ACLs and sparse files as they are. One file system is archived:
what is mounted in it is left out, but for the mount point, and told. The image appears under its name when it is whole.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.environments import image_files
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure

DEFAULT_NAME = "output_image"
# A system of some hundred GB on a slow disk, with room to spare.
MAXIMUM_SECONDS = 24 * 3600.0
# The kernel fills these; an image has them empty. What else is mounted stays out because it is another file system.
PSEUDO = ("./proc/*", "./sys/*", "./run/*", "./dev/pts/*", "./dev/shm/*", "./lost+found")
MOUNTS = Path("/proc/self/mountinfo")
PSEUDO_TYPES = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "sysfs",
    "tmpfs", "tracefs",
}  # fmt: skip
# tar's own: some files changed while they were read. A system that runs does that.
CHANGED = 1
LAST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """A way to compress: the suffix of images, and the program and its arguments."""

    suffix: str
    command: tuple[str, ...] = ()


COMPRESSORS = {
    "none": Compressor(suffix=".tar"),
    "gzip": Compressor(suffix=".tar.gz", command=("gzip",)),
    "zstd": Compressor(suffix=".tar.zst", command=("zstd", "-q", "-T0")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRequest:
    """What is to be archived, and where to."""

    root: Path
    directory: Path
    name: str = DEFAULT_NAME
    compressor: Compressor = COMPRESSORS["none"]
    # Files with patterns, one a line, of what is left out.
    exclude_files: tuple[str, ...] = ()

    @property
    def image(self) -> Path:
        """Where the image will be: its name says how it is compressed."""
        whole = self.name if self.name.endswith(self.compressor.suffix) else f"{self.name}{self.compressor.suffix}"
        return self.directory / whole


def check(request: ArchiveRequest) -> None:
    """Raises UsageFailure when the request cannot be fulfilled, before any work is done."""
    if not request.root.is_dir():
        raise UsageFailure(f"--root-directory {request.root} is not a directory")
    if not request.directory.is_dir():
        raise UsageFailure(f"--output-directory {request.directory} is not a directory")
    if Path(request.name).name != request.name or request.name in {"", ".", ".."}:
        raise UsageFailure(
            f"--image {request.name!r} is not a file name", advice="--output-directory says where it goes."
        )
    known = image_files.kind_of(request.image.name.removesuffix(request.compressor.suffix))
    if known is not None:
        raise UsageFailure(
            f"--image {request.name} names another compression than {request.compressor.suffix}",
            advice="-z makes .tar.gz, --zstd makes .tar.zst, neither makes .tar.",
        )
    programs = ["tar", *request.compressor.command[:1]]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UsageFailure(f"{missing[0]} is not installed here", advice=f"Install the package {missing[0]}.")
    patterns(request.exclude_files)


def patterns(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns what the files exclude: patterns from the root, and patterns that fit anywhere."""
    rooted: list[str] = []
    anywhere: list[str] = []
    for name in files:
        for line in decode(node_names.read_file(name), "stdin" if name == "-" else name).splitlines():
            pattern = line.rstrip("\r")
            if pattern.strip():
                # Members are called "./home/alice", whatever the root is.
                kept = pattern.removeprefix("./")
                if pattern.startswith(("/", "./")):
                    rooted.append(f"./{kept.lstrip('/')}")
                else:
                    anywhere.append(kept)
    return rooted, anywhere


def make(request: ArchiveRequest) -> Path:
    """Archives the system and returns the image, which is there whole or not at all."""
    check(request)
    for mounted in left_out(request.root):
        output.say(f"notice: {mounted} is another file system and is left out")
    try:
        handle, partial = tempfile.mkstemp(dir=request.directory, prefix=f".{request.image.name}.", suffix=".partial")
    except OSError as error:
        raise Failure(f"{request.image} cannot be written: {error.strerror}", exit_code=ExitCode.USAGE) from None
    try:
        with os.fdopen(handle, "wb") as stream, _ended_by_signals():
            _write(request, stream.fileno(), Path(partial))
            # As the umask would have made it; mkstemp lets nobody else read.
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(stream.fileno(), 0o666 & ~mask)
            os.fsync(stream.fileno())
        Path(partial).replace(request.image)
    except OSError as error:
        raise Failure(
            f"{request.image} cannot be written: {error.strerror or error}", exit_code=ExitCode.FAILED
        ) from None
    finally:
        Path(partial).unlink(missing_ok=True)
    return request.image


def left_out(root: Path) -> list[str]:
    """Returns where real file systems are mounted below the root: they hold files that the image will not have."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        words, _, rest = line.partition(" - ")
        place = words.split()[4].encode().decode("unicode_escape", errors="replace")
        kind = rest.split()[0] if rest else ""
        if place != str(root) and Path(place).is_relative_to(root) and kind not in PSEUDO_TYPES:
            found.append(place)
    return sorted(found)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets SIGTERM end the work as Ctrl-C does: with the programs ended and nothing left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _excluding(request: ArchiveRequest, partial: Path) -> Iterator[list[str]]:
    """Gives tar's arguments for what is left out."""
    rooted, anywhere = patterns(request.exclude_files)
    rooted += PSEUDO
    for written in (partial, request.image):
        if written.is_relative_to(request.root):
            inside = str(written.relative_to(request.root))
            rooted.append("./" + "".join(f"\\{letter}" if letter in "\\*?[" else letter for letter in inside))
    with tempfile.TemporaryDirectory(prefix="kaarchive-") as directory:
        arguments = []
        for anchoring, lines in (("--anchored", rooted), ("--no-anchored", anywhere)):
            file = Path(directory, anchoring.strip("-"))
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            arguments += ["--wildcards", anchoring, f"--exclude-from={file}"]
        yield arguments


def _write(request: ArchiveRequest, descriptor: int, partial: Path) -> None:
    with _excluding(request, partial) as excluding, tempfile.TemporaryFile() as complaints:
        arguments = [
            "tar",
            "--create",
            "--file=-",
            f"--directory={request.root}",
            "--numeric-owner",
            "--one-file-system",
        ]
        arguments += ["--sparse", "--xattrs", "--xattrs-include=*", "--acls", *excluding, "."]
        packer = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if request.compressor.command else descriptor,
            stderr=complaints,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        running = [packer]
        try:
            if request.compressor.command:
                command = request.compressor.command
                running.append(subprocess.Popen(command, stdin=packer.stdout, stdout=descriptor, stderr=complaints))
                if packer.stdout is not None:
                    # The compressor alone holds it now: when that dies, tar learns of it.
                    packer.stdout.close()
            # The last of the chain ends last.
            codes = [process.wait(MAXIMUM_SECONDS) for process in reversed(running)]
        except subprocess.TimeoutExpired:
            raise Failure(
                f"the image was not ready within {MAXIMUM_SECONDS / 3600:g} hours", exit_code=ExitCode.FAILED
            ) from None
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        complaints.seek(0)
        _judge(codes[-1], codes[:-1], complaints.read().decode(errors="replace").splitlines())


def _judge(tar: int, compressor: Sequence[int], said: Sequence[str]) -> None:
    if tar in {0, CHANGED} and not any(compressor):
        for line in said[-LAST_LINES:]:
            output.say(f"notice: {line}")
        return
    lines = "".join(f"\n  {line}" for line in said[-LAST_LINES:])
    advice = "Run it as root, who may read every file." if any("Permission denied" in line for line in said) else ""
    raise Failure(f"the image was not made:{lines or ' tar failed'}", exit_code=ExitCode.FAILED, advice=advice)
