"""From a description to an environment with the digests of its files, and back to a description."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import click

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions import environment_file, environment_writer, environment_yaml, settings_file
from kadeploy_cli.descriptions.environment_yaml import Files, ReadImage
from kadeploy_cli.descriptions.settings_file import Setting
from kadeploy_cli.descriptions.text import MAXIMUM_SIZE, DescriptionFailure, decode, looks_like_yaml
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.environments import image_download, image_files
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure

YAML_OPTIONS = ("name", "version", "visibility", "filebase")


def described(
    *,
    file: str | None,
    options: Mapping[str, str | None],
    owner: str,
    read_image: ReadImage = image_files.image,
) -> environment_pb2.Environment:
    """Returns the environment that a file and options describe, with the digests of its files.

    Args:
        file: a path, the http(s) address of a description, "-" for stdin; None: the options say all.
        options: values that win over the file's.
        owner: whose it is; empty for the caller.
        read_image: takes digest and size of the image.
    """
    text, source = "", ""
    if file is not None:
        source = "stdin" if file == "-" else file
        text = decode(_content(file), source)
        if not text.strip():
            raise DescriptionFailure(source, 0, "is empty")
    files = _files(file, read_image)
    # A path on the command line is relative to where the user stands, not to the file.
    given = {
        key: str(Path.cwd() / value) if value and key in {"filebase", "filesite"} and "://" not in value else value
        for key, value in options.items()
        if value is not None
    }
    if file is not None and looks_like_yaml(text, source):
        environment = _from_yaml(text, source, given, files)
        environment.owner = owner or environment.owner
        return environment
    settings = dict(settings_file.parse(text, source))
    for key, value in given.items():
        settings[key] = Setting(value=value, source=f"option for {key}", line=0)
    return environment_file.build(
        settings,
        owner=owner,
        directory=files.directory,
        read_image=files.read_image,
        read_archive=lambda name, directory, script: files.read_archive(name, directory, script, None),
    )


def print_description(session: Session, name: str, version: int | None, owner: str) -> ExitCode:
    """Prints an environment as the description that records it again."""
    environment = environments.get(session, environments.reference(name, version, owner))
    foreign = environment.owner != session.settings.user and environment.visibility == environment_pb2.VISIBILITY_PUBLIC
    if foreign:
        # Only administrators record public ones, and this is the first step to an environment of one's own.
        environment.visibility = environment_pb2.VISIBILITY_PRIVATE
    if session.form is output.Format.JSON:
        click.echo(environment_writer.to_json(environment))
        return ExitCode.OK
    if foreign:
        click.echo(f"# public, of {environment.owner}; recorded by you it is private")
    click.echo(environment_writer.to_yaml(environment), nl=False)
    return ExitCode.OK


def _content(file: str) -> bytes:
    if image_files.is_remote(file):
        return image_download.content(file, most=MAXIMUM_SIZE + 1)
    return node_names.read_file(file)


def _files(file: str | None, read_image: ReadImage) -> Files:
    """Returns how the files of a description are read. Relative names are relative to it, also to an address."""
    local = Files(
        directory=Path.cwd() if file in {None, "-"} else Path(str(file)).absolute().parent,
        read_image=read_image,
        read_archive=image_files.script_archive,
        note=output.say,
    )
    if file is None or not image_files.is_remote(file):
        return local

    def address(name: str) -> str:
        return name if "://" in name or name.startswith(("/", "file:")) else urljoin(file, name)

    return replace(
        local,
        directory=Path("/"),
        read_image=lambda name, directory, kind: read_image(address(name), directory, kind),
        read_archive=lambda name, directory, script, compression: image_files.script_archive(
            address(name), directory, script, compression
        ),
    )


def _from_yaml(text: str, source: str, given: Mapping[str, str], files: Files) -> environment_pb2.Environment:
    other = [key for key in given if key not in YAML_OPTIONS]
    if other:
        raise UsageFailure(f"{source} is YAML: {other[0]} is said in it, not by an option")
    # The options are checked as the classic file's values are.
    options = {key: Setting(value=value, source=f"option for {key}", line=0) for key, value in given.items()}
    environment_file.check_overrides(options)
    return environment_yaml.parse(text, source, given, files)
