"""Reboots and power: what is done to nodes from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import deploy
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.nodes.results import NodeOutcome, outcome
from kadeploy_cli.operations import actions, named_operations, remote_command
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure
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
    """What is done with the outcomes.

    Attributes:
        good_file: gets the names of the nodes that succeeded.
        bad_file: gets the names of the others.
        id_file: gets the operation's id.
        script: a program that runs at the end.
    """

    good_file: str | None = None
    bad_file: str | None = None
    id_file: str | None = None
    script: str | None = None

    def check(self) -> None:
        """Refuses files that cannot be written, before anything is done."""
        deploy.check(
            deploy.Aftermath(good_file=self.good_file, bad_file=self.bad_file, id_file=self.id_file, script=self.script)
        )

    def write_id(self, name: str) -> None:
        """Writes the operation's id into its file, where one is named."""
        if self.id_file:
            deploy.write_names(self.id_file, [name])


def reboot(
    session: Session,
    request: deployer_service_pb2.RebootNodesRequest,
    lists: Lists,
    *,
    wait: bool = True,
    keys: Sequence[str] = (),
) -> ExitCode:
    """Reboots nodes, says of each when it is there, and returns the exit status.

    `keys`: public keys whose owners may then log in to the deployment environment, where that is booted.
    """
    if keys and not wait:
        raise UsageFailure("-k needs the nodes to be there: it says nothing beside --no-wait")
    return _carry_out(session, session.deployer.control.RebootNodes, request, lists, wait=wait, keys=keys)


def set_power(
    session: Session,
    nodes: NodeSet,
    action: str,
    level: str | None,
    lists: Lists,
    *,
    wait: bool = True,
    force: bool = False,
) -> ExitCode:
    """Switches the power of nodes and returns the exit status."""
    request = deployer_service_pb2.SetPowerRequest(
        nodes=str(nodes),
        action=ACTIONS[action],
        level=LEVELS[level] if level else deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED,
        force=force,
    )
    return _carry_out(session, session.deployer.control.SetPower, request, lists, wait=wait)


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


def _carry_out(
    session: Session, method: Any, request: Any, lists: Lists, *, wait: bool, keys: Sequence[str] = ()
) -> ExitCode:
    """Has an operation carried out, shows how it goes and what became of all nodes, and returns the exit status."""
    lists.check()
    if not wait and (lists.good_file or lists.bad_file or lists.script):
        raise UsageFailure("--no-wait knows no results: lists of nodes and scripts say nothing beside it")
    name = named_operations.begin(session.deployer, method, request)
    lists.write_id(name)
    if not wait:
        output.show_id(session.form, name, {"id": name})
        return ExitCode.OK
    operation = actions.get(session, name)
    output.say(f"operation {operation.id}: {operation.action} on {operation.nodes}")
    followed = actions.follow(session, operation, owns=True)
    if followed is None:
        return ExitCode.INTERRUPTED
    outcomes = followed.outcomes
    if keys and not followed.cancelled:
        outcomes = _with_keys(session, outcomes, keys)
    code = node_results.show(session, outcomes, good_file=lists.good_file, bad_file=lists.bad_file)
    if lists.script:
        good = [each.node for each in outcomes if each.failure is None]
        bad = [each.node for each in outcomes if each.failure is not None]
        deploy.run_program(lists.script, {"KADEPLOY_OPERATION": operation.id}, good, bad)
    return ExitCode.INTERRUPTED if followed.cancelled else code


def _with_keys(session: Session, outcomes: Sequence[NodeOutcome], keys: Sequence[str]) -> list[NodeOutcome]:
    """Lets the owners of keys log in on the nodes that succeeded, and returns the outcomes with those of this."""
    good = NodeSet(each.node for each in outcomes if each.failure is None)
    added = remote_command.outcomes_of_keys(session, good, keys) if good else {}
    return [added.get(each.node, each) for each in outcomes]
