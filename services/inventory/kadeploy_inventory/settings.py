"""The settings of the inventory: one TOML file, read strictly."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DEFAULT_ADDRESS = "127.0.0.1:7401"
_DATABASES = ("deploy_database", "deploy_right_database")


class BadSettings(Exception):
    """The settings cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the inventory is told by its site.

    Attributes:
        deploy_database: URL of the database of nodes, clusters and environments.
        deploy_right_database: URL of the database of rights.
        address: where to listen.
        administrators: users who administrate the site.
        maximum_workers: how many calls are answered at once.
    """

    deploy_database: str
    deploy_right_database: str
    address: str = DEFAULT_ADDRESS
    administrators: frozenset[str] = frozenset({"root"})
    maximum_workers: int = 16

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path} is no TOML: {error}") from error
        known = {field.name for field in fields(cls)}
        for key in table:
            if key not in known:
                raise BadSettings(f"{path}: the key {key} is not known; known are {', '.join(sorted(known))}")
        for key in _DATABASES:
            if key not in table:
                raise BadSettings(f"{path}: the key {key} is missing; name a file or a database URL")
        values = {key: _checked(path, key, value) for key, value in table.items()}
        return cls(**values)


def _checked(path: Path, key: str, value: Any) -> Any:
    readers: dict[str, Callable[[Any, Path], Any]] = {
        "deploy_database": _database,
        "deploy_right_database": _database,
        "address": _text,
        "administrators": _names,
        "maximum_workers": _workers,
    }
    try:
        return readers[key](value, path)
    except ValueError as error:
        raise BadSettings(f"{path}: {key} {error}, not {value!r}") from error


def _text(value: Any, _path: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _database(value: Any, path: Path) -> str:
    """Returns a database URL; a plain path is an SQLite file, relative to the settings."""
    text = _text(value, path)
    if "://" not in text:
        return f"sqlite:///{path.resolve().parent / text}"
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError("must be a path or a database URL") from error
    if url.drivername not in {"sqlite", "mysql+pymysql", "mariadb+pymysql"}:
        raise ValueError("must be a path, or begin with sqlite:// or mysql+pymysql://")
    return text


def _names(value: Any, _path: Path) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError('must be a list of user names such as ["root"]')
    return frozenset(value)


def _workers(value: Any, _path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 256:  # noqa: PLR2004
        raise ValueError("must be a number from 1 to 256")
    return value
