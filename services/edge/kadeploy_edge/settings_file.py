"""The settings of a service: one TOML file, read strictly and told about by line.

A service describes its settings by one function that asks a `Table` for each key; what the function did not ask for is
unknown, and refused. Every complaint is one sentence with file, line and key, what was expected, unit and default.
Secrets have no place in such a file (they stand in files of their own, see `private_file`), and should one be written
into it by mistake, no complaint repeats it.

    def read_settings(table: Table) -> Settings:
        return Settings(
            address=table.text("address", "127.0.0.1:7401"),
            lease=table.number("lease", 30, least=3, most=3600, unit="seconds"),
            tls=read_tls(table.table("tls")),
        )

    settings = load(path, read_settings)
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import tomli_w

from kadeploy_edge.settings_table import Table
from kadeploy_edge.settings_text import BadSettings, SettingsText

__all__ = ["BadSettings", "Table", "describe", "load", "parse"]

LARGEST_FILE_BYTES = 256 * 1024

_Settings = TypeVar("_Settings")


def load(path: Path, read: Callable[[Table], _Settings]) -> _Settings:
    """Returns what `read` makes of a file, or raises BadSettings with one sentence."""
    top = parse(path)
    settings = read(top)
    top.end()
    return settings


def describe(path: Path, read: Callable[[Table], object]) -> str:
    """Returns the settings that `read` finds in a file, as TOML: every key with its value, defaults too.

    Paths are absolute. Reading that text gives the same settings. It has no secrets, because settings name files with
    secrets and no secret. Raises BadSettings with one sentence if the file cannot be used.
    """
    top = parse(path)
    read(top)
    top.end()
    return tomli_w.dumps(top.as_read())


def parse(path: Path) -> Table:
    """Returns the top of a TOML file, of which nothing has been asked yet; or raises BadSettings."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise BadSettings(f"{path} is larger than {LARGEST_FILE_BYTES} bytes: that is no file of settings")
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        bad_line = content[: error.start].count(b"\n") + 1
        raise BadSettings(f"{path}:{bad_line}: this is no TOML: it is not UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        line = place.removeprefix("line ").partition(",")[0].rstrip(")")
        number = int(line) if line.isdigit() else text.count("\n") + 1
        raise BadSettings(f"{path}:{number}: this is no TOML: {reason}") from error
    return Table(SettingsText(path, text), (), values)
