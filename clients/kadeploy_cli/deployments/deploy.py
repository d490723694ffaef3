"""The whole of kadeploy: create a deployment, follow it, report how it ended."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import creation
from kadeploy_cli.deployments.watching import report
from kadeploy_cli.deployments.watching.event_stream import EventStreamView, show_deployment
from kadeploy_cli.deployments.watching.folded_lines import FoldedLineView
from kadeploy_cli.deployments.watching.follow import Detached, Follower, View
from kadeploy_cli.deployments.watching.lines import LineView
from kadeploy_cli.deployments.watching.live import LiveView
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.quiet import QuietView
from kadeploy_cli.deployments.watching.settled import Enough, Settled
from kadeploy_cli.deployments.watching.step_history import StepHistory
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import plain
from kadeploy_cli.wait_for import WaitFor

SCRIPT_PATIENCE = 3600.0
NODES_WITH_LINES = 4
"""Of more nodes than these, what happens to several stands on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is done with the nodes that have ended, and when the waiting ends.

    Attributes:
        good_file: gets the names of the nodes that are deployed, each at the moment it is.
        bad_file: gets the names of the others.
        script: a program that runs at the end.
        wait_for: how many nodes have to be deployed; None: all of them have to end.
        id_file: gets the deployment's id as soon as there is one.
    """

    good_file: str | None = None
    bad_file: str | None = None
    script: str | None = None
    wait_for: WaitFor | None = None
    id_file: str | None = None


def run(session: Session, spec: deployment_pb2.DeploymentSpec, *, detach: bool, aftermath: Aftermath) -> ExitCode:
    """Deploys and returns the exit status: 0 only if as many nodes as were asked for are deployed."""
    check(aftermath)
    if detach:
        refuse_results(aftermath, beside="who does not wait")
    deployment = creation.create(session, spec)
    if aftermath.id_file:
        write_names(aftermath.id_file, [deployment.id])
    if detach:
        output.show_id(session.form, deployment.id, plain(deployment))
        return ExitCode.OK
    output.say(
        f"deployment {deployment.id}: {deployment.environment.name} version {deployment.environment.version} "
        f"on {deployment.spec.nodes or spec.nodes}"
    )
    asked = len(deployment.nodes) + len(report.left_out(deployment))
    settled = Settled(
        good_file=aftermath.good_file, bad_file=aftermath.bad_file, wait_for=aftermath.wait_for, asked=asked
    )
    try:
        final = follow(session, deployment, owns=True, see=settled.see)
    except Enough as enough:
        return leave(session, deployment.id, enough, aftermath)
    if final is None:
        return ExitCode.INTERRUPTED
    tell(session, final)
    write_files(final, aftermath)
    code = report.exit_code(final)
    needed = asked if aftermath.wait_for is None else aftermath.wait_for.needed(asked)
    if code is ExitCode.PARTIAL and len(report.good_nodes(final)) >= needed:
        code = ExitCode.OK
    if aftermath.script:
        run_script(aftermath.script, final)
    return code


def leave(session: Session, deployment_id: str, enough: Enough, aftermath: Aftermath) -> ExitCode:
    """Ends the waiting for a deployment that goes on, and returns the exit status."""
    request = deployer_service_pb2.GetDeploymentRequest(id=deployment_id)
    current = session.deployer.call(session.deployer.deployments.GetDeployment, request)
    tell(session, current)
    advice = f"`ka deployment watch {deployment_id}` follows it again"
    output.say(f"{enough.deployed} nodes are deployed; the deployment goes on; {advice}")
    if aftermath.script:
        run_script(aftermath.script, current)
    return ExitCode.OK


def watch(session: Session, deployment_id: str) -> ExitCode:
    """Follows a deployment that is there already; an interrupt ends the watch and not the deployment."""
    request = deployer_service_pb2.GetDeploymentRequest(id=deployment_id)
    deployment = session.deployer.call(session.deployer.deployments.GetDeployment, request)
    final = follow(session, deployment, owns=False)
    if final is None:
        return ExitCode.INTERRUPTED
    tell(session, final)
    return report.exit_code(final)


def follow(
    session: Session,
    deployment: deployment_pb2.Deployment,
    *,
    owns: bool,
    see: Callable[[DeploymentProgress], None] = lambda _: None,
) -> deployment_pb2.Deployment | None:
    """Returns the deployment as it ended, or None when the user left before. `see`: see Follower."""
    view = chosen_view(session, deployment)
    try:
        return Follower(session.deployer, deployment, view=view, owns=owns, see=see).run()
    except Detached:
        output.say(f"the deployment goes on; `ka deployment watch {deployment.id}` follows it again")
        return None


def chosen_view(session: Session, deployment: deployment_pb2.Deployment) -> View:
    """Returns a screen that redraws itself for people, JSON for programs that ask for it, lines for everything else."""
    if session.form is output.Format.NDJSON:
        return EventStreamView()
    if session.quiet:
        return QuietView()
    if sys.stdout.isatty() and sys.stderr.isatty() and not session.form.for_programs:
        return LiveView(medians=StepHistory(session.deployer).medians)
    return LineView() if len(deployment.nodes) <= NODES_WITH_LINES else FoldedLineView()


def tell(session: Session, final: deployment_pb2.Deployment) -> None:
    """Prints how a deployment ended."""
    if session.form is output.Format.NDJSON:
        show_deployment("result", final)
    elif session.form is output.Format.JSON:
        output.show_json(plain(final))
    elif session.form is output.Format.NAME:
        output.show(session.form, columns=(), rows=(), data=None, names=[final.id])
    else:
        report.show(final)


def refuse_results(aftermath: Aftermath, *, beside: str) -> None:
    """Refuses what is done with results where there will be none: it would look as if it were done."""
    given = [
        words
        for words, value in (
            ("-o", aftermath.good_file),
            ("-n", aftermath.bad_file),
            ("-s", aftermath.script),
            ("--wait-for", aftermath.wait_for),
        )
        if value is not None
    ]
    if given:
        raise UsageFailure(
            f"{', '.join(given)}: {beside} gets no results", advice="Leave them out, or wait for the end."
        )


def check(aftermath: Aftermath) -> None:
    """Refuses files that cannot be written and scripts that cannot be run, before anything is deployed."""
    for name in (aftermath.good_file, aftermath.bad_file, aftermath.id_file):
        if name in tuple(output.Format):
            advice = f"--output {name} is how the result is printed; a file of that name is ./{name}."
            raise UsageFailure(f"-o and --output-ko-nodes name files, and {name} is hardly one", advice=advice)
        if name and not os.access(Path(name) if Path(name).exists() else Path(name).absolute().parent, os.W_OK):
            raise UsageFailure(f"{name} cannot be written")
    if aftermath.script and not os.access(aftermath.script, os.X_OK):
        raise UsageFailure(f"{aftermath.script} is not a program that can be run", advice="chmod +x makes it one.")


def write_files(final: deployment_pb2.Deployment, aftermath: Aftermath) -> None:
    """Writes the names of the nodes that succeeded and of those that did not, one a line."""
    for name, nodes in ((aftermath.good_file, report.good_nodes(final)), (aftermath.bad_file, report.bad_nodes(final))):
        if name:
            write_names(name, nodes)


def write_names(name: str, nodes: Sequence[str]) -> None:
    """Writes names into a file, one a line."""
    try:
        Path(name).write_text("".join(f"{node}\n" for node in nodes), encoding="utf-8")
    except OSError as error:
        raise UsageFailure(f"{name} cannot be written: {error.strerror}") from None


def run_script(script: str, final: deployment_pb2.Deployment) -> None:
    """Runs the user's program after the deployment; the environment says what happened."""
    run_program(script, {"KADEPLOY_DEPLOYMENT": final.id}, report.good_nodes(final), report.bad_nodes(final))


def run_program(script: str, variables: Mapping[str, str], good: Sequence[str], bad: Sequence[str]) -> None:
    """Runs the user's program at the end; beside the variables, its environment names the good and the other nodes."""
    outcome = {"KADEPLOY_NODES_OK": " ".join(good), "KADEPLOY_NODES_KO": " ".join(bad)}
    environment = {**os.environ, **variables, **outcome}
    try:
        ended = subprocess.run([str(Path(script).absolute())], env=environment, timeout=SCRIPT_PATIENCE, check=False)
    except OSError as error:
        raise UsageFailure(f"{script} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failure(
            f"{script} was ended: it ran for more than {SCRIPT_PATIENCE:g} s", exit_code=ExitCode.FAILED
        ) from None
    if ended.returncode != 0:
        output.say(f"{script} ended with exit status {ended.returncode}")
