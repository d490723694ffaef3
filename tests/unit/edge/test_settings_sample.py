"""The sample of settings, made from the function that reads them."""

import tomllib
from pathlib import Path

import pytest

from kadeploy_edge.settings_sample import sample
from kadeploy_edge.settings_table import Table


def read(table: Table) -> None:
    table.text("name", doc="Who it is.", example="alice")
    table.number("patience", 30, least=3, most=3600, unit="seconds", doc="How long it waits.")
    table.optional_path("log", doc="Where it writes. Default: nowhere.", example="/var/log/x")
    table.names("friends", (), doc="Whom it knows.")
    inner = table.table("parts")
    inner.describe("What it is made of.")
    inner.choice("kind", ("small", "large"), "small", doc="How big it is.")
    extra = table.table("extra")
    extra.describe("May be missing.", optional=True)
    extra.path("file", doc="What it reads.", example="/etc/x")
    table.alternative("name", lambda other: other.flag("strict", False, doc="Whether."), doc="Or so:")


EXPECTED = """\
# Settings of a test
# Every key is shown; where a key has a default, it stands here behind a comment sign. Paths may be relative to this
# file.

# Who it is.
name = "alice"

# How long it waits. (seconds, from 3 to 3600)
# patience = 30

# Where it writes. Default: nowhere.
# log = "/var/log/x"

# Whom it knows.
# friends = []

# What it is made of.
[parts]
# How big it is. (one of small, large)
# kind = "small"

# May be missing.
# [extra]
# What it reads.
# file = "/etc/x"

# Or so:
# [name]
# Whether.
# strict = false
"""


def test_every_key_stands_there_with_what_it_is_for_its_default_and_its_bounds() -> None:
    assert sample("Settings of a test", read) == EXPECTED
    assert tomllib.loads(EXPECTED) == {"name": "alice", "parts": {}}


def test_a_key_without_doc_is_named() -> None:
    with pytest.raises(LookupError, match=r"parts\.kind has no doc"):
        sample("", lambda table: table.table("parts").flag("kind", True))


def test_a_key_that_has_to_be_there_and_has_no_example_is_named() -> None:
    with pytest.raises(LookupError, match="port has no example that is a whole number from 1 to 9"):
        sample("", lambda table: table.whole("port", least=1, most=9, doc="Where."))


def test_a_sample_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample("Settings of a test", read)
    assert list(tmp_path.iterdir()) == []
