"""The whole of what was asked for stands beside the deployments, whose rows stay short: lists read those alone."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import long_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LISTED_NODES = 1000
LONGEST_DESCRIPTION = 4096
DROPPED = ("authorized_keys", "kernel_arguments")
OF_ENVIRONMENT = ("name", "version", "owner")
OF_IMAGE = ("digest", "size_bytes")


def upgrade() -> None:
    """Copies specifications and environments, and shortens what lists tell, also where it was once without a bound."""
    for name in ("spec", "environment"):
        op.add_column("deployment_inputs", sa.Column(name, long_text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE deployment_inputs SET "
        "spec = (SELECT d.spec FROM deployments d WHERE d.id = deployment_inputs.deployment_id), "
        "environment = (SELECT d.environment FROM deployments d WHERE d.id = deployment_inputs.deployment_id)"
    )
    connection = op.get_bind()
    deployments = sa.table("deployments", sa.Column("id"), sa.Column("spec"), sa.Column("environment"))
    # One by one: nobody knows how long they are.
    for deployment_id in connection.execute(sa.select(deployments.c.id)).scalars().all():
        mine = deployments.c.id == deployment_id
        row = connection.execute(sa.select(deployments).where(mine)).one()
        short = {
            "spec": _short_spec(json.loads(row.spec)),
            "environment": _short_environment(json.loads(row.environment)),
        }
        values = {name: json.dumps(value, ensure_ascii=False) for name, value in short.items()}
        connection.execute(sa.update(deployments).where(mine).values(values))
    for table, column in (
        ("deployments", "description"),
        ("deployments", "cancel_reason"),
        ("deployment_nodes", "description"),
        ("partition_states", "description"),
    ):
        op.execute(
            f"UPDATE {table} SET {column} = substr({column}, 1, {LONGEST_DESCRIPTION}) "  # noqa: S608 - names of ours
            f"WHERE length({column}) > {LONGEST_DESCRIPTION}"
        )


def _short_spec(spec: dict[str, Any]) -> dict[str, Any]:
    nodes = spec.get("nodes", "")
    short = {name: value for name, value in spec.items() if name not in DROPPED}
    short["nodes"] = nodes if len(nodes) <= LISTED_NODES else f"{nodes[:LISTED_NODES]}…"
    return {name: value[: 2 * LISTED_NODES] if isinstance(value, str) else value for name, value in short.items()}


def _short_environment(environment: dict[str, Any]) -> dict[str, Any]:
    image = environment.get("image", {})
    short = {name: environment[name] for name in OF_ENVIRONMENT if name in environment}
    return {**short, "image": {"uri": "", **{name: image[name] for name in OF_IMAGE if name in image}}}
