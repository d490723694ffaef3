"""The agent of a login host: the kernel says which user calls at its socket, and the inventory believes the agent.

One line of JSON each way: {"certificate_request": PEM}, then {"user", "end_time", "chain"} or {"error", "reason"}.
"""

import asyncio
import json
import logging
import os
import pwd
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.status import from_rpc_error

logger = logging.getLogger(__name__)

LONGEST_LINE = 64 * 1024
READ_SECONDS, CALL_SECONDS = 10.0, 20.0
MOST_AT_ONCE, MOST_OF_A_USER = 64, 4
# struct ucred: pid, uid, gid.
_UCRED = struct.Struct("iII")


class LoginAgent:
    """Answers at a Unix socket, which everybody on the host may open."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes the channel to the inventory."""
        self._stub = inventory_service_pb2_grpc.LoginServiceStub(channel)
        self._running: Counter[int] = Counter()

    async def start(self, path: Path) -> asyncio.Server:
        """Starts to answer; the socket of an agent that is gone is replaced."""
        return await asyncio.start_unix_server(self._answer, sock=_bound(path), limit=LONGEST_LINE)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = caller_of(writer.get_extra_info("socket"))
        try:
            if self._running.total() >= MOST_AT_ONCE or self._running[uid] >= MOST_OF_A_USER:
                answer: Mapping[str, str] = {"error": "too many logins at once: try again in a moment"}
            else:
                self._running[uid] += 1
                try:
                    answer = await self._issue(uid, await asyncio.wait_for(reader.readline(), READ_SECONDS))
                finally:
                    self._running[uid] -= 1
            writer.write(json.dumps(answer).encode("ascii") + b"\n")
            await asyncio.wait_for(writer.drain(), READ_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            # ValueError: the line is longer than the limit.
            logger.info("uid=%d went away or sent no request: %s", uid, error)
        finally:
            writer.close()

    async def _issue(self, uid: int, line: bytes) -> Mapping[str, str]:
        try:
            request = json.loads(line)["certificate_request"].encode("ascii")
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"error": "this is no request of `ka login`"}
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            return {"error": f"uid {uid} has no name on this host"}
        message = inventory_service_pb2.IssueByAgentRequest(certificate_request=request, user=user, uid=uid)
        try:
            issued = (await self._stub.IssueByAgent(message, timeout=CALL_SECONDS)).certificate
        except grpc.aio.AioRpcError as error:
            remote = from_rpc_error(error)
            logger.warning("user=%s uid=%d login failed: %s", user, uid, remote.message or remote.code.name)
            if remote.reason:
                return {"error": remote.message, "reason": remote.reason}
            return {"error": "the inventory does not answer this host's login agent: its log says why"}
        logger.info("user=%s uid=%d certificate=%s issued", user, uid, issued.serial)
        return {
            "user": issued.user,
            "end_time": issued.end_time.ToDatetime(UTC).isoformat(),
            "chain": issued.chain.decode("ascii"),
        }


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    # For everybody on the host: the kernel says who they are.
    path.chmod(0o666)
    return bound


def caller_of(connection: socket.socket) -> int:
    """Returns the user number of whoever opened the other end, as the kernel knows it."""
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(content)[1])


def own_host() -> str:
    """Returns the name that the agent calls itself by where no certificate says it."""
    return os.uname().nodename
