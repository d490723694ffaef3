"""How the management controllers of a cluster are reached."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from kadeploy_inventory.domain.command_template import parse_argument
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line

MAXIMUM_CIPHER_SUITE = 255


class PowerDriverKind(StrEnum):
    """The language of a controller."""

    UNSPECIFIED = "unspecified"
    IPMI = "ipmi"
    REDFISH = "redfish"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDriver:
    """The controllers of a cluster. Files are on the deployer's host; `address` and `system` have places for values."""

    kind: PowerDriverKind
    user: str
    password_file: str
    address: str = ""
    cipher_suite: int = 0
    ca_file: str = ""
    accept_any_certificate: bool = False
    system: str = ""


def check_power_driver(driver: PowerDriver, problems: Problems) -> None:
    """Adds what is wrong with a driver."""
    if driver.kind is PowerDriverKind.UNSPECIFIED:
        problems.add("kind", "must be ipmi or redfish")
    if not driver.user or driver.user.startswith("-"):
        problems.add("user", f"must name an account, and not begin with a dash: {driver.user!r}")
    problems.take("user", parse_line, driver.user)
    for field, path in (("password_file", driver.password_file), ("ca_file", driver.ca_file)):
        problems.take(field, parse_line, path)
        if (path or field == "password_file") and not PurePosixPath(path).is_absolute():
            problems.add(field, f"must be an absolute path of a file on the deployer's host: {path!r}")
    for field, text in (("address", driver.address), ("system", driver.system)):
        problems.take(field, parse_argument, text)
    if driver.address.startswith("-"):
        problems.add("address", f"must not begin with a dash: {driver.address!r}")
    if not 0 <= driver.cipher_suite <= MAXIMUM_CIPHER_SUITE:
        problems.add("cipher_suite", f"must be from 0 to {MAXIMUM_CIPHER_SUITE}, not {driver.cipher_suite}")
    _check_language(driver, problems)


def _check_language(driver: PowerDriver, problems: Problems) -> None:
    if driver.kind is PowerDriverKind.IPMI and (driver.ca_file or driver.accept_any_certificate or driver.system):
        problems.add("kind", "is ipmi, which has neither certificates nor systems")
    if driver.kind is PowerDriverKind.REDFISH and driver.cipher_suite:
        problems.add("cipher_suite", "is for ipmi alone")
    if driver.system and not driver.system.startswith("/"):
        problems.add("system", f"must be a path such as /redfish/v1/Systems/1: {driver.system!r}")
    if driver.ca_file and driver.accept_any_certificate:
        problems.add("accept_any_certificate", "and ca_file contradict one another")
