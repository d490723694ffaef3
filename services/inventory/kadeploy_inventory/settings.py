"""The settings of the inventory: one TOML file, read strictly. Paths may be relative to it."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_database.access import DatabaseAccess, read_access
from kadeploy_edge.limits import DEFAULTS, Limits, read_limits
from kadeploy_edge.login_certificate import LONGEST_HOURS, SHORTEST_HOURS
from kadeploy_edge.settings_file import Table, load
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.tls_settings import read_tls
from kadeploy_inventory.domain.environment_quota import DEFAULT_QUOTA, EnvironmentQuota

DEFAULT_ADDRESS = "127.0.0.1:7401"
MOST_WORKERS = 256
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
    environment_quota: EnvironmentQuota = DEFAULT_QUOTA
    login: LoginSettings | None = None
    insecure: bool = False

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        return load(path, read_settings)


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    databases, tls = table.table("database"), read_tls(table.table("tls"))
    settings = Settings(
        deploy_database=read_access(databases, "deploy", user="kadeploy_inventory", tls=tls),
        deploy_right_database=read_access(databases, "deploy_right", user="kadeploy_rights", tls=tls),
        address=table.text("address", DEFAULT_ADDRESS),
        administrators=table.names("administrators", {"root"}),
        maximum_workers=table.whole("maximum_workers", 16, least=1, most=MOST_WORKERS, unit="calls"),
        limits=read_limits(table.table("limits")),
        tls=tls,
        audit_log=table.optional_path("audit_log"),
        environment_quota=_read_quota(table.table("quotas")),
        login=_read_login(table.table("login")),
    )
    if settings.deploy_database == settings.deploy_right_database:
        raise databases.complaint("deploy_right", "database.deploy and database.deploy_right must be two databases")
    return settings


def _read_quota(table: Table) -> EnvironmentQuota:
    return EnvironmentQuota(
        environments=table.whole(
            "environments_per_user", DEFAULT_QUOTA.environments, least=1, most=MOST_ENVIRONMENTS, unit="environments"
        ),
        versions=table.whole(
            "versions_per_environment", DEFAULT_QUOTA.versions, least=1, most=MOST_ENVIRONMENTS, unit="versions"
        ),
    )


def _read_login(table: Table) -> LoginSettings | None:
    if not table.is_there:
        return None
    return LoginSettings(
        certificate=table.path("certificate"),
        private_key=table.path("private_key"),
        address=table.text("address", ""),
        hours=table.whole("hours", DEFAULT_HOURS, least=SHORTEST_HOURS, most=LONGEST_HOURS, unit="hours"),
        least_uid=table.whole("least_uid", DEFAULT_LEAST_UID, least=1, most=MOST_UID),
        munge_socket=table.optional_path("munge_socket"),
    )
