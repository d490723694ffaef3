"""What would be done, told without doing it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from kadeploy_deployer.domain.errors import EnvironmentUnusable, InvalidDeployment, RightMissing
from kadeploy_deployer.domain.snapshot import DeploymentSpec, FileSnapshot
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.ports import OpenedFile, Resolution, ResolvedNode
from kadeploy_deployer.requests import file_check
from kadeploy_deployer.requests import plan as planning
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.plan import NodePlan, plan_deployment
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.recovery import leave_bootable
from tests.fakes import snapshots
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.step_workshop import Workshop

SPEC = DeploymentSpec(nodes="node-[1-2]", environment_name="debian", write_partition_table=True)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


async def plan(
    workshop: Workshop,
    spec: DeploymentSpec = SPEC,
    *,
    nodes: Sequence[ResolvedNode] | None = None,
    held: Mapping[str, str] = MappingProxyType({}),
) -> Sequence[NodePlan]:
    """Returns the plan for two nodes that nobody holds, or others."""
    known = snapshots.nodes("node-1", "node-2")
    context = workshop.context(nodes=known)

    async def holders(_: Sequence[str]) -> Mapping[str, str]:
        return held

    both = [ResolvedNode(name=name, snapshot=node, allowed=True) for name, node in known.items()]
    resolution = Resolution(
        nodes=tuple(both if nodes is None else nodes),
        environment=context.environment,
        profiles=context.profiles,
    )
    planned = await plan_deployment(
        spec,
        actor=Actor(user="alice"),
        inventory=FakeInventory(resolution),
        store=cast("Any", SimpleNamespace(holders=holders)),
        settings=RunnerSettings(
            plan=PLAN,
            ports=context.ports,
            windows=context.windows,
            leave_bootable=leave_bootable,
            deployment_host_keys=context.deployment_host_keys,
            cluster_public_key=context.cluster_public_key,
        ),
    )
    assert (planned.environment, planned.spec.boot_method) == (context.environment, BootMethod.NETWORK)
    return planned.nodes


async def test_the_boot_files_are_shown_with_their_text_and_nothing_is_touched(workshop: Workshop) -> None:
    first, second = await plan(workshop)
    files = {step.step: [file.text for file in step.files] for step in first.steps if step.files}
    assert set(files) == {"boot_deployment_environment", "boot_files"}
    assert "kadeploy.token=planned kadeploy.node=node-1" in files["boot_deployment_environment"][0]
    assert "root=/dev/vda3 console=ttyS0 rw kadeploy.token=planned" in files["boot_files"][0]
    assert [step.step for step in second.steps] == [step.step for step in first.steps]
    assert "erase everything on /dev/vda" in next(step.actions for step in first.steps if step.step == "partition")
    assert (workshop.boot.entries, workshop.boot.files, workshop.power.did, workshop.shell.ran) == ({}, {}, [], [])


async def test_what_cannot_be_shown_is_told(workshop: Workshop) -> None:
    workshop.boot.broken = "bootctl does not answer"
    node, _ = await plan(workshop, replace(SPEC, nodes="node-1"))
    step = node.steps[0]
    assert (step.files, step.actions[-1]) == ((), "the boot files cannot be shown: bootctl does not answer")


def unknown(name: str) -> ResolvedNode:
    return ResolvedNode(name=name, snapshot=None, allowed=False)


def known(name: str, *, allowed: bool) -> ResolvedNode:
    return ResolvedNode(name=name, snapshot=snapshots.a_node(name), allowed=allowed)


async def test_without_a_right_nothing_is_looked_at(workshop: Workshop) -> None:
    workshop.images.refused[workshop.image.uri] = "it lies elsewhere"
    with pytest.raises(RightMissing):
        await plan(workshop, nodes=[known("node-1", allowed=False), known("node-2", allowed=True)])
    assert workshop.images.fetched == []


async def test_for_nodes_that_are_not_registered_nothing_is_looked_at(workshop: Workshop) -> None:
    workshop.images.refused[workshop.image.uri] = "it lies elsewhere"
    planned = await plan(workshop, nodes=[unknown("nosuch-1"), unknown("nosuch-2")])
    assert [(node.steps, node.obstacle is None) for node in planned] == [((), False)] * 2
    assert workshop.images.fetched == []


async def test_for_nodes_that_are_held_by_others_nothing_is_looked_at(workshop: Workshop) -> None:
    planned = await plan(workshop, held={"node-1": "deployment d-9", "node-2": "deployment d-9"})
    assert [node.steps for node in planned] == [(), ()]
    assert workshop.images.fetched == []
    first, second = await plan(workshop, held={"node-1": "deployment d-9"})
    assert (first.steps, bool(second.steps)) == ((), True)
    assert set(workshop.images.users) == {"alice"}


async def test_a_file_where_the_site_fetches_nothing_from_is_refused_before_it_is_looked_at(workshop: Workshop) -> None:
    workshop.images.refused[workshop.image.uri] = f"{workshop.image.uri} lies elsewhere"
    with pytest.raises(InvalidDeployment) as refused:
        await plan(workshop)
    [violation] = refused.value.violations
    assert violation.field == "spec.environment_name"
    assert violation.description == (
        f"names debian version 1, which cannot be deployed here: {workshop.image.uri} lies elsewhere"
    )
    assert workshop.images.fetched == []


async def test_an_image_that_cannot_be_read_is_refused(workshop: Workshop) -> None:
    workshop.images.broken[workshop.image.uri] = "the server has no such file"
    with pytest.raises(EnvironmentUnusable, match="debian version 1 cannot be deployed: the server has no such file"):
        await plan(workshop)
    assert (workshop.boot.entries, workshop.power.did, workshop.shell.ran) == ({}, [], [])


async def test_a_large_image_holds_no_request_up(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def slow(_: FileSnapshot, *, user: str) -> AsyncIterator[OpenedFile]:
        assert user == "alice"
        await asyncio.sleep(3600)
        yield cast("Any", None)

    monkeypatch.setattr(workshop.images, "fetch", slow)
    monkeypatch.setattr(file_check, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(planning, "BOOT_FILES_SECONDS", 0.05)
    assert len(await plan(workshop)) == 2
