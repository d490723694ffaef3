"""Timeouts as version 3 takes them: arithmetic, and nothing that is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy3_cli.expressions import seconds
from kadeploy_cli.terminal.failures import UsageFailure


@pytest.mark.parametrize(
    ("text", "nodes", "expected"),
    [
        ("300", 4, 300),
        ("(200+n*4)", 10, 240),
        ("100 + 10 * log(n)", 1, 100),
        ("Math::sqrt(n)*60", 4, 120),
        ("Math.log10(n)*100", 10, 100),
        ("max(60, 2*n)", 4, 60),
        ("2**3*n", 2, 16),
        ("-1*(n-10)", 4, 6),
        ("7%4", 1, 3),
        ("1.5e2", 1, 150),
    ],
)
def test_arithmetic_is_read(text: str, nodes: int, expected: float) -> None:
    assert seconds(text, nodes=nodes, option="-t") == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n n",
        "m",
        "exit(1)",
        "system('true')",
        "__import__('os')",
        "[1]",
        "n.real",
        "1/0",
        "0",
        "-5",
        "9**9**9",
        "1e9",
        "log(0)",
        "log()",
        "max(1,2,3)",
        "True",
        "'a'",
        "1if n else 2",
        "(" * 100,
        "n+" * 150 + "1",
        "sqrt(-1)",
        "log(n, base=2)",
        "`id`",
        "\0",
    ],
)
def test_what_is_no_arithmetic_or_no_timeout_is_refused(text: str) -> None:
    with pytest.raises(UsageFailure, match="-t "):
        seconds(text, nodes=4, option="-t")


@given(st.text(alphabet="n0123456789+-*/%(). logsqrtmaxin,**", max_size=40), st.integers(1, 10_000))
def test_any_text_is_read_or_refused(text: str, nodes: int) -> None:
    try:
        assert 0 < seconds(text, nodes=nodes, option="-t") <= 86_400
    except UsageFailure:
        return
