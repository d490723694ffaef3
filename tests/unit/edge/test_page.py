"""Pages are bounded in rows and in bytes, and lose and double no row."""

import pytest

from kadeploy.inventory.v1 import right_pb2
from kadeploy_edge.page import LARGEST_PAGE_BYTES, filled_page


def rows(*lengths: int) -> list[right_pb2.Right]:
    return [right_pb2.Right(user="u" * length) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [
        ([], 5, 0),
        ([1, 1, 1], 5, 3),
        ([1, 1, 1], 2, 2),
        ([LARGEST_PAGE_BYTES], 5, 1),
        ([10 * LARGEST_PAGE_BYTES, 1], 5, 1),
        ([1, 10 * LARGEST_PAGE_BYTES, 1], 5, 1),
        ([LARGEST_PAGE_BYTES // 2 - 10] * 3, 5, 2),
    ],
)
def test_a_page_has_as_many_rows_as_fit_and_one_at_least(lengths: list[int], limit: int, expected: int) -> None:
    found = rows(*lengths)
    assert filled_page(found, limit=limit) == found[:expected]


def test_rows_that_do_not_fit_are_not_made() -> None:
    made = []

    def make(number: int) -> right_pb2.Right:
        made.append(number)
        return right_pb2.Right(user="u" * (LARGEST_PAGE_BYTES // 4))

    filled_page(map(make, range(1000)), limit=500)
    assert len(made) <= 5
