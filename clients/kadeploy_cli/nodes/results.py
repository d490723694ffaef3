"""What became of each node in a call on many: as a table, as lists in files, and as an exit status."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import status_pb2

from kadeploy_cli.connection.connect import Deployer, remote_failure
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import deploy
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.answers import Reader, Stopped, reader
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.status import from_rpc_error, from_status


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOutcome:
    """What became of a node. `failure` None: what was asked for."""

    node: str
    reason: str = ""
    failure: Failure | None = None

    @property
    def sentence(self) -> str:
        """What became of the node, its name in front once."""
        text = self.failure.message if self.failure else "ok"
        return text if text.startswith(f"{self.node} ") else f"{self.node}: {text}"

    @property
    def data(self) -> dict[str, Any]:
        """The outcome for programs."""
        error = self.failure.message if self.failure else ""
        return {"node": self.node, "succeeded": self.failure is None, "reason": self.reason, "error": error}


def outcome(node: str, status: status_pb2.Status) -> NodeOutcome:
    """Returns what a status says of a node."""
    if not status.code:
        return NodeOutcome(node=node)
    error = from_status(status)
    return NodeOutcome(node=node, reason=error.reason, failure=remote_failure(error))


def exit_code(outcomes: Sequence[NodeOutcome]) -> ExitCode:
    """Returns 0 if all is well, 6 if some of it is, and else what the nodes' failures have in common."""
    failures = [each.failure for each in outcomes if each.failure is not None]
    if not failures:
        return ExitCode.OK
    if len(failures) < len(outcomes):
        return ExitCode.PARTIAL
    codes = {failure.exit_code for failure in failures}
    return ExitCode(codes.pop()) if len(codes) == 1 else ExitCode.FAILED


@contextlib.contextmanager
def streamed(deployer: Deployer) -> Iterator[Reader]:
    """Gives what reads the answers of calls, and turns their errors into failures.

    Ctrl-C ends a call, and with it the work on the nodes.
    """
    try:
        with reader() as reading:
            yield reading
    except grpc.RpcError as error:
        raise deployer.failure(from_rpc_error(error)) from None
    except Stopped:
        raise Failure("stopped from the keyboard", exit_code=ExitCode.INTERRUPTED) from None


def show(
    session: Session, outcomes: Sequence[NodeOutcome], *, good_file: str | None = None, bad_file: str | None = None
) -> ExitCode:
    """Prints the outcomes in the order of their nodes, writes the lists, and returns the exit status."""
    ordered = output.by_name(outcomes, lambda each: each.node)
    output.show(
        session.form,
        columns=("NODE", "RESULT"),
        rows=[(each.node, each.failure.message if each.failure else "ok") for each in ordered],
        data=[each.data for each in ordered],
        names=[each.node for each in ordered if each.failure is None],
    )
    for name, good in ((good_file, True), (bad_file, False)):
        if name:
            deploy.write_names(name, [each.node for each in ordered if (each.failure is None) is good])
    advice = next((each.failure.advice for each in ordered if each.failure and each.failure.advice), "")
    if advice:
        output.say(advice)
    return exit_code(ordered)
