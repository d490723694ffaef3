"""Who may call a method: what the contract says at the method, read from its descriptor.

The option `kadeploy.access.v1.allow` names the kinds of callers. Nothing here judges ownership, visibility or
rights: that is the work of the service itself.
"""

import functools

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from kadeploy.access.v1 import access_pb2
from kadeploy_edge.caller import Caller
from kadeploy_edge.errors import Denied

USER = "user"
USER_WITH_RIGHT = "user_with_right"
ADMINISTRATOR = "administrator"
DEPLOYER = "deployer"
INVENTORY = "inventory"
BOOTCTL = "bootctl"
LOGIN_AGENT = "login_agent"
UNPROVEN = "unproven"


class CallerNotAllowed(Denied):
    """The method does not exist for this kind of caller."""

    reason = "CALLER_NOT_ALLOWED"


class NotDelegable(Denied):
    """The user themselves may call the method; somebody with a delegation of theirs may not."""

    reason = "NOT_DELEGABLE"


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


@functools.cache
def is_audited(full_method: str) -> bool:
    """Returns whether a call of `/package.Service/Method` that was let in leaves an audit record."""
    return is_changing(full_method) or bool(_descriptor(full_method).GetOptions().Extensions[access_pb2.audited])


@functools.cache
def is_delegable(full_method: str) -> bool:
    """Returns whether `/package.Service/Method` may be called with a user's delegation."""
    return bool(_descriptor(full_method).GetOptions().Extensions[access_pb2.delegable])


def kinds_of(caller: Caller, *, is_administrator: bool) -> frozenset[str]:
    """Returns what a caller counts as; nothing when nobody said who calls."""
    if caller.is_service:
        return frozenset({caller.name})
    if caller.login_host:
        return frozenset({LOGIN_AGENT})
    if caller.is_unproven:
        return frozenset({UNPROVEN})
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
    if caller.via:
        _check_delegation(full_method, caller)
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


def _check_delegation(full_method: str, caller: Caller) -> None:
    method = full_method.rpartition("/")[2]
    metadata = {"method": method, "caller": caller.name, "via": caller.via}
    if not is_delegable(full_method):
        raise NotDelegable(f"{method} cannot be delegated: {caller.name} has to call it themselves", metadata=metadata)
    if is_changing(full_method) and not caller.may_change:
        raise NotDelegable(f"the delegation of {caller.name} allows nothing that changes something", metadata=metadata)
