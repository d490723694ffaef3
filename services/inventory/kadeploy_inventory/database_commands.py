"""What `kadeploy-inventory db …` looks after: the two databases, and where they stand."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Engine

from kadeploy_database.database_commands import Databases
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine


def databases(settings: Settings) -> Databases:
    """Returns what the commands need to know."""
    return Databases(
        program="kadeploy-inventory",
        accesses={"deploy": settings.deploy_database, "deploy_right": settings.deploy_right_database},
        open_engine=partial(open_engine, migrating=True),
        upgrade=schema.upgrade,
        outdated=outdated,
        tables=schema.METADATA,
    )


def outdated(engines: Mapping[str, Engine]) -> Sequence[str]:
    """Returns a sentence for each database that this release cannot work with; the others are told in the log."""
    found = []
    for each in schema.standings(engines):
        if each.is_current:
            logging.getLogger(__name__).info("database=%s revision=%s", each.database, each.revision)
        elif each.is_newer:
            advice = "a later version of this program changed it; install that version"
            found.append(f"the database {each.database} is at {each.revision}: {advice}")
        else:
            where = each.revision or "empty"
            advice = "run `kadeploy-inventory db upgrade`"
            found.append(f"the database {each.database} is {where}, wanted is {each.wanted}: {advice}")
    return found
