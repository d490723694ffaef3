"""Tables of one line a row in 80 columns."""

import pytest
from rich.cells import cell_len

from kadeploy_cli.history import kastat
from kadeploy_cli.nodes import node_states
from kadeploy_cli.terminal.short_lines import WIDTH, Column, short_lines, total, without_domains

TABLES = [
    node_states.STATE_COLUMNS,
    node_states.DEPLOYMENT_COLUMNS,
    node_states.OPERATION_COLUMNS,
    kastat.SHORT,
    kastat.RATES,
]


@pytest.mark.parametrize("columns", TABLES)
def test_every_table_fits_80_columns(columns: tuple[Column, ...]) -> None:
    assert total(columns) <= WIDTH
    long = [["x" * 100 for _ in columns], ["日本語" * 30 for _ in columns], ["a\nb" for _ in columns]]
    assert all(cell_len(line) <= WIDTH for line in short_lines(columns, long))
    assert len(list(short_lines(columns, long))) == 3


def test_what_is_cut_shows_it() -> None:
    columns = (Column(name="A", most=5), Column(name="B", most=3))
    assert list(short_lines(columns, [["abcdef", "abc"], ["abcde", ""]])) == ["abcd…  abc", "abcde"]


def test_domains_are_left_out_where_the_rest_is_enough() -> None:
    assert without_domains(["a.x", "b.y"]) == {"a.x": "a", "b.y": "b"}
    assert without_domains(["a.x", "a.y"]) == {"a.x": "a.x", "a.y": "a.y"}
