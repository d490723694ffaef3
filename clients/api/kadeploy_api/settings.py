"""The settings of a client: the same client.toml that the commands read."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from kadeploy_edge.settings_file import BadSettings, Table, load
from kadeploy_edge.tls import TlsFiles

VARIABLE = "KADEPLOY_CONFIG"
SYSTEM_FILE = Path("/etc/kadeploy/client.toml")
MOST_SECONDS = 86400.0


class UnusableSettings(Exception):
    """No settings were found, or they cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What client.toml says.

    Attributes:
        inventory_address: where the inventory answers, "host:port" or "unix:/path".
        deployer_address: where the deployer answers.
        user: on whose behalf calls are made on sockets; elsewhere the certificate says it.
        tls: the user's certificate, its key, and the site's authority.
        insecure: plain text on loopback.
        call_seconds: how long one call may take.
        reconnect_seconds: how long a watch tries to reach a service that went away.
    """

    inventory_address: str
    deployer_address: str
    user: str
    tls: TlsFiles | None = None
    insecure: bool = False
    call_seconds: float = 30.0
    reconnect_seconds: float = 120.0


def read_client_settings(path: Path | None = None) -> ClientSettings:
    """Reads a file, by default the one that the commands would read. Raises UnusableSettings."""
    chosen = path or find()
    try:
        return load(chosen, _read)
    except BadSettings as error:
        raise UnusableSettings(str(error)) from error


def find() -> Path:
    """Returns the settings file that counts: $KADEPLOY_CONFIG, the user's own, or the host's."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    configuration = os.environ.get("XDG_CONFIG_HOME")
    home = Path(configuration) if configuration else Path("~/.config").expanduser()
    for place in (home / "kadeploy" / "client.toml", SYSTEM_FILE):
        if place.is_file():
            return place
    raise UnusableSettings(f"no client settings: ${VARIABLE} is not set, and neither {home}/kadeploy nor /etc has any")


def _read(table: Table) -> ClientSettings:
    deadlines = table.table("deadlines")
    # The commands alone use these.
    deadlines.number("silence", 60, least=0, most=MOST_SECONDS, unit="seconds")
    table.table("bootctl").text("address", "")
    table.flag("http_proxy", False)
    return ClientSettings(
        inventory_address=table.table("inventory").text("address"),
        deployer_address=table.table("deployer").text("address"),
        user=table.text("user", "") or _login_name(),
        tls=_tls(table.table("tls")),
        insecure=table.flag("insecure", False),
        call_seconds=deadlines.number("call", 30, least=0.001, most=MOST_SECONDS, unit="seconds"),
        reconnect_seconds=deadlines.number("reconnect", 120, least=0.001, most=MOST_SECONDS, unit="seconds"),
    )


def _tls(table: Table) -> TlsFiles | None:
    if not table.is_there:
        return None
    return TlsFiles(certificate=table.path("certificate"), private_key=table.path("private_key"), ca=table.path("ca"))


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
