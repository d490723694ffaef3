"""`ka deployment`: installing environments."""

from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import actions as deployments
from kadeploy_cli.deployments import deploy
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.deploy import Aftermath
from kadeploy_cli.deployments.deploy_options import wanted, wanted_options
from kadeploy_cli.nodes import names as node_names


@click.group()
def deployment() -> None:
    """Installing environments on nodes."""


@deployment.command()
@wanted_options
@click.option("--wait", is_flag=True, help="Follow it to its end.")
@command_options(follows=True)
def start(session: Session, /, *, wait: bool, **options: Any) -> None:
    """Starts a deployment and prints its id."""
    spec = deployment_spec.build(wanted(options), session)
    finish(deploy.run(session, spec, detach=not wait, aftermath=Aftermath()))


@deployment.command()
@wanted_options
@command_options()
def plan(session: Session, /, **options: Any) -> None:
    """Says what a deployment would do to each node, and touches nothing."""
    finish(deployments.show_plan(session, deployment_spec.build(wanted(options), session)))


@deployment.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("-l", "--owner", default="", metavar="USER", help="Only those of this user.")
@click.option("--state", "states", multiple=True, type=click.Choice(list(deployments.STATES)), help="Repeatable.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most so many.")
@command_options(lists=True)
def list_deployments(session: Session, /, *, node_set: str, owner: str, states: tuple[str, ...], limit: int) -> None:
    """Lists deployments, the latest first."""
    nodes = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(deployments.show_list(session, owner=owner, states=states, nodes=nodes, limit=limit))


@deployment.command()
@click.argument("deployment_id", metavar="ID")
@command_options()
def show(session: Session, /, *, deployment_id: str) -> None:
    """Shows everything that is known of a deployment."""
    finish(deployments.show_one(session, deployment_id))


@deployment.command()
@click.argument("deployment_id", metavar="ID")
@command_options(follows=True)
def watch(session: Session, /, *, deployment_id: str) -> None:
    """Follows a deployment to its end. Ctrl-C ends the watch, not the deployment."""
    finish(deploy.watch(session, deployment_id))


@deployment.command()
@click.argument("deployment_id", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the deployment's description.")
@command_options(form=None)
def cancel(session: Session, /, *, deployment_id: str, reason: str) -> None:
    """Asks a deployment to stop: its nodes are released and left bootable."""
    finish(deployments.cancel(session, deployment_id, reason))


@deployment.command()
@click.argument("deployment_id", metavar="ID")
@click.argument("node")
@click.option("--step", default="", metavar="STEP", help="Of this step alone.")
@command_options()
def output(session: Session, /, *, deployment_id: str, node: str, step: str) -> None:
    """Prints what scripts and commands printed on a node."""
    finish(deployments.show_output(session, deployment_id, node, step))
