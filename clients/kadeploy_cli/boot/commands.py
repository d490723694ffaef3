"""`ka boot` and `ka label`: what machines boot next, and the deployment kernels that there are."""

from typing import Any

import click

from kadeploy_cli.boot import entries as boot_entries
from kadeploy_cli.boot import tree as boot_tree
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import names as node_names


@click.group()
def boot() -> None:
    """What the machines boot next."""


@boot.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@command_options(lists=True)
def list_entries(session: Session, /, *, node_set: str) -> None:
    """Lists boot entries; a node without one boots what the default file says."""
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(boot_entries.show_list(session, wanted))


@boot.command()
@click.argument("name", metavar="NODE")
@command_options()
def show(session: Session, /, *, name: str) -> None:
    """Shows a node's boot entry and the files that it stands in."""
    finish(boot_entries.show_one(session, node_names.single(name) if name else name))


@boot.command("set")
@click.argument("node_set", metavar="NODES")
@click.option("--local-disk", is_flag=True, help="What the firmware finds on the first disk.")
@click.option("--label", default="", metavar="LABEL", help="This deployment kernel.")
@click.option("--arguments", default="", metavar="TEXT", help="With --label: added to the label's own arguments.")
@click.option(
    "--chainload",
    default="",
    metavar="DISK[:PARTITION]",
    help="The loader there; disks in the firmware's order, from 0.",
)
@click.option(
    "--custom",
    default="",
    metavar="FILE",
    help='A whole pxelinux or GRUB file of your own ("-" for stdin); NODE_SINGULARITY and FILES_PREFIX are replaced.',
)
@command_options()
def set_entries(session: Session, /, *, node_set: str, **options: Any) -> None:
    """Says what machines boot from now on (administrators). Nothing is rebooted."""
    finish(
        boot_entries.set_entries(session, node_names.required([node_set], None), boot_entries.chosen_target(**options))
    )


@boot.command()
@click.argument("node_set", metavar="NODES")
@command_options()
def clear(session: Session, /, *, node_set: str) -> None:
    """Takes the entries of machines away (administrators): they boot their disk, unless `default` says otherwise."""
    finish(boot_entries.clear_entries(session, node_names.required([node_set], None)))


@boot.command()
@command_options(lists=True)
def check(session: Session, /) -> None:
    """Tells what keeps machines from booting: loaders, permissions, space, files in the way (administrators)."""
    finish(boot_tree.show_check(session))


@boot.command()
@click.option("--repair", is_flag=True, help="Put our own files right; those of others are only listed.")
@command_options(lists=True)
def reconcile(session: Session, /, *, repair: bool) -> None:
    """Compares every file of the TFTP tree with what was written (administrators)."""
    finish(boot_tree.reconcile(session, repair=repair))


@boot.command()
@command_options(lists=True)
def files(session: Session, /) -> None:
    """Lists the uploaded kernels and initrds, and how many entries name each (administrators)."""
    finish(boot_tree.show_files(session))


@boot.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, remove nothing.")
@command_options()
def collect(session: Session, /, *, dry_run: bool) -> None:
    """Removes uploaded files that no entry names and nobody wanted within the last hour (administrators).

    bootctl does it by itself every hour.
    """
    finish(boot_tree.collect(session, dry_run=dry_run))


@click.group()
def label() -> None:
    """The deployment kernels."""


@label.command("list")
@command_options(lists=True)
def list_labels(session: Session) -> None:
    """Lists the deployment kernels that bootctl knows."""
    finish(boot_entries.show_labels(session))
