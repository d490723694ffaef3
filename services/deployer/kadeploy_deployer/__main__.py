"""`kadeploy-deployer`: serves the deployer, and looks after its database."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from kadeploy_database.command_line import add_database_verbs
from kadeploy_deployer import bootstrap, database_commands, service
from kadeploy_deployer.adapters.activity_metrics import ActivityMetrics
from kadeploy_deployer.ports import ShellError
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_deployer.settings import Settings, read_settings
from kadeploy_deployer.store.database import Database
from kadeploy_edge.command_line import add_serve, complain, service_parser, shared_options
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_log_format, set_up_logging
from kadeploy_edge.private_file import closed_to_others
from kadeploy_edge.server import ServerSettings, serve
from kadeploy_edge.settings_file import BadSettings

SERVICE = "kadeploy-deployer"
USAGE, FAILURE, INTERRUPTED = 2, 1, 130
QUIET = ("alembic", "asyncssh")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = build_parser().parse_args(arguments)
    set_up_logging(options.log_level, quiet=QUIET)
    try:
        settings = replace(Settings.load(options.config), insecure=getattr(options, "insecure", False))
    except BadSettings as error:
        return complain(SERVICE, str(error), USAGE)
    set_log_format(settings.log_format)
    try:
        with closed_to_others():
            status: int = options.run(settings, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DomainError, ShellError, OSError) as error:
        return complain(SERVICE, str(error), FAILURE)
    return status


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    with bootstrap.open_database(settings) as database:
        bootstrap.prepare_schema(settings, database)
        return asyncio.run(_serve_until_stopped(settings, database))


async def _serve_until_stopped(settings: Settings, database: Database) -> int:
    metrics = bootstrap.make_metrics(settings, database)
    activity = None if metrics is None else ActivityMetrics(metrics.registry)
    async with (
        bootstrap.open_dependencies(settings) as dependencies,
        bootstrap.open_parts(settings, database, activity) as parts,
    ):
        return await serve(
            service.registration(parts, settings.administrators),
            ServerSettings(
                service=service.SERVICE,
                address=settings.address,
                service_names=service.SERVICE_NAMES,
                administrators=settings.administrators,
                limits=settings.limits,
                tls=settings.tls,
                insecure=settings.insecure,
                audit_log=settings.audit_log,
                metrics_address=settings.metrics_address,
                tracing_endpoint=settings.tracing_endpoint,
            ),
            on_drain=partial(_end_streams, parts),
            dependencies=dependencies,
            metrics=metrics,
        )


def _end_streams(parts: Parts) -> None:
    """Ends the calls that would never end, and those whose work goes on elsewhere."""
    parts.log.close()


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    shared = shared_options()
    parser = service_parser(SERVICE, "The deployer of Kadeploy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands, shared, serve=_serve, read=read_settings)
    add_database_verbs(commands, shared, database_commands.databases)
    return parser


if __name__ == "__main__":
    sys.exit(main())
