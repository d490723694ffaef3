"""Rows of MySQL dumps."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_cli.descriptions.text import DescriptionFailure
from kadeploy_cli.imports import sql_dump
from kadeploy_cli.imports.sql_dump import parse, read_tables
from kadeploy_cli.terminal.failures import UsageFailure

DUMP = r"""-- MySQL dump 10.13
/*!40101 SET NAMES utf8 */;
USE `deploy`;
DROP TABLE IF EXISTS `node`;
CREATE TABLE `node` (
  `id` int(11) NOT NULL auto_increment,
  `name` varchar(30) NOT NULL default ';)',
  macaddr varchar(17),
  PRIMARY KEY  (`id`),
  UNIQUE KEY `name` (`name`)
) ENGINE=MyISAM COMMENT='it\'s; a (table)';
LOCK TABLES `node` WRITE;
INSERT INTO `node` VALUES (1,'node-1',NULL),(2,'it''s \'two\'\n;(x)','a\\b');
INSERT INTO `node` (`name`, `id`) VALUES
  ('three', 3),
  (_binary 'four', -4.5e1);
INSERT INTO `deploy`.`log` VALUES (1,'a;b(',"c;"),(2,'''','');
REPLACE INTO node VALUES (0x10,'six','');
UNLOCK TABLES;
"""


def test_rows_are_read_by_the_names_of_their_columns() -> None:
    found = parse(DUMP, "dump.sql", ("node",))
    assert list(found) == ["node"]
    assert found["node"] == [
        {"id": "1", "name": "node-1", "macaddr": None},
        {"id": "2", "name": "it's 'two'\n;(x)", "macaddr": "a\\b"},
        {"name": "three", "id": "3"},
        {"name": "four", "id": "-4.5e1"},
        {"id": "0x10", "name": "six", "macaddr": ""},
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("INSERT INTO node VALUES (1);", "line 1: a row of node has 1 values for 0 columns"),
        ("\n\nINSERT INTO node (a) SELECT 1;", "line 3: VALUES is expected"),
        ("INSERT INTO node (a) VALUES (1,2);", "2 values for 1 columns"),
        ("INSERT INTO node (a) VALUES (", "a value is expected"),
        ("INSERT INTO node (a) VALUES ('x", "a value is expected"),
        ("INSERT INTO node (a) VALUES (1 2);", "a comma"),
        ("INSERT INTO node (a) VALUES 1;", "a row in parentheses"),
    ],
)
def test_what_is_no_insert_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(DescriptionFailure, match=problem):
        parse(text, "dump.sql", ("node",))


@given(st.text(alphabet="INSERT node(),'\"`;\\x1 \nVALUES#-/*", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text, "dump.sql", ("node",))
        parse(f"INSERT INTO node (a) VALUES {text}", "dump.sql", ("node",))  # noqa: S608
    except DescriptionFailure:
        return


def test_a_table_that_nobody_asks_for_takes_no_time() -> None:
    row = "(1,'" + "a" * 1000 + "\\'\")')"
    text = "INSERT INTO log VALUES " + ",".join([row] * 2000) + ";\nINSERT INTO node (a) VALUES (1);"  # noqa: S608
    assert parse(text, "dump.sql", ("node",)) == {"node": [{"a": "1"}]}


def test_several_dumps_are_read_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one.sql", tmp_path / "two.sql"
    one.write_text("INSERT INTO node (a) VALUES (1);")
    two.write_bytes("INSERT INTO node (a) VALUES ('é');".encode("latin-1"))
    assert read_tables([one, two], ("node",)) == {"node": [{"a": "1"}, {"a": "é"}]}
    with pytest.raises(UsageFailure, match="cannot be read"):
        read_tables([tmp_path / "absent"], ("node",))
    monkeypatch.setattr(sql_dump, "MAXIMUM_BYTES", 3)
    with pytest.raises(UsageFailure, match="is too long"):
        read_tables([one], ("node",))
