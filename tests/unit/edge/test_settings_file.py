"""The one strict reader of settings."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kadeploy_edge.settings_file import BadSettings, Table, load, parse

TEXT = '''\
# a comment
address = "here"

[lists]   # the header counts
many = [
    "a",

    "b",
]
long = """
x = 1
"""
number = 7

[inner.deep]
"quoted key" = true
'''


def read_with(tmp_path: Path, text: str, read: Callable[[Table], Any]) -> Any:
    path = tmp_path / "s.toml"
    path.write_text(text)
    return load(path, read)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("address",), 2),
        (("lists",), 4),
        (("lists", "many"), 5),
        (("lists", "long"), 10),
        (("lists", "number"), 13),
        (("inner",), 15),
        (("inner", "deep", "quoted key"), 16),
    ],
)
def test_a_complaint_names_the_line_on_which_a_value_begins(tmp_path: Path, keys: tuple[str, ...], line: int) -> None:
    path = tmp_path / "s.toml"
    path.write_text(TEXT)
    table = parse(path)
    for key in keys[:-1]:
        table = table.table(key)
    assert str(table.complaint(keys[-1], "it is wrong")) == f"{path}:{line}: it is wrong"


@pytest.mark.parametrize(
    ("text", "read", "sentence"),
    [
        ("a = 1\nb = 2", lambda top: top.whole("a", 0, least=0, most=9), ":2: the key b is not known; known are a"),
        (
            "lease = 1\nlaese = 2",
            lambda top: top.whole("lease", 0, least=0, most=9),
            ":2: the key laese is not known; was",
        ),
        (
            "\nlease = 1",
            lambda top: top.number("lease", 30, least=3, most=60, unit="seconds"),
            ":2: lease must be a number from 3 to 60, not 1 (seconds; default 30)",
        ),
        ("a = true", lambda top: top.whole("a", least=0, most=1), ":1: a must be a whole number from 0 to 1, not true"),
        ("a = nan", lambda top: top.number("a", least=0, most=1), ":1: a must be a number from 0 to 1, not nan"),
        ("a = 'x\\u0000'\n", lambda top: top.text("a"), None),
        ('a = "x\\u0000"', lambda top: top.text("a"), ":1: a must be a text, not"),
        ("a = 'c'", lambda top: top.choice("a", ("d", "e"), "d"), "a must be one of d, e, not 'c' (default 'd')"),
        ("a = 1", lambda top: top.flag("a", default=False), "a must be true or false, not 1 (default false)"),
        ("a = ['x', 2]", lambda top: top.names("a"), 'a must be a list of names such as ["root"], not'),
        ("a = ['']", lambda top: top.paths("a"), "a must be a list of paths"),
        ("[t]\nx = 1", lambda top: top.table("t").text("y"), ":1: the key t.y is missing; it must be a text"),
        (
            "[t]\nadress = 'x'",
            lambda top: top.table("t").text("address"),
            "t.address is missing; is it what t.adress stands for?",
        ),
        ("", lambda top: top.text("y"), "s.toml: the key y is missing"),
        ("t = 1", lambda top: top.table("t"), ":1: t must be a table, not 1"),
        ("[t.u]\nx = 1", lambda top: top.table("t").table("u"), ":2: the key t.u.x is not known; known are none"),
        ("a = 1\na = 2", lambda top: top, ":2: this is no TOML: Cannot overwrite a value"),
        ("a = 1\nb =", lambda top: top, ":2: this is no TOML"),
    ],
)
def test_what_cannot_be_used_is_told_with_line_key_and_what_was_expected(
    tmp_path: Path, text: str, read: Callable[[Table], Any], sentence: str | None
) -> None:
    if sentence is None:
        assert read_with(tmp_path, text, read)
        return
    with pytest.raises(BadSettings) as caught:
        read_with(tmp_path, text, read)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("password = 'hunter2'", lambda _: None),
        ("password_file = ['hunter2']", lambda top: top.path("password_file")),
        ("url = 'mysql://me:hunter2@there/db'", lambda top: top.choice("url", ("a", "b"))),
        ("password = hunter2", lambda _: None),
    ],
)
def test_no_complaint_repeats_a_secret(tmp_path: Path, text: str, read: Callable[[Table], Any]) -> None:
    with pytest.raises(BadSettings) as caught:
        read_with(tmp_path, text, read)
    assert "hunter2" not in str(caught.value)


def test_paths_begin_at_the_file_and_what_was_asked_is_known(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('a = "x/y"\nc = ["/z"]\n[d.e]\nf = 1\n')
    top = parse(tmp_path / "s.toml")
    assert top.path("a") == tmp_path / "x" / "y"
    assert top.optional_path("b") is None
    assert top.paths("c") == (Path("/z"),)
    (inner,) = top.table("d").tables().values()
    assert inner.whole("f", least=0, most=1) == 1
    assert not top.table("none").is_there
    assert top.asked() == ("a", "b", "c", "d.e.f")
    top.end()


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert load(tmp_path / "s.toml", lambda top: top.whole("a", least=0, most=1)) == 1


@pytest.mark.parametrize("content", [b"\xff", b"a = 1 # \xff", b"x" * 300_000])
def test_a_file_that_is_no_settings_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(BadSettings):
        parse(tmp_path / "s.toml")
    with pytest.raises(BadSettings, match="cannot be read: Is a directory"):
        parse(tmp_path)


@given(content=some.one_of(some.binary(max_size=80), some.text(max_size=80).map(str.encode)))
def test_no_content_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_bytes(content)
    with contextlib.suppress(BadSettings):
        load(path, lambda top: top.text("a", "b"))
