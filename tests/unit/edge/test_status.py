"""Errors as statuses and back."""

import base64
from urllib.parse import quote

import pytest

from kadeploy_edge.errors import FieldViolation, Invalid
from kadeploy_edge.status import clipped, from_status, to_status

# What gRPC takes in the trailers of a call, less what it puts there itself.
MOST = 8192 - 400


class Wrong(Invalid):
    reason = "WRONG"


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", "\ud800"])
def test_the_largest_error_fits_into_the_trailers_of_a_call(letter: str) -> None:
    word = letter * 5000
    violations = tuple(FieldViolation(field=f"nodes[{index}].{word}", description=word) for index in range(5000))
    error = Wrong(word, metadata={f"name{index}": word for index in range(100)}, violations=violations)
    status = to_status(error, domain="inventory.kadeploy")
    told = quote(status.message)
    assert len(told) + len(base64.b64encode(status.SerializeToString())) < MOST
    read = from_status(status)
    assert read.reason == "WRONG"
    assert read.violations[-1].description.startswith("and 499")
    assert read.metadata


def test_an_error_of_a_usual_size_is_told_whole() -> None:
    violations = tuple(FieldViolation(field=f"nodes[{index}].name", description="is empty") for index in range(20))
    read = from_status(to_status(Wrong("not so", metadata={"a": "b"}, violations=violations), domain="x"))
    assert (read.message, read.metadata, read.violations) == ("not so", {"a": "b"}, violations)


def test_a_text_is_clipped_between_letters() -> None:
    assert clipped("abc", 3) == "abc"
    assert clipped("abcd", 4) == "abcd"
    assert clipped("ééé", 5) == "é…"
