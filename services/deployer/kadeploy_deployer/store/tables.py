"""The schema, in which the database itself keeps the invariants.

1. at most one deployment waits: `waiting_slot` is 1 exactly while a deployment waits (check), and unique;
2. a node belongs to at most one running deployment: `node_locks` has one row per node;
3. a partition has one row, which names the deployment that wrote it last;
4. state changes compare `version`, `driver` and `fence` (see `lease.py`), so a finished deployment stays as it is.

Times are seconds since the epoch. JSON is text made by `codec`, so that both engines store the same.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAME = String(255)
WORD = String(64)
LONG_TEXT = Text(2**24)
"""MySQL's plain TEXT ends at 64 KiB."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("state", WORD, nullable=False),
    Column("waiting_slot", Integer, unique=True),
    Column("owner", NAME, nullable=False),
    Column("request_id", WORD),
    Column("spec", LONG_TEXT, nullable=False),
    Column("environment", LONG_TEXT, nullable=False),
    Column("profiles", LONG_TEXT, nullable=False),
    # The journal: what is being done, written before it is begun.
    Column("step", WORD, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("driver", NAME, nullable=False),
    Column("lease_expires_at", Double, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("cancel_reason", Text, nullable=False),
    Column("wait_until", Double, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("create_time", Double, nullable=False),
    Column("start_time", Double),
    Column("end_time", Double),
    Column("description", Text, nullable=False),
    UniqueConstraint("owner", "request_id"),
    CheckConstraint(
        "(state = 'waiting' AND waiting_slot IS NOT NULL AND waiting_slot = 1)"
        " OR (state <> 'waiting' AND waiting_slot IS NULL)",
        name="one_waits",
    ),
    CheckConstraint("state IN ('waiting', 'deploying', 'terminated', 'error')", name="state"),
    Index(None, "create_time", "id"),
    Index(None, "state", "lease_expires_at"),
)

deployment_nodes = Table(
    "deployment_nodes",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("node", NAME, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("device", WORD, nullable=False),
    Column("partition_number", Integer, nullable=False),
    Column("snapshot", LONG_TEXT, nullable=False),
    Column("facts", LONG_TEXT, nullable=False),
    # Of the system that runs when the node is locked: learned then, not at the creation.
    Column("previous_host_keys", LONG_TEXT, nullable=False),
    # Empty: the node was left out.
    Column("state", WORD, nullable=False),
    Column("step", WORD, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step_done", Boolean, nullable=False),
    Column("step_start_time", Double),
    Column("start_time", Double),
    Column("end_time", Double),
    Column("reason", WORD, nullable=False),
    Column("description", Text, nullable=False),
    CheckConstraint("state IN ('', 'to_deploy', 'deploying', 'rebooting', 'deployed', 'error')", name="state"),
    Index(None, "node"),
)

node_steps = Table(
    "node_steps",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("node", NAME, primary_key=True),
    Column("step", WORD, primary_key=True),
    Column("start_time", Double, nullable=False),
    Column("end_time", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("succeeded", Boolean, nullable=False),
)

node_locks = Table(
    "node_locks",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("deployment_id", ForeignKey("deployments.id"), nullable=False, index=True),
    Column("owner", NAME, nullable=False),
    Column("lock_time", Double, nullable=False),
)

node_records = Table(
    "node_records",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("last_deployment_id", ForeignKey("deployments.id"), nullable=False),
    # Of the system that was last seen running after a deployment of ours.
    Column("host_keys", LONG_TEXT, nullable=False),
)

partition_states = Table(
    "partition_states",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("device", WORD, primary_key=True),
    Column("partition_number", Integer, primary_key=True, autoincrement=False),
    Column("deployment_id", ForeignKey("deployments.id"), nullable=False),
    Column("state", WORD, nullable=False),
    Column("reason", WORD, nullable=False),
    Column("description", Text, nullable=False),
    Column("update_time", Double, nullable=False),
    CheckConstraint("state IN ('to_deploy', 'deploying', 'rebooting', 'deployed', 'error')", name="state"),
    Index(None, "deployment_id", "node"),
)

events = Table(
    "events",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("node", NAME, nullable=False),
    Column("kind", WORD, nullable=False),
    Column("payload", LONG_TEXT, nullable=False),
)

step_outputs = Table(
    "step_outputs",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("node", NAME, primary_key=True),
    Column("step", WORD, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("text", LONG_TEXT, nullable=False),
    Column("truncated", Boolean, nullable=False),
)
