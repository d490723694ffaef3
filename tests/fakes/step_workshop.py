"""Everything that a step is given, made of fakes: what a test of a step starts from."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.located_nodes import LocatedNodes
from kadeploy_deployer.domain.outcome import Failure, Outcome, StepFailed
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.engine.batching_boot import BatchingBoot
from kadeploy_deployer.engine.image_session import ImageSession
from kadeploy_deployer.engine.shared_images import SharedImages
from kadeploy_deployer.engine.step_run import run_step
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.steps.step import Step, StepContext
from tests.fakes import snapshots
from tests.fakes.fake_boot import FakeBoot
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.fake_image_store import FakeImageStore
from tests.fakes.fake_power import FakePower
from tests.fakes.manual_clock import ManualClock
from tests.fakes.scripted_remote_shell import Handler, ScriptedRemoteShell
from tests.fakes.watched_threads import WatchedThreads

DEPLOYMENT_KEY = "ssh-ed25519 DEPLOYMENT"
CLUSTER_KEY = "ssh-ed25519 CLUSTER deployer"
TARGET = "/dev/vda3"


class NotingRecorder:
    """Keeps what steps leave."""

    def __init__(self) -> None:
        self.outputs: list[tuple[str, str, str]] = []
        self.remarks: list[tuple[str, str]] = []
        self.steps: list[tuple[str, str, int, int]] = []

    async def output(self, node: str, step: str, text: str) -> None:
        """As in the protocol."""
        self.outputs.append((node, step, text))

    async def remark(self, node: str, text: str) -> None:
        """As in the protocol."""
        self.remarks.append((node, text))

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """As in the protocol."""
        self.steps.append((node, step, done, total))


class Workshop:
    """Fakes of all ports, and the contexts made of them."""

    def __init__(self, directory: Path, handler: Handler | None = None) -> None:
        self.shell = ScriptedRemoteShell(handler)
        self.power = FakePower()
        self.boot = FakeBoot()
        self.images = FakeImageStore(directory)
        self.broadcast = FakeBroadcast()
        self.clock = ManualClock()
        self.readers = WatchedThreads()
        self.clock.busy = lambda: self.readers.pending > 0
        self.recorder = NotingRecorder()
        self.image = self.images.add("file:///images/debian.tar.zst", b"an image", compression=Compression.ZSTD)

    def context(self, *names: str, **changes: Any) -> StepContext:
        """Returns a context for the nodes; `changes` replace its parts."""
        nodes = changes.pop("nodes", None) or snapshots.nodes(*(names or ("node-1",)))
        environment = changes.pop("environment", None) or snapshots.an_environment(self.image)
        images = SharedImages(self.images, readers=self.readers)
        facts = {
            name: NodeFacts(
                deployment_token=f"deploy-{name}", system_token=f"system-{name}", marker_secret=f"marker-{name}"
            )
            for name in nodes
        }
        given: dict[str, Any] = {
            "deployment_id": "d-1",
            "owner": "alice",
            "spec": DeploymentSpec(nodes="node-1", environment_name="debian"),
            "environment": environment,
            "nodes": LocatedNodes(nodes, facts),
            "profiles": {"default": snapshots.a_profile()},
            "facts": facts,
            "ports": StepPorts(
                shell=self.shell,
                power=self.power,
                boot=BatchingBoot(self.boot),
                images=images,
                broadcast=self.broadcast,
                clock=self.clock,
            ),
            "windows": RebootWindows(self.clock),
            "image": ImageSession(broadcast=self.broadcast, images=images, image=environment.image, user="alice"),
            "archives": images,
            "recorder": self.recorder,
            "deployment_host_keys": (DEPLOYMENT_KEY,),
            "cluster_public_key": CLUSTER_KEY,
        }
        return StepContext(**{**given, **changes})


def learn(context: StepContext, node: str, **facts: Any) -> None:
    """Puts facts of a node into a context that a workshop made."""
    known = cast("dict[str, NodeFacts]", context.facts)
    known[node] = replace(known[node], **facts)


async def outcome(step: Step, context: StepContext, node: str = "node-1") -> Outcome:
    """Runs a step on one node as the engine does, keeps what it learned, and returns what became of it."""
    try:
        facts = await run_step(step, context, node)
    except StepFailed as error:
        return error.failure
    cast("dict[str, NodeFacts]", context.facts)[node] = facts
    return None


async def outcomes(step: Step, context: StepContext, *names: str) -> Mapping[str, Outcome]:
    """Runs a step on all nodes of a context at once, or on those that are named."""
    nodes = names or tuple(context.nodes)
    found = await asyncio.gather(*(outcome(step, context, node) for node in nodes))
    return dict(zip(nodes, found, strict=True))


async def failure(step: Step, context: StepContext, node: str = "node-1") -> Failure:
    """Runs a step on one node that has to fail."""
    failed = await outcome(step, context, node)
    assert failed is not None
    return failed


async def run_all(plan: Sequence[Step], context: StepContext) -> Mapping[str, Outcome]:
    """Lets each node walk the plan, as far as it gets; no retries."""

    async def walk(node: str) -> Outcome:
        for step in plan:
            if step.applies(context, node) and (failed := await outcome(step, context, node)):
                return failed
        return None

    found = await asyncio.gather(*(walk(node) for node in context.nodes))
    return dict(zip(context.nodes, found, strict=True))
