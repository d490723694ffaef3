"""Deploying from the system that a node runs: only where nothing can go wrong by it."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.steps.boot_deployment_environment import BOOT_DEPLOYMENT_ENVIRONMENT as STEP
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.recovery import leave_bootable
from kadeploy_deployer.steps.step import StepContext
from tests.fakes.fake_machines import IMAGE_KEY, PREVIOUS, SYSTEM, FakeMachines
from tests.fakes.scripted_remote_shell import Ran, succeeded
from tests.fakes.step_workshop import Workshop, failure, learn, outcome, run_all

SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", use_production_system=True)


@pytest.fixture
def context(workshop: Workshop, machines: FakeMachines) -> StepContext:
    machine = machines["node-1"]
    machine.runs = PREVIOUS
    machine.files[IMAGE_KEY] = "ssh-ed25519 HOST root@image\n"
    context = workshop.context(spec=SPEC)
    learn(context, "node-1", previous_host_keys=(machine.previous_key,))
    return context


async def test_the_node_reboots_once_and_only_at_the_end(
    workshop: Workshop, machines: FakeMachines, context: StepContext
) -> None:
    machine = machines["node-1"]
    assert await run_all(PLAN[:-1], context) == {"node-1": None}
    assert (machine.runs, machine.boots_done, workshop.power.did) == (PREVIOUS, 0, [])
    assert await outcome(PLAN[-1], context) is None
    assert (machine.runs, machine.boots_done, workshop.power.did) == (SYSTEM, 1, [])


async def test_the_partitions_of_the_running_system_stay_as_they_are(
    workshop: Workshop, machines: FakeMachines, context: StepContext
) -> None:
    def answer(ran: Ran) -> object:
        if ran.arguments == ("cat", "/proc/mounts"):
            return succeeded("/dev/vda1 / ext4 rw 0 0\n/dev/vda3 /mnt/dest ext4 rw 0 0\n")
        if ran.arguments == ("cat", "/proc/swaps"):
            return succeeded("Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n")
        return machines.answer(ran)

    workshop.shell.handler = answer  # type: ignore[assignment]
    assert await run_all(PLAN, context) == {"node-1": None}
    commands = workshop.shell.commands("node-1")
    assert ("umount", "/mnt/dest") in commands
    assert not {("umount", "/"), ("swapoff", "/dev/vda2")} & set(commands)
    assert workshop.recorder.remarks == []


async def test_a_system_that_we_did_not_deploy_proves_nothing(context: StepContext) -> None:
    learn(context, "node-1", previous_host_keys=())
    assert "was not deployed by us" in (await failure(STEP, context)).description


async def test_missing_programs_are_named(workshop: Workshop, machines: FakeMachines, context: StepContext) -> None:
    def answer(ran: Ran) -> object:
        if "missing" in ran.arguments:
            return succeeded("mkfs.ext4\n/usr/bin/kabroadcast\n")
        return machines.answer(ran)

    workshop.shell.handler = answer  # type: ignore[assignment]
    failed = await failure(STEP, context)
    assert "its system lacks mkfs.ext4, /usr/bin/kabroadcast" in failed.description


async def test_the_root_of_the_running_system_is_no_target(machines: FakeMachines, context: StepContext) -> None:
    machines["node-1"].previous_root = "vda3"
    assert "it runs from /dev/vda3, which is the target" in (await failure(STEP, context)).description


async def test_the_disk_under_the_running_system_keeps_its_table(context: StepContext) -> None:
    spec = replace(SPEC, write_partition_table=True)
    failed = await failure(STEP, replace(context, spec=spec))
    assert "the table of /dev/vda cannot be written under it" in failed.description


async def test_a_failed_node_that_still_runs_its_system_is_left_alone(
    workshop: Workshop, machines: FakeMachines, context: StepContext
) -> None:
    await leave_bootable(context, "node-1")
    assert (workshop.boot.entries, workshop.power.did, machines["node-1"].boots_done) == ({}, [], 0)


def test_the_plan_names_what_is_needed(context: StepContext) -> None:
    assert "mkfs.ext4" in STEP.describe(context, "node-1")[1]
