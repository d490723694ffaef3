"""The seed for cloud-init: what is written where, and when it is refused."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.feasibility import impossible
from kadeploy_deployer.domain.snapshot import CloudInitSeed, DeploymentSpec
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.steps.cloud_init import CLOUD_INIT as STEP
from kadeploy_deployer.steps.cloud_init import seed_files
from tests.fakes import snapshots
from tests.fakes.step_workshop import Workshop, failure, outcome

SEED = CloudInitSeed(user_data="#cloud-config\nhostname: {node_short}\nx: {a: b, ip: {node_ip}}\n")
SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", cloud_init=SEED)
PLACE = "/mnt/dest/var/lib/cloud/seed/nocloud"


def written(workshop: Workshop) -> dict[str, tuple[str, str]]:
    """Returns text and mode of the files that were written."""
    return {
        ran.arguments[4]: (ran.stdin.decode(), ran.arguments[5])
        for ran in workshop.shell.ran
        if ran.arguments[3:4] == ("write-file",)
    }


async def test_a_seed_is_written_with_the_names_of_the_node(workshop: Workshop) -> None:
    context = workshop.context(spec=SPEC)
    assert STEP.applies(context, "node-1")
    assert await outcome(STEP, context) is None
    files = written(workshop)
    text = "#cloud-config\nhostname: node-1\nx: {a: b, ip: 10.0.0.1}\n"
    assert files[f"{PLACE}/user-data"] == (text, "600")
    assert files[f"{PLACE}/meta-data"] == ("instance-id: d-1-node-1\nlocal-hostname: node-1\n", "600")
    assert f"{PLACE}/network-config" not in files
    assert "NoCloud" in files["/mnt/dest/etc/cloud/cloud.cfg.d/90_kadeploy.cfg"][0]
    commands = workshop.shell.commands("node-1")
    assert ("rm", "-f", "/mnt/dest/var/lib/cloud/instance") in commands


async def test_a_system_without_cloud_init_fails(workshop: Workshop) -> None:
    workshop.shell.answer("sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', exit_status=1)
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.reason is FailureReason.POSTINSTALL_FAILED
    assert "has no cloud-init" in failed.description


def test_network_and_meta_data_are_those_of_the_request(workshop: Workshop) -> None:
    seed = CloudInitSeed(meta_data="instance-id: mine\n", network_config="version: 2\n")
    files = seed_files(workshop.context(spec=replace(SPEC, cloud_init=seed)), "node-1")
    assert files["meta-data"] == "instance-id: mine\n"
    assert files["network-config"] == "version: 2\n"
    assert files["user-data"].startswith("#cloud-config")


def test_without_a_seed_nothing_is_done(workshop: Workshop) -> None:
    assert not STEP.applies(workshop.context(), "node-1")


@pytest.mark.parametrize("file_system", ["ntfs", "ufs"])
def test_a_seed_for_a_system_that_cannot_be_read_is_refused(workshop: Workshop, file_system: str) -> None:
    environment = snapshots.an_environment(workshop.image, kind=ImageKind.DD, file_system=file_system)
    found = impossible(replace(SPEC, boot_method=BootMethod.CHAINLOAD), environment)
    assert found is not None
    assert found.field == "cloud_init"
