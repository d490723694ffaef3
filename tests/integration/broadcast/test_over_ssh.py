"""The broadcast over the real RemoteShell and a real SSH server: what the two must agree on."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, OpenedFile
from tests.fakes.local_shell import KABROADCAST
from tests.fakes.local_ssh_server import LocalSshServer
from tests.integration.broadcast.conftest import contents, digest_of, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalSshServer]:
    server = LocalSshServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def test_a_node_behind_ssh_receives_the_file_and_nothing_stays_behind(
    server: LocalSshServer, tmp_path: Path, image: Path, tree: Path
) -> None:
    (tmp_path / "out").mkdir()
    shell = SshRemoteShell(server.private_key_path)
    settings = ChainSettings(program=KABROADCAST, node_port=free_port(), run_directory=str(tmp_path))
    sink = BroadcastSink(kind="tar", compression="zstd", target=str(tmp_path / "out"))
    with OpenedFile.open(image) as file:
        async with ChainBroadcast(shell, settings).session(file, digest=digest_of(image), user="alice") as session:
            received = await session.receive(
                BroadcastTarget(host=server.host, sink=sink), timeout=60, on_progress=lambda _done, _total: None
            )
    assert received.digest == digest_of(image)
    assert contents(tmp_path / "out") == contents(tree)
    # The program ended by itself when its input did, and took its number away.
    assert not any(name.startswith("kabroadcast-") for name in os.listdir(tmp_path))  # noqa: PTH208
    await shell.close()
