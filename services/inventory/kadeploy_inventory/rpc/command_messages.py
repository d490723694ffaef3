"""Command templates as messages."""

from dataclasses import fields

from kadeploy.inventory.v1 import command_template_pb2
from kadeploy_inventory.domain.command_template import NO_COMMANDS, CommandTemplates

_NAMES = tuple(field.name for field in fields(CommandTemplates))


def commands_from_message(message: command_template_pb2.CommandTemplates) -> CommandTemplates:
    """Returns the templates of a message."""
    if message.ByteSize() == 0:
        return NO_COMMANDS
    return CommandTemplates(**{name: tuple(getattr(message, name).arguments) for name in _NAMES})


def commands_to_message(commands: CommandTemplates) -> command_template_pb2.CommandTemplates | None:
    """Returns the message of the templates; None when all are empty, so that the field stays absent."""
    given = {name: getattr(commands, name) for name in _NAMES if getattr(commands, name)}
    if not given:
        return None
    message = command_template_pb2.CommandTemplates()
    for name, arguments in given.items():
        getattr(message, name).arguments.extend(arguments)
    return message
