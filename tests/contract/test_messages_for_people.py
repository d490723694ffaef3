"""Sentences for people hold no name of a call: they say what a user did, and what to do next."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.described import call_names

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "clients/kadeploy_cli",
    "services/edge/kadeploy_edge",
    "services/inventory/kadeploy_inventory",
    "services/deployer/kadeploy_deployer",
    "services/bootctl/kadeploy_bootctl",
    "services/database/kadeploy_database",
    "services/nodeset/kadeploy_nodeset",
)
CALLS = call_names()
_WORD = re.compile(r"[A-Za-z]+")


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Gives each text of a module that has blanks, but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    # A text that stands alone documents the attribute above it.
    documents |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documents:
            continue
        if isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


@pytest.mark.parametrize("package", PACKAGES)
def test_no_sentence_names_a_call(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in sentences(path)
        if CALLS & set(_WORD.findall(text))
    ]
    assert not found, "\n".join(found)
