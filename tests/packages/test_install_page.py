"""The commands of docs/install.md, run as they stand there; a list says which need a machine, and why."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packages.debian_root import CHECKOUT, DebianRoot, debian_root
from tests.packages.test_lifecycle import NAMES, package

pytestmark = pytest.mark.packages

PAGE = CHECKOUT / "docs" / "install.md"
HOSTS = {
    "192.0.2.1": "kadeploy.example.org",
    "192.0.2.2": "tftp.example.org",
    "192.0.2.3": "db.example.org",
    "192.0.2.4": "deployer-2.example.org",
}
BLOCK = re.compile(r"^```([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line of the page that begins so is left out; the test does in its place what is said there.
LEFT_OUT = {
    "kadeploy-deployenv build": "builds with packages from a mirror of Debian; tests/e2e boots what it builds",
    "kadeploy -m 'node-[1-2]' -e debian -p sda2\n": "deploys machines; tests/e2e does",
}
# systemd's part without systemd: the command of a unit as its account, in the background. The sandbox is not in it.
STAND_IN = r"""#!/bin/bash
# start|stop|enable --now UNIT…
set -eu
action=$1
shift
[ "$action" != enable ] || { test "$1" = --now; shift; }
declare -A port=([kadeploy-inventory]=7401 [kadeploy-deployer]=7402 [kadeploy-bootctl]=7403)
for unit; do
    file=/lib/systemd/system/$unit.service pid=/run/$unit.pid
    if [ "$action" = stop ]; then
        kill "$(cat "$pid")"
        timeout 40 tail --pid="$(cat "$pid")" -f /dev/null
        continue
    fi
    user=$(sed -n 's/^User=//p' "$file")
    exec_start=$(sed -n 's/^ExecStart=//p' "$file")
    setsid runuser -u "$user" -- $exec_start >"/var/log/$unit.log" 2>&1 </dev/null &
    for try in $(seq 300); do
        ss --listening --tcp --numeric --no-header | grep -q ":${port[$unit]} " && break
        sleep 0.1
    done
    ss --listening --tcp --numeric --no-header | grep -q ":${port[$unit]} " || { cat "/var/log/$unit.log" >&2; exit 1; }
    pgrep --full --oldest -u "$user" "$unit serve" >"$pid"
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of the page.

    Attributes:
        section: the heading of the second level above it.
        kind: the word behind its fence.
        text: what stands in it.
    """

    section: str
    kind: str
    text: str


def blocks(*kinds: str) -> list[Block]:
    found = []
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        found += [Block(section=title, kind=each[1], text=each[2]) for each in BLOCK.finditer(rest) if each[1] in kinds]
    return found


def runnable(text: str) -> str:
    """Returns a block without the commands that are left out."""
    for begin in LEFT_OUT:
        text = re.sub(rf"^{re.escape(begin)}[^\n]*\n?", "", text, flags=re.MULTILINE)
    return text


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRoot]:
    with debian_root(tmp_path_factory.mktemp("page") / "debian", addresses=tuple(HOSTS)) as root:
        home = root.path / "root"
        for name in NAMES:
            (home / package(name).name).write_bytes(package(name).read_bytes())
        with (root.path / "etc" / "hosts").open("a") as hosts:
            hosts.writelines(f"{address} {host}\n" for address, host in HOSTS.items())
        systemctl = root.path / "usr" / "local" / "sbin" / "systemctl"
        systemctl.write_text(STAND_IN)
        systemctl.chmod(0o755)
        yield root


def test_each_command_that_is_left_out_stands_on_the_page() -> None:
    text = PAGE.read_text()
    assert [begin for begin in LEFT_OUT if f"\n{begin}" not in text] == []


def test_the_page_leads_from_packages_to_a_deployment_a_restore_and_an_upgrade(root: DebianRoot) -> None:
    # What the deployment environment's build and the site's image would be.
    root.run("""
        mkdir -p deployenv image/boot
        ssh-keygen -q -t ed25519 -N '' -f deployenv/ssh_host_ed25519_key
        echo kernel >deployenv/vmlinuz; echo initrd >deployenv/initrd.img
        echo kernel >image/vmlinuz; echo initrd >image/initrd.img
        tar --create --zstd --file debian.tar.zst --directory image .
    """)
    run_section(root, "One host")
    check_what_the_services_have(root)
    run_section(root, "TFTP host apart")
    nodes, environments = root.run("ka node list"), root.run("kaenvironments")
    run_backup_and_restore(root)
    assert (root.run("ka node list"), root.run("kaenvironments")) == (nodes, environments)
    run_section(root, "Upgrade")


def run_section(root: DebianRoot, section: str) -> None:
    found = [block for block in blocks("sh") if block.section == section]
    assert found, f"{PAGE} has no section {section}"
    for block in found:
        root.run(runnable(block.text))


def run_backup_and_restore(root: DebianRoot) -> None:
    backup, restore = [block.text for block in blocks("sh") if block.section == "Backup and restore"]
    root.run(backup)
    stop, _, rest = restore.partition("\n")
    root.run(stop)
    # The loss: databases with their markers, settings, certificates and keys.
    root.run("rm -rf /var/lib/kadeploy/inventory/* /var/lib/kadeploy/deployer/* /etc/kadeploy")
    root.run(rest)


def check_what_the_services_have(root: DebianRoot) -> None:
    assert root.run("ka node list -o name").split() == ["node-1", "node-2"]
    for kind in ("isc", "kea", "dnsmasq"):
        assert "node-2" in root.run(f"cat /etc/kadeploy/nodes.{kind}")
    root.run("test -s /srv/tftp/PXEClient/images_grub/deploy-vmlinuz -a -s /srv/tftp/X86PC/linux/linux.0")


@pytest.mark.parametrize("kind", ["dhcpd", "kea", "dnsmasq", "nft"])
def test_a_file_of_the_page_is_understood_by_its_program(kind: str, root: DebianRoot, tmp_path: Path) -> None:
    (block,) = blocks(kind)
    nodes = root.path / "etc" / "kadeploy"
    file = tmp_path / f"{kind}.conf"
    file.write_text(block.text.replace("/etc/kadeploy", str(nodes)))
    commands = {
        "dhcpd": ["dhcpd", "-t", "-4", "-cf", file, "-lf", tmp_path / "leases"],
        "kea": ["kea-dhcp4", "-t", file],
        "dnsmasq": ["dnsmasq", "--test", f"--conf-file={file}"],
        "nft": ["unshare", "--net", "nft", "--check", "--file", file],
    }
    done = subprocess.run(commands[kind], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_port_of_a_sample_stands_in_the_table() -> None:
    samples = [*CHECKOUT.glob("services/*/*.toml.sample"), CHECKOUT / "clients" / "client.toml.sample"]
    named = {port for path in samples for port in re.findall(r"(?:\d:|(?:^|_)port = )(\d{2,5})\b", path.read_text())}
    table = PAGE.read_text().partition("## Ports")[2].partition("\n## ")[0]
    assert {"7401", "7402", "7403", "3306"} <= named
    assert [port for port in sorted(named) if f"{port}/" not in table] == []
