"""Keys, host keys and the marker."""

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.nodes.host_key import new_host_key, public_keys
from kadeploy_deployer.steps.keys import KEYS as STEP
from kadeploy_deployer.steps.keys import merged_keys
from tests.fakes.fake_machines import DEPLOYMENT, IMAGE_KEY, FakeMachines
from tests.fakes.step_workshop import CLUSTER_KEY, Workshop, failure, outcome

AUTHORIZED = "/mnt/dest/root/.ssh/authorized_keys"
SPEC = DeploymentSpec(
    nodes="node-1", environment_name="debian", authorized_keys=("ssh-ed25519 ALICE  alice@desk", "", CLUSTER_KEY)
)


@pytest.fixture
def files(machines: FakeMachines) -> dict[str, str]:
    machines["node-1"].runs = DEPLOYMENT
    machines["node-1"].files["/mnt/dest/etc/ssh/sshd_config"] = ""
    return machines["node-1"].files


async def test_the_deployer_and_the_user_may_log_in(workshop: Workshop, files: dict[str, str]) -> None:
    files[AUTHORIZED] = "ssh-rsa IMAGE somebody\n"
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None
    assert files[AUTHORIZED] == f"ssh-rsa IMAGE somebody\n{CLUSTER_KEY}\nssh-ed25519 ALICE alice@desk\n"
    write = next(ran for ran in workshop.shell.ran if AUTHORIZED in ran.arguments and "write-file" in ran.arguments)
    assert write.arguments[-1] == "600"
    assert ("chmod", "700", "/mnt/dest/root/.ssh") in workshop.shell.commands("node-1")


async def test_a_second_run_changes_nothing(workshop: Workshop, files: dict[str, str]) -> None:
    context = workshop.context(spec=SPEC)
    assert await outcome(STEP, context) is None
    before, keys = dict(files), context.facts["node-1"].host_keys
    assert await outcome(STEP, context) is None
    assert (files, context.facts["node-1"].host_keys) == (before, keys)


async def test_the_marker_names_deployment_and_token(workshop: Workshop, files: dict[str, str]) -> None:
    assert await outcome(STEP, workshop.context()) is None
    assert files["/mnt/dest/etc/kadeploy-deployment"] == "deployment=d-1\ntoken=system-node-1\nproof=marker-node-1\n"
    assert workshop.shell.commands("node-1")[-1] == ("sync",)


async def test_the_image_s_host_keys_are_learned(workshop: Workshop, files: dict[str, str]) -> None:
    files[IMAGE_KEY] = "ssh-ed25519 HOST root@image\n"
    files["/mnt/dest/etc/ssh/ssh_host_rsa_key.pub"] = "ssh-rsa RSA\n"
    context = workshop.context()
    assert await outcome(STEP, context) is None
    keys = context.facts["node-1"].host_keys
    assert {key.split()[0] for key in keys} == {"ssh-ed25519", "ssh-rsa"}


async def test_a_system_without_a_host_key_gets_one(workshop: Workshop, files: dict[str, str]) -> None:
    context = workshop.context()
    assert await outcome(STEP, context) is None
    assert files["/mnt/dest/etc/ssh/ssh_host_ed25519_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    [key] = context.facts["node-1"].host_keys
    assert files[IMAGE_KEY] == f"{key} root@node-1\n"
    modes = {ran.arguments[4]: ran.arguments[5] for ran in workshop.shell.ran if "write-file" in ran.arguments}
    assert modes["/mnt/dest/etc/ssh/ssh_host_ed25519_key"] == "600"


async def test_a_dropbear_key_is_asked_for_its_public_half(workshop: Workshop, files: dict[str, str]) -> None:
    files.clear()
    files["/mnt/dest/etc/dropbear/dropbear_ed25519_host_key"] = "Public key portion is:\nssh-ed25519 BEAR root@x\n"
    context = workshop.context()
    assert await outcome(STEP, context) is None
    assert context.facts["node-1"].host_keys == ("ssh-ed25519 BEAR",)


async def test_a_dropbear_without_a_key_gets_one(workshop: Workshop, files: dict[str, str]) -> None:
    files.clear()
    files["/mnt/dest/etc/dropbear/readme"] = ""
    workshop.shell.answer(
        "dropbearkey", stdout="Public key portion is:\nssh-ed25519 NEW root@x\nFingerprint: SHA256:x\n"
    )
    context = workshop.context()
    assert await outcome(STEP, context) is None
    assert context.facts["node-1"].host_keys == ("ssh-ed25519 NEW",)


async def test_a_system_without_any_ssh_server_is_told(workshop: Workshop, files: dict[str, str]) -> None:
    files.clear()
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.POSTINSTALL_FAILED
    assert "neither /etc/ssh nor /etc/dropbear" in failed.description


async def test_a_full_disk_is_told(workshop: Workshop, files: dict[str, str]) -> None:
    assert files
    workshop.shell.answer("sh", "-c", exit_status=1, stderr="cat: write error: No space left on device", times=1)
    failed = await failure(STEP, workshop.context())
    assert failed.description == (
        f"writing {AUTHORIZED} on node-1 failed: exit 1: cat: write error: No space left on device"
    )


def test_keys_are_merged_without_doubles() -> None:
    assert merged_keys("", ["a b"]) == "a b\n"
    assert merged_keys("a b\n\n# note", ["a  b", "c d", "c d", " "]) == "a b\n# note\nc d\n"
    limited = 'command="echo  a" ssh-rsa AAAA'
    assert merged_keys("", [f" {limited} ", limited]) == f"{limited}\n"


def test_a_new_host_key_is_a_pair() -> None:
    first, second = new_host_key(), new_host_key()
    assert first.public != second.public
    assert public_keys(f"{first.public} comment\n{first.public}\nrubbish\n\n{second.public}") == (
        first.public,
        second.public,
    )
