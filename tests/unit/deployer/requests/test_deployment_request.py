"""What a request for a deployment comes to: the way in which its nodes boot, and what it is refused for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kadeploy_deployer.domain.errors import InvalidDeployment, RightMissing
from kadeploy_deployer.domain.feasibility import MAKEABLE
from kadeploy_deployer.domain.snapshot import DeploymentSpec, ProfileSnapshot
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind
from kadeploy_deployer.ports import Resolution, ResolvedNode
from kadeploy_deployer.requests.deployment_request import Actor, prepare
from kadeploy_deployer.steps.format import MKFS_OPTIONS
from tests.fakes import snapshots
from tests.fakes.fake_inventory import FakeInventory

SPEC = DeploymentSpec(nodes="node-[1-2]", environment_name="debian")
RAW = {"kind": ImageKind.DD}
OWN_LOADER = {"kind": ImageKind.DD, "boot_kind": BootKind.CHAINLOAD, "kernel_path": "", "initrd_path": ""}
TWO_CLUSTERS = {
    "default": snapshots.a_profile(),
    "other": snapshots.a_profile(boot_method=BootMethod.KEXEC),
}


async def method_of(
    spec: DeploymentSpec,
    environment: Mapping[str, Any],
    profiles: Mapping[str, ProfileSnapshot] = {"default": ProfileSnapshot()},
) -> BootMethod | None:
    """Returns how the new system of a deployment boots; each node is in a cluster of its own, if there are two."""
    nodes = [snapshots.a_node(f"node-{number}", cluster=list(profiles)[number % len(profiles)]) for number in (1, 2)]
    resolution = Resolution(
        nodes=tuple(ResolvedNode(name=node.name, snapshot=node, allowed=True) for node in nodes),
        environment=snapshots.an_environment(**environment),
        profiles=profiles,
    )
    prepared = await prepare(spec, actor=Actor(user="alice"), inventory=FakeInventory(resolution))
    assert prepared.spec == replace(spec, boot_method=prepared.spec.boot_method)
    return prepared.spec.boot_method


async def test_what_nobody_said_is_decided_before_the_deployment_begins() -> None:
    assert await method_of(SPEC, {}) is BootMethod.NETWORK
    assert await method_of(SPEC, RAW) is BootMethod.GRUB
    assert await method_of(SPEC, OWN_LOADER) is BootMethod.CHAINLOAD
    assert await method_of(SPEC, {}, {"default": snapshots.a_profile(boot_method=BootMethod.GRUB)}) is BootMethod.GRUB


async def test_nodes_of_clusters_that_boot_differently_are_not_deployed_together_without_a_word() -> None:
    with pytest.raises(InvalidDeployment) as refused:
        await method_of(SPEC, {}, TWO_CLUSTERS)
    [violation] = refused.value.violations
    assert violation.field == "spec.boot_method"
    assert "network in default, kexec in other" in violation.description
    assert await method_of(replace(SPEC, boot_method=BootMethod.GRUB), {}, TWO_CLUSTERS) is BootMethod.GRUB
    assert await method_of(SPEC, OWN_LOADER, TWO_CLUSTERS) is BootMethod.CHAINLOAD


@pytest.mark.parametrize(
    ("method", "environment", "words"),
    [
        (BootMethod.NETWORK, RAW, "cannot be network: debian is a raw image"),
        (BootMethod.NETWORK, OWN_LOADER, "cannot be network: debian brings its own loader"),
        (BootMethod.GRUB, OWN_LOADER, "cannot be grub: debian names no kernel"),
        (BootMethod.KEXEC, OWN_LOADER, "cannot be kexec: debian names no kernel"),
        (BootMethod.GRUB, RAW | {"file_system": "ntfs"}, "cannot be grub: debian has a file system that nothing"),
    ],
)
async def test_a_way_that_does_not_fit_the_environment_is_refused_with_the_field(
    method: BootMethod | None, environment: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidDeployment) as refused:
        await method_of(replace(SPEC, boot_method=method), environment)
    [violation] = refused.value.violations
    assert violation.field == "spec.boot_method"
    assert words in violation.description


async def test_kernel_arguments_that_no_kernel_would_get_are_refused() -> None:
    with pytest.raises(InvalidDeployment) as refused:
        await method_of(replace(SPEC, kernel_arguments="single"), OWN_LOADER)
    assert [violation.field for violation in refused.value.violations] == ["spec.kernel_arguments"]


async def test_a_longer_wait_than_the_site_allows_is_refused_with_the_field() -> None:
    inventory = FakeInventory(Resolution(nodes=(), environment=snapshots.an_environment(), profiles={}))
    with pytest.raises(InvalidDeployment) as refused:
        await prepare(
            replace(SPEC, wait_timeout=7201.0), actor=Actor(user="alice"), inventory=inventory, longest_wait=7200.0
        )
    assert [(one.field, one.description) for one in refused.value.violations] == [
        ("spec.wait_timeout", "must be between 0 and 7200 s, the longest wait that this site allows")
    ]


@pytest.mark.parametrize(
    ("changes", "environment", "field", "words"),
    [
        (
            {},
            {"file_system": "zfs"},
            "environment_name",
            "debian: the deployment environment cannot make a file system",
        ),
        ({"reformat_tmp": "ntfs"}, {}, "reformat_tmp", "cannot make a file system 'ntfs'; it can make ext2"),
    ],
)
async def test_a_file_system_that_nobody_can_make_is_refused_before_a_node_is_touched(
    changes: dict[str, Any], environment: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidDeployment) as refused:
        await method_of(replace(SPEC, **changes), environment)
    [violation] = refused.value.violations
    assert violation.field == f"spec.{field}"
    assert words in violation.description


def test_what_can_be_made_is_what_the_step_knows_the_options_of() -> None:
    assert set(MAKEABLE) == set(MKFS_OPTIONS)


async def test_a_described_environment_is_resolved_in_place_of_a_recorded_one() -> None:
    node = snapshots.a_node("node-1")
    resolution = Resolution(
        nodes=(ResolvedNode(name="node-1", snapshot=node, allowed=True),),
        environment=snapshots.an_environment(name="mine", described=True),
        profiles={"default": ProfileSnapshot()},
    )
    inventory = FakeInventory(resolution)
    spec = replace(SPEC, nodes="node-1", environment_name="")
    prepared = await prepare(spec, actor=Actor(user="alice"), inventory=inventory, described=b"mine")
    assert (prepared.spec.environment_name, inventory.described) == ("mine", b"mine")
    for named, described in (("", b""), ("debian", b"mine")):
        with pytest.raises(InvalidDeployment):
            await prepare(
                replace(spec, environment_name=named),
                actor=Actor(user="alice"),
                inventory=inventory,
                described=described,
            )


async def test_a_whole_disk_takes_the_partition_of_its_system_and_every_right_on_the_disk() -> None:
    node = snapshots.a_node("node-1")
    resolution = Resolution(
        nodes=(ResolvedNode(name="node-1", snapshot=node, allowed=True),),
        environment=snapshots.an_environment(kind=ImageKind.DD, whole_disk=True, system_partition=3),
        profiles={"default": ProfileSnapshot()},
    )
    inventory = FakeInventory(resolution)
    spec = replace(SPEC, nodes="node-1", whole_disk=True)
    prepared = await prepare(spec, actor=Actor(user="alice"), inventory=inventory)
    assert (prepared.spec.partition, prepared.spec.boot_method) == (3, BootMethod.GRUB)
    assert prepared.rights_query.more == {"node-1": ("vda3", "vda1", "vda2")}
    inventory.rights = {"node-1": {"vda3", "vda2"}}
    with pytest.raises(RightMissing):
        await prepare(spec, actor=Actor(user="alice"), inventory=inventory)
    with pytest.raises(InvalidDeployment, match="cannot be accepted") as refused:
        await method_of(SPEC, {"kind": ImageKind.DD, "whole_disk": True})
    assert refused.value.violations[0].field == "spec.whole_disk"
