"""The settings of the inventory: one TOML file, read strictly. Paths may be relative to it."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_database.access import DatabaseAccess, read_access
from kadeploy_edge.limits import DEFAULTS, Limits, read_limits
from kadeploy_edge.settings_file import Table, load
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.tls_settings import read_tls
from kadeploy_edge.usual_settings import read_address, read_administrators, read_audit_log, read_workers
from kadeploy_inventory.domain.environment_quota import DEFAULT_QUOTA, EnvironmentQuota

TITLE = "Settings of the inventory: kadeploy-inventory serve --config THIS-FILE"
DEFAULT_ADDRESS = "127.0.0.1:7401"
MOST_ENVIRONMENTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the inventory is told by its site.

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
