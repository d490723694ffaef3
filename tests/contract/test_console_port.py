"""What every Console does: the fake one, and the one that runs commands on terminals."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.console_commands import CommandConsole
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.ports import Console, ConsoleError, ConsoleLine
from tests.fakes.fake_console import FakeConsole
from tests.fakes.snapshots import a_node

pytestmark = pytest.mark.integration

SECONDS = 10.0

# Greets, echoes what is typed byte by byte as a serial line does, and ends at Ctrl-D.
ECHO = """
import os
os.write(1, b"login: ")
while (typed := os.read(0, 1)) not in (b"", b"\\x04"):
    os.write(1, typed)
"""


def node(*command: str) -> NodeSnapshot:
    return replace(a_node("node-1"), commands=CommandSnapshot(console=command))


ECHOING = node(sys.executable, "-c", ECHO)


@pytest.fixture(params=["fake", "commands"])
def console(request: pytest.FixtureRequest) -> Console:
    return FakeConsole(b"login: ") if request.param == "fake" else CommandConsole()


async def read_until(line: ConsoleLine, word: bytes) -> bytes:
    """Reads until the word has come, or to the end."""
    said = b""
    async with asyncio.timeout(SECONDS):
        while word not in said:
            part = await line.read()
            if not part:
                break
            said += part
    return said


async def test_what_is_typed_is_echoed_and_every_key_goes_through(console: Console) -> None:
    line = await console.attach(ECHOING)
    try:
        assert await read_until(line, b"login: ") == b"login: "
        await line.write(b"root\x03\r\x1c")
        assert await read_until(line, b"\x1c") == b"root\x03\r\x1c"
        await line.write(b"\x04")
        assert await read_until(line, b"never") == b""
    finally:
        await line.close()


async def test_a_node_without_a_console_command_is_told(console: Console) -> None:
    with pytest.raises(ConsoleError, match="node-1 has no console command"):
        await console.attach(node())


async def test_a_command_that_cannot_be_run_is_told_with_its_name() -> None:
    with pytest.raises(ConsoleError, match=r"node-1 cannot be run: /nonsense: No such file"):
        await CommandConsole().attach(node("/nonsense", "{name}"))
    with pytest.raises(ConsoleError, match="unknown placeholder"):
        await CommandConsole().attach(node("true", "{port}"))


async def test_placeholders_are_filled_in_and_the_command_has_a_terminal() -> None:
    line = await CommandConsole().attach(node("sh", "-c", "tty >/dev/null && echo terminal of $0", "{name}"))
    try:
        assert b"terminal of node-1" in await read_until(line, b"node-1")
    finally:
        await line.close()


async def test_closing_ends_everything_that_was_started_even_in_the_middle_of_noise(tmp_path: Path) -> None:
    script = 'sleep 1000 & echo "$! $$" >"$0"; while :; do echo noise; done'
    line = await CommandConsole().attach(node("sh", "-c", script, str(tmp_path / "pids")))
    assert b"noise" in await read_until(line, b"noise")
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    reading = asyncio.create_task(line.read())
    await asyncio.sleep(0)
    await line.close()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    async with asyncio.timeout(SECONDS):
        while any(running(pid) for pid in pids):  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.02)
    await line.close()
    assert await line.read() == b""
    await line.write(b"lost")


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
