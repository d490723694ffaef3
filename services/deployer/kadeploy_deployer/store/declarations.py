"""Storing what partitions are declared to hold: rows like those of a deployment that has ended well.

So a reboot finds declared systems as it finds deployed ones. Neither lists nor statistics tell of these rows.
"""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert

from kadeploy_deployer.domain.declaration import Declaration, DeclaredPartition
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot
from kadeploy_deployer.domain.states import DECLARATION, DeploymentState, PartitionState
from kadeploy_deployer.store.admission import enter_admission
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.creation import holders
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.tables import deployment_inputs, deployment_nodes, deployments, partition_states


def declare(connection: Connection, declaration: Declaration) -> Mapping[str, str]:
    """Stores a declaration; returns who holds the nodes that it left alone."""
    # Nobody takes a node between the look and the commit.
    enter_admission(connection)
    held = holders(connection, [one.node for one in declaration.partitions])
    free = sorted((one for one in declaration.partitions if one.node not in held), key=lambda one: one.node)
    _forget(connection, free)
    if free and declaration.environment is not None:
        _insert(connection, declaration, declaration.environment, free)
    return held


def _forget(connection: Connection, partitions: list[DeclaredPartition]) -> None:
    by_place: dict[tuple[str, int], list[str]] = defaultdict(list)
    for one in partitions:
        by_place[one.device, one.partition].append(one.node)
    rows = partition_states.c
    for (device, number), nodes in by_place.items():
        of_place = delete(partition_states).where(rows.device == device, rows.partition_number == number)
        for names in chunks(nodes):
            connection.execute(of_place.where(rows.node.in_(names)))


def _insert(
    connection: Connection,
    declaration: Declaration,
    environment: EnvironmentSnapshot,
    partitions: list[DeclaredPartition],
) -> None:
    spec, now = declaration.spec, declaration.now
    connection.execute(
        insert(deployments).values(
            id=declaration.id,
            kind=DECLARATION,
            state=DeploymentState.TERMINATED,
            owner=declaration.owner,
            spec=dumps(spec.listed),
            environment=dumps(environment.listed),
            version=1,
            driver="",
            lease_expires_at=0.0,
            fence=1,
            cancel_requested=False,
            cancel_reason="",
            last_sequence=0,
            create_time=now,
            start_time=now,
            end_time=now,
            description="declared",
        )
    )
    connection.execute(
        insert(deployment_inputs).values(
            deployment_id=declaration.id,
            secret="",
            profiles="{}",
            nodes="",
            spec=dumps(spec),
            environment=dumps(environment),
        )
    )
    rows = [
        (
            one.node,
            position,
            one.device,
            one.partition,
            dumps(NodeFacts(host_keys=one.host_keys)) if one.host_keys else None,
        )
        for position, one in enumerate(partitions)
    ]
    same = {
        "deployment_id": declaration.id,
        "state": PartitionState.DEPLOYED.value,
        "reason": "",
        "description": "",
        "end_time": now,
    }
    columns = ("node", "position", "device", "partition_number", "facts")
    insert_rows(connection, deployment_nodes, columns, rows, same=same)
    places = [(one.node, one.device, one.partition) for one in partitions]
    same = {
        "deployment_id": declaration.id,
        "state": PartitionState.DEPLOYED.value,
        "reason": "",
        "description": "",
        "update_time": now,
    }
    insert_rows(connection, partition_states, ("node", "device", "partition_number"), places, same=same)
