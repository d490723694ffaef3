"""A sample of the nodes: BMCs, and a login by ssh."""

from collections.abc import Iterator, Sequence

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, node_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.doctor.finding import Finding, bad, good, skipped
from kadeploy_edge.status import from_status
from kadeploy_nodeset import fold

FIRST_PAGE = 500


def sample(session: Session, count: int) -> list[node_pb2.Node]:
    """Returns some nodes, spread over the first 500."""
    request = inventory_service_pb2.ListNodesRequest(page_size=FIRST_PAGE)
    nodes = list(session.inventory.call(session.inventory.nodes.ListNodes, request).nodes)
    if len(nodes) <= count:
        return nodes
    return [nodes[place * len(nodes) // count] for place in range(count)]


def check_power(session: Session, nodes: Sequence[node_pb2.Node]) -> Iterator[Finding]:
    """Asks the BMCs of the sample for their power status."""
    if not nodes:
        yield skipped("BMCs", "no node is registered")
        return
    deployer = session.deployer
    request = deployer_service_pb2.GetPowerRequest(nodes=fold(node.name for node in nodes))
    answer = deployer.call(deployer.control.GetPower, request, deadline=max(60.0, deployer.deadlines.call))
    for each in answer.nodes:
        subject = f"BMC of {each.node}"
        if each.status.code:
            advice = "The power commands of the cluster's profile must work on the deployer's host: `ka cluster show`."
            yield bad(subject, from_status(each.status).message, advice)
        elif each.state == deployer_service_pb2.POWER_STATE_UNSPECIFIED:
            yield skipped(subject, "the cluster's profile has no command for the power status")
        else:
            yield good(subject, "on" if each.state == deployer_service_pb2.POWER_STATE_ON else "off")


def check_logins(session: Session, nodes: Sequence[node_pb2.Node]) -> Iterator[Finding]:
    """Lets the deployer log in on the nodes of the sample that run something of ours."""
    deployer = session.deployer
    for node in nodes:
        request = deployer_service_pb2.GetNodeDiagnosisRequest(node=node.name)
        found = deployer.call(deployer.states.GetNodeDiagnosis, request, deadline=max(60.0, deployer.deadlines.call))
        subject = f"ssh to {node.name}"
        if found.answers:
            yield good(subject, found.ssh)
        elif not found.deployment_id:
            yield skipped(subject, "nothing was deployed on it yet")
        elif found.power_state == deployer_service_pb2.POWER_STATE_OFF:
            yield skipped(subject, "it has no power")
        else:
            yield bad(subject, found.ssh, f"`ka node diagnose {node.name}` says more.")
