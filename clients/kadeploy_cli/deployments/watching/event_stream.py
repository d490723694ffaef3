"""Progress for programs: one JSON document per line on stdout, as it happens.

Each line has a `kind`: "snapshot" and "result" carry the deployment, all others are the deployer's events.
"""

import json
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.deployer.v1 import deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.plain import plain


class EventStreamView:
    """Prints events as lines of JSON; sentences for people go to stderr."""

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Prints the deployment as it stands."""
        show_deployment("snapshot", progress.deployment, sequence=progress.sequence)

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Prints the event."""
        kind = event.WhichOneof("kind") or ""
        line = {
            "kind": kind,
            "deployment": progress.deployment.id,
            "sequence": event.sequence,
            "time": _precise(event.time),
            "node": event.node,
        }
        _print({**line, **(plain(getattr(event, kind)) if kind else {})})

    def tick(self, progress: DeploymentProgress) -> None:
        """Prints nothing: programs have clocks of their own."""

    def say(self, text: str) -> None:
        """Prints a sentence for people."""
        output.say(text)

    def pause(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def show_deployment(kind: str, deployment: deployment_pb2.Deployment, **more: Any) -> None:
    """Prints a deployment as one line."""
    _print({"kind": kind, **more, "deployment": plain(deployment)})


def _precise(moment: Timestamp) -> str:
    """Returns a time to the millisecond: many events share a second."""
    return moment.ToDatetime().isoformat(timespec="milliseconds") + "Z"


def _print(line: dict[str, Any]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False))
