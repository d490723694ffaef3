"""Real dnsmasq and tftpd-hpa between two network namespaces: what they log is read, and `ka doctor` asks them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kadeploy_bootctl.app.boot_logs import get_boot_log
from kadeploy_bootctl.domain.boot_log import BootLogKind
from kadeploy_bootctl.logs.log_files import LogFiles
from kadeploy_lab import services

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are for root"),
]

SERVER, CLIENT = "10.99.0.1", "10.99.0.2"
KNOWN, UNKNOWN = "52:54:00:00:00:01", "52:54:00:00:00:99"
SECONDS = 30.0
ASK = """
import sys
from kadeploy_cli.doctor.dhcp_probe import DhcpError, DhcpServer
from kadeploy_cli.doctor.tftp import TftpError, TftpServer
server, known, unknown = sys.argv[1:]
print(DhcpServer(host=server).offer(known))
try:
    DhcpServer(host=server, seconds=2).offer(unknown)
except DhcpError as error:
    print(error)
print(TftpServer(host=server).fetch("PXEClient/pxelinux.0", most=99))
try:
    TftpServer(host=server).fetch("PXEClient/gone", most=99)
except TftpError as error:
    print(error)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Two namespaces that a cable connects. `directory` takes logs and files."""

    server: str
    client: str
    directory: Path

    def inside(self, namespace: str, *command: str) -> list[str]:
        """Returns a command as it runs in a namespace."""
        return ["ip", "netns", "exec", namespace, *command]


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, f"{name} is not installed"
    return found


def ip(*words: str) -> None:
    subprocess.run([program("ip"), *words], check=True, timeout=SECONDS)


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment(server=f"kabs{os.getpid()}", client=f"kabc{os.getpid()}", directory=tmp_path)
    with ExitStack() as stack:
        for namespace in (made.server, made.client):
            ip("netns", "add", namespace)
            stack.callback(ip, "netns", "delete", namespace)
        ip("link", "add", "s0", "netns", made.server, "type", "veth", "peer", "name", "c0", "netns", made.client)
        for where, link, own in ((made.server, "s0", SERVER), (made.client, "c0", CLIENT)):
            ip("-n", where, "address", "add", f"{own}/24", "dev", link)
            ip("-n", where, "link", "set", link, "up")
        yield made


@pytest.fixture
def servers(segment: Segment) -> Iterator[Segment]:
    """Dnsmasq and in.tftpd as they run in the lab, with logs in the directory."""
    root = segment.directory / "tftp"
    (root / "PXEClient").mkdir(parents=True)
    (root / "PXEClient" / "pxelinux.0").write_bytes(b"a loader")
    dhcp = [
        *(program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--log-dhcp", "--user=root", "--port=0"),
        *(f"--log-facility={segment.directory}/dnsmasq.log", f"--pid-file={segment.directory}/dnsmasq.pid"),
        *("--interface=s0", "--bind-interfaces", "--leasefile-ro"),
        *("--dhcp-range=10.99.0.0,static,255.255.255.0", f"--dhcp-host={KNOWN},10.99.0.11,node-1"),
        f"--dhcp-boot=PXEClient/pxelinux.0,,{SERVER}",
    ]
    tftp = ["in.tftpd", "--listen", "--foreground", "--address", f"{SERVER}:69", "--user", "root", "--verbosity", "4"]
    tap = services.tap_argv([*tftp, "--secure", str(root)])
    with ExitStack() as stack:
        log = stack.enter_context((segment.directory / "tftpd.log").open("wb"))
        for command in (dhcp, tap):
            process = subprocess.Popen(segment.inside(segment.server, *command), stdout=log, stderr=log)
            stack.callback(process.wait, SECONDS)
            stack.callback(process.terminate)
        wait_for_ports(segment)
        yield segment


def wait_for_ports(segment: Segment) -> None:
    deadline = time.monotonic() + SECONDS
    command = segment.inside(segment.server, program("ss"), "--no-header", "--udp", "--listening", "--numeric")
    while True:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
        if ":67 " in listed and ":69 " in listed:
            return
        assert time.monotonic() < deadline, listed
        time.sleep(0.1)


def test_a_doctor_is_answered_and_the_logs_say_what_was_asked(servers: Segment) -> None:
    begin = datetime.now(UTC).replace(microsecond=0)
    asked = subprocess.run(
        servers.inside(servers.client, sys.executable, "-c", ASK, SERVER, KNOWN, UNKNOWN),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = asked.stdout.splitlines()
    assert asked.returncode == 0, asked.stderr
    assert lines[0] == f"Offer(address='10.99.0.11', next_server='{SERVER}', file='PXEClient/pxelinux.0')"
    assert lines[1] == f"no offer from {SERVER} within 2 s"
    assert lines[2] == "b'a loader'"
    assert "not found" in lines[3].lower()
    logs = LogFiles(
        [servers.directory / "dnsmasq.log", servers.directory / "tftpd.log"], clock=lambda: datetime.now(UTC)
    )
    machine = get_boot_log(KNOWN, CLIENT, since=begin, logs=logs)
    kinds = [record.kind for record in machine.records]
    assert kinds[:2] == [BootLogKind.DHCP_REQUEST, BootLogKind.DHCP_OFFER], machine
    assert kinds[2:] == [BootLogKind.FILE_SENT, BootLogKind.FILE_SENT, BootLogKind.FILE_MISSING], machine
    assert machine.records[-1].detail.startswith("PXEClient/gone: ")
    assert list(machine.unanswered) == [UNKNOWN]
    assert [source.problem for source in machine.sources] == ["", ""]
