"""The few shell scripts that steps send, read by a real shell behind a real SSH server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import look
from kadeploy_deployer.steps import deployment_shell
from kadeploy_deployer.steps.deployment_shell import read_file, write_file
from kadeploy_deployer.steps.keys import PUBLIC_KEYS
from kadeploy_deployer.steps.step import StepContext
from tests.fakes.local_ssh_server import LocalSshServer
from tests.fakes.step_workshop import Workshop

pytestmark = pytest.mark.integration


@pytest.fixture
async def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StepContext]:
    """A context whose only node is this machine."""
    server = LocalSshServer(tmp_path)
    await server.start()
    shell = SshRemoteShell(server.private_key_path)
    monkeypatch.setattr(deployment_shell, "deployment_host", lambda _context, _node: server.host)
    made = Workshop(tmp_path).context()
    yield replace(made, ports=replace(made.ports, shell=shell))
    await shell.close()
    await server.stop()


async def test_a_file_is_written_in_one_piece_with_its_mode(context: StepContext, tmp_path: Path) -> None:
    path = tmp_path / "a directory" / "it's $HOME"
    content = "first\n`second`\n"
    for _ in range(2):
        await write_file(context, "node-1", str(path), content, mode="600")
    assert path.read_text() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert await read_file(context, "node-1", str(path)) == content


async def test_a_file_that_cannot_be_written_is_told(context: StepContext, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NodeFailed, match=r"writing .*/file/below on node-1 failed: exit 1: .*"):
        await write_file(context, "node-1", str(tmp_path / "file" / "below"), "", mode="600")
    assert await read_file(context, "node-1", str(tmp_path / "file" / "below")) == ""


async def test_public_host_keys_are_read_wherever_they_are(context: StepContext, tmp_path: Path) -> None:
    arguments = ("sh", "-c", PUBLIC_KEYS, "host-keys", str(tmp_path))
    assert (await deployment_shell.try_command(context, "node-1", arguments)).exit_status != 0
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 A\n")
    (tmp_path / "ssh_host_rsa_key.pub").write_text("ssh-rsa B\n")
    found = await deployment_shell.try_command(context, "node-1", arguments)
    assert found.stdout == "ssh-ed25519 A\nssh-rsa B\n"


async def test_a_linux_tells_what_it_runs(context: StepContext) -> None:
    host = deployment_shell.working_host(context, "node-1")
    running = await look(context.ports.shell, host, device="no-such-disk", timeout=20.0)
    assert running.boot_id == _read("/proc/sys/kernel/random/boot_id")
    assert running.command_line == _read("/proc/cmdline")
    assert ":" in running.root_number
    assert not running.root_is_device


def _read(path: str) -> str:
    return Path(path).read_text().strip()
