"""`kadeploy-inventory`: serves the inventory, and looks after its databases."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Engine

from kadeploy_database.command_line import add_database_verbs
from kadeploy_database.database_commands import closing, mark_files
from kadeploy_database.statement_times import time_statements
from kadeploy_edge.command_line import add_serve, complain, service_parser, shared_options
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_log_format, set_up_logging
from kadeploy_edge.private_file import closed_to_others
from kadeploy_edge.server import serve
from kadeploy_edge.settings_file import BadSettings
from kadeploy_inventory import bootstrap, database_commands
from kadeploy_inventory.settings import Settings, read_settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import is_embedded

SERVICE = "kadeploy-inventory"
USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = build_parser().parse_args(arguments)
    set_up_logging(options.log_level, quiet=["alembic"])
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
    except (DomainError, OSError) as error:
        return complain(SERVICE, str(error), FAILURE)
    return status


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    with closing(bootstrap.open_engines(settings)) as engines:
        return _serve_on(settings, engines)


def _serve_on(settings: Settings, engines: Mapping[str, Engine]) -> int:
    if all(is_embedded(engine) for engine in engines.values()):
        schema.upgrade(engines)
    if found := database_commands.outdated(engines):
        return complain(SERVICE, "; ".join(found), FAILURE)
    schema.check_tables_of(engines)
    mark_files(database_commands.databases(settings).accesses)
    runtime = bootstrap.build_runtime(settings, engines, reserve_space=True)
    metrics = bootstrap.make_metrics(settings)
    if metrics is not None:
        for name, engine in engines.items():
            time_statements(engine, metrics.statement_observer(name))
    logins = bootstrap.login_server_settings(settings)
    beside = [] if logins is None else [(bootstrap.login_registration(runtime), logins)]
    return asyncio.run(
        serve(
            bootstrap.registration(runtime),
            bootstrap.server_settings(settings),
            beside=beside,
            dependencies=bootstrap.dependencies(settings),
            metrics=metrics,
        )
    )


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    shared = shared_options()
    parser = service_parser(SERVICE, "The inventory of Kadeploy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands, shared, serve=_serve, read=read_settings)
    add_database_verbs(commands, shared, database_commands.databases)
    return parser


if __name__ == "__main__":
    sys.exit(main())
