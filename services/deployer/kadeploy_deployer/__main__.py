"""`kadeploy-deployer`: serves the deployer, and looks after its database."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from kadeploy_database.command_line import add_database_verbs
from kadeploy_deployer import bootstrap, database_commands, service
from kadeploy_deployer.ports import ShellError
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_deployer.settings import Settings
from kadeploy_deployer.store.database import Database
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_up_logging
from kadeploy_edge.private_file import closed_to_others
from kadeploy_edge.server import ServerSettings, serve
from kadeploy_edge.settings_file import BadSettings

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
QUIET = ("alembic", "asyncssh")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = _parser().parse_args(arguments)
    set_up_logging(options.log_level, quiet=QUIET)
    try:
        settings = replace(Settings.load(options.config), insecure=getattr(options, "insecure", False))
    except BadSettings as error:
        return _complain(str(error), USAGE)
    try:
        with closed_to_others():
            status: int = options.run(settings, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DomainError, ShellError, OSError) as error:
        return _complain(str(error), FAILURE)
    return status


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    with bootstrap.open_database(settings) as database:
        bootstrap.prepare_schema(settings, database)
        return asyncio.run(_serve_until_stopped(settings, database))


async def _serve_until_stopped(settings: Settings, database: Database) -> int:
    async with bootstrap.open_parts(settings, database) as parts:
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
            ),
            on_drain=partial(_end_streams, parts),
        )


def _end_streams(parts: Parts) -> None:
    """Ends the calls that would never end, and those whose work goes on elsewhere."""
    parts.log.close()
    parts.control.operations.leave()


def _complain(sentence: str, status: int) -> int:
    sys.stderr.write(f"kadeploy-deployer: {sentence}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, required=True, metavar="FILE", help="the settings (TOML)")
    shared.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default: info"
    )
    parser = argparse.ArgumentParser(prog="kadeploy-deployer", description="The deployer of Kadeploy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", parents=[shared], help="serve until told to stop")
    serve.add_argument(
        "--insecure", action="store_true", help="plain text on loopback: every process of this host is believed"
    )
    serve.set_defaults(run=_serve)
    add_database_verbs(commands, shared, database_commands.databases)
    return parser


if __name__ == "__main__":
    sys.exit(main())
