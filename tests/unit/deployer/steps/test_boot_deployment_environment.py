"""Booting the deployment environment: the ladder, the proof, and what users are told."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import CommandSnapshot, DeploymentSpec
from kadeploy_deployer.domain.states import FailureReason, RebootLevel
from kadeploy_deployer.ports import BootDeploymentKernel
from kadeploy_deployer.steps.boot_deployment_environment import BOOT_DEPLOYMENT_ENVIRONMENT as STEP
from tests.fakes import snapshots
from tests.fakes.fake_machines import BLANK, DEPLOYMENT, PREVIOUS, FakeMachines
from tests.fakes.step_workshop import Workshop, failure, learn, outcome, outcomes


async def test_a_machine_that_is_off_is_switched_on(workshop: Workshop, machines: FakeMachines) -> None:
    workshop.power.on["node-1"] = machines["node-1"].powered = False
    context = workshop.context()
    assert await outcome(STEP, context) is None
    assert workshop.power.did == [("node-1", "on")]
    assert context.facts["node-1"].deployment_boot_id == "boot-node-1-1"


async def test_the_entry_carries_the_token_and_the_profile_s_arguments(workshop: Workshop) -> None:
    profile = snapshots.a_profile(
        deployment_kernel_label="other", deployment_kernel_arguments="console=ttyS1", first_check_timeout=1.0
    )
    await outcome(STEP, workshop.context(profiles={"default": profile}))
    assert workshop.boot.entries == {
        "node-1": BootDeploymentKernel(
            label="other", arguments="console=ttyS1 kadeploy.token=deploy-node-1 kadeploy.node=node-1"
        )
    }
    assert workshop.boot.owners == {"node-1": "d-1"}


async def test_a_machine_that_is_there_already_is_left_in_peace(workshop: Workshop, machines: FakeMachines) -> None:
    context = workshop.context()
    assert await outcome(STEP, context) is None
    workshop.power.did.clear()
    boots = machines["node-1"].boots_done
    assert await outcome(STEP, context) is None
    assert (workshop.power.did, machines["node-1"].boots_done) == ([], boots)


async def test_the_previous_system_is_asked_to_reboot(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = PREVIOUS
    context = workshop.context()
    learn(context, "node-1", previous_host_keys=(machines["node-1"].previous_key,))
    assert await outcome(STEP, context) is None
    assert workshop.power.did == []
    assert workshop.shell.forgotten


async def test_an_unknown_system_is_reset_at_once(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = PREVIOUS
    begin = workshop.clock.time
    assert await outcome(STEP, workshop.context()) is None
    assert workshop.power.did == [("node-1", "hard")]
    assert workshop.clock.time - begin < 60


async def test_a_soft_reboot_command_goes_before_a_login(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].runs = PREVIOUS
    node = snapshots.a_node(commands=replace(snapshots.COMMANDS, soft_reboot=("reboot-it", "{name}")))
    assert await outcome(STEP, workshop.context(nodes={"node-1": node})) is None
    assert workshop.power.did == [("node-1", "soft")]


async def test_a_machine_that_heeds_no_soft_reboot_is_reset_after_its_time(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machine = machines["node-1"]
    machine.runs, machine.deaf_to = PREVIOUS, {"soft"}
    context = workshop.context()
    learn(context, "node-1", previous_host_keys=(machine.previous_key,))
    begin = workshop.clock.time
    assert await outcome(STEP, context) is None
    assert workshop.power.did == [("node-1", "hard")]
    assert 210 <= workshop.clock.time - begin < 300
    assert any("hard reboot follows" in text for _, text in workshop.recorder.remarks)


async def test_the_request_may_shorten_the_patience(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].boot_seconds = 1e9
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", first_check_timeout=30.0)
    begin = workshop.clock.time
    failed = await failure(STEP, workshop.context(spec=spec))
    assert failed.reason is FailureReason.NOT_THERE_ON_FIRST_CHECK
    assert workshop.clock.time - begin < 60
    assert "hard reboot (waited 30 s)" in failed.description


async def test_a_machine_that_never_comes_fails_with_what_was_tried_and_seen(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machines["node-1"].runs, machines["node-1"].boot_seconds = BLANK, 1e9
    failed = await failure(STEP, workshop.context())
    assert failed.description == (
        "seen last: refused the connection to 10.0.0.1 port 22; "
        "tried: soft reboot (failed: refused the connection to 10.0.0.1 port 22), hard reboot (waited 210 s)"
    )


async def test_another_deployment_s_environment_is_not_taken_for_ours(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machine = machines["node-1"]
    machine.runs, machine.command_line = DEPLOYMENT, "kadeploy.token=other kadeploy.node=node-1"
    machine.deaf_to = {"soft", "hard"}
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.NOT_THERE_ON_FIRST_CHECK
    assert "the deployment environment, not booted by this deployment: it has not rebooted yet" in failed.description


async def test_a_known_system_that_comes_back_instead_is_named_and_reset_without_waiting(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machine = machines["node-1"]
    machine.runs, machine.boots = PREVIOUS, [PREVIOUS]
    context = workshop.context()
    learn(context, "node-1", previous_host_keys=(machine.previous_key,))
    begin = workshop.clock.time
    assert await outcome(STEP, context) is None
    assert workshop.power.did == [("node-1", "hard")]
    assert workshop.clock.time - begin < 100
    assert any(
        text.startswith("hard reboot follows") and text.endswith("another system, running from /dev/root")
        for _, text in workshop.recorder.remarks
    )


async def test_a_system_that_only_has_the_token_is_not_taken_for_the_deployment_environment(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machine = machines["node-1"]
    machine.runs, machine.command_line = PREVIOUS, "kadeploy.token=deploy-node-1"
    machine.deaf_to = {"soft", "hard"}
    failed = await failure(STEP, workshop.context())
    assert "another host key" in failed.description


async def test_all_rungs_are_tried(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-1"].boot_seconds = 1e9
    ladder = (RebootLevel.SOFT, RebootLevel.HARD, RebootLevel.VERY_HARD)
    profile = snapshots.a_profile(reboot_ladder=ladder)
    await failure(STEP, workshop.context(profiles={"default": profile}))
    assert workshop.power.did == [("node-1", "hard"), ("node-1", "very_hard")]


async def test_broken_power_leaves_the_other_nodes_alone(workshop: Workshop, machines: FakeMachines) -> None:
    workshop.power.broken.add("node-2")
    found = await outcomes(STEP, workshop.context("node-1", "node-2"), "node-1", "node-2")
    assert found["node-1"] is None
    failed = found["node-2"]
    assert failed is not None
    assert "hard_reboot of node-2 failed with exit status 1" in failed.description
    assert machines["node-2"].runs == BLANK


async def test_without_any_entry_nothing_is_rebooted(workshop: Workshop) -> None:
    workshop.boot.broken = "bootctl does not answer on 127.0.0.1:7403"
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.BOOT_FILES_FAILED
    assert failed.description == "bootctl does not answer on 127.0.0.1:7403"
    assert workshop.power.did == []


@pytest.mark.usefixtures("machines")
async def test_a_refused_entry_fails_its_node_alone(workshop: Workshop) -> None:
    workshop.boot.refused["node-1"] = "bootctl refused the entry of node-1: no such label"
    found = await outcomes(STEP, workshop.context("node-1", "node-2"), "node-1", "node-2")
    assert found["node-2"] is None
    assert found["node-1"] is not None


async def test_reboots_go_in_windows(workshop: Workshop, machines: FakeMachines) -> None:
    profile = snapshots.a_profile(reboot_window_size=1, reboot_window_pause=100.0)
    names = ["node-1", "node-2", "node-3"]
    for name in names:
        workshop.power.on[name] = machines[name].powered = False
    begin = workshop.clock.time
    found = await outcomes(STEP, workshop.context(*names, profiles={"default": profile}), *names)
    assert found == dict.fromkeys(names)
    ups = sorted(machines[name].up_at - begin for name in names)
    assert ups == [20.0, 120.0, 220.0]


async def test_a_site_without_status_command_is_rebooted_all_the_same(
    workshop: Workshop, machines: FakeMachines
) -> None:
    workshop.power.status_known = False
    assert await outcome(STEP, workshop.context()) is None
    assert machines["node-1"].runs == DEPLOYMENT


def test_the_plan_tells_the_ladder(workshop: Workshop) -> None:
    node = snapshots.a_node(commands=CommandSnapshot())
    assert list(STEP.describe(workshop.context(nodes={"node-1": node}), "node-1")) == [
        "let it boot the deployment kernel 'deploy' with kadeploy.token=<token> kadeploy.node=node-1",
        "switch it on if it is off",
        "soft reboot by logging in, and wait up to 210 s",
        "if it is not there then: nothing, because the site has no command for a hard reboot",
    ]
