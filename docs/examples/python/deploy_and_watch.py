#!/usr/bin/env python3
"""Deploys an environment on nodes and says what happens; the exit status is 1 if a node failed.

deploy_and_watch.py NODES ENVIRONMENT [DISK PARTITION]

Needs kadeploy-api and the client.toml of the user on whose behalf it runs.
"""

import sys

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_api import Kadeploy, RemoteError, SpecOptions


def main(nodes: str, environment: str, device: str = "", partition: str = "0") -> int:
    """Returns the exit status."""
    target: SpecOptions = {"device": device, "partition": int(partition)} if device else {}
    with Kadeploy.from_settings() as kadeploy:
        try:
            deployment = kadeploy.deploy(nodes, environment, **target)
        except RemoteError as error:
            sys.stderr.write(f"{error.reason}: {error.message}\n")
            return 2
        # A lost connection or a restart of the deployer does not end the loop: it goes on after the last event.
        for update in kadeploy.watch(deployment.id):
            event = update.response.event
            if event.WhichOneof("kind") == "partition_state_changed":
                state = deployment_pb2.PartitionState.Name(event.partition_state_changed.state)
                sys.stdout.write(f"{event.node} {state} {event.partition_state_changed.description}\n")
        ended = kadeploy.deployment(deployment.id)
        sys.stdout.write(f"{ended.description}\n")
        return 0 if ended.state == deployment_pb2.DEPLOYMENT_STATE_TERMINATED else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
