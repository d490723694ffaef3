"""`ka node reboot|power|console|run|keys` and `ka statistics`: what is done to nodes, and what was done."""

from datetime import datetime
from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import statistics as histories
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY, read_keys
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.operations import console as consoles
from kadeploy_cli.operations import node_control, remote_command
from kadeploy_cli.operations.classic_commands import DAY
from kadeploy_cli.operations.control_options import (
    FORCE_HELP,
    LEVEL,
    SECONDS,
    list_options,
    lists,
    one_node,
    reboot_options,
    reboot_request,
    rescue_keys,
)
from kadeploy_cli.terminal.failures import UsageFailure


@click.command()
@click.argument("node_set", metavar="NODES")
@reboot_options
@list_options
@command_options()
def reboot(session: Session, /, *, node_set: str, **options: Any) -> None:
    """Reboots nodes and waits until each of them runs what it should; as kareboot."""
    nodes = node_names.required([node_set], None)
    files = lists(options)
    request = reboot_request(str(nodes), options)
    finish(node_control.reboot(session, request, files, keys=rescue_keys(options)))


@click.command()
@click.argument("node_set", metavar="NODES")
@click.argument("action", type=click.Choice([*node_control.ACTIONS, "status"]))
@click.option("-l", "--level", type=LEVEL, help="How hard; at once when left out.")
@click.option("--force", is_flag=True, help=FORCE_HELP)
@list_options
@command_options()
def power(session: Session, /, *, node_set: str, action: str, level: str | None, force: bool, **options: Any) -> None:
    """Switches the power of nodes, or says whether it is on."""
    nodes = node_names.required([node_set], None)
    files = lists(options)
    if action == "status":
        if files != node_control.Lists():
            raise UsageFailure(
                "--output-ok-nodes and --output-ko-nodes say nothing with status: nothing is done to any node"
            )
        finish(node_control.show_power(session, nodes))
    finish(node_control.set_power(session, nodes, action, level, files, force=force))


@click.command()
@click.argument("name", metavar="NODE")
@command_options(form=None)
def console(session: Session, /, *, name: str) -> None:
    """Attaches this terminal to the serial console of a node; Ctrl-] leaves."""
    finish(consoles.attach(session, one_node((name,))))


@click.command()
@click.argument("node_set", metavar="NODES")
@click.argument("arguments", nargs=-1, required=True, metavar="-- PROGRAM [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--timeout", type=SECONDS, metavar="S", help="Seconds for each node.  [default: 600]")
@command_options()
def run(session: Session, /, *, node_set: str, arguments: tuple[str, ...], timeout: float | None) -> None:
    """Runs a program as root on nodes; no shell reads its arguments."""
    finish(remote_command.run(session, node_names.required([node_set], None), arguments, timeout=timeout))


@click.command()
@click.argument("node_set", metavar="NODES")
@click.argument("key_files", nargs=-1, metavar="[FILE]...")
@command_options()
def keys(session: Session, /, *, node_set: str, key_files: tuple[str, ...]) -> None:
    """Lets the owners of public keys log in on nodes as root; your own keys when no file is named."""
    wanted = node_names.required([node_set], None)
    files = key_files or (DEFAULT_KEY,)
    finish(remote_command.add_keys(session, wanted, [key for file in files for key in read_keys(file)]))


@click.command()
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("--since", type=DAY, metavar="DATE", help="Only deployments from this day on: 2026-11-22, 2026-11.")
@click.option("--until", type=DAY, metavar="DATE", help="Only deployments before this day.")
@command_options()
def statistics(session: Session, /, *, node_set: str, since: datetime | None, until: datetime | None) -> None:
    """Shows the history: deployments per month, how often each node failed, how long each step took."""
    nodes = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(histories.show(session, nodes=nodes, since=since, until=until))
