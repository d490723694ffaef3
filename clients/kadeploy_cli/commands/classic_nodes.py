"""kaaddnode, kadelnode and kanodes: the classic names and options for nodes."""

import click

from kadeploy_cli import node_names, nodes, partitions
from kadeploy_cli.commands.node import FIRMWARES
from kadeploy_cli.failures import UsageFailure
from kadeploy_cli.node_names import node_options
from kadeploy_cli.session import Session, command_options, finish


@click.command()
@click.argument("file")
@click.option("--cluster", default="", metavar="NAME", help='The cluster of the nodes; "default" when left out.')
@click.option(
    "--firmware", type=click.Choice(list(FIRMWARES)), default="bios", show_default=True, help="How they boot."
)
@click.option("--gpt", is_flag=True, help="Their disks get a GPT instead of an MBR partition table.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@click.version_option(None, "-V", "--version", "show_version", package_name="kadeploy")
@command_options(form=None)
def kaaddnode(session: Session, /, *, file: str, cluster: str, firmware: str, gpt: bool, dry_run: bool) -> None:
    r"""Registers the nodes of a description file ("-" for stdin), all or none.

    The file has two parts: lines "name mac ip", a line that begins with "\#", then "device size" and lines
    "number size environment". Sizes are in MB (1024 x 1024 bytes).
    """
    code = nodes.register(session, file, cluster=cluster, firmware=FIRMWARES[firmware], gpt=gpt, dry_run=dry_run)
    finish(code)


@click.command()
@click.argument("names", nargs=-1, metavar="[NODES]...")
@node_options
@click.version_option(None, "-V", "--version", "show_version", package_name="kadeploy")
@command_options(form=None)
def kadelnode(session: Session, /, *, names: tuple[str, ...], machines: tuple[str, ...], node_file: str | None) -> None:
    """Removes nodes with their disks and partitions."""
    finish(nodes.delete(session, node_names.required((*names, *machines), node_file)))


@click.command()
@click.option("-listnode", "--listnode", "list_nodes", is_flag=True, help="List the nodes.")
@click.option(
    "-listpartition",
    "--listpartition",
    "list_partitions",
    is_flag=True,
    help="List what is installed on every partition, and by which deployment.",
)
@click.option("-del", "--del", "removed", multiple=True, metavar="NODES", help="Remove nodes. Repeatable.")
@click.option("-add", "--add", "add", is_flag=True, help="Not offered: kaaddnode FILE registers nodes.")
@click.option("-z", "--cluster", default="", metavar="NAME", help="Only the nodes of this cluster.")
@node_options
@click.version_option(None, "-V", "--version", "show_version", package_name="kadeploy")
@command_options()
def kanodes(
    session: Session,
    /,
    *,
    list_nodes: bool,
    list_partitions: bool,
    removed: tuple[str, ...],
    add: bool,
    cluster: str,
    machines: tuple[str, ...],
    node_file: str | None,
) -> None:
    """Lists nodes and what is installed on them; removes nodes."""
    if add:
        raise UsageFailure(
            "-add with clusternodes.conf and clusterpartition.conf is not offered",
            advice="`kaaddnode FILE` registers nodes from one file; `kaaddnode --help` shows its form.",
        )
    if list_nodes + list_partitions + bool(removed) != 1:
        raise UsageFailure("one of -listnode, -listpartition and -del HOST is needed")
    if removed:
        finish(nodes.delete(session, node_names.required(removed, None)))
    wanted = str(node_names.from_options(machines, node_file))
    show = nodes.show_list if list_nodes else partitions.show_list
    finish(show(session, wanted, cluster))
