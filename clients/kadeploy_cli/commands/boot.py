"""`ka boot` and `ka label`: what machines boot next, and the deployment kernels that there are."""

import click

from kadeploy_cli import boot as boot_entries
from kadeploy_cli import node_names
from kadeploy_cli.session import Session, command_options, finish


@click.group()
def boot() -> None:
    """What the machines boot next."""


@boot.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@command_options()
def list_entries(session: Session, /, *, node_set: str) -> None:
    """Lists boot entries; a node without one boots what the default file says."""
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(boot_entries.show_list(session, wanted))


@boot.command()
@click.argument("name", metavar="NODE")
@command_options()
def show(session: Session, /, *, name: str) -> None:
    """Shows a node's boot entry and the files that it stands in."""
    finish(boot_entries.show_one(session, name))


@click.group()
def label() -> None:
    """The deployment kernels."""


@label.command("list")
@command_options()
def list_labels(session: Session) -> None:
    """Lists the deployment kernels that bootctl knows."""
    finish(boot_entries.show_labels(session))
