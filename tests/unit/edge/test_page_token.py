"""Page tokens: opaque, bound to their list, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_edge import page_token
from kadeploy_edge.page_token import InvalidPageSize, InvalidPageToken

KEYS = st.lists(st.one_of(st.text(), st.integers()), max_size=4).map(tuple)


@given(KEYS, st.text())
def test_a_token_gives_its_key_back(key: tuple[str | int, ...], binding: str) -> None:
    assert page_token.decode(page_token.encode(key, binding=binding), binding=binding) == key


@given(KEYS)
def test_a_token_of_another_list_is_refused(key: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidPageToken):
        page_token.decode(page_token.encode(key, binding="nodes"), binding="clusters")


@given(st.text(min_size=1))
def test_any_other_text_is_refused_without_a_traceback(text: str) -> None:
    with pytest.raises(InvalidPageToken):
        page_token.decode(text, binding="nodes")


@pytest.mark.parametrize(("wanted", "given_rows"), [(0, 50), (7, 7), (501, 500)])
def test_page_sizes_are_coerced(wanted: int, given_rows: int) -> None:
    assert page_token.page_size(wanted) == given_rows


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidPageSize):
        page_token.page_size(-1)
