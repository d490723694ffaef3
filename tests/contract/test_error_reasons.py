"""Every reason has a hint, and docs/errors.md is what the services and the client say now."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from kadeploy_cli.terminal import advice

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """What writes the page."""
    spec = spec_from_file_location("render_errors", ROOT / "docs" / "render_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_reason_of_a_service_has_a_hint_and_no_hint_is_for_nothing(page: ModuleType) -> None:
    reasons = set(page.reasons())
    assert sorted(reasons - set(advice.ADVICE)) == []
    assert sorted(set(advice.ADVICE) - reasons) == []


def test_every_failure_of_a_node_has_a_hint(page: ModuleType) -> None:
    assert list(advice.FAILURES) == page.failure_reasons()


def test_hints_are_sentences_of_one_line() -> None:
    for hint in (*advice.ADVICE.values(), *advice.FAILURES.values()):
        assert hint.endswith((".", "?"))
        assert "\n" not in hint


def test_the_page_is_current(page: ModuleType) -> None:
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == page.render(), "run: make docs"
