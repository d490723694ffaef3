"""`kadeploy-inventory db …`: makes, migrates and checks the two databases."""

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_sqlkit.access import DatabaseAccess, MariadbAccess
from kadeploy_sqlkit.accounts import make_accounts
from kadeploy_sqlkit.command_line import administrator
from kadeploy_sqlkit.privileges import findings

FAILURE = 1


def init(settings: Settings, options: argparse.Namespace) -> int:
    """Makes what is missing: databases and accounts on MariaDB, files on SQLite, tables on both."""
    for access in accesses(settings).values():
        for line in make_accounts(access, administrator(options)):
            sys.stdout.write(f"{line}\n")
    return upgrade(settings, options) or check(settings, options)


def upgrade(settings: Settings, _options: argparse.Namespace) -> int:
    """Brings the tables to the present version."""
    with opened({name: open_engine(access.migration_url) for name, access in accesses(settings).items()}) as engines:
        schema.upgrade(engines)
        return tell_standings(engines)


def check(settings: Settings, _options: argparse.Namespace) -> int:
    """Says what is wrong with tables and privileges."""
    found = accesses(settings)
    with opened({name: open_engine(access.url) for name, access in found.items()}) as engines:
        status = tell_standings(engines)
        for name, access in found.items():
            if isinstance(access, MariadbAccess):
                with schema.asking(name), engines[name].connect() as connection:
                    for finding in findings(connection, access):
                        status = _complain(f"{finding}: run `kadeploy-inventory db init`")
    return status


def tell_standings(engines: dict[str, Engine]) -> int:
    """Says where each database stands; returns the exit status."""
    status = 0
    for each in schema.standings(engines):
        if each.is_current:
            logging.getLogger(__name__).info("database=%s revision=%s", each.database, each.revision)
        elif each.is_newer:
            advice = "a later version of this program changed it; install that version"
            status = _complain(f"the database {each.database} is at {each.revision}: {advice}")
        else:
            where = each.revision or "empty"
            advice = "run `kadeploy-inventory db upgrade`"
            status = _complain(f"the database {each.database} is {where}, wanted is {each.wanted}: {advice}")
    return status


def accesses(settings: Settings) -> dict[str, DatabaseAccess]:
    """Returns the access to each database by its name."""
    return {"deploy": settings.deploy_database, "deploy_right": settings.deploy_right_database}


@contextmanager
def opened(engines: dict[str, Engine]) -> Iterator[dict[str, Engine]]:
    """Yields engines and closes their connections at the end."""
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.dispose()


def _complain(sentence: str) -> int:
    sys.stderr.write(f"kadeploy-inventory: {sentence}\n")
    return FAILURE
