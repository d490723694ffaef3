"""`ka node inspect` and `ka node discover`: what machines are made of."""

from collections.abc import Sequence

from kadeploy.deployer.v1 import deployer_service_pb2, machine_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, node_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions import machine_yaml
from kadeploy_cli.descriptions.machine_yaml import Described
from kadeploy_cli.nodes import actions
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.nodes.results import outcome
from kadeploy_cli.operations import actions as following
from kadeploy_cli.operations import named_operations
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain
from kadeploy_nodeset import NodeSet

SECONDS = 150.0
"""For reading many nodes at once."""
DISCOVER_SECONDS = 600.0
NOT_THERE = "NODE_UNREACHABLE"


def inspect(session: Session, nodes: NodeSet, *, check: bool, may_reboot: bool) -> ExitCode:
    """Prints what nodes are made of, as YAML for kaaddnode, or in what they differ from the inventory.

    Args:
        session: the services.
        nodes: which.
        check: compare alone.
        may_reboot: nodes that run something else are booted into the deployment environment first.
    """
    found = _inspected(session, nodes)
    elsewhere = NodeSet(name for name, each in found.items() if _reason(each) == NOT_THERE)
    if elsewhere and may_reboot:
        found |= _boot(session, elsewhere)
    ordered = [found[name] for name in nodes]
    outcomes = [outcome(each.node, each.status) for each in ordered]
    good = [each for each in ordered if not each.status.code]
    if session.form is not output.Format.TABLE:
        output.show(
            session.form,
            columns=(),
            rows=(),
            data=[{**result.data, **plain(each)} for result, each in zip(outcomes, ordered, strict=True)],
            names=[each.node for each in good],
        )
    elif check:
        output.show_table(("NODE", "INVENTORY"), [row for each in good for row in _compared(each)])
    elif good:
        known = {node.name: node for node in actions.fetch(session, str(NodeSet(each.node for each in good)))}
        described = [Described(name=each.node, machine=each.machine, node=known.get(each.node)) for each in good]
        output.show_document(machine_yaml.write(described, command="inspect"))
    for each in outcomes:
        if each.failure is not None:
            output.say(each.sentence)
    code = node_results.exit_code(outcomes)
    differ = check and any(each.differences for each in good)
    return ExitCode.FAILED if differ and code is ExitCode.OK else code


def discover(session: Session, network: str, *, everything: bool) -> ExitCode:
    """Prints the machines of a network that run the deployment environment, as YAML for kaaddnode.

    Args:
        session: the services.
        network: "10.0.0.0/24".
        everything: print registered machines, too.
    """
    deployer = session.deployer
    request = deployer_service_pb2.DiscoverMachinesRequest(network=network)
    machines = deployer.call(deployer.control.DiscoverMachines, request, deadline=DISCOVER_SECONDS).machines
    registered = {node.mac_address: node for node in _all_nodes(session)}
    described = [_described(machine, registered) for machine in machines]
    shown = [each for each in described if everything or each.node is None]
    if session.form is not output.Format.TABLE:
        data = [{"name": each.name, "registered": each.node is not None, **plain(each.machine)} for each in shown]
        output.show(session.form, columns=(), rows=(), data=data, names=[each.name for each in shown])
    elif shown:
        output.show_document(machine_yaml.write(shown, command="discover"))
    known = len(described) - len([each for each in described if each.node is None])
    output.say(f"{len(described) - known} unregistered and {known} registered machines run the deployment environment")
    return ExitCode.OK


def _inspected(session: Session, nodes: NodeSet) -> dict[str, machine_pb2.NodeInspection]:
    deployer = session.deployer
    request = deployer_service_pb2.InspectNodesRequest(nodes=str(nodes))
    answer = deployer.call(deployer.control.InspectNodes, request, deadline=SECONDS + len(nodes))
    return {each.node: each for each in answer.nodes}


def _boot(session: Session, nodes: NodeSet) -> dict[str, machine_pb2.NodeInspection]:
    """Boots nodes into the deployment environment and returns what became of them."""
    deployer = session.deployer
    output.say(f"booting into the deployment environment: {nodes}")
    request = deployer_service_pb2.RebootNodesRequest(nodes=str(nodes))
    request.deployment_kernel.SetInParent()
    name = named_operations.begin(deployer, deployer.control.RebootNodes, request)
    followed = following.follow(session, following.get(session, name), owns=True)
    outcomes = followed.outcomes if followed is not None else ()
    there = NodeSet(each.node for each in outcomes if each.failure is None)
    return _inspected(session, there) if there else {}


def _reason(each: machine_pb2.NodeInspection) -> str:
    return outcome(each.node, each.status).reason


def _compared(each: machine_pb2.NodeInspection) -> Sequence[tuple[str, str]]:
    return [(each.node, difference) for difference in each.differences] or [(each.node, "as described")]


def _all_nodes(session: Session) -> Sequence[node_pb2.Node]:
    inventory = session.inventory
    request = inventory_service_pb2.ListNodesRequest()
    return list(inventory.pages(inventory.nodes.ListNodes, request, lambda page: page.nodes))


def _described(machine: machine_pb2.Machine, registered: dict[str, node_pb2.Node]) -> Described:
    node = next((registered[card.mac_address] for card in machine.cards if card.mac_address in registered), None)
    name = node.name if node else f"machine-{machine_yaml.boot_card(machine).replace(':', '') or 'unknown'}"
    return Described(name=name, machine=machine, node=node)
