"""Tables that fit: whole words, columns left out by importance, and the user's choice of columns and order."""

import sys

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_cli.terminal import output, tables

COLUMNS = ("DEPLOYMENT", "STATE", "OWNER", "NODES", "CREATED", "DESCRIPTION")
LEAST = ("OWNER", "CREATED")
ROWS = [
    ("d-1", "error", "alice", "node-[1-16,20,24,28]", "2026-11-28 23:00:01", "2 of 19 nodes failed: not there at all"),
    ("d-2", "terminated", "bob", "gpu-1", "2026-11-28 23:10:00", ""),
]


def lines(width: int) -> tuple[list[str], list[str]]:
    rows, left_out = tables.fitted(COLUMNS, ROWS, width=width, least=LEAST)
    return ["  ".join(row).rstrip() for row in rows], left_out


def test_80_columns_hold_what_matters_and_no_word_is_broken() -> None:
    assert lines(80) == (
        [
            "DEPLOYMENT  STATE       NODES             CREATED              DESCRIPTION",
            "d-1         error       node-[1-16,20,    2026-11-28 23:00:01  2 of 19 nodes",
            "                        24,28]                                 failed: not there",
            "                                                               at all",
            "d-2         terminated  gpu-1             2026-11-28 23:10:00",
        ],
        ["OWNER"],
    )
    assert all(len(line) <= 80 for line in lines(80)[0])


def test_less_room_leaves_more_out_in_the_order_of_importance() -> None:
    assert lines(200)[1] == []
    assert lines(60)[1] == ["OWNER", "CREATED"]
    assert lines(30)[1] == ["OWNER", "CREATED", "DESCRIPTION", "NODES"]
    assert lines(5)[1] == ["OWNER", "CREATED", "DESCRIPTION", "NODES", "STATE"]


@given(
    cells=st.lists(st.text("ab ,-[]\n", max_size=30), min_size=3, max_size=3),
    width=st.integers(1, 100),
)
def test_no_line_is_longer_than_the_terminal_and_all_words_stay_whole(cells: list[str], width: int) -> None:
    rows, left_out = tables.fitted(("A", "B", "C"), [cells], width=width)
    kept = len(rows[0])
    assert kept == 3 - len(left_out)
    text = ["  ".join(row).rstrip() for row in rows]
    if kept > 1:
        assert all(len(line) <= width for line in text)
    for number in range(kept):
        shown = "".join(row[number].strip() for row in rows[1:])
        assert shown.replace(" ", "") == cells[number].replace(" ", "").replace("\n", "")


@click.command()
@click.pass_context
def listing(context: click.Context) -> None:
    context.meta[tables.META_KEY] = STYLE
    output.show(
        FORM,
        columns=("NAME", "SIZE"),
        rows=[("n-10", "2 GiB"), ("n-2", "512 MiB"), ("n-1", "1.5 GiB")],
        data=["ten", "two", "one"],
        names=["n-10", "n-2", "n-1"],
    )


STYLE, FORM = tables.TableStyle(), output.Format.TABLE


def printed(style: tables.TableStyle, form: output.Format = output.Format.TABLE) -> str:
    module = sys.modules[__name__]
    module.STYLE, module.FORM = style, form  # type: ignore[attr-defined]
    return CliRunner().invoke(listing, []).output


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["n-1", "n-2", "n-10"]),
        ("-Name", ["n-10", "n-2", "n-1"]),
        ("size", ["n-2", "n-1", "n-10"]),
        ("", ["n-10", "n-2", "n-1"]),
    ],
)
def test_rows_are_sorted_as_people_count_in_all_forms(sort: str, expected: list[str]) -> None:
    style = tables.TableStyle(sort=sort)
    assert [line.split()[0] for line in printed(style).splitlines()[1:]] == expected
    assert printed(style, output.Format.NAME).split() == expected
    words = {"n-1": '"one"', "n-2": '"two"', "n-10": '"ten"'}
    in_json = printed(style, output.Format.JSON)
    assert [in_json.index(words[name]) for name in expected] == sorted(in_json.index(words[name]) for name in expected)


def test_columns_come_in_the_order_that_was_asked_for_and_unknown_ones_are_named() -> None:
    assert printed(tables.TableStyle(columns=("size", "NAME"))).splitlines()[1].split() == ["2", "GiB", "n-10"]
    assert "--columns: there is no column weight" in printed(tables.TableStyle(columns=("weight",)))
    assert "The columns are NAME, SIZE." in printed(tables.TableStyle(sort="weight"))
