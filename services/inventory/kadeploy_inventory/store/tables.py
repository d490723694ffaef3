"""The tables of both databases as they are now; the migrations beside say how they came to be."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from kadeploy_database.column_types import UtcTime, ascii_word, word

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
DEPLOY = MetaData(naming_convention=CONVENTION)
DEPLOY_RIGHT = MetaData(naming_convention=CONVENTION)

clusters = Table(
    "clusters",
    DEPLOY,
    Column("name", word(63), primary_key=True),
    Column("profile", JSON, nullable=False),
    Column("etag", word(32), nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
)

nodes = Table(
    "nodes",
    DEPLOY,
    Column("uid", word(32), primary_key=True),
    Column("name", word(253), nullable=False, unique=True),
    # The name with its numbers made comparable, for lists in natural order.
    Column("sort_key", ascii_word(640), nullable=False),
    Column("mac_address", word(17), nullable=False, unique=True),
    Column("ip_address", word(15), nullable=False, unique=True),
    Column("cluster", word(63), ForeignKey(clusters.c.name), nullable=False, index=True),
    Column("firmware", word(16), nullable=False),
    Column("bmc_address", word(255), nullable=False),
    Column("commands", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    # NULL where nobody knows it: of those there may be many.
    Column("uuid", word(36), nullable=True),
    Column("etag", word(32), nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Index("ix_nodes_sort_key", "sort_key", "name"),
    Index("ix_nodes_uuid", "uuid", unique=True),
)

disks = Table(
    "disks",
    DEPLOY,
    Column("node_uid", word(32), ForeignKey(nodes.c.uid, ondelete="CASCADE"), primary_key=True),
    Column("device", word(31), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("partition_table", word(16), nullable=False),
    # Which of the machine's disks it is; empty and 0 say nothing.
    Column("serial", word(128), nullable=False, server_default=""),
    Column("wwn", word(128), nullable=False, server_default=""),
    Column("link", word(255), nullable=False, server_default=""),
    Column("kernel_name", word(128), nullable=False, server_default=""),
    Column("real_size_bytes", BigInteger, nullable=False, server_default="0"),
)

partitions = Table(
    "partitions",
    DEPLOY,
    Column("node_uid", word(32), primary_key=True),
    Column("device", word(31), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("type", word(16), nullable=False),
    Column("type_id", Integer, nullable=False),
    Column("label", String(255), nullable=False),
    Column("role", word(16), nullable=False),
    Column("environment", word(64), nullable=False),
    ForeignKeyConstraint(["node_uid", "device"], [disks.c.node_uid, disks.c.device], ondelete="CASCADE"),
)

environments = Table(
    "environments",
    DEPLOY,
    Column("uid", word(32), primary_key=True),
    Column("name", word(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("owner", word(63), nullable=False),
    Column("description", String(2048), nullable=False),
    Column("author", String(2048), nullable=False),
    Column("visibility", word(16), nullable=False),
    Column("operating_system", word(16), nullable=False),
    Column("image", JSON, nullable=False),
    Column("preinstall", JSON(none_as_null=True), nullable=True),
    Column("postinstalls", JSON, nullable=False),
    Column("boot", JSON, nullable=False),
    Column("file_system", word(16), nullable=False),
    Column("partition_type_id", Integer, nullable=False),
    Column("required_size_bytes", BigInteger, nullable=False),
    Column("options", String(2048), nullable=False),
    # Empty in the domain, where the environment is for any cluster.
    Column("cluster", word(63), ForeignKey(clusters.c.name), nullable=True, index=True),
    Column("destructive", Boolean, nullable=False),
    Column("alias", word(64), nullable=False, server_default=""),
    Column("architecture", word(32), nullable=False, server_default=""),
    Column("custom_variables", JSON(none_as_null=True), nullable=True),
    Column("running_system_refused", Boolean, nullable=False, server_default=false()),
    Column("etag", word(32), nullable=False),
    Column("create_time", UtcTime, nullable=False),
    UniqueConstraint("name", "owner", "version"),
    # The lookup of a name reads the version that is meant and no other: anybody's public one, or an owner's shared one.
    Index("ix_environments_visibility", "name", "visibility", "version", "owner"),
    Index("ix_environments_owner_visibility", "name", "owner", "visibility", "version"),
    Index("ix_environments_alias", "alias", "owner", "version"),
    # What a user has, the oldest first.
    Index("ix_environments_owner", "owner", "create_time"),
)

rights = Table(
    "rights",
    DEPLOY_RIGHT,
    Column("user", word(63), primary_key=True),
    Column("node", word(253), primary_key=True),
    Column("partition", word(48), primary_key=True),
    Column("expire_time", UtcTime, nullable=True),
    Index("ix_rights_node", "node"),
)
