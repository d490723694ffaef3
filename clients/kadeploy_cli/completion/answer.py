"""Answers a shell that completes a command line, in the form that click's scripts for the shells read."""

import os
import sys

from kadeploy_cli.completion import cache
from kadeploy_cli.completion.command_line import Candidate, candidates
from kadeploy_cli.completion.names import CachedNames
from kadeploy_cli.completion.source_state import tree_file

QUOTES = "'\""


def asked(name: str) -> str:
    """Returns the shell that asks for the completion of a command; empty if none does."""
    shell, _, wanted = os.environ.get(f"_{name.upper()}_COMPLETE", "").partition("_")
    return shell if wanted == "complete" and shell in ("bash", "zsh", "fish") else ""


def answer(name: str, shell: str) -> None:
    """Prints what may stand at the end of the command line."""
    words, incomplete = _command_line(shell)
    tree, _ = cache.read(tree_file())
    if tree is None:
        from kadeploy_cli.completion.command_tree import describe_all, write_tree  # noqa: PLC0415 - loads everything

        try:
            write_tree()
        except OSError:
            # A home that cannot be written: each keystroke takes its time then.
            tree = describe_all()
        else:
            tree, _ = cache.read(tree_file())
    if not isinstance(tree, dict) or name not in tree:
        return
    names = CachedNames(_config(words))
    found = candidates(tree[name], words, incomplete, names.of)
    sys.stdout.write("".join(f"{_line(shell, each)}\n" for each in found))


def _command_line(shell: str) -> tuple[list[str], str]:
    """Returns the words before the one that is completed, and that one."""
    words = _words(os.environ.get("COMP_WORDS", ""))
    place = os.environ.get("COMP_CWORD", "")
    if shell == "fish":
        incomplete = (_words(place) or [""])[0]
        before = words[1:-1] if incomplete and words[-1:] == [incomplete] else words[1:]
        return before, incomplete
    number = int(place) if place.isdigit() else len(words)
    return words[1:number], words[number] if number < len(words) else ""


def _words(text: str) -> list[str]:
    """Returns the words of a command line; of the last one the quote may still be open."""
    from shlex import shlex  # noqa: PLC0415 - only where words are quoted

    if not any(letter in text for letter in f"{QUOTES}\\"):
        return text.split()
    reader = shlex(text, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(reader)
    except ValueError:
        words.append(reader.token)
    return words


def _config(words: list[str]) -> str:
    """Returns the settings that the command line names."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == "--config":
            return following
        if word.startswith("--config="):
            return word.removeprefix("--config=")
    return ""


def _line(shell: str, candidate: Candidate) -> str:
    if shell == "zsh":
        value = candidate.value.replace(":", "\\:") if candidate.help else candidate.value
        return f"{candidate.type}\n{value}\n{candidate.help or '_'}"
    if shell == "fish" and candidate.help:
        return f"{candidate.type},{candidate.value}\t{candidate.help}"
    return f"{candidate.type},{candidate.value}"
