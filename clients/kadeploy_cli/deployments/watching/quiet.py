"""No progress at all: for who wants the result alone."""

from kadeploy.deployer.v1 import deployment_event_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.terminal import output


class QuietView:
    """Shows nothing of what happens, but says what the user has to know: that a watch broke, and goes on."""

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Shows nothing."""

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Shows nothing."""

    def tick(self, progress: DeploymentProgress) -> None:
        """Shows nothing."""

    def say(self, text: str) -> None:
        """Prints a sentence."""
        output.say(text)

    def pause(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""
