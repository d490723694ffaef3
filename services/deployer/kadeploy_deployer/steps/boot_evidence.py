"""What a failure to boot says besides: the place where the boot broke, and the console in the step's output."""

from kadeploy_deployer.nodes.ladder import Observation
from kadeploy_deployer.ports.boot_watch import BootObserver
from kadeploy_deployer.steps.step import StepContext

CONSOLE_HEADING = "serial console while the node booted:"


async def boot_evidence(
    context: StepContext, node: str, observer: BootObserver, observation: Observation, *, step: str
) -> str:
    """Keeps the console in the step's output and returns the last thing that happened, ready to stand before more."""
    console = observer.console()
    if console:
        await context.recorder.output(node, step, f"{CONSOLE_HEADING}\n{console}")
    diagnosis = await observer.explain(seen=observation.seen, wrong=observation.wrong)
    return f"{diagnosis.description}; " if diagnosis.description else ""
