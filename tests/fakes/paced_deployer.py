"""The real deployer, whose nodes are simulated: `python -m tests.fakes.paced_deployer serve --config FILE`.

Its steps have the names and states of the real ones. What they do stands in `pace.json` beside the settings, read anew
by each: `seconds` that a step takes on a node (about), `failures` by node as [step, sentence], and `held`, the nodes
that stay in the step `broadcast` as long as they stand there.
"""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kadeploy_deployer import __main__, bootstrap
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import Step, StepContext
from tests.fakes.deployment_world import AnyImages, leave_bootable

PACE = "pace.json"
PARTS = 5
LOOK_SECONDS = 0.1


class PacedStep:
    """Takes its time on each node and says how far it is; fails where the pace says so."""

    retries = 0
    timeout = 60.0

    def __init__(self, step: Step, pace: Path) -> None:
        self.name = step.name
        self.partition_state = step.partition_state
        self.failure_reason = step.failure_reason
        self._pace = pace

    def applies(self, context: StepContext, node: str) -> bool:
        """As in the protocol."""
        return True

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        return [f"{self.name.replace('_', ' ')} on {node}"]

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._pace.read_text())
        return found

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        pace = self._read()
        chance = random.Random(f"{node} {self.name}")  # noqa: S311 - no secret
        seconds = pace["seconds"] * (0.5 + chance.random()) * (3 if self.name == "broadcast" else 1)
        size = context.environment.image.size_bytes
        for part in range(PARTS):
            if self.name == "broadcast":
                context.recorder.progress(node, self.name, size * (part + 1) // PARTS, size)
            await asyncio.sleep(seconds / PARTS)
        while self.name == "broadcast" and node in self._read().get("held", ()):  # noqa: ASYNC110 - a file is polled
            await asyncio.sleep(LOOK_SECONDS)
        step, sentence = pace.get("failures", {}).get(node, ("", ""))
        if step == self.name:
            await context.recorder.output(node, self.name, f"{self.name} {node}\n{sentence}\n")
            raise StepFailed(self.failure_reason, sentence, retriable=False)
        await context.recorder.output(node, self.name, f"{self.name} {node}: done\n")
        return context.facts[node]


def main() -> int:
    """Runs the deployer's command line with these steps."""
    directory = Path(sys.argv[sys.argv.index("--config") + 1]).parent
    parts: Any = bootstrap
    parts.PLAN = tuple(PacedStep(step, directory / PACE) for step in PLAN)
    parts.image_store = lambda *_: AnyImages()
    parts.leave_bootable = leave_bootable
    return __main__.main()


if __name__ == "__main__":
    sys.exit(main())
