"""`ka`: everything, by noun and verb."""

import importlib.metadata

import click

from kadeploy_cli.boot.commands import boot, label
from kadeploy_cli.boot.dhcp_commands import dhcp
from kadeploy_cli.clusters.commands import cluster
from kadeploy_cli.deployments.commands import deployment
from kadeploy_cli.environments.commands import environment
from kadeploy_cli.login.commands import login
from kadeploy_cli.nodes.commands import node
from kadeploy_cli.nodes.partition_commands import partition
from kadeploy_cli.operations.commands import console, keys, power, reboot, run, statistics
from kadeploy_cli.overview.commands import status
from kadeploy_cli.pki.commands import pki
from kadeploy_cli.rights.commands import right
from kadeploy_cli.terminal.classic_command import DISTRIBUTION, VersionedGroup, version_option


@click.group(cls=VersionedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def ka() -> None:
    """Installs operating systems on the nodes of a cluster.

    Settings come from client.toml: the file that $KADEPLOY_CONFIG names, ~/.config/kadeploy/client.toml, or
    /etc/kadeploy/client.toml.
    """


@ka.command()
def version() -> None:
    """Prints the version of these commands."""
    click.echo(importlib.metadata.version(DISTRIBUTION))


for group in (node, cluster, environment, right, deployment, partition, boot, label, dhcp, pki):
    ka.add_command(group)

for command in (reboot, power, console, run, keys):
    node.add_command(command)
ka.add_command(statistics)
ka.add_command(login)
ka.add_command(status)
