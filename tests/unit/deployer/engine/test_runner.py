"""The runner with scripted steps, on a real database."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.events import (
    DeploymentStateChanged,
    PartitionStateChanged,
    Remark,
    StepEnded,
    StepStarted,
)
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import ProfileSnapshot, StepPolicy
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import World, make_database, resolution
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep, straight_plan

BROKEN = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


async def test_a_deployment_whose_nodes_do_all_steps_ends_terminated(database: Database) -> None:
    deployment = await World(database=database, plan=straight_plan()).run()

    assert deployment.state is DeploymentState.TERMINATED
    assert deployment.description == "2 of 2 nodes deployed"
    assert [node.state for node in deployment.nodes] == [PartitionState.DEPLOYED, PartitionState.DEPLOYED]
    assert [record.step for record in deployment.nodes[0].steps] == ["boot", "write", "reboot"]
    assert deployment.end_time is not None


async def test_the_story_tells_every_step_and_state_of_a_node_in_order(database: Database) -> None:
    world = World(database=database, plan=straight_plan(), inventory=FakeInventory(resolution(("node1",))))

    deployment = await world.run()

    events = await world.store.events(deployment.id, after=0, limit=100)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events] == [
        DeploymentStateChanged(state=DeploymentState.WAITING),
        DeploymentStateChanged(state=DeploymentState.DEPLOYING),
        StepStarted(step="boot", attempt=1),
        StepEnded(step="boot", succeeded=True),
        PartitionStateChanged(state=PartitionState.DEPLOYING),
        StepStarted(step="write", attempt=1),
        StepEnded(step="write", succeeded=True),
        PartitionStateChanged(state=PartitionState.REBOOTING),
        StepStarted(step="reboot", attempt=1),
        StepEnded(step="reboot", succeeded=True),
        PartitionStateChanged(state=PartitionState.DEPLOYED),
        DeploymentStateChanged(state=DeploymentState.TERMINATED, description="1 of 1 nodes deployed"),
    ]


async def test_a_node_that_fails_leaves_and_the_others_are_deployed(database: Database) -> None:
    plan = straight_plan(write=ScriptedStep("write", answers={"node1": [BROKEN]}))

    deployment = await World(database=database, plan=plan).run()

    assert deployment.state is DeploymentState.ERROR
    assert deployment.description == "1 of 2 nodes deployed; failed: node1 (format failed)"
    bad, good = deployment.nodes
    assert (bad.state, bad.reason, bad.step) == (PartitionState.ERROR, FailureReason.FORMAT_FAILED, "write")
    assert bad.description == "format failed: mkfs.ext4: exit 1 (step write)"
    assert good.state is PartitionState.DEPLOYED
    assert plan[2].runs == ["node2"]


async def test_a_step_that_does_not_apply_is_left_out(database: Database) -> None:
    plan = [*straight_plan()[:2], ScriptedStep("kexec", applicable=False), straight_plan()[2]]

    deployment = await World(database=database, plan=plan).run()

    assert deployment.state is DeploymentState.TERMINATED
    assert plan[2].runs == []


async def test_only_the_nodes_that_failed_try_again_as_often_as_the_profile_says(database: Database) -> None:
    plan = straight_plan(write=ScriptedStep("write", answers={"node1": [BROKEN, BROKEN, None]}))
    policies = {"write": StepPolicy(timeout=60.0, retries=2)}
    inventory = FakeInventory(resolution(profiles={"main": ProfileSnapshot(step_policies=policies)}))

    deployment = await World(database=database, plan=plan, inventory=inventory).run()

    assert deployment.state is DeploymentState.TERMINATED
    assert Counter(plan[1].runs) == {"node1": 3, "node2": 1}
    assert deployment.nodes[0].steps[1].attempts == 3


async def test_a_failure_that_no_retry_can_help_is_final(database: Database) -> None:
    digest = Failure(reason=FailureReason.DIGEST_MISMATCH, description="got sha256:1", retriable=False)
    plan = straight_plan(write=ScriptedStep("write", answers={"node1": [digest]}, retries=5))

    deployment = await World(database=database, plan=plan).run()

    assert plan[1].runs == ["node1", "node2"]
    assert deployment.nodes[0].reason is FailureReason.DIGEST_MISMATCH


async def test_a_step_that_does_not_come_back_fails_its_nodes_with_its_own_reason(database: Database) -> None:
    plan = straight_plan(boot=ScriptedStep("boot", PartitionState.TO_DEPLOY, timeout=0.05, holds=asyncio.Event()))

    deployment = await World(database=database, plan=plan).run()

    assert plan[0].stopped == 2
    assert {node.reason for node in deployment.nodes} == {FailureReason.NOT_THERE_ON_FIRST_CHECK}
    assert deployment.state is DeploymentState.ERROR


async def test_a_step_that_raises_fails_its_node_with_one_sentence_and_a_logged_traceback(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    plan = straight_plan(write=ScriptedStep("write", answers={"node1": [ValueError("a fault\nof ours")]}))

    deployment = await World(database=database, plan=plan).run()

    assert [node.reason for node in deployment.nodes] == [FailureReason.INTERNAL, None]
    assert deployment.nodes[0].description == "internal: the step broke off: ValueError: a fault (step write)"
    assert any(record.exc_info for record in caplog.records)


async def test_a_step_that_ignores_its_end_is_left_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kadeploy_deployer.engine.step_run.STOP_SECONDS", 0.1)
    at_last = asyncio.Event()

    class Deaf(ScriptedStep):
        async def run(self, context: StepContext, node: str) -> NodeFacts:
            while node == "node1" and not at_last.is_set():
                with suppress(asyncio.CancelledError):
                    await at_last.wait()
            return await super().run(context, node)

    deployment = await World(database=database, plan=straight_plan(write=Deaf("write", timeout=0.1))).run()

    assert [node.reason for node in deployment.nodes] == [FailureReason.NOT_THERE_ON_FIRST_CHECK, None]
    assert any("does not stop" in record.message for record in caplog.records)
    at_last.set()


async def test_a_cancelled_deployment_ends_in_error_with_its_nodes_free_and_bootable(database: Database) -> None:
    bootable: list[str] = []

    async def recover(_context: StepContext, node: str) -> None:
        bootable.append(node)

    step = ScriptedStep("write", holds=asyncio.Event())
    world = World(database=database, plan=straight_plan(write=step), recover=recover)
    created = await world.create()
    await step.entered.wait()

    await world.store.request_cancel(created.id, reason="cancelled by alice", now=world.clock.now())
    world.supervisor.cancel(created.id)
    deployment = await world.finished(created.id)

    assert step.stopped == 2
    assert deployment.state is DeploymentState.ERROR
    assert deployment.description.startswith("cancelled by alice; 0 of 2 nodes deployed")
    assert {node.reason for node in deployment.nodes} == {FailureReason.CANCELLED}
    assert sorted(bootable) == ["node1", "node2"]
    assert await world.store.holders(["node1", "node2"]) == {}


async def test_a_recovery_that_fails_is_told_and_changes_nothing(database: Database) -> None:
    async def recover(_context: StepContext, _node: str) -> None:
        raise ConnectionError("bootctl does not answer")

    plan = straight_plan(write=ScriptedStep("write", answers={"node1": [BROKEN]}))
    world = World(database=database, plan=plan, recover=recover)

    deployment = await world.run()

    assert deployment.nodes[0].reason is FailureReason.FORMAT_FAILED
    events = await world.store.events(deployment.id, after=0, limit=100)
    remarks = [(event.node, event.kind.text) for event in events if isinstance(event.kind, Remark)]
    assert remarks == [("node1", "could not be left bootable: ConnectionError: bootctl does not answer")]


async def test_what_a_step_learns_is_kept_and_host_keys_reach_the_next_deployment(database: Database) -> None:
    class Learns(ScriptedStep):
        async def run(self, context: StepContext, node: str) -> NodeFacts:
            await context.recorder.output(node, self.name, "one\n")
            await context.recorder.output(node, self.name, "two\n")
            facts = await super().run(context, node)
            return replace(facts, host_keys=(f"ssh-ed25519 {node}",), boot_id="b-1")

    world = World(database=database, plan=straight_plan(reboot=Learns("reboot", PartitionState.REBOOTING)))
    first = await world.run()
    second = await world.run()

    assert first.nodes[0].facts.boot_id == "b-1"
    assert first.nodes[0].facts.previous_host_keys == ()
    assert second.nodes[0].facts.previous_host_keys == ("ssh-ed25519 node1",)
    assert second.nodes[0].facts.system_token != first.nodes[0].facts.system_token
    assert [output.text for output in await world.store.outputs(first.id, "node1", "")] == ["one\ntwo\n"]


async def test_a_plan_that_leads_nowhere_fails_its_nodes(database: Database) -> None:
    deployment = await World(database=database, plan=[]).run()

    assert deployment.state is DeploymentState.ERROR
    assert {node.reason for node in deployment.nodes} == {FailureReason.INTERNAL}


async def test_a_plan_against_the_lifecycle_ends_in_error_and_frees_the_nodes(
    database: Database,
) -> None:
    plan = list(reversed(straight_plan()))
    world = World(database=database, plan=plan, lease_seconds=0.3)

    deployment = await world.run()

    assert deployment.state is DeploymentState.ERROR
    assert "cannot happen in state" in deployment.description
    assert await world.store.holders(["node1", "node2"]) == {}


async def test_left_out_nodes_are_told_and_are_no_failure(database: Database) -> None:
    known = resolution(("node1",)).nodes
    unknown = replace(known[0], name="node9", snapshot=None, allowed=False)
    inventory = FakeInventory(resolution(nodes=(*known, unknown)))

    deployment = await World(database=database, plan=straight_plan(), inventory=inventory).run()

    assert deployment.state is DeploymentState.TERMINATED
    assert deployment.description == "1 of 1 nodes deployed; left out: node9 (unknown node)"
    assert (deployment.nodes[1].state, deployment.nodes[1].reason) == (None, FailureReason.UNKNOWN_NODE)
