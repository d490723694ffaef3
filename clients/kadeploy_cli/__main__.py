"""The entry points: `ka` and the classic names."""

from kadeploy_cli import ka as umbrella
from kadeploy_cli.deployments import classic_commands as classic_deploy
from kadeploy_cli.environments import archive_commands as classic_archives
from kadeploy_cli.environments import classic_commands as classic_environments
from kadeploy_cli.environments import kaenv as kaenv_command
from kadeploy_cli.nodes import classic_commands as classic_nodes
from kadeploy_cli.operations import classic_commands as classic_control
from kadeploy_cli.rights import classic_commands as classic_rights
from kadeploy_cli.terminal import guard


def ka() -> None:
    """Everything, by noun and verb."""
    guard.run(umbrella.ka, "ka")


def kadeploy() -> None:
    """Deploys."""
    guard.run(classic_deploy.kadeploy, "kadeploy")


def kaaddnode() -> None:
    """Registers nodes."""
    guard.run(classic_nodes.kaaddnode, "kaaddnode")


def kadelnode() -> None:
    """Removes nodes."""
    guard.run(classic_nodes.kadelnode, "kadelnode")


def kanodes() -> None:
    """Lists nodes and what is installed on them."""
    guard.run(classic_nodes.kanodes, "kanodes")


def karecordenv() -> None:
    """Records an environment."""
    guard.run(classic_environments.karecordenv, "karecordenv")


def kaenvironments() -> None:
    """Lists environments."""
    guard.run(classic_environments.kaenvironments, "kaenvironments")


def kaenv() -> None:
    """Handles environments with the options of Kadeploy 3."""
    guard.run(kaenv_command.kaenv, "kaenv")


def kaarchive() -> None:
    """Makes an image of a system."""
    guard.run(classic_archives.kaarchive, "kaarchive")


def kacreateenv() -> None:
    """Makes an image of a system and records it."""
    guard.run(classic_archives.kacreateenv, "kacreateenv")


def kaadduser() -> None:
    """Grants rights."""
    guard.run(classic_rights.kaadduser, "kaadduser")


def kadeluser() -> None:
    """Takes rights away."""
    guard.run(classic_rights.kadeluser, "kadeluser")


def karights() -> None:
    """Lists, grants and takes away rights with the options of Kadeploy 3."""
    guard.run(classic_rights.karights, "karights")


def kareboot() -> None:
    """Reboots nodes."""
    guard.run(classic_control.kareboot, "kareboot")


def kapower() -> None:
    """Switches the power of nodes."""
    guard.run(classic_control.kapower, "kapower")


def kaconsole() -> None:
    """Attaches to the console of a node."""
    guard.run(classic_control.kaconsole, "kaconsole")


def karemote() -> None:
    """Runs a command on nodes."""
    guard.run(classic_control.karemote, "karemote")


def kaaddkeys() -> None:
    """Puts public keys on nodes."""
    guard.run(classic_control.kaaddkeys, "kaaddkeys")


def kastats() -> None:
    """Shows the history of deployments."""
    guard.run(classic_control.kastats, "kastats")


if __name__ == "__main__":
    ka()
