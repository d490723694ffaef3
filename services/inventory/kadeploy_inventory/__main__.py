"""`kadeploy-inventory`: serves the inventory, and looks after its databases."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import is_embedded
from kadeploy_rpckit.errors import DomainError
from kadeploy_rpckit.server import serve_sync
from kadeploy_rpckit.settings_file import BadSettings

USAGE, FAILURE = 2, 1
LOG_FORMAT = "time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = replace(Settings.load(options.config), insecure=getattr(options, "insecure", False))
    except BadSettings as error:
        return _complain(str(error), USAGE)
    try:
        engines = bootstrap.open_engines(settings)
        status: int = options.run(settings, engines)
    except (DomainError, OSError) as error:
        return _complain(str(error), FAILURE)
    return status


def _serve(settings: Settings, engines: dict[str, Engine]) -> int:
    if all(is_embedded(engine) for engine in engines.values()):
        schema.upgrade(engines)
    if _check(settings, engines) != 0:
        return FAILURE
    runtime = bootstrap.build_runtime(settings, engines)
    return serve_sync(
        bootstrap.registration(runtime),
        service=bootstrap.SERVICE,
        address=settings.address,
        service_names=bootstrap.SERVICE_NAMES,
        maximum_workers=settings.maximum_workers,
        tls=settings.tls,
        insecure=settings.insecure,
        audit_log=settings.audit_log,
    )


def _upgrade(settings: Settings, engines: dict[str, Engine]) -> int:
    schema.upgrade(engines)
    return _check(settings, engines)


def _check(_settings: Settings, engines: dict[str, Engine]) -> int:
    status = 0
    for each in schema.standings(engines):
        if each.is_current:
            logging.getLogger(__name__).info("database=%s revision=%s", each.database, each.revision)
        elif each.is_newer:
            advice = "a later version of this program changed it; install that version"
            status = _complain(f"the database {each.database} is at {each.revision}: {advice}", FAILURE)
        else:
            advice = "run `kadeploy-inventory db upgrade`"
            where = each.revision or "empty"
            status = _complain(f"the database {each.database} is {where}, wanted is {each.wanted}: {advice}", FAILURE)
    return status


def _complain(sentence: str, status: int) -> int:
    sys.stderr.write(f"kadeploy-inventory: {sentence}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, required=True, metavar="FILE", help="the settings (TOML)")
    shared.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default: info"
    )
    parser = argparse.ArgumentParser(prog="kadeploy-inventory", description="The inventory of Kadeploy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", parents=[shared], help="serve until told to stop")
    serve.add_argument(
        "--insecure", action="store_true", help="plain text on loopback: every process of this host is believed"
    )
    serve.set_defaults(run=_serve)
    databases = commands.add_parser("db", help="look after the databases")
    verbs = databases.add_subparsers(required=True, metavar="VERB")
    upgrade = verbs.add_parser("upgrade", parents=[shared], help="bring the tables to the present version")
    upgrade.set_defaults(run=_upgrade)
    check = verbs.add_parser("check", parents=[shared], help="say whether the tables are the present ones")
    check.set_defaults(run=_check)
    return parser


if __name__ == "__main__":
    sys.exit(main())
