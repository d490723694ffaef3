"""Creating a deployment, and saying for whom a request in the queue waits."""

import uuid
from queue import Empty, SimpleQueue
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments.watching import interrupts
from kadeploy_cli.deployments.watching.feed import Interrupted
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.status import from_rpc_error

ATTEMPTS = 3
LOOK_SECONDS = 2.0
"""How long nothing is said, and then how often it is looked who waits now."""


def create(session: Session, spec: deployment_pb2.DeploymentSpec) -> deployment_pb2.Deployment:
    """Creates the deployment. A call without an answer is repeated: the request's id keeps it from deploying twice."""
    deployer = session.deployer
    request = deployer_service_pb2.CreateDeploymentRequest(request_id=str(uuid.uuid4()), spec=spec)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _asked(deployer, request)
        except Failure as failure:
            if failure.exit_code != ExitCode.UNREACHABLE or attempt == ATTEMPTS:
                raise
    raise AssertionError


def _asked(deployer: Deployer, request: deployer_service_pb2.CreateDeploymentRequest) -> deployment_pb2.Deployment:
    deadline = deployer.deadlines.call + request.spec.wait_timeout.ToTimedelta().total_seconds()
    items: SimpleQueue[Any] = SimpleQueue()
    last_shown = ""
    with interrupts.caught(items):
        call = deployer.deployments.CreateDeployment.future(request, timeout=deadline)
        call.add_done_callback(items.put)
        while not call.done():
            try:
                item = items.get(timeout=LOOK_SECONDS)
            except Empty:
                last_shown = _tell_who_waits(deployer, last_shown)
                continue
            if isinstance(item, Interrupted):
                call.cancel()
                raise Failure(
                    "stopped before the deployer had answered; its place in the queue is given up",
                    exit_code=ExitCode.INTERRUPTED,
                    advice="`ka deployment list` shows whether it had begun in the same moment.",
                )
    try:
        deployment: deployment_pb2.Deployment = call.result()
    except grpc.RpcError as error:
        raise deployer.failure(from_rpc_error(error)) from None
    return deployment


def _tell_who_waits(deployer: Deployer, last_shown: str) -> str:
    """Says which deployment holds the place, if that was not said before, and returns its id."""
    waiting = deployer_service_pb2.DeploymentFilter(states=[deployment_pb2.DEPLOYMENT_STATE_WAITING])
    request = deployer_service_pb2.ListDeploymentsRequest(filter=waiting, page_size=1)
    try:
        found = deployer.call(deployer.deployments.ListDeployments, request)
    except Failure:
        # What is wrong is told by the call that matters.
        return last_shown
    for one in found.deployments:
        if one.id != last_shown:
            output.say(
                f"in the queue for its nodes; first, deployment {one.id} of {one.owner} waits for its own "
                f"({one.spec.nodes}); one at a time does (Ctrl-C gives up)"
            )
        return one.id
    return last_shown
