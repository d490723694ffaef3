"""The Python interface against real services: deploy, wait, watch, and connections that are lost meanwhile."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_api import ClientSettings, Kadeploy, RemoteError, UnusableSettings, read_client_settings
from tests.fakes.cut_relay import CutRelay
from tests.web_site import WebSite

pytestmark = pytest.mark.integration
TERMINATED = deployment_pb2.DEPLOYMENT_STATE_TERMINATED


@pytest.fixture
def alice(site: WebSite) -> Iterator[Kadeploy]:
    with site.client("alice") as client:
        yield client


def test_a_deployment_is_created_watched_and_waited_for(site: WebSite, alice: Kadeploy) -> None:
    site.pace(seconds=0.02, failures={"node-2": ["format", "no disk"]})
    made = alice.deploy("node-[1-3]", "debian", device="sda", partition=3)
    watch = alice.watch(made.id)
    kinds = [update.response.WhichOneof("kind") for update in watch]
    assert kinds[0] == "snapshot"
    assert watch.view.finished
    ended = alice.wait(made.id, seconds=10)
    assert [(node.node, node.state) for node in ended.nodes] == [
        (node.node, node.state) for node in watch.view.deployment.nodes
    ]
    assert [node.node for node in ended.nodes if node.reason] == ["node-2"]
    assert "no disk" in alice.step_outputs(made.id, "node-2", "format")[0].text


def test_a_watch_goes_on_where_it_was_when_its_connection_is_lost(site: WebSite) -> None:
    site.pace(seconds=0.05, held=["node-4"])
    host, port = site.site.address("deployer")
    with CutRelay(host, port) as relay:
        settings = dataclasses.replace(site.client("alice").settings, deployer_address=f"127.0.0.1:{relay.port}")
        with Kadeploy(settings) as client:
            made = client.deploy("node-[4-5]", "debian", device="sda", partition=3)
            sequences: list[int] = []
            snapshots = 0
            for update in client.watch(made.id):
                kind = update.response.WhichOneof("kind")
                snapshots += kind == "snapshot"
                if kind == "event" and update.response.event.WhichOneof("kind") != "step_progressed":
                    sequences.append(update.response.event.sequence)
                node = update.view.node("node-4")
                if relay.cuts < 3 and node is not None and node.step == "broadcast":
                    relay.cut()
                    site.pace(seconds=0.05, held=["node-4"] if relay.cuts < 3 else [])
            assert relay.cuts == 3
            assert snapshots == 1
            assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
            assert client.deployment(made.id).state == TERMINATED


def test_waiting_has_a_bound_and_a_watch_can_be_closed(site: WebSite, alice: Kadeploy) -> None:
    site.pace(seconds=0.01, held=["node-6"])
    made = alice.deploy("node-6", "debian", device="sda", partition=3)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="has not ended within 1 s"):
        alice.wait(made.id, seconds=1)
    assert time.monotonic() - began < 5
    watch = alice.watch(made.id)
    threading.Timer(0.5, watch.close).start()
    assert not [update for update in watch if update.view.finished]
    cancelled = alice.cancel(made.id, "enough")
    assert cancelled.id == made.id
    assert "cancelled" in alice.wait(made.id, seconds=20).description


def test_the_same_request_id_is_the_same_deployment(site: WebSite, alice: Kadeploy) -> None:
    site.pace(seconds=0.0)
    spec = deployment_pb2.DeploymentSpec(nodes="node-7", environment_name="debian", device="sda", partition=3)
    name = "5bb95a6b-6d0b-4a3c-b1f9-27a1c9f9b6a1"
    first, again = alice.create(spec, request_id=name), alice.create(spec, request_id=name)
    assert first.id == again.id
    alice.wait(first.id, seconds=20)
    assert next(iter(alice.deployments("node-7"))).id == first.id


def test_what_the_site_is_made_of_can_be_read_and_a_refusal_has_its_reason(site: WebSite, alice: Kadeploy) -> None:
    assert [node.name for node in alice.nodes("node-[1-2]")] == ["node-1", "node-2"]
    assert {one.name for one in alice.environments()} == {"debian", "rocky"}
    assert [one.name for one in alice.clusters()] == ["default"]
    plan = alice.plan(
        deployment_pb2.DeploymentSpec(nodes="node-1", environment_name="debian", device="sda", partition=3)
    )
    assert plan.nodes[0].included
    with pytest.raises(RemoteError) as refused, site.client("bob") as bob:
        bob.deploy("node-1", "debian", device="sda", partition=3)
    assert refused.value.reason == "RIGHT_MISSING"
    with pytest.raises(RemoteError) as missing:
        list(alice.watch("nothing"))
    assert missing.value.reason == "DEPLOYMENT_NOT_FOUND"


def test_a_service_that_never_answers_is_given_up_after_the_bound() -> None:
    settings = ClientSettings(
        inventory_address="unix:/nowhere/i", deployer_address="unix:/nowhere/d", user="alice", reconnect_seconds=0.5
    )
    with Kadeploy(settings) as client:
        began = time.monotonic()
        with pytest.raises(RemoteError) as away:
            list(client.watch("d"))
        assert away.value.code is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - began < 10


def test_settings_are_those_of_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "client.toml"
    monkeypatch.setenv("KADEPLOY_CONFIG", str(file))
    file.write_text(
        'user = "alice"\n[inventory]\naddress = "unix:/i"\n'
        '[deployer]\naddress = "unix:/d"\n[bootctl]\naddress = "unix:/b"\n'
    )
    assert read_client_settings().user == "alice"
    sample = Path(__file__).parents[3] / "clients" / "client.toml.sample"
    assert read_client_settings(sample).tls is not None
    file.write_text("[inventory]\n")
    with pytest.raises(UnusableSettings, match=r"inventory\.address is missing"):
        read_client_settings()
    monkeypatch.delenv("KADEPLOY_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "kadeploy").mkdir()
    file.rename(tmp_path / "kadeploy" / "client.toml")
    with pytest.raises(UnusableSettings, match=r"client\.toml"):
        read_client_settings()
