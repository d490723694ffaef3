"""What `kadeploy-deployer db …` looks after: the one database, and where it stands."""

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Engine

from kadeploy_database.database_commands import Databases
from kadeploy_deployer.settings import Settings
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import make_engine
from kadeploy_deployer.store.tables import metadata

NAME = "deploy_state"
PROGRAM = "kadeploy-deployer"


def databases(settings: Settings) -> Databases:
    """Returns what the commands need to know."""
    return Databases(
        program=PROGRAM,
        accesses={NAME: settings.database},
        open_engine=partial(make_engine, migrating=True),
        upgrade=upgrade,
        outdated=outdated,
        tables={NAME: metadata},
    )


def upgrade(engines: Mapping[str, Engine]) -> None:
    """Brings the tables to the present version."""
    schema.upgrade(engines[NAME])


def outdated(engines: Mapping[str, Engine]) -> Sequence[str]:
    """Returns a sentence when this release cannot work with the database."""
    try:
        schema.check(engines[NAME])
    except schema.SchemaOutdated as error:
        return [error.message]
    return ()
