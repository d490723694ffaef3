"""Column types that mean the same on SQLite and on MariaDB.

Migrations that have been released use them too: what one of them makes must not change.
"""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, String, Text
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT, VARCHAR
from sqlalchemy.types import TypeDecorator, TypeEngine


def word(length: int) -> TypeEngine[str]:
    """Returns a type for words that compare letter by letter, as keys must, whatever the server's habit.

    In Unicode, although what we store is ASCII: MariaDB would refuse to look for any other word in an ASCII column.
    """
    exact = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def ascii_word(length: int) -> TypeEngine[str]:
    """Returns a type for long ASCII words of our own making, which an index has room for."""
    exact = VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def long_text() -> TypeEngine[str]:
    """Returns a type for texts beyond the 64 KiB at which MariaDB's plain TEXT ends."""
    return Text().with_variant(LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


class UtcTime(TypeDecorator[datetime]):
    """A point in time, to the microsecond; stored in UTC without a zone."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Returns a type with microseconds."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turns any zone into UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Says that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)
