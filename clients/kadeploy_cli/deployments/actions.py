"""Deployments as the deployer remembers them: lists, details, outputs, plans, and the wish to stop one."""

from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.boot import entries as boot
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments.watching import report
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.nodes.actions import partition_name
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, word

COLUMNS = ("DEPLOYMENT", "STATE", "OWNER", "ENVIRONMENT", "NODES", "CREATED", "ENDED", "DESCRIPTION")
LEAST = ("ENDED", "DESCRIPTION", "OWNER", "CREATED")
"""Columns that are left out first where there is no room."""
STATES = {
    word(deployment_pb2.DeploymentState.DESCRIPTOR, number): number
    for number in deployment_pb2.DeploymentState.values()
    if number
}


def show_list(session: Session, *, owner: str, states: tuple[str, ...], nodes: str, limit: int) -> ExitCode:
    """Prints deployments, the latest first."""
    deployer = session.deployer
    wanted = deployer_service_pb2.DeploymentFilter(owner=owner, states=[STATES[state] for state in states], nodes=nodes)
    request = deployer_service_pb2.ListDeploymentsRequest(filter=wanted)
    listed: Iterator[deployment_pb2.Deployment] = deployer.pages(
        deployer.deployments.ListDeployments, request, lambda page: page.deployments
    )
    found = output.first(listed, limit)
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(deployment) for deployment in found],
        data=[plain(deployment) for deployment in found],
        names=[deployment.id for deployment in found],
        least=LEAST,
    )
    return ExitCode.OK


def _row(deployment: deployment_pb2.Deployment) -> tuple[str, ...]:
    environment = deployment.environment
    return (
        deployment.id,
        _state(deployment),
        deployment.owner,
        f"{environment.name} {environment.version or ''}".strip(),
        deployment.spec.nodes,
        output.local_time(deployment.create_time),
        output.local_time(deployment.end_time),
        deployment.description,
    )


def _state(deployment: deployment_pb2.Deployment) -> str:
    return word(deployment_pb2.DeploymentState.DESCRIPTOR, deployment.state)


def get(session: Session, deployment_id: str) -> deployment_pb2.Deployment:
    """Returns one deployment with its nodes."""
    request = deployer_service_pb2.GetDeploymentRequest(id=deployment_id)
    return session.deployer.call(session.deployer.deployments.GetDeployment, request)


def show_one(session: Session, deployment_id: str) -> ExitCode:
    """Prints everything that is known of one deployment."""
    deployment = get(session, deployment_id)
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(deployment), names=[deployment.id])
        return ExitCode.OK
    environment, spec = deployment.environment, deployment.spec
    output.show_fields(
        [
            ("deployment", deployment.id),
            ("state", _state(deployment)),
            ("description", deployment.description),
            ("owner", deployment.owner),
            ("nodes", spec.nodes),
            ("environment", f"{environment.name} version {environment.version} of {environment.owner}"),
            ("image", f"{environment.image_digest} ({output.size(environment.image_size_bytes)})"),
            ("boot method", word(deployment_pb2.BootMethod.DESCRIPTOR, spec.boot_method)),
            ("partition table", "written" if spec.write_partition_table else ""),
            ("created", output.local_time(deployment.create_time)),
            ("started", output.local_time(deployment.start_time)),
            ("ended", output.local_time(deployment.end_time)),
            ("driven by", deployment.driver),
        ]
    )
    for node in deployment.nodes:
        _show_node(node)
    report.show_times(deployment)
    return ExitCode.OK


def _show_node(node: deployment_pb2.NodeDeployment) -> None:
    output.show_text("", "")
    output.show_fields(
        [
            ("node", node.node),
            ("  state", word(deployment_pb2.PartitionState.DESCRIPTOR, node.state)),
            ("  partition", partition_name(node.device, node.partition)),
            ("  step", f"{step_words(node.step)} (attempt {node.attempt})" if node.step else ""),
            ("  reason", word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason)),
            ("  description", node.description),
            ("  image digest", node.image_digest),
            ("  deployment boot id", node.deployment_boot_id),
            ("  boot id", node.boot_id),
            ("  root device", node.root_device),
            ("  kernel command line", node.kernel_command_line),
            *(("  host key", key) for key in node.host_keys),
            ("  started", output.local_time(node.start_time)),
            ("  ended", output.local_time(node.end_time)),
        ]
    )


def cancel(session: Session, deployment_id: str, reason: str) -> ExitCode:
    """Asks a deployment to stop."""
    request = deployer_service_pb2.CancelDeploymentRequest(id=deployment_id, reason=reason)
    deployment = session.deployer.call(session.deployer.deployments.CancelDeployment, request)
    output.say(f"deployment {deployment.id} was asked to stop; `ka deployment watch {deployment.id}` shows how it ends")
    return ExitCode.OK


def show_output(session: Session, deployment_id: str, node: str, step: str) -> ExitCode:
    """Prints what scripts and commands printed on a node."""
    request = deployer_service_pb2.GetStepOutputRequest(id=deployment_id, node=node, step=step)
    answer = session.deployer.call(session.deployer.deployments.GetStepOutput, request)
    if session.form is output.Format.JSON:
        output.show_json([plain(item) for item in answer.outputs])
        return ExitCode.OK
    for item in answer.outputs:
        cut = ", its beginning was dropped" if item.truncated else ""
        output.show_text(f"{step_words(item.step)}, attempt {item.attempt}{cut}:", item.text)
    if not answer.outputs:
        output.say("nothing was printed")
    return ExitCode.OK


def show_plan(session: Session, spec: deployment_pb2.DeploymentSpec) -> ExitCode:
    """Prints what a deployment would do to each node; the exit status tells whether all would take part."""
    request = deployer_service_pb2.PlanDeploymentRequest(spec=spec)
    plan = session.deployer.call(session.deployer.deployments.PlanDeployment, request)
    if session.form.for_programs:
        output.show(session.form, columns=(), rows=(), data=plain(plan), names=())
    else:
        environment = plan.environment
        output.show_fields(
            [
                ("environment", f"{environment.name} version {environment.version} of {environment.owner}"),
                ("boot method", word(deployment_pb2.BootMethod.DESCRIPTOR, plan.boot_method)),
            ]
        )
        for node in plan.nodes:
            _show_plan(node)
    included = [node.included for node in plan.nodes]
    if all(included) and included:
        return ExitCode.OK
    return ExitCode.PARTIAL if any(included) else ExitCode.REFUSED


def _show_plan(node: deployment_pb2.NodePlan) -> None:
    reason = node.description or word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason)
    holder = f" (held by {node.held_by})" if node.held_by else ""
    verdict = "would be deployed" if node.included else f"would be left out: {reason}{holder}"
    output.show_text(f"\n{node.node} {verdict}", "")
    for step in node.steps:
        limit = f" (at most {_seconds(step.timeout)}, {step.retries} retries)" if step.HasField("timeout") else ""
        output.show_text(f"  {step_words(step.step)}{limit}", "\n".join(step.actions))
        for paths, text in boot.by_text(step.files):
            lines = "\n".join(f"  {line}" for line in text.splitlines())
            output.show_text("\n".join(f"    writes {path}:" for path in paths), lines)


def _seconds(duration: Duration) -> str:
    return f"{duration.ToTimedelta().total_seconds():g} s"
