"""A check that holds for the sample settings of every service."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kadeploy_edge.settings_file import Table, parse

_Settings = TypeVar("_Settings")


def check_sample(sample: Path, read: Callable[[Table], _Settings]) -> _Settings:
    """Returns the settings of a sample, in which every key stands, or each behind a comment sign with its default.

    So what the sample says with the comment signs before defaults taken away is what it says with them.
    """
    top = parse(sample)
    settings = read(top)
    top.end()
    lines = [line.removeprefix("# ") for line in sample.read_text(encoding="utf-8").splitlines()]
    for key in top.asked():
        last = key.rpartition(".")[2]
        assert any(line.startswith(f"{last} = ") for line in lines), f"{sample.name} does not show {key}"
    return settings
