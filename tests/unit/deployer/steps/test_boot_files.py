"""Kernel and initrd to the TFTP host, and the entries that boot them."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.domain.vocabulary import BootKind
from kadeploy_deployer.ports import BootChainload, BootGrubDisk, BootHypervisor, BootNetworkKernel
from kadeploy_deployer.steps.boot_files import PREPARE_BOOT as STEP
from kadeploy_deployer.steps.boot_files import system_arguments
from tests.fakes import snapshots
from tests.fakes.snapshots import DISK
from tests.fakes.step_workshop import Workshop, failure, outcome, outcomes


async def test_the_nodes_boot_the_uploaded_kernel_with_their_tokens(workshop: Workshop) -> None:
    assert await outcomes(STEP, workshop.context("node-1", "node-2"), "node-1", "node-2") == {
        "node-1": None,
        "node-2": None,
    }
    assert sorted(workshop.boot.files.values()) == [
        "initrd of debian version 1 of alice",
        "kernel of debian version 1 of alice",
    ]
    entry = workshop.boot.entries["node-2"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.arguments == "root=/dev/vda3 console=ttyS0 rw kadeploy.token=system-node-2"
    assert {entry.kernel_digest, entry.initrd_digest} == set(workshop.boot.files)


async def test_an_environment_without_initrd_uploads_the_kernel_alone(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, initrd_path="")
    assert await outcome(STEP, workshop.context(environment=environment)) is None
    entry = workshop.boot.entries["node-1"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.initrd_digest == ""


@pytest.mark.parametrize(
    ("asked", "environment", "profile", "expected"),
    [("a", "b", "c", "a"), ("", "b", "c", "b"), ("", "", "c", "c"), ("", "", "", "")],
)
def test_the_kernel_s_arguments_are_the_request_s_or_the_environment_s_or_the_profile_s(
    workshop: Workshop, asked: str, environment: str, profile: str, expected: str
) -> None:
    context = workshop.context(
        spec=DeploymentSpec(nodes="node-1", environment_name="debian", kernel_arguments=asked),
        environment=snapshots.an_environment(workshop.image, kernel_arguments=environment),
        profiles={"default": snapshots.a_profile(kernel_arguments=profile)},
    )
    words = system_arguments(context, "node-1", token="t").split()
    assert words == ["root=/dev/vda3", *([expected] if expected else []), "kadeploy.token=t"]


async def test_chainloading_names_the_disk_in_the_firmware_s_order(workshop: Workshop) -> None:
    node = snapshots.a_node(disks=(replace(DISK, device="vdb"), DISK))
    environment = snapshots.an_environment(workshop.image, boot_kind=BootKind.CHAINLOAD)
    assert await outcome(STEP, workshop.context(nodes={"node-1": node}, environment=environment)) is None
    assert workshop.boot.entries["node-1"] == BootChainload(disk=1, partition=3)
    assert workshop.boot.files == {}


@pytest.mark.parametrize("kind", ["tar", "dd"])
async def test_grub_boots_the_kernel_on_the_node_s_own_disk(workshop: Workshop, kind: str) -> None:
    context = workshop.context(
        environment=snapshots.an_environment(workshop.image, kind=kind),
        spec=DeploymentSpec(nodes="node-1", environment_name="debian", boot_method=BootMethod.GRUB),
    )
    assert await outcome(STEP, context) is None
    assert workshop.boot.entries["node-1"] == BootGrubDisk(
        device="vda",
        partition=3,
        kernel_path=context.environment.kernel_path,
        initrd_path=context.environment.initrd_path,
        arguments="root=/dev/vda3 console=ttyS0 rw kadeploy.token=system-node-1",
    )
    assert workshop.boot.files == {}
    assert "own disk" in STEP.describe(context, "node-1")[0]


async def test_a_hypervisor_is_uploaded_and_gets_the_kernel_as_its_module(workshop: Workshop) -> None:
    environment = snapshots.an_environment(
        workshop.image,
        boot_kind=BootKind.MULTIBOOT,
        hypervisor_path="/boot/xen.gz",
        hypervisor_arguments="dom0_mem=512M",
    )
    context = workshop.context(environment=environment)
    assert await outcome(STEP, context) is None
    entry = workshop.boot.entries["node-1"]
    assert isinstance(entry, BootHypervisor)
    assert (entry.hypervisor_arguments, entry.arguments) == (
        "dom0_mem=512M",
        "root=/dev/vda3 console=ttyS0 rw kadeploy.token=system-node-1",
    )
    assert workshop.boot.files[entry.hypervisor_digest] == "hypervisor of debian version 1 of alice"
    assert {entry.hypervisor_digest, entry.kernel_digest, entry.initrd_digest} == set(workshop.boot.files)
    assert STEP.describe(context, "node-1")[0].startswith("take /boot/xen.gz, /vmlinuz, /initrd.img out of the image")


async def test_an_image_without_the_kernel_is_told(workshop: Workshop) -> None:
    workshop.images.broken[workshop.image.uri] = "the image has no /vmlinuz"
    failed = await failure(STEP, workshop.context())
    assert failed.description == "the image has no /vmlinuz"
    assert not failed.retriable


async def test_a_silent_bootctl_may_be_tried_again(workshop: Workshop) -> None:
    workshop.boot.broken = "bootctl does not answer on 127.0.0.1:7403"
    failed = await failure(STEP, workshop.context())
    assert (failed.reason, failed.retriable) == (FailureReason.BOOT_FILES_FAILED, True)


async def test_a_refused_entry_fails_its_node_alone(workshop: Workshop) -> None:
    workshop.boot.refused["node-1"] = "bootctl refused the entry of node-1: no"
    found = await outcomes(STEP, workshop.context("node-1", "node-2"), "node-1", "node-2")
    assert found["node-2"] is None
    failed = found["node-1"]
    assert failed is not None
    assert failed.description == "bootctl refused the entry of node-1: no"
