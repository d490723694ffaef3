"""Whether a database can be worked with now: it answers, is of the present version, and has its tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from kadeploy_database.access import DatabaseAccess, SqliteAccess
from kadeploy_database.channel import Channel, last_words
from kadeploy_edge.errors import NotInState


class DatabaseUnfit(NotInState):
    """The database does not answer, lacks tables, or is of another version."""

    reason = "DATABASE_UNFIT"


def missing_tables(connection: Connection, metadata: MetaData) -> list[str]:
    """Returns the names of the tables that a database should have and has not."""
    return sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))


def check_tables(engine: Engine, name: str, metadata: MetaData, *, wanted: str) -> None:
    """Raises DatabaseUnfit unless the database can be worked with.

    Args:
        engine: opens it.
        name: of the database.
        metadata: its tables.
        wanted: the revision that this release needs.
    """
    with _asking(name), engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        lacking = missing_tables(connection, metadata)
    if found != wanted:
        raise _unfit(name, f"is at {found or 'no revision'}, and this release needs {wanted}: run `db upgrade`")
    if lacking:
        raise _unfit(name, f"lacks the table {', '.join(lacking)}: restore it from a backup")


class DatabaseProbe:
    """Looks at one database again and again, by connections of its own: those of the service may all be in use."""

    def __init__(
        self,
        name: str,
        access: DatabaseAccess,
        open_engine: Callable[[URL, Channel | None], Engine],
        metadata: MetaData,
        *,
        wanted: Callable[[], str],
    ) -> None:
        """Opens nothing yet.

        Args:
            name: of the database.
            access: how it is reached.
            open_engine: opens it.
            metadata: its tables.
            wanted: the revision that this release needs.
        """
        self._name = name
        self._access = access
        self._open_engine = open_engine
        self._metadata = metadata
        self._wanted = wanted
        self._known_wanted = ""
        self._engine: Engine | None = None

    def check(self) -> None:
        """Raises DatabaseUnfit, or what opening the database raises."""
        self._known_wanted = self._known_wanted or self._wanted()
        path = self._access.path if isinstance(self._access, SqliteAccess) else None
        if path is not None and not (path.is_file() and path.stat().st_size):
            raise _unfit(self._name, f"is not there: {path} is missing or empty")
        engine = self._engine = self._engine or self._open_engine(self._access.url, self._access.channel)
        try:
            check_tables(engine, self._name, self._metadata, wanted=self._known_wanted)
        finally:
            # A file that is taken away would live on in a connection that stands.
            if path is not None:
                engine.dispose()

    def close(self) -> None:
        """Closes the connections."""
        if self._engine is not None:
            self._engine.dispose()


@contextmanager
def _asking(name: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _unfit(name, f"does not answer: {last_words(error.orig)}") from error


def _unfit(name: str, what: str) -> DatabaseUnfit:
    return DatabaseUnfit(f"the database {name} {what}", metadata={"database": name})
