"""`ka partition`: what is installed where."""

from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments.spec import BOOT_METHODS
from kadeploy_cli.nodes import declaring, partitions
from kadeploy_cli.nodes import names as node_names


@click.group()
def partition() -> None:
    """What is installed where."""


@partition.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("--cluster", default="", metavar="NAME", help="Only the nodes of this cluster.")
@command_options(lists=True)
def list_partitions(session: Session, /, *, node_set: str, cluster: str) -> None:
    """Lists partitions with their state, environment and deployment."""
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(partitions.show_list(session, wanted, cluster))


@partition.command("declare")
@click.argument("node_set", metavar="NODES")
@click.option("-e", "--environment", metavar="NAME", help="The recorded environment that is installed there.")
@click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="Its version; the latest without.")
@click.option("-l", "--login", "owner", default="", metavar="USER", help="Whose environment it is.")
@click.option("-p", "--partition", metavar="PARTITION", help="2, sda2, /dev/sda2; the cluster's when left out.")
@click.option("-d", "--device", metavar="DEVICE", help="Its disk: sda, /dev/sda; the cluster's when left out.")
@click.option(
    "--boot-method",
    type=click.Choice([name for name in BOOT_METHODS if name != "kexec"]),
    help="How it boots: kernel and initrd over the network, or of the node's own disk by GRUB, or its own loader.",
)
@click.option(
    "--kernel-arguments", default="", metavar="TEXT", help="Of its kernel, instead of those of the environment."
)
@click.option(
    "--host-keys",
    metavar="FILE",
    help='A known_hosts file with the keys of all these nodes, "-" for stdin: a reboot then proves that they run it.',
)
@click.option("--empty", is_flag=True, help="Nothing that Kadeploy knows is there.")
@command_options()
def declare(session: Session, /, *, node_set: str, **given: Any) -> None:
    """Says what partitions hold that something else installed, such as the site's own system.

    `kareboot -p PARTITION` then boots it, and epilogues of batch schedulers bring nodes back to it. For administrators.
    """
    nodes = node_names.parse(node_set, "NODES")
    finish(declaring.declare(session, nodes, declaring.Options(**given)))
