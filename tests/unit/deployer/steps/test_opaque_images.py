"""Raw images that nothing here can look into, and images of whole disks."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind, OperatingSystem
from kadeploy_deployer.ports import BootChainload, BootGrubDisk
from kadeploy_deployer.steps.boot_files import PREPARE_BOOT
from kadeploy_deployer.steps.boot_new_system import BOOT_NEW_SYSTEM
from kadeploy_deployer.steps.broadcast import COPY_IMAGE
from kadeploy_deployer.steps.format import FORMAT
from kadeploy_deployer.steps.keys import KEYS
from kadeploy_deployer.steps.mount import MOUNT_IMAGE
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import StepContext
from tests.fakes import snapshots
from tests.fakes.fake_machines import DEPLOYMENT, IMAGE_KEY, FakeMachines
from tests.fakes.step_workshop import Workshop, learn, outcome

SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", boot_method=BootMethod.CHAINLOAD)


def opaque(workshop: Workshop) -> StepContext:
    environment = snapshots.an_environment(
        workshop.image,
        kind=ImageKind.DD,
        file_system="",
        operating_system=OperatingSystem.OTHER,
        boot_kind=BootKind.CHAINLOAD,
        kernel_path="",
        initrd_path="",
    )
    return workshop.context(environment=environment, spec=SPEC)


def whole_disk(workshop: Workshop, method: BootMethod = BootMethod.GRUB) -> StepContext:
    environment = snapshots.an_environment(workshop.image, kind=ImageKind.DD, whole_disk=True, system_partition=3)
    spec = replace(SPEC, whole_disk=True, boot_method=method, partition=3)
    return workshop.context(environment=environment, spec=spec)


def test_nothing_is_put_into_a_system_that_cannot_be_read_and_the_plan_says_so(workshop: Workshop) -> None:
    context = opaque(workshop)
    steps = [step.name for step in PLAN if step.applies(context, "node-1")]
    assert steps == [
        "boot_deployment_environment",
        "find_disk",
        "format",
        "broadcast",
        "boot_files",
        "boot_new_system",
    ]
    assert "without mount, scripts and keys" in COPY_IMAGE.describe(context, "node-1")[1]
    assert "nothing else can be proved" in BOOT_NEW_SYSTEM.describe(context, "node-1")[2]


async def test_a_stranger_s_ssh_server_is_the_sign_of_a_system_that_cannot_be_read(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context, machine = opaque(workshop), machines["node-1"]
    machine.runs = DEPLOYMENT
    learn(context, "node-1", deployment_boot_id=machine.boot_id)
    assert await outcome(PREPARE_BOOT, context) is None
    machine.files[IMAGE_KEY] = "ssh-ed25519 STRANGER"
    assert await outcome(BOOT_NEW_SYSTEM, context) is None
    assert workshop.recorder.remarks[-1][1].endswith("its system is not proved")
    assert (context.facts["node-1"].boot_id, machine.boots_done) == ("", 1)


async def test_a_whole_disk_is_written_read_anew_and_mounted(workshop: Workshop) -> None:
    context = whole_disk(workshop)
    assert KEYS.applies(context, "node-1")
    workshop.shell.answer("blockdev", "--getsize64", "/dev/vda", stdout=f"{4 << 30}\n")
    assert await outcome(FORMAT, context) is None
    assert ("kadeploy-release-disk", "/dev/vda") in workshop.shell.commands("node-1")
    assert not [words for words in workshop.shell.commands("node-1") if words[0].startswith("mkfs")]
    assert "write it to /dev/vda," in COPY_IMAGE.describe(context, "node-1")[0]
    assert await outcome(MOUNT_IMAGE, context) is None
    commands = workshop.shell.commands("node-1")
    assert commands.index(("blockdev", "--rereadpt", "/dev/vda")) < commands.index(
        ("mount", "-t", "ext4", "/dev/vda3", "/mnt/dest")
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [(BootMethod.CHAINLOAD, BootChainload(disk=0, partition=0)), (BootMethod.GRUB, BootGrubDisk)],
)
async def test_a_whole_disk_boots_by_its_own_record_or_by_grub(
    workshop: Workshop, method: BootMethod, target: object
) -> None:
    found = await PREPARE_BOOT.boot_target(whole_disk(workshop, method), "node-1")
    assert found == target or (isinstance(target, type) and isinstance(found, target))
