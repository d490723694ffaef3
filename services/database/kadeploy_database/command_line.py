"""The verbs of `kadeploy-SERVICE db …`, which are the same for every service that has a database."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kadeploy_database.accounts import Administrator
from kadeploy_database.database_commands import Databases, check, init, upgrade


def add_database_verbs(commands: Any, shared: argparse.ArgumentParser, databases: Callable[[Any], Databases]) -> None:
    """Adds `db init`, `db upgrade` and `db check` to a command line, to be run as `options.run(settings, options)`.

    Args:
        commands: what commands are added to.
        shared: the options that all commands have.
        databases: returns the databases that settings of the service name.
    """
    verbs = commands.add_parser("db", help="look after the databases").add_subparsers(required=True, metavar="VERB")
    first = verbs.add_parser(
        "init", parents=[shared], help="make databases, accounts, password files and tables; may be repeated"
    )
    first.add_argument(
        "--admin-defaults-file",
        type=Path,
        metavar="FILE",
        help="an option file whose section [client] has user and password of the database server's administrator "
        "(default: the Unix socket, as the user who runs this; Debian's MariaDB lets root in)",
    )
    first.add_argument(
        "--from-host",
        action="append",
        default=[],
        metavar="HOST",
        help="from where the accounts may connect, as the server sees it; may be repeated (default: localhost, or any "
        "host where the settings name another server)",
    )
    first.add_argument(
        "--owner",
        default="",
        metavar="USER",
        help="who gets the files with the service's passwords (not the migration's)",
    )
    first.set_defaults(run=lambda settings, options: init(databases(settings), administrator(options)))
    verbs.add_parser(
        "upgrade", parents=[shared], help="bring the tables to the present version, as the migration account"
    ).set_defaults(run=lambda settings, _options: upgrade(databases(settings)))
    verbs.add_parser(
        "check",
        parents=[shared],
        help="say how the databases are reached, and what is wrong with tables and accounts, with status 1",
    ).set_defaults(run=lambda settings, _options: check(databases(settings)))


def administrator(options: argparse.Namespace) -> Administrator:
    """Returns the administrator that the options of `db init` name."""
    return Administrator(defaults_file=options.admin_defaults_file, hosts=tuple(options.from_host), owner=options.owner)
