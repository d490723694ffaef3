"""docs/coming-from-kadeploy.md: every option of Kadeploy 2 and 3 has an answer, and the page has the present ones."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kadeploy3_cli import coming_from
from kadeploy3_cli.commands import VERSION_3
from kadeploy_cli.reference import CLASSIC

PAGE = Path(__file__).resolve().parents[3] / "docs" / "coming-from-kadeploy.md"
COMMANDS: dict[str, click.Command] = {str(command.name): command for command in (*CLASSIC, *VERSION_3)}
WORDS = [
    (name, word)
    for options in (coming_from.OPTIONS_3, coming_from.OPTIONS_2)
    for name, words in options.items()
    for word in words.split()
]


def test_the_page_says_what_the_commands_are_now() -> None:
    _, marker, generated = PAGE.read_text(encoding="utf-8").partition(coming_from.MARKER)
    assert marker
    assert generated == f"\n{coming_from.render()}", "run: make docs"


def test_every_command_of_version_3_is_on_the_page() -> None:
    assert set(coming_from.OPTIONS_3) == {command.name for command in VERSION_3}


@pytest.mark.parametrize(("name", "word"), WORDS)
def test_every_option_is_understood_or_refused_with_what_to_type(name: str, word: str) -> None:
    answer = coming_from.answer_of(COMMANDS[name], word)
    if not answer.startswith("refused: "):
        return
    result = CliRunner().invoke(COMMANDS[name], [word])
    assert result.exit_code == 2
    assert answer.removeprefix("refused: ").replace("\\|", "|")[1:] in result.stderr


def test_an_option_without_an_answer_is_an_error() -> None:
    with pytest.raises(coming_from.NoAnswer, match="kadeploy3 --nothing"):
        coming_from.answer_of(COMMANDS["kadeploy3"], "--nothing")


def test_what_the_written_part_says_can_be_typed() -> None:
    written = PAGE.read_text(encoding="utf-8").partition(coming_from.MARKER)[0]
    lines = re.findall(r"^\| `((?:ka\w+)[^`]*)`", written, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        for part in re.split(r"\\\||, ", line):
            name = part.strip(" `").split()[0]
            assert name in {*COMMANDS, "ka"}, line
