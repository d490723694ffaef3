"""`ka import`: what a site of Kadeploy 2 or 3 has, brought over."""

from pathlib import Path

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.imports import actions as imports
from kadeploy_cli.imports import kadeploy2, kadeploy3
from kadeploy_cli.imports.plan import ImportPlan
from kadeploy_cli.terminal.failures import UsageFailure

CONFIGURATION = click.option(
    "--configuration", "directory", metavar="DIR", help="The directory of the configuration files."
)
DUMPS = click.option(
    "--dump", "dumps", multiple=True, metavar="FILE", help="What mysqldump wrote of the database. Repeatable."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be made and what has no counterpart.")


@click.group("import")
def import_() -> None:
    """Brings over what a site of Kadeploy 2 or 3 has."""


@import_.command("kadeploy2")
@CONFIGURATION
@DUMPS
@DRY_RUN
@command_options()
def from_version_2(session: Session, /, *, directory: str | None, dumps: tuple[str, ...], dry_run: bool) -> None:
    """Imports deploy.conf, deploy_cmd.conf, deploy_cluster.conf and the databases of Kadeploy 2.

    Environments are read where the database says that their files are; those that cannot be read here are left out.
    May be repeated: what stands there already is left as it is.
    """
    _check(directory, dumps)
    _finish(session, kadeploy2.plan(_path(directory), [Path(file) for file in dumps]), dry_run=dry_run)


@import_.command("kadeploy3")
@CONFIGURATION
@DUMPS
@click.option(
    "--addresses",
    metavar="FILE",
    help="The MAC addresses of the nodes, which version 3 does not have: a line name MAC each.",
)
@DRY_RUN
@command_options()
def from_version_3(
    session: Session, /, *, directory: str | None, dumps: tuple[str, ...], addresses: str | None, dry_run: bool
) -> None:
    """Imports server.conf, clusters.conf, the clusters' files, command.conf and the database of Kadeploy 3.

    Environments are read where the database says that their files are; those that cannot be read here are left out.
    May be repeated: what stands there already is left as it is.
    """
    _check(directory, dumps)
    plan = kadeploy3.plan(_path(directory), [Path(file) for file in dumps], addresses=_path(addresses))
    _finish(session, plan, dry_run=dry_run)


def _check(directory: str | None, dumps: tuple[str, ...]) -> None:
    if directory is None and not dumps:
        raise UsageFailure("nothing is named to import", advice="Name --configuration DIR, --dump FILE, or both.")
    if directory is not None and not Path(directory).is_dir():
        raise UsageFailure(f"{directory} is no directory")


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _finish(session: Session, plan: ImportPlan, *, dry_run: bool) -> None:
    plan.leave_out_unknown_systems()
    finish(imports.show(session, plan) if dry_run else imports.carry_out(session, plan))
