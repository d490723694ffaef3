"""Watching boots: the console within its bound, given back in every case, and the place in the failure."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.site_boot_watch import SiteBootWatch
from kadeploy_deployer.domain.boot_diagnosis import BootPlace, BootRecord, BootSign
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.nodes.console_tail import MOST_BYTES, ConsoleTail, read_lines
from kadeploy_deployer.ports.boot_watch import ServerLog
from kadeploy_deployer.steps.boot_deployment_environment import BOOT_DEPLOYMENT_ENVIRONMENT
from tests.fakes import snapshots
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_power import FakePower
from tests.fakes.manual_clock import ManualClock
from tests.fakes.step_workshop import Workshop, failure

SAID = b"\x1b[2JLinux version 6.1\r\ncmdline: kadeploy.token=secret quiet\r\nKernel panic - not syncing: no init\r\n"


def nodes(*names: str, console: bool = True) -> list[NodeSnapshot]:
    commands = CommandSnapshot(console=("cat",) if console else ())
    return [replace(each, commands=commands) for each in snapshots.nodes(*names).values()]


class Servers:
    """What bootctl would say. `asked`: the times since which it was asked."""

    def __init__(self, log: ServerLog | None = None) -> None:
        self.log, self.asked = log or ServerLog(), list[float]()

    async def read(self, node: NodeSnapshot, since: float) -> ServerLog:
        self.asked.append(since)
        return self.log


def a_watch(console: FakeConsole, servers: Servers | None = None, *, most: int = 10) -> SiteBootWatch:
    return SiteBootWatch(
        console=console,
        power=FakePower(),
        read_servers=(servers or Servers()).read,
        clock=ManualClock(),
        most_consoles=most,
    )


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_console_is_read_while_a_node_boots_and_given_back() -> None:
    console = FakeConsole(SAID)
    (node,) = nodes("node-1")
    async with a_watch(console).watch(node) as observer:
        await settle()
        text = observer.console()
        found = await observer.explain(seen="nobody answers", wrong=False)
    assert "Linux version 6.1" in text
    assert "secret" not in text
    assert "kadeploy.token=<token> quiet" in text
    assert found.place is BootPlace.KERNEL_PANIC
    assert found.description.endswith(": no init")
    assert [line.closed for line in console.lines["node-1"]] == [True]


async def test_a_block_that_ends_by_an_error_gives_the_console_back_too() -> None:
    console = FakeConsole(SAID)
    (node,) = nodes("node-1")

    async def fail() -> None:
        async with a_watch(console).watch(node):
            await settle()
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await fail()
    assert console.lines["node-1"][0].closed


async def test_a_user_who_wants_the_console_gets_it() -> None:
    console = FakeConsole(SAID)
    (node,) = nodes("node-1")
    watch = a_watch(console)
    async with watch.watch(node) as observer:
        await settle()
        await watch.release_console("node-1")
        assert console.lines["node-1"][0].closed
        assert "Linux version" in observer.console()


async def test_so_many_consoles_are_read_at_once_and_no_more() -> None:
    console = FakeConsole(SAID)
    first, second = nodes("node-1", "node-2")
    watch = a_watch(console, most=1)
    async with watch.watch(first), watch.watch(second) as observer:
        await settle()
        assert list(console.lines) == ["node-1"]
        assert observer.console() == ""


@pytest.mark.parametrize("broken", [True, False])
async def test_a_console_that_cannot_be_reached_is_no_failure(broken: bool) -> None:
    console = FakeConsole(SAID)
    console.broken = "node-1's console is away" if broken else ""
    (node,) = nodes("node-1", console=broken)
    async with a_watch(console).watch(node) as observer:
        await settle()
        assert observer.console() == ""


async def test_the_failure_of_a_deployment_names_the_place_and_keeps_the_console(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    console = FakeConsole(b"kadeploy: deployment environment starting, kernel 6\nkadeploy: no link on eth0 (virtio)\n")
    servers = Servers(ServerLog(sources=("dnsmasq.log",)))
    watch = SiteBootWatch(
        console=console, power=workshop.power, read_servers=servers.read, clock=workshop.clock, most_consoles=1
    )
    context = workshop.context(nodes={each.name: each for each in nodes("node-1")})
    context = replace(context, ports=replace(context.ports, boot_watch=watch))
    found = await failure(BOOT_DEPLOYMENT_ENVIRONMENT, context)
    assert "the deployment environment says at " in found.description
    assert ": no link on eth0 (virtio); seen last: " in found.description
    ((node, step, text),) = workshop.recorder.outputs
    assert (node, step) == ("node-1", "boot_deployment_environment")
    assert text.startswith("serial console while the node booted:\n")
    assert console.lines["node-1"][0].closed
    assert len(servers.asked) == 1


async def test_servers_alone_name_the_place_without_a_console(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    missing = BootRecord(time=workshop.clock.now(), sign=BootSign.FILE_MISSING, detail="images_grub/gone")
    servers = Servers(ServerLog(records=(missing,), sources=("tftpd.log",)))
    watch = SiteBootWatch(
        console=FakeConsole(), power=workshop.power, read_servers=servers.read, clock=workshop.clock, most_consoles=1
    )
    context = workshop.context()
    found = await failure(BOOT_DEPLOYMENT_ENVIRONMENT, replace(context, ports=replace(context.ports, boot_watch=watch)))
    assert "for a file that is not there: images_grub/gone; seen last: " in found.description


def test_of_a_long_console_the_end_is_kept_and_read_again() -> None:
    tail = ConsoleTail()
    for number in range(20_000):
        tail.add(f"line {number}\n".encode(), time=1_700_000_000 + number)
    tail.add(b"x" * 5000, time=1_700_100_000)
    lines = tail.lines(time=1_700_100_000)
    assert sum(len(line) for _, line in lines) <= MOST_BYTES + 5000
    assert lines[-2][1] == "line 19999"
    assert read_lines(tail.text(time=1_700_100_000)) == lines
