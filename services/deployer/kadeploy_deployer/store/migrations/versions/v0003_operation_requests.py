"""Operations that their callers named can be asked for again."""

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import long_text, word

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables of requests and of their nodes."""
    op.create_table(
        "operation_requests",
        sa.Column("id", word(64), nullable=False),
        sa.Column("operation_id", word(64), nullable=False),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("request_id", word(64), nullable=False),
        sa.Column("fingerprint", word(64), nullable=False),
        sa.Column("create_time", sa.Double(), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=False),
        sa.Column("stop_asked", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_requests")),
        sa.UniqueConstraint("owner", "request_id", name=op.f("uq_operation_requests_owner_request_id")),
    )
    for column in ("operation_id", "create_time"):
        op.create_index(op.f(f"ix_operation_requests_{column}"), "operation_requests", [column], unique=False)
    op.create_table(
        "operation_nodes",
        sa.Column("operation_request_id", word(64), nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("outcome", long_text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["operation_request_id"],
            ["operation_requests.id"],
            name=op.f("fk_operation_nodes_operation_request_id_operation_requests"),
        ),
        sa.PrimaryKeyConstraint("operation_request_id", "node", name=op.f("pk_operation_nodes")),
        sqlite_with_rowid=False,
    )
