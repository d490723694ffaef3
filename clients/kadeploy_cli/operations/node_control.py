"""Reboots and power: what is done to nodes from outside."""

from dataclasses import dataclass

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import deploy
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.nodes.results import NodeOutcome, outcome
from kadeploy_cli.operations import named_operations as operations
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import word
from kadeploy_nodeset import NodeSet

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
    return _finish(
        session, operations.carry_out(session.deployer, session.deployer.control.RebootNodes, request, _say), lists
    )


def set_power(session: Session, nodes: NodeSet, action: str, level: str | None, lists: Lists) -> ExitCode:
    """Switches the power of nodes and returns the exit status."""
    lists.check()
    request = deployer_service_pb2.SetPowerRequest(
        nodes=str(nodes),
        action=ACTIONS[action],
        level=LEVELS[level] if level else deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED,
    )
    return _finish(
        session, operations.carry_out(session.deployer, session.deployer.control.SetPower, request, _say), lists
    )


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


def _say(found: NodeOutcome) -> None:
    """Says at once of a node what became of it: the others may take a while."""
    output.say(found.sentence)


def _finish(session: Session, operation: operations.Operation, lists: Lists) -> ExitCode:
    """Prints what became of all nodes and returns the exit status."""
    outcomes = list(operation.outcomes.values())
    code = node_results.show(session, outcomes, good_file=lists.good_file, bad_file=lists.bad_file)
    return ExitCode.INTERRUPTED if operation.interrupted else code
