"""kaconsole3: a console that is left as version 3's was."""

import click

from kadeploy3_cli import options
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.operations import console
from kadeploy_cli.operations.control_options import one_node
from kadeploy_cli.terminal.classic_command import ClassicCommand

FOUR_ESCAPES = b"\x1b" * 4


@click.command(cls=ClassicCommand)
@click.option("-m", "--machine", "machines", multiple=True, metavar="NODE", help="The node.")
@options.version_option
@command_options(form=None, verbose_names=options.VERBOSE_NAMES)
def kaconsole3(session: Session, /, *, machines: tuple[str, ...]) -> None:
    """Attaches this terminal to the serial console of a node.

    ESC four times leaves, and Ctrl-]. Every other key goes to the node, Ctrl-C too.
    """
    leaving = console.Leaving(keys=(console.ESCAPE, FOUR_ESCAPES), words="ESC four times, or Ctrl-], leaves it")
    finish(console.attach(session, one_node(machines), leaving))
