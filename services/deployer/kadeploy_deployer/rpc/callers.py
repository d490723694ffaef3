"""Who calls, in the words of the use cases."""

from collections.abc import Iterable

from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_edge.caller import Caller, current_caller


class Callers:
    """Knows the administrators of the site."""

    def __init__(self, administrators: Iterable[str]) -> None:
        self._administrators = frozenset(administrators)

    def is_administrator(self, caller: Caller) -> bool:
        """Returns whether the caller is an administrator."""
        return bool(caller.user) and caller.user in self._administrators

    def actor(self) -> Actor:
        """Returns who makes the call that is being answered."""
        caller = current_caller.get()
        return Actor(user=caller.user, is_administrator=self.is_administrator(caller))
