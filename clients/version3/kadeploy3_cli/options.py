"""The options that version 3's commands have in common, and those of the commands that change nodes."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from kadeploy_cli.connection.session import Session
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.terminal.failures import UsageFailure

DISTRIBUTION = "kadeploy-client3"
Function = TypeVar("Function", bound=Callable[..., Any])
LAST_LEVEL, QUIET_LEVEL = 5, 0
VERBOSE_NAMES = ("-d", "--debug-mode", "--verbose", "verbose")
_PROFILE = "what a node boots is an entry: `ka boot set` writes one, of your own text too"

version_option = click.version_option(
    None, "-v", "--version", "show_version", package_name=DISTRIBUTION, help="Print the version; stands alone."
)
level_option = click.option(
    "-V",
    "--verbose-level",
    "level",
    type=click.IntRange(QUIET_LEVEL, LAST_LEVEL),
    metavar="LEVEL",
    help="0 shows the result alone; from 1 on what happens is shown.",
)
COMMON = (
    level_option,
    click.option("--force/--no-force", "force", default=False, hidden=True),
    click.option("--hook/--no-hook", "hook", default=False, hidden=True),
    click.option("--wait/--no-wait", "wait", default=True, help="Whether to wait for the end.  [default: wait]"),
    click.option("--write-workflow-id", "id_file", metavar="FILE", help="Write the id of what is begun there."),
    click.option("-o", "--output-ok-nodes", "good_file", metavar="FILE", help="Write the nodes that did it there."),
    click.option("-n", "--output-ko-nodes", "bad_file", metavar="FILE", help="Write the other nodes there."),
    click.option("-s", "--script", metavar="FILE", help="A program to run at the end."),
)

INSTEAD: Mapping[str, str] = {
    "--dry-run": "`kadeploy3 --dry-run` says what a deployment would do; nothing says it of reboots and power",
    "--breakpoint": "`kareboot3 deploy_env` leaves nodes in the deployment environment",
    "--custom-steps": "a post-install archive of the environment runs your own commands on the nodes",
    "--vlan": "no command changes VLANs: nodes are deployed in the network that they are in",
    "-w": _PROFILE,
    "--set-pxe-profile": _PROFILE,
    "--set-pxe-pattern": _PROFILE,
    "-x": _PROFILE,
    "--upload-pxe-files": _PROFILE,
}


def workflow_options(function: Function) -> Function:
    """Gives a command the options of those that change nodes."""
    decorated: Any = node_options(function)
    for option in reversed(COMMON):
        decorated = option(decorated)
    result: Function = version_option(decorated)
    return result


def settle(session: Session, options: dict[str, Any]) -> None:
    """Takes out of the options what says how to go about it, and refuses what nothing here stands for."""
    session.quiet = options.pop("level") == QUIET_LEVEL
    if options.pop("force"):
        raise UsageFailure(
            "--force works on nodes that are in use, which the locks here do not allow",
            advice="`ka deployment cancel ID` ends the deployment that has them; `ka node list` names it.",
        )
    if options.pop("hook"):
        raise UsageFailure("--hook: no hook of the site can be asked for", advice="-s FILE runs a program of your own.")
