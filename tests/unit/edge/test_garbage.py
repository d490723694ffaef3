"""What a service that has started changes of Python's searches for garbage."""

import gc
from collections.abc import Iterator

import pytest

from kadeploy_edge.garbage import YOUNG, settle


@pytest.fixture
def _own_habits() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_own_habits")
def test_a_service_that_has_started_is_not_searched_again_and_later_searches_are_rare_but_not_off() -> None:
    settle()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == YOUNG
    assert gc.isenabled()
