"""A machine whose two disks change their names with every start, deployed to the one that its serial number names.

And what machines are made of: of this one, and of one that nobody registered.

One lab for all scenarios here, told in order: the second relies on what the first deployed.
"""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kadeploy_cli.descriptions import nodes_yaml
from kadeploy_demo.errors import DemoError
from kadeploy_demo.scenario import Scenario
from kadeploy_lab.hardware import Hardware
from tests.real_site import answer_in_time, real_site

pytestmark = pytest.mark.lab

SECONDS = 300.0
SERIAL = "kalab1"
NETWORK = "172.31.0.8/29"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("disks")
    with real_site(
        "disks",
        directory,
        hardware={"node-1": Hardware(disks=2, disks_swap=True)},
        bootctl_keys='unknown_machines = "deploy"\n',
    ) as scenario:
        identify(scenario, {"serial": SERIAL})
        yield scenario


def identify(scenario: Scenario, match: dict[str, str]) -> None:
    """Says which of its disks the target of the machine is."""
    path = scenario.directory / "disks.yaml"
    partitions = [{"number": 1, "size": 256, "role": "swap"}, {"number": 3, "size": 1024}]
    path.write_text(
        yaml.safe_dump({"disks": [{"device": "vda", "size": 1536, "match": match, "partitions": partitions}]})
    )
    scenario.administrator.run("ka", "node", "update", "node-1", "--disks", str(path))


def call(scenario: Scenario, *command: str) -> str:
    return replace(scenario.user, seconds=SECONDS).run(*command)


def told(scenario: Scenario) -> dict[str, Any]:
    """Returns what the last deployment tells of the machine."""
    newest = scenario.user.read_json("ka", "deployment", "list", "-o", "json")[0]
    shown = scenario.user.read_json("ka", "deployment", "show", newest["id"], "-o", "json")
    return {**shown["nodes"][0]}


def written(scenario: Scenario) -> list[bool]:
    """Returns for each disk whether anything was written to it."""
    return [disk.stat().st_blocks > 0 for disk in scenario.lab.node("node-1").disks]


def table(scenario: Scenario) -> str:
    """Returns the partition table of the second disk, whose identity is another one each time that it is written."""
    command = ["sfdisk", "--dump", str(scenario.lab.node("node-1").disks[1])]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_disk_with_the_serial_number_is_written_and_no_other(scenario: Scenario) -> None:
    # For users it is vda, whatever the kernel calls it today.
    call(scenario, "kadeploy", "-e", "tiny", "-m", "node-1", "--partition-disk")
    answer = answer_in_time(scenario, told(scenario))
    assert "root=PARTUUID=" in answer.kernel_command_line
    assert (told(scenario)["root_device"], answer.root_device) == ("/dev/vdb3", "/dev/vdb3")
    assert written(scenario) == [False, True]


def test_a_start_with_other_names_finds_the_same_system_and_the_same_disk(scenario: Scenario) -> None:
    call(scenario, "kapower", "--off", "-m", "node-1")
    call(scenario, "kapower", "--on", "-m", "node-1")
    answer = answer_in_time(scenario, told(scenario))
    assert answer.root_device == "/dev/vda3"
    call(scenario, "kadeploy", "-e", "tiny", "-m", "node-1", "--partition-disk")
    answer = answer_in_time(scenario, told(scenario))
    assert (told(scenario)["root_device"], answer.root_device) == ("/dev/vda3", "/dev/vda3")
    assert written(scenario) == [False, True]


def test_a_disk_that_is_not_there_fails_the_node_before_anything_is_written(scenario: Scenario) -> None:
    identify(scenario, {"serial": "kalab7"})
    before = table(scenario)
    with pytest.raises(Exception, match="no disk here has the serial number kalab7"):
        call(scenario, "kadeploy", "-e", "tiny", "-m", "node-1", "--partition-disk")
    node = told(scenario)
    assert node["reason"] == "disk_not_found"
    assert "there are vda (" in node["description"]
    assert f"serial {SERIAL}" in node["description"]
    assert (table(scenario), written(scenario)) == (before, [False, True])


def test_what_a_node_is_made_of_is_read_in_the_deployment_environment(scenario: Scenario) -> None:
    text = call(scenario, "ka", "node", "inspect", "node-1")
    lab_node = scenario.lab.node("node-1")
    (node,) = nodes_yaml.parse(text, "inspect").nodes
    assert (node.mac_address, node.ip_address, node.uuid) == (lab_node.mac, lab_node.ip, lab_node.uuid)
    assert sorted(disk.identity.serial for disk in node.disks) == ["kalab0", "kalab1"]
    assert "virtio_net" in text
    identify(scenario, {"serial": "kalab7"})
    with pytest.raises(DemoError, match=r"(?s)status 1: .*disk vda: no disk here has the serial number kalab7"):
        scenario.user.run("ka", "node", "inspect", "node-1", "--no-reboot", "--check")


def test_a_machine_that_nobody_registered_is_found(scenario: Scenario) -> None:
    scenario.administrator.run("kadelnode", "-m", "node-2")
    stranger = scenario.lab.node("node-2")
    switch_on = scenario.lab.exec_argv(scenario.lab.ipmi_argv(stranger, ["chassis", "power", "on"]))
    subprocess.run(switch_on, check=True, capture_output=True, timeout=60)
    administrator = replace(scenario.administrator, seconds=SECONDS)
    deadline = time.monotonic() + SECONDS
    while "mac:" not in (text := administrator.run("ka", "node", "discover", NETWORK)):
        assert time.monotonic() < deadline, stranger.serial_log.read_text(errors="replace")
        time.sleep(2.0)
    (node,) = nodes_yaml.parse(text, "discover").nodes
    assert node.name == f"machine-{stranger.mac.replace(':', '')}"
    assert (node.mac_address, node.ip_address, node.uuid) == (stranger.mac, stranger.ip, stranger.uuid)
    path = scenario.directory / "found.yaml"
    path.write_text(text)
    scenario.administrator.run("kaaddnode", str(path))
