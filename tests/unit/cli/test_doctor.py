"""Checks of `ka doctor` that need no service: each is broken once."""

import http.server
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.doctor.boot_checks import BootHosts, _by_http, _files, check_dhcp
from kadeploy_cli.doctor.dhcp_probe import DhcpServer
from kadeploy_cli.doctor.finding import State
from kadeploy_cli.doctor.service_checks import certificate, check_clocks, check_services
from kadeploy_cli.doctor.tftp import TftpError, TftpServer
from kadeploy_cli.overview.services import SERVES, ServiceState

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NODE = node_pb2.Node(name="node-1", mac_address="52:54:00:12:34:01", ip_address="10.77.0.11")
START_SECONDS = 20.0


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def tftp(tmp_path: Path) -> Iterator[tuple[TftpServer, Path]]:
    """A real TFTP server on loopback, and its root."""
    root, port = tmp_path / "tftp", free_port(socket.SOCK_DGRAM)
    root.mkdir(mode=0o755)
    (root / "big").write_bytes(bytes(range(256)) * 64)
    (root / "small").write_bytes(b"a kernel")
    program = shutil.which("in.tftpd", path="/usr/sbin:/sbin:/usr/bin")
    assert program is not None
    command = [
        program,
        "--listen",
        "--foreground",
        "--address",
        f"127.0.0.1:{port}",
        "--user",
        "root",
        "--secure",
        str(root),
    ]
    server = TftpServer(host="127.0.0.1", port=port, seconds=1.0)
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    server.fetch("small", most=1)
                    break
                except TftpError:
                    assert time.monotonic() < deadline
            yield server, root
        finally:
            process.terminate()


@pytest.mark.skipif(os.geteuid() != 0, reason="in.tftpd changes its root, which is for root")
def test_files_are_fetched_from_a_real_tftp_server(tftp: tuple[TftpServer, Path]) -> None:
    server, _ = tftp
    assert server.fetch("small", most=4096) == b"a kernel"
    assert server.fetch("big", most=4096) == bytes(range(256)) * 16
    with pytest.raises(TftpError, match="File not found"):
        server.fetch("gone", most=1)


def test_a_tftp_server_that_is_not_there_is_named() -> None:
    server = TftpServer(host="127.0.0.1", port=free_port(socket.SOCK_DGRAM), seconds=0.1)
    with pytest.raises(TftpError, match=r"no answer from 127\.0\.0\.1|cannot be reached"):
        server.fetch("small", most=1)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "kernel").write_bytes(b"a kernel")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_files_are_fetched_by_http_and_missing_ones_are_named(web: str) -> None:
    assert _by_http(f"{web}/kernel").state is State.GOOD
    missing = _by_http(f"{web}/gone")
    assert (missing.state, missing.text) == (State.BAD, "status 404")
    away = _by_http(f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}/kernel")
    assert away.state is State.BAD
    assert "refused" in away.text


def test_the_files_of_a_node_are_those_that_its_loader_fetches() -> None:
    pxelinux = "LABEL a\n  KERNEL images_grub/k\n  APPEND initrd=images_grub/i console=ttyS0\n"
    assert _files(pxelinux) == ["images_grub/k", "images_grub/i"]
    grub = "linux http://192.0.2.1/t/k quiet\ninitrd http://192.0.2.1/t/i\n"
    assert _files(grub) == ["http://192.0.2.1/t/k", "http://192.0.2.1/t/i"]


class DhcpAnswer(threading.Thread):
    """A DHCP server that answers one question. `address`: what it offers; empty: it says nothing."""

    def __init__(self, address: str, file: bytes = b"PXEClient/pxelinux.0") -> None:
        super().__init__(daemon=True)
        self._address, self._file = address, file
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.asked_for = b""
        self.start()

    def run(self) -> None:
        with self._socket:
            question, caller = self._socket.recvfrom(2048)
            self.asked_for = question[28:34]
            if not self._address:
                return
            head = struct.pack("!4B", 2, 1, 6, 0) + question[4:16] + socket.inet_aton(self._address)
            head += socket.inet_aton("10.77.0.1") + question[24:44] + bytes(64) + self._file.ljust(128, b"\0")
            self._socket.sendto(head + question[236:240] + bytes([53, 1, 2, 255]), caller)


@pytest.mark.parametrize(
    ("address", "file", "state", "words"),
    [
        ("10.77.0.11", b"PXEClient/pxelinux.0", State.GOOD, "10.77.0.11 is offered, and PXEClient/pxelinux.0 from 10"),
        ("10.77.0.99", b"x", State.BAD, "10.77.0.99 is offered, and 10.77.0.11 is registered"),
        ("10.77.0.11", b"", State.BAD, "without a file to boot"),
        ("", b"", State.BAD, "no offer from 127.0.0.1 within 0.5 s"),
    ],
)
def test_the_offer_of_a_dhcp_server_is_compared_with_the_node(
    address: str, file: bytes, state: State, words: str
) -> None:
    answer = DhcpAnswer(address, file)
    server = DhcpServer(host="127.0.0.1", port=answer.port, reply_port=0, seconds=0.5)
    (found,) = check_dhcp(NODE, BootHosts(tftp=TftpServer(host=""), dhcp=server))
    assert found.state is state
    assert words in found.text
    assert answer.asked_for == bytes.fromhex("525400123401")


def test_who_may_not_ask_a_dhcp_server_is_told_why() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        server = DhcpServer(host="127.0.0.1", reply_port=taken.getsockname()[1])
        (found,) = check_dhcp(NODE, BootHosts(tftp=TftpServer(host=""), dhcp=server))
    assert found.state is State.SKIPPED
    assert "which the server has itself" in found.text


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [(100, State.GOOD, "counts until"), (29, State.WARNING, "in 29 days"), (-1, State.BAD, "ended on")],
)
def test_certificates_are_judged_by_their_ends(days: int, state: State, words: str) -> None:
    found = certificate("certificate of x", NOW + timedelta(days=days), now=NOW)
    assert found.state is state
    assert words in found.text


def service(**changes: object) -> ServiceState:
    given: dict[str, object] = {"service": "deployer", "address": "h:1", "state": SERVES, "version": "0.1.0"}
    return ServiceState(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "state"), [(0.1, State.GOOD), (-90.0, State.BAD), (90.0, State.BAD)])
def test_clocks_that_differ_are_bad(seconds: float, state: State) -> None:
    (found,) = check_clocks([service(seconds_ahead=seconds), service(seconds_ahead=None)])
    assert found.state is state


def test_services_of_another_release_and_those_that_do_not_serve_are_named() -> None:
    found = list(check_services([service(), service(version="0.0.9"), service(state="does not answer")]))
    assert [each.state for each in found] == [State.GOOD, State.WARNING, State.BAD]
    assert "version 0.0.9; this command is 0.1.0" in found[1].text
