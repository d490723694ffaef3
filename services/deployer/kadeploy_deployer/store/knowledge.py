"""What is known of the systems on nodes: what deployments left there, and what was last seen running."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, and_, select

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.ports.node_knowledge import DeployedSystem, NodeKnowledge
from kadeploy_deployer.store.codec import loads
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.tables import deployment_inputs, deployment_nodes, node_records, partition_states


def knowledge(connection: Connection, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
    """Returns what is known of the systems of nodes."""
    # Most nodes share a deployment: its long texts are read once.
    inputs: dict[str, tuple[DeploymentSpec, EnvironmentSnapshot]] = {}
    keys: dict[str, tuple[str, ...]] = {}
    systems: dict[str, list[DeployedSystem]] = defaultdict(list)
    for names in chunks(nodes):
        records = select(node_records.c.node, node_records.c.host_keys).where(node_records.c.node.in_(names))
        for row in connection.execute(records.where(node_records.c.host_keys.is_not(None))):
            keys[row.node] = loads(tuple[str, ...], row.host_keys)
        took_part = and_(
            deployment_nodes.c.deployment_id == partition_states.c.deployment_id,
            deployment_nodes.c.node == partition_states.c.node,
        )
        query = (
            select(partition_states, deployment_nodes.c.facts)
            .join(deployment_nodes, took_part)
            .where(partition_states.c.node.in_(names), partition_states.c.state == PartitionState.DEPLOYED)
            .order_by(partition_states.c.node, partition_states.c.device, partition_states.c.partition_number)
        )
        rows = connection.execute(query).all()
        inputs |= _inputs(connection, {row.deployment_id for row in rows} - inputs.keys())
        for row in rows:
            spec, environment = inputs[row.deployment_id]
            system = DeployedSystem(
                node=row.node,
                device=row.device,
                partition=row.partition_number,
                deployment_id=row.deployment_id,
                update_time=row.update_time,
                environment=environment,
                spec=spec,
                facts=loads(NodeFacts, row.facts) if row.facts else NodeFacts(deployment_token="", system_token=""),
            )
            systems[row.node].append(system)
    return {node: NodeKnowledge(host_keys=keys.get(node, ()), systems=tuple(systems[node])) for node in nodes}


def _inputs(
    connection: Connection, deployment_ids: Collection[str]
) -> dict[str, tuple[DeploymentSpec, EnvironmentSnapshot]]:
    """Returns what was asked for in deployments, and the environments as they stood."""
    columns = deployment_inputs.c
    query = select(columns.deployment_id, columns.spec, columns.environment)
    return {
        row.deployment_id: (loads(DeploymentSpec, row.spec), loads(EnvironmentSnapshot, row.environment))
        for row in connection.execute(query.where(columns.deployment_id.in_(deployment_ids)))
    }
