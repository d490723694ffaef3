"""Finding the target's disk among those of a node."""

import json
from dataclasses import replace
from typing import Any

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec, DiskIdentity
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.steps.boot_files import PREPARE_BOOT, system_arguments
from kadeploy_deployer.steps.find_disk import FIND_DISK as STEP
from kadeploy_deployer.steps.format import FORMAT
from kadeploy_deployer.steps.mount import MOUNT
from kadeploy_deployer.steps.partition import PARTITION
from kadeploy_deployer.steps.script_variables import script_variables
from kadeploy_deployer.steps.step import StepContext
from tests.fakes import snapshots
from tests.fakes.snapshots import GIB
from tests.fakes.step_workshop import Workshop, failure, learn, outcome

SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", write_partition_table=True)
BY_SERIAL = DiskIdentity(serial="S1")
UUID = "3f2b7c11-03"


def listed(*names: str) -> str:
    return json.dumps(
        [
            {"name": name, "size_bytes": 4 * GIB, "serial": f"S{number}", "wwn": "", "links": []}
            for number, name in enumerate(names)
        ]
    )


def context(workshop: Workshop, identity: DiskIdentity, **changes: Any) -> StepContext:
    disk = replace(snapshots.DISK, identity=identity)
    nodes = {"node-1": snapshots.a_node(disks=(disk,))}
    return workshop.context(nodes=nodes, spec=changes.pop("spec", SPEC), **changes)


async def test_every_step_works_on_the_disk_that_was_found(workshop: Workshop) -> None:
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed("vda", "nvme1n1"))
    workshop.shell.answer("blockdev", "--getsize64", stdout=f"{2 * GIB}\n")
    workshop.shell.answer("blockdev", "--getsize64", "--getss", stdout=f"{4 * GIB}\n512\n")
    given = context(workshop, BY_SERIAL)
    for step in (STEP, PARTITION, FORMAT, MOUNT):
        assert await outcome(step, given) is None
    commands = workshop.shell.commands("node-1")
    assert ("sfdisk", "--wipe", "always", "--wipe-partitions", "always", "/dev/nvme1n1") in commands
    assert ("mkfs.ext4", "-F", "-q", "/dev/nvme1n1p3") in commands
    assert commands[-1] == ("mount", "-t", "ext4", "/dev/nvme1n1p3", "/mnt/dest")
    table = next(ran.stdin.decode() for ran in workshop.shell.ran if ran.arguments[0] == "sfdisk")
    assert table.splitlines()[-1].startswith("/dev/nvme1n1p3 : ")
    assert not any("/dev/vda" in word for words in commands for word in words)
    assert given.nodes["node-1"].target_word == "vda3"


async def test_the_root_is_named_by_the_uuid_of_its_partition(workshop: Workshop) -> None:
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed("sdb", "sda"))
    workshop.shell.answer("blockdev", "--getsize64", stdout=f"{2 * GIB}\n")
    given = context(workshop, BY_SERIAL, spec=replace(SPEC, write_partition_table=False))
    workshop.shell.answer("sh", "-c", stdout=f"{UUID}\n")
    for step in (STEP, FORMAT):
        assert await outcome(step, given) is None
    assert given.facts["node-1"].partition_uuid == UUID
    assert system_arguments(given, "node-1", token="t").startswith(f"root=PARTUUID={UUID} ")
    variables = script_variables(given, "node-1")
    assert (variables["KADEPLOY_ROOT"], variables["KADEPLOY_DEPLOY_PART"], variables["KADEPLOY_BLOCK_DEVICE"]) == (
        f"PARTUUID={UUID}",
        "/dev/sda3",
        "/dev/sda",
    )


@pytest.mark.parametrize(
    ("disks", "sentence"),
    [
        (("vda",), "no disk here has the serial number S1; there is vda (4.0 GiB, serial S0)"),
        ((), "no disk here has the serial number S1; there is none at all"),
    ],
)
async def test_a_missing_disk_fails_the_node_with_what_is_there(
    workshop: Workshop, disks: tuple[str, ...], sentence: str
) -> None:
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed(*disks))
    failed = await failure(STEP, context(workshop, BY_SERIAL))
    assert (failed.reason, failed.description) == (FailureReason.DISK_NOT_FOUND, sentence)


async def test_a_name_that_no_disk_has_is_told_before_anything_is_written(workshop: Workshop) -> None:
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed("nvme0n1"))
    failed = await failure(STEP, context(workshop, DiskIdentity()))
    assert failed.description == "no disk here has the name vda; there is nvme0n1 (4.0 GiB)"


@pytest.mark.parametrize("step", [PARTITION, FORMAT])
async def test_a_node_that_booted_since_and_renamed_its_disks_is_not_written_to(workshop: Workshop, step: Any) -> None:
    given = context(workshop, BY_SERIAL)
    learn(given, "node-1", disk="sdb")
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed("sdb", "sda"))
    failed = await failure(step, given)
    assert failed.reason is FailureReason.DISK_NOT_FOUND
    assert not failed.retriable
    assert "was sdb and is sda: the node has booted since, so nothing was written" in failed.description
    assert workshop.shell.commands("node-1") == [("kadeploy-hardware", "disks")]


async def test_an_old_deployment_environment_does_for_disks_that_are_named_alone(workshop: Workshop) -> None:
    workshop.shell.answer("kadeploy-hardware", exit_status=127)
    given = context(workshop, DiskIdentity())
    assert await outcome(STEP, given) is None
    assert given.facts["node-1"].disk == "vda"
    failed = await failure(STEP, context(workshop, BY_SERIAL))
    assert "its deployment environment has no kadeploy-hardware" in failed.description
    assert failed.description.endswith("build it anew")


async def test_a_list_that_makes_no_sense_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("kadeploy-hardware", stdout='[{"name": "sda"}]')
    failed = await failure(STEP, context(workshop, BY_SERIAL))
    assert failed.description.startswith("its list of disks makes no sense: ")


async def test_a_system_that_is_deployed_from_is_not_overwritten_under_another_name(workshop: Workshop) -> None:
    spec = replace(SPEC, use_production_system=True, write_partition_table=False)
    workshop.shell.answer("kadeploy-hardware", "disks", stdout=listed("vda", "vdb"))
    workshop.shell.answer(
        "grep",
        stdout="/proc/sys/kernel/random/boot_id:b\n/proc/self/mountinfo:21 1 254:3 / / rw - ext4 /dev/vdb3 rw\n"
        "/sys/class/block/vdb3/dev:254:3\n",
    )
    given = context(workshop, BY_SERIAL, spec=spec)
    learn(given, "node-1", previous_host_keys=("ssh-ed25519 PREVIOUS",))
    failed = await failure(STEP, given)
    assert failed.description == "it runs from /dev/vdb3, which the deployment would overwrite; deploy without -u"


def test_the_plan_says_which_disk_is_looked_for(workshop: Workshop) -> None:
    given = context(workshop, DiskIdentity(link="by-path/pci-0000:17:00.0", size_bytes=4 * GIB))
    assert list(STEP.describe(given, "node-1")) == [
        "look for the one disk with the link by-path/pci-0000:17:00.0 and the size 4.0 GiB, here called vda"
    ]
    assert PREPARE_BOOT.describe(given, "node-1")
