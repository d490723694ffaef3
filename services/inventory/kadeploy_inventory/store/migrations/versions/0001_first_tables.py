"""The first tables: nodes, disks, partitions, environments, clusters; rights apart."""

from datetime import UTC, datetime

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)

from kadeploy_database.column_types import UtcTime, ascii_word, word

revision = "0001"
down_revision = None


def upgrade(database: str) -> None:
    """Creates the tables of one of the databases `deploy` and `deploy_right`."""
    if database == "deploy_right":
        _create_rights()
        return
    _create_clusters()
    _create_nodes()
    _create_disks()
    _create_environments()


def _create_clusters() -> None:
    clusters = op.create_table(
        "clusters",
        Column("name", word(63), nullable=False),
        Column("profile", JSON, nullable=False),
        Column("etag", word(32), nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("update_time", UtcTime, nullable=False),
        PrimaryKeyConstraint("name", name="pk_clusters"),
    )
    # The cluster of nodes that name none; it always exists.
    now = datetime.now(UTC)
    row = {"name": "default", "profile": {}, "etag": "0", "create_time": now, "update_time": now}
    op.bulk_insert(clusters, [row])


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        Column("uid", word(32), nullable=False),
        Column("name", word(253), nullable=False),
        Column("sort_key", ascii_word(640), nullable=False),
        Column("mac_address", word(17), nullable=False),
        Column("ip_address", word(15), nullable=False),
        Column("cluster", word(63), nullable=False),
        Column("firmware", word(16), nullable=False),
        Column("bmc_address", word(255), nullable=False),
        Column("commands", JSON, nullable=False),
        Column("labels", JSON, nullable=False),
        Column("etag", word(32), nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("update_time", UtcTime, nullable=False),
        PrimaryKeyConstraint("uid", name="pk_nodes"),
        UniqueConstraint("name", name="uq_nodes_name"),
        UniqueConstraint("mac_address", name="uq_nodes_mac_address"),
        UniqueConstraint("ip_address", name="uq_nodes_ip_address"),
        ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_nodes_cluster"),
    )
    op.create_index("ix_nodes_cluster", "nodes", ["cluster"])
    op.create_index("ix_nodes_sort_key", "nodes", ["sort_key", "name"])


def _create_disks() -> None:
    op.create_table(
        "disks",
        Column("node_uid", word(32), nullable=False),
        Column("device", word(31), nullable=False),
        Column("place", Integer, nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("partition_table", word(16), nullable=False),
        PrimaryKeyConstraint("node_uid", "device", name="pk_disks"),
        ForeignKeyConstraint(["node_uid"], ["nodes.uid"], name="fk_disks_node_uid", ondelete="CASCADE"),
    )
    op.create_table(
        "partitions",
        Column("node_uid", word(32), nullable=False),
        Column("device", word(31), nullable=False),
        Column("number", Integer, nullable=False, autoincrement=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("type", word(16), nullable=False),
        Column("type_id", Integer, nullable=False),
        Column("label", String(255), nullable=False),
        Column("role", word(16), nullable=False),
        Column("environment", word(64), nullable=False),
        PrimaryKeyConstraint("node_uid", "device", "number", name="pk_partitions"),
        ForeignKeyConstraint(
            ["node_uid", "device"],
            ["disks.node_uid", "disks.device"],
            name="fk_partitions_node_uid",
            ondelete="CASCADE",
        ),
    )


def _create_environments() -> None:
    op.create_table(
        "environments",
        Column("uid", word(32), nullable=False),
        Column("name", word(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("owner", word(63), nullable=False),
        Column("description", String(2048), nullable=False),
        Column("author", String(2048), nullable=False),
        Column("visibility", word(16), nullable=False),
        Column("operating_system", word(16), nullable=False),
        Column("image", JSON, nullable=False),
        Column("preinstall", JSON, nullable=True),
        Column("postinstalls", JSON, nullable=False),
        Column("boot", JSON, nullable=False),
        Column("file_system", word(16), nullable=False),
        Column("partition_type_id", Integer, nullable=False),
        Column("required_size_bytes", BigInteger, nullable=False),
        Column("options", String(2048), nullable=False),
        Column("cluster", word(63), nullable=True),
        Column("destructive", Boolean, nullable=False),
        Column("etag", word(32), nullable=False),
        Column("create_time", UtcTime, nullable=False),
        PrimaryKeyConstraint("uid", name="pk_environments"),
        UniqueConstraint("name", "owner", "version", name="uq_environments_name"),
        ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_environments_cluster"),
    )
    op.create_index("ix_environments_cluster", "environments", ["cluster"])


def _create_rights() -> None:
    op.create_table(
        "rights",
        Column("user", word(63), nullable=False),
        Column("node", word(253), nullable=False),
        Column("partition", word(48), nullable=False),
        Column("expire_time", UtcTime, nullable=True),
        PrimaryKeyConstraint("user", "node", "partition", name="pk_rights"),
    )
    op.create_index("ix_rights_node", "rights", ["node"])
