"""How a client reaches a service: by its certificate on TCP, by its own word on a Unix socket."""

from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding

from kadeploy_edge.caller import METADATA_KEY
from kadeploy_edge.following_channel import FollowingChannel
from kadeploy_edge.request_id import passed_on
from kadeploy_edge.tls import TlsFiles, channel_credentials, read_certificates
from kadeploy_edge.tracing import outgoing
from kadeploy_edge.transport import Transport, choose_transport

OPTIONS = (
    # A service that says nothing is away after 10 s of a call, and after 5 s if it does not even answer a connection.
    ("grpc.keepalive_time_ms", 4_000),
    ("grpc.keepalive_timeout_ms", 6_000),
    ("grpc.http2.ping_timeout_ms", 6_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # A restarted service is found again in seconds, not in minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # 10,000 nodes in one message.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def open_channel(
    address: str, *, caller: str, tls: TlsFiles | None = None, insecure: bool = False, http_proxy: bool = False
) -> grpc.Channel:
    """Returns a channel to a service.

    Args:
        address: "unix:/path" or "host:port".
        caller: "user:alice", or a service's name; where certificates are used, they say it instead.
        tls: the caller's certificate, its key, and the authority that the service's certificate comes from.
        insecure: plain text on loopback.
        http_proxy: go through the proxy of the environment (https_proxy, http_proxy, no_proxy), as gRPC knows it.

    Raises:
        UnsafeAddress: TCP without certificates, or no address at all.
        UnusableCertificate: a file is not there, is damaged, has ended, or does not fit the others.
    """
    options = _options(http_proxy=http_proxy)
    if tls is not None and choose_transport(address, tls=tls, insecure=insecure) is Transport.TLS:
        secured = grpc.secure_channel(address, channel_credentials(tls), options=options)
        return grpc.intercept_channel(secured, _CallerInterceptor(""))
    choose_transport(address, tls=tls, insecure=insecure)
    channel = grpc.insecure_channel(address, options=options)
    return grpc.intercept_channel(channel, _CallerInterceptor(caller))


def open_login_channel(address: str, *, ca: Path, insecure: bool = False) -> grpc.Channel:
    """Returns a channel of a caller who has no certificate yet; the service proves itself all the same.

    Args:
        address: "host:port".
        ca: the authority that the service's certificate comes from.
        insecure: plain text on loopback.

    Raises:
        UnsafeAddress, UnusableCertificate: as open_channel.
    """
    content = b"".join(each.public_bytes(Encoding.PEM) for each in read_certificates(ca))
    files = TlsFiles(certificate=ca, private_key=ca, ca=ca)
    if choose_transport(address, tls=files, insecure=insecure) is Transport.TLS:
        credentials = grpc.ssl_channel_credentials(root_certificates=content)
        channel = grpc.secure_channel(address, credentials, options=_options())
    else:
        channel = grpc.insecure_channel(address, options=_options())
    return grpc.intercept_channel(channel, _CallerInterceptor(""))


def open_aio_channel(
    address: str, *, caller: str, tls: TlsFiles | None = None, insecure: bool = False, http_proxy: bool = False
) -> grpc.aio.Channel:
    """Returns an aio channel to a service, which follows renewed files. Arguments and errors as for open_channel."""
    options = _options(http_proxy=http_proxy)
    if tls is not None and choose_transport(address, tls=tls, insecure=insecure) is Transport.TLS:
        files = tls
        return FollowingChannel(
            files, lambda: grpc.aio.secure_channel(address, channel_credentials(files), options=options)
        )
    choose_transport(address, tls=tls, insecure=insecure)
    interceptors = [
        _AioUnaryUnary(caller),
        _AioUnaryStream(caller),
        _AioStreamUnary(caller),
        _AioStreamStream(caller),
    ]
    return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)


def _options(*, http_proxy: bool = False) -> tuple[tuple[str, int], ...]:
    # gRPC would take the proxy of the environment by itself, for addresses on loopback, too.
    return (*OPTIONS, ("grpc.enable_http_proxy", int(http_proxy)))


def _metadata(caller: str) -> tuple[tuple[str, str], ...]:
    """Returns what every call carries: who calls, where no certificate says it, and for which request."""
    return (*(((METADATA_KEY, caller),) if caller else ()), *outgoing())


class _SyncDetails(grpc.ClientCallDetails):
    def __init__(self, details: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = (*(details.metadata or ()), *metadata)
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class _CallerInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """All four shapes of a sync call: the continuation alone differs."""

    def __init__(self, caller: str) -> None:
        self._caller = caller
        # Threads of a command do not know of its request themselves.
        self._opened_for = passed_on()

    def _details(self, details: Any) -> _SyncDetails:
        metadata = _metadata(self._caller)
        return _SyncDetails(details, metadata if passed_on() else (*metadata, *self._opened_for))

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._details(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._details(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._details(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._details(client_call_details), request_iterator)


def _aio_details(details: Any, caller: str) -> Any:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *_metadata(caller))
    return details._replace(metadata=metadata)


# grpc.aio takes one class per shape and refuses an object of several.
class _AioUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, caller: str) -> None:
        self._caller = caller

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_aio_details(client_call_details, self._caller), request)


class _AioUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, caller: str) -> None:
        self._caller = caller

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_aio_details(client_call_details, self._caller), request)


class _AioStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, caller: str) -> None:
        self._caller = caller

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_aio_details(client_call_details, self._caller), request_iterator)


class _AioStreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, caller: str) -> None:
        self._caller = caller

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_aio_details(client_call_details, self._caller), request_iterator)
