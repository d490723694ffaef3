"""Column types that mean the same on SQLite and on MariaDB."""

from sqlalchemy import String, Text
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR
from sqlalchemy.types import TypeEngine


def word(length: int) -> TypeEngine[str]:
    """Returns a type for names that compare letter by letter, whatever the server's habit."""
    exact = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def long_text() -> TypeEngine[str]:
    """Returns a type for texts beyond the 64 KiB at which MariaDB's plain TEXT ends."""
    return Text().with_variant(LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
