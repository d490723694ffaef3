"""The samples of the settings: made from the function that reads them, and true in every line."""

import importlib
from pathlib import Path

import pytest

from kadeploy_edge.settings_file import parse
from kadeploy_edge.settings_sample import sample

CHECKOUT = Path(__file__).parents[2]
SAMPLES = {
    f"kadeploy_{service}.settings": CHECKOUT / "services" / service / f"{service}.toml.sample"
    for service in ("inventory", "deployer", "bootctl")
}


@pytest.mark.parametrize("module", SAMPLES)
def test_a_sample_is_what_the_reader_says(module: str) -> None:
    settings = importlib.import_module(module)
    assert SAMPLES[module].read_text() == sample(settings.TITLE, settings.read_settings), "run `make docs`"


@pytest.mark.parametrize("module", SAMPLES)
def test_a_sample_can_be_used_as_it_is_and_shows_every_key_that_is_read(module: str) -> None:
    settings = importlib.import_module(module)
    top = parse(SAMPLES[module])
    settings.read_settings(top)
    top.end()
    lines = SAMPLES[module].read_text().splitlines()
    shown = {line.removeprefix("# ").partition(" = ")[0] for line in lines if " = " in line}
    assert {key.rpartition(".")[2] for key in top.asked()} <= shown


@pytest.mark.parametrize("module", SAMPLES)
def test_no_line_of_a_sample_is_too_long_to_read(module: str) -> None:
    assert [line for line in SAMPLES[module].read_text().splitlines() if len(line) > 120] == []
