"""Which of Python's modules the programs of the deployment environment import."""

from kadeploy_deployenv.python_runtime import imported_names

PROGRAM = """
import os.path, json
from concurrent.futures import ThreadPoolExecutor
from . import neighbour

def late():
    import tempfile
"""


def test_imports_are_found_anywhere_in_a_program() -> None:
    assert imported_names(PROGRAM) == {"os.path", "json", "concurrent.futures", "tempfile"}
