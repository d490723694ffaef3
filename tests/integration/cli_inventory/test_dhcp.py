"""`ka dhcp render` on a real inventory, each output judged by the real daemon's own syntax check."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kadeploy_bootctl.bootstrap import default_files, layout_of, network_grub, sources_of
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.installer import lay_out
from kadeploy_cli.ka import ka
from tests.integration.cli_inventory.conftest import Run

pytestmark = pytest.mark.integration

SUBNET = "subnet 172.31.0.0 netmask 255.255.255.0 {}\n"


@pytest.fixture
def registered(run: Run, tmp_path: Path) -> Run:
    classic = tmp_path / "nodes.txt"
    for number, firmware in ((1, "bios"), (2, "uefi")):
        classic.write_text(
            f"node-{number} 52:54:00:00:00:0{number} 172.31.0.1{number}\n\\#\nvda 8000\n1 500 swap\n2 4000 empty\n"
        )
        done = run(ka, ["node", "register", str(classic), "--firmware", firmware])
        assert done.exit_code == 0, done.output
    return run


def rendered(run: Run, form: str, *options: str) -> str:
    done = run(ka, ["dhcp", "render", "--format", form, *options])
    assert done.exit_code == 0, done.output
    return done.output


def check(command: Sequence[str]) -> None:
    program = Path("/usr/sbin") / command[0]
    assert program.exists(), f"{program} is not installed: run lab/setup-host"
    done = subprocess.run([str(program), *command[1:]], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_isc_dhcpd_accepts_its_hosts(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "isc", "--tftp-server", "172.31.0.1")
    assert "host node-1 {\n  hardware ethernet 52:54:00:00:00:01;\n  fixed-address 172.31.0.11;\n" in text
    assert 'filename "PXEClient/pxelinux.0";' in text
    assert 'filename "PXEClient/grubx64.efi";' in text
    hosts, main = tmp_path / "hosts.conf", tmp_path / "dhcpd.conf"
    hosts.write_text(text)
    main.write_text(f'{SUBNET}include "{hosts}";\n')
    check(["dhcpd", "-t", "-4", "-cf", str(main), "-lf", str(tmp_path / "leases")])


def test_dnsmasq_accepts_its_lines(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "dnsmasq", "--tftp-server", "172.31.0.1")
    assert "dhcp-host=52:54:00:00:00:02,set:kadeploy-uefi,172.31.0.12,node-2\n" in text
    assert "dhcp-boot=tag:kadeploy-uefi,PXEClient/grubx64.efi,,172.31.0.1\n" in text
    path = tmp_path / "dnsmasq.conf"
    path.write_text(f"dhcp-range=172.31.0.0,static\n{text}")
    check(["dnsmasq", "--test", f"--conf-file={path}"])


def test_kea_accepts_its_reservations(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "kea", "--tftp-server", "172.31.0.1", "--repository", "X86PC/linux/")
    assert json.loads(text)[0] == {
        "hw-address": "52:54:00:00:00:01",
        "ip-address": "172.31.0.11",
        "hostname": "node-1",
        "next-server": "172.31.0.1",
        "boot-file-name": "X86PC/linux/linux.0",
    }
    path, nodes = tmp_path / "kea.conf", tmp_path / "nodes.json"
    nodes.write_text(text)
    subnet = f'{{"subnet": "172.31.0.0/24", "id": 1, "reservations": <?include "{nodes}"?>}}'
    path.write_text(
        f'{{"Dhcp4": {{"interfaces-config": {{"interfaces": []}}, "lease-database": {{"type": "memfile", '
        f'"persist": false}}, "subnet4": [{subnet}]}}}}\n'
    )
    check(["kea-dhcp4", "-t", str(path)])


def test_each_repository_has_the_loader_that_init_puts_there(registered: Run, tmp_path: Path) -> None:
    settings = Settings(tftp_root=tmp_path)
    layout = layout_of(settings)
    lay_out(
        layout,
        sources=sources_of(settings),
        defaults=default_files(settings),
        network_grub=network_grub(settings),
    )
    for repository in ("PXEClient", "X86PC/linux"):
        text = rendered(registered, "kea", "--repository", repository)
        files = [host["boot-file-name"] for host in json.loads(text)]
        assert [(tmp_path / file).is_file() for file in files] == [True, True], files
    other = rendered(registered, "isc", "--repository", "intel", "--loader", "linux.0")
    assert 'filename "intel/linux.0";' in other


def test_with_subnets_dhcpd_needs_nothing_around_it(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "isc", "--subnet", "172.31.0.0/24,172.31.0.254", "--subnet", "172.30.0.0/16")
    assert "subnet 172.31.0.0 netmask 255.255.255.0 {\n  option routers 172.31.0.254;\n  host node-1 {\n" in text
    main = tmp_path / "dhcpd.conf"
    main.write_text(text)
    check(["dhcpd", "-t", "-4", "-cf", str(main), "-lf", str(tmp_path / "leases")])


def test_with_subnets_dnsmasq_gives_no_address_to_strangers(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "dnsmasq", "--subnet", "172.31.0.0/24,172.31.0.254", "--subnet", "172.30.0.0/16")
    assert "dhcp-range=set:kadeploy-subnet-1,172.31.0.0,static,255.255.255.0\n" in text
    assert "dhcp-option=tag:kadeploy-subnet-1,option:router,172.31.0.254\n" in text
    assert "dhcp-option=tag:kadeploy-subnet-2,option:router\n" in text
    path = tmp_path / "dnsmasq.conf"
    path.write_text(text)
    check(["dnsmasq", "--test", f"--conf-file={path}"])


def test_with_subnets_kea_gets_its_whole_list(registered: Run, tmp_path: Path) -> None:
    text = rendered(registered, "kea", "--subnet", "172.30.0.0/16", "--subnet", "172.31.0.0/24,172.31.0.254")
    assert [(net["id"], net["subnet"], len(net["reservations"])) for net in json.loads(text)] == [
        (1, "172.30.0.0/16", 0),
        (2, "172.31.0.0/24", 2),
    ]
    path, networks = tmp_path / "kea.conf", tmp_path / "networks.json"
    networks.write_text(text)
    path.write_text(
        f'{{"Dhcp4": {{"interfaces-config": {{"interfaces": []}}, "lease-database": {{"type": "memfile", '
        f'"persist": false}}, "subnet4": <?include "{networks}"?>}}}}\n'
    )
    check(["kea-dhcp4", "-t", str(path)])


def test_only_the_nodes_that_are_asked_for_are_rendered(registered: Run) -> None:
    text = registered(ka, ["dhcp", "render", "node-2", "--format", "isc"]).output
    assert "node-2" in text
    assert "node-1" not in text
    assert "next-server" not in text


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--tftp-server", "tftp", "no IPv4 address"),
        ("--repository", 'a"b', "no path"),
        ("--loader", "a/b", "no file name"),
        ("--subnet", "172.31.0.0", "node-1 (172.31.0.11) is in none of the networks"),
        ("--subnet", "172.31.0.1/24", "is no network: write it as 172.16.0.0/16"),
        ("--subnet", "172.31.0.0/24,172.30.0.1", "the router is not in the network"),
    ],
)
def test_a_bad_option_is_one_sentence(registered: Run, option: str, value: str, words: str) -> None:
    done = registered(ka, ["dhcp", "render", "--format", "isc", option, value])
    assert done.exit_code != 0
    assert words in done.output
