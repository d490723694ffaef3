"""kaenv3, karights3, kanodes3 and kastat3: the commands without the numeral have version 3's options already."""

import copy

import click

from kadeploy3_cli import options
from kadeploy_cli.environments.kaenv import kaenv
from kadeploy_cli.history.kastat import kastat
from kadeploy_cli.nodes.classic_commands import kanodes
from kadeploy_cli.rights.classic_commands import karights


def _named(command: click.Command, name: str) -> click.Command:
    """Returns the command under another name, whose version is asked for with -v."""
    renamed = copy.copy(command)
    renamed.name = name
    own = [each for each in command.params if each.name != "show_version"]
    renamed.params = own
    return options.version_option(renamed)


kaenv3 = _named(kaenv, "kaenv3")
karights3 = _named(karights, "karights3")
kanodes3 = _named(kanodes, "kanodes3")
kastat3 = _named(kastat, "kastat3")
