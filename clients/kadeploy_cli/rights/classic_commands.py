"""kaadduser, kadeluser and karights: the classic names and options for rights."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.rights import actions as rights
from kadeploy_cli.rights.commands import PARTITIONS, USERS
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.failures import UsageFailure


@click.command(cls=ClassicCommand)
@USERS
@node_options
@PARTITIONS
@click.option("--until", metavar="TIME", help="The right ends then, such as 2030-01-31T18:00.")
@version_option
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


@click.command(cls=ClassicCommand)
@USERS
@node_options
@PARTITIONS
@version_option
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


@click.command(cls=ClassicCommand)
@click.option("-a", "--add", "added", is_flag=True, help="Grant the user the partitions of the nodes.")
@click.option("-d", "--delete", "removed", is_flag=True, help="Take those rights away.")
@click.option(
    "-l",
    "-s",
    "--list",
    "--show-rights",
    "listed",
    is_flag=True,
    help="List rights: of the user, on the nodes, or all.",
)
@click.option("-u", "--user", "user", default="", metavar="USER", help='The user, "*" for all.')
@node_options
@PARTITIONS
@click.option(
    "-o",
    "--overwrite-rights",
    "overwrite",
    is_flag=True,
    help="With -a: take away what other users have on these nodes, instead of refusing.",
)
@click.option("--until", metavar="TIME", help="With -a: the right ends then, such as 2030-01-31T18:00.")
@version_option
@command_options("--output", lists=True)
def karights(
    session: Session,
    /,
    *,
    added: bool,
    removed: bool,
    listed: bool,
    user: str,
    machines: tuple[str, ...],
    node_file: str | None,
    parts: tuple[str, ...],
    overwrite: bool,
    until: str | None,
) -> None:
    """Lists, grants and takes away rights, as Kadeploy 3's command did.

    -a refuses nodes on which another user has a right of their own; kaadduser does not.
    """
    if added + removed + listed != 1:
        raise UsageFailure("one of --add, --delete and --list is needed")
    if (overwrite or until is not None) and not added:
        raise UsageFailure("-o and --until go with -a")
    if listed and parts:
        raise UsageFailure("-p says nothing with -l, which lists the rights on all partitions")
    nodes = rights.node_words(machines, node_file)
    if listed:
        finish(rights.show_list(session, user=user, nodes="" if nodes == rights.EVERYTHING else nodes))
    users = [user] if user else []
    if removed:
        finish(rights.revoke(session, users=users, nodes=nodes, parts=parts, user_option="-u"))
    moment = rights.moment(until)
    if users and nodes:
        rights.clear_others(session, user=user, nodes=nodes, overwrite=overwrite)
    finish(rights.grant(session, users=users, nodes=nodes, parts=parts, until=moment, user_option="-u"))
