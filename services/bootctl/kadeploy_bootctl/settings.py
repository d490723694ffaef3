"""The settings of bootctl: one TOML file, read strictly. The keys of the tree keep their classic names."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.domain.texts import check_arguments, check_label

DEFAULT_ADDRESS = "127.0.0.1:7403"
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
SERIAL_SPEEDS = (9600, 19200, 38400, 57600, 115200)
LARGEST_SERIAL_PORT = 3
MAXIMUM_WORKERS = 256

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}\Z")
_PATH = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9][A-Za-z0-9_.+-]*)*/?\Z")
_RESERVED_NAMES = ("sha256-", "memdisk")


class BadSettings(Exception):
    """The settings cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """The loader's serial console."""

    port: int
    speed: int


_DEPLOY = KernelLabel(name="deploy", kernel="deploy-vmlinuz", initrd="deploy-initrd", arguments="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What bootctl is told by its site.

    Attributes:
        tftp_root: the directory that the TFTP server serves.
        tftp_repository: where most network cards look, below the root.
        tftp_repository_intel: where the others look.
        pxe_rep: the directory of the nodes' files in the first.
        pxe_rep_intel: the same in the second.
        tftp_relative_path: the directory of kernels and initrds in both.
        address: where to listen.
        administrators: users who may do everything.
        maximum_workers: how many calls are answered at once.
        maximum_file_bytes: the largest boot file.
        reserved_bytes: what uploads leave free.
        serial: the loader's serial console, None for none.
        labels: the deployment kernels; a lone "deploy" when the file names none.
        pxelinux_directory: where the package pxelinux is installed.
        syslinux_directory: where the package syslinux-common is installed.
    """

    tftp_root: Path
    tftp_repository: str = "PXEClient/"
    tftp_repository_intel: str = "X86PC/linux/"
    pxe_rep: str = "pxelinux.cfg/"
    pxe_rep_intel: str = "pxelinux.cfg/"
    tftp_relative_path: str = "images_grub"
    address: str = DEFAULT_ADDRESS
    administrators: frozenset[str] = frozenset({"root"})
    maximum_workers: int = 16
    maximum_file_bytes: int = GIBIBYTE
    reserved_bytes: int = 64 * MEBIBYTE
    serial: Serial | None = None
    labels: Mapping[str, KernelLabel] = field(default_factory=lambda: MappingProxyType({"deploy": _DEPLOY}))
    pxelinux_directory: Path = Path("/usr/lib/PXELINUX")
    syslinux_directory: Path = Path("/usr/lib/syslinux")

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path} is no TOML: {error}") from error
        try:
            return _settings(_Table("", table))
        except ValueError as error:
            raise BadSettings(f"{path}: {error}") from error


class _Table:
    """One table of the file; each key is taken once, and what is left over is unknown."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name = name
        self._values = dict(values)
        self._known: list[str] = []

    def key(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def take(self, key: str, kind: type, default: Any) -> Any:
        self._known.append(key)
        value = self._values.pop(key, default)
        # A boolean is an int for Python, but not for a person.
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            words = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
            raise ValueError(f"{self.key(key)} must be {words[kind]}, not {value!r}")
        return value

    def end(self) -> None:
        for key in self._values:
            raise ValueError(f"the key {self.key(key)} is not known; known are {', '.join(sorted(self._known))}")


def _settings(table: _Table) -> Settings:
    root = table.take("tftp_root", str, None)
    if root is None or not Path(root).is_absolute():
        raise ValueError("tftp_root must be there and be an absolute path")
    loaders = _Table("loaders", table.take("loaders", dict, {}))
    settings = Settings(
        tftp_root=Path(root),
        tftp_repository=_relative(table, "tftp_repository", "PXEClient/"),
        tftp_repository_intel=_relative(table, "tftp_repository_intel", "X86PC/linux/"),
        pxe_rep=_relative(table, "pxe_rep", "pxelinux.cfg/"),
        pxe_rep_intel=_relative(table, "pxe_rep_intel", "pxelinux.cfg/"),
        tftp_relative_path=_relative(table, "tftp_relative_path", "images_grub"),
        address=table.take("address", str, DEFAULT_ADDRESS),
        administrators=_administrators(table),
        maximum_workers=_number(table, "maximum_workers", 16, 1, MAXIMUM_WORKERS),
        maximum_file_bytes=_number(table, "maximum_file_bytes", GIBIBYTE, 1, 1 << 50),
        reserved_bytes=_number(table, "reserved_bytes", 64 * MEBIBYTE, 0, 1 << 50),
        serial=_serial(table.take("serial", dict, None)),
        labels=_labels(table.take("labels", dict, None)),
        pxelinux_directory=Path(loaders.take("pxelinux_directory", str, "/usr/lib/PXELINUX")),
        syslinux_directory=Path(loaders.take("syslinux_directory", str, "/usr/lib/syslinux")),
    )
    loaders.end()
    table.end()
    _check_places(settings)
    return settings


def _check_places(settings: Settings) -> None:
    if settings.tftp_repository.strip("/") == settings.tftp_repository_intel.strip("/"):
        raise ValueError("tftp_repository and tftp_repository_intel must be two places")
    for key in ("pxe_rep", "pxe_rep_intel"):
        if getattr(settings, key).strip("/") == settings.tftp_relative_path.strip("/"):
            raise ValueError(f"{key} and tftp_relative_path must be two places")


def _relative(table: _Table, key: str, default: str) -> str:
    value: str = table.take(key, str, default)
    if not _PATH.match(value) or value.startswith("/"):
        raise ValueError(f"{table.key(key)} must be a path below tftp_root, without .. and blanks, not {value!r}")
    return value


def _number(table: _Table, key: str, default: int, least: int, most: int) -> int:
    value: int = table.take(key, int, default)
    if not least <= value <= most:
        raise ValueError(f"{table.key(key)} must be a number from {least} to {most}, not {value}")
    return value


def _administrators(table: _Table) -> frozenset[str]:
    value = table.take("administrators", list, ["root"])
    if not all(isinstance(name, str) and name for name in value):
        raise ValueError(f'administrators must be a list of user names such as ["root"], not {value!r}')
    return frozenset(value)


def _serial(values: dict[str, Any] | None) -> Serial | None:
    if values is None:
        return None
    table = _Table("serial", values)
    port = _number(table, "port", 0, 0, LARGEST_SERIAL_PORT)
    speed = table.take("speed", int, 115200)
    table.end()
    if speed not in SERIAL_SPEEDS:
        raise ValueError(f"serial.speed must be one of {', '.join(map(str, SERIAL_SPEEDS))}, not {speed}")
    return Serial(port=port, speed=speed)


def _labels(values: dict[str, Any] | None) -> Mapping[str, KernelLabel]:
    if values is None:
        return MappingProxyType({_DEPLOY.name: _DEPLOY})
    labels: dict[str, KernelLabel] = {}
    for name, fields in values.items():
        key = f"labels.{name}"
        if not isinstance(fields, dict):
            raise ValueError(f"{key} must be a table with kernel, initrd and arguments")  # noqa: TRY004 - one kind for all
        table = _Table(key, fields)
        kernel, initrd = _file(table, "kernel"), _file(table, "initrd")
        arguments = table.take("arguments", str, "")
        table.end()
        if not kernel:
            raise ValueError(f"{key}.kernel is missing: name a file of images_grub")
        try:
            check_label(key, name)
            check_arguments(f"{key}.arguments", arguments)
        except InvalidBootEntry as error:
            raise ValueError(f"{error.metadata['field']} {error.metadata['description']}") from error
        labels[name] = KernelLabel(name=name, kernel=kernel, initrd=initrd, arguments=arguments)
    return MappingProxyType(labels)


def _file(table: _Table, key: str) -> str:
    value: str = table.take(key, str, "")
    if value and (not _FILE_NAME.match(value) or value.startswith(_RESERVED_NAMES)):
        raise ValueError(f"{table.key(key)} must be a bare file name, not {value!r}")
    return value
