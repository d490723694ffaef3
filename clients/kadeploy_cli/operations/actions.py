"""Operations as the deployer remembers them: lists, details, following one, and stopping one."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2, operation_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import deploy
from kadeploy_cli.deployments.watching.follow import Detached, Follower
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.nodes.results import NodeOutcome, outcome
from kadeploy_cli.operations.operation_subject import OperationSubject, as_deployment
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, word

COLUMNS = ("OPERATION", "STATE", "OWNER", "ACTION", "NODES", "CREATED", "ENDED", "DESCRIPTION")
LEAST = ("ENDED", "DESCRIPTION", "OWNER", "CREATED")
"""Columns that are left out first where there is no room."""
STATES = {
    word(operation_pb2.OperationState.DESCRIPTOR, number): number
    for number in operation_pb2.OperationState.values()
    if number
}
KINDS = {
    word(operation_pb2.OperationKind.DESCRIPTOR, number): number
    for number in operation_pb2.OperationKind.values()
    if number
}


def show_list(
    session: Session, *, owner: str, states: tuple[str, ...], kinds: tuple[str, ...], nodes: str, limit: int
) -> ExitCode:
    """Prints operations, the latest first."""
    deployer = session.deployer
    wanted = deployer_service_pb2.OperationFilter(
        owner=owner, states=[STATES[state] for state in states], kinds=[KINDS[kind] for kind in kinds], nodes=nodes
    )
    request = deployer_service_pb2.ListOperationsRequest(filter=wanted)
    listed: Iterator[operation_pb2.Operation] = deployer.pages(
        deployer.control.ListOperations, request, lambda page: page.operations
    )
    found = output.first(listed, limit)
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(operation) for operation in found],
        data=[plain(operation) for operation in found],
        names=[operation.id for operation in found],
        least=LEAST,
    )
    return ExitCode.OK


def show_one(session: Session, name: str) -> ExitCode:
    """Prints everything that is known of one operation."""
    operation = get(session, name)
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(operation), names=[operation.id])
        return ExitCode.OK
    output.show_fields(
        [
            ("operation", operation.id),
            ("state", _state(operation)),
            ("description", operation.description),
            ("action", operation.action),
            ("owner", operation.owner),
            ("nodes", operation.nodes),
            ("created", output.local_time(operation.create_time)),
            ("ended", output.local_time(operation.end_time)),
            ("driven by", operation.driver),
        ]
    )
    for node in operation.node_states:
        output.show_text("", "")
        output.show_fields(
            [
                ("node", node.node),
                ("  state", word(operation_pb2.OperationNodeState.DESCRIPTOR, node.state).replace("_", " ")),
                ("  step", step_words(node.step)),
                ("  reason", word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason)),
                ("  description", node.description),
                ("  step began", output.local_time(node.step_start_time)),
                ("  ended", output.local_time(node.end_time)),
            ]
        )
    return ExitCode.OK


def cancel(session: Session, name: str, reason: str) -> ExitCode:
    """Asks an operation to stop."""
    request = deployer_service_pb2.CancelOperationRequest(id=name, reason=reason)
    operation = session.deployer.call(session.deployer.control.CancelOperation, request)
    output.say(f"operation {operation.id} was asked to stop; `ka operation watch {operation.id}` shows how it ends")
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An operation that was followed to its end. `cancelled`: by an interrupt of its user."""

    outcomes: list[NodeOutcome]
    cancelled: bool


def watch(session: Session, name: str) -> ExitCode:
    """Follows an operation that is there already; an interrupt ends the watch and not the operation."""
    followed = follow(session, get(session, name), owns=False)
    return ExitCode.INTERRUPTED if followed is None else node_results.show(session, followed.outcomes)


def follow(session: Session, operation: operation_pb2.Operation, *, owns: bool) -> Followed | None:
    """Follows an operation to its end; None: the user left before. `owns`: whether an interrupt may cancel it."""
    subject = OperationSubject(deployer=session.deployer, id=operation.id)
    deployment = as_deployment(operation)
    view = deploy.chosen_view(session, deployment)
    follower = Follower(session.deployer, deployment, view=view, owns=owns, subject=subject, clock=time.monotonic)
    try:
        follower.run()
    except Detached:
        output.say(f"the operation goes on; `ka operation watch {operation.id}` follows it again")
        return None
    outcomes = [outcome(node.node, node.status) for node in subject.get_operation().node_states]
    return Followed(outcomes=outcomes, cancelled=follower.cancelled)


def get(session: Session, name: str) -> operation_pb2.Operation:
    """Returns one operation with its nodes, by its id or by the name that its caller gave it."""
    request = deployer_service_pb2.GetOperationRequest(id=name)
    return session.deployer.call(session.deployer.control.GetOperation, request)


def _row(operation: operation_pb2.Operation) -> tuple[str, ...]:
    return (
        operation.id,
        _state(operation),
        operation.owner,
        operation.action,
        operation.nodes,
        output.local_time(operation.create_time),
        output.local_time(operation.end_time),
        operation.description,
    )


def _state(operation: operation_pb2.Operation) -> str:
    return word(operation_pb2.OperationState.DESCRIPTOR, operation.state)
