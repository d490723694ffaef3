"""Deployments over real gRPC: create, watch, fail in part, cancel, list, and errors with their reasons."""

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_edge.status import from_rpc_error
from tests.fakes.deployment_world import resolution
from tests.fakes.scripted_step import ScriptedStep
from tests.integration.deployer.conftest import Site

pytestmark = pytest.mark.integration

TERMINATED = deployment_pb2.DEPLOYMENT_STATE_TERMINATED
ERROR = deployment_pb2.DEPLOYMENT_STATE_ERROR


def request(request_id: str = "", **spec: Any) -> deployer_service_pb2.CreateDeploymentRequest:
    values = {"nodes": "node[1-2]", "environment_name": "debian", **spec}
    return deployer_service_pb2.CreateDeploymentRequest(
        request_id=request_id, spec=deployment_pb2.DeploymentSpec(**values)
    )


async def watch(site: Site, deployment_id: str, after: int = 0) -> list[deployer_service_pb2.WatchDeploymentResponse]:
    wanted = deployer_service_pb2.WatchDeploymentRequest(id=deployment_id, after_sequence=after)
    async with asyncio.timeout(10):
        return [message async for message in site.deployments("alice").WatchDeployment(wanted)]


async def reason_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        async with asyncio.timeout(10):
            await call
    error = from_rpc_error(caught.value)
    return error.code, error.reason


async def test_a_deployment_is_created_watched_and_ends_terminated(site: Site) -> None:
    created = await site.deployments("alice").CreateDeployment(request())
    messages = await watch(site, created.id)

    assert created.state in {deployment_pb2.DEPLOYMENT_STATE_DEPLOYING, TERMINATED}
    assert messages[0].snapshot.deployment.id == created.id
    last = messages[-1]
    assert TERMINATED in {last.event.deployment_state_changed.state, last.snapshot.deployment.state}
    deployment = await site.deployments("bob").GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=created.id))
    assert deployment.state == TERMINATED
    assert deployment.owner == "alice"
    assert [node.node for node in deployment.nodes] == ["node1", "node2"]
    assert [one.step for one in deployment.nodes[0].step_durations] == ["boot", "write", "reboot"]


async def test_a_node_that_fails_is_told_with_its_reason_and_the_other_is_deployed(site: Site) -> None:
    broken = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1")
    site.plan[1] = ScriptedStep("write", answers={"node1": [broken]})

    created = await site.deployments("alice").CreateDeployment(request())
    await watch(site, created.id)
    deployment = await site.deployments("alice").GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=created.id))

    assert deployment.state == ERROR
    assert [node.state for node in deployment.nodes] == [
        deployment_pb2.PARTITION_STATE_ERROR,
        deployment_pb2.PARTITION_STATE_DEPLOYED,
    ]
    assert deployment.nodes[0].reason == deployment_pb2.FAILURE_REASON_FORMAT_FAILED
    assert "mkfs.ext4: exit 1" in deployment.nodes[0].description


async def test_a_watch_resumes_after_a_sequence_without_gap_or_repetition(site: Site) -> None:
    created = await site.deployments("alice").CreateDeployment(request())
    await watch(site, created.id)

    whole = [message.event.sequence for message in await watch(site, created.id, after=1)]
    rest = [message.event.sequence for message in await watch(site, created.id, after=5)]

    assert whole == list(range(2, whole[-1] + 1))
    assert rest == list(range(6, whole[-1] + 1))


async def test_a_watch_from_beyond_the_end_is_told_that_the_history_is_gone(site: Site) -> None:
    created = await site.deployments("alice").CreateDeployment(request())

    assert await reason_of(watch(site, created.id, after=10_000)) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "WATCH_HISTORY_GONE",
    )


async def test_progress_reaches_the_watcher(site: Site) -> None:
    class Telling(ScriptedStep):
        async def run(self, context: Any, nodes: Any) -> Any:
            go = asyncio.get_running_loop().time() + 10
            while not seen.is_set() and asyncio.get_running_loop().time() < go:
                context.recorder.progress("node1", self.name, 5, 10)
                await asyncio.sleep(0.02)
            return dict.fromkeys(nodes)

    seen = asyncio.Event()
    site.plan[1] = Telling("write")
    created = await site.deployments("alice").CreateDeployment(request())
    wanted = deployer_service_pb2.WatchDeploymentRequest(id=created.id)
    told = []
    async for message in site.deployments("alice").WatchDeployment(wanted):
        if message.event.HasField("step_progressed"):
            told.append((message.event.node, message.event.step_progressed.done, message.event.step_progressed.total))
            seen.set()

    assert told[0] == ("node1", 5, 10)


async def test_the_same_request_again_gives_the_same_deployment(site: Site) -> None:
    first = await site.deployments("alice").CreateDeployment(request("r-1"))
    second = await site.deployments("alice").CreateDeployment(request("r-1"))

    assert second.id == first.id


async def test_a_request_id_serves_one_request(site: Site) -> None:
    alice = site.deployments("alice")
    first = await alice.CreateDeployment(request("r-1"))
    await watch(site, first.id)
    others = [
        request("r-1", nodes="node1"),
        request("r-1", environment_name="there-is-no-such-environment"),
        request("r-1", kernel_arguments="single"),
        request("r-1", authorized_keys=["ssh-ed25519 AAAA"]),
    ]
    for other in others:
        with pytest.raises(grpc.RpcError) as caught:
            await alice.CreateDeployment(other)
        error = from_rpc_error(caught.value)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_DEPLOYMENT")
        assert [violation.field for violation in error.violations] == ["request_id"]
    assert (await alice.CreateDeployment(request("r-1"))).id == first.id
    # Another user's ids are their own.
    assert (await site.deployments("bob").CreateDeployment(others[0])).id != first.id
    listed = await alice.ListDeployments(deployer_service_pb2.ListDeploymentsRequest())
    assert len(listed.deployments) == 2


async def test_of_rivals_under_one_id_all_get_one_deployment_or_are_refused(site: Site) -> None:
    alice = site.deployments("alice")
    calls = [alice.CreateDeployment(request("r-1", nodes=f"node{1 + number % 2}")) for number in range(10)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [one for one in answers if not isinstance(one, BaseException)]
    refused = [from_rpc_error(one).reason for one in answers if isinstance(one, grpc.RpcError)]
    assert len({one.id for one in made}) == 1
    assert len({one.spec.nodes for one in made}) == 1
    assert (len(made), refused) == (5, ["INVALID_DEPLOYMENT"] * 5)


async def test_cancelling_ends_a_deployment_in_error_and_frees_its_nodes(site: Site) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    site.plan[1] = step
    created = await site.deployments("alice").CreateDeployment(request())
    await asyncio.wait_for(step.entered.wait(), 10)
    cancel = deployer_service_pb2.CancelDeploymentRequest(id=created.id, reason="wrong nodes")

    assert await reason_of(site.deployments("bob").CancelDeployment(cancel)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_OWNER",
    )
    await site.deployments("alice").CancelDeployment(cancel)
    await watch(site, created.id)

    deployment = await site.deployments("alice").GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=created.id))
    assert deployment.state == ERROR
    assert deployment.description.startswith("cancelled by alice: wrong nodes")
    states = await site.states.ListNodeStates(deployer_service_pb2.ListNodeStatesRequest())
    assert [(node.node, node.held_by) for node in states.nodes] == [("node1", ""), ("node2", "")]
    assert await reason_of(site.deployments("alice").CancelDeployment(cancel)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DEPLOYMENT_FINISHED",
    )


async def test_errors_come_with_their_reasons(site: Site) -> None:
    alice = site.deployments("alice")
    get = deployer_service_pb2.GetDeploymentRequest(id="nowhere")
    assert await reason_of(alice.GetDeployment(get)) == (grpc.StatusCode.NOT_FOUND, "DEPLOYMENT_NOT_FOUND")
    assert await reason_of(watch(site, "nowhere")) == (grpc.StatusCode.NOT_FOUND, "DEPLOYMENT_NOT_FOUND")
    assert await reason_of(alice.CreateDeployment(request(nodes="node["))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_NODE_SET",
    )
    assert await reason_of(alice.CreateDeployment(request(environment_name=""))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_DEPLOYMENT",
    )
    assert await reason_of(alice.CreateDeployment(request(user="bob"))) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_ADMINISTRATOR",
    )
    negative = deployer_service_pb2.ListDeploymentsRequest(page_size=-1)
    assert await reason_of(alice.ListDeployments(negative)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_SIZE",
    )


async def test_one_node_without_a_right_refuses_the_whole_and_names_the_node(site: Site) -> None:
    first, second = resolution().nodes
    site.world.inventory.resolution = resolution(nodes=(first, replace(second, allowed=False)))

    with pytest.raises(grpc.RpcError) as caught:
        await site.deployments("alice").CreateDeployment(request())

    error = from_rpc_error(caught.value)
    assert (error.reason, error.metadata["nodes"]) == ("RIGHT_MISSING", "node2")


async def test_busy_nodes_are_left_out_or_refused_as_the_caller_wishes(site: Site) -> None:
    site.plan[1] = ScriptedStep("write", holds=asyncio.Event())
    both = site.world.inventory.resolution
    site.world.inventory.resolution = replace(both, nodes=both.nodes[:1])
    holder = await site.deployments("alice").CreateDeployment(request(nodes="node1"))
    site.world.inventory.resolution = both

    refused = reason_of(site.deployments("bob").CreateDeployment(request(busy_policy=deployment_pb2.BUSY_POLICY_FAIL)))
    assert await refused == (grpc.StatusCode.FAILED_PRECONDITION, "NODES_BUSY")
    partial = await site.deployments("bob").CreateDeployment(request())

    left_out = partial.nodes[0]
    assert left_out.reason == deployment_pb2.FAILURE_REASON_BUSY
    assert holder.id in left_out.description
    assert await reason_of(site.deployments("bob").CreateDeployment(request())) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_NODE_LEFT",
    )


async def test_a_plan_says_what_would_be_done_and_touches_nothing(site: Site) -> None:
    plan = deployer_service_pb2.PlanDeploymentRequest(spec=request().spec)

    response = await site.deployments("alice").PlanDeployment(plan)

    assert [(node.node, node.included) for node in response.nodes] == [("node1", True), ("node2", True)]
    assert response.boot_method == deployment_pb2.BOOT_METHOD_NETWORK
    assert [list(step.actions) for step in response.nodes[0].steps] == [
        ["boot node1"],
        ["write node1"],
        ["reboot node1"],
    ]
    listed = await site.deployments("alice").ListDeployments(deployer_service_pb2.ListDeploymentsRequest())
    assert not listed.deployments


async def test_lists_go_page_by_page_the_latest_first(site: Site) -> None:
    made = []
    for _ in range(5):
        created = await site.deployments("alice").CreateDeployment(request())
        await watch(site, created.id)
        made.append(created.id)

    listed, token = [], ""
    while True:
        wanted = deployer_service_pb2.ListDeploymentsRequest(page_size=2, page_token=token)
        response = await site.deployments("alice").ListDeployments(wanted)
        listed += [deployment.id for deployment in response.deployments]
        token = response.next_page_token
        if not token:
            break

    assert listed == made[::-1]
    by_node = deployer_service_pb2.ListDeploymentsRequest()
    by_node.filter.nodes = "node9"
    assert not (await site.deployments("alice").ListDeployments(by_node)).deployments


async def test_partition_states_name_the_deployment_that_wrote_them_last(site: Site) -> None:
    for _ in range(2):
        created = await site.deployments("alice").CreateDeployment(request())
        await watch(site, created.id)

    first = await site.states.ListPartitionStates(deployer_service_pb2.ListPartitionStatesRequest(page_size=1))
    second = await site.states.ListPartitionStates(
        deployer_service_pb2.ListPartitionStatesRequest(page_size=1, page_token=first.next_page_token)
    )

    rows = [*first.partitions, *second.partitions]
    assert [(row.node, row.device, row.partition) for row in rows] == [("node1", "vda", 3), ("node2", "vda", 3)]
    assert {row.deployment_id for row in rows} == {created.id}
    assert {row.state for row in rows} == {deployment_pb2.PARTITION_STATE_DEPLOYED}
    assert rows[0].environment.name == "debian"
    assert not second.next_page_token


async def test_the_history_is_counted_by_month_node_and_step(site: Site) -> None:
    broken = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1")
    site.plan[1] = ScriptedStep("write", answers={"node1": [broken, None]})
    for _ in range(3):
        created = await site.deployments("alice").CreateDeployment(request())
        await watch(site, created.id)

    found = await site.states.GetStatistics(deployer_service_pb2.GetStatisticsRequest())
    one = await site.states.GetStatistics(deployer_service_pb2.GetStatisticsRequest(nodes="node2"))
    early = deployer_service_pb2.GetStatisticsRequest()
    early.end_time.FromSeconds(1)
    wrong = deployer_service_pb2.GetStatisticsRequest()
    wrong.start_time.FromSeconds(2)
    wrong.end_time.FromSeconds(1)

    assert [(m.deployments, m.failed_deployments, m.nodes) for m in found.months] == [(3, 1, 6)]
    assert [(n.node, n.deployments, n.failures) for n in found.nodes] == [("node1", 3, 1), ("node2", 3, 0)]
    assert [(s.step, s.count, s.failures) for s in found.steps] == [("boot", 6, 0), ("reboot", 5, 0), ("write", 6, 1)]
    assert [(m.deployments, m.nodes) for m in one.months] == [(3, 3)]
    assert not (await site.states.GetStatistics(early)).months
    assert await reason_of(site.states.GetStatistics(wrong)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INTERVAL",
    )


async def test_a_specification_as_long_as_it_may_be_makes_no_list_long(site: Site) -> None:
    key = "ssh-ed25519 " + "A" * 8000
    nodes = ",".join(["node1", *["node2"] * 99_999])
    long: dict[str, Any] = {"nodes": nodes, "authorized_keys": [key] * 40, "kernel_arguments": "k" * 4096}
    created = await site.deployments("alice").CreateDeployment(request(**long))
    await site.world.finished(created.id)

    listed = await site.deployments("bob").ListDeployments(deployer_service_pb2.ListDeploymentsRequest(page_size=500))
    (row,) = [one for one in listed.deployments if one.id == created.id]
    assert listed.ByteSize() < 4096
    assert (list(row.spec.authorized_keys), row.spec.kernel_arguments) == ([], "")
    assert row.spec.nodes == f"{nodes[:1000]}…"
    whole = await site.deployments("alice").GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=created.id))
    assert whole.spec.nodes == nodes
    assert list(whole.spec.authorized_keys) == [key] * 40


async def test_what_is_longer_than_it_may_be_is_refused_and_leaves_nothing(site: Site) -> None:
    too_long = request(authorized_keys=["ssh-ed25519 " + "A" * 8192])
    refused = (grpc.StatusCode.INVALID_ARGUMENT, "OUT_OF_BOUNDS")
    assert await reason_of(site.deployments("alice").CreateDeployment(too_long)) == refused
    wanted = deployer_service_pb2.CancelDeploymentRequest(id="any", reason="x" * 1025)
    assert await reason_of(site.deployments("alice").CancelDeployment(wanted)) == refused
    listed = await site.deployments("bob").ListDeployments(deployer_service_pb2.ListDeploymentsRequest())
    assert list(listed.deployments) == []


async def test_a_node_is_diagnosed_for_who_may_ask(site: Site) -> None:
    wanted = deployer_service_pb2.GetNodeDiagnosisRequest(node="node1")
    found = await site.states.GetNodeDiagnosis(wanted)
    assert found.node == "node1"
    assert found.power_state == deployer_service_pb2.POWER_STATE_ON
    assert found.deployment_id == ""
    assert list(found.problems) == ["bootctl's settings name no logs of the boot servers (boot_logs)"]
    created = await site.deployments("alice").CreateDeployment(request())
    await watch(site, created.id)
    assert (await site.states.GetNodeDiagnosis(wanted)).deployment_id == created.id
    site.power.on["node1"] = False
    off = await site.states.GetNodeDiagnosis(wanted)
    assert (off.place, off.description) == (deployer_service_pb2.BOOT_PLACE_POWER, "the machine has no power")
    several = deployer_service_pb2.GetNodeDiagnosisRequest(node="node[1-2]")
    assert await reason_of(site.states.GetNodeDiagnosis(several)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_CONTROL",
    )
