"""Reboots and power: what is done to nodes from outside."""

import uuid
from dataclasses import dataclass

from ClusterShell.NodeSet import NodeSet

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli import deploy, node_results, output
from kadeploy_cli.exit_codes import ExitCode
from kadeploy_cli.node_results import NodeOutcome, outcome, streamed
from kadeploy_cli.plain import word
from kadeploy_cli.session import Session

LEVELS = {
    "soft": deployer_service_pb2.CONTROL_LEVEL_SOFT,
    "hard": deployer_service_pb2.CONTROL_LEVEL_HARD,
    "very-hard": deployer_service_pb2.CONTROL_LEVEL_VERY_HARD,
}
ACTIONS = {
    "on": deployer_service_pb2.POWER_ACTION_ON,
    "off": deployer_service_pb2.POWER_ACTION_OFF,
    "cycle": deployer_service_pb2.POWER_ACTION_CYCLE,
}
LONGEST_SECONDS = 6 * 3600.0
"""No reboot of many nodes, window by window, takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Files that take the names of the nodes that succeeded and of those that did not."""

    good_file: str | None = None
    bad_file: str | None = None

    def check(self) -> None:
        """Refuses files that cannot be written, before anything is done."""
        deploy.check(deploy.Aftermath(good_file=self.good_file, bad_file=self.bad_file))


def reboot(session: Session, request: deployer_service_pb2.RebootNodesRequest, lists: Lists) -> ExitCode:
    """Reboots nodes, says of each when it is there, and returns the exit status."""
    lists.check()
    request.request_id = str(uuid.uuid4())
    deployer = session.deployer
    with streamed(deployer, deployer.control.RebootNodes(request, timeout=LONGEST_SECONDS)) as answers:
        outcomes = [_told(outcome(answer.result.node, answer.result.status)) for answer in answers]
    return node_results.show(session, outcomes, good_file=lists.good_file, bad_file=lists.bad_file)


def set_power(session: Session, nodes: NodeSet, action: str, level: str | None, lists: Lists) -> ExitCode:
    """Switches the power of nodes and returns the exit status."""
    lists.check()
    deployer = session.deployer
    request = deployer_service_pb2.SetPowerRequest(
        request_id=str(uuid.uuid4()),
        nodes=str(nodes),
        action=ACTIONS[action],
        level=LEVELS[level] if level else deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED,
    )
    with streamed(deployer, deployer.control.SetPower(request, timeout=LONGEST_SECONDS)) as answers:
        outcomes = [_told(outcome(answer.result.node, answer.result.status)) for answer in answers]
    return node_results.show(session, outcomes, good_file=lists.good_file, bad_file=lists.bad_file)


def show_power(session: Session, nodes: NodeSet) -> ExitCode:
    """Prints whether the power of nodes is on."""
    deployer = session.deployer
    request = deployer_service_pb2.GetPowerRequest(nodes=str(nodes))
    deadline = deployer.deadlines.call + len(nodes)
    answer = deployer.call(deployer.control.GetPower, request, deadline=deadline)
    outcomes = [outcome(one.node, one.status) for one in answer.nodes]
    states = [word(deployer_service_pb2.PowerState.DESCRIPTOR, one.state) or "unknown" for one in answer.nodes]
    pairs = list(zip(outcomes, states, strict=True))
    output.show(
        session.form,
        columns=("NODE", "POWER"),
        rows=[(each.node, each.failure.message if each.failure else state) for each, state in pairs],
        data=[{**each.data, "power": state} for each, state in pairs],
        names=[each.node for each, state in pairs if state == "on"],
    )
    return node_results.exit_code(outcomes)


def _told(found: NodeOutcome) -> NodeOutcome:
    """Says at once of a node what became of it: the others may take a while."""
    output.say(f"{found.node}: {found.failure.message if found.failure else 'ok'}")
    return found
