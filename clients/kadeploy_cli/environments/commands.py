"""`ka environment`: the systems that can be installed."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.environments.oci_commands import from_oci
from kadeploy_cli.environments.upload_commands import upload
from kadeploy_cli.terminal.failures import UsageFailure


@click.group()
def environment() -> None:
    """The systems that can be installed."""


@environment.command("list")
@click.option("--name", default="", help="Only environments of this name.")
@click.option("-l", "--owner", default="", metavar="USER", help="Only those of this owner.")
@click.option("--cluster", default="", metavar="NAME", help="Only those made for this cluster.")
@click.option("--latest", is_flag=True, help="Only the latest version of each.")
@command_options(lists=True)
def list_environments(session: Session, /, *, name: str, owner: str, cluster: str, latest: bool) -> None:
    """Lists the environments that you may use."""
    finish(environments.show_list(session, name=name, owner=owner, cluster=cluster, latest=latest))


@environment.command()
@click.argument("name")
@click.option(
    "--env-version", "version", type=click.IntRange(1), metavar="N", help="The version; the latest when left out."
)
@click.option("-l", "--owner", default="", metavar="USER", help="Whose; your own, then public ones when left out.")
@command_options()
def show(session: Session, /, *, name: str, version: int | None, owner: str) -> None:
    """Shows an environment."""
    finish(environments.show_one(session, name, version, owner))


@environment.command()
@click.argument("file")
@click.option("-l", "--owner", default="", metavar="USER", help="Record it as this user's (administrators).")
@click.option("--visibility", type=click.Choice(["private", "shared", "public"]), help="Instead of the file's.")
@click.option("--env-version", "version", metavar="N", help="Instead of the file's version.")
@command_options(form=None)
def record(session: Session, /, *, file: str, owner: str, visibility: str | None, version: str | None) -> None:
    """Records the environment of a description file: YAML, or "key = value" lines ("-" for stdin)."""
    options = {"visibility": visibility, "version": version}
    finish(environments.record(session, file=file, options=options, owner=owner))


@environment.command()
@click.argument("name")
@click.option(
    "--env-version", "version", type=click.IntRange(1), metavar="N", help="The version; the latest when left out."
)
@click.option("-l", "--owner", default="", metavar="USER", help="Whose (administrators).")
@click.option("--visibility", type=click.Choice(["private", "shared", "public"]), help="Who may use it from now on.")
@click.option("--accept-digest", is_flag=True, help="Read its files again, and take the digests that they have now.")
@command_options(form=None)
def update(
    session: Session,
    /,
    *,
    name: str,
    version: int | None,
    owner: str,
    visibility: str | None,
    accept_digest: bool,
) -> None:
    """Changes an environment's visibility, or accepts files that have changed; nothing else of a version changes."""
    if visibility is None and not accept_digest:
        raise UsageFailure("nothing to change is named", advice="Name --visibility or --accept-digest.")
    named = environments.reference(name, version, owner)
    accepted = environments.FILES if accept_digest else ()
    finish(environments.update(session, named, visibility=visibility, accepted=accepted))


@environment.command()
@click.argument("name")
@click.option(
    "--env-version", "version", type=click.IntRange(1), metavar="N", help="This version alone; all when left out."
)
@click.option("-l", "--owner", default="", metavar="USER", help="Whose (administrators).")
@command_options(form=None)
def delete(session: Session, /, *, name: str, version: int | None, owner: str) -> None:
    """Removes an environment."""
    finish(environments.delete(session, name, version, owner))


environment.add_command(from_oci)
environment.add_command(upload)
