"""What only a deployment's owner and administrators are shown, in every call that shows deployments."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.steps.step import StepContext
from tests.fakes.scripted_step import ScriptedStep
from tests.integration.deployer.conftest import Site

pytestmark = pytest.mark.integration

KEY = "ssh-ed25519 AAAA alice@home"
ARGUMENTS = "single init=/bin/sh password=hunter2"
COMMAND_LINE = f"root=/dev/vda3 {ARGUMENTS} kadeploy_token=abc"


class Learning(ScriptedStep):
    """Learns what the kernel was booted with."""

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        facts = await super().run(context, node)
        return replace(facts, kernel_command_line=COMMAND_LINE, root_device="/dev/vda3")


async def by_get(site: Site, user: str, name: str) -> deployment_pb2.Deployment:
    return await site.deployments(user).GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=name))


async def by_list(site: Site, user: str, _name: str) -> deployment_pb2.Deployment:
    response = await site.deployments(user).ListDeployments(deployer_service_pb2.ListDeploymentsRequest())
    return response.deployments[0]


async def by_watch(site: Site, user: str, name: str) -> deployment_pb2.Deployment:
    wanted = deployer_service_pb2.WatchDeploymentRequest(id=name)
    messages = [message async for message in site.deployments(user).WatchDeployment(wanted)]
    assert all(text not in str(messages) for text in (KEY, ARGUMENTS)) or user != "bob"
    return messages[0].snapshot.deployment


@pytest.mark.parametrize("shown", [by_get, by_list, by_watch])
async def test_keys_and_kernel_arguments_are_shown_to_the_owner_and_administrators(
    shown: Callable[[Site, str, str], Any], site: Site
) -> None:
    site.plan[2] = Learning("reboot", PartitionState.REBOOTING)
    spec = deployment_pb2.DeploymentSpec(
        nodes="node[1-2]", environment_name="debian", authorized_keys=[KEY], kernel_arguments=ARGUMENTS
    )
    created = await site.deployments("alice").CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec))
    assert list(created.spec.authorized_keys) == [KEY]
    await site.world.finished(created.id)

    alices, roots, bobs = [await shown(site, user, created.id) for user in ("alice", "root", "bob")]

    # Lists leave out what may be long, for everybody.
    whole = shown is not by_list
    assert list(alices.spec.authorized_keys) == [KEY] * whole
    assert alices.spec.kernel_arguments == ARGUMENTS * whole
    assert {node.kernel_command_line for node in alices.nodes} <= {COMMAND_LINE}
    assert bool(alices.nodes) == whole
    assert alices == roots
    assert KEY not in str(bobs)
    assert ARGUMENTS not in str(bobs)
    # All the rest is everybody's.
    alices.spec.ClearField("authorized_keys")
    alices.spec.ClearField("kernel_arguments")
    for node in alices.nodes:
        node.ClearField("kernel_command_line")
    assert alices == bobs


async def test_an_administrator_s_deployment_for_a_user_is_that_user_s(site: Site) -> None:
    spec = deployment_pb2.DeploymentSpec(
        nodes="node[1-2]", environment_name="debian", authorized_keys=[KEY], user="alice"
    )
    created = await site.deployments("root").CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec))
    found = [await by_get(site, user, created.id) for user in ("alice", "root", "bob")]
    assert [list(one.spec.authorized_keys) for one in found] == [[KEY], [KEY], []]
