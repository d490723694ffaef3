"""The settings of the inventory: one TOML file, read strictly. Paths may be relative to it."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_database.access import DatabaseAccess, read_access
from kadeploy_edge.limits import DEFAULTS, Limits, read_limits
from kadeploy_edge.login_certificate import LONGEST_HOURS, SHORTEST_HOURS
from kadeploy_edge.metrics_settings import read_metrics_address
from kadeploy_edge.settings_file import Table, load
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.tls_settings import read_tls
from kadeploy_edge.usual_settings import (
    read_address,
    read_administrators,
    read_audit_log,
    read_log_format,
    read_tracing_endpoint,
    read_workers,
)
from kadeploy_inventory.domain.environment_quota import DEFAULT_QUOTA, EnvironmentQuota

TITLE = "Settings of the inventory: kadeploy-inventory serve --config THIS-FILE"
DEFAULT_ADDRESS = "127.0.0.1:7401"
DEFAULT_METRICS_ADDRESS = "127.0.0.1:7411"
MOST_ENVIRONMENTS = 1_000_000
DEFAULT_HOURS, DEFAULT_LEAST_UID, MOST_UID = 12, 1000, 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """How certificates by login are issued.

    Attributes:
        certificate: of the login authority.
        private_key: its key.
        address: where callers without a certificate are heard, who are known by MUNGE; empty: nowhere.
        hours: how long a certificate counts.
        least_uid: users with smaller numbers get none.
        munge_socket: of the MUNGE daemon; None for its usual one.
    """

    certificate: Path
    private_key: Path
    address: str
    hours: int
    least_uid: int
    munge_socket: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the inventory.

    Attributes:
        deploy_database: the access to the database of nodes, clusters and environments.
        deploy_right_database: the access to the database of rights.
        address: where to listen.
        administrators: users who administrate the site.
        maximum_workers: how many calls are answered at once.
        limits: what callers can take at once.
        tls: certificates; TCP needs them.
        audit_log: the file of audit records; None for the log.
        log_format: "text" or "json".
        metrics_address: where metrics are answered; empty: nowhere.
        tracing_endpoint: where spans are sent; empty: nowhere.
        environment_quota: how many environments a user may have.
        login: certificates by login; None: none are issued.
        insecure: plain text on loopback; the command line says it, never the file.
    """

    deploy_database: DatabaseAccess
    deploy_right_database: DatabaseAccess
    address: str = DEFAULT_ADDRESS
    administrators: frozenset[str] = frozenset({"root"})
    maximum_workers: int = 16
    limits: Limits = DEFAULTS
    tls: TlsFiles | None = None
    audit_log: Path | None = None
    log_format: str = "text"
    metrics_address: str = ""
    tracing_endpoint: str = ""
    environment_quota: EnvironmentQuota = DEFAULT_QUOTA
    login: LoginSettings | None = None
    insecure: bool = False

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        return load(path, read_settings)


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    databases, tls = table.table("database"), read_tls(table.table("tls"), service="inventory")
    settings = Settings(
        address=read_address(table, DEFAULT_ADDRESS),
        administrators=read_administrators(
            table, who="they register nodes, grant rights and record public environments"
        ),
        log_format=read_log_format(table),
        metrics_address=read_metrics_address(table, DEFAULT_METRICS_ADDRESS),
        tracing_endpoint=read_tracing_endpoint(table),
        audit_log=read_audit_log(table, service="inventory"),
        maximum_workers=read_workers(table),
        environment_quota=_read_quota(table.table("quotas")),
        limits=read_limits(table.table("limits")),
        deploy_database=read_access(
            databases,
            "deploy",
            user="kadeploy_inventory",
            tls=tls,
            service="inventory",
            contents="The database of nodes, disks, partitions, clusters and environments.",
        ),
        deploy_right_database=read_access(
            databases,
            "deploy_right",
            user="kadeploy_rights",
            tls=tls,
            service="inventory",
            contents="The database of rights, another one than deploy.",
        ),
        tls=tls,
        login=_read_login(table.table("login")),
    )
    if settings.deploy_database == settings.deploy_right_database:
        raise databases.complaint("deploy_right", "database.deploy and database.deploy_right must be two databases")
    return settings


def _read_quota(table: Table) -> EnvironmentQuota:
    table.describe("What each user may have. Administrators have no quotas.")
    return EnvironmentQuota(
        environments=table.whole(
            "environments_per_user",
            DEFAULT_QUOTA.environments,
            least=1,
            most=MOST_ENVIRONMENTS,
            unit="environments",
            doc="Environments of all names, each version counted.",
        ),
        versions=table.whole(
            "versions_per_environment",
            DEFAULT_QUOTA.versions,
            least=1,
            most=MOST_ENVIRONMENTS,
            unit="versions",
            doc="Versions of one name.",
        ),
    )


def _read_login(table: Table) -> LoginSettings | None:
    table.describe(
        "Certificates of some hours for users whom the site knows already (docs/identity.md): for those whom MUNGE "
        "knows, and for those of the login hosts that run an agent. Default: without this table none are issued.",
        optional=True,
    )
    if not table.is_there:
        return None
    place = "/etc/kadeploy/tls/login"
    return LoginSettings(
        certificate=table.path(
            "certificate",
            doc="The login authority's certificate, as `ka pki issue authority login` makes it. It can issue "
            "certificates to users alone.",
            example=f"{place}/certificate.pem",
        ),
        private_key=table.path("private_key", doc="Its key.", example=f"{place}/private_key.pem"),
        address=table.text(
            "address",
            "",
            doc="Where users whom MUNGE knows are heard without a certificate: HOST:PORT, usually port 7405. Default: "
            "nowhere; agents alone get certificates.",
        ),
        hours=table.whole(
            "hours",
            DEFAULT_HOURS,
            least=SHORTEST_HOURS,
            most=LONGEST_HOURS,
            unit="hours",
            doc="How long a certificate counts.",
        ),
        least_uid=table.whole(
            "least_uid",
            DEFAULT_LEAST_UID,
            least=1,
            most=MOST_UID,
            doc="Users with smaller numbers are accounts of the system and get none.",
        ),
        munge_socket=table.optional_path(
            "munge_socket",
            doc="The socket of the MUNGE daemon. Default: its usual one.",
            example="/run/munge/munge.socket.2",
        ),
    )
