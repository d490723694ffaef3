"""The entry points: the names of version 3."""

from kadeploy_cli.terminal import guard

PACKAGE = "kadeploy3_cli"


def kadeploy3() -> None:
    """Deploys."""
    guard.run("deploying:kadeploy3", "kadeploy3", package=PACKAGE)


def kareboot3() -> None:
    """Reboots nodes."""
    guard.run("rebooting:kareboot3", "kareboot3", package=PACKAGE)


def kapower3() -> None:
    """Switches the power of nodes."""
    guard.run("switching:kapower3", "kapower3", package=PACKAGE)


def kaconsole3() -> None:
    """Attaches to the console of a node."""
    guard.run("watching_console:kaconsole3", "kaconsole3", package=PACKAGE)


def kaenv3() -> None:
    """Handles environments."""
    guard.run("same_options:kaenv3", "kaenv3", package=PACKAGE)


def karights3() -> None:
    """Handles rights."""
    guard.run("same_options:karights3", "karights3", package=PACKAGE)


def kanodes3() -> None:
    """Shows the nodes and what is done to them."""
    guard.run("same_options:kanodes3", "kanodes3", package=PACKAGE)


def kastat3() -> None:
    """Shows what was done to the nodes."""
    guard.run("same_options:kastat3", "kastat3", package=PACKAGE)
