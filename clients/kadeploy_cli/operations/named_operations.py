"""Beginning reboots and power changes: under a name, so that a call whose answer is lost does nothing twice."""

import uuid
from typing import Any

import grpc

from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.terminal.answers import Stopped, reader
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.status import from_rpc_error

ATTEMPTS = 3


def begin(deployer: Deployer, method: Any, request: Any) -> str:
    """Has an operation begun and returns its id. A call without an answer is repeated under the same name.

    Args:
        deployer: who is asked.
        method: RebootNodes or SetPower.
        request: what is asked; gets its request_id here.
    """
    request.request_id, request.detached = str(uuid.uuid4()), True
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _ask(deployer, method, request)
        except Failure as failure:
            if failure.exit_code != ExitCode.UNREACHABLE or attempt == ATTEMPTS:
                raise
    raise AssertionError


def _ask(deployer: Deployer, method: Any, request: Any) -> str:
    with reader() as reading:
        try:
            for answer in reading.answers(method(request, timeout=deployer.deadlines.call)):
                if answer.operation_id:
                    return str(answer.operation_id)
        except grpc.RpcError as error:
            raise deployer.failure(from_rpc_error(error)) from None
        except Stopped:
            raise Failure(
                "stopped before the deployer had answered",
                exit_code=ExitCode.INTERRUPTED,
                advice=f"`ka operation show {request.request_id}` shows whether it had begun in the same moment.",
            ) from None
    raise Failure(
        f"the deployer at {deployer.address} is older than this command: it begins no operation by itself",
        exit_code=ExitCode.REFUSED,
        advice="Ask the administrator to upgrade it.",
    )
