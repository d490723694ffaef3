"""Commands, options and arguments as plain data, made from the commands themselves."""

from typing import Any

import click

from kadeploy_cli.completion import cache
from kadeploy_cli.completion.source_state import tree_file

FILES = ("FILE", "PATH")
DIRECTORIES = ("DIR", "DIRECTORY")
BY_NAME = {
    "machines": "nodes",
    "node_set": "nodes",
    "names": "nodes",
    "node": "node",
    "deployment_id": "deployment",
    "operation_id": "operation",
    "environment": "environment",
    "bare": "environment",
    "bare_environment": "environment",
    "cluster": "cluster",
    "owner": "user",
    "user": "user",
    "users": "user",
    "partition": "partition",
    "parts": "partition",
    "printed": "environment",
    "shared": "environment",
    "removed": "environment",
}
"""What stands where a parameter of this name is. Parameters called `name` are what their group is about."""
BY_GROUP = {"node": "node", "cluster": "cluster", "environment": "environment"}


def write_tree() -> None:
    """Writes the tree of all commands into the cache. Raises OSError."""
    cache.write(tree_file(), describe_all())


def describe_all() -> dict[str, Any]:
    """Returns all commands by name."""
    from kadeploy_cli.ka import ka  # noqa: PLC0415 - these modules load everything
    from kadeploy_cli.reference import CLASSIC  # noqa: PLC0415

    return {command.name or "": describe(command) for command in (ka, *CLASSIC)}


def describe(command: click.Command, group: str = "") -> dict[str, Any]:
    """Returns a command with all that stands below it. `group`: the name of the group that it is in."""
    context = click.Context(command)
    parameters = command.get_params(context)
    found: dict[str, Any] = {
        "help": command.get_short_help_str(80),
        "options": [_option(each, group) for each in parameters if isinstance(each, click.Option) and not each.hidden],
        "arguments": [_argument(each, group) for each in parameters if isinstance(each, click.Argument)],
    }
    if isinstance(command, click.Group):
        found["commands"] = {name: describe(each, command.name or "") for name, each in command.commands.items()}
    return found


def _option(option: click.Option, group: str) -> dict[str, Any]:
    takes = not option.is_flag and not option.count
    return {
        "names": [*option.opts, *option.secondary_opts],
        "help": (option.help or "").split("\n")[0],
        "takes": takes,
        # "-k [FILE]": the value may be left out.
        "may": takes and bool((option.metavar or "").startswith("[")),
        "repeats": option.multiple,
        **(_value(option, group) if takes else {}),
    }


def _argument(argument: click.Argument, group: str) -> dict[str, Any]:
    return {"repeats": argument.nargs == -1, **_value(argument, group)}


def _value(parameter: click.Parameter, group: str) -> dict[str, Any]:
    if isinstance(parameter.type, click.Choice):
        return {"choices": [str(choice) for choice in parameter.type.choices]}
    metavar = (parameter.metavar or "").strip("[].")
    if metavar.split("|")[0] in FILES or parameter.name == "file":
        return {"kind": "file"}
    if metavar in DIRECTORIES:
        return {"kind": "dir"}
    if metavar in ("NODE", "NODES"):
        return {"kind": metavar.lower()}
    if parameter.name == "name" and isinstance(parameter, click.Argument):
        return {"kind": BY_GROUP.get(group, "")}
    return {"kind": BY_NAME.get(parameter.name or "", "")}
