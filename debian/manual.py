"""Writes the man pages and shell completions of all commands, from the commands themselves.

    python debian/manual.py DIRECTORY

makes `DIRECTORY/PACKAGE/usr/share/…` for each Debian package. The commands of the client are click's, as in
`kadeploy_cli.reference`; those of the services and of the builder are argparse's.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import click_man.core
import shtab
from click.shell_completion import get_completion_class

from kadeploy3_cli.commands import VERSION_3
from kadeploy_bootctl.__main__ import build_parser as bootctl_parser
from kadeploy_cli.ka import ka
from kadeploy_cli.login.agent_command import build_parser as agent_parser
from kadeploy_cli.reference import CLASSIC
from kadeploy_deployenv.__main__ import build_parser as deployenv_parser
from kadeploy_deployer.__main__ import build_parser as deployer_parser
from kadeploy_inventory.__main__ import build_parser as inventory_parser

# Where each shell looks for the completion of a command of this name.
COMPLETIONS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/vendor-completions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
# The shells that shtab knows.
SERVICE_SHELLS = ("bash", "zsh")
CLIENT = "kadeploy-client"
# Of the requests, click-man writes those of two capital letters and B.
NO_REQUEST = re.compile(r"^\.(?!(?:[A-Z]{2}|B)\b|\\)", re.MULTILINE)


def main() -> int:
    """Writes everything below the directory that the command line names."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        print("usage: python debian/manual.py DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    _write_client((ka, *CLASSIC), directory / CLIENT / "usr" / "share")
    _write_client(VERSION_3, directory / f"{CLIENT}3" / "usr" / "share")
    for parser in (inventory_parser(), deployer_parser(), bootctl_parser()):
        settings = f"/etc/kadeploy/{parser.prog.removeprefix('kadeploy-')}.toml"
        _write_parser(parser, directory / parser.prog / "usr" / "share", settings=settings)
    agent_settings = "/etc/kadeploy/login-agent.toml"
    _write_parser(agent_parser(), directory / CLIENT / "usr" / "share", settings=agent_settings, package=CLIENT)
    builder = deployenv_parser()
    _write_parser(builder, directory / builder.prog / "usr" / "share")
    return 0


def _write_client(commands: Sequence[click.Command], share: Path) -> None:
    pages = share / "man" / "man1"
    pages.mkdir(parents=True)
    for command in commands:
        name = command.name or ""
        click_man.core.write_man_pages(name, command, version=version(CLIENT), target_dir=pages, date=_date())
        for shell, place in COMPLETIONS.items():
            _write(share / place.format(name), _click_completion(command, name, shell))
    for page in pages.iterdir():
        # A word such as ".yaml" at the beginning of a line would be a request of troff's.
        page.write_text(NO_REQUEST.sub(r"\\&\g<0>", page.read_text(encoding="utf-8")), encoding="utf-8")


def _click_completion(command: click.Command, name: str, shell: str) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(f"click knows no completion for {shell}")
    # Without the check of the shell's version, which asks the shell of the host that builds.
    completion = kind(command, {}, name, f"_{name.upper()}_COMPLETE")
    return completion.source_template % completion.source_vars()


def _write_parser(parser: argparse.ArgumentParser, share: Path, *, settings: str = "", package: str = "") -> None:
    _write(share / "man" / "man8" / f"{parser.prog}.8", man_page(parser, settings=settings, package=package))
    for shell in SERVICE_SHELLS:
        _write(share / COMPLETIONS[shell].format(parser.prog), shtab.complete(parser, shell=shell))


def man_page(parser: argparse.ArgumentParser, *, settings: str = "", package: str = "") -> str:
    """Returns the man page of a program, with a section for each of its commands.

    `settings` is the path of its file of settings, if it has one; `package` that brings it, if it has another name.
    """
    name, description = parser.prog, parser.description or ""
    title = f'.TH {name.upper()} 8 {_date()} "{version(package or name)}" "System administration"'
    lines = [
        title,
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(description[:1].lower() + description[1:].rstrip('.'))}",
    ]
    lines += [".SH SYNOPSIS", f".B {_escaped(name)}", "COMMAND [OPTIONS]", ".SH DESCRIPTION", _escaped(description)]
    lines += [".SH OPTIONS", *_options(parser), ".SH COMMANDS"]
    for words, help_text, command in _commands(parser):
        lines += [f'.SS "{_escaped(words)}"', _escaped(f"{help_text[:1].upper()}{help_text[1:]}."), *_options(command)]
    if settings:
        lines += [".SH FILES", ".TP", f".I {settings}", "The settings."]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser, prefix: str = "") -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yields each command that does something: its words, what it does, its parser."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                below = list(_commands(command, f"{prefix}{name} "))
                yield from below or [(f"{prefix}{name}", helps[name], command)]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = argparse.HelpFormatter(parser.prog)
    for action in parser._actions:  # noqa: SLF001
        if action.help is not None:
            yield ".TP"
            yield f".B {_escaped(formatter._format_action_invocation(action))}"  # noqa: SLF001
            yield _escaped(action.help % {**vars(action), "prog": parser.prog})


def _escaped(text: str) -> str:
    """Returns text for troff: no escape sequences, hyphens that can be copied, no requests at the beginning."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def _date() -> str:
    """Returns the date of the pages: that of the release, where the build says it."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    return (datetime.fromtimestamp(int(seconds), UTC) if seconds else datetime.now(UTC)).date().isoformat()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
