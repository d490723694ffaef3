"""Timeouts as version 3 takes them: arithmetic in n, the number of nodes, such as `(200+n*4)` or `100+10*log(n)`.

Version 3 handed the text to an interpreter. Here it is parsed, and nothing but arithmetic is understood.
"""

import ast
import math
import operator
import warnings
from collections.abc import Callable

from kadeploy_cli.terminal.failures import UsageFailure

LONGEST_TEXT = 200
LONGEST_SECONDS = 86_400.0
EXAMPLE = "Write seconds, or arithmetic with n, the number of nodes: 300, (200+n*4), 100+10*log(n)."
_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    # Of floats alone, which end in an error and not in a number of any length.
    ast.Pow: math.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
}


def seconds(text: str, *, nodes: int, option: str) -> float:
    """Returns the seconds that an expression comes to, or raises UsageFailure."""
    try:
        value = _value(_parsed(text), float(nodes))
    except (ValueError, ArithmeticError) as error:
        raise UsageFailure(f"{option} {text[:LONGEST_TEXT]!r} {error}", advice=EXAMPLE) from None
    if not 0 < value <= LONGEST_SECONDS:
        raise UsageFailure(
            f"{option} {text!r} comes to {value:g} s; it must be above 0, and {LONGEST_SECONDS:g} at most",
            advice=EXAMPLE,
        )
    return value


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"has more than {LONGEST_TEXT} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Ruby writes Math::log, or Math.log.
            return ast.parse(text.replace("Math::", "").replace("Math.", "").strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("is no arithmetic") from None


def _value(node: ast.expr, nodes: float) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id == "n":
        return nodes
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, nodes)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return float(_OPERATORS[type(node.op)](_value(node.left, nodes), _value(node.right, nodes)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        if not node.keywords and node.args and len(node.args) <= (2 if node.func.id in ("max", "min") else 1):
            return float(_FUNCTIONS[node.func.id](*[_value(argument, nodes) for argument in node.args]))
        raise ValueError(f"calls {node.func.id} with what it does not take")
    known = ", ".join(sorted(_FUNCTIONS))
    raise ValueError(f"has more than numbers, n, + - * / % ** and {known}")
