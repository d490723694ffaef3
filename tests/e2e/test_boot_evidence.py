"""Where a boot breaks, on real machines: each is broken in another place, and the failure names it.

One lab and one deployment for all: a cable that is out, a hardware address that is not the registered one, a DHCP
server that does not know a machine, a kernel that is gone from the TFTP tree, one that panics, a missing driver of the
network card, a network that goes away behind the boot loader, and a disk without a driver.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_demo.scenario import Scenario
from kadeploy_lab import plan, services
from kadeploy_lab.commands import find_program, start_service
from kadeploy_lab.plan import tap
from tests.real_site import real_site

pytestmark = pytest.mark.lab

BOUND = 300.0
WRONG_MAC = "52:54:00:99:99:99"
UNPLUGGED, OTHER_MAC, UNKNOWN, GONE, PANIC, NO_DRIVER, CUT_OFF, NO_DISK = (f"node-{number}" for number in range(1, 9))
SERIAL = "console=ttyS0,115200"
# What makes a cluster of its own differ from the others: the label, and arguments of the deployment kernel.
CLUSTERS: Mapping[str, tuple[str, str, str]] = {
    GONE: ("gone", "gone", ""),
    PANIC: ("panic", "deploy", "rdinit=/nonexistent"),
    NO_DRIVER: ("nodriver", "deploy", "modprobe.blacklist=virtio_net"),
    NO_DISK: ("nodisk", "deploy", "modprobe.blacklist=virtio_blk kadeploy.disk_wait=600"),
}
GONE_LABEL = f"""
[labels.gone]
kernel = "gone-vmlinuz"
initrd = "deploy-initrd"
arguments = "{SERIAL}"
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("evidence")
    with real_site("evidence", directory, node_count=8, memory_mib=384, bootctl_settings=GONE_LABEL) as scenario:
        profile = json.loads((directory / "profile.yaml").read_text())
        profile |= {"first_check_timeout": 60, "reboot_ladder": ["hard"]}
        update_cluster(scenario, "default", profile, verb="update")
        for node, (cluster, label, arguments) in CLUSTERS.items():
            own = {"deployment_kernel_label": label, "deployment_kernel_arguments": arguments}
            update_cluster(scenario, cluster, {**profile, **own}, verb="create")
            scenario.administrator.run("ka", "node", "update", node, "--cluster", cluster)
        for kernel in scenario.lab.tftp_root.glob("**/images_grub/deploy-vmlinuz"):
            shutil.copy(kernel, kernel.with_name("gone-vmlinuz"))
        yield scenario


def update_cluster(scenario: Scenario, name: str, profile: Mapping[str, Any], *, verb: str) -> None:
    file = scenario.directory / f"{name}.yaml"
    file.write_text(json.dumps(profile))
    scenario.administrator.run("ka", "cluster", verb, name, "--profile", str(file))


def break_before(scenario: Scenario) -> None:
    """Breaks what is broken before the deployment begins."""
    subprocess.run(scenario.lab.exec_argv(["ip", "link", "set", tap(1), "down"]), check=True, timeout=10)
    scenario.administrator.run("ka", "node", "update", OTHER_MAC, "--mac", WRONG_MAC)
    restart_dhcp(scenario)


def restart_dhcp(scenario: Scenario) -> None:
    """Lets the DHCP server forget a machine, and know another one by the address that is registered."""
    lab = scenario.lab
    pid_file = lab.run_directory / "dnsmasq.pid"
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    known = [
        replace(node, mac=WRONG_MAC) if node.name == OTHER_MAC else node for node in lab.nodes if node.name != UNKNOWN
    ]
    argv = services.dhcp_argv(known, pid_file=pid_file, log=str(lab.directory / "dnsmasq.log"), ipv6=False)
    argv[0] = find_program(argv[0])
    start_service(plan.namespace("evidence", lab.directory), argv, lab.directory / "dnsmasq.log")


def break_meanwhile(scenario: Scenario) -> None:
    """Breaks what has to be whole when the deployment begins."""
    root = scenario.lab.tftp_root
    for node in (GONE, CUT_OFF):
        entry = root / "PXEClient" / "pxelinux.cfg" / f"01-{scenario.lab.node(node).mac.replace(':', '-')}"
        wait_until(entry.exists)
    for kernel in root.glob("**/images_grub/gone-vmlinuz"):
        kernel.unlink()
    log = scenario.lab.directory / "tftpd.log"
    fetched = f"RRQ from {scenario.lab.node(CUT_OFF).ip} filename PXEClient/images_grub/deploy-initrd"
    wait_until(lambda: fetched in log.read_text(errors="replace"))
    started = scenario.lab.node(CUT_OFF).serial_log
    wait_until(lambda: "deployment environment starting" in started.read_text(errors="replace"))
    subprocess.run(scenario.lab.exec_argv(["ip", "link", "set", tap(7), "down"]), check=True, timeout=10)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def failures(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """How each node failed, by its name."""
    break_before(scenario)
    breaking = threading.Thread(target=break_meanwhile, args=(scenario,), daemon=True)
    breaking.start()
    assert scenario.deploy() == 1
    breaking.join(BOUND)
    (deployment,) = scenario.user.read_json("ka", "deployment", "list", "-o", "json")
    shown = scenario.user.read_json("ka", "deployment", "show", deployment["id"], "-o", "json")
    return {node["node"]: node for node in shown["nodes"]}


@pytest.mark.parametrize(
    ("node", "place", "words"),
    [
        (UNPLUGGED, "dhcp_request", "no DHCP request of "),
        (OTHER_MAC, "dhcp_request", f"no DHCP request of {WRONG_MAC} came since"),
        (UNKNOWN, "dhcp_answer", "and the DHCP server offered none"),
        (GONE, "boot_file", "a file that is not there: PXEClient/images_grub/gone-vmlinuz"),
        (PANIC, "kernel_panic", "the kernel panicked at "),
        (NO_DRIVER, "driver", "network card"),
        (NO_DISK, "driver", "disk controller"),
        (CUT_OFF, "network", "no DHCP answer on "),
    ],
)
def test_the_failure_names_the_place_and_a_diagnosis_says_the_same(
    scenario: Scenario, failures: dict[str, dict[str, Any]], node: str, place: str, words: str
) -> None:
    failed = failures[node]
    assert (failed["state"], failed["reason"]) == ("error", "not_there_on_first_check")
    assert words in failed["description"]
    found = scenario.administrator.read_json("ka", "node", "diagnose", node, "-o", "json")
    assert found["place"] == place, found


def test_the_console_of_a_failed_boot_is_kept(scenario: Scenario, failures: dict[str, dict[str, Any]]) -> None:
    assert failures[PANIC]["state"] == "error"
    (deployment,) = scenario.user.read_json("ka", "deployment", "list", "-o", "json")
    outputs = scenario.user.read_json("ka", "deployment", "output", deployment["id"], PANIC, "-o", "json")
    text = "".join(each["text"] for each in outputs)
    assert "Kernel panic - not syncing" in text
    assert "kadeploy.token=<token>" in text
