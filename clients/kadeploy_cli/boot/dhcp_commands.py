"""`ka dhcp`: the nodes for the site's DHCP server."""

import click

from kadeploy_cli.boot import dhcp as renderers
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.exit_codes import ExitCode


@click.group()
def dhcp() -> None:
    """What the site's DHCP server has to know."""


@dhcp.command()
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("--cluster", default="", metavar="NAME", help="Only the nodes of this cluster.")
@click.option(
    "--format",
    "server",
    type=click.Choice(list(renderers.FORMATS)),
    required=True,
    help='Whose words: "isc" is included in dhcpd.conf, "dnsmasq" is a file of conf-dir, "kea" a list for '
    '"reservations": <?include "FILE"?> (with --subnet one for "subnet4").',
)
@click.option(
    "--tftp-server", default="", metavar="ADDRESS", help="The TFTP host, unless it is the DHCP server itself."
)
@click.option(
    "--repository",
    default="PXEClient",
    show_default=True,
    metavar="PATH",
    help="bootctl's tftp_repository, or its tftp_repository_intel (X86PC/linux).",
)
@click.option(
    "--loader",
    default="",
    metavar="NAME",
    help="First loader of machines with a BIOS, where it is not the one that `kadeploy-bootctl init` puts into the "
    "repository: linux.0 in X86PC/linux, pxelinux.0 elsewhere.",
)
@click.option(
    "--subnet",
    "networks",
    multiple=True,
    metavar="NETWORK[,ROUTER]",
    help="Print the nodes' network too, such as 172.16.0.0/16,172.16.0.1. Repeatable; every node has to be in one.",
)
@command_options(form=None)
def render(
    session: Session,
    /,
    *,
    node_set: str,
    cluster: str,
    server: str,
    tftp_server: str,
    repository: str,
    loader: str,
    networks: tuple[str, ...],
) -> None:
    """Prints the host entries of the nodes, each with the loader of its firmware."""
    loaders, subnets = renderers.loaders(tftp_server, repository, loader), renderers.subnets(networks)
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    found = nodes.fetch(session, wanted, cluster)
    click.echo(renderers.FORMATS[server](found, loaders, subnets), nl=False)
    finish(ExitCode.OK)
