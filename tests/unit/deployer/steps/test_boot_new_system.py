"""Booting the new system: every part of the proof, the ladder, and what users are told."""

import pytest

from kadeploy_deployer.domain.states import FailureReason, RebootLevel
from kadeploy_deployer.domain.vocabulary import BootKind
from kadeploy_deployer.steps.boot_new_system import BOOT_NEW_SYSTEM as STEP
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import StepContext
from tests.fakes import snapshots
from tests.fakes.fake_machines import BLANK, DEPLOYMENT, IMAGE_KEY, PREVIOUS, SYSTEM, FakeMachines
from tests.fakes.step_workshop import TARGET, Workshop, failure, learn, outcome, outcomes, run_all

MARKER = "/mnt/dest/etc/kadeploy-deployment"


async def ready(workshop: Workshop, machines: FakeMachines) -> StepContext:
    """Returns the context of a node that is written and waits in the deployment environment."""
    machines["node-1"].files[IMAGE_KEY] = "ssh-ed25519 HOST root@image\n"
    context = workshop.context()
    assert await run_all(PLAN[:-1], context) == {"node-1": None}
    workshop.power.did.clear()
    return context


async def test_a_written_node_boots_and_proves_it(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    assert await outcome(STEP, context) is None
    facts = context.facts["node-1"]
    assert facts.boot_id == machines["node-1"].boot_id != facts.deployment_boot_id
    assert facts.root_device == TARGET
    assert workshop.power.did == []
    commands = workshop.shell.commands("node-1")
    assert ("umount", "/mnt/dest") in commands


async def test_a_node_that_runs_the_new_system_already_is_left_in_peace(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    assert await outcome(STEP, context) is None
    boots = machines["node-1"].boots_done
    assert await outcome(STEP, context) is None
    assert machines["node-1"].boots_done == boots


async def test_a_node_that_does_not_come_is_reset(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [BLANK]
    assert await outcome(STEP, context) is None
    assert workshop.power.did == [("node-1", "hard")]


async def test_a_node_that_never_comes_fails_with_what_was_tried(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [BLANK, BLANK]
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.NOT_THERE_ON_LAST_CHECK
    assert failed.description == (
        "seen last: refused the connection to 10.0.0.1 port 22; "
        "tried: reboot (waited 250 s), hard reboot (waited 250 s)"
    )


@pytest.mark.parametrize(
    ("runs", "seen"),
    [
        (DEPLOYMENT, "seen last: the deployment environment; tried: reboot (waited 21 s)"),
        (PREVIOUS, "another host key"),
    ],
)
async def test_another_system_is_told_from_silence(
    workshop: Workshop, machines: FakeMachines, runs: str, seen: str
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [runs, runs]
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert seen in failed.description


async def test_the_previous_system_is_named_when_its_key_is_known(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    learn(context, "node-1", previous_host_keys=(machines["node-1"].previous_key,))
    machines["node-1"].boots = [PREVIOUS, PREVIOUS]
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert "another system, running from /dev/root" in failed.description


async def test_a_wrong_system_that_runs_from_a_disk_is_reset_without_waiting(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [PREVIOUS]
    learn(context, "node-1", previous_host_keys=(machines["node-1"].previous_key,))
    begin = workshop.clock.monotonic()
    assert await outcome(STEP, context) is None
    assert workshop.power.did == [("node-1", "hard")]
    assert workshop.clock.monotonic() - begin < context.profile("node-1").last_check_timeout


async def test_the_deployment_environment_once_more_is_reset_without_waiting(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [DEPLOYMENT]
    begin = workshop.clock.monotonic()
    assert await outcome(STEP, context) is None
    assert workshop.clock.monotonic() - begin < context.profile("node-1").last_check_timeout


async def test_a_system_that_answers_before_its_disk_is_mounted_is_waited_for(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].root = ""
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert "tried: reboot (waited 250 s), hard reboot (waited 250 s)" in failed.description


async def test_another_root_is_not_the_new_system(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].root = "vda1"
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert "the kernel runs from /dev/root and not from /dev/vda3" in failed.description


async def test_another_token_is_not_the_new_system(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    learn(context, "node-1", system_token="other")
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert "not booted by this deployment" in failed.description


async def test_a_system_with_its_own_loader_proves_itself_by_its_marker(
    workshop: Workshop, machines: FakeMachines
) -> None:
    machines["node-1"].files[IMAGE_KEY] = "ssh-ed25519 HOST root@image\n"
    environment = snapshots.an_environment(workshop.image, boot_kind=BootKind.CHAINLOAD)
    context = workshop.context(environment=environment)
    assert await run_all(PLAN, context) == {"node-1": None}
    assert context.facts["node-1"].kernel_command_line == "root=/dev/vda3 from its own loader"


async def test_another_marker_is_not_the_new_system(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].files[MARKER] = "deployment=d-0\ntoken=system-node-1\n"
    failed = await failure(STEP, context)
    assert failed.reason is FailureReason.WRONG_SYSTEM_BOOTED
    assert "not the one that this deployment wrote" in failed.description


async def test_a_node_that_left_already_is_waited_for(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    machines.boot(machines["node-1"])
    assert machines["node-1"].runs == SYSTEM
    boots = machines["node-1"].boots_done
    assert await outcome(STEP, context) is None
    assert machines["node-1"].boots_done == boots
    assert any("has left the deployment environment" in text for _, text in workshop.recorder.remarks)


async def test_a_target_in_use_is_told_and_the_node_reboots(workshop: Workshop, machines: FakeMachines) -> None:
    context = await ready(workshop, machines)
    workshop.shell.answer("umount", exit_status=32, stderr="umount: /mnt/dest: target is busy")
    assert await outcome(STEP, context) is None
    assert any("target is busy" in text for _, text in workshop.recorder.remarks)


async def test_the_ladder_of_the_profile_is_climbed_but_for_the_soft_rung(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].boots = [BLANK, BLANK, BLANK]
    ladder = (RebootLevel.SOFT, RebootLevel.HARD, RebootLevel.VERY_HARD)
    profiles = {"default": snapshots.a_profile(reboot_ladder=ladder)}
    again = workshop.context(profiles=profiles, facts=context.facts)
    await failure(STEP, again)
    assert workshop.power.did == [("node-1", "hard"), ("node-1", "very_hard")]


async def test_without_a_known_host_key_nothing_is_rebooted(workshop: Workshop, machines: FakeMachines) -> None:
    failed = await failure(STEP, workshop.context())
    assert "no host key of the new system" in failed.description
    assert machines["node-1"].boots_done == 0


async def test_one_lost_node_does_not_stop_the_other(workshop: Workshop, machines: FakeMachines) -> None:
    names = ("node-1", "node-2")
    for name in names:
        machines[name].files[IMAGE_KEY] = f"ssh-ed25519 HOST{name} root@image\n"
    context = workshop.context(*names)
    assert await run_all(PLAN[:-1], context) == dict.fromkeys(names)
    machines["node-2"].boots = [BLANK, BLANK]
    found = await outcomes(STEP, context, *names)
    assert found["node-1"] is None
    assert found["node-2"] is not None


async def test_a_system_that_makes_its_host_keys_at_its_first_boot_proves_itself_and_is_not_reset(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].first_boot_key = "ssh-ed25519 FIRST"
    assert await outcome(STEP, context) is None
    facts = context.facts["node-1"]
    assert (facts.host_keys[0], facts.boot_id) == ("ssh-ed25519 FIRST", machines["node-1"].boot_id)
    assert workshop.power.did == []
    assert "they are recorded" in workshop.recorder.remarks[-1][1]


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ("proof=", FailureReason.WRONG_SYSTEM_BOOTED),
        ("token=", FailureReason.WRONG_SYSTEM_BOOTED),
        ("deployment=", FailureReason.WRONG_SYSTEM_BOOTED),
    ],
)
async def test_an_unknown_host_key_is_trusted_only_with_all_of_the_marker(
    workshop: Workshop, machines: FakeMachines, spoilt: str, reason: FailureReason
) -> None:
    context = await ready(workshop, machines)
    machine = machines["node-1"]
    machine.first_boot_key = "ssh-ed25519 FIRST"
    lines = machine.files[MARKER].splitlines()
    machine.files[MARKER] = "".join(f"{spoilt}guess\n" if line.startswith(spoilt) else f"{line}\n" for line in lines)
    failed = await failure(STEP, context)
    assert failed.reason is reason
    assert context.facts["node-1"].host_keys == ("ssh-ed25519 HOST",)


async def test_an_impostor_with_the_token_of_the_boot_entry_is_not_trusted(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machine = machines["node-1"]
    # All that the network carries: the boot entry's token. The marker's secret it does not carry.
    machine.first_boot_key = "ssh-ed25519 IMPOSTOR"
    token = context.facts["node-1"].system_token
    machine.files[MARKER] = f"deployment=d-1\ntoken={token}\nproof={token}\n"
    assert (await failure(STEP, context)).reason is FailureReason.WRONG_SYSTEM_BOOTED
    asked = [ran for ran in workshop.shell.ran if ran.unproved]
    assert asked
    assert all(context.facts["node-1"].marker_secret not in " ".join(ran.arguments) for ran in asked)


async def test_a_system_that_boots_from_another_partition_is_not_trusted_by_its_secret(
    workshop: Workshop, machines: FakeMachines
) -> None:
    context = await ready(workshop, machines)
    machines["node-1"].first_boot_key, machines["node-1"].root = "ssh-ed25519 FIRST", "vda2"
    failed = await failure(STEP, context)
    assert (failed.reason, "and not from /dev/vda3" in failed.description) == (FailureReason.WRONG_SYSTEM_BOOTED, True)
