"""The settings of the deployer: one TOML file, read strictly. Paths may be relative to it."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

DEFAULT_ADDRESS = "127.0.0.1:7402"
SHORTEST_LEASE, LONGEST_LEASE = 3.0, 3600.0
LAST_PORT = 65535

_Settings = TypeVar("_Settings")


class BadSettings(Exception):
    """The settings cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSettings:
    """How the image reaches the nodes.

    Attributes:
        address: where the deployer listens for nodes; empty for every address of the host.
        port: its port; 0 for any that is free.
        node_port: where nodes listen for one another.
    """

    address: str = ""
    port: int = 0
    node_port: int = 7301


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the deployer is told by its site.

    Attributes:
        database: URL of the database `deploy_state`.
        ssh_private_key: the cluster's key, with which nodes are logged in to.
        ssh_public_key: its public half, which is put into new systems.
        deployment_host_keys: public host keys of the deployment environment, one a line.
        cache_directory: where images, kernels and initrds are kept.
        address: where to listen.
        inventory_address: where the inventory listens.
        bootctl_address: where bootctl listens.
        administrators: users who administrate the site.
        lease_seconds: how long after its last sign of life a deployer's deployments are taken over.
        image_directories: where the files of environments may lie on this host; empty: anywhere.
        broadcast: how the image reaches the nodes.
    """

    database: str
    ssh_private_key: Path
    ssh_public_key: Path
    deployment_host_keys: Path
    cache_directory: Path
    address: str = DEFAULT_ADDRESS
    inventory_address: str = "127.0.0.1:7401"
    bootctl_address: str = "127.0.0.1:7403"
    administrators: frozenset[str] = frozenset({"root"})
    lease_seconds: float = 30.0
    image_directories: tuple[Path, ...] = ()
    broadcast: BroadcastSettings = BroadcastSettings()

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path} is no TOML: {error}") from error
        reader = _Reader(path)
        if "ssh_private_key" in table:
            table.setdefault("ssh_public_key", f"{table['ssh_private_key']}.pub")
        return reader.read(cls, table, "")


class _Reader:
    """Turns what TOML says into settings, key by key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, kind: type[_Settings], table: Mapping[str, Any], within: str) -> _Settings:
        """Returns the settings of a table, or raises BadSettings."""
        known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
        for key in table:
            if key not in known:
                listed = ", ".join(sorted(known))
                raise BadSettings(f"{self._path}: the key {within}{key} is not known; known are {listed}")
        required = [field.name for field in known.values() if field.name in _REQUIRED]
        for key in required:
            if key not in table:
                raise BadSettings(f"{self._path}: the key {within}{key} is missing")
        values = {}
        for key, value in table.items():
            try:
                values[key] = self._value(key, value)
            except ValueError as error:
                raise BadSettings(f"{self._path}: {within}{key} {error}, not {value!r}") from error
        return kind(**values)

    def _value(self, key: str, value: Any) -> Any:
        readers: Mapping[str, Callable[[Any], Any]] = {
            "database": self._database,
            "ssh_private_key": self._file,
            "ssh_public_key": self._file,
            "deployment_host_keys": self._file,
            "cache_directory": self._file,
            "administrators": _names,
            "image_directories": lambda raw: tuple(self._file(one) for one in _list(raw)),
            "lease_seconds": lambda raw: _number(raw, SHORTEST_LEASE, LONGEST_LEASE),
            "port": lambda raw: int(_number(raw, 0, LAST_PORT)),
            "node_port": lambda raw: int(_number(raw, 1, LAST_PORT)),
            "broadcast": lambda raw: self.read(BroadcastSettings, _table(raw), "broadcast."),
        }
        read: Callable[[Any], Any] = readers.get(key, _text)
        return read(value)

    def _database(self, value: Any) -> str:
        """Returns a database URL; a plain path is an SQLite file."""
        text = _text(value)
        return text if "://" in text else f"sqlite:///{self._file(text)}"

    def _file(self, value: Any) -> Path:
        return self._path.resolve().parent / Path(_text(value)).expanduser()


_REQUIRED = frozenset({"database", "ssh_private_key", "deployment_host_keys", "cache_directory"})


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table")  # noqa: TRY004 - the reader turns ValueErrors into sentences
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - as above
    return value


def _names(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError('must be a list of user names such as ["root"]')
    return frozenset(value)


def _number(value: Any, least: float, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"must be a number from {least:g} to {most:g}")
    return float(value)
