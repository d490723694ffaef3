"""What is wrong with the accounts of a service, and with the way they log in, as `db check` tells it."""

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from kadeploy_database.access import Account, MariadbAccess

_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<object>\S+) TO ", re.IGNORECASE)
_DEMAND = re.compile(r" REQUIRE SUBJECT '(?P<subject>[^']*)'")


def findings(connection: Connection, access: MariadbAccess, account: Account, wanted: frozenset[str]) -> Sequence[str]:
    """Returns a sentence for each privilege that an account lacks, or has beyond its need, and for a missing demand.

    Args:
        connection: one of the account.
        access: where it leads.
        account: whose privileges are looked at.
        wanted: the privileges that it needs on the database.
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
            found.append(f"{account.user} may {', '.join(sorted(privileges))} on everything")
    if wanted - held:
        found.append(f"{account.user} may not {', '.join(sorted(wanted - held))} on {access.database}")
    if held - wanted:
        found.append(f"{account.user} may also {', '.join(sorted(held - wanted))} on {access.database}")
    subject = access.channel.subject
    if subject and demanded_subject(connection) != subject:
        found.append(f"{account.user} does not demand the certificate of {subject}, so its password alone opens it")
    return found


def demanded_subject(connection: Connection) -> str:
    """Returns the subject of the certificate without which this account lets nobody in; empty when it demands none."""
    match = _DEMAND.search(connection.exec_driver_sql("SHOW CREATE USER CURRENT_USER").scalar_one())
    return match["subject"] if match else ""


def encryption(connection: Connection) -> str:
    """Returns what encrypts a connection, in the server's own words, and until when; empty when nothing does."""
    asked = "SHOW SESSION STATUS WHERE variable_name IN ('Ssl_cipher', 'Ssl_version', 'Ssl_server_not_after')"
    status = {row[0]: row[1] for row in connection.exec_driver_sql(asked)}
    if not status.get("Ssl_cipher"):
        return ""
    how = f"{status['Ssl_version']} {status['Ssl_cipher']}"
    return f"{how}, by a certificate of the server that ends on {status['Ssl_server_not_after']}"
