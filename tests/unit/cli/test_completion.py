"""What may stand at the end of a command line, for the real commands and made-up names."""

import json

import pytest

from kadeploy_cli.completion import answer, cache
from kadeploy_cli.completion.command_line import candidates
from kadeploy_cli.completion.command_tree import describe_all

TREE = describe_all()
NAMES = {
    "node": ["node-1", "node-2", "node-10"],
    "environment": ["debian", "debian-min"],
    "partition": ["vda3", "vda5"],
    "deployment": ["20261128-aa", "20261127-bb"],
    "operation": ["op-power-1", "op-reboot-2"],
    "user": ["alice", "bob"],
    "cluster": ["lab"],
}


def complete(*words: str) -> list[str]:
    command, *before, incomplete = words
    return [each.value for each in candidates(TREE[command], before, incomplete, lambda kind: NAMES[kind])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ka", "depl"), ["deployment"]),
        (("ka", "deployment", "sh"), ["show"]),
        (("ka", "node", "show", "node-1"), ["node-1", "node-10"]),
        (("ka", "node", "list", "node-1,node-2"), ["node-1,node-2"]),
        (("ka", "node", "list", "node-[1-3],node-10"), ["node-[1-3],node-10"]),
        (("ka", "node", "list", "node-[1"), []),
        (("ka", "deployment", "show", "2026112"), ["20261128-aa", "20261127-bb"]),
        (("ka", "operation", "watch", "op-r"), ["op-reboot-2"]),
        (("ka", "cluster", "show", ""), ["lab"]),
        (("ka", "environment", "show", "debian-"), ["debian-min"]),
        (("ka", "deployment", "list", "--state", "w"), ["waiting"]),
        (("ka", "deployment", "list", "--state=w"), ["--state=waiting"]),
        (("ka", "deployment", "list", "--state", "=", "w"), ["waiting"]),
        (("ka", "deployment", "list", "--lim"), ["--limit"]),
        (("ka", "deployment", "list", "--limit", "3", "--lim"), []),
        (("kadeploy", "-m", "node-1", "-m", "node-2"), ["node-2"]),
        (("kadeploy", "-e", ""), ["debian", "debian-min"]),
        (("kadeploy", "-p", "vda"), ["vda3", "vda5"]),
        (("kadeploy", "-l", ""), ["alice", "bob"]),
        (("kadeploy", "--busy", "e"), ["exclude"]),
        (("kadeploy", "-e", "debian", "--pla"), ["--plan"]),
        (("kadeploy", "-k", "--pla"), ["--plan"]),
        (("kadelnode", "node-1", "node-2"), ["node-2"]),
        (("kadeploy", "--nothing", "-m", "node-2"), ["node-2"]),
        (("ka", "nothing", "sh"), []),
        (("kaaddkeys", "-m", ""), ["node-1", "node-2", "node-10"]),
    ],
)
def test_candidates(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete(*words) == expected


def test_files_are_left_to_the_shell() -> None:
    (one,) = candidates(TREE["kadeploy"], ["-f"], "no", lambda _: [])
    assert (one.type, one.value) == ("file", "no")


def test_every_parameter_that_names_something_is_completed() -> None:
    def walk(tree: dict[str, object], words: str) -> list[str]:
        found = []
        for name, below in dict(tree.get("commands", {})).items():  # type: ignore[call-overload]
            found += walk(below, f"{words} {name}")
        for argument in list(tree["arguments"]):  # type: ignore[call-overload]
            if not argument.get("kind") and not argument.get("choices"):
                found.append(words)
        return found

    # What they take is new, or no name: a program, an address or network, an image, a digest, a holder of a
    # certificate, an action that has no choice.
    free = {
        "ka node run",
        "ka node discover",
        "ka environment from-oci",
        "ka environment upload delete",
        "ka pki issue",
        "ka pki renew",
        "ka pki revoke",
        "ka web login",
    }
    assert {each for name, tree in TREE.items() for each in walk(tree, name)} <= free


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ka node  list", ["ka", "node", "list"]),
        ("ka run 'a b' c", ["ka", "run", "a b", "c"]),
        ("ka run 'a b", ["ka", "run", "a b"]),
        ("ka # x'", ["ka", "#", "x"]),
    ],
)
def test_command_lines_are_read_with_open_quotes(text: str, words: list[str]) -> None:
    assert answer._words(text) == words


def test_a_damaged_cache_file_is_none_and_a_written_one_is_private(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    cache.write("names/x.json", ["a"])
    content, age = cache.read("names/x.json")
    assert content == ["a"]
    assert age < 60
    assert (home / "kadeploy" / "names").stat().st_mode & 0o077 == 0
    for text in ("", "[]", json.dumps({"time": "x", "content": 1})):
        (home / "kadeploy" / "names" / "x.json").write_text(text)
        assert cache.read("names/x.json") == (None, float("inf"))
