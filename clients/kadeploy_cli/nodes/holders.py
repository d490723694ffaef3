"""Who holds a node, since when, and what is being done to it."""

from collections.abc import Mapping
from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.plain import timestamp

NodeState = deployer_service_pb2.NodeState


def fetch_holders(session: Session, wanted: str) -> Mapping[str, NodeState]:
    """Returns the nodes of a set that are held, of all nodes for the empty one. Raises Failure."""
    deployer = session.deployer
    request = deployer_service_pb2.ListNodeStatesRequest(nodes=wanted)
    rows = deployer.pages(deployer.states.ListNodeStates, request, lambda page: page.nodes)
    return {row.node: row for row in rows if row.held_by}


def sentence(state: NodeState | None) -> str:
    """Returns who holds a node, for people: "op-reboot-1 of alice since 14:03:11, reboot since 14:03:15"."""
    if state is None:
        return "nobody"
    text = f"{state.held_by} of {state.held_by_user} since {output.local_time(state.lock_time)}"
    if not state.step:
        return text
    return f"{text}, {step_words(state.step)} since {output.local_time(state.step_start_time)}"


def short(state: NodeState | None) -> str:
    """Returns who holds a node and what is done to it, for a column."""
    if state is None:
        return "-"
    return f"{state.held_by} ({step_words(state.step)})" if state.step else state.held_by


def entry(state: NodeState | None) -> dict[str, Any]:
    """Returns who holds a node, for programs."""
    state = state or NodeState()
    return {
        "held_by": state.held_by,
        "held_by_user": state.held_by_user,
        "held_since": timestamp(state.lock_time) if state.HasField("lock_time") else None,
        "held_step": state.step,
        "held_step_since": timestamp(state.step_start_time) if state.HasField("step_start_time") else None,
    }
