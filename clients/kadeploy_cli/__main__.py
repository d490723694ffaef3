"""The entry points: `ka` and the classic names."""

from kadeploy_cli.terminal import guard


def ka() -> None:
    """Everything, by noun and verb."""
    guard.run("ka:ka", "ka")


def kadeploy() -> None:
    """Deploys."""
    guard.run("deployments.classic_commands:kadeploy", "kadeploy")


def kaaddnode() -> None:
    """Registers nodes."""
    guard.run("nodes.classic_commands:kaaddnode", "kaaddnode")


def kadelnode() -> None:
    """Removes nodes."""
    guard.run("nodes.classic_commands:kadelnode", "kadelnode")


def kanodes() -> None:
    """Lists nodes and what is installed on them."""
    guard.run("nodes.classic_commands:kanodes", "kanodes")


def karecordenv() -> None:
    """Records an environment."""
    guard.run("environments.classic_commands:karecordenv", "karecordenv")


def kaenvironments() -> None:
    """Lists environments."""
    guard.run("environments.classic_commands:kaenvironments", "kaenvironments")


def kaenv() -> None:
    """Handles environments with the options of Kadeploy 3."""
    guard.run("environments.kaenv:kaenv", "kaenv")


def kaarchive() -> None:
    """Makes an image of a system."""
    guard.run("environments.archive_commands:kaarchive", "kaarchive")


def kacreateenv() -> None:
    """Makes an image of a system and records it."""
    guard.run("environments.archive_commands:kacreateenv", "kacreateenv")


def kaadduser() -> None:
    """Grants rights."""
    guard.run("rights.classic_commands:kaadduser", "kaadduser")


def kadeluser() -> None:
    """Takes rights away."""
    guard.run("rights.classic_commands:kadeluser", "kadeluser")


def karights() -> None:
    """Lists, grants and takes away rights with the options of Kadeploy 3."""
    guard.run("rights.classic_commands:karights", "karights")


def kareboot() -> None:
    """Reboots nodes."""
    guard.run("operations.classic_commands:kareboot", "kareboot")


def kapower() -> None:
    """Switches the power of nodes."""
    guard.run("operations.classic_commands:kapower", "kapower")


def kaconsole() -> None:
    """Attaches to the console of a node."""
    guard.run("operations.classic_commands:kaconsole", "kaconsole")


def karemote() -> None:
    """Runs a command on nodes."""
    guard.run("operations.classic_commands:karemote", "karemote")


def kaaddkeys() -> None:
    """Puts public keys on nodes."""
    guard.run("operations.classic_commands:kaaddkeys", "kaaddkeys")


def kastats() -> None:
    """Shows the history of deployments."""
    guard.run("operations.classic_commands:kastats", "kastats")


if __name__ == "__main__":
    ka()
