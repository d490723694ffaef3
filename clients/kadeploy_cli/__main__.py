"""The entry points: `ka` and the classic names."""

import sys

from kadeploy_cli.completion import answer

INTERRUPTED = 130


def _run(command: str, name: str) -> None:
    """Runs a command, or answers a shell that completes its command line."""
    try:
        shell = answer.asked(name)
        if shell:
            answer.answer(name, shell)
            return
        # The rest takes a shell that waits for an answer too long.
        from kadeploy_cli.terminal import guard  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    guard.run(command, name)


def ka() -> None:
    """Everything, by noun and verb."""
    _run("ka:ka", "ka")


def kadeploy() -> None:
    """Deploys."""
    _run("deployments.classic_commands:kadeploy", "kadeploy")


def kaaddnode() -> None:
    """Registers nodes."""
    _run("nodes.classic_commands:kaaddnode", "kaaddnode")


def kadelnode() -> None:
    """Removes nodes."""
    _run("nodes.classic_commands:kadelnode", "kadelnode")


def kanodes() -> None:
    """Lists nodes and what is installed on them."""
    _run("nodes.classic_commands:kanodes", "kanodes")


def karecordenv() -> None:
    """Records an environment."""
    _run("environments.classic_commands:karecordenv", "karecordenv")


def kaenvironments() -> None:
    """Lists environments."""
    _run("environments.classic_commands:kaenvironments", "kaenvironments")


def kaenv() -> None:
    """Handles environments with the options of Kadeploy 3."""
    _run("environments.kaenv:kaenv", "kaenv")


def kaarchive() -> None:
    """Makes an image of a system."""
    _run("environments.archive_commands:kaarchive", "kaarchive")


def kacreateenv() -> None:
    """Makes an image of a system and records it."""
    _run("environments.archive_commands:kacreateenv", "kacreateenv")


def kaadduser() -> None:
    """Grants rights."""
    _run("rights.classic_commands:kaadduser", "kaadduser")


def kadeluser() -> None:
    """Takes rights away."""
    _run("rights.classic_commands:kadeluser", "kadeluser")


def karights() -> None:
    """Lists, grants and takes away rights with the options of Kadeploy 3."""
    _run("rights.classic_commands:karights", "karights")


def kareboot() -> None:
    """Reboots nodes."""
    _run("operations.classic_commands:kareboot", "kareboot")


def kapower() -> None:
    """Switches the power of nodes."""
    _run("operations.classic_commands:kapower", "kapower")


def kaconsole() -> None:
    """Attaches to the console of a node."""
    _run("operations.classic_commands:kaconsole", "kaconsole")


def karemote() -> None:
    """Runs a command on nodes."""
    _run("operations.classic_commands:karemote", "karemote")


def kaaddkeys() -> None:
    """Puts public keys on nodes."""
    _run("operations.classic_commands:kaaddkeys", "kaaddkeys")


def kastat() -> None:
    """Shows what became of each node in each deployment."""
    _run("history.kastat:kastat", "kastat")


def kastats() -> None:
    """Shows the history of deployments."""
    _run("operations.classic_commands:kastats", "kastats")


if __name__ == "__main__":
    ka()
