"""Who holds a node: a deployment, or an operation, which is anything else that is done to nodes."""

OPERATION_PREFIX = "op-"


def in_words(holder: str) -> str:
    """Returns how sentences name a holder."""
    return f"{'operation' if is_operation(holder) else 'deployment'} {holder}"


def is_operation(holder: str) -> bool:
    """Returns whether an id is that of an operation that is no deployment."""
    return holder.startswith(OPERATION_PREFIX)
