"""kapower3: version 3's words for power."""

from typing import Any

import click

from kadeploy3_cli import options
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.operations import node_control
from kadeploy_cli.operations.control_options import LEVEL, lists
from kadeploy_cli.terminal.classic_command import ClassicCommand
from kadeploy_cli.terminal.failures import UsageFailure

ACTIONS = ("on", "off", "status")


@click.command(cls=ClassicCommand, instead=options.INSTEAD)
@click.argument("word", required=False, metavar="[ACTION]", type=click.Choice(ACTIONS))
@click.option("--on", "actions", flag_value="on", multiple=True, help="Switch on.")
@click.option("--off", "actions", flag_value="off", multiple=True, help="Switch off.")
@click.option("--status", "actions", flag_value="status", multiple=True, help="Say whether it is on.")
@click.option("-l", "--op-level", "level_word", type=LEVEL, help="How hard; at once when left out.")
@options.workflow_options
@command_options("--output", verbose_names=options.VERBOSE_NAMES)
def kapower3(
    session: Session,
    /,
    *,
    word: str | None,
    actions: tuple[str, ...],
    level_word: str | None,
    machines: tuple[str, ...],
    node_file: str | None,
    wait: bool,
    **given: Any,
) -> None:
    """Switches the power of nodes, or says whether it is on."""
    options.settle(session, given)
    chosen = {*actions, word} - {None}
    if len(chosen) != 1:
        raise UsageFailure("one of --on, --off and --status is needed")
    action = str(chosen.pop())
    nodes = node_names.required(machines, node_file)
    files = lists(given)
    if action != "status":
        finish(node_control.set_power(session, nodes, action, level_word, files, wait=wait))
    if files != node_control.Lists() or not wait:
        raise UsageFailure("-o, -n, -s, --write-workflow-id and --no-wait say nothing with --status")
    finish(node_control.show_power(session, nodes))
