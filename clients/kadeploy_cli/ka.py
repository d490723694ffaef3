"""`ka`: everything, by noun and verb."""

import importlib.metadata
import json

import click

from kadeploy_cli.boot.commands import boot, label
from kadeploy_cli.boot.dhcp_commands import dhcp
from kadeploy_cli.clusters.commands import cluster
from kadeploy_cli.deployments.commands import deployment
from kadeploy_cli.descriptions import schema
from kadeploy_cli.doctor.commands import doctor
from kadeploy_cli.environments.commands import environment
from kadeploy_cli.imports.commands import import_
from kadeploy_cli.login.commands import login
from kadeploy_cli.nodes.commands import node
from kadeploy_cli.nodes.partition_commands import partition
from kadeploy_cli.operations.commands import console, keys, power, reboot, run, statistics
from kadeploy_cli.operations.operation_commands import operation
from kadeploy_cli.overview.commands import status
from kadeploy_cli.pki.commands import pki
from kadeploy_cli.rights.commands import right
from kadeploy_cli.terminal.classic_command import DISTRIBUTION, VersionedGroup, version_option
from kadeploy_cli.web.commands import web


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


@ka.command("schema")
@click.argument("kind", type=click.Choice(tuple(schema.SCHEMAS)))
def print_schema(kind: str) -> None:
    """Prints the JSON schema of a YAML file, for editors and generators."""
    click.echo(json.dumps(schema.SCHEMAS[kind](), indent=2))


for group in (
    node,
    cluster,
    environment,
    right,
    deployment,
    operation,
    partition,
    boot,
    label,
    dhcp,
    pki,
    import_,
    web,
):
    ka.add_command(group)

for command in (reboot, power, console, run, keys):
    node.add_command(command)
ka.add_command(statistics)
ka.add_command(login)
ka.add_command(status)
ka.add_command(doctor)
