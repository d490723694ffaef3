"""What can go wrong, in the words of the deployer. Each word is of one kind of `kadeploy_edge.errors`."""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.holder import in_words
from kadeploy_edge.errors import (
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    FieldViolation,
    HistoryGone,
    Invalid,
    Missing,
    NotInState,
    Unreachable,
)

NAMED_NODES = 20
"""A sentence names at most so many nodes; the metadata has them all."""


DEPLOY = "deploy to the target partition of"
"""What a right is needed for, as a sentence says it before the nodes."""


def _some(nodes: Sequence[str]) -> str:
    more = len(nodes) - NAMED_NODES
    return ", ".join(nodes[:NAMED_NODES]) + (f" and {more} more" if more > 0 else "")


class IllegalTransition(DomainError):
    """The lifecycle has no such edge: a fault of ours."""

    reason = "INTERNAL"

    def __init__(self, state: str, trigger: str) -> None:
        super().__init__(f"{trigger} cannot happen in state {state}", metadata={"state": state, "trigger": trigger})


class LeaseLost(Conflict):
    """Another deployer drives the deployment, or it is finished: whoever gets this must stop and change nothing."""

    reason = "LEASE_LOST"

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"deployment {deployment_id} is driven by another deployer", metadata={"id": deployment_id})


class StoreFailed(DomainError):
    """The database cannot be used now. Each of its words is of one kind; who waits for it waits for all of them."""


class StoreUnreachable(StoreFailed, Unreachable):
    """The database does not answer; nothing was changed."""

    reason = "STORE_UNREACHABLE"


class StoreFull(StoreFailed, Exhausted):
    """The database's disk is full; nothing was changed."""

    reason = "DISK_FULL"


class StoreDamaged(StoreFailed, Unreachable):
    """The database's content is not what was written; nothing was changed."""

    reason = "DATABASE_DAMAGED"


class InvalidNodeSet(Invalid):
    """The text is not a node set."""

    reason = "INVALID_NODE_SET"

    def __init__(self, text: str, cause: str) -> None:
        shown = text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a terminal
        super().__init__(
            f"{shown!a} is not a node set: {cause}",
            metadata={"nodes": shown},
            violations=(FieldViolation(field="nodes", description=cause),),
        )


class InvalidDeployment(Invalid):
    """The request for a deployment cannot be accepted."""

    reason = "INVALID_DEPLOYMENT"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        super().__init__(f"the deployment cannot be accepted: {text}", violations=tuple(violations))


def check_fingerprint(known: str | None, fingerprint: str) -> None:
    """Raises InvalidDeployment when a request's id was given to another request; None: of that one nothing is known."""
    if known is not None and known != fingerprint:
        text = "was given to another request; every request needs one of its own"
        raise InvalidDeployment([FieldViolation(field="request_id", description=text)])


class InvalidInterval(Invalid):
    """The interval ends before it begins."""

    reason = "INVALID_INTERVAL"


class DeploymentNotFound(Missing):
    """There is no such deployment."""

    reason = "DEPLOYMENT_NOT_FOUND"

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"there is no deployment {deployment_id}", metadata={"id": deployment_id})


class NodeNotInDeployment(Missing):
    """The deployment has no such node."""

    reason = "NODE_NOT_IN_DEPLOYMENT"

    def __init__(self, node: str, deployment_id: str) -> None:
        super().__init__(
            f"{node} is not a node of deployment {deployment_id}", metadata={"node": node, "id": deployment_id}
        )


class RightMissing(Denied):
    """The user may not do this to some of the nodes; nothing was done to any."""

    reason = "RIGHT_MISSING"

    def __init__(self, user: str, nodes: Sequence[str], *, to: str = DEPLOY) -> None:
        super().__init__(
            f"{user} has no right to {to} {_some(nodes)}",
            metadata={"user": user, "nodes": ",".join(nodes)},
        )


class NotOwner(Denied):
    """Only the owner and administrators may."""

    reason = "NOT_OWNER"

    def __init__(self, deployment_id: str, owner: str) -> None:
        super().__init__(
            f"deployment {deployment_id} belongs to {owner}; only {owner} or an administrator may do this",
            metadata={"id": deployment_id, "owner": owner},
        )


class NotAdministrator(Denied):
    """Only administrators may act for another user."""

    reason = "NOT_ADMINISTRATOR"

    def __init__(self, caller: str, user: str) -> None:
        super().__init__(
            f"{caller} may not deploy for {user}: only administrators act for others",
            metadata={"caller": caller, "user": user},
        )


class NodesBusy(NotInState):
    """Nodes are held by other deployments or operations, and the request does not want to go on without them."""

    reason = "NODES_BUSY"

    def __init__(self, holders: Mapping[str, str]) -> None:
        held = [f"{node} ({in_words(holder)})" for node, holder in holders.items()]
        super().__init__(
            f"busy: {_some(held)}; try again later, or leave busy nodes out",
            metadata={"nodes": ",".join(holders), "deployments": ",".join(dict.fromkeys(holders.values()))},
        )


class AnotherDeploymentWaiting(NotInState):
    """Others who came before wait for the same nodes."""

    reason = "ANOTHER_DEPLOYMENT_WAITING"

    def __init__(
        self,
        deployment_id: str,
        owner: str,
        *,
        nodes: Sequence[str],
        ahead: int = 0,
        waited: float = 0.0,
        will_wait: float = 0.0,
    ) -> None:
        """Says who comes first.

        Args:
            deployment_id: of the one that waits for its nodes; empty when none does.
            owner: its owner.
            nodes: those that are claimed by others.
            ahead: how many requests queue before this one.
            waited: for how many seconds the deployment has waited.
            will_wait: for how many more it will wait at most.
        """
        who = (
            f"deployment {deployment_id} of {owner} is waiting for its nodes, for {waited:.0f} s until now and for "
            f"{will_wait:.0f} s more at most"
            if deployment_id
            else ""
        )
        others = f"{ahead} earlier request{'s' if ahead > 1 else ''} came before this one" if ahead else ""
        super().__init__(
            f"others come first on {_some(nodes)}: {', and '.join(text for text in (who, others) if text)}; try again "
            "later, or wait (--busy wait)",
            metadata={
                "id": deployment_id,
                "owner": owner,
                "nodes": ",".join(nodes),
                "ahead": str(ahead),
                "waited": f"{waited:.0f}",
                "will_wait": f"{will_wait:.0f}",
            },
        )


class EnvironmentUnusable(NotInState):
    """A file of the environment cannot be read, is not what was registered, or has no such kernel."""

    reason = "ENVIRONMENT_UNUSABLE"

    def __init__(self, name: str, version: int, problem: str) -> None:
        super().__init__(
            f"environment {name} version {version} cannot be deployed: {problem}",
            metadata={"environment": name, "version": str(version), "problem": problem},
        )


class NoNodeLeft(NotInState):
    """Every node had to be left out."""

    reason = "NO_NODE_LEFT"

    def __init__(self, causes: Mapping[str, str]) -> None:
        texts = [f"{node}: {cause}" for node, cause in causes.items()]
        super().__init__(
            f"no node is left to deploy ({_some(texts)})",
            metadata={"nodes": ",".join(causes)},
        )


class DeploymentFinished(NotInState):
    """A finished deployment never changes again."""

    reason = "DEPLOYMENT_FINISHED"

    def __init__(self, deployment_id: str, state: str) -> None:
        super().__init__(
            f"deployment {deployment_id} is finished ({state})", metadata={"id": deployment_id, "state": state}
        )


class WatchHistoryGone(HistoryGone):
    """The events that the watcher wants to resume from are not there."""

    reason = "WATCH_HISTORY_GONE"

    def __init__(self, deployment_id: str, after: int) -> None:
        super().__init__(
            f"deployment {deployment_id} keeps no events after {after}; watch again from 0",
            metadata={"id": deployment_id, "after_sequence": str(after)},
        )


class GoingAway(Unreachable):
    """The deployer stops; the deployments go on when it, or another, is there again."""

    reason = "GOING_AWAY"

    def __init__(self, deployment_id: str, after: int) -> None:
        super().__init__(
            f"this deployer stops; watch deployment {deployment_id} again after {after}",
            metadata={"id": deployment_id, "after_sequence": str(after)},
        )


class WatcherTooSlow(Exhausted):
    """The watcher did not read for too long."""

    reason = "WATCHER_TOO_SLOW"

    def __init__(self, deployment_id: str, after: int) -> None:
        super().__init__(
            f"the watcher of deployment {deployment_id} reads too slowly; watch again after {after}",
            metadata={"id": deployment_id, "after_sequence": str(after)},
        )
