"""kadeploy: the classic name and options."""

from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import actions as deployments
from kadeploy_cli.deployments import deploy
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.deploy import Aftermath
from kadeploy_cli.deployments.deploy_options import wanted, wanted_options
from kadeploy_cli.terminal import foreign_words
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.output import Format
from kadeploy_cli.wait_for import parse


@click.command(cls=ClassicCommand, instead=foreign_words.DEPLOY, elsewhere=foreign_words.DEPLOY_ELSEWHERE)
@wanted_options
@click.option(
    "-o", "--output-ok-nodes", "good_file", metavar="FILE", help="Write the deployed nodes there, each when it is."
)
@click.option("-n", "--output-ko-nodes", "bad_file", metavar="FILE", help="Write the other nodes there.")
@click.option(
    "--wait-for",
    metavar="N|N%",
    help="Return when so many nodes are deployed, or so many of a hundred; the rest goes on.",
)
@click.option("-s", "--script", metavar="FILE", help="A program to run when the deployment has ended.")
@click.option("--plan", is_flag=True, help="Say what would happen, and touch nothing.")
@click.option("--detach", "--no-wait", "detach", is_flag=True, help="Print the deployment's id and do not wait.")
@click.option("--write-workflow-id", "id_file", metavar="FILE", help="Write the deployment's id there at its start.")
@version_option
@command_options("--output", form=Format.TEXT, follows=True)
def kadeploy(
    session: Session,
    /,
    *,
    good_file: str | None,
    bad_file: str | None,
    script: str | None,
    wait_for: str | None,
    plan: bool,
    detach: bool,
    id_file: str | None,
    **options: Any,
) -> None:
    """Deploys an environment on nodes, and tells how it went for each of them.

    Exit status: 0 every node is deployed, or as many as --wait-for says; 6 some are, 1 none is; 2, 4 and 5 nothing was
    started; 3 a service does not answer.
    """
    aftermath = Aftermath(
        good_file=good_file,
        bad_file=bad_file,
        script=script,
        id_file=id_file,
        wait_for=None if wait_for is None else parse(wait_for),
    )
    if plan:
        deploy.refuse_results(aftermath, beside="a plan")
        if detach or id_file is not None:
            raise UsageFailure("--plan begins nothing: --detach and --write-workflow-id say nothing beside it")
    elif detach:
        deploy.refuse_results(aftermath, beside="who does not wait")
    spec = deployment_spec.build(wanted(options), session)
    if plan:
        finish(deployments.show_plan(session, spec))
    finish(deploy.run(session, spec, detach=detach, aftermath=aftermath))
