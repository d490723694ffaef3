"""The settings of the deployer: one TOML file, read strictly. Paths may be relative to it."""

from dataclasses import dataclass, field
from pathlib import Path

from kadeploy_database.access import DatabaseAccess, SqliteAccess, read_access
from kadeploy_deployer.domain.lease_record import LONGEST_LEASE
from kadeploy_deployer.image_settings import ImageSettings, check_separation, read_images
from kadeploy_deployer.requests.deployment_request import LONGEST_WAIT
from kadeploy_deployer.upload_settings import UploadSettings, read_uploads
from kadeploy_edge.limits import DEFAULTS, Limits, read_limits
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
)

TITLE = "Settings of the deployer: kadeploy-deployer serve --config THIS-FILE"
DEFAULT_ADDRESS = "127.0.0.1:7402"
DEFAULT_METRICS_ADDRESS = "127.0.0.1:7412"
DEFAULT_BROADCAST_PORT = 7404
SHORTEST_LEASE = 3.0
HOUR = 3600.0
MOST_HOURS = 30 * 24.0
MOST_DAYS = 36500.0
LAST_PORT = 65535
MOST_CHAINS = 100
MOST_CONSOLES = 1000
MOST_GATHER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSettings:
    """How the image reaches the nodes.

    Attributes:
        address: where the deployer listens for nodes; empty for every address of the host.
        port: its port, for all images at once; 0 for any that is free.
        node_port: where nodes listen for one another.
        method: "chain", or "http": every node fetches from the deployer.
        chains: how many chains there are; 0 for as many as the links' speeds ask for.
        gather_seconds: how long nodes that are ready wait for others, to be ordered by address with them.
        memory_percent: the part of a node's free memory that the image may take there.
    """

    address: str = ""
    port: int = DEFAULT_BROADCAST_PORT
    node_port: int = 7301
    method: str = "chain"
    chains: int = 0
    gather_seconds: float = 0.5
    memory_percent: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the deployer is told by its site.

    Attributes:
        database: the access to the database `deploy_state`.
        ssh_private_key: the cluster's key, with which nodes are logged in to.
        ssh_public_key: its public half, which is put into new systems.
        deployment_host_keys: public host keys of the deployment environment, one a line.
        cache_directory: where images, kernels and initrds are kept.
        address: where to listen.
        inventory_address: where the inventory listens.
        bootctl_address: where bootctl listens.
        http_proxy: calls of both go through the proxy of the environment.
        administrators: users who administrate the site.
        lease_seconds: how long after its last sign of life a deployer's deployments are taken over.
        longest_wait_hours: how long a request may want to wait for its nodes.
        recorded_consoles: how many serial consoles of nodes that boot are read at once; 0: none.
        history_days: how long events and outputs are kept after a deployment's end; 0: for ever.
        images: where the files of environments may be.
        uploads: how users may bring files.
        broadcast: how the image reaches the nodes.
        limits: what callers can take at once.
        tls: certificates; TCP needs them.
        audit_log: the file of audit records; None for the log.
        log_format: "text" or "json".
        metrics_address: where metrics are answered; empty: nowhere.
        tracing_endpoint: where spans are sent; empty: nowhere.
        insecure: plain text on loopback; the command line says it, never the file.
    """

    database: DatabaseAccess
    ssh_private_key: Path
    ssh_public_key: Path
    deployment_host_keys: Path
    cache_directory: Path
    address: str = DEFAULT_ADDRESS
    inventory_address: str = "127.0.0.1:7401"
    bootctl_address: str = "127.0.0.1:7403"
    http_proxy: bool = False
    administrators: frozenset[str] = frozenset({"root"})
    lease_seconds: float = 30.0
    longest_wait_hours: float = LONGEST_WAIT / HOUR
    history_days: float = 365.0
    recorded_consoles: int = 50
    images: ImageSettings = field(default_factory=ImageSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    broadcast: BroadcastSettings = BroadcastSettings()
    limits: Limits = DEFAULTS
    tls: TlsFiles | None = None
    audit_log: Path | None = None
    log_format: str = "text"
    metrics_address: str = ""
    tracing_endpoint: str = ""
    insecure: bool = False

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        return load(path, read_settings)


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    private_key = table.path(
        "ssh_private_key",
        doc="The cluster's SSH key, without passphrase: with it the deployer logs in to nodes as root.",
        example="/etc/kadeploy/cluster_ed25519",
    )
    tls = read_tls(table.table("tls"), service="deployer")
    cache = table.path(
        "cache_directory",
        doc="Where images, archives, and the kernels and initrds taken out of images are kept.",
        example="/var/cache/kadeploy/deployer",
    )
    settings = Settings(
        ssh_private_key=private_key,
        ssh_public_key=table.path(
            "ssh_public_key",
            Path(f"{private_key}.pub"),
            doc='Its public half, which is put into every new system. Default: the private key\'s path with ".pub".',
        ),
        deployment_host_keys=table.path(
            "deployment_host_keys",
            doc="The public host keys of the deployment environment, one a line, as its build left them. No other "
            "host is believed.",
            example="/etc/kadeploy/deployment_host_keys.pub",
        ),
        cache_directory=cache,
        address=read_address(table, DEFAULT_ADDRESS),
        inventory_address=table.text("inventory_address", "127.0.0.1:7401", doc="Where the inventory listens."),
        bootctl_address=table.text("bootctl_address", "127.0.0.1:7403", doc="Where bootctl listens."),
        http_proxy=table.flag(
            "http_proxy",
            False,
            doc="Whether the way to both leads through the environment's proxy (https_proxy, http_proxy, no_proxy).",
        ),
        administrators=read_administrators(
            table, who="they deploy on behalf of others and cancel anybody's deployment"
        ),
        log_format=read_log_format(table),
        metrics_address=read_metrics_address(table, DEFAULT_METRICS_ADDRESS),
        tracing_endpoint=read_tracing_endpoint(table),
        audit_log=read_audit_log(
            table, service="deployer", records="every refused call, every changing one and every plan"
        ),
        lease_seconds=table.number(
            "lease_seconds",
            30,
            least=SHORTEST_LEASE,
            most=LONGEST_LEASE,
            unit="seconds",
            doc="How long after its last sign of life a deployer is taken for dead, and its deployments are taken "
            "over. A deployer that has just started looks on for as long before it takes over anything. Clocks "
            "that jump change nothing.",
        ),
        longest_wait_hours=table.number(
            "longest_wait_hours",
            LONGEST_WAIT / HOUR,
            least=0,
            most=MOST_HOURS,
            unit="hours",
            doc="How long a request may want to wait for its turn and for busy nodes (--wait-timeout). While one "
            "waits, all others queue behind it. A site whose jobs wait in its batch scheduler wants less than a "
            "day; one whose users queue here for nodes that are busy for days wants more.",
        ),
        history_days=table.number(
            "history_days",
            365,
            least=0,
            most=MOST_DAYS,
            unit="days",
            doc="How long the events of a deployment and what its scripts printed are kept after its end; 0: for "
            "ever. Who deployed what where, the end of each node and the times that `kastats` counts stay.",
        ),
        recorded_consoles=table.whole(
            "recorded_consoles",
            50,
            least=0,
            most=MOST_CONSOLES,
            unit="consoles",
            doc="How many serial consoles of nodes that boot are read at once, to say where a boot broke; 0: none.",
        ),
        images=read_images(table),
        uploads=read_uploads(table, cache),
        broadcast=_broadcast(table.table("broadcast")),
        limits=read_limits(table.table("limits")),
        database=read_access(
            table.table("database"),
            "deploy_state",
            user="kadeploy_deployer",
            tls=tls,
            service="deployer",
            contents="The database of deployments, locks and partition states. Several deployers may share one.",
        ),
        tls=tls,
    )
    check_separation(table, settings.images.directories, _own_files(table, settings), settings.cache_directory)
    return settings


def _own_files(table: Table, settings: Settings) -> dict[str, Path | None]:
    """Returns the files that nobody may be given, by the names of their settings."""
    database = settings.database
    own: dict[str, Path | None] = {
        "the file of the settings": table.file,
        "ssh_private_key": settings.ssh_private_key,
        "ssh_public_key": settings.ssh_public_key,
        "deployment_host_keys": settings.deployment_host_keys,
        "audit_log": settings.audit_log,
    }
    uploads = settings.uploads.directory
    if uploads is not None and not uploads.is_relative_to(settings.cache_directory):
        own["upload_directory"] = uploads
    if isinstance(database, SqliteAccess):
        own["database.deploy_state"] = database.path
    else:
        own["database.deploy_state.password_file"] = database.account.password_file
        own["database.deploy_state.migration_password_file"] = database.migration.password_file
    for name, files in (("tls", settings.tls), ("database.deploy_state", getattr(database, "tls", None))):
        for key in ("certificate", "private_key", "ca", "revocation_list") if files else ():
            own[f"{name}.{key}"] = getattr(files, key)
    return own


def _broadcast(table: Table) -> BroadcastSettings:
    table.describe("How an image reaches the nodes (docs/broadcast.md).")
    return BroadcastSettings(
        address=table.text(
            "address",
            "",
            doc="Where the deployer listens for nodes that fetch the image. Default: every address of this host.",
            example="192.0.2.1",
        ),
        port=table.whole(
            "port",
            DEFAULT_BROADCAST_PORT,
            least=0,
            most=LAST_PORT,
            doc="One port for all images, open while any is sent. Another deployer on this host needs another one. "
            "0: any free port.",
        ),
        node_port=table.whole(
            "node_port",
            7301,
            least=1,
            most=LAST_PORT,
            doc="Where nodes listen for the nodes behind them in the chain.",
        ),
        method=table.choice(
            "method",
            ("chain", "http"),
            "chain",
            doc='"chain": each node passes the image on to the next. "http": every node fetches it from the '
            "deployer, and none listens; for one or two nodes, or where a firewall lets nodes reach nobody "
            "else.",
        ),
        chains=table.whole(
            "chains",
            0,
            least=0,
            most=MOST_CHAINS,
            doc="How many chains there are. 0: one, or several where the deployer's link is faster than the nodes' and "
            "there are so many nodes that it matters (docs/performance.md).",
        ),
        gather_seconds=table.number(
            "gather_seconds",
            0.5,
            least=0,
            most=MOST_GATHER_SECONDS,
            unit="seconds",
            doc="How long nodes that are ready wait for others, to be ordered by address with them. Later nodes are "
            "appended.",
        ),
        memory_percent=table.whole(
            "memory_percent",
            50,
            least=0,
            most=90,
            unit="percent",
            doc="How much of its free memory a node may use for the image. A node that keeps the whole image can give "
            "every part of it to slow and late nodes; one with less memory keeps what came last.",
        ),
    )
