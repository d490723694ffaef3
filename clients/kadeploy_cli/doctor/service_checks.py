"""The services as they are reached from here: health, versions, clocks, certificates, databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.connect import Peer
from kadeploy_cli.connection.session import Session
from kadeploy_cli.doctor.finding import Finding, bad, good, skipped, warning
from kadeploy_cli.overview.services import SECONDS, ServiceState, own_certificate_end
from kadeploy_cli.overview.under_way import moment
from kadeploy_edge.health import REASON_KEY
from kadeploy_edge.status import from_rpc_error

WARN_BEFORE = timedelta(days=30)
MOST_SECONDS_APART = 2.0
PKI = "`ka pki renew` makes a new one (docs/identity.md)."

_UPGRADE = "`kadeploy-{} db upgrade` brings the schema up to date; else see docs/databases.md."
_REACH = "Check {0}_address in deployer.toml, the firewall between the hosts, and that kadeploy-{0} runs."
DEPENDENCIES: dict[str, dict[str, tuple[str, str]]] = {
    "inventory": {
        "deploy": ("database deploy of inventory", _UPGRADE.format("inventory")),
        "deploy_right": ("database deploy_right of inventory", _UPGRADE.format("inventory")),
    },
    "deployer": {
        "deploy_state": ("database deploy_state of deployer", _UPGRADE.format("deployer")),
        "inventory": ("inventory as the deployer reaches it", _REACH.format("inventory")),
        "bootctl": ("bootctl as the deployer reaches it", _REACH.format("bootctl")),
    },
    "bootctl": {"tree": ("TFTP tree of bootctl", "`kadeploy-bootctl check` on its host says what is wrong.")},
}
"""What each service depends on, by the names of its health: how it is called, and what to do."""


def check_services(services: list[ServiceState]) -> Iterator[Finding]:
    """Looks whether each service is reached, and has the version of this command."""
    own = version("kadeploy-client")
    for each in services:
        if not each.serves:
            yield bad(each.service, each.state, f"Check that kadeploy-{each.service} runs: its log says why not.")
        elif each.version and each.version != own:
            text = f"serves at {each.address}, version {each.version}; this command is {own}"
            yield warning(each.service, text, "Upgrade all parts to one release.")
        else:
            yield good(each.service, f"serves at {each.address}, version {each.version or 'unknown'}")


def check_clocks(services: list[ServiceState]) -> Iterator[Finding]:
    """Compares the clocks of the services' hosts with this one's."""
    for each in services:
        if each.seconds_ahead is None:
            continue
        subject, apart = f"clock of {each.service}", abs(each.seconds_ahead)
        if apart > MOST_SECONDS_APART:
            side = "ahead of" if each.seconds_ahead > 0 else "behind"
            text = f"{apart:.0f} s {side} this host"
            yield bad(subject, text, "Let chrony or systemd-timesyncd keep the time on all hosts.")
        else:
            yield good(subject, f"{apart:.1f} s from this host's")


def check_certificates(session: Session, services: list[ServiceState]) -> Iterator[Finding]:
    """Looks until when certificates count."""
    ends = [(f"certificate of {each.service}", each.certificate_end) for each in services]
    ends.append(("your certificate", own_certificate_end(session.settings)))
    for subject, end in ends:
        if end is not None:
            yield certificate(subject, end, now=datetime.now(UTC))


def certificate(subject: str, end: datetime, *, now: datetime) -> Finding:
    """Returns how a certificate is that counts until a time."""
    if end <= now:
        return bad(subject, f"ended on {moment(end)}", PKI)
    if end - now < WARN_BEFORE:
        return warning(subject, f"ends on {moment(end)}, in {(end - now).days} days", PKI)
    return good(subject, f"counts until {moment(end)}")


def check_dependencies(session: Session, service: str) -> Iterator[Finding]:
    """Asks a service for each thing that it depends on: its databases with their migrations, and the other services."""
    peer = Peer(service, session.settings, quiet=True)
    try:
        stub = health_pb2_grpc.HealthStub(peer.channel)
        for name, (subject, advice) in DEPENDENCIES[service].items():
            yield _dependency(stub, name, subject, advice)
    finally:
        peer.close()


def _dependency(stub: Any, name: str, subject: str, advice: str) -> Finding:
    try:
        answer, call = stub.Check.with_call(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS)
    except grpc.RpcError as error:
        return warning(subject, f"the service does not say: {from_rpc_error(error).message}")
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return good(subject, "is there")
    reason = next((str(value) for key, value in call.trailing_metadata() or () if key == REASON_KEY), "is not there")
    return bad(subject, reason, advice)


def check_deployer(session: Session) -> Iterator[Finding]:
    """Asks the deployer for what it needs of its own host."""
    deployer = session.deployer
    answer = deployer.call(deployer.states.CheckHost, deployer_service_pb2.CheckHostRequest())
    for found in answer.findings:
        make = {
            deployer_service_pb2.HOST_FINDING_STATE_GOOD: good(found.subject, found.description),
            deployer_service_pb2.HOST_FINDING_STATE_WARNING: warning(found.subject, found.description, found.advice),
            deployer_service_pb2.HOST_FINDING_STATE_BAD: bad(found.subject, found.description, found.advice),
        }
        yield make.get(found.state, skipped(found.subject, found.description))
