"""What a management controller does, whatever its language, and what its drivers have in common."""

import stat
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.adapters.command_template import UnknownPlaceholder, filled
from kadeploy_deployer.domain.snapshot import NodeSnapshot, PowerDriverSnapshot
from kadeploy_deployer.ports import PowerError

LONGEST_PASSWORD = 4096


class Switch(StrEnum):
    """What is done to a machine's power."""

    ON = "on"
    OFF = "off"
    RESET = "reset"


class Controller(Protocol):
    """A language of management controllers. Each call ends within a minute; what changes something passes the fence."""

    async def is_on(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> bool:
        """Returns whether the machine has power. Raises PowerError."""
        ...

    async def boot_network_next(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> None:
        """Lets the next start, and no other, try the network first. Raises PowerError."""
        ...

    async def switch(self, node: NodeSnapshot, driver: PowerDriverSnapshot, action: Switch) -> None:
        """Switches the machine on or off, or resets it. Raises PowerError."""
        ...


def filled_in(node: NodeSnapshot, word: str, template: str) -> str:
    """Returns a template with a node's values. Raises PowerError."""
    try:
        (text,) = filled((template,), node)
    except UnknownPlaceholder as error:
        raise PowerError(f"{word} of {node.name} cannot be run: {error}") from error
    return text


def controller_address(node: NodeSnapshot, word: str, template: str) -> tuple[str, str]:
    """Returns host and port ("" for the usual one) of a node's controller. Raises PowerError."""
    address = filled_in(node, word, template)
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or ":" in host:
        host, port = address, ""
    if not host or host.startswith("-"):
        raise PowerError(f"{word} of {node.name} cannot be run: {address!r} is no address of a controller")
    return host, port


def check_password_file(node: NodeSnapshot, word: str, path: str) -> None:
    """Raises PowerError unless the file is there, readable for us and for no stranger."""
    try:
        status = Path(path).stat()
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise PowerError(
            f"{word} of {node.name} cannot be run: the password file {path} cannot be read: {error.strerror}"
        ) from error
    if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise PowerError(
            f"{word} of {node.name} is not run: everybody on this host can read the password file {path}; "
            f"chmod o= {path}"
        )


def read_password(node: NodeSnapshot, word: str, path: str) -> str:
    """Returns the first line of a password file. Raises PowerError."""
    check_password_file(node, word, path)
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        password = file.readline(LONGEST_PASSWORD).rstrip("\r\n")
    if not password:
        raise PowerError(f"{word} of {node.name} cannot be run: the password file {path} is empty")
    return password
