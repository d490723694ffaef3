"""`ka operation`: reboots, power changes and commands, under way or past."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.operations import actions


@click.group()
def operation() -> None:
    """Reboots, power changes and commands on nodes, under way or past."""


@operation.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("-l", "--owner", default="", metavar="USER", help="Only those of this user.")
@click.option("--state", "states", multiple=True, type=click.Choice(list(actions.STATES)), help="Repeatable.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(actions.KINDS)), help="Repeatable.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most so many.")
@command_options(lists=True)
def list_operations(
    session: Session,
    /,
    *,
    node_set: str,
    owner: str,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    limit: int,
) -> None:
    """Lists operations, the latest first."""
    nodes = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(actions.show_list(session, owner=owner, states=states, kinds=kinds, nodes=nodes, limit=limit))


@operation.command()
@click.argument("operation_id", metavar="ID")
@command_options()
def show(session: Session, /, *, operation_id: str) -> None:
    """Shows everything that is known of an operation."""
    finish(actions.show_one(session, operation_id))


@operation.command()
@click.argument("operation_id", metavar="ID")
@command_options()
def watch(session: Session, /, *, operation_id: str) -> None:
    """Follows an operation to its end. Ctrl-C ends the watch, not the operation."""
    finish(actions.watch(session, operation_id))


@operation.command()
@click.argument("operation_id", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the operation's description.")
@command_options(form=None)
def cancel(session: Session, /, *, operation_id: str, reason: str) -> None:
    """Asks an operation to stop: nodes that are not begun are left alone."""
    finish(actions.cancel(session, operation_id, reason))
