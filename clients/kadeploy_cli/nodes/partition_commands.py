"""`ka partition`: what is installed where."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes import partitions


@click.group()
def partition() -> None:
    """What is installed where."""


@partition.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("--cluster", default="", metavar="NAME", help="Only the nodes of this cluster.")
@command_options(lists=True)
def list_partitions(session: Session, /, *, node_set: str, cluster: str) -> None:
    """Lists partitions with their state, environment and deployment."""
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(partitions.show_list(session, wanted, cluster))
