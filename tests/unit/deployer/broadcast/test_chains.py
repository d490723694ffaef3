"""How many chains there are, and who stands in which."""

import subprocess
import sys
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast import chains
from kadeploy_deployer.broadcast.chains import chains_for, link_mbits

GIB = 1 << 30
# As RestrictAddressFamilies= of the unit does: the kernel refuses sockets of AF_NETLINK (16) to this process.
WITHOUT_NETLINK = """
import ctypes, errno, socket, struct

def instruction(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value)

LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
REFUSE, ALLOW = 0x00050000 | errno.EAFNOSUPPORT, 0x7FFF0000
program = b"".join([
    instruction(LOAD, 0), instruction(EQUAL, 41, 0, 3), instruction(LOAD, 16), instruction(EQUAL, 16, 0, 1),
    instruction(ANSWER, REFUSE), instruction(ANSWER, ALLOW),
])
buffer = ctypes.create_string_buffer(program, len(program))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0, ctypes.get_errno()
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
except OSError as error:
    assert error.errno == errno.EAFNOSUPPORT
else:
    raise AssertionError("netlink is still there")
from kadeploy_deployer.broadcast.chains import link_mbits
print(link_mbits("127.0.0.1"))
"""


@pytest.mark.parametrize(
    ("nodes", "node_mbits", "source_mbits", "expected"),
    [
        (8, 1000, 10_000, 1),
        (300, 1000, 1000, 1),
        (300, 1000, 10_000, 2),
        (1000, 1000, 10_000, 5),
        (10_000, 1000, 10_000, 10),
        (10_000, 10_000, 10_000, 1),
        (10_000, 0, 10_000, 1),
        (10_000, 1000, 0, 1),
        (0, 1000, 10_000, 1),
    ],
)
def test_there_are_as_many_chains_as_the_deployers_link_bears_and_start_up_asks_for(
    nodes: int, node_mbits: int, source_mbits: int, expected: int
) -> None:
    assert chains_for(GIB, nodes=nodes, node_mbits=node_mbits, source_mbits=source_mbits) == expected


def test_a_file_without_bytes_needs_one_chain() -> None:
    assert chains_for(0, nodes=300, node_mbits=1000, source_mbits=10_000) == 1


def test_a_link_that_does_not_say_how_fast_it_is_has_no_speed() -> None:
    assert link_mbits("127.0.0.1") == 0
    assert link_mbits("192.0.2.99") == 0
    assert link_mbits("") == 0


def test_the_speed_of_a_link_is_asked_for_without_netlink_which_the_unit_does_not_have() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETLINK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_the_speed_is_that_of_the_interface_with_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bonding_masters").write_text("")
    (tmp_path / "lo").mkdir()
    (tmp_path / "lo" / "speed").write_text("10000\n")
    monkeypatch.setattr(chains, "INTERFACES", tmp_path)
    assert link_mbits("127.0.0.1") == 10_000
    monkeypatch.setattr(chains, "INTERFACES", tmp_path / "away")
    assert link_mbits("127.0.0.1") == 0
