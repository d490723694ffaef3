"""Follows a deployment or operation to its end, through restarts of the deployer and interrupts of the user."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.deployments.watching import interrupts
from kadeploy_cli.deployments.watching.feed import Answered, Ended, Feed, Interrupted, Item, Lost
from kadeploy_cli.deployments.watching.interrupts import Choice
from kadeploy_cli.deployments.watching.progress import FINISHED, DeploymentProgress
from kadeploy_cli.deployments.watching.subject import DeploymentSubject, Subject
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge import errors
from kadeploy_edge.status import RemoteError

TICK = 0.25
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
CANCEL_PATIENCE = 300.0
CHANGES = ("partition_state_changed", "deployment_state_changed")
"""The events after which a node may be deployed, or have failed."""
# What a new try can put right.
PASSING_KINDS = (errors.Unreachable, errors.Exhausted, errors.Conflict)
PASSING_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


class View(Protocol):
    """How the progress is shown."""

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Shows where things stand when the watch begins, or begins anew."""

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Shows what happened; the progress has taken it in already."""

    def tick(self, progress: DeploymentProgress) -> None:
        """Shows that time passes."""

    def say(self, text: str) -> None:
        """Shows a sentence."""

    def pause(self) -> None:
        """Makes room for a question."""

    def close(self) -> None:
        """Leaves the screen as it is."""


class Detached(Exception):
    """The user left; what was followed goes on."""


class Follower:
    """One watch of one deployment.

    Args:
        deployer: the service.
        deployment: as it was when the watch begins.
        view: how it is shown.
        owns: whether an interrupt may cancel it; else it only ends the watch.
        subject: what is followed; None: the deployment itself.
        see: called whenever a node may have ended; what it raises ends the watch.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        deployer: Deployer,
        deployment: deployment_pb2.Deployment,
        *,
        view: View,
        owns: bool,
        subject: Subject | None = None,
        see: Callable[[DeploymentProgress], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._see = see
        self._deployer, self._view, self._owns, self._clock = deployer, view, owns, clock
        self._id = deployment.id
        self._subject: Subject = subject or DeploymentSubject(deployer=deployer, id=deployment.id)
        words = self._subject.words
        self._noun, self._advice = words.noun, f"`{words.watch_command} {self._id}` follows it again"
        self._progress = DeploymentProgress(deployment, clock(), epoch=time.time(), words=words)
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._feed: Feed | None = None
        self._after_sequence = 0
        self._heard = clock()
        # Since when nothing was heard; None while all is well.
        self._lost_since: float | None = None
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        # When to stop waiting for a cancelled deployment to end.
        self._cancel_until: float | None = None

    @property
    def cancelled(self) -> bool:
        """True when the user has cancelled it meanwhile."""
        return self._cancel_until is not None

    def run(self) -> deployment_pb2.Deployment:
        """Returns the deployment as it ended, or raises Detached or a Failure."""
        with interrupts.caught(self._items):
            try:
                self._open()
                while True:
                    final = self._take(self._next_item())
                    if final is not None:
                        return final
            finally:
                if self._feed is not None:
                    self._feed.stop()
                self._view.close()

    def _next_item(self) -> Item | None:
        try:
            return self._items.get(timeout=TICK)
        except Empty:
            return None

    def _take(self, item: Item | None) -> deployment_pb2.Deployment | None:
        """Takes one item in; returns the deployment when that was the end."""
        if isinstance(item, Interrupted):
            self._interrupted()
        elif isinstance(item, Answered) and item.feed is self._feed:
            self._take_response(item.response)
        elif isinstance(item, Ended) and item.feed is self._feed:
            return self._ended()
        elif isinstance(item, Lost) and item.feed is self._feed:
            self._broke(item.error)
        self._look_at_clock()
        return None

    def _open(self) -> None:
        self._heard = self._clock()
        self._feed = Feed(self._subject, after_sequence=self._after_sequence, items=self._items)

    def _take_response(self, response: deployer_service_pb2.WatchDeploymentResponse) -> None:
        now = self._clock()
        self._heard = now
        if self._lost_since is not None:
            self._view.say("the deployer answers again")
            self._lost_since, self._pause = None, FIRST_PAUSE
        kind = response.WhichOneof("kind")
        if kind == "snapshot":
            self._progress.take_snapshot(response.snapshot)
            self._view.snapshot(self._progress)
        elif kind == "event" and self._progress.take_event(response.event, now):
            self._view.event(self._progress, response.event)
        elif kind == "heartbeat":
            self._progress.hear(response.heartbeat.time, now)
        self._after_sequence = self._progress.sequence
        self._view.tick(self._progress)
        # Looking at all nodes for each of their many events would cost too much.
        if kind == "snapshot" or response.event.WhichOneof("kind") in CHANGES:
            self._see(self._progress)

    def _ended(self) -> deployment_pb2.Deployment | None:
        """Returns the deployment if it has ended; a stream that ends before it was cut by the server's own end."""
        try:
            final = self._subject.get()
        except Failure as failure:
            if failure.exit_code != ExitCode.UNREACHABLE:
                raise
            final = None
        if final is not None and final.state in FINISHED:
            return final
        self._lose()
        return None

    def _broke(self, error: RemoteError) -> None:
        if error.kind is errors.HistoryGone:
            self._after_sequence = 0
            self._open()
        elif error.kind in PASSING_KINDS or (error.kind is None and error.code in PASSING_CODES):
            self._lose()
        else:
            raise self._deployer.failure(error)

    def _lose(self) -> None:
        """Notes that the stream is gone, and when to try again."""
        if self._feed is not None:
            self._feed.stop()
            self._feed = None
        now = self._clock()
        if self._lost_since is None:
            self._lost_since = now
            patience = self._deployer.deadlines.reconnect
            self._view.say(
                f"lost the deployer at {self._deployer.address}; trying again for up to {patience:g} s "
                f"(the {self._noun} does not depend on this command)"
            )
        self._next_try = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _look_at_clock(self) -> None:
        now = self._clock()
        if self._cancel_until is not None and now > self._cancel_until:
            raise Failure(
                f"{self._noun} {self._id} was asked to stop, but has not ended after {CANCEL_PATIENCE:g} s",
                exit_code=ExitCode.UNREACHABLE,
                advice=f"{self._advice}.",
            )
        if self._feed is not None and now - self._heard > self._deployer.deadlines.silence:
            self._lose()
        if self._lost_since is not None and now - self._lost_since > self._deployer.deadlines.reconnect:
            raise Failure(
                f"the deployer at {self._deployer.address} has not come back after "
                f"{self._deployer.deadlines.reconnect:g} s; {self._noun} {self._id} was {self._progress.state_word} "
                "when last seen",
                exit_code=ExitCode.UNREACHABLE,
                advice=f"{self._advice} when the deployer is back.",
            )
        if self._feed is None and now >= self._next_try:
            self._open()
        self._view.tick(self._progress)

    def _interrupted(self) -> None:
        if not self._owns or self._cancel_until is not None:
            raise Detached
        choice = Choice.CANCEL
        if interrupts.on_terminal():
            self._view.pause()
            choice = interrupts.ask()
        if choice is Choice.DETACH:
            raise Detached
        if choice is Choice.CANCEL:
            self._cancel()

    def _cancel(self) -> None:
        self._view.say(f"cancelling; {self._subject.cancelling} (interrupt again to stop waiting for it)")
        try:
            self._subject.cancel("interrupted by its user")
        except Failure as failure:
            # It may have ended a moment before, which the stream then tells.
            if failure.exit_code != ExitCode.REFUSED:
                raise
        self._cancel_until = self._clock() + CANCEL_PATIENCE
