"""Node sets from options, files and stdin."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure


def test_options_and_file_are_joined(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("# mine\nnode-3 node-[4-5]\n\ngpu-1\n")
    assert str(node_names.required(["node-[1-2]", "node-2"], str(file))) == "gpu-1,node-[1-5]"


def test_leading_zeros_are_kept() -> None:
    assert list(node_names.parse("n[08-10]", "-m")) == ["n08", "n09", "n10"]


@pytest.mark.parametrize(
    "word", ["node-[1-", "node-[a-b]", "node-[2-1]", "[", "n[1-999999999999]", "n[0-100000]", "n]1[", "", " "]
)
def test_what_is_no_node_set_is_refused(word: str) -> None:
    with pytest.raises(UsageFailure):
        node_names.parse(word, "-m")


def test_a_wrong_line_of_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("node-1\nnode-[2-\n")
    with pytest.raises(UsageFailure, match=r"nodes, line 2: "):
        node_names.from_options([], str(file))


def test_a_file_that_is_not_there_and_no_node_at_all_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="cannot be read: No such file"):
        node_names.from_options([], str(tmp_path / "none"))
    with pytest.raises(UsageFailure, match="no node is named"):
        node_names.required([], None)


@pytest.mark.parametrize("word", ["@all", "@cluster:compute", "node-1,@all", "n*", "node-?"])
def test_groups_and_wildcards_of_clustershell_are_not_looked_up(word: str, tmp_path: Path, monkeypatch: Any) -> None:
    groups = tmp_path / "clustershell" / "groups.conf.d"
    groups.mkdir(parents=True)
    (groups / "local.conf").write_text("[local]\nmap: echo node-[1-1000]\nall: echo node-[1-1000]\nlist: echo all\n")
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path / "clustershell"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageFailure, match=r"groups are not looked up|is a wildcard"):
        node_names.required([word], None)


@given(st.text(alphabet="abn-[],0123456789&!^ .%", max_size=20))
def test_any_word_is_a_node_set_or_refused_with_a_sentence(word: str) -> None:
    said = "-m"
    try:
        node_names.parse(word, "-m")
    except UsageFailure as failure:
        said = failure.message
    assert said
