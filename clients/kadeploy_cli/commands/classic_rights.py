"""kaadduser and kadeluser: the classic names and options for rights."""

import click

from kadeploy_cli import rights
from kadeploy_cli.commands.right import PARTITIONS, USERS
from kadeploy_cli.node_names import node_options
from kadeploy_cli.session import Session, command_options, finish


@click.command()
@USERS
@node_options
@PARTITIONS
@click.option("--until", metavar="TIME", help="The right ends then, such as 2030-01-31T18:00.")
@click.version_option(None, "-V", "--version", "show_version", package_name="kadeploy")
@command_options()
def kaadduser(
    session: Session,
    /,
    *,
    users: tuple[str, ...],
    machines: tuple[str, ...],
    node_file: str | None,
    parts: tuple[str, ...],
    until: str | None,
) -> None:
    """Grants users the partitions of nodes; all partitions when none is named."""
    nodes = rights.node_words(machines, node_file)
    finish(rights.grant(session, users=users, nodes=nodes, parts=parts, until=rights.moment(until)))


@click.command()
@USERS
@node_options
@PARTITIONS
@click.version_option(None, "-V", "--version", "show_version", package_name="kadeploy")
@command_options()
def kadeluser(
    session: Session,
    /,
    *,
    users: tuple[str, ...],
    machines: tuple[str, ...],
    node_file: str | None,
    parts: tuple[str, ...],
) -> None:
    """Takes rights away; what is left out fits all, but something must be named."""
    finish(rights.revoke(session, users=users, nodes=rights.node_words(machines, node_file), parts=parts))
