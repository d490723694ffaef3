"""The schema, in which the database itself keeps the invariants.

`deployments` and its tables hold whatever is done to nodes: `kind` says what. A reboot has no environment and writes no
partition; all else is the same for it.

1. at most one deployment waits: `waiting_slot` is 1 exactly while a deployment waits (check), and unique; who wants its
   nodes has a place in `queue_places`, with a ticket of the `turnstile`;
2. a node belongs to at most one running deployment, reboot, power change or command: `node_locks` has one row per node;
3. a partition has one row, which names the deployment that wrote it last;
4. state changes compare `version`, `driver` and `fence` (see `lease.py`), so a finished deployment stays as it is.

Leases are judged by `renewals`, a counter that their holders raise, and by the monotonic clock of whoever looks at it
(ADR 0022). No time in this schema decides whether a holder lives.

Times are seconds since the epoch. JSON is text made by `codec`, so that both engines store the same.
"""

from collections.abc import Mapping
from typing import Any, Final

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
    Table,
    UniqueConstraint,
    false,
)

from kadeploy_database.column_types import long_text, word

NAME = word(255)
WORD = word(64)
ID = word(36)
LONG_TEXT = long_text()

CLUSTERED: Final[Mapping[str, Any]] = {"sqlite_with_rowid": False}
"""Rows stand in the primary key's tree, where InnoDB keeps them anyway: one tree less to write for every row."""

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
    Column("id", ID, primary_key=True),
    # "deployment", or what else is done to nodes: "reboot", "power", "command".
    Column("kind", WORD, nullable=False, server_default="deployment"),
    Column("state", WORD, nullable=False),
    Column("waiting_slot", Integer, unique=True),
    Column("owner", NAME, nullable=False),
    # False for administrators who act for themselves, and for those made before rights were asked for at each use.
    Column("needs_right", Boolean, nullable=False, server_default=false()),
    Column("request_id", WORD),
    # Of all that the request asked for; none: it was made by an earlier release.
    Column("fingerprint", WORD),
    # What lists tell of both; the whole stands in `deployment_inputs`, so that this row stays short.
    Column("spec", LONG_TEXT, nullable=False),
    Column("environment", LONG_TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("driver", NAME, nullable=False),
    # For people alone: when the lease ends by the database's clock. Nobody is judged by it.
    Column("lease_expires_at", Double, nullable=False),
    Column("lease_seconds", Double, nullable=False, server_default="30"),
    Column("renewals", BigInteger, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False),
    # Of those that drove it since a node of it last moved on.
    Column("dead_drivers", Integer, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False),
    Column("cancel_reason", LONG_TEXT, nullable=False),
    # How long it may wait for its nodes, and how long its drivers have waited, by their monotonic clocks.
    Column("wait_seconds", Double, nullable=False, server_default="0"),
    Column("waited_seconds", Double, nullable=False, server_default="0"),
    Column("last_sequence", BigInteger, nullable=False),
    Column("create_time", Double, nullable=False),
    Column("start_time", Double),
    Column("end_time", Double),
    Column("description", LONG_TEXT, nullable=False),
    UniqueConstraint("owner", "request_id"),
    CheckConstraint(
        "(state = 'waiting' AND waiting_slot IS NOT NULL AND waiting_slot = 1)"
        " OR (state <> 'waiting' AND waiting_slot IS NULL)",
        name="one_waits",
    ),
    CheckConstraint("state IN ('waiting', 'deploying', 'terminated', 'error')", name="state"),
    Index(None, "create_time", "id"),
    Index(None, "state", "lease_expires_at"),
    Index(None, "end_time"),
)

# What was asked for, and what a deployment copied of the inventory: written once, in one piece, however many nodes.
deployment_inputs = Table(
    "deployment_inputs",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("secret", WORD, nullable=False),
    Column("profiles", LONG_TEXT, nullable=False),
    Column("nodes", LONG_TEXT, nullable=False),
    Column("spec", LONG_TEXT, nullable=False, server_default=""),
    Column("environment", LONG_TEXT, nullable=False, server_default=""),
    **CLUSTERED,
)

deployment_nodes = Table(
    "deployment_nodes",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id"), primary_key=True),
    Column("node", NAME, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("device", WORD, nullable=False),
    Column("partition_number", Integer, nullable=False),
    # None: nothing was learned yet.
    Column("facts", LONG_TEXT),
    # Of the system that runs when the node is locked, if we deployed it: learned then, not at the creation.
    Column("previous_host_keys", LONG_TEXT),
    # Empty: the node was left out.
    Column("state", WORD, nullable=False),
    # The journal: what is being done to the node, written before it is begun.
    Column("step", WORD, nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("step_start_time", Double),
    Column("start_time", Double),
    Column("end_time", Double),
    Column("reason", WORD, nullable=False),
    Column("description", LONG_TEXT, nullable=False),
    CheckConstraint(
        "state IN ('', 'to_deploy', 'deploying', 'rebooting', 'deployed', 'error', 'to_do', 'doing', 'done')",
        name="state",
    ),
    **CLUSTERED,
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
    **CLUSTERED,
)

node_locks = Table(
    "node_locks",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("deployment_id", ForeignKey("deployments.id"), nullable=False, index=True),
    Column("owner", NAME, nullable=False),
    Column("lock_time", Double, nullable=False),
)

# A console takes no lock of its node: a reboot can be watched. It has a lease of its own.
console_slots = Table(
    "console_slots",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("session_id", WORD, nullable=False, unique=True),
    Column("owner", NAME, nullable=False),
    Column("start_time", Double, nullable=False),
    Column("lease_seconds", Double, nullable=False, server_default="30"),
    Column("renewals", BigInteger, nullable=False, server_default="0"),
)

node_records = Table(
    "node_records",
    metadata,
    Column("node", NAME, primary_key=True),
    Column("last_deployment_id", ForeignKey("deployments.id"), nullable=False),
    # Of the system that was last seen running after a deployment of ours; none: there was no such system.
    Column("host_keys", LONG_TEXT),
    **CLUSTERED,
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
    Column("description", LONG_TEXT, nullable=False),
    Column("update_time", Double, nullable=False),
    CheckConstraint("state IN ('to_deploy', 'deploying', 'rebooting', 'deployed', 'error')", name="state"),
    **CLUSTERED,
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
    **CLUSTERED,
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

# One row. Whoever creates a deployment raises the counter first: so they pass one after the other.
turnstile = Table(
    "turnstile",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_ticket", BigInteger, nullable=False),
)

# The nodes that a request in the queue claims: whoever comes later and wants one of them stands behind it.
queue_nodes = Table(
    "queue_nodes",
    metadata,
    Column("ticket", BigInteger, primary_key=True, autoincrement=False),
    Column("node", NAME, primary_key=True),
    **CLUSTERED,
)

queue_places = Table(
    "queue_places",
    metadata,
    Column("ticket", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", NAME, nullable=False),
    Column("request_id", WORD),
    Column("fingerprint", WORD),
    Column("renewals", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("owner", "request_id"),
)
