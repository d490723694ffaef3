"""The commands for rights and clusters against services that note what they are asked."""

import json
from pathlib import Path

import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2
from kadeploy_cli.ka import ka
from kadeploy_cli.rights.classic_commands import kaadduser, kadeluser
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

PROFILE = """\
first_check_timeout: 300
reboot_window: {size: 10, pause: 5}
commands:
  hard_reboot: ipmitool -I lanplus -H {bmc} -U admin -f /etc/kadeploy/bmc chassis power reset
  power_status: [ipmitool, -H, "{bmc}", chassis, power, status]
reboot_ladder: [soft, hard]
default_device: vda
kernel_arguments: console=ttyS0
mkfs_options: {ext4: "-O ^metadata_csum"}
"""


def test_kaadduser_grants_all_partitions_when_none_is_named(site: Site, run: Run) -> None:
    result = run(kaadduser, ["-l", "bob", "-m", "node-[1-2]"])
    assert result.exit_code == 0, result.output
    assert [(right.user, right.node, right.partition) for right in site.inventory.rights] == [
        ("bob", "node-1", "*"),
        ("bob", "node-2", "*"),
    ]


def test_kaadduser_takes_users_nodes_and_partitions_repeatedly(site: Site, run: Run) -> None:
    result = run(kaadduser, ["-l", "bob", "-l", "eve", "-m", "*", "-p", "vda3", "-p", "vda4", "--until", "2031-01-02"])
    assert result.exit_code == 0, result.output
    assert len(site.inventory.rights) == 4
    assert site.inventory.rights[0].node == "*"
    assert site.inventory.rights[0].HasField("expire_time")


def test_kaadduser_without_a_user_is_a_usage_error(run: Run) -> None:
    assert run(kaadduser, ["-m", "node-1"]).exit_code == 2
    assert run(kaadduser, ["-l", "bob"]).exit_code == 2
    assert run(kaadduser, ["-l", "bob", "-m", "node-1", "--until", "soon"]).exit_code == 2


def test_kadeluser_takes_away_what_fits_but_never_everything(site: Site, run: Run) -> None:
    run(kaadduser, ["-l", "bob", "-m", "node-[1-2]", "-p", "vda3"])
    assert run(kadeluser, []).exit_code == 2
    assert len(site.inventory.rights) == 2
    assert run(kadeluser, ["-l", "bob", "-m", "node-1"]).exit_code == 0
    assert [right.node for right in site.inventory.rights] == ["node-2"]
    assert "bob" in run(ka, ["right", "list"]).stdout
    assert run(ka, ["right", "revoke", "-l", "bob"]).exit_code == 0
    assert not site.inventory.rights


def test_ka_cluster_create_reads_a_profile(site: Site, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(PROFILE)
    result = run(ka, ["cluster", "create", "lab", "--profile", str(file)])
    assert result.exit_code == 0, result.output
    profile = site.inventory.clusters["lab"].profile
    assert profile.first_check_timeout.seconds == 300
    assert profile.reboot_window.size == 10
    assert list(profile.commands.hard_reboot.arguments)[:5] == ["ipmitool", "-I", "lanplus", "-H", "{bmc}"]
    assert "ipmitool -I lanplus -H {bmc}" in run(ka, ["cluster", "show", "lab"]).stdout
    assert run(ka, ["cluster", "list", "-o", "name"]).stdout.split() == ["default", "lab"]
    assert json.loads(run(ka, ["cluster", "show", "lab", "-o", "json"]).stdout)["profile"]["first_check_timeout"] == 300


def test_ka_cluster_update_changes_only_what_the_file_mentions(site: Site, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(PROFILE)
    run(ka, ["cluster", "create", "lab", "--profile", str(file)])
    result = run(ka, ["cluster", "update", "lab", "--profile", "-"], stdin="last_check_timeout: 99.5\n")
    assert result.exit_code == 0, result.output
    assert list(site.inventory.requests[-1].update_mask.paths) == ["profile.last_check_timeout"]
    profile = site.inventory.clusters["lab"].profile
    assert (profile.last_check_timeout.seconds, profile.first_check_timeout.seconds) == (99, 300)


def test_a_profile_with_an_unknown_key_names_its_line(site: Site, run: Run) -> None:
    result = run(ka, ["cluster", "create", "lab", "--profile", "-"], stdin="kernel_arguments: x\nreboot: now\n")
    assert result.exit_code == 2
    assert "stdin, line 2: reboot: is no key here" in result.stderr
    assert "lab" not in site.inventory.clusters


def test_ka_boot_shows_what_a_node_boots(site: Site, run: Run) -> None:
    entry = boot_entry_pb2.BootEntry(owner="D-1")
    entry.node.name = "node-1"
    entry.target.label.label = "deploy"
    site.bootctl.entries["node-1"] = entry
    assert "deployment kernel deploy" in run(ka, ["boot", "list"]).stdout
    assert "    DEFAULT deploy" in run(ka, ["boot", "show", "node-1"]).stdout
    assert run(ka, ["boot", "show", "node-2"]).exit_code == 4
    assert run(ka, ["label", "list", "-o", "name"]).stdout == "deploy\n"


def test_ka_version_needs_no_settings(run: Run) -> None:
    assert run(ka, ["version"]).stdout.strip()
