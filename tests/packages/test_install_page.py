"""The commands of docs/install.md, run as they stand there; a list says which need a machine, and why."""

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.packages.debian_root import CHECKOUT, DebianRoot, debian_root
from tests.packages.install_page import LEFT_OUT, PAGE, blocks, runnable, section_blocks
from tests.packages.test_lifecycle import NAMES, package

pytestmark = pytest.mark.packages

START_SECONDS = 90.0
HOSTS = {
    "192.0.2.1": "kadeploy.example.org",
    "192.0.2.2": "tftp.example.org",
    "192.0.2.3": "db.example.org",
    "192.0.2.4": "deployer-2.example.org",
}
# systemd's part without systemd: the command of a unit as its account, in the background. The sandbox is not in it.
STAND_IN = r"""#!/bin/bash
# start|stop|restart|enable --now UNIT…
set -eu
action=$1
shift
[ "$action" != enable ] || { test "$1" = --now; shift; }
declare -A port=([kadeploy-inventory]=7401 [kadeploy-deployer]=7402 [kadeploy-bootctl]=7403)
for unit; do
    if [ "$unit" = mariadb ]; then
        install -d -o mysql /run/mysqld
        setsid mariadbd --user=mysql >/var/log/mariadb.log 2>&1 </dev/null &
        for try in $(seq 300); do
            mariadb-admin ping >/dev/null 2>&1 && break
            sleep 0.2
        done
        mariadb-admin ping >/dev/null || { cat /var/log/mariadb.log >&2; exit 1; }
        continue
    fi
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


@pytest.fixture
def root(tmp_path: Path) -> Iterator[DebianRoot]:
    with debian_root(tmp_path / "debian", addresses=tuple(HOSTS)) as root:
        home = root.path / "root"
        for name in NAMES:
            (home / package(name).name).write_bytes(package(name).read_bytes())
        with (root.path / "etc" / "hosts").open("a") as hosts:
            hosts.writelines(f"{address} {host}\n" for address, host in HOSTS.items())
        systemctl = root.path / "usr" / "local" / "sbin" / "systemctl"
        systemctl.write_text(STAND_IN)
        systemctl.chmod(0o755)
        # What the deployment environment's build and the site's image would be.
        root.run("""
            mkdir -p deployenv image
            ssh-keygen -q -t ed25519 -N '' -f deployenv/ssh_host_ed25519_key
            echo kernel | tee deployenv/vmlinuz >image/vmlinuz
            echo initrd | tee deployenv/initrd.img >image/initrd.img
            tar --create --zstd --file debian.tar.zst --directory image .
        """)
        yield root


def test_each_command_that_is_left_out_stands_on_the_page() -> None:
    text = PAGE.read_text()
    assert [line for line in LEFT_OUT if f"\n{line}\n" not in text] == []


def test_the_page_leads_from_packages_to_a_deployment_a_restore_and_an_upgrade(
    root: DebianRoot, tmp_path: Path
) -> None:
    run_section(root, "One host")
    check_what_the_services_have(root)
    check_files_for_other_programs(root, tmp_path)
    run_section(root, "TFTP host apart")
    nodes, environments = root.run("ka node list"), root.run("kaenvironments")
    run_backup_and_restore(root)
    assert (root.run("ka node list"), root.run("kaenvironments")) == (nodes, environments)
    run_section(root, "Upgrade")


def run_section(root: DebianRoot, section: str, *, parts: Sequence[str] = ()) -> None:
    for block in section_blocks(section, parts=parts):
        root.run(runnable(block.text))


def test_the_page_leads_to_mariadb_and_two_deployers(root: DebianRoot) -> None:
    before = ["Packages", "Certificates", "Settings", "The nodes' key and the deployment environment"]
    run_section(root, "One host", parts=before)
    steps = [block.text for block in blocks("sh-mariadb") if block.section.startswith("Three hosts")]
    certificates, server, administrator, init = steps
    root.run(certificates)
    copy_certificates(root)
    root.run(server)
    root.run(administrator)
    for service in ("inventory", "deployer"):
        (table,) = blocks(f"toml-{service}")
        path = root.path / "etc" / "kadeploy" / f"{service}.toml"
        head, _, rest = path.read_text().partition("[database]\n")
        text = f"{head}{table.text}\n{rest[rest.index('[tls]') :]}"
        path.write_text(text.replace('"kadeploy.example.org:7401"', '"db.example.org:7401"'))
    root.run(init)
    root.run("sed -i '/inventory/,/address/s/kadeploy.example.org/db.example.org/' /etc/kadeploy/client.toml")
    start_two_deployers(root)
    run_section(root, "One host", parts=["Nodes and their BMCs", "The first deployment"])
    nodes, environments = root.run("ka node list"), root.run("kaenvironments")
    assert root.run("ka deployment list") == root.run("KADEPLOY_CONFIG=second.toml ka deployment list")
    dump, restore = [block.text for block in blocks("sh-mariadb") if block.section == "Backup and restore"]
    root.run(f"install -d /root/backup\n{dump}")
    root.run("systemctl stop kadeploy-deployer kadeploy-inventory; pkill --full --euid kadeploy-deployer second.toml")
    root.run('for name in deploy deploy_right deploy_state; do mariadb -e "DROP DATABASE $name"; done')
    root.run(restore)
    (upgrade,) = [block.text for block in blocks("sh-mariadb") if block.section == "Upgrade"]
    root.run(upgrade)
    root.run("systemctl start kadeploy-inventory kadeploy-deployer")
    assert (root.run("ka node list"), root.run("kaenvironments")) == (nodes, environments)


def copy_certificates(root: DebianRoot) -> None:
    """Runs the lines of the page that copy the services' certificates, again."""
    (block,) = [block for block in blocks("sh") if block.part == "Certificates"]
    lines = [line for line in block.text.splitlines() if line.startswith(("cd ", "install -m 0640"))]
    assert len(lines) == 4
    root.run("\n".join(lines))


def start_two_deployers(root: DebianRoot) -> None:
    """Starts all services; the two deployers, which stand for two hosts, at an address each."""
    root.run("""
        systemctl start kadeploy-inventory kadeploy-bootctl
        sed 's/0.0.0.0:7402/192.0.2.4:7402/' /etc/kadeploy/deployer.toml >/etc/kadeploy/second.toml
        sed -i 's/0.0.0.0:7402/192.0.2.1:7402/' /etc/kadeploy/deployer.toml
        sed 's/kadeploy.example.org:7402/deployer-2.example.org:7402/' /etc/kadeploy/client.toml >second.toml
        systemctl start kadeploy-deployer
        setsid runuser -u kadeploy-deployer -- kadeploy-deployer serve --config /etc/kadeploy/second.toml \\
            >/var/log/second.log 2>&1 </dev/null &
    """)
    deadline = time.monotonic() + START_SECONDS
    while "listening on 192.0.2.4:7402" not in root.run("cat /var/log/second.log"):
        assert time.monotonic() < deadline, root.run("cat /var/log/second.log")
        time.sleep(0.2)


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


def check_files_for_other_programs(root: DebianRoot, directory: Path) -> None:
    """Has each program read its file of the page, with the nodes that the page's commands have rendered."""
    for name in ("nodes.isc", "nodes.kea", "nodes.dnsmasq"):
        (directory / name).write_text(root.run(f"cat /etc/kadeploy/{name}"))
    programs = {
        "dhcpd": f"dhcpd -t -4 -lf {directory}/leases -cf {directory}/dhcpd.conf",
        "kea": f"kea-dhcp4 -t {directory}/kea.conf",
        "dnsmasq": f"dnsmasq --test --conf-file={directory}/dnsmasq.conf",
        "nft": f"unshare --net nft --check --file {directory}/nft.conf",
    }
    for kind, command in programs.items():
        (block,) = blocks(kind)
        file = directory / f"{kind}.conf"
        file.write_text(block.text.replace("/etc/kadeploy", str(directory)))
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_port_of_a_sample_stands_in_the_table() -> None:
    samples = [*CHECKOUT.glob("services/*/*.toml.sample"), CHECKOUT / "clients" / "client.toml.sample"]
    named = {port for path in samples for port in re.findall(r"(?:\d:|port = )(\d{2,5})\b", path.read_text())}
    table = PAGE.read_text().partition("## Ports")[2].partition("\n## ")[0]
    assert {"7401", "7402", "7403", "3306"} <= named
    assert [port for port in sorted(named) if f"{port}/" not in table] == []
