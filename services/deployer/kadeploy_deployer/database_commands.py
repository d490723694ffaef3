"""`kadeploy-deployer db …`: makes, migrates and checks the database."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from kadeploy_deployer.settings import Settings
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import make_engine
from kadeploy_sqlkit.access import MariadbAccess
from kadeploy_sqlkit.accounts import make_accounts
from kadeploy_sqlkit.command_line import administrator
from kadeploy_sqlkit.privileges import findings

FAILURE = 1


def init(settings: Settings, options: argparse.Namespace) -> int:
    """Makes what is missing: database and accounts on MariaDB, the file on SQLite, tables on both."""
    for line in make_accounts(settings.database, administrator(options)):
        sys.stdout.write(f"{line}\n")
    return upgrade(settings, options) or check(settings, options)


def upgrade(settings: Settings, _options: argparse.Namespace) -> int:
    """Brings the tables to the present version."""
    with _opened(settings.database.migration_url) as engine:
        sys.stdout.write(f"the database has schema {schema.upgrade(engine)}\n")
    return 0


def check(settings: Settings, _options: argparse.Namespace) -> int:
    """Says what is wrong with tables and privileges."""
    status = 0
    with _opened(settings.database.url) as engine:
        schema.check(engine)
        if isinstance(settings.database, MariadbAccess):
            with engine.connect() as connection:
                for finding in findings(connection, settings.database):
                    sys.stderr.write(f"kadeploy-deployer: {finding}: run `kadeploy-deployer db init`\n")
                    status = FAILURE
    if status == 0:
        sys.stdout.write(f"the database has schema {schema.newest()}, as this release needs\n")
    return status


@contextmanager
def _opened(url: URL) -> Iterator[Engine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
