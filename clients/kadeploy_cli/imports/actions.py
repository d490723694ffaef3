"""Carries an import out, or shows what it would do."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import cluster_pb2, inventory_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions.described_nodes import DescribedNodes, Position
from kadeploy_cli.imports.plan import ImportPlan, InstalledSystem
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import declaring
from kadeploy_cli.rights import actions as rights
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_cli.terminal.plain import plain
from kadeploy_nodeset import fold

MOST_SENTENCES = 5
EXISTS, MISSING = ExitCode.REFUSED, ExitCode.NOT_FOUND


def show(session: Session, plan: ImportPlan) -> ExitCode:
    """Prints what an import would make and what has no counterpart; changes nothing."""
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=_data(plan), names=list(plan.nodes))
        return ExitCode.OK
    output.show_table(
        ("KIND", "COUNT", "WHAT"),
        [
            ("clusters", str(len(plan.clusters)), ", ".join(plan.clusters)),
            ("nodes", str(len(plan.nodes)), fold(plan.nodes) if plan.nodes else ""),
            (
                "environments",
                str(len(plan.environments)),
                ", ".join(f"{each.name} {each.version}" for each in plan.environments),
            ),
            ("rights", str(len(plan.rights)), ""),
            ("installed", str(len(plan.installed)), "partitions that are declared to hold what is installed there"),
        ],
    )
    for name, profile in plan.clusters.items():
        output.show_text(f"\nprofile of {name}: {', '.join(profile.fields) or 'the defaults'}", "")
    _tell(plan)
    return ExitCode.OK


def carry_out(session: Session, plan: ImportPlan) -> ExitCode:
    """Makes what is planned. May be repeated: what stands there just so is left as it is."""
    _tell(plan)
    failed = 0
    for name, profile in plan.clusters.items():
        failed += _tried(f"cluster {name}", lambda name=name, profile=profile: _make_cluster(session, name, profile))  # type: ignore[misc]
    for environment in plan.environments:
        request = inventory_service_pb2.RecordEnvironmentRequest(environment=environment)
        failed += _tried(
            f"environment {environment.name} version {environment.version}",
            lambda request=request: session.inventory.call(session.inventory.environments.RecordEnvironment, request),  # type: ignore[misc]
        )
    if plan.nodes:
        named = [{"": Position(source=name, line=0)} for name in plan.nodes]
        described = DescribedNodes(nodes=list(plan.nodes.values()), positions=named)
        failed += _tried("the nodes", lambda: nodes.register(session, described))
    for (user, partition), of_nodes in _grouped(plan).items():
        failed += _tried(
            f"right of {user}",
            lambda user=user, partition=partition, of_nodes=of_nodes: _grant(session, user, partition, of_nodes),  # type: ignore[misc]
        )
    for system, names in _systems(plan).items():
        failed += _tried(
            f"{system.environment} version {system.version} on {fold(names)}",
            lambda system=system, names=names: _declare(session, system, names),  # type: ignore[misc]
        )
    output.say("everything is imported" if not failed else f"{failed} could not be imported: see above")
    return ExitCode.OK if not failed else ExitCode.PARTIAL


def _tell(plan: ImportPlan) -> None:
    for notice in plan.notices:
        output.say(f"no counterpart: {notice}")


def _data(plan: ImportPlan) -> dict[str, Any]:
    return {
        "clusters": {
            name: {"fields": profile.fields, "profile": plain(profile.message)}
            for name, profile in plan.clusters.items()
        },
        "nodes": [plain(node) for node in plan.nodes.values()],
        "environments": [plain(each) for each in plan.environments],
        "rights": [right._asdict() for right in plan.rights],
        "installed": [system._asdict() for system in plan.installed],
        "notices": plan.notices,
    }


def _tried(what: str, work: Callable[[], object]) -> int:
    """Does a part of the import; says why it failed, and returns how many did: 0 or 1."""
    try:
        work()
    except Failure as failure:
        if "EXISTS" in failure.message:
            output.say(f"{what} stands there already and is left as it is")
            return 0
        output.say(f"{what}: {failure.message}")
        return 1
    return 0


def _make_cluster(session: Session, name: str, profile: Any) -> None:
    inventory = session.inventory
    cluster = cluster_pb2.Cluster(name=name, profile=profile.message)
    try:
        inventory.call(inventory.clusters.GetCluster, inventory_service_pb2.GetClusterRequest(name=name))
    except Failure as failure:
        if failure.exit_code != MISSING:
            raise
        inventory.call(inventory.clusters.CreateCluster, inventory_service_pb2.CreateClusterRequest(cluster=cluster))
        output.say(f"cluster {name} is created")
        return
    if not profile.fields:
        return
    mask = FieldMask(paths=[f"profile.{each}" for each in profile.fields])
    request = inventory_service_pb2.UpdateClusterRequest(cluster=cluster, update_mask=mask)
    inventory.call(inventory.clusters.UpdateCluster, request)
    output.say(f"cluster {name} is changed: {', '.join(profile.fields)}")


def _grouped(plan: ImportPlan) -> dict[tuple[str, str], list[str]]:
    """Returns the nodes of each user and partition, so that one call grants them all; "*" stands alone."""
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for right in plan.rights:
        grouped[right.user, right.partition].append(right.node)
    return grouped


def _systems(plan: ImportPlan) -> dict[InstalledSystem, list[str]]:
    """Returns the nodes that have the same environment on the same partition."""
    grouped: dict[InstalledSystem, list[str]] = defaultdict(list)
    for one in plan.installed:
        grouped[one._replace(node="")].append(one.node)
    return grouped


def _declare(session: Session, system: InstalledSystem, names: list[str]) -> None:
    request = deployer_service_pb2.DeclarePartitionsRequest(
        environment_name=system.environment,
        environment_version=system.version,
        environment_owner=system.owner,
        device=system.device,
        partition=system.partition,
    )
    refused = [each for each in declaring.send(session, request, names, {}) if each.failure is not None]
    if refused:
        raise Failure("; ".join(each.sentence for each in refused[:MOST_SENTENCES]), exit_code=ExitCode.REFUSED)


def _grant(session: Session, user: str, partition: str, of_nodes: list[str]) -> None:
    inventory = session.inventory
    named = [name for name in of_nodes if name != rights.EVERYTHING]
    for words in ([rights.EVERYTHING] if rights.EVERYTHING in of_nodes else []) + ([fold(named)] if named else []):
        request = inventory_service_pb2.GrantRightsRequest(users=[user], nodes=words, partitions=[partition])
        inventory.call(inventory.rights.GrantRights, request)
