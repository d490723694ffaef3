"""Delegations: what the page may do in a user's name, and what nobody may."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.authority_file import AuthorityFile
from kadeploy_edge.channel import open_channel
from kadeploy_edge.delegation import (
    METADATA_KEY,
    TYPE,
    DelegationReader,
    InvalidDelegation,
    make_delegation,
    unchecked_claims,
)
from kadeploy_edge.identity import CertifiedCallers
from kadeploy_edge.server import ServerSettings
from kadeploy_edge.status import from_rpc_error
from kadeploy_edge.tls import TlsFiles
from tests.fakes import inventory_services
from tests.fakes.inventory_services import InventoryServices
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread
from tests.tls_site import CONTRACTS, TlsSite, tls_site

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    with tls_site(tmp_path_factory.mktemp("delegation")) as site:
        site.certificates.issue("user", "web")
        yield site


def token_of(site: TlsSite, user: str, *, presenter: str = "user:web", may_change: bool = True) -> str:
    return make_delegation(site.files(user), presenter=presenter, lifetime=HOUR, may_change=may_change)


DEPLOYER = {"CreateDeployment", "ListDeployments", "RunCommand", "RebootNodes", "CancelDeployment"}
STUBS = {
    "CreateDeployment": "DeploymentService",
    "ListDeployments": "DeploymentService",
    "CancelDeployment": "DeploymentService",
    "RunCommand": "NodeControlService",
    "RebootNodes": "NodeControlService",
    "ListRights": "RightService",
    "GrantRights": "RightService",
    "RecordEnvironment": "EnvironmentService",
}


def reason(site: TlsSite, caller: str, method: str, token: str, **fields: Any) -> str:
    """Returns the reason why a call with a token is refused; empty when it is not."""
    service = "deployer" if method in DEPLOYER else "inventory"
    messages, stubs = CONTRACTS[service]
    with site.channel(service, caller) as channel:
        stub = getattr(stubs, f"{STUBS[method]}Stub")(channel)
        request = getattr(messages, f"{method}Request")(**fields)
        try:
            answer: Any = getattr(stub, method)(request, timeout=10, metadata=[(METADATA_KEY, token)])
            if hasattr(answer, "__next__"):
                list(answer)
        except grpc.RpcError as error:
            return from_rpc_error(error).reason
        return ""


def rights_seen(site: TlsSite, token: str) -> list[str]:
    with site.channel("inventory", "web") as channel:
        stub = inventory_service_pb2_grpc.RightServiceStub(channel)
        metadata = [(METADATA_KEY, token)] if token else []
        return [
            one.user
            for one in stub.ListRights(
                inventory_service_pb2.ListRightsRequest(), timeout=10, metadata=tuple(metadata)
            ).rights
        ]


def test_with_a_delegation_the_page_has_the_rights_of_its_user_and_without_one_its_own(site: TlsSite) -> None:
    assert rights_seen(site, "") == []
    assert set(rights_seen(site, token_of(site, "alice"))) == {"alice"}
    spec = deployment_pb2.DeploymentSpec(nodes="node-1", environment_name="none", device="sda", partition=3)
    assert reason(site, "web", "CreateDeployment", token_of(site, "bob"), spec=spec) == "ENVIRONMENT_NOT_FOUND"
    records = [json.loads(line) for line in (site.directory / "deployer-audit.json").read_text().splitlines()]
    made = [one for one in records if one["method"].endswith("CreateDeployment")][-1]
    assert (made["caller"], made["via"]) == ("user:bob", "user:web")


@pytest.mark.parametrize("method", ["RunCommand", "RebootNodes", "GrantRights", "RecordEnvironment"])
def test_what_the_contract_does_not_name_cannot_be_delegated_by_an_administrator_either(
    site: TlsSite, method: str
) -> None:
    for user in ("alice", "root"):
        assert reason(site, "web", method, token_of(site, user)) == "NOT_DELEGABLE"


def test_a_delegation_to_read_changes_nothing(site: TlsSite) -> None:
    token = token_of(site, "alice", may_change=False)
    assert set(rights_seen(site, token)) == {"alice"}
    assert reason(site, "web", "CreateDeployment", token) == "NOT_DELEGABLE"
    assert reason(site, "web", "CancelDeployment", token, id="x") == "NOT_DELEGABLE"


def test_nobody_else_can_use_a_delegation_and_no_service_can_make_or_present_one(site: TlsSite) -> None:
    token = token_of(site, "alice")
    for caller in ("bob", "root", "deployer"):
        assert reason(site, caller, "ListRights", token) == "INVALID_DELEGATION"
    service = make_delegation(site.files("deployer"), presenter="user:web", lifetime=HOUR, may_change=True)
    assert reason(site, "web", "ListRights", service) == "INVALID_DELEGATION"
    assert reason(site, "web", "ListRights", token_of(site, "mallory")) == "INVALID_DELEGATION"


def by_secret(claims: Any, header: Any, secret: bytes) -> str:
    """Returns a token that is signed by a secret which everybody knows."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def forged(site: TlsSite) -> Iterator[tuple[str, str]]:
    """Yields what somebody may try, by name."""
    files = site.files("alice")
    good = token_of(site, "alice")
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    key: Any = load_pem_private_key(files.private_key.read_bytes(), password=None)
    own = ec.generate_private_key(ec.SECP256R1())
    x5c = {"x5c": header["x5c"], "typ": TYPE}
    yield "another key", jwt.encode(claims, own, algorithm="ES256", headers=x5c)
    yield "no signature", jwt.encode(claims, None, algorithm="none", headers=x5c)  # type: ignore[arg-type]
    yield "the certificate as secret", by_secret(claims, {**x5c, "alg": "HS256"}, base64.b64decode(header["x5c"][0]))
    yield "in another's name", jwt.encode({**claims, "iss": "user:root"}, key, algorithm="ES256", headers=x5c)
    yield "for long", jwt.encode({**claims, "exp": claims["iat"] + 13 * 3600}, key, algorithm="ES256", headers=x5c)
    yield "for another audience", jwt.encode({**claims, "aud": "else"}, key, algorithm="ES256", headers=x5c)
    yield "ended", jwt.encode({**claims, "exp": int(time.time()) - 1}, key, algorithm="ES256", headers=x5c)
    yield (
        "not begun",
        jwt.encode(
            {**claims, "iat": claims["iat"] + 7200, "exp": claims["exp"] + 7200}, key, algorithm="ES256", headers=x5c
        ),
    )
    yield "another kind of token", jwt.encode(claims, key, algorithm="ES256", headers={**x5c, "typ": "JWT"})
    yield "no certificate", jwt.encode(claims, key, algorithm="ES256", headers={"typ": TYPE})
    many = {**x5c, "x5c": header["x5c"] * 5}
    yield "many certificates", jwt.encode(claims, key, algorithm="ES256", headers=many)
    yield "a text as certificates", jwt.encode(claims, key, algorithm="ES256", headers={**x5c, "x5c": "x"})
    yield "numbers as names", jwt.encode({**claims, "azp": 7}, key, algorithm="ES256", headers=x5c)
    yield "change as a word", jwt.encode({**claims, "change": "yes"}, key, algorithm="ES256", headers=x5c)
    yield "an endless time", jwt.encode({**claims, "exp": 10**30}, key, algorithm="ES256", headers=x5c)
    yield (
        "without an end",
        jwt.encode(
            {name: value for name, value in claims.items() if name != "exp"}, key, algorithm="ES256", headers=x5c
        ),
    )
    yield "cut", good[:-5]
    yield "no token", "x"
    yield "empty parts", ".."


def test_what_is_forged_is_refused(site: TlsSite, tmp_path: Path) -> None:
    foreign = SiteCertificates(tmp_path / "pki").issue("user", "alice")
    stranger = make_delegation(foreign, presenter="user:web", lifetime=HOUR, may_change=True)
    tried = {**dict(forged(site)), "another authority": stranger}
    found = {name: reason(site, "web", "ListRights", token) for name, token in tried.items()}
    assert found == dict.fromkeys(tried, "INVALID_DELEGATION")


def test_a_token_ends_with_its_hours_its_certificate_and_a_revocation(tmp_path: Path) -> None:
    certificates = SiteCertificates(tmp_path / "pki")
    files = certificates.issue("user", "alice", days=1 / 12)
    now = [datetime.now(UTC)]
    callers = CertifiedCallers(None, authorities=AuthorityFile(files.ca), clock=lambda: now[0])
    reader = DelegationReader(callers._check_certificate, clock=lambda: now[0])
    token = make_delegation(files, presenter="user:web", lifetime=3 * HOUR, may_change=True)
    claims = unchecked_claims(token)
    assert claims is not None
    assert claims[2] <= (now[0] + 2.01 * HOUR).timestamp()
    assert reader.read(token, presenter="user:web").user == "user:alice"
    now[0] += 2.5 * HOUR
    with pytest.raises(InvalidDelegation, match="ended on"):
        reader.read(token, presenter="user:web")
    now[0] += HOUR
    with pytest.raises(InvalidDelegation, match="log in anew"):
        reader.read(token, presenter="user:web")


def test_a_revoked_user_is_logged_out_within_the_call(site: TlsSite) -> None:
    site.certificates.issue("user", "dora")
    token = make_delegation(files_of(site, "dora"), presenter="user:web", lifetime=HOUR, may_change=True)
    assert rights_seen(site, token) == []
    site.certificates.revoke("user", "dora")
    assert reason(site, "web", "ListRights", token) == "INVALID_DELEGATION"


def files_of(site: TlsSite, user: str) -> TlsFiles:
    return site.certificates.files("user", user)


def test_a_delegation_lasts_half_a_day_at_most(site: TlsSite) -> None:
    with pytest.raises(ValueError, match="at most"):
        make_delegation(site.files("alice"), presenter="user:web", lifetime=timedelta(hours=13), may_change=True)


def test_on_a_socket_nobody_can_present_one(site: TlsSite, tmp_path: Path) -> None:
    fake = InventoryServices()  # type: ignore[abstract] # what is not called is not there
    settings = ServerSettings(
        service="inventory", address=f"unix:{tmp_path}/i", service_names=inventory_services.SERVICES
    )
    server, address = start_in_thread(fake.register, settings)
    try:
        with open_channel(address, caller="user:web") as channel:
            stub = inventory_service_pb2_grpc.RightServiceStub(channel)
            metadata = [(METADATA_KEY, token_of(site, "alice"))]
            with pytest.raises(grpc.RpcError) as error:
                stub.ListRights(inventory_service_pb2.ListRightsRequest(), timeout=10, metadata=tuple(metadata))
        assert from_rpc_error(error.value).reason == "INVALID_DELEGATION"
    finally:
        server.stop()
