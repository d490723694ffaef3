"""How commands reach the services: stubs on channels, a deadline on every call, and errors turned into `Failure`."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2_grpc
from kadeploy_cli.connection import suggestions
from kadeploy_cli.connection.certificate_end import warn_of_end
from kadeploy_cli.connection.settings import Settings
from kadeploy_cli.terminal import advice
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.output import say
from kadeploy_edge import errors
from kadeploy_edge.channel import open_channel
from kadeploy_edge.request_id import current_request_id
from kadeploy_edge.status import RemoteError, from_rpc_error
from kadeploy_edge.tls import UnusableCertificate

Request = TypeVar("Request")
Response = TypeVar("Response")

PAGE_SIZE = 500
# A list that has more pages than this was made by a broken server.
MAXIMUM_PAGES = 100_000
# What gRPC says when this side does not believe the other one's certificate, and when the other does not believe ours:
# in TLS 1.3 that side closes the connection after we took it for open.
UNBELIEVED = ("CERTIFICATE_VERIFY_FAILED", "verification check failed", "Verification Check failed")
UNTIMELY = ("certificate has expired", "certificate is not yet valid")
REFUSED = ("Socket closed", "handshake", "Connection reset", "Broken pipe")
# What gRPC says for a service that is sent more than the largest of its requests.
TOO_LARGE = "larger than max"

KIND_CODES: dict[type[errors.DomainError] | None, ExitCode] = {
    errors.Invalid: ExitCode.USAGE,
    errors.Missing: ExitCode.NOT_FOUND,
    errors.Exists: ExitCode.REFUSED,
    errors.NotInState: ExitCode.REFUSED,
    errors.Conflict: ExitCode.REFUSED,
    errors.Exhausted: ExitCode.REFUSED,
    errors.Denied: ExitCode.REFUSED,
    errors.HistoryGone: ExitCode.REFUSED,
    errors.Unreachable: ExitCode.UNREACHABLE,
    None: ExitCode.FAILED,
}


class Peer:
    """One service: its address, and a channel to it."""

    def __init__(self, service: str, settings: Settings, *, quiet: bool = False) -> None:
        """`quiet`: says nothing about plain text."""
        self.service, self._settings = service, settings
        self.address = settings.address(service)
        self.deadlines = settings.deadlines
        self.has_tls = settings.tls is not None and not settings.insecure and not self.address.startswith("unix:")
        try:
            self.channel = open_channel(
                self.address,
                caller=f"user:{settings.user}",
                tls=settings.tls,
                insecure=settings.insecure,
                http_proxy=settings.http_proxy,
            )
        except UnusableCertificate as error:
            raise UsageFailure(
                f"{settings.path}: [tls]: {error.message}", advice=advice.for_reason(error.reason)
            ) from None
        except errors.DomainError as error:
            raise UsageFailure(
                f"{settings.path}: [{service}] address: {error.message}",
                advice=advice.for_reason(error.reason),
            ) from None
        if self.has_tls and settings.tls is not None and not quiet:
            warn_of_end(settings.tls.certificate)
        if settings.insecure and not quiet and not self.address.startswith("unix:"):
            say(f"INSECURE: {self.address} is called in plain text; callers are not authenticated")

    def close(self) -> None:
        """Closes the channel; calls that still run are cancelled."""
        self.channel.close()

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        deadline: float | None = None,
        refusal: Callable[[RemoteError], Failure | None] = lambda _: None,
    ) -> Response:
        """Returns the answer to one call, or raises the Failure that tells why there is none.

        `refusal` may know better words for an error, such as the line of the file that the request came from.
        """
        try:
            return method(request, timeout=deadline or self.deadlines.call)
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            raise refusal(remote) or self.failure(remote) from None

    def failure(self, error: RemoteError) -> Failure:
        """Returns what a user is told of an error that a call met; with --verbose, where to look in the logs, too."""
        failure = self._failure(error)
        failure.details += (f"request_id = {current_request_id.get()}",) if current_request_id.get() else ()
        return failure

    def _failure(self, error: RemoteError) -> Failure:
        if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
            return self._unreached(error)
        if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and not error.reason and TOO_LARGE in error.message:
            return Failure(
                f"the request is larger than the {self.service} service takes in one call",
                exit_code=ExitCode.USAGE,
                advice="Do it in several parts: fewer nodes at once.",
                details=(error.message,),
            )
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Failure(
                f"the {self.service} service at {self.address} did not answer in time",
                exit_code=ExitCode.UNREACHABLE,
                advice="Try again; its log says what it is doing. [deadlines] call in client.toml sets the patience.",
                details=(error.message,),
            )
        if error.code is grpc.StatusCode.UNIMPLEMENTED:
            return Failure(
                f"the {self.service} service at {self.address} cannot do this",
                exit_code=ExitCode.REFUSED,
                advice="It may be older than this command: ask the administrator to upgrade it.",
                details=(error.message,),
            )
        failure = remote_failure(error)
        failure.advice = f"{self._suggestion(error)} {failure.advice}".strip()
        return failure

    def _suggestion(self, error: RemoteError) -> str:
        """Returns a question with names like the one that was not found, asked of the service that knows them."""
        service = suggestions.source(error)
        if service == self.service:
            return suggestions.did_you_mean(error, self.channel)
        if service not in self._settings.addresses:
            return ""
        other = Peer(service, self._settings, quiet=True)
        try:
            return suggestions.did_you_mean(error, other.channel)
        finally:
            other.close()

    def _unreached(self, error: RemoteError) -> Failure:
        """Returns what a user is told of a call that reached no service."""
        if self.has_tls and any(word in error.message for word in UNBELIEVED):
            untimely = any(word in error.message for word in UNTIMELY)
            return Failure(
                f"the certificate of the {self.service} service at {self.address} is not trusted",
                exit_code=ExitCode.UNREACHABLE,
                advice="By this host's clock it does not count: compare `date` on both hosts, or have it renewed."
                if untimely
                else "It must come from the authority in [tls] ca, still count, and name this host.",
                details=(error.message,),
            )
        if self.has_tls and any(word in error.message for word in REFUSED):
            return Failure(
                f"the {self.service} service at {self.address} closed the connection at once",
                exit_code=ExitCode.UNREACHABLE,
                advice="It does not trust the certificate in [tls], or it speaks plain text; its log says which.",
                details=(error.message,),
            )
        return Failure(
            f"the {self.service} service does not answer at {self.address}",
            exit_code=ExitCode.UNREACHABLE,
            advice=f"Check that kadeploy-{self.service} runs, and [{self.service}] address in client.toml.",
            details=(error.message,),
        )

    def pages(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        rows: Callable[[Response], Any],
    ) -> Iterator[Any]:
        """Gives every row of a list, page after page. The request's paging fields are overwritten."""
        paged: Any = request
        paged.page_size, paged.page_token = PAGE_SIZE, ""
        for _ in range(MAXIMUM_PAGES):
            answer: Any = self.call(method, paged)
            yield from rows(answer)
            if not answer.next_page_token:
                return
            paged.page_token = answer.next_page_token
        raise Failure(
            f"the {self.service} service at {self.address} gives a list without an end",
            exit_code=ExitCode.FAILED,
        )


def remote_failure(error: RemoteError) -> Failure:
    """Returns what a user is told of an error that a service answered."""
    message = error.message or error.code.name
    if error.reason:
        message = f"{message} ({error.reason})"
    for violation in error.violations:
        # Most sentences tell of their fields already.
        if violation.description not in message:
            message += f"\n  {violation.field}: {violation.description}"
    return Failure(
        message,
        exit_code=KIND_CODES.get(error.kind, ExitCode.FAILED),
        advice=advice.for_reason(error.reason),
        details=tuple(f"{name} = {value}" for name, value in sorted(error.metadata.items())),
        reason=error.reason,
    )


class Inventory(Peer):
    """The inventory: nodes, clusters, environments, rights."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("inventory", settings)
        self.nodes = inventory_service_pb2_grpc.NodeServiceStub(self.channel)
        self.clusters = inventory_service_pb2_grpc.ClusterServiceStub(self.channel)
        self.environments = inventory_service_pb2_grpc.EnvironmentServiceStub(self.channel)
        self.rights = inventory_service_pb2_grpc.RightServiceStub(self.channel)


class Deployer(Peer):
    """The deployer: deployments, what the cluster looks like now, and what is done to nodes besides."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("deployer", settings)
        self.uploads = deployer_service_pb2_grpc.ImageUploadServiceStub(self.channel)
        self.deployments = deployer_service_pb2_grpc.DeploymentServiceStub(self.channel)
        self.states = deployer_service_pb2_grpc.ClusterStateServiceStub(self.channel)
        self.control = deployer_service_pb2_grpc.NodeControlServiceStub(self.channel)


class Bootctl(Peer):
    """bootctl: what every machine boots next."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("bootctl", settings)
        self.boot = bootctl_service_pb2_grpc.BootServiceStub(self.channel)
        self.files = bootctl_service_pb2_grpc.BootFileServiceStub(self.channel)
        self.tree = bootctl_service_pb2_grpc.TreeServiceStub(self.channel)
