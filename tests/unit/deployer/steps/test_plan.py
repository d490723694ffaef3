"""The whole plan on machines that boot what they are told."""

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.steps.plan import PLAN
from tests.fakes import snapshots
from tests.fakes.fake_machines import IMAGE_KEY, SYSTEM, FakeMachines, token_of
from tests.fakes.step_workshop import CLUSTER_KEY, TARGET, Workshop, learn, run_all

SPEC = DeploymentSpec(nodes="node-[1-3]", environment_name="debian", write_partition_table=True)
NAMES = ("node-1", "node-2", "node-3")


@pytest.fixture(autouse=True)
def image_with_a_host_key(machines: FakeMachines) -> None:
    for name in NAMES:
        machines[name].files[IMAGE_KEY] = f"ssh-ed25519 HOST{name[-1]} root@image\n"


def test_steps_have_different_names_and_sensible_bounds() -> None:
    assert len({step.name for step in PLAN}) == len(PLAN)
    assert all(step.timeout > 0 and step.retries >= 0 for step in PLAN)


async def test_three_blank_machines_end_in_the_new_system(workshop: Workshop, machines: FakeMachines) -> None:
    for name in NAMES:
        workshop.power.on[name] = False
        machines[name].powered = False
    context = workshop.context(*NAMES, spec=SPEC)

    found = await run_all(PLAN, context)

    assert found == dict.fromkeys(NAMES)
    for name in NAMES:
        facts = context.facts[name]
        assert machines[name].runs == SYSTEM
        assert (facts.deployment_boot_id, facts.boot_id) == (f"boot-{name}-1", f"boot-{name}-2")
        assert facts.root_device == TARGET
        assert facts.host_keys == (f"ssh-ed25519 HOST{name[-1]}",)
        assert facts.image_digest == workshop.image.digest
        assert facts.kernel_command_line == f"root=/dev/vda3 console=ttyS0 rw kadeploy.token=system-{name}"
        assert machines[name].files["/mnt/dest/root/.ssh/authorized_keys"] == f"{CLUSTER_KEY}\n"


async def test_the_plan_may_run_a_second_time(workshop: Workshop) -> None:
    context = workshop.context(*NAMES, spec=SPEC)
    assert await run_all(PLAN, context) == dict.fromkeys(NAMES)
    assert await run_all(PLAN, context) == dict.fromkeys(NAMES)


async def test_a_machine_that_never_comes_does_not_stop_the_others(workshop: Workshop, machines: FakeMachines) -> None:
    machines["node-2"].boot_seconds = 1e9
    found = await run_all(PLAN, workshop.context(*NAMES, spec=SPEC))
    assert [name for name in NAMES if found[name] is None] == ["node-1", "node-3"]
    failed = found["node-2"]
    assert failed is not None
    assert failed.reason is FailureReason.NOT_THERE_ON_FIRST_CHECK


async def test_machines_of_another_deployment_are_rebooted(workshop: Workshop, machines: FakeMachines) -> None:
    earlier = workshop.context(*NAMES, spec=SPEC)
    assert await run_all(PLAN, earlier) == dict.fromkeys(NAMES)
    later = workshop.context(*NAMES, spec=SPEC, deployment_id="d-2")
    for name in NAMES:
        learn(later, name, deployment_token=f"later-{name}")
        learn(later, name, system_token=f"later-system-{name}")
        learn(later, name, previous_host_keys=earlier.facts[name].host_keys)
    assert await run_all(PLAN, later) == dict.fromkeys(NAMES)
    assert [token_of(machines[name]) for name in NAMES] == [f"later-system-{name}" for name in NAMES]
    assert [action for action in workshop.power.did if action[1] != "soft"] == [(name, "hard") for name in NAMES]


def test_every_step_says_what_it_would_do(workshop: Workshop) -> None:
    context = workshop.context(spec=SPEC)
    sentences = {step.name: list(step.describe(context, "node-1")) for step in PLAN if step.applies(context, "node-1")}
    assert all(sentences.values())
    assert sentences["format"] == [
        "check that /dev/vda3 exists",
        "run mkfs.ext4 -F -q /dev/vda3",
        "run mkswap /dev/vda1",
    ]
    assert sentences["mount"] == ["run mount -t ext4 /dev/vda3 /mnt/dest"]
    assert "erase everything on /dev/vda" in sentences["partition"]
    assert workshop.shell.ran == []


def test_steps_that_are_not_needed_do_not_apply(workshop: Workshop) -> None:
    context = workshop.context()
    names = [step.name for step in PLAN if step.applies(context, "node-1")]
    assert names == [
        "boot_deployment_environment",
        "find_disk",
        "format",
        "mount",
        "broadcast",
        "keys",
        "boot_files",
        "boot_new_system",
    ]
    raw = workshop.context(environment=snapshots.an_environment(workshop.image, kind=ImageKind.DD))
    assert [step.name for step in PLAN if step.applies(raw, "node-1")][2:5] == ["format", "broadcast", "mount_image"]
