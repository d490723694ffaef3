"""The table [limits] of a service's settings."""

from pathlib import Path

import pytest

from kadeploy_edge.limits import Limits, read_limits
from kadeploy_edge.settings_file import BadSettings, Table, load


def read(table: Table) -> Limits:
    return read_limits(table.table("limits"))


def written(directory: Path, text: str) -> Path:
    path = directory / "service.toml"
    path.write_text(text)
    return path


def test_without_the_table_everything_has_its_default(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), read) == Limits()


def test_what_it_says_counts(tmp_path: Path) -> None:
    text = "[limits]\ncalls_per_user = 4\nrequest_seconds = 2.5\n"
    assert load(written(tmp_path, text), read) == Limits(calls_per_user=4, request_seconds=2.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\ncalls = 0\n", "limits.calls must be a whole number from 1 to 100000"),
        ("[limits]\nidle_seconds = 0\n", "limits.idle_seconds must be a number from 1 to 86400"),
        ("[limits]\ncall = 3\n", "the key limits.call is not known; was calls meant"),
    ],
)
def test_a_mistake_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        load(written(tmp_path, text), read)
