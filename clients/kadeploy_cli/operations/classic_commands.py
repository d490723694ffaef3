"""kareboot, kapower, kaconsole, karemote, kaaddkeys and kastats: the classic names and options."""

from datetime import datetime
from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import statistics
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY, read_keys
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.operations import console, node_control, remote_command
from kadeploy_cli.operations.control_options import (
    FORCE_HELP,
    KINDS,
    LEVEL,
    SECONDS,
    classic_list_options,
    id_file_option,
    lists,
    no_wait_option,
    one_node,
    power_list_options,
    reboot_options,
    reboot_request,
    rescue_keys,
)
from kadeploy_cli.operations.node_control import Lists
from kadeploy_cli.terminal import foreign_words
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.failures import UsageFailure


class Day(click.DateTime):
    """A moment as people write it."""

    name = "date"

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As in click, in the words of this command."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f'"{value}" is no day; write 2026-11-22, 2026-11 or "2026-11-22 14:00"', param, ctx)


DAY = Day()


@click.command(cls=ClassicCommand, instead=foreign_words.REBOOT, elsewhere=foreign_words.REBOOT_ELSEWHERE)
@click.argument("word", required=False, metavar="[KIND]", type=click.Choice(list(KINDS)))
@reboot_options
@node_options
@classic_list_options
@no_wait_option
@id_file_option
@version_option
@command_options("--output")
def kareboot(
    session: Session,
    /,
    *,
    word: str | None,
    machines: tuple[str, ...],
    node_file: str | None,
    no_wait: bool,
    **options: Any,
) -> None:
    """Reboots nodes and waits until each of them runs what it should.

    Without -d, -e and -p they boot what their boot entry says. Without -s, -h and --very-hard the cluster's ladder
    decides: soft first, harder for those that do not come back. A node on which nothing was ever deployed cannot be
    asked what it runs; it counts as rebooted when the command has worked.

    KIND says it in Kadeploy 3's words, as -r does: simple, deploy_env, recorded_env.

    -p and -e need the right on the very partition; anything else any right on the node.
    """
    if word is not None and options["kind"] not in (None, word):
        raise UsageFailure(f"{word} and -r {options['kind']} say different things")
    options["kind"] = word or options["kind"]
    nodes = node_names.required(machines, node_file)
    files = lists(options)
    request = reboot_request(str(nodes), options)
    finish(node_control.reboot(session, request, files, wait=not no_wait, keys=rescue_keys(options)))


@click.command(cls=ClassicCommand, instead=foreign_words.POWER)
@click.argument("word", required=False, metavar="[ACTION]", type=click.Choice([*node_control.ACTIONS, "status"]))
@click.option("--on", "actions", flag_value="on", multiple=True, help="Switch on.")
@click.option("--off", "actions", flag_value="off", multiple=True, help="Switch off.")
@click.option("--cycle", "actions", flag_value="cycle", multiple=True, help="Off and on again.")
@click.option("--status", "actions", flag_value="status", multiple=True, help="Say whether it is on.")
@click.option(
    "-l",
    "--level",
    type=LEVEL,
    help="How hard: --off soft shuts the system down, --cycle hard resets. At once when left out.",
)
@click.option("--force", is_flag=True, help=FORCE_HELP)
@node_options
@power_list_options
@no_wait_option
@id_file_option
@version_option
@command_options("--output")
def kapower(
    session: Session,
    /,
    *,
    word: str | None,
    no_wait: bool,
    force: bool,
    actions: tuple[str, ...],
    level: str | None,
    machines: tuple[str, ...],
    node_file: str | None,
    **options: Any,
) -> None:
    """Switches the power of nodes, or says whether it is on.

    ACTION is the same as the option of that name: on, off, cycle, status.
    """
    chosen = {*actions, word} - {None}
    if len(chosen) != 1:
        raise UsageFailure("one of --on, --off, --cycle and --status is needed")
    action = str(chosen.pop())
    nodes = node_names.required(machines, node_file)
    files = lists(options)
    if action == "status":
        if files != Lists() or no_wait:
            raise UsageFailure(
                "-o, -n, --write-workflow-id and --no-wait say nothing with --status: nothing is done to any node"
            )
        finish(node_control.show_power(session, nodes))
    finish(node_control.set_power(session, nodes, action, level, files, wait=not no_wait, force=force))


@click.command(cls=ClassicCommand)
@click.option("-m", "--machine", "machines", multiple=True, metavar="NODE", help="The node.")
@version_option
@command_options(form=None)
def kaconsole(session: Session, /, *, machines: tuple[str, ...]) -> None:
    """Attaches this terminal to the serial console of a node.

    Every key goes to the node, Ctrl-C too; Ctrl-] leaves. One user at a time; it is closed when the right ends.
    Without a terminal, stdin is what is typed.
    """
    finish(console.attach(session, one_node(machines)))


@click.command(cls=ClassicCommand)
@click.option("-c", "--command", "command", default="true", show_default=True, metavar="TEXT", help="What to run.")
@click.option("--timeout", type=SECONDS, metavar="S", help="Seconds for each node.  [default: 600]")
@node_options
@version_option
@command_options()
def karemote(
    session: Session,
    /,
    *,
    command: str,
    timeout: float | None,
    machines: tuple[str, ...],
    node_file: str | None,
) -> None:
    """Runs a command as root on nodes; each line of what it prints has the node's name before it.

    The shell of the node reads the command. `ka node run NODES -- PROGRAM ARGUMENTS` runs a program without a shell.
    """
    nodes = node_names.required(machines, node_file)
    finish(remote_command.run(session, nodes, ["sh", "-c", command], timeout=timeout))


@click.command(cls=ClassicCommand)
@click.option(
    "-k",
    "--key-file",
    "key_files",
    multiple=True,
    metavar="FILE|URL",
    help="Public keys, one a line; your own in ~/.ssh when left out. Repeatable.",
)
@node_options
@version_option
@command_options()
def kaaddkeys(
    session: Session, /, *, key_files: tuple[str, ...], machines: tuple[str, ...], node_file: str | None
) -> None:
    """Lets the owners of public keys log in on nodes as root. The same again changes nothing."""
    nodes = node_names.required(machines, node_file)
    files = key_files or (DEFAULT_KEY,)
    keys = [key for file in files for key in read_keys(file)]
    finish(remote_command.add_keys(session, nodes, keys))


@click.command(cls=ClassicCommand, instead=foreign_words.STATISTICS)
@click.option("--since", type=DAY, metavar="DATE", help="Only deployments from this day on: 2026-11-22, 2026-11.")
@click.option("--until", type=DAY, metavar="DATE", help="Only deployments before this day.")
@node_options
@version_option
@command_options()
def kastats(
    session: Session,
    /,
    *,
    since: datetime | None,
    until: datetime | None,
    machines: tuple[str, ...],
    node_file: str | None,
) -> None:
    """Shows the history: deployments per month, how often each node failed, how long each step took."""
    nodes = str(node_names.from_options(machines, node_file))
    finish(statistics.show(session, nodes=nodes, since=since, until=until))
