"""All commands of version 3: for their man pages, completions and reference."""

import click

from kadeploy3_cli.deploying import kadeploy3
from kadeploy3_cli.rebooting import kareboot3
from kadeploy3_cli.same_options import kaenv3, kanodes3, karights3, kastat3
from kadeploy3_cli.switching import kapower3
from kadeploy3_cli.watching_console import kaconsole3

VERSION_3: tuple[click.Command, ...] = (
    kadeploy3,
    kareboot3,
    kapower3,
    kaconsole3,
    kaenv3,
    karights3,
    kanodes3,
    kastat3,
)
