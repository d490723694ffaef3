"""What a creation answers and writes, however many nodes it has."""

from dataclasses import replace
from typing import Any

import pytest

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import BusyPolicy, FailureReason, PartitionState
from kadeploy_deployer.ports.store_values import Created, Ending, NewNode
from kadeploy_deployer.store.database import CHUNK
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import new_deployment, node

pytestmark = pytest.mark.integration

UNKNOWN = Failure(reason=FailureReason.UNKNOWN_NODE, description="not registered")


async def created(store: SqlDeploymentStore, name: str, names: list[str], **changes: Any) -> Created:
    answer = await store.create(new_deployment(name, names, **changes))
    assert isinstance(answer, Created)
    return answer


async def test_the_answer_is_what_a_reader_would_find(store: SqlDeploymentStore) -> None:
    await created(store, "holder", ["node9"])
    nodes = (
        NewNode(name="node10", snapshot=node("node10")),
        NewNode(name="node9", snapshot=node("node9")),
        NewNode(name="node2", snapshot=replace(node("node2"), device="nvme0n1", partition=5)),
        NewNode(name="gone", left_out=UNKNOWN),
    )

    answer = await store.create(replace(new_deployment("mixed", []), nodes=nodes))
    assert isinstance(answer, Created)

    assert answer.deployment == await store.get("mixed")
    assert isinstance(answer.deployment, Deployment)
    assert [one.node for one in answer.deployment.nodes] == ["node10", "node9", "node2", "gone"]
    assert [one.reason for one in answer.deployment.nodes] == [None, FailureReason.BUSY, None, UNKNOWN.reason]


async def test_the_answer_of_one_that_waits_is_what_a_reader_would_find(store: SqlDeploymentStore) -> None:
    await created(store, "holder", ["node1"])

    answer = await created(store, "waits", ["node1", "node2"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)

    assert answer.deployment == await store.get("waits")
    assert {one.start_time for one in (await store.get("waits")).nodes} == {None}


async def test_nodes_of_one_that_waited_start_when_it_gets_them(store: SqlDeploymentStore) -> None:
    holder = (await created(store, "holder", ["node1"])).lease
    waits = (await created(store, "waits", ["node1"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)).lease
    assert isinstance(holder, Lease)
    assert isinstance(waits, Lease)
    failed = {"node1": Failure(reason=FailureReason.INTERNAL, description="x")}
    await store.end(holder, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures=failed), now=4.0)

    assert await store.acquire(waits, now=5.0) == {}
    assert (await store.get("waits")).nodes[0].start_time == 5.0


async def test_a_request_that_is_made_again_is_answered_with_its_name_alone(store: SqlDeploymentStore) -> None:
    await created(store, "one", ["node1"], request_id="r")

    assert await created(store, "two", ["node1"], request_id="r") == Created(deployment_id="one", lease=None)


async def test_of_many_nodes_each_that_is_held_is_named_in_the_order_asked(store: SqlDeploymentStore) -> None:
    many = [f"node{number}" for number in range(CHUNK + 10)]
    await created(store, "other", ["elsewhere"])
    await created(store, "few", ["node7", "node3"])

    assert list((await store.holders(many)).items()) == [("node3", "few"), ("node7", "few")]
    answer = await created(store, "many", many)

    assert answer.deployment is not None
    left_out = [one.node for one in answer.deployment.nodes if one.state is not PartitionState.TO_DEPLOY]
    assert left_out == ["node3", "node7"]
    assert answer.deployment == await store.get("many")
