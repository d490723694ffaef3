"""One row for each node of each deployment or operation that has ended there, with the fields of version 3's log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.terminal import output

MOST_DEPLOYMENTS = 2000
"""So many deployments are looked at; each is one call."""
# The steps of each of version 3's macro-steps; every other one belongs to the second.
_FIRST = frozenset({"boot_deployment_environment", "production_system", "preinstall", "partition", "format", "mount"})
_LAST = frozenset({"boot_files", "unmount", "kexec", "boot_new_system"})
_BROADCAST = 2
_ENDED = (deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """What became of one node. Seconds and retries are by macro-step, from 1; 0 is the whole of an operation."""

    deployment_id: str
    user: str
    node: str
    start: float
    seconds: Mapping[int, float]
    retries: Mapping[int, int]
    environment: str
    digest: str
    succeeded: bool
    error: str
    by_kexec: bool
    from_production: bool

    def macro_step(self, number: int) -> str:
        """Returns what version 3 calls the way in which a macro-step was done; empty when it was not reached."""
        if number not in self.seconds:
            return ""
        kinds = {
            1: "SetDeploymentEnvProd" if self.from_production else "SetDeploymentEnvUntrusted",
            2: "BroadcastEnvChain",
            3: "BootNewEnvKexec" if self.by_kexec else "BootNewEnvClassical",
        }
        return kinds[number]


def _per_step(text: Callable[[NodeRow, int], str]) -> Iterator[Callable[[NodeRow], str]]:
    for number in (1, 2, 3):
        yield lambda row, number=number: text(row, number)  # type: ignore[misc]


_STEPS = tuple(_per_step(lambda row, number: row.macro_step(number)))
_RETRIES = tuple(_per_step(lambda row, number: str(row.retries.get(number, 0))))
_SECONDS = tuple(_per_step(lambda row, number: f"{row.seconds.get(number, 0):.0f}"))

FIELDS: Mapping[str, Callable[[NodeRow], str]] = {
    "wid": lambda row: row.deployment_id,
    "user": lambda row: row.user,
    "hostname": lambda row: row.node,
    **{f"step{number}": _STEPS[number - 1] for number in (1, 2, 3)},
    **{f"retry_step{number}": _RETRIES[number - 1] for number in (1, 2, 3)},
    "start": lambda row: f"{row.start:.0f}",
    **{f"step{number}_duration": _SECONDS[number - 1] for number in (1, 2, 3)},
    "env": lambda row: row.environment,
    "md5": lambda row: row.digest,
    "success": lambda row: "true" if row.succeeded else "false",
    "error": lambda row: row.error,
}
"""The fields by their names in version 3. `md5` is the image's SHA-256 here."""


def fetch(
    deployer: Deployer, *, nodes: str, start: datetime | None, end: datetime | None, deployment_id: str = ""
) -> list[NodeRow]:
    """Returns the rows of the deployments created in an interval, the latest first, of the nodes of a set."""
    return [
        row for deployment in _deployments(deployer, nodes, start, end, deployment_id) for row in rows_of(deployment)
    ]


def _deployments(
    deployer: Deployer, nodes: str, start: datetime | None, end: datetime | None, deployment_id: str
) -> Iterator[deployment_pb2.Deployment]:
    def whole(name: str) -> deployment_pb2.Deployment:
        request = deployer_service_pb2.GetDeploymentRequest(id=name)
        return deployer.call(deployer.deployments.GetDeployment, request)

    if deployment_id:
        yield whole(deployment_id)
        return
    chosen = deployer_service_pb2.DeploymentFilter(nodes=nodes)
    request = deployer_service_pb2.ListDeploymentsRequest(filter=chosen)
    count = 0
    for row in deployer.pages(deployer.deployments.ListDeployments, request, lambda page: page.deployments):
        created = row.create_time.seconds
        if start is not None and created < start.timestamp():
            return
        if end is not None and created >= end.timestamp():
            continue
        if count == MOST_DEPLOYMENTS:
            output.say(f"only the latest {MOST_DEPLOYMENTS} deployments are looked at; -x and -y choose others")
            return
        count += 1
        yield whole(row.id)


def rows_of(deployment: deployment_pb2.Deployment) -> Iterator[NodeRow]:
    """Gives the rows of the nodes on which a deployment has ended."""
    environment, spec = deployment.environment, deployment.spec
    for node in deployment.nodes:
        # A node that was left out was not deployed.
        if node.state not in _ENDED:
            continue
        seconds, retries = _by_macro_step(node.step_durations)
        yield NodeRow(
            deployment_id=deployment.id,
            user=deployment.owner,
            node=node.node,
            start=(node.start_time if node.HasField("start_time") else deployment.create_time).seconds,
            seconds=seconds,
            retries=retries,
            environment=f"{environment.name}:{environment.version}",
            digest=environment.image_digest,
            succeeded=node.state == deployment_pb2.PARTITION_STATE_DEPLOYED,
            error=node.description,
            by_kexec=spec.boot_method == deployment_pb2.BOOT_METHOD_KEXEC,
            from_production=spec.use_production_system,
        )


def _by_macro_step(durations: Sequence[deployment_pb2.StepDuration]) -> tuple[dict[int, float], dict[int, int]]:
    seconds: dict[int, float] = {}
    retries: dict[int, int] = {}
    for one in durations:
        number = 1 if one.step in _FIRST else 3 if one.step in _LAST else _BROADCAST
        seconds[number] = seconds.get(number, 0.0) + one.duration.ToNanoseconds() / 1e9
        retries[number] = retries.get(number, 0) + max(0, one.attempts - 1)
    return seconds, retries
