"""Files of recorded environments that lie somewhere else from now on; their content, and so their digests, stay."""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure

SEPARATOR = "::"
LOCAL = ("server://", "local://", "file://")

File = environment_pb2.Image | environment_pb2.ScriptArchive
Moves = Sequence[tuple[str, str]]


def parse(text: str) -> Moves:
    """Returns old and new beginnings of addresses, of "OLD::NEW,OLD::NEW"."""
    moves = []
    for word in text.split(","):
        old, separator, new = word.strip().partition(SEPARATOR)
        if not (old and separator and new):
            raise UsageFailure(f"-m OLD{SEPARATOR}NEW is needed, such as -m /srv/images{SEPARATOR}/data/images")
        moves.append((_address(old), _address(new)))
    return moves


def _address(word: str) -> str:
    """Returns a path as the address that environments record; that of a server as it is."""
    for scheme in LOCAL:
        word = word.removeprefix(scheme)
    return f"file://{word}" if word.startswith("/") else word


def move(session: Session, moves: Moves, *, owner: str) -> ExitCode:
    """Changes the addresses that begin so, in the caller's environments or in those of an owner."""
    inventory, count = session.inventory, 0
    for environment in environments.fetch(session, owner=owner):
        if environment.owner != (owner or session.settings.user) and not owner:
            continue
        paths = _moved(environment, moves)
        if not paths:
            continue
        request = inventory_service_pb2.UpdateEnvironmentRequest(
            environment=environment, update_mask=FieldMask(paths=paths)
        )
        inventory.call(inventory.environments.UpdateEnvironment, request)
        output.say(f"environment {environment.name} version {environment.version}: {environment.image.uri}")
        count += 1
    output.say(f"{count} environments are changed")
    return ExitCode.OK


def _moved(environment: environment_pb2.Environment, moves: Moves) -> list[str]:
    """Puts the new addresses into an environment and returns the paths of an update."""
    files: list[tuple[str, File]] = [("image.uri", environment.image)]
    files += [("postinstalls.uri", archive) for archive in environment.postinstalls]
    if environment.HasField("preinstall"):
        files.append(("preinstall.uri", environment.preinstall))
    paths: dict[str, None] = {}
    for path, file in files:
        for old, new in moves:
            rest = file.uri.removeprefix(old)
            if rest != file.uri and (not rest or rest.startswith("/") or old.endswith("/")):
                file.uri = f"{new}{rest}"
                paths[path] = None
                break
    return list(paths)
