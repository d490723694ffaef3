"""`ka cluster`: machines of one kind, and how they are handled."""

import click

from kadeploy_cli.clusters import actions as clusters
from kadeploy_cli.connection.session import Session, command_options, finish


@click.group()
def cluster() -> None:
    """Machines of one kind, and how they are handled."""


@cluster.command("list")
@command_options(lists=True)
def list_clusters(session: Session) -> None:
    """Lists clusters."""
    finish(clusters.show_list(session))


@cluster.command()
@click.argument("name")
@command_options()
def show(session: Session, /, *, name: str) -> None:
    """Shows a cluster's profile."""
    finish(clusters.show_one(session, name))


@cluster.command()
@click.argument("name")
@click.option(
    "--profile", metavar="FILE", help='The profile, a YAML file; "-" for stdin. Defaults where it says nothing.'
)
@command_options(form=None)
def create(session: Session, /, *, name: str, profile: str | None) -> None:
    """Makes a cluster."""
    finish(clusters.create(session, name, profile))


@cluster.command()
@click.argument("name")
@click.option("--profile", required=True, metavar="FILE", help="A YAML file with the keys to change; the others stay.")
@command_options(form=None)
def update(session: Session, /, *, name: str, profile: str) -> None:
    """Changes a cluster's profile."""
    finish(clusters.update(session, name, profile))


@cluster.command()
@click.argument("name")
@command_options(form=None)
def delete(session: Session, /, *, name: str) -> None:
    """Removes a cluster that has no nodes."""
    finish(clusters.delete(session, name))
