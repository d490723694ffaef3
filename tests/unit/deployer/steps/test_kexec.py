"""From the deployment environment into the new system without the firmware."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.ports import BootGrubDisk, BootNetworkKernel
from kadeploy_deployer.steps.boot_new_system import BOOT_NEW_SYSTEM as STEP
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import StepContext
from tests.fakes import snapshots
from tests.fakes.fake_machines import IMAGE_KEY, SYSTEM, FakeMachines
from tests.fakes.step_workshop import Workshop, outcome, run_all

SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", boot_method=BootMethod.KEXEC)


@pytest.fixture
def context(workshop: Workshop, machines: FakeMachines) -> StepContext:
    machines["node-1"].files[IMAGE_KEY] = "ssh-ed25519 HOST root@image\n"
    return workshop.context(spec=SPEC)


async def test_the_new_kernel_is_loaded_from_the_target_and_started(
    workshop: Workshop, machines: FakeMachines, context: StepContext
) -> None:
    assert await run_all(PLAN[:-1], context) == {"node-1": None}
    workshop.power.did.clear()
    assert await outcome(STEP, context) is None
    load = next(words for words in workshop.shell.commands("node-1") if words[:2] == ("kexec", "-l"))
    assert load[2].startswith("--command-line=root=/dev/vda3 ")
    assert load[2].endswith("kadeploy.token=system-node-1")
    assert load[3:] == ("--initrd=/mnt/dest/initrd.img", "/mnt/dest/vmlinuz")
    assert workshop.power.did == []
    # A later reboot boots the same.
    assert isinstance(workshop.boot.entries["node-1"], BootNetworkKernel)
    assert machines["node-1"].runs == SYSTEM


async def test_the_kernel_is_loaded_before_the_target_is_unmounted(workshop: Workshop, context: StepContext) -> None:
    assert await run_all(PLAN, context) == {"node-1": None}
    words = [command[0] for command in workshop.shell.commands("node-1")]
    assert words.index("kexec") < len(words) - 1 - words[::-1].index("umount")


async def test_a_kernel_that_cannot_be_loaded_is_told_and_the_node_reboots(
    workshop: Workshop, machines: FakeMachines, context: StepContext
) -> None:
    assert await run_all(PLAN[:-1], context) == {"node-1": None}
    workshop.shell.answer("kexec", exit_status=255, stderr="Cannot determine the file type of vmlinuz")
    assert await outcome(STEP, context) is None
    assert machines["node-1"].runs == SYSTEM
    assert any("reboots instead of a kexec" in text and "file type" in text for _, text in workshop.recorder.remarks)


async def test_a_raw_image_is_started_by_its_own_kernel_and_later_by_grub_from_its_disk(
    workshop: Workshop, context: StepContext
) -> None:
    raw = replace(context, environment=snapshots.an_environment(workshop.image, kind=ImageKind.DD))
    assert await run_all(PLAN, raw) == {"node-1": None}
    entry = workshop.boot.entries["node-1"]
    assert isinstance(entry, BootGrubDisk)
    assert (entry.device, entry.partition, entry.kernel_path) == ("vda", 3, raw.environment.kernel_path)
    assert "kadeploy.token=system-node-1" in raw.facts["node-1"].kernel_command_line


def test_the_plan_says_so(context: StepContext) -> None:
    assert STEP.describe(context, "node-1")[0].startswith("unmount /mnt/dest and start /vmlinuz by kexec with root=")
