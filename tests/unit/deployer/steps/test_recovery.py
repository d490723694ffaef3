"""What becomes of nodes that failed."""

from dataclasses import replace
from typing import Any

import pytest

from kadeploy_deployer.domain.snapshot import CommandSnapshot, DefaultSystemSnapshot, DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import (
    BootChainload,
    BootGrubDisk,
    BootLocalDisk,
    BootNetworkKernel,
    BootTarget,
    PowerError,
)
from kadeploy_deployer.steps.recovery import leave_bootable
from tests.fakes import snapshots
from tests.fakes.fake_machines import BLANK, DEPLOYMENT, PREVIOUS, FakeMachines
from tests.fakes.step_workshop import Workshop, learn


async def test_a_node_in_the_deployment_environment_reboots_to_its_disk(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machines["node-1"].runs = DEPLOYMENT
    await leave_bootable(workshop.context(), "node-1")
    assert workshop.boot.entries == {"node-1": BootLocalDisk()}
    assert machines["node-1"].runs == PREVIOUS
    assert workshop.power.did == []


async def test_a_node_that_came_and_was_lost_is_reset(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = BLANK
    context = workshop.context()
    learn(context, "node-1", deployment_boot_id="boot-1")
    await leave_bootable(context, "node-1")
    assert workshop.power.did == [("node-1", "hard")]


async def test_a_node_that_never_came_is_not_touched(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = PREVIOUS
    await leave_bootable(workshop.context(), "node-1")
    assert (workshop.power.did, machines["node-1"].boots_done) == ([], 0)
    assert workshop.boot.entries == {"node-1": BootLocalDisk()}


async def test_a_node_that_runs_its_previous_system_is_not_interrupted(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machines["node-1"].runs = PREVIOUS
    context = workshop.context()
    learn(context, "node-1", deployment_boot_id="boot-1")
    learn(context, "node-1", previous_host_keys=(machines["node-1"].previous_key,))
    await leave_bootable(context, "node-1")
    assert machines["node-1"].boots_done == 0


async def test_a_node_that_is_off_stays_off(workshop: Workshop, machines: FakeMachines) -> None:
    workshop.power.on["node-1"] = machines["node-1"].powered = False
    context = workshop.context()
    learn(context, "node-1", deployment_boot_id="boot-1")
    await leave_bootable(context, "node-1")
    assert workshop.power.did == []


async def test_a_node_out_of_reach_without_a_reset_command_is_left(workshop: Workshop) -> None:
    workshop.shell.unreachable.add("node-1")
    context = workshop.context(nodes={"node-1": snapshots.a_node(commands=CommandSnapshot())})
    learn(context, "node-1", deployment_boot_id="boot-1")
    await leave_bootable(context, "node-1")
    assert workshop.power.did == []


async def test_broken_power_is_told_and_stops_nobody(workshop: Workshop, machines: FakeMachines) -> None:
    workshop.power.broken.add("node-1")
    context = workshop.context("node-1", "node-2")
    for name in ("node-1", "node-2"):
        machines[name].runs = BLANK
        learn(context, name, deployment_boot_id="boot-1")
    await leave_bootable(context, "node-2")
    with pytest.raises(PowerError, match="failed with exit status 1"):
        await leave_bootable(context, "node-1")


async def test_without_bootctl_nothing_is_rebooted(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = DEPLOYMENT
    workshop.boot.broken = "bootctl does not answer"
    with pytest.raises(NodeFailed, match="may boot over the network once more: bootctl does not answer"):
        await leave_bootable(workshop.context(), "node-1")
    assert machines["node-1"].boots_done == 0


GRUB_ON_PARTITION_2 = BootGrubDisk(
    device="vda",
    partition=2,
    kernel_path="/vmlinuz",
    initrd_path="/initrd.img",
    arguments="root=/dev/vda2 console=ttyS0 rw",
)
DEFAULT = DefaultSystemSnapshot(environment=snapshots.an_environment(), device="vda", partition=2)


async def test_a_failed_node_boots_the_default_environment_of_its_cluster(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machines["node-1"].runs = DEPLOYMENT
    default = replace(DEFAULT, environment=snapshots.an_environment(workshop.image))
    context = workshop.context(profiles={"default": snapshots.a_profile(default_system=default)})
    await leave_bootable(context, "node-1")
    entry = workshop.boot.entries["node-1"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.arguments == "root=/dev/vda2 console=ttyS0 rw"
    assert set(workshop.boot.files) == {entry.kernel_digest, entry.initrd_digest}
    assert machines["node-1"].boots_done == 1


@pytest.mark.parametrize(
    ("changes", "profile", "expected"),
    [
        (
            {"kind": ImageKind.DD, "boot_kind": BootKind.CHAINLOAD, "kernel_path": ""},
            {},
            BootChainload(disk=0, partition=2),
        ),
        ({"kind": ImageKind.DD}, {}, GRUB_ON_PARTITION_2),
        ({}, {"boot_method": BootMethod.GRUB}, GRUB_ON_PARTITION_2),
    ],
)
async def test_a_default_environment_boots_as_it_would_after_a_deployment(
    workshop: Workshop,
    machines: FakeMachines,
    changes: dict[str, Any],
    profile: dict[str, Any],
    expected: BootTarget,
) -> None:
    machines["node-1"].runs = DEPLOYMENT
    default = replace(DEFAULT, environment=snapshots.an_environment(workshop.image, **changes))
    context = workshop.context(profiles={"default": snapshots.a_profile(default_system=default, **profile)})
    await leave_bootable(context, "node-1")
    assert workshop.boot.entries == {"node-1": expected}
    assert workshop.boot.files == {}


@pytest.mark.parametrize("case", ["table", "target", "image"])
async def test_a_default_environment_that_is_gone_is_not_booted(
    workshop: Workshop, machines: FakeMachines, case: str
) -> None:
    machines["node-1"].runs = DEPLOYMENT
    default = replace(DEFAULT, partition=3 if case == "target" else 2)
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", write_partition_table=case == "table")
    context = workshop.context(profiles={"default": snapshots.a_profile(default_system=default)}, spec=spec)
    await leave_bootable(context, "node-1")
    assert workshop.boot.entries == {"node-1": BootLocalDisk()}
    assert bool(workshop.recorder.remarks) is (case == "image")
