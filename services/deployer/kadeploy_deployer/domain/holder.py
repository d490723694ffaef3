"""Who holds a node: a deployment, or an operation, which is anything else that is done to nodes."""

OPERATION_PREFIX = "op-"


def in_words(holder: str) -> str:
    """Returns how sentences name a holder."""
    return f"{'operation' if holder.startswith(OPERATION_PREFIX) else 'deployment'} {holder}"
