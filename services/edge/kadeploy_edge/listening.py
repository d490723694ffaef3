"""Binds the address of a service. An address in use is named, and the socket of a dead process is removed."""

import socket
from collections.abc import Callable
from pathlib import Path

import grpc

from kadeploy_edge.errors import Exhausted


class AddressInUse(Exhausted):
    """Another process listens there."""

    reason = "ADDRESS_IN_USE"


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> str:
    """Binds a server and returns the address with its real port; raises AddressInUse.

    Args:
        server: not started yet.
        address: "unix:/path" or "host:port"; port 0 for any that is free.
        credentials: None for plain text.
    """
    if credentials is None:
        return _bound(lambda: server.add_insecure_port(address), address)
    return _bound(lambda: server.add_secure_port(address, credentials), address)


def _bound(bind: Callable[[], int], address: str) -> str:
    """Binds and returns the address with its real port; frees the socket file of a dead process first."""
    _remove_dead_socket(address)
    try:
        port = bind()
    except RuntimeError as error:
        raise _in_use(address) from error
    if port == 0:
        raise _in_use(address)
    if address.startswith("unix:"):
        # Who may open the socket is whom we believe: the owner and the group, nobody else.
        Path(address.removeprefix("unix:")).chmod(0o660)
        return address
    host, _, _ = address.rpartition(":")
    return f"{host}:{port}"


def _in_use(address: str) -> AddressInUse:
    return AddressInUse(
        f"{address} is in use or cannot be bound: stop the process that holds it, or choose another address",
        metadata={"address": address},
    )


def _remove_dead_socket(address: str) -> None:
    """Removes a socket file nobody listens on, as a killed process leaves it; grpc would steal a living one."""
    if not address.startswith("unix:"):
        return
    path = Path(address.removeprefix("unix:"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise _in_use(address)
