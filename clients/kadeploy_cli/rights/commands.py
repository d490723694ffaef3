"""`ka right`: who may deploy what where."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.rights import actions as rights

USERS = click.option("-l", "--user", "users", multiple=True, metavar="USER", help='A user, "*" for all. Repeatable.')
PARTITIONS = click.option(
    "-p",
    "--partition",
    "--part",
    "parts",
    multiple=True,
    metavar="PARTITION",
    help='Such as sda3 or /dev/sda3, "*" for all. Repeatable.',
)


@click.group()
def right() -> None:
    """Who may deploy what where."""


@right.command()
@USERS
@node_options
@PARTITIONS
@click.option("--until", metavar="TIME", help="The right ends then, such as 2030-01-31T18:00.")
@command_options()
def grant(
    session: Session,
    /,
    *,
    users: tuple[str, ...],
    machines: tuple[str, ...],
    node_file: str | None,
    parts: tuple[str, ...],
    until: str | None,
) -> None:
    """Grants users the partitions of nodes."""
    nodes = rights.node_words(machines, node_file)
    finish(rights.grant(session, users=users, nodes=nodes, parts=parts, until=rights.moment(until)))


@right.command()
@USERS
@node_options
@PARTITIONS
@command_options()
def revoke(
    session: Session,
    /,
    *,
    users: tuple[str, ...],
    machines: tuple[str, ...],
    node_file: str | None,
    parts: tuple[str, ...],
) -> None:
    """Takes rights away; what is left out fits all."""
    finish(rights.revoke(session, users=users, nodes=rights.node_words(machines, node_file), parts=parts))


@right.command("list")
@click.option("-l", "--user", default="", metavar="USER", help="Only the rights of this user.")
@node_options
@command_options(lists=True)
def list_rights(session: Session, /, *, user: str, machines: tuple[str, ...], node_file: str | None) -> None:
    """Lists rights."""
    finish(rights.show_list(session, user=user, nodes=rights.node_words(machines, node_file)))
