"""The client's settings: where the services answer, and on whose behalf the commands call.

A TOML file, looked for at $KADEPLOY_CONFIG, then in the user's own configuration, then in /etc. Nothing else of the
client reads the environment for settings.
"""

import os
import pwd
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_edge.tls import TlsFiles

VARIABLE = "KADEPLOY_CONFIG"
SYSTEM_FILE = Path("/etc/kadeploy/client.toml")
MAXIMUM_SIZE = 1 << 20
LAST_PORT = 65535
SERVICES = ("inventory", "deployer", "bootctl")
KEYS = {
    "inventory": {"address"},
    "deployer": {"address"},
    "bootctl": {"address"},
    "deadlines": {"call", "silence", "reconnect"},
    "tls": {"certificate", "private_key", "ca"},
}


LOGIN_KEYS = {"address", "socket"}


class SettingsFailure(UsageFailure):
    """No settings were found, or they cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long the client waits, in seconds."""

    # For the answer to one call.
    call: float = 30.0
    # For a sign of life of a watch, before it counts as broken.
    silence: float = 60.0
    # For a service that went away in the middle of a watch to come back.
    reconnect: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPlace:
    """Where `ka login` gets certificates: at the inventory's login address, by MUNGE, or from this host's agent."""

    address: str = ""
    socket: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What client.toml says.

    Attributes:
        path: the file.
        user: on whose behalf the commands call where no certificate says it: on sockets.
        addresses: where each service answers.
        deadlines: how long the client waits.
        tls: the user's certificate, its key, and the site's authority.
        insecure: plain text on loopback.
        http_proxy: calls go through the proxy of the environment.
        login: where certificates of some hours come from; None where the site issues none.
        domain: where a node is looked for first that is named without one; empty: nowhere rather than elsewhere.
    """

    path: Path
    user: str
    addresses: Mapping[str, str]
    deadlines: Deadlines
    tls: TlsFiles | None = None
    insecure: bool = False
    http_proxy: bool = False
    login: LoginPlace | None = None
    domain: str = ""

    def address(self, service: str) -> str:
        """Returns where a service answers, or says which section is missing."""
        if service not in self.addresses:
            raise SettingsFailure(
                f"{self.path} does not say where the {service} service answers",
                advice=f'Add to it: [{service}] address = "host:port" (or "unix:/path").',
            )
        return self.addresses[service]

    @classmethod
    def load(cls, chosen: Path | None = None) -> Self:
        """Reads the settings from the chosen file, or from the first one that is there."""
        path = chosen if chosen is not None else find()
        try:
            with path.open("rb") as file:
                text = file.read(MAXIMUM_SIZE + 1)
            if len(text) > MAXIMUM_SIZE:
                raise SettingsFailure(f"{path} is too long for settings: at most {MAXIMUM_SIZE >> 20} MiB")
            content = tomllib.loads(text.decode("utf-8-sig"))
        except FileNotFoundError:
            raise SettingsFailure(
                f"the settings file {path} is not there",
                advice=f"It comes from --config or ${VARIABLE}; name one that exists.",
            ) from None
        except OSError as error:
            raise SettingsFailure(f"the settings file {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsFailure(f"{path} is not a TOML file: it is not UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise SettingsFailure(f"{path} is not a TOML file: {error}") from None
        return cls._from_content(path, content)

    @classmethod
    def _from_content(cls, path: Path, content: dict[str, Any]) -> Self:
        user = content.pop("user", "")
        if not isinstance(user, str):
            raise SettingsFailure(f"{path}: user must be a name in quotes")
        domain = content.pop("domain", "")
        if not isinstance(domain, str):
            raise SettingsFailure(f"{path}: domain must be a domain's name in quotes")
        insecure, http_proxy = (_flag(path, key, content.pop(key, False)) for key in ("insecure", "http_proxy"))
        addresses: dict[str, str] = {}
        deadlines: dict[str, float] = {}
        certificates: dict[str, Path] = {}
        login = _login_place(path, content.pop("login")) if "login" in content else None
        for section, values in content.items():
            if section not in KEYS or not isinstance(values, dict):
                known = "user, domain, insecure, http_proxy, " + ", ".join(f"[{name}]" for name in (*KEYS, "login"))
                raise SettingsFailure(f"{path}: {section} is not known here; known are {known}")
            for key, value in values.items():
                if key not in KEYS[section]:
                    known = ", ".join(sorted(KEYS[section]))
                    raise SettingsFailure(f"{path}: [{section}] has no key {key}, only {known}")
                if section == "deadlines":
                    deadlines[key] = _seconds(path, key, value)
                elif section == "tls":
                    certificates[key] = _file(path, section, key, value)
                else:
                    addresses[section] = _address(path, section, value)
        missing = sorted(KEYS["tls"] - set(certificates))
        if certificates and missing:
            raise SettingsFailure(f"{path}: [tls] needs {', '.join(missing)} too")
        return cls(
            path=path,
            user=user or login_name(),
            addresses=addresses,
            deadlines=Deadlines(**deadlines),
            tls=TlsFiles(**certificates) if certificates else None,
            insecure=insecure,
            http_proxy=http_proxy,
            login=login,
            domain=domain.strip("."),
        )


def _flag(path: Path, key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingsFailure(f"{path}: {key} must be true or false")
    return value


def _seconds(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86400:  # noqa: PLR2004
        raise SettingsFailure(f"{path}: [deadlines] {key} must be a number of seconds up to 86400")
    return float(value)


def _login_place(path: Path, values: object) -> LoginPlace:
    if not isinstance(values, dict) or len(values) != 1 or not LOGIN_KEYS & set(values):
        raise SettingsFailure(f"{path}: [login] has one key: address (for MUNGE), or socket (of this host's agent)")
    if "socket" in values:
        return LoginPlace(socket=_file(path, "login", "socket", values["socket"]))
    return LoginPlace(address=_address(path, "login", values["address"]))


def _file(path: Path, section: str, key: str, value: object) -> Path:
    """Returns a file's path; a relative one begins where the settings are."""
    if not isinstance(value, str) or not value:
        raise SettingsFailure(f"{path}: [{section}] {key} must be a file's name in quotes")
    return path.absolute().parent / Path(value).expanduser()


def _address(path: Path, section: str, value: object) -> str:
    wanted = SettingsFailure(f'{path}: [{section}] address must be "host:port" or "unix:/path", not {value!r}')
    if not isinstance(value, str):
        raise wanted
    if value.startswith("unix:/"):
        return value
    host, separator, port = value.rpartition(":")
    if not (host and separator and port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        raise wanted
    return value


def candidates() -> tuple[Path, ...]:
    """Returns the places where settings are looked for, the first that counts first."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return (Path(named),)
    configuration = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(configuration) if configuration else Path("~/.config").expanduser()
    return (home / "kadeploy" / "client.toml", SYSTEM_FILE)


def find() -> Path:
    """Returns the settings file that counts, or says where one was looked for."""
    places = candidates()
    if len(places) == 1:
        return places[0]
    for place in places:
        if place.is_file():
            return place
    looked = " and ".join(str(place) for place in places)
    raise SettingsFailure(
        f"no client settings were found: ${VARIABLE} is not set, and {looked} are not there",
        advice='Write one with the sections [inventory], [deployer] and [bootctl], each with address = "host:port".',
    )


def login_name() -> str:
    """Returns the name of the user who runs the command; under sudo that is root, as everywhere."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
