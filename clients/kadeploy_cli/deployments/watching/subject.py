"""What is followed: a deployment, or another operation that is shown in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.deployments.watching.words import DEPLOYMENT_WORDS, Words


class Watch(Protocol):
    """A stream of answers that can be ended."""

    def __iter__(self) -> Iterator[Any]:
        """Gives the answers as they come."""

    def cancel(self) -> Any:
        """Ends it."""


class Subject(Protocol):
    """What is followed. Snapshots and events are told in the words of deployments."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def words(self) -> Words:
        """How people name it and its states."""

    @property
    def cancelling(self) -> str:
        """What happens when it is cancelled."""

    def open_watch(self, after_sequence: int) -> Watch:
        """Begins to watch it."""

    def read(self, answer: Any) -> deployer_service_pb2.WatchDeploymentResponse:
        """Returns an answer of the watch as one of a deployment."""

    def get(self) -> deployment_pb2.Deployment:
        """Returns it as it is now, as a deployment. Raises Failure."""

    def cancel(self, reason: str) -> None:
        """Asks for its end. Raises Failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSubject:
    """A deployment. Implements `Subject`."""

    deployer: Deployer
    id: str
    words: Words = DEPLOYMENT_WORDS
    cancelling: str = "the nodes are released and left bootable"

    def open_watch(self, after_sequence: int) -> Watch:
        """Begins to watch it. No deadline: a deployment takes what it takes."""
        request = deployer_service_pb2.WatchDeploymentRequest(id=self.id, after_sequence=after_sequence)
        watch: Watch = self.deployer.deployments.WatchDeployment(request)
        return watch

    def read(self, answer: Any) -> deployer_service_pb2.WatchDeploymentResponse:
        """Returns the answer."""
        response: deployer_service_pb2.WatchDeploymentResponse = answer
        return response

    def get(self) -> deployment_pb2.Deployment:
        """Returns it as it is now. Raises Failure."""
        request = deployer_service_pb2.GetDeploymentRequest(id=self.id)
        return self.deployer.call(self.deployer.deployments.GetDeployment, request)

    def cancel(self, reason: str) -> None:
        """Asks for its end. Raises Failure."""
        request = deployer_service_pb2.CancelDeploymentRequest(id=self.id, reason=reason)
        self.deployer.call(self.deployer.deployments.CancelDeployment, request)
