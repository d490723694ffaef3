"""The lab itself, for real: namespaces, DHCP, TFTP, BMCs and machines that boot over PXE."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kadeploy_lab import Lab, LabError, LabNode, network, plan, services
from kadeploy_lab.checkout import known_labs, lab_root
from kadeploy_lab.lab import end_lab
from kadeploy_lab.state import state_file

pytestmark = pytest.mark.lab

PXELINUX = Path("/usr/lib/PXELINUX/pxelinux.0")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
GREETING = "the-lab-says-hello"
BOUND = 60.0

# One after the other, so that never more than two machines run.
FIRST, SECOND = "test-lab-a", "test-lab-b"

STARTS_A_LAB_AND_IS_KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from kadeploy_lab import Lab, services

directory = Path(sys.argv[1])
if sys.argv[2] == "half-way":
    services.start = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
lab = Lab.up(directory.name, directory, node_count=1, owner_pid=os.getpid())
switch_on = lab.ipmi_argv(lab.nodes[0], ["chassis", "power", "on"])
subprocess.run(lab.exec_argv(switch_on), check=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(300)
"""


def directory_of(name: str) -> Path:
    """Under the checkout's own labs, so that even a killed test run is cleared by `down --all`."""
    return lab_root() / name


def start(name: str) -> Lab:
    return Lab.up(name, directory_of(name), node_count=1, owner_pid=os.getpid())


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = start(FIRST)
    yield lab
    lab.down()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    for name in (FIRST, SECOND):
        end_lab(name, directory_of(name))


def lay_boot_files(lab: Lab) -> None:
    loader = lab.tftp_root / "PXEClient"
    (loader / "pxelinux.cfg").mkdir(parents=True, exist_ok=True)
    shutil.copy(PXELINUX, loader)
    shutil.copy(LDLINUX, loader)
    (loader / "pxelinux.cfg" / "default").write_text(f"SERIAL 0 115200\nSAY {GREETING}\nPROMPT 1\nTIMEOUT 0\n")


def power(lab: Lab, node: LabNode, action: str) -> str:
    argv = lab.exec_argv(lab.ipmi_argv(node, ["chassis", "power", action]))
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=BOUND).stdout.strip()


def serial(node: LabNode) -> str:
    text = node.serial_log.read_text(errors="replace") if node.serial_log.exists() else ""
    # The firmware moves the cursor of a terminal now and then, in the middle of a word too.
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def wait_for_greetings(node: LabNode, count: int) -> None:
    """Waits until the boot loader has greeted so many times in all."""
    deadline = time.monotonic() + BOUND
    while (seen := serial(node)).count(GREETING) < count:
        assert time.monotonic() < deadline, f"boot {count} did not greet; the console ends: {seen[-1500:]!r}"
        time.sleep(0.1)
    assert seen.count(GREETING) == count


def lab_cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kadeploy_lab", *words],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )


def run_killed(name: str, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS_A_LAB_AND_IS_KILLED, str(directory_of(name)), moment],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == -9, done.stderr


def test_a_machine_switched_on_by_its_bmc_boots_over_pxe(lab: Lab) -> None:
    (node,) = lab.nodes
    lay_boot_files(lab)
    assert power(lab, node, "status") == "Chassis Power is off"

    power(lab, node, "on")

    assert power(lab, node, "status") == "Chassis Power is on"
    wait_for_greetings(node, 1)
    assert "PXEClient/pxelinux.0... ok" in serial(node)
    assert f"net0: {node.ip}/255.255.255.0" in serial(node)
    transfers = (lab.directory / "tftpd.log").read_text()
    assert f"RRQ from {node.ip} filename PXEClient/pxelinux.0" in transfers
    assert f"filename PXEClient/pxelinux.cfg/01-{node.mac.replace(':', '-')}" in transfers
    assert f"DHCPACK(br0) {node.ip} {node.mac}" in (lab.directory / "dnsmasq.log").read_text()

    power(lab, node, "reset")
    wait_for_greetings(node, 2)
    power(lab, node, "cycle")
    wait_for_greetings(node, 3)

    power(lab, node, "off")
    assert power(lab, node, "status") == "Chassis Power is off"
    assert not lab.has_power(node)


def test_a_bmc_wants_its_password_and_resets_only_what_runs(lab: Lab, tmp_path: Path) -> None:
    (node,) = lab.nodes
    assert lab.bmc_password_file.stat().st_mode & 0o777 == 0o600

    guess = tmp_path / "password"
    guess.write_text("guess")
    argv = lab.exec_argv(lab.ipmi_argv(node, ["chassis", "power", "on"]))
    stranger = [str(guess) if word == str(lab.bmc_password_file) else word for word in argv]
    refused = subprocess.run(stranger, capture_output=True, text=True, check=False, timeout=BOUND)
    assert "Unable to establish IPMI v2 / RMCP+ session" in refused.stderr
    assert not lab.has_power(node)

    with pytest.raises(subprocess.CalledProcessError) as refusal:
        power(lab, node, "reset")
    assert "not supported in present state" in refusal.value.stderr


def test_two_labs_with_the_same_addresses_do_not_meet(lab: Lab) -> None:
    other = start(SECOND)
    assert other.nodes[0].ip == lab.nodes[0].ip
    assert other.namespace != lab.namespace

    power(other, other.nodes[0], "on")

    assert power(other, other.nodes[0], "status") == "Chassis Power is on"
    assert power(lab, lab.nodes[0], "status") == "Chassis Power is off"
    other.down()
    assert power(lab, lab.nodes[0], "status") == "Chassis Power is off"


def test_down_leaves_nothing_even_of_services_that_others_started() -> None:
    lab = start(FIRST)
    power(lab, lab.nodes[0], "on")
    argv = lab.exec_argv([sys.executable, "-c", IGNORES_SIGTERM])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == "deaf\n"
        processes = network.pids(lab.namespace)

        assert lab.down()

        assert stubborn.wait(timeout=BOUND) == -9
    assert [pid for pid in processes if is_running(pid)] == []
    assert lab.namespace not in Path("/proc/self/mountinfo").read_text()
    assert not network.exists(lab.namespace)
    assert not lab.run_directory.exists()
    assert not lab.nodes[0].disk.exists()
    assert not lab.bmc_password_file.exists()
    assert FIRST not in known_labs(lab_root())
    assert lab.nodes[0].serial_log.exists()
    assert not lab.down()


def is_running(pid: int) -> bool:
    """A zombie has ended; its number goes when its parent looks."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("moment", ["half-way", "with a machine running"])
def test_what_a_killed_owner_left_is_cleared_by_the_next_up(moment: str) -> None:
    run_killed(FIRST, moment)
    namespace = plan.namespace(FIRST, directory_of(FIRST))
    orphans = network.pids(namespace)
    said: list[str] = []

    lab = Lab.up(FIRST, directory_of(FIRST), node_count=1, owner_pid=os.getpid(), say=said.append)

    assert said == [f"Cleared away what an earlier run had left of the lab '{FIRST}'."]
    assert [pid for pid in orphans if is_running(pid)] == []
    assert power(lab, lab.nodes[0], "status") == "Chassis Power is off"


def test_what_a_killed_owner_left_is_cleared_by_down() -> None:
    run_killed(FIRST, "with a machine running")

    assert lab_cli("down", "--name", FIRST).stdout == f"The lab '{FIRST}' is down.\n"

    assert not network.exists(plan.namespace(FIRST, directory_of(FIRST)))
    assert lab_cli("down", "--name", FIRST).stdout == f"The lab '{FIRST}' was not up.\n"


def test_a_lab_that_is_up_is_not_taken_away(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"already up .* `make lab-down`"):
        start(FIRST)

    assert lab.missing_services() == []


def test_a_lab_that_lost_a_service_says_so_and_is_cleared_by_the_next_up(lab: Lab) -> None:
    dhcp = int((lab.run_directory / "dnsmasq.pid").read_text())
    os.kill(dhcp, 9)
    wait_until(lambda: not is_running(dhcp), "dnsmasq does not die")

    assert lab.missing_services() == ["DHCP server"]
    status = lab_cli("status", "--name", FIRST)
    assert (status.returncode, status.stderr) == (
        1,
        "Not running: DHCP server. Run `make lab-down`, then start again.\n",
    )
    assert start(FIRST).missing_services() == []


def test_ctrl_c_while_a_lab_comes_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real_start = services.start

    def interrupted(*arguments: object) -> None:
        real_start(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "start", interrupted)

    with pytest.raises(KeyboardInterrupt):
        start(FIRST)

    assert not network.exists(plan.namespace(FIRST, directory_of(FIRST)))
    assert not state_file(directory_of(FIRST)).exists()


def test_a_service_that_does_not_start_is_one_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "dhcp_argv", lambda *_, **__: ["dnsmasq", "--no-such-option"])
    monkeypatch.setattr(services, "_START_SECONDS", 0.0)

    with pytest.raises(LabError, match=r"DHCP server does not start: it says '.*dnsmasq.log"):
        start(FIRST)

    assert not network.exists(plan.namespace(FIRST, directory_of(FIRST)))


def test_the_command_line_says_in_one_sentence_what_is_wrong() -> None:
    refused = lab_cli("status", "--name", FIRST)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "make lab-up" in refused.stderr
