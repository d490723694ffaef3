"""A site on a machine with systemd: a Debian that our own kadeploy deployed gets the packages and deploys another one.

The first machine is installed by the commands of docs/install.md. What it needs of this checkout lies as a tar archive
on its second disk, because an emulated machine decrypts slowly.
"""

import json
import logging
import re
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_demo.lab_profile import lab_profile
from kadeploy_demo.node_login import NodeAnswer
from kadeploy_demo.scenario import DISK, Scenario
from kadeploy_demo.service_settings import CONSOLE
from kadeploy_lab import LabNode
from kadeploy_lab.hardware import Hardware
from tests.packages.install_page import runnable, section_blocks
from tests.packages.test_lifecycle import NAMES, package
from tests.real_site import ENVIRONMENTS, TINY, answer_in_time, described, real_site

pytestmark = pytest.mark.systemd

# The builder of the deployment environment needs a mirror, which the lab has not.
PACKAGES = [name for name in NAMES if name != "kadeploy-deployenv"]
HOST = described("debian-host", ENVIRONMENTS / "debian-host" / "debian-host.env")
HOST_NAME = "kadeploy.example.org"
UPGRADED = ("kadeploy-deployer", "kadeploy-bootctl")
NEXT = ".next"
UNITS = ("kadeploy-inventory", "kadeploy-bootctl", "kadeploy-deployer")
DEPLOY_SECONDS = 900.0
# Each command on the emulated host; a boot of it.
COMMAND_SECONDS = 600.0
BOOT_SECONDS = 300.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine with the packages, entered by ssh.

    Attributes:
        scenario: the lab's site, which deployed it.
        node: the machine.
    """

    scenario: Scenario
    node: LabNode

    def run(self, script: str, *, timeout: float = COMMAND_SECONDS) -> str:
        """Returns what a script of bash prints, run as root; fails with its last words."""
        known_hosts = self.scenario.directory / f"known_hosts.{self.node.name}"
        command = [
            *("ssh", "-F", "none", "-i", str(self.scenario.build.cluster_key), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts}"),
            *("-o", "KexAlgorithms=curve25519-sha256", "-o", "ConnectTimeout=60"),
            *(f"root@{self.node.ip}", "LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash -euo pipefail -s"),
        ]
        start = time.monotonic()
        done = subprocess.run(
            self.scenario.lab.exec_argv(command),
            input=script, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        logger.info("%.1f s: %s", time.monotonic() - start, script.strip().splitlines()[0])
        words = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        assert done.returncode == 0, f"status {done.returncode} of\n{script}\n{words}"
        return done.stdout

    def read_json(self, *command: str) -> Any:
        """Returns what a command prints as JSON."""
        return json.loads(self.run(shlex.join([*command, "-o", "json"])))


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with real_site(
        "systemd",
        tmp_path_factory.mktemp("systemd"),
        build=HOST,
        memory_mib=1536,
        hardware={"node-1": Hardware(disks=2, processors=2)},
        tftp_servers={"node-2": "172.31.0.11"},
    ) as scenario:
        write_supplies(scenario)
        yield scenario


def write_supplies(scenario: Scenario) -> None:
    """Writes what the host gets of this checkout to its second disk."""
    lab = scenario.lab
    with lab.node("node-1").disks[1].open("r+b") as disk, tarfile.open(fileobj=disk, mode="w") as archive:
        for file in map(package, PACKAGES):
            archive.add(file, file.name)
        for name in UPGRADED:
            archive.add(next_release(package(name), scenario.directory), f"next/{name}.deb")
        for name in ("vmlinuz", "initrd.img", "ssh_host_ed25519_key.pub"):
            archive.add(TINY.deployment_environment / name, f"deployenv/{name}")
        for file in TINY.description.parent.iterdir():
            archive.add(file, f"tiny/{file.name}")
        for name in ("cluster_ed25519", "cluster_ed25519.pub"):
            archive.add(TINY.cluster_key.with_name(name), name)
        archive.add(lab.bmc_password_file, "bmc.password")


def next_release(built: Path, directory: Path) -> Path:
    """Makes the same package in a higher version."""
    tree, made = directory / "next", directory / f"next-{built.name}"
    subprocess.run(["dpkg-deb", "--raw-extract", built, tree], check=True, timeout=120)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", rf"\g<0>{NEXT}", control.read_text()))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", tree, made], check=True, timeout=120)
    shutil.rmtree(tree)
    return made


@pytest.fixture(scope="module")
def host(scenario: Scenario) -> Host:
    """The first machine, with Debian and systemd."""
    command = ["kadeploy", "-e", HOST.environment, "-m", "node-1", "-p", "vda3", "--partition-disk"]
    replace(scenario.user, seconds=DEPLOY_SECONDS).run(*command)
    deployments = scenario.user.read_json("ka", "deployment", "list", "-o", "json")
    shown = scenario.user.read_json("ka", "deployment", "show", deployments[0]["id"], "-o", "json")
    answer: NodeAnswer = answer_in_time(scenario, shown["nodes"][0])
    assert answer.system.startswith("Debian")
    scenario.site.stop()
    return Host(scenario=scenario, node=scenario.lab.node("node-1"))


@pytest.fixture(scope="module")
def installed(host: Host) -> Host:
    """The host with the packages, as docs/install.md has them installed; its services run."""
    address = host.node.ip
    host.run(f"""
        tar -xf /dev/vdb
        echo '{address} {HOST_NAME}' >>/etc/hosts
    """)
    for part in ("Packages", "Certificates", "Settings"):
        for block in section_blocks("One host", parts=[part]):
            host.run(runnable(block.text))
    (keys,) = section_blocks("One host", parts=["The nodes' key and the deployment environment"])
    host.run(f"""
        # The lab's machines know this key.
        install -m 0600 cluster_ed25519 /etc/kadeploy
        install -m 0644 cluster_ed25519.pub /etc/kadeploy
        cat >>/etc/kadeploy/bootctl.toml <<END

[serial]

[labels.deploy]
kernel = "deploy-vmlinuz"
initrd = "deploy-initrd"
arguments = "{CONSOLE}"
END
    """)
    made = next(line for line in keys.text.splitlines() if line.startswith("ssh-keygen"))
    host.run(runnable(keys.text.replace(f"{made}\n", "")))
    (start,) = section_blocks("One host", parts=["Start"])
    enable, _, checks = start.text.partition("\n")
    host.run(enable)
    wait_for_services(host)
    host.run(checks)
    return host


def wait_for_services(host: Host) -> None:
    """Waits until all services listen."""
    host.run("""
        for try in $(seq 150); do
            [ "$(ss --listening --tcp --numeric --no-header | grep -c ':740[123] ')" != 3 ] || exit 0
            sleep 1
        done
        journalctl --no-pager --lines 60 --unit 'kadeploy-*' >&2
        exit 1
    """)


def describe_the_site(host: Host) -> None:
    """Registers the second machine, records an environment, and proves that its BMC is reached."""
    lab = host.scenario.lab
    node = lab.node("node-2")
    profile = json.loads(lab_profile(lab))
    profile["commands"] = {
        name: [word if word != str(lab.bmc_password_file) else "/etc/kadeploy/bmc.password" for word in command]
        for name, command in profile["commands"].items()
        if name != "console"
    }
    host.run(f"""
        install -m 0600 -o kadeploy-deployer bmc.password /etc/kadeploy/bmc.password
        cat >profile.yaml <<'END'
{json.dumps(profile)}
END
        cat >nodes.txt <<'END'
{node.name} {node.mac} {node.ip}
{DISK.format(device="vda")}
END
        ka cluster update default --profile profile.yaml
        kaaddnode nodes.txt
        ka node update node-2 --bmc-address {node.bmc_address}
        install -m 0644 tiny/* /var/lib/kadeploy/images
        sed -i 's|{TINY.description.parent}|/var/lib/kadeploy/images|' /var/lib/kadeploy/images/tiny.env
        karecordenv -fe /var/lib/kadeploy/images/tiny.env --visibility public
        kapower -m node-2 --status
    """)


@pytest.fixture(scope="module")
def deployed(installed: Host) -> Host:
    """The host after it has deployed the second machine; its packages were upgraded meanwhile."""
    host = installed
    describe_the_site(host)
    # The deployment does not depend on the command that asked for it, which gives up on a slow machine.
    host.run("""
        setsid kadeploy -m node-2 -e tiny -p vda3 --partition-disk >log 2>&1 </dev/null &
        timeout 120 sh -c 'until ka deployment list -o json | grep -q deploying; do sleep 1; done' ||
            { cat log >&2; exit 1; }
    """)
    host.run("apt-get install --yes --quiet ./next/*.deb")
    wait_for_services(host)
    assert state_of_the_deployment(host) == "deploying", what_happened(host)
    deadline = time.monotonic() + DEPLOY_SECONDS
    while state_of_the_deployment(host) == "deploying":
        assert time.monotonic() < deadline, what_happened(host)
        time.sleep(5)
    return host


def state_of_the_deployment(host: Host) -> str:
    return str(host.read_json("ka", "deployment", "list")[0]["state"])


def what_happened(host: Host) -> str:
    """Returns what the host and the second machine say of the deployment."""
    console = host.scenario.lab.node("node-2").serial_log.read_text(errors="replace")
    return host.run("cat log; journalctl --no-pager --lines 80 --unit kadeploy-deployer") + console[-2000:]


def test_every_service_runs_under_its_sandbox(installed: Host) -> None:
    for unit in UNITS:
        shown = installed.run(f"""
            systemctl show --property ActiveState,NRestarts,MainPID {unit}
            pid=$(systemctl show --property MainPID --value {unit})
            grep -E '^(NoNewPrivs|CapEff|Seccomp):' "/proc/$pid/status"
            nsenter --target "$pid" --mount touch /usr/lib/kadeploy/x 2>&1 || true
        """)
        words = shown.split()
        assert {"ActiveState=active", "NRestarts=0"} <= set(words), shown
        status = {key: words[words.index(key) + 1] for key in ("NoNewPrivs:", "CapEff:", "Seccomp:")}
        assert status == {"NoNewPrivs:": "1", "CapEff:": "0000000000000000", "Seccomp:": "2"}
        assert "Read-only file system" in shown
    assert installed.run(f"systemd-analyze verify --man=no {' '.join(f'{unit}.service' for unit in UNITS)} 2>&1") == ""


def test_a_deployment_goes_on_while_the_packages_are_upgraded(deployed: Host) -> None:
    (deployment,) = deployed.read_json("ka", "deployment", "list")
    assert deployment["state"] == "terminated", what_happened(deployed)
    versions = deployed.run("dpkg-query --show kadeploy-deployer kadeploy-bootctl")
    assert versions.count(NEXT) == len(UPGRADED)
    journal = deployed.run("journalctl --no-pager --unit kadeploy-deployer")
    assert journal.count("Started kadeploy-deployer.service") == 2
    console = deployed.scenario.lab.node("node-2").serial_log.read_text(errors="replace")
    assert "tiny: started as node-2 on /dev/vda3" in console


SEEN = """
    cd /srv/tftp && find . -type f -exec sha256sum {} + | sort
    ka deployment list -o json
    kanodes -listpartition -o json
    ka node list -o json
    kastats -o json
"""


def test_after_a_reboot_everything_is_as_it_was_and_goes_on(deployed: Host) -> None:
    host = deployed
    before, boot = host.run(SEEN), host.run("cat /proc/sys/kernel/random/boot_id")
    host.run("systemctl --no-block reboot")
    wait_for_reboot(host, boot)
    wait_for_services(host)
    assert host.run(SEEN) == before
    # Locks are free, the deployer has its lease again, and the machine boots from the tree.
    host.run("kareboot -m node-2 -p vda3 --hard", timeout=DEPLOY_SECONDS)
    assert host.run("karemote -m node-2 -c hostname").split() == ["node-2:", "node-2"]


def wait_for_reboot(host: Host, boot: str) -> None:
    """Waits until the host answers from another boot than this one."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            if host.run("cat /proc/sys/kernel/random/boot_id", timeout=90) != boot:
                return
        except (AssertionError, subprocess.TimeoutExpired):
            # It goes down, or its sshd is not there yet.
            assert time.monotonic() < deadline, "the host does not come back"
        time.sleep(2)
