"""What clients tell of a service that stands still, and of proxies that are for the web."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory, InventoryUnreachable
from tests.tls_site import TlsSite

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

# A service that says nothing is given up after 10 s; a command needs a moment to start.
PATIENCE_SECONDS = 25.0
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def standing_still(site: TlsSite, service: str) -> Iterator[None]:
    """Stops a process for the length of the block: it accepts connections and says nothing."""
    site.processes[service].send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        site.processes[service].send_signal(signal.SIGCONT)


def listed(
    site: TlsSite, directory: Path, *, settings: str = "", variables: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs `kanodes -listnode` as alice."""
    files = site.files("alice")
    lines = [settings, "[inventory]", f'address = "{site.addresses["inventory"]}"', "[tls]"]
    lines += [f'{key} = "{getattr(files, key)}"' for key in ("certificate", "private_key", "ca")]
    config = directory / "client.toml"
    config.write_text("\n".join(lines))
    command = [str(Path(sys.executable).parent / "kanodes"), "-listnode", "-o", "name", "--config", str(config)]
    return subprocess.run(
        command,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_command_does_not_wait_long_for_a_service_that_stands_still(site: TlsSite, tmp_path: Path) -> None:
    with standing_still(site, "inventory"):
        done = listed(site, tmp_path)
    assert done.returncode == 3
    assert f"the inventory service does not answer at {site.addresses['inventory']}" in done.stderr


def test_nor_does_a_call_on_a_connection_that_stood_before(site: TlsSite) -> None:
    request = inventory_service_pb2.GetNodeRequest(name="node-1")
    with site.channel("inventory", "alice") as channel:
        nodes = inventory_service_pb2_grpc.NodeServiceStub(channel)
        nodes.GetNode(request, timeout=PATIENCE_SECONDS)
        with standing_still(site, "inventory"), pytest.raises(grpc.RpcError) as caught:
            nodes.GetNode(request, timeout=PATIENCE_SECONDS)
    # Not the deadline of the call.
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_of_the_environment_is_asked_when_the_settings_say_so_alone(
    site: TlsSite, tmp_path: Path, variable: str
) -> None:
    # no_proxy would hide the difference.
    variables = {variable: NOWHERE, "no_proxy": "", "no_grpc_proxy": ""}
    done = listed(site, tmp_path, variables=variables)
    assert (done.returncode, done.stdout.split()) == (0, ["node-1", "node-2"])
    through = listed(site, tmp_path, settings="http_proxy = true", variables=variables)
    assert through.returncode == 3


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
async def test_nor_does_a_service_ask_one(site: TlsSite, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    for name, value in {variable: NOWHERE, "no_proxy": "", "no_grpc_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    ends = []
    for wanted in (False, True):
        inventory = GrpcInventory(
            site.addresses["inventory"], tls=site.files("deployer"), call_seconds=5, http_proxy=wanted
        )
        try:
            ends.append(str(await inventory.check_rights("node-1", user="alice")))
        except InventoryUnreachable as error:
            ends.append(error.reason)
        finally:
            await inventory.close()
    assert ends == ["{'node-1': True}", InventoryUnreachable.reason]
