"""Everything that a step is given, made of fakes: what a test of a step starts from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.steps.step import Step, StepContext
from tests.fakes import snapshots
from tests.fakes.fake_boot import FakeBoot
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.fake_image_store import FakeImageStore
from tests.fakes.fake_power import FakePower
from tests.fakes.manual_clock import ManualClock
from tests.fakes.scripted_remote_shell import Handler, ScriptedRemoteShell

DEPLOYMENT_KEY = "ssh-ed25519 DEPLOYMENT"
CLUSTER_KEY = "ssh-ed25519 CLUSTER deployer"
TARGET = "/dev/vda3"


class NotingRecorder:
    """Keeps what steps leave. `kept`: facts as they were when they were left."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, NodeFacts]] = []
        self.outputs: list[tuple[str, str, str]] = []
        self.remarks: list[tuple[str, str]] = []
        self.ends: list[tuple[str, Outcome]] = []
        self.steps: list[tuple[str, str, int, int]] = []

    async def facts(self, node: str, facts: NodeFacts) -> None:
        """As in the protocol."""
        self.kept.append((node, facts))

    async def output(self, node: str, step: str, text: str) -> None:
        """As in the protocol."""
        self.outputs.append((node, step, text))

    async def remark(self, node: str, text: str) -> None:
        """As in the protocol."""
        self.remarks.append((node, text))

    async def ended(self, node: str, outcome: Outcome, *, at: float | None = None) -> None:
        """As in the protocol."""
        self.ends.append((node, outcome))

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
        self.recorder = NotingRecorder()
        self.image = self.images.add("file:///images/debian.tar.zst", b"an image", compression="zstd")

    def context(self, *names: str, **changes: Any) -> StepContext:
        """Returns a context for the nodes; `changes` replace its parts."""
        nodes = changes.pop("nodes", None) or snapshots.nodes(*(names or ("node-1",)))
        given: dict[str, Any] = {
            "deployment_id": "d-1",
            "owner": "alice",
            "spec": DeploymentSpec(nodes="node-1", environment_name="debian"),
            "environment": snapshots.an_environment(self.image),
            "nodes": nodes,
            "profiles": {"default": snapshots.a_profile()},
            "facts": {
                name: NodeFacts(deployment_token=f"deploy-{name}", system_token=f"system-{name}") for name in nodes
            },
            "ports": StepPorts(
                shell=self.shell,
                power=self.power,
                boot=self.boot,
                images=self.images,
                broadcast=self.broadcast,
                clock=self.clock,
            ),
            "recorder": self.recorder,
            "deployment_host_keys": (DEPLOYMENT_KEY,),
            "cluster_public_key": CLUSTER_KEY,
        }
        return StepContext(**{**given, **changes})


async def outcome(step: Step, context: StepContext, node: str = "node-1") -> Outcome:
    """Runs a step on one node and returns what became of it."""
    return (await step.run(context, [node]))[node]


async def failure(step: Step, context: StepContext, node: str = "node-1") -> Failure:
    """Runs a step on one node that has to fail."""
    failed = await outcome(step, context, node)
    assert failed is not None
    return failed


async def run_all(plan: Sequence[Step], context: StepContext) -> Mapping[str, Outcome]:
    """Runs the steps that apply, one after the other, on the nodes that are still good; no retries."""
    outcomes: dict[str, Outcome] = dict.fromkeys(context.nodes)
    for step in plan:
        left = [node for node, found in outcomes.items() if found is None]
        if left and step.applies(context):
            outcomes.update(await step.run(context, left))
    return outcomes
