"""What cannot be done is told before anything is touched."""

from typing import Any

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot, DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind, OperatingSystem
from kadeploy_deployer.steps.boot_deployment_environment import BOOT_DEPLOYMENT_ENVIRONMENT as FIRST
from kadeploy_deployer.steps.feasibility import impossible
from tests.fakes import snapshots
from tests.fakes.step_workshop import Workshop, failure


def spec(method: BootMethod | None) -> DeploymentSpec:
    return DeploymentSpec(nodes="node-1", environment_name="debian", boot_method=method)


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        (BootMethod.GRUB, {"kernel_path": ""}, "GRUB cannot start it"),
        (BootMethod.GRUB, {"file_system": "ntfs"}, "GRUB cannot read ntfs"),
        (BootMethod.GRUB, {"boot_kind": BootKind.MULTIBOOT}, "a hypervisor, which grub cannot start"),
        (BootMethod.KEXEC, {"boot_kind": BootKind.MULTIBOOT}, "a hypervisor, which kexec cannot start"),
        (BootMethod.KEXEC, {"kernel_path": ""}, "names no kernel"),
        (BootMethod.NETWORK, {"kind": ImageKind.DD}, "its kernel cannot be booted over the network"),
        (BootMethod.NETWORK, {"boot_kind": BootKind.CHAINLOAD, "kernel_path": ""}, "brings its own loader"),
        (BootMethod.GRUB, {"boot_kind": BootKind.CHAINLOAD, "kernel_path": ""}, "GRUB cannot start it"),
        (BootMethod.KEXEC, {"kind": ImageKind.DD, "file_system": "ntfs"}, "nothing here can read"),
        (
            BootMethod.GRUB,
            {"kind": ImageKind.DD, "file_system": "", "operating_system": OperatingSystem.OTHER},
            "nothing here can read",
        ),
        (BootMethod.KEXEC, {"kexec_refused": True}, "options.kexec: false"),
    ],
)
async def test_it_is_refused_before_a_node_reboots(
    workshop: Workshop, method: BootMethod, changes: dict[str, Any], words: str
) -> None:
    context = workshop.context(environment=snapshots.an_environment(workshop.image, **changes), spec=spec(method))
    failed = await failure(FIRST, context)
    assert (failed.reason, failed.retriable) == (FailureReason.BOOT_FILES_FAILED, False)
    assert words in failed.description
    assert FIRST.describe(context, "node-1") == [f"nothing, and fail: {failed.description}"]
    assert (workshop.boot.entries, workshop.power.did, workshop.shell.commands("node-1")) == ({}, [], [])


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        (BootMethod.NETWORK, {}),
        (BootMethod.NETWORK, {"boot_kind": BootKind.MULTIBOOT}),
        (BootMethod.CHAINLOAD, {"boot_kind": BootKind.MULTIBOOT}),
        (BootMethod.KEXEC, {}),
        (BootMethod.KEXEC, {"kind": ImageKind.DD}),
        (BootMethod.GRUB, {}),
        (BootMethod.GRUB, {"kind": ImageKind.DD}),
        (BootMethod.CHAINLOAD, {"kind": ImageKind.DD, "file_system": ""}),
        (BootMethod.CHAINLOAD, {"kind": ImageKind.DD, "file_system": "ntfs"}),
        (None, {"kind": ImageKind.DD, "boot_kind": BootKind.CHAINLOAD}),
        (BootMethod.CHAINLOAD, {"boot_kind": BootKind.CHAINLOAD, "kernel_path": ""}),
    ],
)
def test_the_rest_is_possible(workshop: Workshop, method: BootMethod | None, changes: dict[str, Any]) -> None:
    context = workshop.context(environment=snapshots.an_environment(workshop.image, **changes), spec=spec(method))
    assert impossible(context) == ""


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("image", FailureReason.TRANSFER_FAILED), ("post", FailureReason.POSTINSTALL_FAILED)],
)
async def test_a_file_that_cannot_be_read_fails_before_a_node_reboots(
    workshop: Workshop, uri: str, reason: FailureReason
) -> None:
    post = workshop.images.add("file:///post.tgz", b"an archive")
    environment = snapshots.an_environment(
        workshop.image, postinstalls=(ArchiveSnapshot(file=post, script="traitement.ash"),)
    )
    workshop.images.broken[{"image": workshop.image.uri, "post": post.uri}[uri]] = "no such file"
    failed = await failure(FIRST, workshop.context(environment=environment))
    assert failed == Failure(reason=reason, description="no such file", retriable=False)
    assert (workshop.boot.entries, workshop.power.did, workshop.shell.commands("node-1")) == ({}, [], [])
