"""The two ways to a certificate: MUNGE and the inventory's login address, or the agent of this host."""

import hashlib
import json
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_cli.connection.connect import remote_failure
from kadeploy_cli.login.agent import LONGEST_LINE
from kadeploy_cli.terminal import advice
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_edge.channel import open_login_channel
from kadeploy_edge.errors import DomainError
from kadeploy_edge.status import from_rpc_error

MUNGE_SECONDS = 10.0
PAYLOAD_PREFIX = "kadeploy-login:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A certificate: whose, until when, and with its issuer's behind it, PEM."""

    user: str
    end_time: datetime
    chain: bytes


def log_in_by_munge(
    request: bytes, user: str, *, address: str, ca: Path, insecure: bool, seconds: float, munge_socket: str = ""
) -> Answer:
    """Returns the certificate that the inventory issues to the user whom MUNGE names, or raises Failure."""
    credential = _credential(request, munge_socket)
    message = inventory_service_pb2.IssueByMungeRequest(certificate_request=request, credential=credential, user=user)
    try:
        with open_login_channel(address, ca=ca, insecure=insecure) as channel:
            stub = inventory_service_pb2_grpc.LoginServiceStub(channel)
            issued = stub.IssueByMunge(message, timeout=seconds).certificate
    except DomainError as error:
        raise UsageFailure(f"[login] address: {error.message}", advice=advice.for_reason(error.reason)) from None
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        if not remote.reason:
            raise Failure(
                f"the inventory does not answer for logins at {address}",
                exit_code=ExitCode.UNREACHABLE,
                advice="Check [login] address in client.toml, and that its certificate comes from [tls] ca.",
                details=(remote.message,),
            ) from None
        raise remote_failure(remote) from None
    return Answer(user=issued.user, end_time=issued.end_time.ToDatetime(UTC), chain=issued.chain)


def log_in_by_agent(request: bytes, *, path: Path, seconds: float) -> Answer:
    """Returns the certificate that this host's agent gets for whoever calls, or raises Failure."""
    line = json.dumps({"certificate_request": request.decode("ascii")}) + "\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(seconds)
            agent.connect(str(path))
            agent.sendall(line.encode("ascii"))
            with agent.makefile("rb") as answers:
                answer = _read_answer(answers.readline(LONGEST_LINE), path)
    except OSError as error:
        raise Failure(
            f"the login agent of this host does not answer at {path}: {error.strerror or error}",
            exit_code=ExitCode.UNREACHABLE,
            advice="An administrator looks at `systemctl status kadeploy-login-agent` on this host.",
        ) from None
    if "error" in answer:
        raise Failure(
            str(answer["error"]),
            exit_code=ExitCode.REFUSED,
            advice=advice.for_reason(str(answer.get("reason", ""))),
        )
    return Answer(
        user=str(answer["user"]),
        end_time=datetime.fromisoformat(str(answer["end_time"])),
        chain=str(answer["chain"]).encode("ascii"),
    )


def _read_answer(line: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not ({"error"} & set(found) or {"user", "end_time", "chain"} <= set(found)):
        raise Failure(f"what answers at {path} is no login agent", exit_code=ExitCode.UNREACHABLE)
    return found


def _credential(request: bytes, munge_socket: str) -> str:
    """Returns a MUNGE credential for this request, and for no other one."""
    command = ["munge", *([f"--socket={munge_socket}"] if munge_socket else [])]
    payload = PAYLOAD_PREFIX + hashlib.sha256(request).hexdigest()
    try:
        done = subprocess.run(
            command, input=payload, capture_output=True, text=True, timeout=MUNGE_SECONDS, check=False
        )
    except FileNotFoundError:
        raise Failure(
            "the program munge is not on this host",
            exit_code=ExitCode.UNREACHABLE,
            advice="`ka login` works on hosts that have MUNGE, such as the login hosts of Slurm.",
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"munge cannot be run: {error}", exit_code=ExitCode.UNREACHABLE) from None
    if done.returncode != 0:
        raise Failure(
            "MUNGE does not answer on this host",
            exit_code=ExitCode.UNREACHABLE,
            advice="An administrator looks at `systemctl status munge` on this host.",
            details=(done.stderr.strip(),),
        )
    return done.stdout.strip()
