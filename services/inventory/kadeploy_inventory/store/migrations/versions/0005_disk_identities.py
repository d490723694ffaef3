"""Which of a machine's disks a disk is."""

from alembic import op
from sqlalchemy import BigInteger, Column

from kadeploy_database.column_types import word

revision = "0005"
down_revision = "0004"


def upgrade(database: str) -> None:
    """Adds columns to the disks; those that are there go on to be found by their names."""
    if database == "deploy":
        for name, length in (("serial", 128), ("wwn", 128), ("link", 255), ("kernel_name", 128)):
            op.add_column("disks", Column(name, word(length), nullable=False, server_default=""))
        op.add_column("disks", Column("real_size_bytes", BigInteger, nullable=False, server_default="0"))
