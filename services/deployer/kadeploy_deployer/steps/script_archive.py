"""Archives with a script in them: sent to a node, unpacked there, run with what the script may want to know."""

import hashlib
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import PurePosixPath

from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot, FileSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.each_node import NodeFailed, all_failed, on_each_node
from kadeploy_deployer.ports import DigestDiffers, ImageError, OpenedFile
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.deployment_shell import command, try_command
from kadeploy_deployer.steps.script_variables import DIRECTORY, script_variables
from kadeploy_deployer.steps.step import StepContext

NO_SCRIPT = "none"
PART_BYTES = 256 * 1024
READERS = 4
RUN_VARIABLE = "KADEPLOY_RUN"
"""In the environment of each script and all that it starts: of which deployment, step and archive it is."""

# Kernel threads have no program, and so no environment that is worth the time.
_END_EARLIER_RUN = """
for place in /proc/[0-9]*; do
  [ -e "$place/exe" ] || continue
  tr '\\0' '\\n' <"$place/environ" | grep -qxF "$1" && kill -9 "${place#/proc/}"
done 2>/dev/null
:
"""
TAR_OPTIONS = {"none": (), "gzip": ("--gzip",), "bzip2": ("--bzip2",), "xz": ("--xz",), "zstd": ("--zstd",)}


async def run_archives(
    context: StepContext,
    nodes: Sequence[str],
    archives: Mapping[str, Sequence[ArchiveSnapshot]],
    *,
    step: str,
    reason: FailureReason,
) -> dict[str, Outcome]:
    """Unpacks each node's archives in order and runs their scripts; the first that fails ends it for that node.

    Args:
        context: of the step.
        nodes: their names.
        archives: by node.
        step: under which name the output is kept.
        reason: of a script that fails.
    """
    contents: dict[FileSnapshot, OpenedFile] = {}
    threads = FileThreads(in_all=READERS, per_user=READERS)

    async def one(node: str) -> Outcome:
        for number, archive in enumerate(archives[node], start=1):
            run = f"{context.deployment_id}/{step}/{number}"
            if archive.script != NO_SCRIPT:
                await _end_earlier_run(context, node, run)
            try:
                await _unpack(context, node, archive, _parts(contents[archive.file], archive.file, threads))
            except DigestDiffers as error:
                return file_changed(context, [node], archive.file, error)[node]
            failure = await _run(context, node, archive, run, step=step, reason=reason)
            if failure is not None:
                return failure
        return None

    async with AsyncExitStack() as opened:
        for file in dict.fromkeys(archive.file for node in nodes for archive in archives[node]):
            try:
                contents[file] = await opened.enter_async_context(context.ports.images.fetch(file, user=context.owner))
            except DigestDiffers as error:
                return file_changed(context, nodes, file, error)
            except ImageError as error:
                return all_failed(nodes, reason, str(error))
        return await on_each_node(nodes, one, reason=reason, timeout=context.timeout, ended=context.recorder.ended)


def describe_archive(archive: ArchiveSnapshot) -> list[str]:
    """Returns sentences on what would be done with an archive."""
    sentences = [f"unpack {archive.file.uri} ({archive.file.size_bytes:,} bytes) into {DIRECTORY}"]
    if archive.script != NO_SCRIPT:
        sentences.append(f"run {DIRECTORY}/{archive.script} {DIRECTORY}")
    return sentences


async def _unpack(context: StepContext, node: str, archive: ArchiveSnapshot, content: AsyncIterator[bytes]) -> None:
    options = TAR_OPTIONS[archive.file.compression]
    arguments = ("tar", "--extract", *options, "--file", "-", "--directory", DIRECTORY)
    what = f"unpacking {archive.file.uri}"
    await command(context, node, arguments, what=what, timeout=context.timeout, stdin=content)


async def _end_earlier_run(context: StepContext, node: str, run: str) -> None:
    """Ends what a deployer that died left running of the same script: two at a time would spoil each other's work."""
    arguments = ("sh", "-c", _END_EARLIER_RUN, "end-earlier-run", f"{RUN_VARIABLE}={run}")
    await command(context, node, arguments, what="ending an earlier run of the script")


async def _run(
    context: StepContext, node: str, archive: ArchiveSnapshot, run: str, *, step: str, reason: FailureReason
) -> Outcome:
    if archive.script == NO_SCRIPT:
        return None
    result = await try_command(
        context,
        node,
        (_script_path(archive.script), DIRECTORY),
        timeout=context.timeout,
        environment={**script_variables(context, node), RUN_VARIABLE: run},
    )
    text = result.stdout + result.stderr
    if text:
        await context.recorder.output(node, step, text)
    if result.exit_status:
        return Failure(reason=reason, description=f"{archive.script} on {node} failed: {last_words(result)}")
    return None


def _script_path(script: str) -> str:
    path = PurePosixPath(script)
    if path.is_absolute() or ".." in path.parts:
        raise NodeFailed(f"the script {script!r} has to be a path inside its archive")
    return f"{DIRECTORY}/{path}"


async def _parts(file: OpenedFile, registered: FileSnapshot, threads: FileThreads) -> AsyncIterator[bytes]:
    """Yields the content of an archive; the end of it only if the whole is what is registered, or else DigestDiffers.

    Its owner may write into it after it was proved. A node that got no end runs no script of it.
    """
    whole = hashlib.sha256()
    size = 0

    def read(_stopped: threading.Event) -> bytes:
        part = file.read_at(size, min(PART_BYTES, registered.size_bytes + 1 - size))
        whole.update(part)
        return part

    kept_back = b""
    while part := await threads.run(read):
        size += len(part)
        if kept_back:
            yield kept_back
        kept_back = part
    if (f"sha256:{whole.hexdigest()}", size) != (registered.digest, registered.size_bytes):
        raise DigestDiffers(f"{registered.uri} was changed while it was being sent")
    yield kept_back
