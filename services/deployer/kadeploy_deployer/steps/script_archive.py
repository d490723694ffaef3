"""Archives with a script in them: sent to a node, unpacked there, run with what the script may want to know."""

import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import DigestDiffers, ImageError
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.deployment_shell import command, try_command
from kadeploy_deployer.steps.script_variables import DIRECTORY, script_variables
from kadeploy_deployer.steps.step import StepContext

NO_SCRIPT = "none"
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
TAR_OPTIONS: Final[Mapping[Compression, Sequence[str]]] = {
    Compression.NONE: (),
    Compression.GZIP: ("--gzip",),
    Compression.BZIP2: ("--bzip2",),
    Compression.XZ: ("--xz",),
    Compression.ZSTD: ("--zstd",),
}


async def run_archives(
    context: StepContext, node: str, archives: Sequence[ArchiveSnapshot], *, step: str, reason: FailureReason
) -> None:
    """Unpacks archives on a node in order and runs their scripts.

    Args:
        context: of the step.
        node: its name.
        archives: in their order.
        step: under which name the output is kept.
        reason: of a script that fails.

    Raises:
        StepFailed: an archive cannot be read, or its script failed; the following are left alone.
        NodeFailed, ShellError: the node cannot take it.
    """
    for number, archive in enumerate(archives, start=1):
        run = f"{context.deployment_id}/{step}/{number}"
        try:
            async with context.archives.read(archive.file, user=context.owner) as content:
                if archive.script != NO_SCRIPT:
                    await _end_earlier_run(context, node, run)
                await _unpack(context, node, archive, content)
        except DigestDiffers as error:
            raise file_changed(context, archive.file, error) from error
        except ImageError as error:
            raise StepFailed(reason, str(error)) from error
        await _run(context, node, archive, run, step=step, reason=reason)


def describe_archive(archive: ArchiveSnapshot) -> list[str]:
    """Returns sentences on what would be done with an archive."""
    sentences = [f"unpack {archive.file.uri} ({archive.file.size_bytes:,} bytes) into {DIRECTORY}"]
    if archive.script != NO_SCRIPT:
        sentences.append(f"run {shlex.join((f'{DIRECTORY}/{archive.script}', *_arguments(archive)))}")
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
) -> None:
    if archive.script == NO_SCRIPT:
        return
    result = await try_command(
        context,
        node,
        (_script_path(archive.script), *_arguments(archive)),
        timeout=context.timeout,
        environment={**script_variables(context, node), RUN_VARIABLE: run},
    )
    text = result.stdout + result.stderr
    if text:
        await context.recorder.output(node, step, text)
    if result.exit_status:
        raise StepFailed(reason, f"{archive.script} on {node} failed: {last_words(result)}")


def _arguments(archive: ArchiveSnapshot) -> tuple[str, ...]:
    return archive.arguments or (DIRECTORY,)


def _script_path(script: str) -> str:
    path = PurePosixPath(script)
    if path.is_absolute() or ".." in path.parts:
        raise NodeFailed(f"the script {script!r} has to be a path inside its archive")
    return f"{DIRECTORY}/{path}"
