"""`ka partition declare`: says what partitions hold that no deployment wrote."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import spec
from kadeploy_cli.descriptions.text import decode, lines
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes import results
from kadeploy_cli.nodes.results import NodeOutcome
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import word
from kadeploy_nodeset import NodeSet

AT_ONCE = 10_000
"""The host keys of so many nodes go into one call."""
HASHED = "|1|"
MARK = "@"
LEAST_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command, as they were typed."""

    environment: str | None = None
    version: int | None = None
    owner: str = ""
    partition: str | None = None
    device: str | None = None
    boot_method: str | None = None
    kernel_arguments: str = ""
    host_keys: str | None = None
    empty: bool = False


def declare(session: Session, nodes: NodeSet, options: Options) -> ExitCode:
    """Declares what the partitions of nodes hold, prints what became of each node, and returns the exit status."""
    if options.empty and (options.environment or options.host_keys):
        raise UsageFailure("--empty says that nothing is there: name no environment and no host keys beside it")
    if not options.empty and not options.environment:
        advice = "-e NAME names what is installed there; --empty says that nothing is."
        raise UsageFailure("no environment is named", advice=advice)
    device, number = spec.target(options.partition, options.device)
    request = deployer_service_pb2.DeclarePartitionsRequest(
        device=device,
        partition=number,
        environment_name=options.environment or "",
        environment_owner=options.owner,
        boot_method=spec.boot_method({"--boot-method": options.boot_method}),
        kernel_arguments=options.kernel_arguments,
        empty=options.empty,
    )
    if options.version is not None:
        request.environment_version = options.version
    keys = known_hosts(options.host_keys, nodes) if options.host_keys else {}
    return results.show(session, send(session, request, list(nodes), keys))


def send(
    session: Session,
    request: deployer_service_pb2.DeclarePartitionsRequest,
    nodes: Sequence[str],
    keys: "dict[str, list[str]]",
) -> list[NodeOutcome]:
    """Makes a declaration for nodes, in as many calls as it takes, and returns what became of each."""
    outcomes = []
    deployer = session.deployer
    for start in range(0, len(nodes), AT_ONCE):
        some = nodes[start : start + AT_ONCE]
        request.nodes = str(NodeSet(some))
        del request.host_keys[:]
        request.host_keys.extend(
            deployer_service_pb2.NodeHostKeys(node=node, keys=keys[node]) for node in some if node in keys
        )
        answer = deployer.call(deployer.states.DeclarePartitions, request)
        outcomes += [_outcome(each) for each in answer.nodes]
    return outcomes


def known_hosts(file: str, nodes: Iterable[str]) -> "dict[str, list[str]]":
    """Returns the host keys of nodes out of a known_hosts file. Raises UsageFailure when it has none of a node."""
    found: dict[str, list[str]] = {}
    for line in lines(decode(node_names.read_file(file), file), file):
        words = line.text.split()
        if words[0].startswith(MARK):
            continue
        if len(words) < LEAST_WORDS:
            raise UsageFailure(f'{file}, line {line.number}: is not "names kind key", as ssh-keyscan writes it')
        if words[0].startswith(HASHED):
            raise UsageFailure(
                f"{file}, line {line.number}: the names are hashed, so nobody can tell whose key it is",
                advice="ssh-keyscan without -H writes them in clear.",
            )
        for name in words[0].split(","):
            found.setdefault(name, []).append(f"{words[1]} {words[2]}")
    # A node stands there by its full name or by the first label of it.
    keys = {node: found.get(node) or found.get(node.partition(".")[0], []) for node in nodes}
    if lacking := [node for node, its in keys.items() if not its]:
        raise UsageFailure(f"{file} has no key of {NodeSet(lacking)}", advice="`ssh-keyscan NODE` asks for them.")
    return {node: list(dict.fromkeys(its)) for node, its in keys.items()}


def _outcome(declared: deployer_service_pb2.NodeDeclaration) -> NodeOutcome:
    if not declared.reason:
        return NodeOutcome(node=declared.node)
    code = (
        ExitCode.NOT_FOUND
        if declared.reason
        in {deployment_pb2.FAILURE_REASON_UNKNOWN_NODE, deployment_pb2.FAILURE_REASON_UNKNOWN_PARTITION}
        else ExitCode.REFUSED
    )
    reason = word(deployment_pb2.FailureReason.DESCRIPTOR, declared.reason)
    return NodeOutcome(node=declared.node, reason=reason, failure=Failure(declared.description, exit_code=code))
