"""What is wrong with the account that a service uses, as `db check` tells it."""

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from kadeploy_sqlkit.access import MariadbAccess
from kadeploy_sqlkit.accounts import ROWS

_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<object>\S+) TO ", re.IGNORECASE)


def findings(connection: Connection, access: MariadbAccess) -> Sequence[str]:
    """Returns a sentence for each privilege that the service's account lacks, or has beyond its need.

    Args:
        connection: one of the service's account.
        access: where it leads.
    """
    names = {f"`{access.database}`.*", "`{}`.*".format(access.database.replace("_", "\\_"))}
    held: set[str] = set()
    found = []
    for grant in connection.exec_driver_sql("SHOW GRANTS").scalars():
        match = _GRANT.match(grant)
        privileges = {word.strip().upper() for word in match["privileges"].split(",")} if match else {grant}
        if match and match["object"] == "*.*" and privileges == {"USAGE"}:
            continue
        if match and match["object"] in names:
            held |= privileges
        elif not match or match["object"] == "*.*":
            found.append(f"{access.account.user} may {', '.join(sorted(privileges))} on everything")
    if ROWS - held:
        found.append(f"{access.account.user} may not {', '.join(sorted(ROWS - held))} on {access.database}")
    if held - ROWS:
        found.append(f"{access.account.user} may also {', '.join(sorted(held - ROWS))} on {access.database}")
    return found
