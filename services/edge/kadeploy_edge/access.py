"""Who may call a method: what the contract says at the method, read from its descriptor.

The option `kadeploy.access.v1.allow` names the kinds of callers. Nothing here judges ownership, visibility or
rights: that is the work of the service itself.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from kadeploy.access.v1 import access_pb2
from kadeploy_edge.caller import Caller, current_caller
from kadeploy_edge.errors import Denied

USER = "user"
USER_WITH_RIGHT = "user_with_right"
ADMINISTRATOR = "administrator"
DEPLOYER = "deployer"
INVENTORY = "inventory"
BOOTCTL = "bootctl"


class CallerNotAllowed(Denied):
    """The method does not exist for this kind of caller."""

    reason = "CALLER_NOT_ALLOWED"


def _descriptor(full_method: str) -> MethodDescriptor:
    return descriptor_pool.Default().FindMethodByName(full_method.lstrip("/").replace("/", "."))


@functools.cache
def allowed_callers(full_method: str) -> frozenset[str]:
    """Returns the kinds of callers that the contract names for `/package.Service/Method`.

    The method's stubs must have been imported. A method without the option is for nobody.
    """
    options = _descriptor(full_method).GetOptions()
    names = (access_pb2.Caller.Name(kind) for kind in options.Extensions[access_pb2.allow])
    return frozenset(name.removeprefix("CALLER_").lower() for name in names)


@functools.cache
def is_changing(full_method: str) -> bool:
    """Returns whether a successful call of `/package.Service/Method` changes something."""
    return bool(_descriptor(full_method).GetOptions().Extensions[access_pb2.changing])


def kinds_of(caller: Caller, *, is_administrator: bool) -> frozenset[str]:
    """Returns what a caller counts as; nothing when nobody said who calls."""
    if caller.is_service:
        return frozenset({caller.name})
    if not caller.user:
        return frozenset()
    kinds = {USER, USER_WITH_RIGHT}
    if is_administrator:
        kinds.add(ADMINISTRATOR)
    return frozenset(kinds)


def check(full_method: str, caller: Caller, *, is_administrator: bool) -> None:
    """Raises CallerNotAllowed unless the contract allows the method to this caller.

    USER_WITH_RIGHT lets any user pass: the service that does the work checks the right.
    """
    allowed = allowed_callers(full_method)
    if allowed & kinds_of(caller, is_administrator=is_administrator):
        return
    method = full_method.rpartition("/")[2]
    who = caller.name or "an unnamed caller"
    whom = ", ".join(sorted(allowed)) or "nobody"
    raise CallerNotAllowed(
        f"{method} is not for {who}; it is for: {whom}",
        metadata={"method": method, "caller": caller.name, "allowed": whom},
    )


class Guarded:
    """A servicer whose every method first asks the contract whether this caller may call it.

    Hand it to `add_…Servicer_to_server` in place of the servicer, so that no method can forget to ask.

    Args:
        servicer: the servicer, sync or async.
        service: the full name of its service: `kadeploy.inventory.v1.NodeService`.
        is_administrator: says whether a caller is an administrator of the site.
    """

    def __init__(self, servicer: object, *, service: str, is_administrator: Callable[[Caller], bool]) -> None:
        self._servicer = servicer
        self._service = service
        self._is_administrator = is_administrator

    def __getattr__(self, name: str) -> Any:
        """Returns the servicer's method with the question put before it."""
        method = getattr(self._servicer, name)
        full_method = f"/{self._service}/{name}"

        def ask() -> None:
            caller = current_caller.get()
            check(full_method, caller, is_administrator=self._is_administrator(caller))

        return _asking_first(ask, method)


def _asking_first(ask: Callable[[], None], method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the method in its own colour; grpc.aio tells them apart by inspection."""
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            ask()
            async for message in method(request, context):
                yield message

        return stream
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def coroutine(request: Any, context: Any) -> Any:
            ask()
            return await method(request, context)

        return coroutine

    @functools.wraps(method)
    def plain(request: Any, context: Any) -> Any:
        ask()
        return method(request, context)

    return plain
